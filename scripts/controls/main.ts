// `pnpm controls [TEXT…]`: switches mechanisms off, one at a time (those whose name contains TEXT), and checks that the
// tests of the requirements they serve fail, which pass with everything on. Exits 1 when a test did not notice.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Control, controls } from "./controls.ts";

const root = join(import.meta.dirname, "../..");
const vitest = join(root, "node_modules/vitest/vitest.mjs");
/** What has not ended by then has not noticed: tests are to fail, not to hang. */
const PATIENCE_MS = 180_000;
const AT_ONCE = 2;

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

interface Outcome {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
}

const folder = mkdtempSync(join(tmpdir(), "doppel-controls-"));
/** Process groups that run. */
const running = new Set<number>();
let runs = 0;

function stop(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** Runs the tests of these requirements; undefined when they did not come to an end. */
async function outcome(
  control: Control | undefined,
  files: readonly string[],
  ids: readonly string[],
): Promise<Outcome | undefined> {
  const output = join(folder, `${runs++}.json`);
  const only = ["--reporter=json", `--outputFile=${output}`, "-t", `\\b(${ids.join("|")})\\b`];
  const child = spawn(process.execPath, [vitest, "run", "--project", "unit", ...only, ...files], {
    cwd: root,
    env: { ...process.env, ...(control === undefined ? {} : { DOPPEL_CONTROL: control.name }) },
    stdio: "ignore",
    // Whatever the tests started ends with them.
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${vitest} cannot be started`);
  running.add(pid);
  const timer = setTimeout(() => stop(pid), PATIENCE_MS);
  await new Promise((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  running.delete(pid);
  try {
    const report = JSON.parse(readFileSync(output, "utf8")) as Report;
    const results = report.testResults.flatMap(({ assertionResults }) => assertionResults);
    const having = (wanted: string): string[] =>
      results.filter(({ status }) => status === wanted).map(({ fullName }) => fullName);
    return { passed: having("passed"), failed: having("failed") };
  } catch {
    return undefined;
  }
}

/** Those of the requirements that no test among these is about. */
const without = (ids: readonly string[], tests: readonly string[]): string[] =>
  ids.filter((id) => !tests.some((name) => new RegExp(`\\b${id}\\b`).test(name)));

const unique = (values: readonly string[]): string[] => [...new Set(values)];

/** What is wrong with the tests themselves, with every mechanism on. */
async function trouble(chosen: readonly Control[]): Promise<string | undefined> {
  const ids = unique(chosen.flatMap(({ notices }) => notices));
  const all = await outcome(undefined, unique(chosen.flatMap(({ tests }) => tests)), ids);
  if (all === undefined) return "the tests do not end with every mechanism on";
  if (all.failed.length > 0) return `fails with every mechanism on: ${all.failed[0]}`;
  const untested = without(ids, all.passed);
  return untested.length === 0 ? undefined : `no test is about ${untested.join(", ")}`;
}

async function caught(control: Control): Promise<boolean> {
  const started = performance.now();
  const result = await outcome(control, control.tests, control.notices);
  const silent = without(control.notices, result?.failed ?? []);
  const ok = result !== undefined && silent.length === 0;
  const what =
    result === undefined
      ? "the tests did not end"
      : `${result.failed.length} tests of ${control.notices.join(", ")} fail${ok ? "" : `, but none of ${silent.join(", ")}`}`;
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stdout.write(`${ok ? "caught" : "MISSED"}  ${control.name}: ${what} (${seconds} s)\n`);
  return ok;
}

const wanted = process.argv.slice(2);
const chosen = controls.filter(({ name }) => wanted.length === 0 || wanted.some((text) => name.includes(text)));
process.on("exit", () => {
  for (const group of running) stop(group);
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

const wrong = chosen.length === 0 ? "no mechanism has such a name" : await trouble(chosen);
if (wrong !== undefined) {
  process.stderr.write(`controls: ${wrong}\n`);
  process.exit(1);
}
let count = 0;
const queue = [...chosen];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let control = queue.shift(); control !== undefined; control = queue.shift())
      if (await caught(control)) count++;
  }),
);
process.stdout.write(`${count} caught, ${chosen.length - count} missed\n`);
process.exitCode = count === chosen.length ? 0 : 1;
