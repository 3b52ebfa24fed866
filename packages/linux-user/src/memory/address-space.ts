// One guest-virtual address space: what is mapped (`mappings`), what is there (`table`), and how a fault brings the
// second up to the first: demand zero, file pages from the page cache, copy-on-write. The system calls that shape it
// are in mmap.ts; this file keeps the two structures and the engine's TLB in step.
//
// Invariants: every present entry lies in a mapping and holds its page once; an entry's WRITE bit is set only when
// this space alone may store there, or the mapping is shared; the engine hears of an entry's end before it ends.

import type { Access, AddressSpacePort, EngineContext, FileMapping, FilePlace } from "../engine-port.ts";
import {
  ACCESS_EXECUTE,
  ACCESS_WRITE,
  FAULT_BUS,
  FAULT_OUT_OF_MEMORY,
  FAULT_PROTECTION,
  FAULT_UNMAPPED,
  PAGE_BYTES,
} from "../engine-port.ts";
import type { Layout } from "./layout.ts";
import type { Mapping } from "./mapping.ts";
import { MappingList, PROT_EXEC, PROT_WRITE } from "./mapping.ts";
import type { CachedFile, PageCache } from "./page-cache.ts";
import { PAGE_UNREADABLE } from "./page-cache.ts";
import type { PageFrames } from "./page-frames.ts";
import { ENTRY_BITS, ENTRY_EXECUTE, ENTRY_READ, ENTRY_SHIFT, ENTRY_WRITE, PageTable } from "./page-table.ts";

/** The entry bit that each access needs, by Access number. */
const NEEDED_BIT: readonly number[] = [ENTRY_READ, ENTRY_WRITE, ENTRY_EXECUTE];

/** Below a growing stack Linux keeps this gap free (stack_guard_gap). */
const STACK_GUARD_BYTES = 256 * PAGE_BYTES;

function entryBits(protection: number): number {
  return (protection === 0 ? 0 : ENTRY_READ) | ((protection & PROT_EXEC) === 0 ? 0 : ENTRY_EXECUTE);
}

/** What the bounds of this space are, in bytes (RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK). */
export interface SpaceLimits {
  addressSpace: number;
  data: number;
  stack: number;
}

export class AddressSpace implements AddressSpacePort {
  readonly layout: Layout;
  readonly frames: PageFrames;
  readonly cache: PageCache;
  readonly mappings: MappingList = new MappingList();
  readonly table: PageTable = new PageTable();
  /** The engine's side; null until the kernel has made it. */
  engine: EngineContext | null = null;
  limits: SpaceLimits = { addressSpace: Infinity, data: Infinity, stack: 8 * 1024 * 1024 };
  /** Processes that share it (CLONE_VM). */
  users = 1;
  /** Guest-virtual bounds of the heap; `breakEnd` is what brk(2) returns. */
  breakStart = 0;
  breakEnd = 0;
  /** Old i386 programs: every readable page may be executed (personality(2), READ_IMPLIES_EXEC). */
  readImpliesExecute = false;
  peakVirtualBytes = 0;
  peakResidentPages = 0;
  residentPages = 0;
  /** Bounds of argv and environment on the stack, for /proc. */
  argumentsStart = 0;
  argumentsEnd = 0;
  environmentStart = 0;
  environmentEnd = 0;

  constructor(layout: Layout, frames: PageFrames, cache: PageCache) {
    this.layout = layout;
    this.frames = frames;
    this.cache = cache;
    cache.spaces.add(this);
  }

  translate(virtualAddress: number, access: Access): number {
    const entry = this.table.get(virtualAddress);
    if ((entry & NEEDED_BIT[access]) !== 0) return ((entry >> ENTRY_SHIFT) << 2) | (entry & 3);
    return this.#fault(virtualAddress, access, entry);
  }

  fileAt(virtualAddress: number): FilePlace | undefined {
    const mapping = this.mappings.find(virtualAddress);
    if (mapping === undefined || mapping.file === null) return undefined;
    const offset = mapping.fileOffset + (virtualAddress - mapping.start);
    const page = this.table.get(virtualAddress) >> ENTRY_SHIFT;
    if (page === 0 || mapping.file.pages.get(Math.floor(offset / PAGE_BYTES)) !== page) return undefined;
    return { contents: mapping.file.source, offset };
  }

  *fileMappings(): Generator<FileMapping> {
    for (const { file, fileOffset, start, end } of this.mappings) {
      if (file !== null) yield { contents: file.source, offset: fileOffset, start, end };
    }
  }

  #fault(virtualAddress: number, access: Access, entry: number): number {
    const mapping = this.mappings.find(virtualAddress) ?? this.#growStack(virtualAddress);
    if (mapping === undefined) return FAULT_UNMAPPED;
    const { protection } = mapping;
    if (protection === 0) return FAULT_PROTECTION;
    if (access === ACCESS_WRITE && (protection & PROT_WRITE) === 0) return FAULT_PROTECTION;
    if (access === ACCESS_EXECUTE && (protection & PROT_EXEC) === 0) return FAULT_PROTECTION;
    const address = virtualAddress - (virtualAddress % PAGE_BYTES);
    const resolved =
      access === ACCESS_WRITE ? this.#faultWrite(mapping, address, entry) : this.#faultRead(mapping, address, entry);
    if (resolved < 0) return resolved;
    this.table.set(address, resolved);
    if (entry === 0 && ++this.residentPages > this.peakResidentPages) this.peakResidentPages = this.residentPages;
    return ((resolved >> ENTRY_SHIFT) << 2) | (resolved & 3);
  }

  /** The new entry for a read or fetch, its page held, or a FAULT_. */
  #faultRead(mapping: Mapping, address: number, entry: number): number {
    const bits = entryBits(mapping.protection);
    if (entry !== 0) return (entry & ~ENTRY_BITS) | (entry & ENTRY_WRITE) | bits;
    const { file } = mapping;
    if (file === null) {
      const zero = this.frames.zeroPage();
      return zero === 0 ? FAULT_OUT_OF_MEMORY : (zero << ENTRY_SHIFT) | bits;
    }
    const page = file.page((mapping.fileOffset + (address - mapping.start)) / PAGE_BYTES);
    if (page === PAGE_UNREADABLE) return FAULT_BUS;
    if (page === 0) return FAULT_OUT_OF_MEMORY;
    this.frames.hold(page);
    // A store to a file's shared page must fault once, to be known as dirty; to a memory file's it need not.
    const writable = mapping.shared && file.source.memoryOnly === true && (mapping.protection & PROT_WRITE) !== 0;
    return (page << ENTRY_SHIFT) | bits | (writable ? ENTRY_WRITE : 0);
  }

  #faultWrite(mapping: Mapping, address: number, entry: number): number {
    const bits = entryBits(mapping.protection) | ENTRY_WRITE;
    const { file } = mapping;
    const fileIndex = file === null ? 0 : (mapping.fileOffset + (address - mapping.start)) / PAGE_BYTES;
    let page = entry >> ENTRY_SHIFT;
    if (page === 0 && file === null) {
      page = this.frames.allocate();
      return page === 0 ? FAULT_OUT_OF_MEMORY : (page << ENTRY_SHIFT) | bits;
    }
    if (page === 0) {
      page = file!.page(fileIndex);
      if (page === PAGE_UNREADABLE) return FAULT_BUS;
      if (page === 0) return FAULT_OUT_OF_MEMORY;
      // The copy below must not lose its original to reclaim.
      this.frames.hold(page);
    }
    if (mapping.shared) {
      if (file!.source.memoryOnly !== true) file!.dirty.add(fileIndex);
      return (page << ENTRY_SHIFT) | bits;
    }
    if (this.frames.holders(page) === 1 && !this.frames.isZeroPage(page)) return (page << ENTRY_SHIFT) | bits;
    const copy = this.frames.isZeroPage(page) ? this.frames.allocate() : this.frames.copy(page);
    if (copy === 0) {
      if (entry === 0) this.frames.release(page);
      return FAULT_OUT_OF_MEMORY;
    }
    if (entry !== 0) this.engine?.invalidate(address, PAGE_BYTES);
    this.frames.release(page);
    return (copy << ENTRY_SHIFT) | bits;
  }

  /** A stack grows down to any address within its limit, unless something is close below (mmap(2), MAP_GROWSDOWN). */
  #growStack(address: number): Mapping | undefined {
    const index = this.mappings.indexAfter(address);
    const stack = this.mappings.at(index);
    if (stack === undefined || !stack.growsDown || address < this.layout.minimum) return undefined;
    const start = address - (address % PAGE_BYTES);
    if (stack.end - start > this.limits.stack) return undefined;
    const below = index > 0 ? this.mappings.at(index - 1) : undefined;
    if (below !== undefined && below.protection !== 0 && start - below.end < STACK_GUARD_BYTES) return undefined;
    if (below !== undefined && start < below.end) return undefined;
    const added = stack.start - start;
    if (this.mappings.bytes + added > this.limits.addressSpace) return undefined;
    this.mappings.resize(stack, start, stack.end);
    this.#noteSize();
    return stack;
  }

  /** Puts a mapping in place of whatever is in its range. */
  map(mapping: Mapping): void {
    this.unmap(mapping.start, mapping.end);
    if (this.readImpliesExecute && (mapping.protection & 1) !== 0) mapping.protection |= PROT_EXEC;
    this.mappings.insert(mapping);
    this.#noteSize();
  }

  unmap(start: number, end: number): void {
    const within = this.mappings.within(start, end);
    if (within.length === 0) return;
    this.mappings.splitAt(start);
    this.mappings.splitAt(end);
    this.dropPages(start, end);
    for (const mapping of this.mappings.within(start, end)) this.mappings.remove(mapping);
  }

  /** Forgets the pages of a range, not its mappings (MADV_DONTNEED, munmap). */
  dropPages(start: number, end: number): void {
    this.engine?.invalidate(start, end - start);
    this.table.update(start, end, (entry) => {
      this.frames.release(entry >> ENTRY_SHIFT);
      this.residentPages--;
      return 0;
    });
  }

  /** Sets the protection of a range without holes; the caller has checked `mayWrite`. */
  protect(start: number, end: number, protection: number): void {
    const wanted = this.readImpliesExecute && (protection & 1) !== 0 ? protection | PROT_EXEC : protection;
    this.mappings.splitAt(start);
    this.mappings.splitAt(end);
    let loses = false;
    for (const mapping of this.mappings.within(start, end)) {
      if ((mapping.protection & ~wanted) !== 0) loses = true;
      mapping.protection = wanted;
    }
    if (loses) this.engine?.invalidate(start, end - start);
    const bits = entryBits(wanted);
    const write = (wanted & PROT_WRITE) === 0 ? 0 : ENTRY_WRITE;
    this.table.update(start, end, (entry) => (entry & ~ENTRY_BITS) | bits | (entry & write));
    this.mappings.joinWithin(start, end);
  }

  /** Moves the pages of [from, from + length) to `to`, where nothing is present (mremap(2)). */
  movePages(from: number, length: number, to: number): void {
    this.engine?.invalidate(from, length);
    const moved: [number, number][] = [];
    this.table.update(from, from + length, (entry, address) => {
      moved.push([address - from + to, entry]);
      return 0;
    });
    for (const [address, entry] of moved) this.table.set(address, entry);
  }

  /** The child's space: the same mappings, private pages copy-on-write. The caller invalidates the parent's TLB. */
  fork(): AddressSpace {
    const child = new AddressSpace(this.layout, this.frames, this.cache);
    child.limits = { ...this.limits };
    child.breakStart = this.breakStart;
    child.breakEnd = this.breakEnd;
    child.readImpliesExecute = this.readImpliesExecute;
    child.argumentsStart = this.argumentsStart;
    child.argumentsEnd = this.argumentsEnd;
    child.environmentStart = this.environmentStart;
    child.environmentEnd = this.environmentEnd;
    for (const mapping of this.mappings) {
      if (mapping.onFork === "drop") continue;
      child.mappings.insert({ ...mapping });
      if (mapping.onFork === "wipe") continue;
      const keep = mapping.shared ? ~0 : ~ENTRY_WRITE;
      this.table.update(mapping.start, mapping.end, (entry, address) => {
        this.frames.hold(entry >> ENTRY_SHIFT);
        child.table.set(address, entry & keep);
        child.residentPages++;
        return entry & keep;
      });
    }
    child.#noteSize();
    child.peakResidentPages = child.residentPages;
    return child;
  }

  /** Another process begins to share this space. */
  share(): AddressSpace {
    this.users++;
    return this;
  }

  /** One user fewer; the last one gives everything back. */
  release(): void {
    if (--this.users > 0) return;
    this.engine?.dispose();
    this.engine = null;
    for (const mapping of [...this.mappings]) {
      this.table.update(mapping.start, mapping.end, (entry) => {
        this.frames.release(entry >> ENTRY_SHIFT);
        return 0;
      });
      this.mappings.remove(mapping);
    }
    this.residentPages = 0;
    this.table.clear();
    this.cache.spaces.delete(this);
  }

  /** Takes the right to write from the shared pages of a file, so that the next store is noticed. */
  protectSharedPages(file: CachedFile): void {
    for (const mapping of this.mappings) {
      if (mapping.file !== file || !mapping.shared) continue;
      this.engine?.invalidate(mapping.start, mapping.end - mapping.start);
      this.table.update(mapping.start, mapping.end, (entry) => entry & ~ENTRY_WRITE);
    }
  }

  /** The file was truncated to `keep` pages: those past it are no longer there. Private copies stay. */
  dropFilePages(file: CachedFile, keep: number): void {
    for (const mapping of this.mappings) {
      if (mapping.file !== file) continue;
      const start = Math.max(mapping.start, mapping.start + keep * PAGE_BYTES - mapping.fileOffset);
      if (start >= mapping.end) continue;
      this.engine?.invalidate(start, mapping.end - start);
      this.table.update(start, mapping.end, (entry, address) => {
        const index = (mapping.fileOffset + (address - mapping.start)) / PAGE_BYTES;
        if (file.pages.get(index) !== entry >> ENTRY_SHIFT) return entry;
        this.frames.release(entry >> ENTRY_SHIFT);
        this.residentPages--;
        return 0;
      });
    }
  }

  #noteSize(): void {
    if (this.mappings.bytes > this.peakVirtualBytes) this.peakVirtualBytes = this.mappings.bytes;
  }

  /** Tells that a mapping's bounds were changed in place (brk). */
  noteSize(): void {
    this.#noteSize();
  }
}
