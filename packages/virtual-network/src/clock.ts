/** Time as the network sees it, given by whoever runs it: a host's clock, a machine's, or a simulation's. */
export interface NetworkClock {
  /** Milliseconds from any beginning; never goes back. */
  now(): number;
  /** Calls back once, at the time or soon after. */
  at(timeMs: number, callback: () => void): NetworkTimer;
}

export interface NetworkTimer {
  cancel(): void;
}

/** A deadline that moves with every packet while the clock's timer under it seldom does. */
export class Deadline {
  readonly #clock: NetworkClock;
  readonly #callback: () => void;
  #timeMs: number | undefined;
  #timer: { readonly timer: NetworkTimer; readonly timeMs: number } | undefined;

  constructor(clock: NetworkClock, callback: () => void) {
    this.#clock = clock;
    this.#callback = callback;
  }

  get isSet(): boolean {
    return this.#timeMs !== undefined;
  }

  set(delayMs: number): void {
    this.#timeMs = this.#clock.now() + delayMs;
    if (this.#timer !== undefined && this.#timer.timeMs <= this.#timeMs) return;
    this.#timer?.timer.cancel();
    this.#arm(this.#timeMs);
  }

  /** The clock's timer may still come, and finds nothing to do. */
  clear(): void {
    this.#timeMs = undefined;
  }

  /** Nothing is left behind in the clock. */
  cancel(): void {
    this.#timeMs = undefined;
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  #arm(timeMs: number): void {
    const timer = this.#clock.at(timeMs, () => {
      this.#timer = undefined;
      if (this.#timeMs === undefined) return;
      if (this.#clock.now() < this.#timeMs) {
        this.#arm(this.#timeMs);
        return;
      }
      this.#timeMs = undefined;
      this.#callback();
    });
    this.#timer = { timer, timeMs };
  }
}
