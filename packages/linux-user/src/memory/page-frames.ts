// Who holds which guest-physical page. A page is held by each page-table entry that points to it and by the page
// cache; the last holder to let go frees it.
//
// Invariants: count > 0 exactly for pages that were allocated here; the zero page is never freed nor written.

import type { PhysicalMemoryPort } from "../engine-port.ts";
import { PAGE_BYTES } from "../engine-port.ts";

export class PageFrames {
  readonly memory: PhysicalMemoryPort;
  /** Called when memory is exhausted: gives back some pages (clean page cache), or returns false. */
  reclaim: () => boolean = () => false;
  #counts: Int32Array = new Int32Array(4096);
  #zeroPage = 0;

  constructor(memory: PhysicalMemoryPort) {
    this.memory = memory;
  }

  /** A zeroed page with one holder, or 0 when memory is exhausted. */
  allocate(): number {
    let page = this.memory.allocatePage();
    while (page === 0) {
      if (!this.reclaim()) return 0;
      page = this.memory.allocatePage();
    }
    if (page >= this.#counts.length) {
      const grown = new Int32Array(Math.max(page + 1, this.#counts.length * 2));
      grown.set(this.#counts);
      this.#counts = grown;
    }
    this.#counts[page] = 1;
    return page;
  }

  /** The page of zeros that unwritten anonymous memory shares for reading; one more holder each time. 0 if none. */
  zeroPage(): number {
    if (this.#zeroPage === 0) {
      this.#zeroPage = this.allocate();
      if (this.#zeroPage === 0) return 0;
    }
    this.#counts[this.#zeroPage]++;
    return this.#zeroPage;
  }

  isZeroPage(page: number): boolean {
    return page === this.#zeroPage;
  }

  hold(page: number): void {
    this.#counts[page]++;
  }

  release(page: number): void {
    const count = this.#counts[page] - 1;
    if (count < 0) throw new Error(`guest-physical page ${page} released more often than held`);
    this.#counts[page] = count;
    if (count === 0) this.memory.freePage(page);
  }

  holders(page: number): number {
    return page < this.#counts.length ? this.#counts[page] : 0;
  }

  /** A new page with the same bytes, or 0. */
  copy(page: number): number {
    const copy = this.allocate();
    if (copy === 0) return 0;
    const { memory } = this;
    const from = memory.pageOffset(page);
    memory.noteWrite(copy, 0, PAGE_BYTES);
    memory.bytes.copyWithin(memory.pageOffset(copy), from, from + PAGE_BYTES);
    return copy;
  }

  /** The bytes of a page; not to be kept across anything that may allocate. */
  bytesOf(page: number): Uint8Array {
    const offset = this.memory.pageOffset(page);
    return this.memory.bytes.subarray(offset, offset + PAGE_BYTES);
  }
}
