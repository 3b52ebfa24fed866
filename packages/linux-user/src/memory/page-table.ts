// One address space's page table: guest-virtual page -> entry, two levels.
//
//   guest-virtual address   47 ............ 21 | 20 ..... 12 | 11 ... 0
//                           key of a chunk      index         offset
//   entry (i32)             31 ..... 3 | 2 READ | 1 EXECUTE | 0 WRITE
//                           physical page; 0 as a whole when nothing is there
//
// The bits say what may go through *now*: WRITE is clear while a page is shared copy-on-write. An entry with a page
// and no bits is memory under PROT_NONE.

export const ENTRY_WRITE = 1;
export const ENTRY_EXECUTE = 2;
export const ENTRY_READ = 4;
export const ENTRY_BITS = 7;
export const ENTRY_SHIFT = 3;

const CHUNK_PAGES = 512;
const CHUNK_BYTES = CHUNK_PAGES * 4096;

export class PageTable {
  readonly #chunks: Map<number, Int32Array> = new Map();
  #lastKey = -1;
  #last: Int32Array = new Int32Array(0);

  get(address: number): number {
    const key = Math.floor(address / CHUNK_BYTES);
    if (key !== this.#lastKey) {
      const chunk = this.#chunks.get(key);
      if (chunk === undefined) return 0;
      this.#lastKey = key;
      this.#last = chunk;
    }
    return this.#last[(address / 4096) & (CHUNK_PAGES - 1)];
  }

  set(address: number, entry: number): void {
    const key = Math.floor(address / CHUNK_BYTES);
    if (key !== this.#lastKey) {
      let chunk = this.#chunks.get(key);
      if (chunk === undefined) {
        if (entry === 0) return;
        chunk = new Int32Array(CHUNK_PAGES);
        this.#chunks.set(key, chunk);
      }
      this.#lastKey = key;
      this.#last = chunk;
    }
    this.#last[(address / 4096) & (CHUNK_PAGES - 1)] = entry;
  }

  /** Replaces each present entry of [start, end) by what `change` returns for it. Page-aligned bounds. */
  update(start: number, end: number, change: (entry: number, address: number) => number): void {
    for (const key of this.#keysIn(start, end)) {
      const chunk = this.#chunks.get(key)!;
      const base = key * CHUNK_BYTES;
      const from = Math.max(0, (start - base) / 4096);
      const to = Math.min(CHUNK_PAGES, (end - base) / 4096);
      for (let index = from; index < to; index++) {
        const entry = chunk[index];
        if (entry !== 0) chunk[index] = change(entry, base + index * 4096);
      }
      if (from === 0 && to === CHUNK_PAGES && chunk.every((entry) => entry === 0)) this.#drop(key);
    }
  }

  /** Present pages of [start, end). */
  countIn(start: number, end: number): number {
    let count = 0;
    for (const key of this.#keysIn(start, end)) {
      const chunk = this.#chunks.get(key)!;
      const base = key * CHUNK_BYTES;
      const to = Math.min(CHUNK_PAGES, (end - base) / 4096);
      for (let index = Math.max(0, (start - base) / 4096); index < to; index++) if (chunk[index] !== 0) count++;
    }
    return count;
  }

  clear(): void {
    this.#chunks.clear();
    this.#lastKey = -1;
  }

  #drop(key: number): void {
    this.#chunks.delete(key);
    if (this.#lastKey === key) this.#lastKey = -1;
  }

  /** Existing chunks that meet [start, end): a terabyte of nothing costs nothing. */
  #keysIn(start: number, end: number): number[] {
    const first = Math.floor(start / CHUNK_BYTES);
    const last = Math.ceil(end / CHUNK_BYTES) - 1;
    const keys: number[] = [];
    if (last - first > this.#chunks.size) {
      for (const key of this.#chunks.keys()) if (key >= first && key <= last) keys.push(key);
      keys.sort((a, b) => a - b);
    } else {
      for (let key = first; key <= last; key++) if (this.#chunks.has(key)) keys.push(key);
    }
    return keys;
  }
}
