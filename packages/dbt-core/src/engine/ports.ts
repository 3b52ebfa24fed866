/**
 * What the engine needs of its surroundings: structural, so that memory, code heap and tables come from anywhere that
 * fits (`guard-memory` and `trampolines` do).
 */
import type { TlbLayout } from "../layout.ts";

export interface MemoryPort {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Contiguous pages for a context block: byte offset, or 0. */
  allocateBlock(pages: number): number;
  freeBlock(offset: number, pages: number): void;
  /** These bytes are about to be read for translation. */
  guard(page: number, offset: number, length: number): void;
  isGuarded(page: number): boolean;
  /** Regions made from this page are to test, whenever they are used, that all their granules are still guarded. */
  isCheckedOnUse(page: number): boolean;
  /** Byte offset in memory of the page's guard word: a bit for each granule, the first lowest. */
  guardWordOffset(page: number): number;
  isCoherent(page: number, offset: number, length: number): boolean;
  /** A region was begun from this page; `hot`: again, with care. */
  noteTranslation(page: number, hot: boolean): void;
  /** A translated store is about to write: drops what was translated from there, and says whether anything was. */
  checkStore(page: number, offset: number, length: number): boolean;
  /** Asks to discard what was made from these bytes: for a store that is about to change them, or because they have. */
  setGuardHit(handler: (page: number, offset: number, length: number, store: boolean) => void): void;
  onPageGuarded(listener: (host: number) => void): () => void;
}

export interface TlbPort {
  /** Byte offset of the page that may be read (written) at an address; 0 where it does not know one. */
  find(low: number, high: number, write: boolean): number;
  /** `guarded`: some granules of the page are; if it is writable, those may not be written without asking. */
  fill(
    low: number,
    high: number,
    host: number,
    readable: boolean,
    writable: boolean,
    global: boolean,
    guarded: boolean,
  ): void;
  flush(): void;
  /** Takes the right to write without asking from all entries. */
  flushWrites(): void;
  /** Drops the entries that were not filled as global. */
  flushLocal(): void;
  flushRange(low: number, high: number, pages: number): void;
  dropWrites(host: number): void;
}

export interface TlbFactory {
  readonly shape: Omit<TlbLayout, "offset"> & { readonly bytes: number };
  create(offset: number): TlbPort;
}

export interface FragmentPort {
  readonly homeSlot: number;
  readonly mode: number;
  /** Bits of the mode that it does not go by: it is as good in modes that differ in these. */
  readonly ignoredMode: number;
  /** How it was translated: a `TierNumber`. */
  readonly tier: number;
  readonly container: ModulePort;
  /** The unit of threaded code in memory. */
  readonly data?: number;
  /** Offsets in the entry's page where threaded code can be entered, and where in memory the records for that are. */
  readonly entries?: readonly EntryPort[];
  readonly otherPages: readonly { readonly distance: number; readonly page: number }[];
  readonly sources: readonly SourceRange[];
  /** It tests its guard bits whenever it is used, and may be stale. */
  readonly checked: boolean;
}

/** Whether a fragment is one for a heap mode (`CodeView.heapMode`). */
export function isForMode({ mode, ignoredMode }: FragmentPort, wanted: number): boolean {
  return ((mode ^ wanted) & ~ignoredMode) === 0;
}

export interface EntryPort {
  readonly offset: number;
  readonly data: number;
}

/** Bytes `start` to `end` of a physical page. */
export interface SourceRange {
  readonly page: number;
  readonly start: number;
  readonly end: number;
}

export interface ModulePort {
  readonly id: number;
  readonly module: WebAssembly.Module | undefined;
  /** Fragments that it holds. */
  readonly count: number;
  /** Of a portable module: the slots that it imports. */
  readonly slots: readonly number[] | undefined;
}

export interface HeapPort<F extends FragmentPort> {
  readonly slotCount: number;
  at(page: number, offset: number): readonly F[];
  reserveHomeSlots(count: number): number;
  /** Undefined for threaded code, whose home slot is a stub. `size`: bytes of code, which the heap may bound. */
  addModule(
    module: WebAssembly.Module | undefined,
    firstSlot: number,
    count: number,
    size: number,
    slots?: readonly number[],
  ): F["container"];
  /** The modules that are there, numbered above `id`. */
  modulesAfter(id: number): Iterable<F["container"]>;
  add(description: {
    homeSlot: number;
    container: F["container"];
    data?: number;
    entries?: readonly EntryPort[];
    page: number;
    offset: number;
    mode: number;
    ignoredMode: number;
    tier: number;
    otherPages: readonly { distance: number; page: number }[];
    sources: readonly SourceRange[];
    checked: boolean;
    linkSlots: readonly number[];
    /** Handed back by `reclaim`; 0: none. */
    counter: number;
  }): F;
  linkSlot(page: number, mode: number, distance: number): number;
  /** Whether a link slot leads out of the page it is of: where to, is then for the page tables to say. */
  leavesPage(slot: number): boolean;
  madeFrom(page: number, offset: number, length: number, granuleShift: number): F[];
  discard(fragment: F): void;
  /** Code that is no fragment goes, or does not go any more, through these link slots. */
  holdLinks(slots: readonly number[]): void;
  releaseLinks(slots: readonly number[]): void;
  /** Discards fragments when there are too many; returns how many. */
  evict(): number;
  readonly hasGarbage: boolean;
  /** Makes the slots of what was discarded free for new code; called where no fragment is running. Returns counters. */
  reclaim(): readonly number[];
}

export interface TablePort<F extends FragmentPort> {
  readonly table: WebAssembly.Table;
  setTrap(trapSlot: number, firstFree: number, copySlot: (to: number, from: number) => void): void;
  /** Whether the process has had the module before. */
  ensure(
    container: F["container"],
    instantiate: (module: WebAssembly.Module, slots: readonly number[] | undefined) => void,
  ): boolean;
  growTo(slots: number): void;
  link(slot: number, fragment: F): void;
  /** Traps in these link slots again. */
  unlink(slots: readonly number[]): void;
  /** A process begins to run through it. */
  occupy(): void;
  /** That process has ended: traps in all link slots. What was instantiated stays for the one that takes the table next. */
  vacate(): void;
  dispose(): void;
}

/**
 * The page tables. Virtual addresses are signed: canonical ones of 48 bits, the upper half negative.
 *
 * `translate` answers `page << 2 | SPACE_*`, or a negative fault; never throws. Access 0 reads, 1 writes, 2 executes.
 */
export interface SpacePort {
  translate(virtualAddress: number, access: 0 | 1 | 2): number;
  /**
   * `translate` has just answered SPACE_DEVICE: moves `size` bytes from (to) the device's registers there to (from)
   * offset `host` of the engine's memory. Called once for each access of the guest.
   */
  readDevice?(size: number, host: number): void;
  writeDevice?(size: number, host: number): void;
}

export const SPACE_WRITABLE = 1;
export const SPACE_PAGE_SHIFT = 2;
/** The same in all address spaces of this processor (`Context.invalidateLocal`). */
export const SPACE_GLOBAL: number = 1 << 24;
export const SPACE_PAGE_MASK = 0xfffff;
/** Answer for a page without memory behind it: accesses go to `readDevice` and `writeDevice`. */
export const SPACE_DEVICE = -6;
/** What the engine itself answers for addresses beyond the guest's virtual address space. */
export const FAULT_NON_CANONICAL = -5;
