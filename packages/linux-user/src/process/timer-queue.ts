// Timers by deadline: a binary heap. A cancelled timer stays in it, dead, until its time comes or it is popped.

import type { KernelTimer } from "../kernel/task.ts";

interface Entry extends KernelTimer {
  readonly deadlineNs: number;
  /** Timers of the same time fire in the order in which they were set. */
  readonly order: number;
  callback: (() => void) | null;
}

function before(a: Entry, b: Entry): boolean {
  return a.deadlineNs < b.deadlineNs || (a.deadlineNs === b.deadlineNs && a.order < b.order);
}

export class TimerQueue {
  readonly #heap: Entry[] = [];
  #order = 0;

  set(deadlineNs: number, callback: () => void): KernelTimer {
    const entry: Entry = {
      deadlineNs,
      order: this.#order++,
      callback,
      cancel: () => {
        entry.callback = null;
      },
    };
    this.#heap.push(entry);
    this.#up(this.#heap.length - 1);
    return entry;
  }

  /** Monotonic ns of the next timer, or Infinity. */
  nextDeadlineNs(): number {
    while (this.#heap.length > 0 && this.#heap[0].callback === null) this.#pop();
    return this.#heap.length > 0 ? this.#heap[0].deadlineNs : Infinity;
  }

  /** Fires what is due. */
  run(nowNs: number): void {
    while (this.nextDeadlineNs() <= nowNs) {
      const entry = this.#pop();
      const { callback } = entry;
      entry.callback = null;
      callback?.();
    }
  }

  #pop(): Entry {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop()!;
    if (heap.length > 0) {
      heap[0] = last;
      this.#down(0);
    }
    return first;
  }

  #up(start: number): void {
    const heap = this.#heap;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(heap[index], heap[parent])) return;
      [heap[index], heap[parent]] = [heap[parent], heap[index]];
      index = parent;
    }
  }

  #down(start: number): void {
    const heap = this.#heap;
    let index = start;
    for (;;) {
      let least = index;
      for (const child of [index * 2 + 1, index * 2 + 2]) {
        if (child < heap.length && before(heap[child], heap[least])) least = child;
      }
      if (least === index) return;
      [heap[index], heap[least]] = [heap[least], heap[index]];
      index = least;
    }
  }
}
