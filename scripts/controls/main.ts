// `pnpm controls [TEXT…]`: switches mechanisms off, one at a time (those whose name contains TEXT), and checks that the
// tests of the requirements they serve fail. Exits 1 when a test did not notice.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Control, controls } from "./controls.ts";

const root = join(import.meta.dirname, "../..");
/** Without its mechanism, code may run for ever. */
const PATIENCE_MS = 300_000;

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const folder = mkdtempSync(join(tmpdir(), "doppel-controls-"));

/** Full names of the tests that fail without the mechanism; undefined when the run did not come to its end. */
function failures(control: Control): string[] | undefined {
  const output = join(folder, "report.json");
  rmSync(output, { force: true });
  const pattern = `\\b(${control.notices.join("|")})\\b`;
  const reporter = ["--reporter=json", `--outputFile=${output}`, "-t", pattern];
  const args = ["vitest", "run", "--project", "unit", ...reporter, ...control.tests];
  spawnSync("pnpm", args, {
    cwd: root,
    env: { ...process.env, DOPPEL_CONTROL: control.name },
    timeout: PATIENCE_MS,
    killSignal: "SIGKILL",
    stdio: "ignore",
  });
  try {
    const report = JSON.parse(readFileSync(output, "utf8")) as Report;
    return report.testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ status }) => status === "failed")
      .map(({ fullName }) => fullName);
  } catch {
    return undefined;
  }
}

const wanted = process.argv.slice(2);
const chosen = controls.filter(({ name }) => wanted.length === 0 || wanted.some((text) => name.includes(text)));
let unnoticed = 0;
for (const control of chosen) {
  const failed = failures(control);
  const silent = control.notices.filter((id) => !failed?.some((name) => new RegExp(`\\b${id}\\b`).test(name)));
  const what =
    failed === undefined
      ? "the run did not end"
      : `${failed.length} tests fail${silent.length === 0 ? "" : `, but none of ${silent.join(", ")}`}`;
  const ok = failed !== undefined && silent.length === 0;
  if (!ok) unnoticed++;
  process.stdout.write(`${ok ? "noticed  " : "UNNOTICED"}  ${control.name}: ${what}\n`);
}
rmSync(folder, { recursive: true });
process.stdout.write(`${chosen.length - unnoticed} of ${chosen.length} noticed\n`);
process.exitCode = unnoticed === 0 && chosen.length > 0 ? 0 : 1;
