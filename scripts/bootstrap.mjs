// `npm start` and `npm test` on a machine that has only npm and Node >= 20: gets the pinned Node and pnpm through
// npm, installs, builds, then shows or tests. Plain JavaScript without dependencies, because it runs before
// anything is installed and on a Node that knows no TypeScript.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const toolchain = join(root, ".toolchain");

const nodeVersion = readFileSync(join(root, ".node-version"), "utf8").trim();
const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const pnpmVersion = packageManager.replace(/^pnpm@/, "");

const [task, ...taskArguments] = process.argv.slice(2);
const tasks = { start, test };
if (!Object.hasOwn(tasks, task)) {
  console.error("usage: node scripts/bootstrap.mjs start|test [arguments]");
  process.exit(2);
}
prepare();
process.exit(tasks[task]());

function start() {
  if (!build()) return 1;
  return run("node", ["scripts/demo.ts", ...taskArguments]);
}

/** Runs every test and ends with the line `N passed, N failed`, whatever became of the runner. */
function test() {
  // Most tests run from the sources, so a package that does not build is one failure, not the end.
  const built = build();
  const scratch = mkdtempSync(join(tmpdir(), "doppel-test-"));
  const summaryFile = join(scratch, "summary.json");
  const status = run("node", [bin("vitest", "vitest.mjs"), "run", ...taskArguments], {
    DOPPEL_TEST_SUMMARY: summaryFile,
  });
  let counts = { passed: 0, failed: 0, skipped: 0 };
  if (existsSync(summaryFile)) counts = JSON.parse(readFileSync(summaryFile, "utf8"));
  rmSync(scratch, { recursive: true, force: true });
  // A runner that died, or complained of something outside the tests, is a failure of its own.
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  if (counts.passed + counts.failed === 0) counts.failed = 1;
  if (!built) counts.failed += 1;
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  console.log(`\n${counts.passed} passed, ${counts.failed} failed${skipped}`);
  return counts.failed > 0 ? 1 : 0;
}

/** Makes Node, pnpm and the dependencies what this checkout asks for; quick when they already are. */
function prepare() {
  const ownMajor = Number(process.versions.node.split(".")[0]);
  const wanted = { pnpm: pnpmVersion };
  if (ownMajor < Number(nodeVersion.split(".")[0])) wanted.node = nodeVersion;
  installToolchain(wanted);
  process.env.PATH = [join(toolchain, "node_modules", ".bin"), process.env.PATH].join(delimiter);
  process.env.TURBO_TELEMETRY_DISABLED = "1";

  const install = ["install", "--frozen-lockfile", "--reporter=append-only", "--loglevel=warn"];
  if (run("pnpm", install) === 0) return;
  giveUp(`\`pnpm ${install.join(" ")}\` failed.`);
}

/** Builds what changed; goes on past a package that fails, so that one run shows every failure. */
function build() {
  const status = run("node", [
    bin("turbo", "bin/turbo"),
    "run",
    "build",
    "--output-logs=errors-only",
    "--continue=always",
  ]);
  if (status !== 0) console.error("\nThe build failed.");
  return status === 0;
}

function installToolchain(wanted) {
  const missing = Object.entries(wanted).filter(([name, version]) => installedVersion(name) !== version);
  if (missing.length === 0) return;
  const list = Object.entries(wanted).map(([name, version]) => `${name}@${version}`);
  console.log(`Getting ${list.join(" and ")} into .toolchain/ …`);

  // Installed aside and moved into place, so that an interrupted or concurrent run leaves no half of one.
  const aside = `${toolchain}.${process.pid}`;
  mkdirSync(aside, { recursive: true });
  const manifest = {
    private: true,
    dependencies: wanted,
    // Their install scripts fetch the executables; newer versions of npm run only the scripts that are listed.
    allowScripts: Object.fromEntries(list.map((name) => [name, true])),
  };
  writeFileSync(join(aside, "package.json"), JSON.stringify(manifest, null, 2));
  const status = run("npm", ["install", "--prefix", aside, "--no-audit", "--no-fund", "--loglevel=error"]);
  if (status !== 0) {
    rmSync(aside, { recursive: true, force: true });
    giveUp(`npm could not install ${list.join(" and ")}; is the package registry reachable?`);
  }
  rmSync(toolchain, { recursive: true, force: true });
  renameSync(aside, toolchain);
}

function giveUp(message) {
  console.error(`\n${message}`);
  if (task === "test") console.log("\n0 passed, 1 failed");
  process.exit(1);
}

function installedVersion(name) {
  const manifest = join(toolchain, "node_modules", name, "package.json");
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined;
}

function bin(packageName, file) {
  return join(root, "node_modules", packageName, file);
}

function run(command, args, environment = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...environment },
    // npm is a .cmd file on Windows.
    shell: process.platform === "win32",
  });
  if (result.error) console.error(`${command}: ${result.error.message}`);
  return result.status ?? 1;
}
