// Requests that touch the same block go one after the other, in the order in which they came.
//
// Two writes of the same sectors in flight together may land in either order, on two disks even in different ones.
// Each request therefore queues at all its blocks at once, and runs when it is first in every queue; since all queues
// are joined in one step, nobody can wait in a circle.
import { assert } from "./block-device.ts";

interface Waiting {
  readonly first: number;
  readonly last: number;
  /** Queues in which others are before it. */
  behind: number;
  readonly run: () => void;
}

export class BlockLocks {
  readonly #queues = new Map<number, Waiting[]>();

  /** Calls `run` with the blocks `first` to `last` held, at once if they are free; `release` ends the hold. */
  acquire(first: number, last: number, run: (release: () => void) => void): void {
    let released = false;
    const waiting: Waiting = {
      first,
      last,
      behind: 0,
      run: () =>
        run(() => {
          assert(!released, "a block's lock is released once");
          released = true;
          this.#release(waiting);
        }),
    };
    for (let block = first; block <= last; block++) {
      const queue = this.#queues.get(block);
      if (queue === undefined) this.#queues.set(block, [waiting]);
      else {
        queue.push(waiting);
        waiting.behind++;
      }
    }
    if (waiting.behind === 0) waiting.run();
  }

  #release(waiting: Waiting): void {
    const ready: Waiting[] = [];
    for (let block = waiting.first; block <= waiting.last; block++) {
      const queue = this.#queues.get(block)!;
      assert(queue[0] === waiting, "the holder of a block is the first of its queue");
      queue.shift();
      const next = queue[0];
      if (next === undefined) this.#queues.delete(block);
      else if (--next.behind === 0) ready.push(next);
    }
    for (const next of ready) next.run();
  }
}
