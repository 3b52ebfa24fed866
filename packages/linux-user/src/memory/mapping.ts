// A mapping (Linux's vm_area_struct) and the sorted list of an address space's mappings. Splitting and joining
// happen here and nowhere else, so that each mapped file always knows how many mappings it has.

import type { CachedFile } from "./page-cache.ts";

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;

export interface Mapping {
  /** Guest-virtual, page aligned; end exclusive. */
  start: number;
  end: number;
  /** PROT_ bits. */
  protection: number;
  readonly shared: boolean;
  readonly growsDown: boolean;
  /** Null: private anonymous memory. Shared anonymous memory has a nameless memory file. */
  readonly file: CachedFile | null;
  /** Byte offset in the file of `start`. */
  fileOffset: number;
  /** A shared mapping of a file that was not opened for writing may never become writable (mprotect(2), EACCES). */
  readonly mayWrite: boolean;
  /** Counts as data that must fit in memory; not MAP_NORESERVE. */
  readonly reserved: boolean;
  /** Path, "[heap]", "[stack]" or "". */
  readonly name: string;
  /** MADV_DONTFORK, MADV_WIPEONFORK. */
  onFork: "copy" | "drop" | "wipe";
}

function joins(left: Mapping, right: Mapping): boolean {
  return (
    left.end === right.start &&
    left.protection === right.protection &&
    left.shared === right.shared &&
    left.growsDown === right.growsDown &&
    left.file === right.file &&
    (left.file === null || left.fileOffset + (left.end - left.start) === right.fileOffset) &&
    left.mayWrite === right.mayWrite &&
    left.reserved === right.reserved &&
    left.name === right.name &&
    left.onFork === right.onFork
  );
}

export class MappingList {
  readonly #list: Mapping[] = [];
  /** Guest-virtual bytes of all mappings. */
  bytes = 0;

  get length(): number {
    return this.#list.length;
  }

  at(index: number): Mapping | undefined {
    return this.#list[index];
  }

  [Symbol.iterator](): ArrayIterator<Mapping> {
    return this.#list.values();
  }

  /** Index of the first mapping that ends after `address`: the one that holds it, or the next above. */
  indexAfter(address: number): number {
    let low = 0;
    let high = this.#list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#list[middle].end > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  find(address: number): Mapping | undefined {
    const mapping = this.#list[this.indexAfter(address)];
    return mapping !== undefined && mapping.start <= address ? mapping : undefined;
  }

  /** Mappings that meet [start, end). */
  within(start: number, end: number): Mapping[] {
    const found: Mapping[] = [];
    for (let index = this.indexAfter(start); index < this.#list.length; index++) {
      const mapping = this.#list[index];
      if (mapping.start >= end) break;
      found.push(mapping);
    }
    return found;
  }

  /** True when [start, end) has no hole. */
  covers(start: number, end: number): boolean {
    let at = start;
    for (const mapping of this.within(start, end)) {
      if (mapping.start > at) return false;
      at = mapping.end;
    }
    return at >= end;
  }

  insert(mapping: Mapping): void {
    const index = this.indexAfter(mapping.start);
    const next = this.#list[index];
    if (next !== undefined && next.start < mapping.end) throw new Error("mappings overlap");
    mapping.file?.attach();
    this.bytes += mapping.end - mapping.start;
    this.#list.splice(index, 0, mapping);
    this.#join(index);
    if (index > 0) this.#join(index - 1);
  }

  remove(mapping: Mapping): void {
    const index = this.#list.indexOf(mapping, this.indexAfter(mapping.start));
    if (index < 0) throw new Error("no such mapping");
    this.#list.splice(index, 1);
    this.bytes -= mapping.end - mapping.start;
    mapping.file?.detach();
  }

  /** Moves the bounds of an anonymous mapping (heap, stack) where nothing is in the way. */
  resize(mapping: Mapping, start: number, end: number): void {
    this.bytes += end - start - (mapping.end - mapping.start);
    mapping.start = start;
    mapping.end = end;
  }

  /** Splits so that no mapping crosses `address`. */
  splitAt(address: number): void {
    const index = this.indexAfter(address);
    const mapping = this.#list[index];
    if (mapping === undefined || mapping.start >= address) return;
    const upper: Mapping = { ...mapping, start: address, fileOffset: mapping.fileOffset + (address - mapping.start) };
    mapping.end = address;
    upper.file?.attach();
    this.#list.splice(index + 1, 0, upper);
  }

  /** Joins equal neighbours in and around [start, end). */
  joinWithin(start: number, end: number): void {
    let index = Math.max(0, this.indexAfter(start) - 1);
    while (index < this.#list.length && this.#list[index].start <= end) {
      if (!this.#join(index)) index++;
    }
  }

  #join(index: number): boolean {
    const left = this.#list[index];
    const right = this.#list[index + 1];
    if (left === undefined || right === undefined || !joins(left, right)) return false;
    left.end = right.end;
    this.#list.splice(index + 1, 1);
    right.file?.detach();
    return true;
  }
}
