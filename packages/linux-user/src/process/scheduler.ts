// Who runs next: one queue, round robin, a budget of guest work each turn. Cooperative and in one JavaScript thread;
// given the same clock, randomness and I/O completions it makes the same choices. Returns to the host's event loop
// after every slice of host time, and whenever nothing can run.

import type { GuestTask } from "./task.ts";

/** The host's event loop, given to the kernel. */
export interface HostLoop {
  /** Calls back in a later turn, after I/O callbacks that are due (setImmediate, MessageChannel). */
  defer(callback: () => void): void;
  /** Calls back not before so many ns have passed; returns how to cancel. */
  after(delayNs: number, callback: () => void): () => void;
}

export interface SchedulerOptions {
  readonly host: HostLoop;
  readonly monotonicNs: () => number;
  /** Fires timers that are due; returns the monotonic ns of the next one. */
  readonly runTimers: (nowNs: number) => void;
  readonly nextTimerNs: () => number;
  /** Runs one task until it blocks, ends or has used its turn; true when it wants another turn. */
  readonly runTask: (task: GuestTask) => boolean;
  /** Nothing is left to run, ever. */
  readonly finished: () => boolean;
}

/** Host time between two returns to the event loop: short enough for terminals, long enough to cost nothing. */
const SLICE_NS = 8_000_000;

export class Scheduler {
  readonly #options: SchedulerOptions;
  #queue: GuestTask[] = [];
  /** First unread element of the queue. */
  #head = 0;
  #wakeUp: (() => void) | null = null;
  switches = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  enqueue(task: GuestTask): void {
    if (task.state === "exited" || task.state === "runnable") return;
    task.state = "runnable";
    this.#queue.push(task);
    this.#wakeUp?.();
  }

  /** A task just made is "runnable" already, but in no queue. */
  add(task: GuestTask): void {
    task.state = "runnable";
    this.#queue.push(task);
    this.#wakeUp?.();
  }

  remove(task: GuestTask): void {
    const index = this.#queue.indexOf(task, this.#head);
    if (index >= 0) this.#queue.splice(index, 1);
  }

  get runnableCount(): number {
    return this.#queue.length - this.#head;
  }

  #next(): GuestTask | undefined {
    if (this.#head === this.#queue.length) return undefined;
    const task = this.#queue[this.#head++];
    if (this.#head > 1024 || this.#head === this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return task;
  }

  /** Something outside the queue changed (a process ended): lets a sleeping loop look again. */
  nudge(): void {
    this.#wakeUp?.();
  }

  /** Runs until `finished`. */
  async run(): Promise<void> {
    const { host, monotonicNs, runTimers, nextTimerNs, finished } = this.#options;
    let sliceEndNs = monotonicNs() + SLICE_NS;
    while (!finished()) {
      const now = monotonicNs();
      if (nextTimerNs() <= now) runTimers(now);
      const task = this.#next();
      if (task !== undefined) {
        this.switches++;
        if (this.#options.runTask(task)) this.enqueue(task);
        if (monotonicNs() < sliceEndNs) continue;
        await new Promise<void>((resolve) => host.defer(resolve));
      } else {
        await this.#sleep(nextTimerNs() - monotonicNs());
      }
      sliceEndNs = monotonicNs() + SLICE_NS;
    }
  }

  /**
   * Waits for an `enqueue` from a host callback, or for the next timer. What is due in the same turn of the host's loop is
   * taken along, so that a server that waits for many clients hears of all that have written at once.
   */
  #sleep(delayNs: number): Promise<void> {
    return new Promise<void>((resolve) => {
      let cancel: (() => void) | null = null;
      const wake = (): void => {
        this.#wakeUp = null;
        cancel?.();
        this.#options.host.defer(resolve);
      };
      this.#wakeUp = wake;
      if (delayNs !== Infinity) cancel = this.#options.host.after(Math.max(0, delayNs), wake);
    });
  }
}
