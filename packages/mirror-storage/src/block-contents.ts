// Contents of blocks, each known in whole or in part: what the write buffer and the rollback buffer are made of.
//
// A guest writes sectors, the protocol tracks blocks of several. An entry therefore says which sectors of the block it
// holds, and laying one over another goes sector by sector: the newer wins where it says something.
import { assert } from "./block-device.ts";

/** Most sectors in a block, since the sectors an entry holds are the bits of one integer. */
export const maximumSectorsPerBlock = 31;

export interface BlockContent {
  readonly bytes: Uint8Array;
  /** Bit i is set if the entry holds sector i. */
  mask: number;
}

/** How blocks divide a disk. */
export interface BlockLayout {
  readonly sectorSize: number;
  readonly sectorsPerBlock: number;
}

export class BlockContents {
  readonly layout: BlockLayout;
  /** By number of the block; the order is that of the last change, oldest first. */
  readonly blocks: Map<number, BlockContent> = new Map();

  constructor(layout: BlockLayout) {
    this.layout = layout;
    assert(layout.sectorsPerBlock <= maximumSectorsPerBlock, "too many sectors in a block");
  }

  get size(): number {
    return this.blocks.size;
  }

  has(block: number): boolean {
    return this.blocks.has(block);
  }

  /** Lays sectors over what is there. They may go over several blocks. */
  overlay(sector: number, data: Uint8Array): void {
    const { sectorSize, sectorsPerBlock } = this.layout;
    const count = data.length / sectorSize;
    for (let at = 0; at < count;) {
      const block = Math.floor((sector + at) / sectorsPerBlock);
      const within = sector + at - block * sectorsPerBlock;
      const run = Math.min(sectorsPerBlock - within, count - at);
      const entry = this.#touch(block);
      entry.bytes.set(data.subarray(at * sectorSize, (at + run) * sectorSize), within * sectorSize);
      entry.mask |= ((1 << run) - 1) << within;
      at += run;
    }
  }

  /** Lays all that another holds over this: the newer wins. */
  merge(newer: BlockContents): void {
    for (const { sector, data } of newer.runs()) this.overlay(sector, data);
  }

  /** What is held, as runs of sectors within one block each. */
  *runs(only?: Iterable<number>): Generator<{ block: number; sector: number; data: Uint8Array }> {
    for (const block of only ?? this.blocks.keys()) {
      const entry = this.blocks.get(block);
      if (entry !== undefined) yield* this.#runsOf(block, entry);
    }
  }

  *#runsOf(block: number, entry: BlockContent): Generator<{ block: number; sector: number; data: Uint8Array }> {
    const { sectorSize, sectorsPerBlock } = this.layout;
    for (let start = 0; start < sectorsPerBlock;) {
      let end = start;
      while (end < sectorsPerBlock && entry.mask & (1 << end)) end++;
      if (end > start) {
        const data = entry.bytes.subarray(start * sectorSize, end * sectorSize);
        yield { block, sector: block * sectorsPerBlock + start, data };
      }
      start = end + 1;
    }
  }

  /** The entry, made if need be, moved to the end of the order. */
  #touch(block: number): BlockContent {
    const { sectorSize, sectorsPerBlock } = this.layout;
    const found = this.blocks.get(block);
    if (found !== undefined) this.blocks.delete(block);
    const entry = found ?? { bytes: new Uint8Array(sectorSize * sectorsPerBlock), mask: 0 };
    this.blocks.set(block, entry);
    return entry;
  }
}
