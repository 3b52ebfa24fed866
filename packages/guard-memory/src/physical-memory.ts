/**
 * Emulated physical memory: pages of one WebAssembly memory, with guard bits per granule and a dirty log.
 *
 * Page 0 is never handed out (host offset 0 means "none" to translated code). The memory is reserved whole at the
 * start; the host's kernel provides its pages as they are touched, so reserving costs address space only.
 */
import { GRANULE_BYTES, GUARD_WORD_BYTES, GuardBits, PAGE_BYTES } from "./guard-bits.ts";
import { GuardPolicies, type GuardPolicyChoice, type PageGuards } from "./guard-policy.ts";

/**
 * Translations made from these bytes are to be discarded before it returns: the bytes are about to change (`store`), or
 * have changed, or the page's policy has.
 */
export type GuardHit = (page: number, offset: number, length: number, store: boolean) => void;

export interface PhysicalMemoryOptions {
  /** Default "by page". */
  readonly guardPolicy?: GuardPolicyChoice;
  /** By page: stores to guarded granules of a page that are stopped until it is checked on use, the first time. */
  readonly faultsToCheck?: number;
  /** Guards whole pages only, to compare with; default false. */
  readonly wholePages?: boolean;
}

/** What happened to guarded bytes. */
export interface GuardStatistics {
  /** Stores that were stopped, under fault on store. */
  faults: number;
  /** Stores that dropped protection, under check on use. */
  unprotected: number;
  /** Pages that went over to check on use, and back. */
  toCheckOnUse: number;
  toFaultOnStore: number;
}

export class PhysicalMemory {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly view: DataView;
  readonly guards: GuardBits;
  readonly policies: GuardPolicies;
  readonly guardStatistics: GuardStatistics = { faults: 0, unprotected: 0, toCheckOnUse: 0, toFaultOnStore: 0 };
  readonly totalPages: number;
  private readonly freed: number[] = [];
  /** First page that was never handed out: still zero. */
  private fresh = 1;
  /** Blocks are taken from the top down. */
  private top: number;
  private readonly freedBlocks: Map<number, number[]> = new Map();
  private onGuardHit: GuardHit = () => {};
  private readonly guardedPageListeners: Set<(host: number) => void> = new Set();

  private readonly wholePages: boolean;
  private readonly guardWords: number;

  /** @param bytes size of the memory; at most 4 GiB, rounded down to a multiple of 64 KiB */
  constructor(bytes: number, options: PhysicalMemoryOptions = {}) {
    const wasmPages = Math.min(65536, Math.floor(bytes / 65536));
    if (wasmPages < 16) throw new RangeError(`guest memory of ${bytes} bytes is too small: at least 1 MiB is needed`);
    this.memory = new WebAssembly.Memory({ initial: wasmPages, maximum: wasmPages });
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new Int32Array(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
    this.totalPages = wasmPages * 16;
    this.top = this.totalPages;
    this.guardWords = this.allocateBlock(Math.ceil((this.totalPages * GUARD_WORD_BYTES) / PAGE_BYTES));
    this.guards = new GuardBits(new Uint32Array(this.memory.buffer, this.guardWords, this.totalPages * 2));
    this.policies = new GuardPolicies(options.guardPolicy ?? "by page", options.faultsToCheck);
    this.wholePages = options.wholePages ?? false;
  }

  get freePages(): number {
    return this.top - this.fresh + this.freed.length;
  }

  /** A zeroed page, or 0 when memory is exhausted. */
  allocatePage(): number {
    const recycled = this.freed.pop();
    if (recycled !== undefined) {
      this.bytes.fill(0, recycled * PAGE_BYTES, (recycled + 1) * PAGE_BYTES);
      return recycled;
    }
    if (this.fresh >= this.top) return 0;
    return this.fresh++;
  }

  /**
   * Takes the highest pages that are left out of what can be allocated, for the caller to use. They are zero. What is
   * allocated later lies below them, where offsets are positive as 32-bit numbers.
   *
   * @returns the first of them, which begins at a multiple of 64 KiB
   */
  reserveHighest(pages: number): number {
    const first = (this.top - pages) & ~15;
    if (first <= this.fresh) throw new RangeError(`${pages} pages do not fit in a memory of ${this.totalPages}`);
    this.top = first;
    return first;
  }

  freePage(page: number): void {
    if (this.guards.anyOnPage(page) || this.policies.isChecked(page)) this.dropPage(page);
    this.policies.forget(page);
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

  /**
   * Guards the granules of these bytes; to be called before the bytes are read for translation. Translations that saw
   * one of them lose protection are discarded: the new bit is not theirs.
   */
  guard(page: number, offset: number, length: number): void {
    if (this.wholePages) {
      offset = 0;
      length = PAGE_BYTES;
    }
    if (this.guards.testAll(page, offset, length)) return;
    if (this.policies.isChecked(page)) this.dropUnguarded(page, offset, length);
    if (!this.guards.set(page, offset, length)) return;
    const host = this.pageOffset(page) | 0;
    for (const listener of this.guardedPageListeners) listener(host);
  }

  isGuarded(page: number): boolean {
    return this.guards.anyOnPage(page);
  }

  /** Whether translations made from this page have to test their guard bits whenever they are used. */
  isCheckedOnUse(page: number): boolean {
    return this.policies.isChecked(page);
  }

  /** Byte offset in memory of the page's guard word: a bit for each granule, the first lowest. */
  guardWordOffset(page: number): number {
    return this.guardWords + page * GUARD_WORD_BYTES;
  }

  /** The pages whose guards had to do with a store, and what became of them. */
  guardedPages(): PageGuards[] {
    return this.policies.pages((page) => this.guards.countOnPage(page));
  }

  /** Whether all granules of these bytes are guarded: what was made from them is what they are now. */
  isCoherent(page: number, offset: number, length: number): boolean {
    return this.guards.testAll(page, offset, length);
  }

  /** Code is about to be translated from the page; `hot`: again, because it runs often. The page may change its policy. */
  noteTranslation(page: number, hot: boolean): void {
    if (!this.policies.isChecked(page) || !this.policies.noteTranslation(page, hot)) return;
    this.guardStatistics.toFaultOnStore++;
    this.dropPage(page);
  }

  /** These bytes are about to be written by other means than translated stores (system calls, devices, copies). */
  noteWrite(page: number, offset: number, length: number): void {
    if (this.guards.anyOnPage(page)) this.checkStore(page, offset, length);
  }

  /** A translated store is about to write. Returns whether translated code had to be dropped. */
  checkStore(page: number, offset: number, length: number): boolean {
    if (!this.guards.test(page, offset, length)) return false;
    if (this.wholePages) {
      offset = 0;
      length = PAGE_BYTES;
    }
    if (this.policies.isChecked(page)) {
      this.guards.clear(page, offset, length);
      this.guardStatistics.unprotected++;
      this.policies.noteUnprotected(page);
      return false;
    }
    this.guardStatistics.faults++;
    if (this.policies.noteFault(page)) {
      this.guardStatistics.toCheckOnUse++;
      this.dropPage(page);
    } else {
      this.onGuardHit(page, offset, length, true);
      this.guards.clear(page, offset, length);
    }
    return true;
  }

  private dropUnguarded(page: number, offset: number, length: number): void {
    const end = offset + length;
    for (let at = offset & -GRANULE_BYTES; at < end; at += GRANULE_BYTES) {
      if (!this.guards.test(page, at, 1)) this.onGuardHit(page, at, GRANULE_BYTES, false);
    }
  }

  private dropPage(page: number): void {
    this.onGuardHit(page, 0, PAGE_BYTES, false);
    this.guards.clear(page, 0, PAGE_BYTES);
  }
}
