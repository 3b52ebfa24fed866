/**
 * The machine's time: nanoseconds since power-on, which stand still while the machine is stopped or saved. It follows
 * any monotonic source; a source that a test moves by hand makes runs repeatable.
 *
 * Callbacks run only from `runDue`, which the processor's loop calls between guest instructions.
 */

import type { MachineClock, StateRecord, Stateful, Timer } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";

/** A heap entry knows its index, so that cancelling, which guests do at every tick, removes it at once. */
interface Entry extends Timer {
  readonly time: number;
  /** Breaks ties: timers of the same time run in the order they were set. */
  readonly order: number;
  readonly callback: () => void;
  index: number;
}

export class SystemClock implements MachineClock, Stateful {
  readonly id = "clock";
  readonly version = 1;
  readonly #source: () => number;
  readonly #heap: Entry[] = [];
  #order = 0;
  /** The source's time minus ours while running; our time while stopped. */
  #offset = 0;
  #stoppedAt: number | undefined = 0;

  /** @param source monotonic nanoseconds, from any origin. The clock stands at 0 until it is started. */
  constructor(source: () => number) {
    this.#source = source;
  }

  get running(): boolean {
    return this.#stoppedAt === undefined;
  }

  now(): number {
    return this.#stoppedAt ?? Math.floor(this.#source() - this.#offset);
  }

  start(): void {
    if (this.#stoppedAt === undefined) return;
    this.#offset = this.#source() - this.#stoppedAt;
    this.#stoppedAt = undefined;
  }

  stop(): void {
    this.#stoppedAt ??= this.now();
  }

  at(time: number, callback: () => void): Timer {
    const entry: Entry = {
      time,
      order: this.#order++,
      callback,
      index: this.#heap.length,
      cancel: () => this.#remove(entry),
    };
    this.#heap.push(entry);
    this.#rise(entry);
    return entry;
  }

  /** When the next timer is due; infinity when there is none. */
  nextDeadline(): number {
    return this.#heap[0]?.time ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Calls back what is due now, in order of time. Timers that the callbacks set wait for the next call, so that one
   * that is always late cannot hold up the machine.
   */
  runDue(): void {
    const first = this.#heap[0];
    if (first === undefined || this.#stoppedAt !== undefined) return;
    const now = this.now();
    const newest = this.#order;
    while (this.#heap.length > 0 && this.#heap[0].time <= now && this.#heap[0].order < newest) {
      const entry = this.#heap[0];
      this.#remove(entry);
      entry.callback();
    }
  }

  save(): StateRecord {
    return { now: this.now() };
  }

  /** Sets the time. Whoever waits for a time sets its timers anew when it is loaded, after the clock. */
  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    const now = reader.integer("now", 0, Number.MAX_SAFE_INTEGER);
    if (this.#stoppedAt === undefined) this.#offset = this.#source() - now;
    else this.#stoppedAt = now;
  }

  #remove(entry: Entry): void {
    if (entry.index < 0) return;
    const last = this.#heap.pop()!;
    if (last !== entry) {
      last.index = entry.index;
      this.#heap[last.index] = last;
      this.#rise(last);
      this.#sink(last);
    }
    entry.index = -1;
  }

  #rise(entry: Entry): void {
    const heap = this.#heap;
    while (entry.index > 0) {
      const parent = heap[(entry.index - 1) >>> 1];
      if (!isBefore(entry, parent)) return;
      this.#swap(entry, parent);
    }
  }

  #sink(entry: Entry): void {
    const heap = this.#heap;
    for (;;) {
      const left = 2 * entry.index + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const child = right < heap.length && isBefore(heap[right], heap[left]) ? heap[right] : heap[left];
      if (!isBefore(child, entry)) return;
      this.#swap(entry, child);
    }
  }

  #swap(left: Entry, right: Entry): void {
    const index = left.index;
    left.index = right.index;
    right.index = index;
    this.#heap[left.index] = left;
    this.#heap[right.index] = right;
  }
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.time < right.time || (left.time === right.time && left.order < right.order);
}

/** Time that moves when told to: the same inputs at the same times give the same run. */
export class SteppedClock extends SystemClock {
  readonly #time: { ns: number };

  constructor() {
    const time = { ns: 0 };
    super(() => time.ns);
    this.#time = time;
    this.start();
  }

  /** Moves on by `ns`, calling back each timer at its own time. */
  advance(ns: number): void {
    const end = this.#time.ns + ns;
    const offset = this.#time.ns - this.now();
    while (Math.ceil(this.nextDeadline() + offset) <= end) {
      this.#time.ns = Math.max(this.#time.ns, Math.ceil(this.nextDeadline() + offset));
      this.runDue();
    }
    this.#time.ns = end;
  }
}
