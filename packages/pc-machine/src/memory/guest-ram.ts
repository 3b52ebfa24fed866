/**
 * The machine's RAM: guest-physical addresses onto pages of the engine's memory, and which of them were written.
 *
 * ```text
 *   guest-physical  0 ............ lowBytes        below the hole that PCI and the APICs have
 *                   4 GiB ........ 4 GiB + rest    what did not fit below it
 * ```
 * Dirty pages are found without asking at every store: while the log runs, a page that is still clean is not entered
 * into soft TLBs as writable (`PageWalker`), so its first store comes by here.
 */
import { lowRamLimit } from "../platform/memory-map.ts";
import type { GuestMemory } from "../ports.ts";

export const PAGE_SHIFT = 12;
export const PAGE_BYTES: number = 1 << PAGE_SHIFT;

const FOUR_GIB = 2 ** 32;

/** In the log. */
const WRITTEN = 1;
const GIVEN_UP = 2;

/** Of the engine's memory, what RAM is made from. */
export interface PhysicalPages {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  /** These bytes are about to be written: translations made from them go. */
  noteWrite(page: number, offset: number, length: number): void;
}

export class GuestRam implements GuestMemory {
  readonly ramBytes: number;
  readonly lowBytes: number;
  readonly highBytes: number;
  readonly pages: PhysicalPages;
  /** The engine's page that guest-physical 0 is. */
  readonly firstPage: number;
  /** By page of RAM, since the log was started: `WRITTEN`, `GIVEN_UP` and not written to since, or 0. */
  private readonly dirty: Uint8Array;
  private readonly dirtyWords: Int32Array;
  /** By page of RAM: 1 when the guest gave it up and has not written to it since. */
  private readonly free: Uint8Array;
  /** Whether first writes are of interest. */
  logging = false;

  /** @param firstPage the first of `ramBytes / 4096` consecutive pages */
  constructor(pages: PhysicalPages, firstPage: number, ramBytes: number) {
    if (ramBytes % PAGE_BYTES !== 0) throw new RangeError(`RAM of ${ramBytes} bytes is not a number of whole pages`);
    this.pages = pages;
    this.firstPage = firstPage;
    this.ramBytes = ramBytes;
    this.lowBytes = Math.min(ramBytes, lowRamLimit);
    this.highBytes = ramBytes - this.lowBytes;
    // A multiple of four, for those who look at four at a time.
    this.dirty = new Uint8Array(Math.ceil(ramBytes / PAGE_BYTES / 4) * 4);
    this.dirtyWords = new Int32Array(this.dirty.buffer);
    this.free = new Uint8Array(ramBytes / PAGE_BYTES);
  }

  /** The engine's page for a guest-physical address, or -1 where there is no RAM. */
  pageOf(physical: number): number {
    if (physical < this.lowBytes) return this.firstPage + (physical >>> PAGE_SHIFT);
    if (physical < FOUR_GIB || physical >= FOUR_GIB + this.highBytes) return -1;
    return this.firstPage + Math.floor((physical - FOUR_GIB + this.lowBytes) / PAGE_BYTES);
  }

  /** Byte offset of a guest-physical range in the engine's memory, or -1 unless all of it is RAM. */
  private offsetOf(address: number, length: number): number {
    if (!Number.isSafeInteger(address) || address < 0 || length < 0) return -1;
    const end = address + length;
    const isLow = end <= this.lowBytes;
    if (!isLow && (address < FOUR_GIB || end > FOUR_GIB + this.highBytes)) return -1;
    return this.firstPage * PAGE_BYTES + (isLow ? address : address - FOUR_GIB + this.lowBytes);
  }

  view(address: number, length: number): Uint8Array | undefined {
    const offset = this.offsetOf(address, length);
    return offset < 0 ? undefined : this.pages.bytes.subarray(offset, offset + length);
  }

  write(address: number, data: Uint8Array): boolean {
    const offset = this.offsetOf(address, data.length);
    if (offset < 0) return false;
    const end = offset + data.length;
    for (let at = offset; at < end;) {
      const inPage = at % PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - inPage, end - at);
      this.noteWrite((at - inPage) / PAGE_BYTES, inPage, length);
      at += length;
    }
    this.pages.bytes.set(data, offset);
    return true;
  }

  /** Bytes of one of the engine's pages are about to be written by others than guest stores. */
  noteWrite(page: number, offset: number, length: number): void {
    this.pages.noteWrite(page, offset, length);
    this.markDirty(page);
  }

  // The dirty log.

  /** Forgets what was written; soft TLBs must forget what is writable (`Context.invalidateWrites`). */
  startLog(): void {
    this.dirty.fill(0);
    this.logging = true;
  }

  stopLog(): void {
    this.logging = false;
  }

  isDirty(page: number): boolean {
    return this.dirty[page - this.firstPage] === WRITTEN;
  }

  markDirty(page: number): void {
    this.dirty[page - this.firstPage] = WRITTEN;
    this.free[page - this.firstPage] = 0;
  }

  /** A page of RAM (a number from 0) is to be in the log, though nobody wrote to it. */
  markChanged(page: number): void {
    if (this.dirty[page] === 0) this.dirty[page] = WRITTEN;
  }

  /** The guest-physical address of a page of RAM (a number from 0). */
  addressOf(page: number): number {
    const at = page * PAGE_BYTES;
    return at < this.lowBytes ? at : FOUR_GIB + at - this.lowBytes;
  }

  /**
   * The guest needs a page of RAM (a number from 0) no more, until it writes there. It reads as zeros, and is in the log as
   * changed. While the log runs, soft TLBs must forget what is writable.
   */
  giveUp(page: number): void {
    const { bytes } = this.pages;
    const own = this.firstPage + page;
    this.pages.noteWrite(own, 0, PAGE_BYTES);
    bytes.fill(0, own * PAGE_BYTES, (own + 1) * PAGE_BYTES);
    this.dirty[page] = GIVEN_UP;
    this.free[page] = 1;
  }

  /** Whether the guest gave a page of RAM (a number from 0) up, and has not written to it since. */
  isFree(page: number): boolean {
    return this.free[page] !== 0;
  }

  /** Pages of RAM written or given up since the log was started, in order: numbers from 0, not the engine's. */
  dirtyPages(): Uint32Array {
    const { dirty } = this;
    const pages = new Uint32Array(this.countDirty());
    let count = 0;
    for (let page = this.nextDirty(0); page < dirty.length; page = this.nextDirty(page + 1)) pages[count++] = page;
    return pages;
  }

  countDirty(): number {
    const { dirty } = this;
    let count = 0;
    for (let page = this.nextDirty(0); page < dirty.length; page = this.nextDirty(page + 1)) count++;
    return count;
  }

  /** The first page in the log from `from` on, or their number; most are not, four at a time. */
  private nextDirty(from: number): number {
    const { dirty, dirtyWords } = this;
    let page = from;
    for (; (page & 3) !== 0; page++) if (dirty[page] !== 0) return page;
    let word = page >> 2;
    while (word < dirtyWords.length && dirtyWords[word] === 0) word++;
    for (page = word * 4; page < dirty.length; page++) if (dirty[page] !== 0) return page;
    return dirty.length;
  }
}
