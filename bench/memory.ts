/**
 * What the emulating process needs of its host's memory: an interpreter that only starts, and a shell that forks for minutes,
 * which must not make it grow.
 *
 *   node bench/memory.ts [--minutes N] [--write docs]
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findProgram } from "./contenders.ts";
import { markdownTable } from "./report.ts";
import { keepText, writeDocument } from "./sections.ts";
import { median } from "./statistics.ts";

const doppel = [process.execPath, join(import.meta.dirname, "../apps/cli/dist/main.js"), "run"];
const KIBIBYTE = 1024;
const MEBIBYTE = 2 ** 20;
const SAMPLE_MS = 5000;
const MINUTE_MS = 60_000;
/** While translations and the host's heap are still growing to their usual size. */
const SETTLING_MINUTES = 2;

const mebibytes = (bytes: number): string => `${Math.round(bytes / MEBIBYTE)} MiB`;

/** Largest resident set of the emulator while it runs a program. */
function peakBytes(command: readonly string[]): number {
  const folder = mkdtempSync(join(tmpdir(), "doppel-memory-"));
  try {
    const file = join(folder, "statistics.json");
    const [node, ...words] = doppel;
    const { status } = spawnSync(node, [...words, "--stats-file", file, "--", ...command], { stdio: "ignore" });
    if (status !== 0) throw new Error(`${command.join(" ")} ended with ${status}`);
    const { memory } = JSON.parse(readFileSync(file, "utf8")) as { memory: { hostPeakBytes: number } };
    return memory.hostPeakBytes;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A substitution, a subshell and a program each round; a line for every hundred processes. */
const FORKS = String.raw`
for (( n = 1; ; n++ )); do
  x=$(/bin/true; echo $(( n % 7 )))
  ( exit $x )
  (( n % 33 )) || echo $n
done`;

interface Minute {
  readonly bytes: number;
  readonly processes: number;
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * KIBIBYTE;
}

async function forkFor(minutes: number): Promise<Minute[]> {
  const [node, ...words] = doppel;
  const child = spawn(node, [...words, "--", findProgram("bash") ?? "bash", "-c", FORKS], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let lines = 0;
  child.stdout.on("data", (text: Buffer) => (lines += text.filter((byte) => byte === 0x0a).length));
  const ended = new Promise<void>((resolve) => void child.once("close", () => resolve()));
  const found: Minute[] = [];
  try {
    for (let minute = 0; minute < minutes; minute++) {
      const samples: number[] = [];
      const end = performance.now() + MINUTE_MS;
      while (performance.now() < end && child.exitCode === null) {
        await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
        samples.push(residentBytes(child.pid!));
      }
      found.push({ bytes: median(samples), processes: lines * 100 });
      process.stderr.write(`minute ${minute + 1} of ${minutes}: ${mebibytes(found.at(-1)!.bytes)}\n`);
    }
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
  return found;
}

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" }, write: { type: "string" } } });
const minutes = Number(values.minutes);
if (!Number.isInteger(minutes) || minutes < 1)
  throw new RangeError(`--minutes ${values.minutes}: give a number of minutes`);
const python = findProgram("python3");
const start = python === undefined ? "(not installed)" : mebibytes(peakBytes([python, "-c", "pass"]));
const found = await forkFor(minutes);
const settled = found[Math.min(SETTLING_MINUTES, found.length - 1)];
const growth = (found.at(-1)!.bytes / settled.bytes - 1) * 100;
const text = `The largest resident set of \`doppel run python3 -c pass\`: ${start}.

A shell that forks, its resident set (of each minute the median) and the processes made so far. From minute ${Math.min(SETTLING_MINUTES + 1, found.length)} to
the last it changed by ${growth.toFixed(1)} %.

${markdownTable(
  ["minute", "resident", "processes"],
  found.map(({ bytes, processes }, index) => [`${index + 1}`, mebibytes(bytes), processes.toLocaleString("en-US")]),
)}
`;
process.stdout.write(text);
if (values.write !== undefined) {
  keepText("memory", { title: "Memory of the host", command: "node bench/memory.ts", text });
  writeDocument(values.write);
}
