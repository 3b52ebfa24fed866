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
  /** By page of RAM: 1 when written since the log was started. */
  private readonly dirty: Uint8Array;
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
    this.dirty = new Uint8Array(ramBytes / PAGE_BYTES);
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
    this.dirty[page - this.firstPage] = 1;
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
    return this.dirty[page - this.firstPage] !== 0;
  }

  markDirty(page: number): void {
    this.dirty[page - this.firstPage] = 1;
  }

  /** Pages of RAM written since the log was started, in order: numbers from 0, not the engine's. */
  *dirtyPages(): Generator<number> {
    const { dirty } = this;
    for (let page = dirty.indexOf(1); page >= 0; page = dirty.indexOf(1, page + 1)) yield page;
  }
}
