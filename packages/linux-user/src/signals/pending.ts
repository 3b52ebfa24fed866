// Signals that wait for delivery, of a thread or of a process. A standard signal waits at most once; real-time
// signals queue (signal(7), "Queueing and delivery semantics for real-time signals").

import type { SignalInfo } from "../kernel/signal-info.ts";
import { SIGRTMIN, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SignalSet } from "../kernel/signal-info.ts";

/** RLIMIT_SIGPENDING's default here: queued real-time signals of one queue. */
const MAXIMUM_QUEUED = 15_000;

/** Faults are delivered before anything else. */
const SYNCHRONOUS = SignalSet.of(SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS);

export class PendingSignals {
  readonly set: SignalSet = new SignalSet();
  #queue: SignalInfo[] = [];

  /** False when a real-time signal found the queue full (EAGAIN for sigqueue). */
  add(info: SignalInfo): boolean {
    if (this.set.has(info.signal) && info.signal < SIGRTMIN) return true;
    if (this.#queue.length >= MAXIMUM_QUEUED) return false;
    this.#queue.push(info);
    this.set.add(info.signal);
    return true;
  }

  /** Takes the first signal that is in `wanted`: faults first, then by number; null when there is none. */
  take(wanted: SignalSet): SignalInfo | null {
    const lo = this.set.lo & wanted.lo;
    const hi = this.set.hi & wanted.hi;
    if ((lo | hi) === 0) return null;
    const urgent = new SignalSet(lo & SYNCHRONOUS.lo, 0);
    const signal = (urgent.isEmpty() ? new SignalSet(lo, hi) : urgent).first();
    const index = this.#queue.findIndex((info) => info.signal === signal);
    const info = this.#queue[index];
    this.#queue.splice(index, 1);
    if (!this.#queue.some((other) => other.signal === signal)) this.set.delete(signal);
    return info;
  }

  /** Throws away every instance of a signal. */
  discard(signal: number): void {
    if (!this.set.has(signal)) return;
    this.set.delete(signal);
    this.#queue = this.#queue.filter((info) => info.signal !== signal);
  }

  clear(): void {
    this.#queue = [];
    this.set.assign(new SignalSet());
  }
}
