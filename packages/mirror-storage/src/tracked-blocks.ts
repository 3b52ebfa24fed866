// Shared disk: the blocks whose committed content the secondary holds, as the primary knows them.
//
//   (none) --reserve--> reserved --track--> tracked --elect, next checkpoint--> retiring --takeRetired--> (none)
//                          ^------------------------------reserve------------------'
//
// Each of them but the first takes one place of the rollback buffer. A retiring block is written the ordinary way again,
// though the secondary still holds it; it leaves once the checkpoint is committed and its content is safe on the disk.

export class TrackedBlocks {
  readonly #limit: number;
  readonly #tracked = new Set<number>();
  readonly #reserved = new Set<number>();
  readonly #retiring = new Map<number, { epoch: number; settled: boolean }>();
  #victims = new Set<number>();
  /** Blocks that a failed write left in an unknown state: the secondary must keep what it has. */
  readonly #suspects = new Set<number>();
  /** The first checkpoint of the session waits for the disk. */
  settlingJoin = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  has(block: number): boolean {
    return this.#tracked.has(block);
  }

  get size(): number {
    return this.#tracked.size + this.#reserved.size + this.#retiring.size;
  }

  /** Takes places for blocks that are not tracked, all or none. */
  reserve(blocks: readonly number[]): boolean {
    const fresh = blocks.filter((block) => !this.#retiring.has(block)).length;
    if (this.size + fresh > this.#limit) return false;
    for (const block of blocks) {
      this.#retiring.delete(block);
      this.#reserved.add(block);
    }
    return true;
  }

  unreserve(blocks: readonly number[]): void {
    for (const block of blocks) this.#reserved.delete(block);
  }

  track(block: number): void {
    this.#reserved.delete(block);
    this.#tracked.add(block);
  }

  /** Blocks whose content is in doubt. */
  get suspects(): ReadonlySet<number> {
    return this.#suspects;
  }

  suspect(first: number, last: number): void {
    for (let block = first; block <= last; block++) {
      if (this.#tracked.has(block) || this.#retiring.has(block)) this.#suspects.add(block);
    }
  }

  /** Their content is known again. */
  clear(first: number, last: number): void {
    for (let block = first; block <= last; block++) this.#suspects.delete(block);
  }

  /** False if there are no such blocks. */
  elect(blocks: readonly number[], blockCount: number): boolean {
    for (const block of blocks) {
      if (block >= blockCount) return false;
      this.#victims.add(block);
    }
    return true;
  }

  /** At the checkpoint that ends the epoch, the victims stop being tracked. */
  beginRetirement(epoch: number): Set<number> {
    const retiring = new Set<number>();
    const victims = this.#victims;
    this.#victims = new Set();
    for (const block of victims) {
      if (!this.#tracked.has(block) || this.#suspects.has(block)) {
        // About to be written, or not known to be safe: the next checkpoint may find it otherwise.
        if (this.#reserved.has(block) || this.#tracked.has(block)) this.#victims.add(block);
        continue;
      }
      this.#tracked.delete(block);
      this.#retiring.set(block, { epoch, settled: false });
      retiring.add(block);
    }
    return retiring;
  }

  /** What the epoch retired is safe on the disk; or it is not, and stays tracked until the next checkpoint. */
  settled(epoch: number, safe: boolean): void {
    for (const [block, entry] of this.#retiring) {
      if (entry.epoch !== epoch) continue;
      if (safe && !this.#suspects.has(block)) entry.settled = true;
      else {
        this.#retiring.delete(block);
        this.#tracked.add(block);
        // The secondary has elected it, and does not say so twice.
        this.#victims.add(block);
      }
    }
  }

  /** The blocks that the secondary may forget now. */
  takeRetired(committed: number): number[] {
    const blocks: number[] = [];
    for (const [block, entry] of this.#retiring) {
      if (!entry.settled || entry.epoch > committed) continue;
      this.#retiring.delete(block);
      blocks.push(block);
    }
    return blocks;
  }
}
