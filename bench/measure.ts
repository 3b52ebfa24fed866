/**
 * One run of a command: how long it took, how much processor time it and its children used, what it printed.
 *
 * Node says nothing about the processor time of a child; Linux adds it to what /proc/self/stat says of all children
 * waited for (proc(5): cutime), in ticks of 10 ms. One child at a time, so the difference is that child's.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { openSync, closeSync, readFileSync } from "node:fs";

/** Linux fixes USER_HZ to 100 on x86. */
const TICK_SECONDS = 0.01;
const CUTIME_FIELD = 15;
/** A run that takes longer than this has gone wrong. */
const TIMEOUT_MS = 600_000;

export interface Measurement {
  readonly wallSeconds: number;
  /** User processor time; NaN where the system does not say. */
  readonly userSeconds: number;
  readonly status: number | string;
  /** A digest of standard output: runs of one task must agree. */
  readonly output: string;
  /** The end of standard error, for a run that failed. */
  readonly complaint: string;
}

export interface RunOptions {
  readonly cwd: string;
  /** A file to read standard input from. */
  readonly stdin?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
}

/** User processor time of all children that have ended so far. */
export function childrenUserSeconds(): number {
  try {
    const stat = readFileSync("/proc/self/stat", "latin1");
    // The name in parentheses may hold spaces; fields are counted from behind it, where the third one comes next.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[CUTIME_FIELD - 2]) * TICK_SECONDS;
  } catch {
    return Number.NaN;
  }
}

export async function measure(command: readonly string[], options: RunOptions): Promise<Measurement> {
  const [file = "", ...args] = command;
  const input = options.stdin === undefined ? "ignore" : openSync(options.stdin, "r");
  const userBefore = childrenUserSeconds();
  const startedMs = performance.now();
  try {
    const child = spawn(file, args, {
      cwd: options.cwd,
      stdio: [input, "pipe", "pipe"],
      env: options.env ?? process.env,
      timeout: TIMEOUT_MS,
    });
    const digest = createHash("sha256");
    let complaint = "";
    child.stdout!.on("data", (chunk: Buffer) => digest.update(chunk));
    child.stderr!.on("data", (chunk: Buffer) => (complaint = (complaint + chunk.toString("latin1")).slice(-2000)));
    const status = await new Promise<number | string>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve(code ?? signal ?? "?"));
    });
    const wallSeconds = (performance.now() - startedMs) / 1000;
    const userSeconds = childrenUserSeconds() - userBefore;
    return { wallSeconds, userSeconds, status, output: digest.digest("hex"), complaint };
  } finally {
    if (typeof input === "number") closeSync(input);
  }
}
