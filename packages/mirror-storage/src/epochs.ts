// The epochs that are not committed: what each wrote, and how much of the secondary's write buffer they take together.
import { assert } from "./block-device.ts";

/** Closed epochs that may wait for their commit record: one being made durable, one being sent, and slack. */
const maximumUncommitted = 4;

interface Epoch {
  readonly number: number;
  readonly blocks: Set<number>;
  /** Messages. */
  writes: number;
  /** Blocks, counted each time they are written. */
  taken: number;
}

const emptyEpoch = (number: number): Epoch => ({ number, blocks: new Set(), writes: 0, taken: 0 });

export class Epochs {
  #closed: Epoch[] = [];
  #open: Epoch;
  #committed: number;
  #limit = 0;
  #reserved = 0;

  constructor(first: number) {
    this.#open = emptyEpoch(first);
    this.#committed = first - 1;
  }

  get open(): number {
    return this.#open.number;
  }

  get committed(): number {
    return this.#committed;
  }

  get isFull(): boolean {
    return this.#closed.length === maximumUncommitted;
  }

  get isHalfFull(): boolean {
    return this.#taken() * 2 >= this.#limit;
  }

  #taken(): number {
    return this.#closed.reduce((sum, epoch) => sum + epoch.taken, this.#open.taken + this.#reserved);
  }

  hasRoom(blocks: number): boolean {
    return this.#taken() + blocks <= this.#limit;
  }

  reserve(blocks: number): void {
    this.#reserved += blocks;
  }

  unreserve(blocks: number): void {
    this.#reserved -= blocks;
    assert(this.#reserved >= 0, "more room was given back than taken");
  }

  /** A write for which room was reserved; returns its epoch. */
  write(first: number, last: number): number {
    this.unreserve(last - first + 1);
    for (let block = first; block <= last; block++) this.#open.blocks.add(block);
    this.#open.writes++;
    this.#open.taken += last - first + 1;
    return this.#open.number;
  }

  close(): { epoch: number; writes: number } {
    const { number, writes } = this.#open;
    this.#closed.push(this.#open);
    this.#open = emptyEpoch(number + 1);
    return { epoch: number, writes };
  }

  /** False if this is not the oldest that is closed. */
  commit(epoch: number): boolean {
    if (this.#closed[0]?.number !== epoch) return false;
    this.#closed.shift();
    this.#committed = epoch;
    return true;
  }

  *uncommittedBlocks(): Generator<number> {
    for (const epoch of [...this.#closed, this.#open]) yield* epoch.blocks;
  }

  /** A session begins with a write buffer of so many blocks, or ends. The numbers go on. */
  reset(limit: number): void {
    this.#limit = limit;
    this.#reserved = 0;
    this.#closed = [];
    this.#open = emptyEpoch(this.#open.number);
  }
}
