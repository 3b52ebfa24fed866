/** Time that passes when told to, and links that lose, repeat, delay and reorder: all from one seed. */
import type { NetworkClock, NetworkTimer } from "../clock.ts";

export class SimulatedClock implements NetworkClock {
  #nowMs = 0;
  #order = 0;
  #timers: { readonly timeMs: number; readonly order: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  at(timeMs: number, callback: () => void): NetworkTimer {
    const timer = { timeMs: Math.max(timeMs, this.#nowMs), order: this.#order++, callback };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((each) => each !== timer)) };
  }

  /** Whether anything is left that would happen. */
  get isIdle(): boolean {
    return this.#timers.length === 0;
  }

  /** Goes on to the next thing that happens; false when it would be after `untilMs`, and time is that then. */
  step(untilMs: number): boolean {
    let next = this.#timers.at(0);
    for (const timer of this.#timers) {
      if (timer.timeMs < next!.timeMs || (timer.timeMs === next!.timeMs && timer.order < next!.order)) next = timer;
    }
    if (next === undefined || next.timeMs > untilMs) {
      this.#nowMs = Math.max(this.#nowMs, untilMs);
      return false;
    }
    this.#timers = this.#timers.filter((timer) => timer !== next);
    this.#nowMs = next.timeMs;
    next.callback();
    return true;
  }

  run(untilMs: number): void {
    while (this.step(untilMs));
  }
}

/** Numbers from 0 to below 1, the same for the same seed (Tommy Ettinger's Mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface LinkFaults {
  /** Probabilities. */
  readonly loss: number;
  readonly duplication: number;
  readonly delayMs: number;
  /** Each packet takes up to so much longer, which also reorders. */
  readonly jitterMs: number;
}

/** Carries packets one way, as far as it does. */
export function faultyLink<T>(
  clock: NetworkClock,
  random: () => number,
  faults: LinkFaults,
  deliver: (packet: T) => void,
): (packet: T) => void {
  return (packet) => {
    const copies = random() < faults.loss ? 0 : random() < faults.duplication ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      clock.at(clock.now() + faults.delayMs + random() * faults.jitterMs, () => deliver(packet));
    }
  };
}
