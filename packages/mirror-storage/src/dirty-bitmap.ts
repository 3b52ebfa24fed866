// Which blocks a standby lacks: one bit a block.

export class DirtyBitmap {
  readonly #words: Uint32Array;
  readonly #blockCount: number;
  #count = 0;

  constructor(blockCount: number) {
    this.#blockCount = blockCount;
    this.#words = new Uint32Array(Math.ceil(blockCount / 32));
  }

  /** Blocks set. */
  get count(): number {
    return this.#count;
  }

  has(block: number): boolean {
    return (this.#words[block >>> 5] & (1 << (block & 31))) !== 0;
  }

  set(block: number): void {
    if (this.has(block)) return;
    this.#words[block >>> 5] |= 1 << (block & 31);
    this.#count++;
  }

  clear(block: number): void {
    if (!this.has(block)) return;
    this.#words[block >>> 5] &= ~(1 << (block & 31));
    this.#count--;
  }

  setAll(): void {
    for (let block = 0; block < this.#blockCount; block++) this.set(block);
  }

  clearAll(): void {
    this.#words.fill(0);
    this.#count = 0;
  }

  /** The first block at or after `from` that is set. */
  next(from: number): number | undefined {
    for (let block = from; block < this.#blockCount; block++) {
      if ((block & 31) === 0 && this.#words[block >>> 5] === 0) block += 31;
      else if (this.has(block)) return block;
    }
    return undefined;
  }
}
