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
  /** A translated store is about to write: drops what was translated from there, and says whether anything was. */
  checkStore(page: number, offset: number, length: number): boolean;
  setGuardHit(handler: (page: number, offset: number, length: number) => void): void;
  onPageGuarded(listener: (host: number) => void): () => void;
}

export interface TlbPort {
  fill(low: number, high: number, host: number, readable: boolean, writable: boolean): void;
  flush(): void;
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
  /** 0 for code translated in haste, 1 for code translated with care. */
  readonly tier: number;
  readonly container: ModulePort;
  readonly otherPages: readonly { readonly distance: number; readonly page: number }[];
}

export interface ModulePort {
  readonly id: number;
  readonly module: WebAssembly.Module;
}

export interface HeapPort<F extends FragmentPort> {
  readonly slotCount: number;
  at(page: number, offset: number): readonly F[];
  reserveHomeSlots(count: number): number;
  addModule(module: WebAssembly.Module): F["container"];
  add(description: {
    homeSlot: number;
    container: F["container"];
    page: number;
    offset: number;
    mode: number;
    tier: number;
    otherPages: readonly { distance: number; page: number }[];
    sources: readonly { page: number; start: number; end: number }[];
  }): F;
  linkSlot(page: number, mode: number, distance: number): number;
  madeFrom(page: number, offset: number, length: number, granuleShift: number): F[];
  discard(fragment: F): void;
}

export interface TablePort<F extends FragmentPort> {
  readonly table: WebAssembly.Table;
  setTrap(trapSlot: number, firstFree: number, copySlot: (to: number, from: number) => void): void;
  ensure(container: F["container"], instantiate: (module: WebAssembly.Module) => void): void;
  growTo(slots: number): void;
  link(slot: number, fragment: F): void;
  unlinkAll(): void;
  dispose(): void;
}

/** The page tables. Answers `page << 2 | writable | executable << 1`, or a negative fault. Never throws. */
export interface SpacePort {
  translate(virtualAddress: number, access: 0 | 1 | 2): number;
}

export const SPACE_WRITABLE = 1;
export const SPACE_PAGE_SHIFT = 2;
/** What the engine itself answers for addresses beyond the guest's virtual address space. */
export const FAULT_NON_CANONICAL = -5;
