/** Several observers of one kernel, and the one that adds up what processes used. */
import type { KernelObserver } from "@doppel/linux-user";

/** One observer that tells all of them, in order. */
export function combineObservers(observers: readonly KernelObserver[]): KernelObserver {
  if (observers.length === 1) return observers[0];
  return {
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

  exit(process: { readonly userNs: number; readonly systemNs: number; readonly peakResidentPages: number }): void {
    this.processes++;
    this.userNs += process.userNs;
    this.systemNs += process.systemNs;
    this.peakResidentPages = Math.max(this.peakResidentPages, process.peakResidentPages);
  }
}
