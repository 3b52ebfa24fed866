/** Several observers of one kernel, and the one that adds up what processes used. */
import type { CodeUse, KernelObserver } from "@doppel/linux-user";

const PROCESSES_LISTED = 1000;

/** What one process had of the translations that all share. */
export interface ProcessCodeUse extends CodeUse {
  readonly pid: number;
  readonly program: string;
}

/** One observer that tells all of them, in order. */
export function combineObservers(observers: readonly KernelObserver[]): KernelObserver {
  if (observers.length === 1) return observers[0];
  return {
    turn: (...event) => observers.forEach((observer) => observer.turn?.(...event)),
    syscallEnter: (...event) => observers.forEach((observer) => observer.syscallEnter?.(...event)),
    syscallExit: (...event) => observers.forEach((observer) => observer.syscallExit?.(...event)),
    syscallRestart: (...event) => observers.forEach((observer) => observer.syscallRestart?.(...event)),
    signal: (...event) => observers.forEach((observer) => observer.signal?.(...event)),
    exit: (...event) => observers.forEach((observer) => observer.exit?.(...event)),
    stopped: (...event) => observers.forEach((observer) => observer.stopped?.(...event)),
    outOfMemory: (...event) => observers.forEach((observer) => observer.outOfMemory?.(...event)),
  };
}

/** What the processes that ended have used. */
export class UsageObserver implements KernelObserver {
  processes = 0;
  userNs = 0;
  systemNs = 0;
  /** Of the largest process. */
  peakResidentPages = 0;
  /** What the first of them had of the shared translations. */
  readonly codeUse: ProcessCodeUse[] = [];

  exit(process: {
    readonly pid: number;
    readonly executablePath: string;
    readonly userNs: number;
    readonly systemNs: number;
    readonly peakResidentPages: number;
    readonly codeUse: CodeUse | null;
  }): void {
    this.processes++;
    if (process.codeUse !== null && this.codeUse.length < PROCESSES_LISTED)
      this.codeUse.push({ pid: process.pid, program: process.executablePath, ...process.codeUse });
    this.userNs += process.userNs;
    this.systemNs += process.systemNs;
    this.peakResidentPages = Math.max(this.peakResidentPages, process.peakResidentPages);
  }
}
