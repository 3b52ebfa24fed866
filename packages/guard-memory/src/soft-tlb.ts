/**
 * The soft TLB, in WebAssembly memory behind each context block, where translated code looks pages up by itself.
 *
 * ```text
 * entry (32 bytes)   0  read tag i64    the page's virtual address, or an address no look-up here can match
 *                    8  write tag i64   the same for writes
 *                   16  host i32        byte offset of the physical page in WebAssembly memory
 *                   20  global i32     not 0: kept when the address space changes
 * ```
 * A look-up subtracts the tag from the address and compares with the page size: one check for the right page and for
 * all bytes being on it. Whatever needs attention (no permission, code on the page, a device) has no tag there.
 */
import { PAGE_SHIFT } from "./guard-bits.ts";

export const TLB_INDEX_BITS = 10;
const ENTRY_SHIFT = 5;
const ENTRIES: number = 1 << TLB_INDEX_BITS;

/** What code emitters need to know; offsets from the context pointer are the composer's. */
export interface SoftTlbShape {
  readonly indexBits: number;
  readonly entryShift: number;
  readonly readTag: number;
  readonly writeTag: number;
  readonly host: number;
  readonly pageShift: number;
  readonly bytes: number;
}

export const softTlbShape: SoftTlbShape = {
  indexBits: TLB_INDEX_BITS,
  entryShift: ENTRY_SHIFT,
  readTag: 0,
  writeTag: 8,
  host: 16,
  pageShift: PAGE_SHIFT,
  bytes: ENTRIES << ENTRY_SHIFT,
};

/** One context's TLB. Addresses are (low, high) i32 halves of a guest-virtual address. */
export class SoftTlb {
  private readonly words: Int32Array;
  private readonly base: number;

  /** `offset`: byte offset of entry 0 in the memory whose words are given; 8-byte aligned. */
  constructor(words: Int32Array, offset: number) {
    this.words = words;
    this.base = offset >> 2;
    this.flush();
  }

  fill(low: number, high: number, host: number, readable: boolean, writable: boolean, global = false): void {
    const { words } = this;
    const index = (low >>> PAGE_SHIFT) & (ENTRIES - 1);
    const entry = this.base + (index << (ENTRY_SHIFT - 2));
    const tag = low & -(1 << PAGE_SHIFT);
    if (readable) {
      words[entry] = tag;
      words[entry + 1] = high;
    } else {
      this.invalidate(entry, index);
    }
    if (writable) {
      words[entry + 2] = tag;
      words[entry + 3] = high;
    } else {
      this.invalidate(entry + 2, index);
    }
    words[entry + 4] = host;
    words[entry + 5] = global ? 1 : 0;
  }

  /** A tag whose page has another index: no address looked up here can be on that page. */
  private invalidate(tag: number, index: number): void {
    this.words[tag] = (index ^ 1) << PAGE_SHIFT;
    this.words[tag + 1] = 0;
  }

  flush(): void {
    for (let index = 0; index < ENTRIES; index++) {
      const entry = this.base + (index << (ENTRY_SHIFT - 2));
      this.invalidate(entry, index);
      this.invalidate(entry + 2, index);
    }
  }

  /** Drops all entries but the global ones. */
  flushLocal(): void {
    for (let index = 0; index < ENTRIES; index++) {
      const entry = this.base + (index << (ENTRY_SHIFT - 2));
      if (this.words[entry + 5] !== 0) continue;
      this.invalidate(entry, index);
      this.invalidate(entry + 2, index);
    }
  }

  /** Drops the entries of `pages` pages from the one at (low, high). */
  flushRange(low: number, high: number, pages: number): void {
    if (pages >= ENTRIES) {
      this.flush();
      return;
    }
    const { words } = this;
    const first = (high >>> 0) * 2 ** (32 - PAGE_SHIFT) + (low >>> PAGE_SHIFT);
    for (let page = first; page < first + pages; page++) {
      const index = page % ENTRIES;
      const entry = this.base + (index << (ENTRY_SHIFT - 2));
      const tagLow = (page * (1 << PAGE_SHIFT)) | 0;
      const tagHigh = Math.floor(page / 2 ** (32 - PAGE_SHIFT)) | 0;
      if (words[entry] === tagLow && words[entry + 1] === tagHigh) this.invalidate(entry, index);
      if (words[entry + 2] === tagLow && words[entry + 3] === tagHigh) this.invalidate(entry + 2, index);
    }
  }

  /** Takes the right to write without asking from every entry of a physical page. */
  dropWrites(host: number): void {
    const { words } = this;
    for (let index = 0; index < ENTRIES; index++) {
      const entry = this.base + (index << (ENTRY_SHIFT - 2));
      if (words[entry + 4] === host) this.invalidate(entry + 2, index);
    }
  }

  dropAllWrites(): void {
    for (let index = 0; index < ENTRIES; index++) this.invalidate(this.base + (index << (ENTRY_SHIFT - 2)) + 2, index);
  }
}
