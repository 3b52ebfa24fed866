// mmap(2), munmap(2), mprotect(2) and brk(2) on an address space: arguments checked in Linux's order, places chosen
// as Linux chooses them. All return a guest-virtual address or 0, or -errno.

import { EACCES, EEXIST, EINVAL, ENOMEM, EOVERFLOW, EPERM } from "../kernel/errno.ts";
import { PAGE_BYTES } from "../engine-port.ts";
import type { AddressSpace } from "./address-space.ts";
import type { Mapping } from "./mapping.ts";
import { PROT_EXEC, PROT_READ, PROT_WRITE } from "./mapping.ts";
import type { CachedFile } from "./page-cache.ts";

export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_SHARED_VALIDATE = 0x03;
export const MAP_TYPE = 0x0f;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_32BIT = 0x40;
export const MAP_GROWSDOWN = 0x100;
export const MAP_NORESERVE = 0x4000;
export const MAP_FIXED_NOREPLACE = 0x10_0000;
const PROT_GROWSDOWN = 0x0100_0000;
const PROT_GROWSUP = 0x0200_0000;
const PROT_ALL = PROT_READ | PROT_WRITE | PROT_EXEC;

/** vm.max_map_count: Linux's default bound on mappings of one space. */
const MAXIMUM_MAPPINGS = 65_530;

export function pageFloor(address: number): number {
  return address - (address % PAGE_BYTES);
}

export function pageCeil(address: number): number {
  return pageFloor(address + PAGE_BYTES - 1);
}

export interface MapRequest {
  readonly address: number;
  readonly length: number;
  readonly protection: number;
  readonly flags: number;
  /** Null for private anonymous memory. */
  readonly file: CachedFile | null;
  /** Bytes. */
  readonly offset: number;
  readonly name: string;
  /** For shared file mappings: the descriptor was open for writing. */
  readonly mayWrite: boolean;
}

/** Whether `bytes` of fresh private memory could be had at all: Linux's heuristic overcommit, on our memory. */
export function memoryCanHold(space: AddressSpace, bytes: number): boolean {
  const pages = Math.ceil(bytes / PAGE_BYTES);
  const { memory } = space.frames;
  return pages <= memory.freePages || pages <= memory.freePages + space.cache.cachedPages();
}

export function mapMemory(space: AddressSpace, request: MapRequest): number {
  const { flags } = request;
  const length = pageCeil(request.length);
  if (request.length === 0) return -EINVAL;
  if (length > space.layout.limit) return -ENOMEM;
  if (request.offset + length > Number.MAX_SAFE_INTEGER) return -EOVERFLOW;
  const shared = (flags & MAP_TYPE) !== MAP_PRIVATE;
  const place = choosePlace(space, request.address, length, flags);
  if (place < 0) return place;
  const replaced = (flags & MAP_FIXED) === 0 ? 0 : overlapBytes(space, place, place + length);
  if (space.mappings.length >= MAXIMUM_MAPPINGS) return -ENOMEM;
  if (space.mappings.bytes - replaced + length > space.limits.addressSpace) return -ENOMEM;
  const reserved = !shared && (request.protection & PROT_WRITE) !== 0 && (flags & MAP_NORESERVE) === 0;
  if (reserved && !memoryCanHold(space, length)) return -ENOMEM;
  space.map({
    start: place,
    end: place + length,
    protection: request.protection & PROT_ALL,
    shared,
    growsDown: (flags & MAP_GROWSDOWN) !== 0 && request.file === null,
    file: request.file,
    fileOffset: request.file === null ? 0 : request.offset,
    mayWrite: !shared || request.mayWrite,
    reserved: (flags & MAP_NORESERVE) === 0,
    name: request.name,
    onFork: "copy",
  });
  return place;
}

function overlapBytes(space: AddressSpace, start: number, end: number): number {
  let bytes = 0;
  for (const mapping of space.mappings.within(start, end)) {
    bytes += Math.min(end, mapping.end) - Math.max(start, mapping.start);
  }
  return bytes;
}

function choosePlace(space: AddressSpace, address: number, length: number, flags: number): number {
  const { layout } = space;
  if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0) {
    if (address % PAGE_BYTES !== 0) return -EINVAL;
    if (address > layout.limit - length) return -ENOMEM;
    if (address < layout.minimum) return -EPERM;
    const taken = space.mappings.within(address, address + length).length > 0;
    if ((flags & MAP_FIXED_NOREPLACE) !== 0 && taken) return -EEXIST;
    return address;
  }
  if (address !== 0) {
    const hint = Math.max(pageFloor(address), layout.minimum);
    if (hint <= layout.limit - length && space.mappings.within(hint, hint + length).length === 0) return hint;
  }
  if ((flags & MAP_32BIT) !== 0 && layout.mode === "x86-64") return lowestFree(space, 0x4000_0000, 0x8000_0000, length);
  return findFree(space, length);
}

/** The highest free place below mmap_base, or else the lowest above it; -ENOMEM. */
export function findFree(space: AddressSpace, length: number): number {
  const { layout, mappings } = space;
  let top = layout.mmapBase;
  for (let index = mappings.indexAfter(top - 1); index >= 0; index--) {
    const mapping = mappings.at(index);
    if (mapping === undefined || mapping.start >= layout.mmapBase) continue;
    if (mapping.end < top && top - mapping.end >= length) return top - length;
    top = Math.min(top, mapping.start);
  }
  if (top - layout.minimum >= length) return top - length;
  return lowestFree(space, layout.minimum, layout.limit, length);
}

function lowestFree(space: AddressSpace, from: number, to: number, length: number): number {
  let at = from;
  for (const mapping of space.mappings.within(from, to)) {
    if (mapping.start - at >= length) return at;
    at = Math.max(at, mapping.end);
  }
  return to - at >= length ? at : -ENOMEM;
}

export function unmapMemory(space: AddressSpace, address: number, length: number): number {
  const size = pageCeil(length);
  if (address % PAGE_BYTES !== 0 || length === 0 || size > space.layout.limit) return -EINVAL;
  if (address > space.layout.limit - size) return -EINVAL;
  space.unmap(address, address + size);
  return 0;
}

export function protectMemory(space: AddressSpace, address: number, length: number, protection: number): number {
  if (address % PAGE_BYTES !== 0) return -EINVAL;
  const grows = protection & (PROT_GROWSDOWN | PROT_GROWSUP);
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP)) return -EINVAL;
  if ((protection & ~(PROT_ALL | 0x8 | PROT_GROWSDOWN | PROT_GROWSUP)) !== 0) return -EINVAL;
  const size = pageCeil(length);
  if (size === 0) return 0;
  let start = address;
  const end = address + size;
  if (end > space.layout.limit) return -ENOMEM;
  if (grows === PROT_GROWSDOWN) {
    const first = space.mappings.find(address);
    if (first === undefined || !first.growsDown) return -EINVAL;
    start = first.start;
  } else if (grows === PROT_GROWSUP) {
    return -EINVAL;
  }
  // Linux changes the mappings before a hole and then fails; so does this.
  let at = start;
  for (const mapping of space.mappings.within(start, end)) {
    if (mapping.start > at) break;
    if ((protection & PROT_WRITE) !== 0 && !mapping.mayWrite) {
      if (at > start) space.protect(start, at, protection & PROT_ALL);
      return -EACCES;
    }
    at = mapping.end;
  }
  const reached = Math.min(at, end);
  if (reached > start) space.protect(start, reached, protection & PROT_ALL);
  return reached < end ? -ENOMEM : 0;
}

/** brk(2): the new break, or the old one when it cannot move. */
export function moveBreak(space: AddressSpace, wanted: number): number {
  const { breakStart, breakEnd } = space;
  if (wanted < breakStart) return breakEnd;
  const oldEnd = pageCeil(breakEnd);
  const newEnd = pageCeil(wanted);
  if (newEnd < oldEnd) {
    space.unmap(newEnd, oldEnd);
  } else if (newEnd > oldEnd) {
    const added = newEnd - oldEnd;
    if (newEnd > space.layout.limit || newEnd - breakStart > space.limits.data) return breakEnd;
    // One page stays free above, as a guard against what is mapped there.
    if (space.mappings.within(oldEnd, newEnd + PAGE_BYTES).length > 0) return breakEnd;
    if (space.mappings.bytes + added > space.limits.addressSpace || !memoryCanHold(space, added)) return breakEnd;
    space.map(anonymous(oldEnd, newEnd, PROT_READ | PROT_WRITE, "[heap]"));
  }
  space.breakEnd = wanted;
  return wanted;
}

/** A private anonymous mapping. */
export function anonymous(
  start: number,
  end: number,
  protection: number,
  name: string,
  growsDown: boolean = false,
): Mapping {
  return {
    start,
    end,
    protection,
    name,
    growsDown,
    shared: false,
    file: null,
    fileOffset: 0,
    mayWrite: true,
    reserved: true,
    onFork: "copy",
  };
}
