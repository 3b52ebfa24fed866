/**
 * What two of the techniques bring, each against doing without it: processes that share one code heap against emulators
 * of their own, and guard bits per granule against guards of whole pages.
 *
 *   node bench/techniques.ts [--processes N] [--write docs]
 *
 * Times are user time of the emulating process, which other load disturbs least.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findProgram } from "./contenders.ts";
import { markdownTable as table } from "./report.ts";
import { keepText, writeDocument } from "./sections.ts";

const root = join(import.meta.dirname, "..");
const MEBIBYTE = 2 ** 20;
const MAXIMUM_OUTPUT_BYTES = 64 << 20;

interface Statistics {
  readonly translation: { readonly regions: number };
  readonly guards: { readonly faults: number; readonly unprotected: number; readonly discards: number };
  readonly memory: { readonly hostPeakBytes?: number };
  readonly codeUse: readonly { readonly program: string; readonly translated: number; readonly ready: number }[];
}

interface Run {
  readonly output: string;
  readonly userSeconds: number;
  readonly statistics: Statistics;
}

const folder = mkdtempSync(join(tmpdir(), "doppel-techniques-"));

/** Runs a program in the guest to its end. */
function run(command: readonly string[], options: readonly string[] = []): Run {
  const file = join(folder, "statistics.json");
  const words = [join(root, "apps/cli/dist/main.js"), "run", "--stats-file", file, ...options, "--", ...command];
  const time = ["-f", "%U", "-o", join(folder, "time"), process.execPath, ...words];
  const result = spawnSync("/usr/bin/time", time, { encoding: "utf8", cwd: folder, maxBuffer: MAXIMUM_OUTPUT_BYTES });
  if (result.status !== 0)
    throw new Error(`${command.join(" ").slice(0, 200)}: status ${result.status}: ${result.stderr}`);
  return {
    output: result.stdout,
    userSeconds: Number(readFileSync(join(folder, "time"), "utf8").trim()),
    statistics: JSON.parse(readFileSync(file, "utf8")) as Statistics,
  };
}

const integer = (value: number): string => Math.round(value).toLocaleString("en-US");
const mebibytes = (bytes: number): string => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
const seconds = (value: number): string => `${value.toFixed(2)} s`;

/** Starts N interpreters, each when the one before it is ready, all alive until the last is; says when each was ready. */
const STARTER = String.raw`
mkfifo ready
for i in $(seq $1); do
  before=$EPOCHREALTIME
  perl -MPOSIX -MList::Util -e '$| = 1; print "ready\n"; sleep 1000' >ready &
  read -r line <ready
  after=$EPOCHREALTIME
  echo "$line $(( \${after/./} - \${before/./} ))"
done
kill $(jobs -p)
wait 2>/dev/null
rm ready
`.replaceAll("\\${", "${");

interface Started {
  readonly run: Run;
  /** Milliseconds that each start took. */
  readonly startMs: readonly number[];
}

function startMany(count: number): Started {
  const result = run(["bash", "-c", STARTER, "bash", String(count)]);
  const startMs = [...result.output.matchAll(/^ready (\d+)$/gm)].map(([, microseconds]) => Number(microseconds) / 1000);
  if (startMs.length !== count) throw new Error(`${startMs.length} of ${count} processes became ready`);
  return { run: result, startMs };
}

function processes(count: number): string {
  const one = startMany(1);
  const many = startMany(count);
  const fragments = ({ run: { statistics } }: Started, index: number): string => {
    const interpreters = statistics.codeUse.filter(({ program }) => program.endsWith("perl"));
    const { translated, ready } = interpreters[index];
    return `${integer(translated)} translated, ${integer(ready)} found ready`;
  };
  const peak = ({ run: { statistics } }: Started): number => statistics.memory.hostPeakBytes ?? NaN;
  const perProcess = (peak(many) - peak(one)) / (count - 1);
  const median = (values: readonly number[]): number =>
    [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const alone = Array.from({ length: Math.min(count, 5) }, () => startMany(1));
  return table(
    [`${count} processes of perl`, "one emulator", `an emulator for each`],
    [
      [
        "fragments translated",
        integer(many.run.statistics.translation.regions),
        integer(count * one.run.statistics.translation.regions),
      ],
      ["of the first process", fragments(many, 0), fragments(one, 0)],
      ["of the last process", fragments(many, count - 1), fragments(one, 0)],
      [
        "start of the first",
        `${integer(many.startMs[0])} ms`,
        `${integer(median(alone.map(({ startMs }) => startMs[0])))} ms`,
      ],
      [
        "start of the last",
        `${integer(many.startMs[count - 1])} ms`,
        `${integer(median(alone.map(({ startMs }) => startMs[0])))} ms`,
      ],
      ["median start after the first", `${integer(median(many.startMs.slice(1)))} ms`, ""],
      [
        "user time in all",
        seconds(many.run.userSeconds),
        seconds(count * median(alone.map(({ run: { userSeconds } }) => userSeconds))),
      ],
      ["resident memory in all", mebibytes(peak(many)), mebibytes(count * median(alone.map(peak)))],
      ["a further process", mebibytes(perProcess), mebibytes(median(alone.map(peak)))],
    ],
  );
}

const JIT_LUA = `
local s = 0
for round = 1, 60 do
  jit.flush()
  for i = 1, 20000 do s = s + (i % (round + 1)) end
end
print(s)`;

const JIT_JAVASCRIPT = `
let sum = 0;
for (let round = 0; round < 40; round++) {
  const f = new Function("n", "let s = " + round + "; for (let i = 0; i < n; i++) s = (s * 31 + i) | 0; return s;");
  for (let i = 0; i < 30; i++) sum = (sum + f(2000)) | 0;
}
console.log(sum);`;

function guards(): string {
  const programs: readonly (readonly [string, readonly string[]])[] = [
    ["luajit", ["luajit", "-e", JIT_LUA]],
    ["node", [process.execPath, "-e", JIT_JAVASCRIPT]],
    ["code that rewrites itself", [join(root, "guests/bin/selfmod"), "3000"]],
  ];
  const rows = programs
    .filter(([, [program]]) => program.includes("/") || findProgram(program) !== undefined)
    .flatMap(([name, command]) => {
      const runs = (["by-page", "fault-on-store", "check-on-use", "whole-pages"] as const).map(
        (kind) => [kind, run(command, ["--guards", kind])] as const,
      );
      const outputs = new Set(runs.map(([, { output }]) => output));
      if (outputs.size > 1) throw new Error(`${name} prints something else under another policy`);
      return runs.map(([kind, { statistics, userSeconds }]) => [
        name,
        kind,
        integer(statistics.guards.faults),
        integer(statistics.guards.unprotected),
        integer(statistics.guards.discards),
        integer(statistics.translation.regions),
        seconds(userSeconds),
      ]);
    });
  return table(
    [
      "program",
      "--guards",
      "stores stopped",
      "stores that dropped protection",
      "regions discarded",
      "translated",
      "user time",
    ],
    rows,
  );
}

const { values } = parseArgs({ options: { processes: { type: "string", default: "50" }, write: { type: "string" } } });
try {
  const shared = `### One code heap for all processes

Each process is an interpreter that loads two modules, says that it is ready, and stays until the last is.

${processes(Number(values.processes))}

Emulators of their own are the median of five, times the number of processes.

`;
  process.stdout.write(shared);
  const granules = `### Guard bits per granule

Programs that write code while they run; under each choice they print the same. \`whole-pages\` guards pages instead of granules
of 64 bytes: what is written beside code discards it.

${guards()}
`;
  process.stdout.write(granules);
  const text = shared + granules;
  if (values.write !== undefined) {
    keepText("techniques", { title: "What techniques bring", command: "node bench/techniques.ts", text });
    writeDocument(values.write);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
