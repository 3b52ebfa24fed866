/**
 * Measurements inside a whole machine: it is started once, and what it prints on its serial port says where each lap
 * begins and ends. The host's clock is looked at when a line comes, so that nobody's idea of time but the host's counts.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Measurement } from "./measure.ts";

/** A machine for all contenders alike. */
export interface GuestMachine {
  /** Of the processor's mode that it needs. */
  readonly bits: 32 | 64;
  readonly kernel: string;
  readonly initrd?: string;
  readonly commandLine?: string;
  readonly memoryMiB: number;
  /** Where translations are kept from start to start, by those who keep any; absent: nowhere. */
  readonly translations?: string;
}

/** Lines of the guest; a lap without `begins` begins when the machine is started. */
export interface Lap {
  readonly name: string;
  readonly begins?: RegExp;
  readonly ends: RegExp;
}

export interface MachineTask {
  readonly name: string;
  /** Undefined when there is no such guest here. */
  readonly guest: (folder: string) => GuestMachine | undefined;
  /** What is done before each round. */
  readonly prepare?: (folder: string) => void;
  readonly laps: readonly Lap[];
}

/** Linux fixes USER_HZ to 100 on x86. */
const TICK_SECONDS = 0.01;
/** Fields of /proc/PID/stat (proc(5)), counted from the third, which follows the name. */
const UTIME = 14 - 3;
/** Nothing printed for so long: it has gone wrong. The longest lap prints nothing meanwhile. */
const SILENCE_MS = 180_000;
/** Told to end, it is given so long to keep what it keeps. */
const GRACE_MS = 20_000;
const MAXIMUM_LINE = 10_000;
/** What Linux says meanwhile is no output of the lap. */
const KERNEL_MESSAGE = /^\[ *\d+\.\d+\] /;

function userSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[UTIME]) * TICK_SECONDS;
  } catch {
    return Number.NaN;
  }
}

/** Times laps by the lines that come. */
export class LapTimer {
  readonly done: Map<string, Measurement> = new Map();
  private readonly laps: readonly Lap[];
  private readonly now: () => { readonly wallSeconds: number; readonly userSeconds: number };
  private readonly begun: Map<Lap, { wallSeconds: number; userSeconds: number; lines: string[] }> = new Map();
  private rest = "";

  constructor(laps: readonly Lap[], now: () => { readonly wallSeconds: number; readonly userSeconds: number }) {
    this.laps = laps;
    this.now = now;
    // From nothing: user time of a process that has just begun, too.
    for (const lap of laps) if (lap.begins === undefined) this.begun.set(lap, { ...now(), userSeconds: 0, lines: [] });
  }

  /** Text of the serial port. */
  take(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = (lines.pop() ?? "").slice(-MAXIMUM_LINE);
    for (const line of lines) this.takeLine(line.replaceAll("\r", ""));
  }

  private takeLine(line: string): void {
    for (const lap of this.laps) {
      const begun = this.begun.get(lap);
      if (begun !== undefined && lap.ends.test(line)) {
        const { wallSeconds, userSeconds: user } = this.now();
        this.begun.delete(lap);
        this.done.set(lap.name, {
          wallSeconds: wallSeconds - begun.wallSeconds,
          userSeconds: user - begun.userSeconds,
          status: 0,
          // What is printed while a kernel boots has times in it.
          output: lap.begins === undefined ? "" : createHash("sha256").update(begun.lines.join("\n")).digest("hex"),
          complaint: "",
        });
      } else if (begun !== undefined) {
        if (lap.begins !== undefined && !KERNEL_MESSAGE.test(line)) begun.lines.push(line);
      } else if (lap.begins?.test(line) === true) {
        this.begun.set(lap, { ...this.now(), lines: [] });
      }
    }
  }

  get isDone(): boolean {
    return this.done.size === this.laps.length;
  }
}

/** Runs the machine until all laps are done, or it ends; laps that were not done are absent. */
export async function measureMachine(
  command: readonly string[],
  laps: readonly Lap[],
  cwd: string,
): Promise<{ readonly laps: ReadonlyMap<string, Measurement>; readonly complaint: string }> {
  const [file = "", ...args] = command;
  const child = spawn(file, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const timer = new LapTimer(laps, () => ({
    wallSeconds: performance.now() / 1000,
    userSeconds: userSeconds(child.pid ?? 0),
  }));
  let said = "";
  let silence: NodeJS.Timeout | undefined;
  let grace: NodeJS.Timeout | undefined;
  let isEnding = false;
  const heard = (text: string): void => {
    said = (said + text).slice(-2000);
    clearTimeout(silence);
    silence = setTimeout(() => child.kill("SIGKILL"), SILENCE_MS);
  };
  heard("");
  child.stdout.setEncoding("latin1").on("data", (text: string) => {
    heard(text);
    timer.take(text);
    if (!timer.isDone || isEnding) return;
    isEnding = true;
    child.kill("SIGTERM");
    grace = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
  });
  child.stderr.setEncoding("latin1").on("data", heard);
  const end = await new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(`ended with ${code ?? signal}`));
  });
  clearTimeout(silence);
  clearTimeout(grace);
  return { laps: timer.done, complaint: `${end}: ${said.trim().split("\n").at(-1) ?? ""}` };
}
