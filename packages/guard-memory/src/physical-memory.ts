/**
 * Emulated physical memory: pages of one WebAssembly memory, with guard bits per granule and a dirty log.
 *
 * Page 0 is never handed out (host offset 0 means "none" to translated code). The memory is reserved whole at the
 * start; the host's kernel provides its pages as they are touched, so reserving costs address space only.
 */
import { GuardBits, PAGE_BYTES, PAGE_SHIFT } from "./guard-bits.ts";

/** Somebody made translated code from bytes that are about to change. Must drop that code before it returns. */
export type GuardHit = (page: number, offset: number, length: number) => void;

export class PhysicalMemory {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly view: DataView;
  readonly guards: GuardBits;
  readonly totalPages: number;
  private readonly freed: number[] = [];
  /** First page that was never handed out: still zero. */
  private fresh = 1;
  /** Blocks are taken from the top down. */
  private top: number;
  private readonly freedBlocks: Map<number, number[]> = new Map();
  private onGuardHit: GuardHit = () => {};
  private readonly guardedPageListeners: Set<(host: number) => void> = new Set();

  /** @param bytes size of the memory; at most 4 GiB, rounded down to a multiple of 64 KiB */
  constructor(bytes: number) {
    const wasmPages = Math.min(65536, Math.floor(bytes / 65536));
    if (wasmPages < 16) throw new RangeError(`guest memory of ${bytes} bytes is too small: at least 1 MiB is needed`);
    this.memory = new WebAssembly.Memory({ initial: wasmPages, maximum: wasmPages });
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new Int32Array(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
    this.totalPages = wasmPages * 16;
    this.top = this.totalPages;
    this.guards = new GuardBits(this.totalPages);
  }

  get freePages(): number {
    return this.top - this.fresh + this.freed.length;
  }

  /** A zeroed page, or 0 when memory is exhausted. */
  allocatePage(): number {
    const recycled = this.freed.pop();
    if (recycled !== undefined) {
      this.bytes.fill(0, recycled << PAGE_SHIFT, (recycled + 1) << PAGE_SHIFT);
      return recycled;
    }
    if (this.fresh >= this.top) return 0;
    return this.fresh++;
  }

  freePage(page: number): void {
    if (this.guards.anyOnPage(page)) this.noteWrite(page, 0, PAGE_BYTES);
    this.freed.push(page);
  }

  /** Contiguous pages for the engine's own structures: their byte offset, zeroed, or 0 when memory is exhausted. */
  allocateBlock(pages: number): number {
    const recycled = this.freedBlocks.get(pages)?.pop();
    if (recycled !== undefined) {
      this.bytes.fill(0, recycled, recycled + pages * PAGE_BYTES);
      return recycled;
    }
    if (this.top - pages < this.fresh) return 0;
    this.top -= pages;
    return this.pageOffset(this.top);
  }

  freeBlock(offset: number, pages: number): void {
    let list = this.freedBlocks.get(pages);
    if (list === undefined) this.freedBlocks.set(pages, (list = []));
    list.push(offset);
  }

  /** Byte offset of a page; pages above 2 GiB give offsets above 2^31. */
  pageOffset(page: number): number {
    return page * PAGE_BYTES;
  }

  // Guards.

  /** Who drops the translations when guarded bytes are about to change. */
  setGuardHit(handler: GuardHit): void {
    this.onGuardHit = handler;
  }

  /** Called with a page's host offset when it gets its first guard bit: soft TLBs must not let writes through. */
  onPageGuarded(listener: (host: number) => void): () => void {
    this.guardedPageListeners.add(listener);
    return () => this.guardedPageListeners.delete(listener);
  }

  /** Guards the granules of these bytes; to be called before the bytes are read for translation. */
  guard(page: number, offset: number, length: number): void {
    if (!this.guards.set(page, offset, length)) return;
    const host = this.pageOffset(page) | 0;
    for (const listener of this.guardedPageListeners) listener(host);
  }

  isGuarded(page: number): boolean {
    return this.guards.anyOnPage(page);
  }

  /** These bytes are about to be written by other means than translated stores (system calls, devices, copies). */
  noteWrite(page: number, offset: number, length: number): void {
    if (this.guards.anyOnPage(page)) this.checkStore(page, offset, length);
  }

  /** A translated store is about to write. Returns whether translated code had to be dropped. */
  checkStore(page: number, offset: number, length: number): boolean {
    if (!this.guards.test(page, offset, length)) return false;
    this.onGuardHit(page, offset, length);
    this.guards.clear(page, offset, length);
    return true;
  }
}
