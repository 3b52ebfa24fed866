// Suspects a peer that was not heard for a time, and sees to it that the peer hears this side.
//
// A host that was itself stopped (SIGSTOP, a suspended laptop) finds every deadline passed when it goes on, with the peer's
// messages still unread: a check that comes late therefore judges nobody, and looks again an interval later.
import type { Timers } from "../timers.ts";

export interface FailureDetectorOptions {
  readonly timers: Timers;
  /** Between two heartbeats, and between two looks. */
  readonly intervalMs: number;
  /** Silence that makes the peer suspect; several intervals. */
  readonly timeoutMs: number | (() => number);
  readonly beat: () => void;
  readonly suspect: (silenceMs: number) => void;
}

export class FailureDetector {
  readonly #options: FailureDetectorOptions;
  #heard: number;
  #looked: number;
  #cancel: () => void;

  constructor(options: FailureDetectorOptions) {
    this.#options = options;
    this.#heard = this.#looked = options.timers.now();
    this.#cancel = options.timers.after(options.intervalMs, () => this.#look());
  }

  heard(): void {
    this.#heard = this.#options.timers.now();
  }

  stop(): void {
    this.#cancel();
  }

  #look(): void {
    const { timers, intervalMs, timeoutMs, beat, suspect } = this.#options;
    const limitMs = typeof timeoutMs === "number" ? timeoutMs : timeoutMs();
    const now = timers.now();
    const wasStopped = now - this.#looked > 2 * intervalMs;
    this.#looked = now;
    this.#cancel = timers.after(intervalMs, () => this.#look());
    if (!wasStopped && now - this.#heard > limitMs) {
      this.stop();
      suspect(now - this.#heard);
    } else beat();
  }
}
