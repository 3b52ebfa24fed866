/**
 * The soft TLB, in WebAssembly memory behind each context block, where translated code looks pages up by itself.
 *
 * ```text
 * for reads (16 bytes an entry)    0  tag i64      the page's virtual address, or one that no look-up here can match
 *                                  8  addend i32   with the low half of an address: its byte offset in WebAssembly memory
 *                                 12  host i32     byte offset of the physical page in WebAssembly memory
 * then, for writes                 0  tag i64      the same for writes
 *                                  8  addend i32   the same
 *                                 12  state i32    not 0: listed as used, perhaps as local, and perhaps kept; and
 *                                                  whether what is read may be written but for guarded granules
 * ```
 * Reads and writes lie apart, and each look-up stays within 16 bytes: what waits for memory is mostly reads, and
 * twice as many pages of these fit into the host's first cache.
 *
 * A look-up takes the exclusive or of tag and address and compares with the page size: one check for the right page and
 * for all bytes being on it. Whatever needs attention (no permission, code on the page, a device) has no tag there. Of a page with code
 * the state says whether nothing but that is in the way of stores, so that who misses need only ask for the granule.
 */
import { PAGE_SHIFT } from "./guard-bits.ts";

/** 4 MiB of pages. */
export const TLB_INDEX_BITS = 10;
/** 256 MiB of pages: programs that use more than that at once miss now and then. */
const LARGEST_INDEX_BITS = 16;
/** A TLB takes no more than this part of the memory it is for: it has at most one entry for each page. */
const MEMORY_TO_TLB = 128;
const ENTRY_SHIFT = 4;
/** Entries for reads, and for writes. */
const KINDS = 2;
const ADDEND_WORD = 2;
const HOST_WORD = 3;
const STATE_WORD = 3;
/** What `state` says: LOCAL is listed as local as well, GLOBAL is kept when the address space changes. */
const USED = 1;
const LOCAL = 2;
const GLOBAL = 4;
const BY_GRANULE = 8;
const PAGES_OF_64_BITS: number = 2 ** (64 - PAGE_SHIFT);

/** What code emitters need to know; offsets from the context pointer are the composer's. */
export interface SoftTlbShape {
  readonly indexBits: number;
  readonly entryShift: number;
  readonly readTag: number;
  readonly writeTag: number;
  /** Bytes behind a tag. */
  readonly addend: number;
  /** Bytes behind a tag for writes: the state, and its bit that says that granules which are not guarded may be written. */
  readonly state: number;
  readonly byGranule: number;
  readonly pageShift: number;
  readonly bytes: number;
}

function shapeOf(indexBits: number): SoftTlbShape {
  return {
    indexBits,
    entryShift: ENTRY_SHIFT,
    readTag: 0,
    writeTag: 1 << (indexBits + ENTRY_SHIFT),
    addend: ADDEND_WORD * 4,
    state: STATE_WORD * 4,
    byGranule: BY_GRANULE,
    pageShift: PAGE_SHIFT,
    bytes: KINDS << (indexBits + ENTRY_SHIFT),
  };
}

export const softTlbShape: SoftTlbShape = shapeOf(TLB_INDEX_BITS);

/** As large as is worth it for so much guest memory: a miss costs a call of JavaScript, some fifty times a hit. */
export function softTlbShapeFor(memoryBytes: number): SoftTlbShape {
  const entries = memoryBytes / MEMORY_TO_TLB / (KINDS << ENTRY_SHIFT);
  return shapeOf(Math.min(LARGEST_INDEX_BITS, Math.max(TLB_INDEX_BITS - 2, Math.floor(Math.log2(entries)))));
}

/**
 * One context's TLB. Addresses are (low, high) i32 halves of a guest-virtual address.
 *
 * The tags of an empty entry are 0, the address of page 0, which only entry 0 is looked up for: there they are page 1's.
 * So a TLB in fresh memory costs nothing but the entries that are used, and `used` lists those.
 */
export class SoftTlb {
  private readonly words: Int32Array;
  private readonly base: number;
  /** Entries that are not empty (or were not when last looked at), each once. */
  private readonly used: Uint16Array;
  /** Those filled as other than global since the last change of the address space, each once. */
  private readonly local: Uint16Array;
  private readonly mask: number;
  /** Words from an entry for reads to that for writes. */
  private readonly writes: number;
  private usedCount = 0;
  private localCount = 0;

  /** `offset`: byte offset of entry 0, 8-byte aligned, in the memory whose words are given; what is there is zero. */
  constructor(words: Int32Array, offset: number, shape: SoftTlbShape = softTlbShape) {
    this.words = words;
    this.mask = (1 << shape.indexBits) - 1;
    this.writes = shape.writeTag >> 2;
    this.used = new Uint16Array(1 << shape.indexBits);
    this.local = new Uint16Array(1 << shape.indexBits);
    this.base = offset >> 2;
    this.invalidate(this.base);
    this.invalidate(this.base + this.writes);
  }

  private entry(index: number): number {
    return this.base + (index << (ENTRY_SHIFT - 2));
  }

  /** `guarded`: some granules of the page are; if it is writable, it is so by granule. */
  fill(
    low: number,
    high: number,
    host: number,
    readable: boolean,
    writable: boolean,
    global = false,
    guarded = false,
  ): void {
    const { words } = this;
    const index = (low >>> PAGE_SHIFT) & this.mask;
    const entry = this.entry(index);
    const write = entry + this.writes;
    const tag = low & -(1 << PAGE_SHIFT);
    const state = words[write + STATE_WORD];
    if (state === 0) this.used[this.usedCount++] = index;
    if (!global && (state & LOCAL) === 0) this.local[this.localCount++] = index;
    const granules = writable && guarded ? BY_GRANULE : 0;
    words[write + STATE_WORD] = USED | granules | (global ? (state & LOCAL) | GLOBAL : LOCAL);
    if (readable) {
      words[entry] = tag;
      words[entry + 1] = high;
    } else {
      this.invalidate(entry);
    }
    if (writable && !guarded) {
      words[write] = tag;
      words[write + 1] = high;
    } else {
      this.invalidate(write);
    }
    words[entry + ADDEND_WORD] = host - tag;
    words[write + ADDEND_WORD] = host - tag;
    words[entry + HOST_WORD] = host;
  }

  /** Byte offset of the physical page that may be read (written) at an address, as translated code finds it; 0: a miss. */
  find(low: number, high: number, write: boolean): number {
    const { words } = this;
    const entry = this.entry((low >>> PAGE_SHIFT) & this.mask);
    const tag = write ? entry + this.writes : entry;
    return words[tag] === (low & -(1 << PAGE_SHIFT)) && words[tag + 1] === high ? words[entry + HOST_WORD] : 0;
  }

  private invalidate(tag: number): void {
    this.words[tag] = tag === this.base || tag === this.base + this.writes ? 1 << PAGE_SHIFT : 0;
    this.words[tag + 1] = 0;
  }

  private empty(index: number): void {
    const entry = this.entry(index);
    this.invalidate(entry);
    this.invalidate(entry + this.writes);
    this.words[entry + this.writes + STATE_WORD] = 0;
  }

  flush(): void {
    const { used, usedCount } = this;
    for (let at = 0; at < usedCount; at++) this.empty(used[at]);
    this.usedCount = 0;
    this.localCount = 0;
  }

  /** Takes the right to write without asking from all entries; what may be read stays. */
  flushWrites(): void {
    const { used, usedCount, words } = this;
    for (let at = 0; at < usedCount; at++) {
      const write = this.entry(used[at]) + this.writes;
      this.invalidate(write);
      words[write + STATE_WORD] &= ~BY_GRANULE;
    }
  }

  /** Drops all entries but the global ones; costs nothing for these. */
  flushLocal(): void {
    const { local, localCount, words } = this;
    for (let at = 0; at < localCount; at++) {
      const entry = this.entry(local[at]);
      const write = entry + this.writes;
      words[write + STATE_WORD] &= ~LOCAL;
      if ((words[write + STATE_WORD] & GLOBAL) !== 0) continue;
      this.invalidate(entry);
      this.invalidate(write);
    }
    this.localCount = 0;
  }

  /** Drops the entries of `pages` pages from the one at (low, high). */
  flushRange(low: number, high: number, pages: number): void {
    const { used, usedCount } = this;
    const first = pageNumber(low, high);
    if (pages < usedCount) {
      for (let page = first; page < first + pages; page++) this.dropPage(page % (this.mask + 1), first, pages);
      return;
    }
    for (let at = 0; at < usedCount; at++) this.dropPage(used[at], first, pages);
  }

  /** Drops what an entry says of pages in the range, which may go round the end of the address space. */
  private dropPage(index: number, first: number, pages: number): void {
    const { words } = this;
    const entry = this.entry(index);
    for (let tag = entry; tag <= entry + this.writes; tag += this.writes) {
      const page = pageNumber(words[tag], words[tag + 1]);
      const distance = (page - first + PAGES_OF_64_BITS) % PAGES_OF_64_BITS;
      if (distance < pages) this.invalidate(tag);
    }
  }

  /** The physical page is guarded from now on: who may write it without asking has to ask for the granule. */
  dropWrites(host: number): void {
    const { words, used, usedCount } = this;
    for (let at = 0; at < usedCount; at++) {
      const entry = this.entry(used[at]);
      if (words[entry + HOST_WORD] !== (host | 0)) continue;
      const write = entry + this.writes;
      const isWritable = words[write] === words[entry] && words[write + 1] === words[entry + 1];
      if (isWritable) words[write + STATE_WORD] |= BY_GRANULE;
      this.invalidate(write);
    }
  }
}

function pageNumber(low: number, high: number): number {
  return (high >>> 0) * 2 ** (32 - PAGE_SHIFT) + (low >>> PAGE_SHIFT);
}
