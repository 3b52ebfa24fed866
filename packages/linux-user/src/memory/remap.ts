// mremap(2), madvise(2), mincore(2) and msync(2). Return an address, 0, or -errno.

import { EFAULT, EINVAL, ENOMEM } from "../kernel/errno.ts";
import { PAGE_BYTES } from "../engine-port.ts";
import type { AddressSpace } from "./address-space.ts";
import type { Mapping } from "./mapping.ts";
import { findFree, memoryCanHold, pageCeil } from "./mmap.ts";

const MREMAP_MAYMOVE = 1;
const MREMAP_FIXED = 2;
const MREMAP_DONTUNMAP = 4;

export function remapMemory(
  space: AddressSpace,
  address: number,
  oldLength: number,
  newLength: number,
  flags: number,
  wanted: number,
): number {
  if ((flags & ~7) !== 0 || address % PAGE_BYTES !== 0) return -EINVAL;
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0 && (flags & MREMAP_MAYMOVE) === 0) return -EINVAL;
  const oldSize = pageCeil(oldLength);
  const newSize = pageCeil(newLength);
  if (newSize === 0 || newSize > space.layout.limit) return -EINVAL;
  if ((flags & MREMAP_DONTUNMAP) !== 0 && oldSize !== newSize) return -EINVAL;
  const mapping = space.mappings.find(address);
  if (mapping === undefined) return -EFAULT;
  // Size 0 duplicates a shared mapping.
  if (oldSize === 0 && !mapping.shared) return -EINVAL;
  if (address + oldSize > mapping.end) return -EFAULT;
  if ((flags & MREMAP_FIXED) !== 0) {
    if (wanted % PAGE_BYTES !== 0 || wanted > space.layout.limit - newSize) return -EINVAL;
    if (wanted < address + oldSize && address < wanted + newSize) return -EINVAL;
    space.unmap(wanted, wanted + newSize);
    return move(space, mapping, address, oldSize, newSize, wanted, (flags & MREMAP_DONTUNMAP) !== 0);
  }
  if ((flags & MREMAP_DONTUNMAP) !== 0) {
    const place = findFree(space, newSize);
    return place < 0 ? place : move(space, mapping, address, oldSize, newSize, place, true);
  }
  if (newSize < oldSize) {
    space.unmap(address + newSize, address + oldSize);
    return address;
  }
  if (newSize === oldSize) return address;
  const added = newSize - oldSize;
  if (space.mappings.bytes + added > space.limits.addressSpace) return -ENOMEM;
  if (!mapping.shared && mapping.reserved && !memoryCanHold(space, added)) return -ENOMEM;
  const end = address + oldSize;
  const growsInPlace =
    oldSize > 0 &&
    end === mapping.end &&
    address + newSize <= space.layout.limit &&
    space.mappings.within(end, address + newSize).length === 0;
  if (growsInPlace) {
    space.map({ ...mapping, start: end, end: end + added, fileOffset: mapping.fileOffset + (end - mapping.start) });
    return address;
  }
  if ((flags & MREMAP_MAYMOVE) === 0) return -ENOMEM;
  const place = findFree(space, newSize);
  return place < 0 ? place : move(space, mapping, address, oldSize, newSize, place, false);
}

function move(
  space: AddressSpace,
  old: Mapping,
  address: number,
  oldSize: number,
  newSize: number,
  place: number,
  keepOld: boolean,
): number {
  // The old mapping may be split by the unmap of the target; its values are what counts.
  const fileOffset = old.file === null ? 0 : old.fileOffset + (address - old.start);
  space.map({ ...old, start: place, end: place + newSize, fileOffset, growsDown: false });
  if (oldSize > 0) {
    const moved = Math.min(oldSize, newSize);
    space.movePages(address, moved, place);
    if (!keepOld) space.unmap(address, address + oldSize);
  }
  return place;
}

const MADV_DONTNEED = 4;
const MADV_FREE = 8;
const MADV_REMOVE = 9;
const MADV_DONTFORK = 10;
const MADV_DOFORK = 11;
const MADV_WIPEONFORK = 18;
const MADV_KEEPONFORK = 19;
const MADV_DONTNEED_LOCKED = 24;
/** Advice that changes nothing a program can see. */
const HARMLESS: ReadonlySet<number> = new Set([0, 1, 2, 3, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 25]);

export function adviseMemory(space: AddressSpace, address: number, length: number, advice: number): number {
  if (address % PAGE_BYTES !== 0) return -EINVAL;
  const known =
    HARMLESS.has(advice) ||
    advice === MADV_DONTNEED ||
    advice === MADV_FREE ||
    advice === MADV_REMOVE ||
    advice === MADV_DONTFORK ||
    advice === MADV_DOFORK ||
    advice === MADV_WIPEONFORK ||
    advice === MADV_KEEPONFORK ||
    advice === MADV_DONTNEED_LOCKED;
  if (!known) return -EINVAL;
  const size = pageCeil(length);
  if (size === 0) return 0;
  const end = address + size;
  if (end > space.layout.limit) return -EINVAL;
  const within = space.mappings.within(address, end);
  if (advice === MADV_REMOVE) return -EINVAL;
  if (advice === MADV_DONTNEED || advice === MADV_DONTNEED_LOCKED || advice === MADV_FREE) {
    for (const mapping of within) {
      if (advice === MADV_FREE && (mapping.file !== null || mapping.shared)) return -EINVAL;
      // MADV_FREE may free at any later time; not at all is allowed.
      if (advice !== MADV_FREE) space.dropPages(Math.max(address, mapping.start), Math.min(end, mapping.end));
    }
  } else if (!HARMLESS.has(advice)) {
    const onFork = advice === MADV_DONTFORK ? "drop" : advice === MADV_WIPEONFORK ? "wipe" : "copy";
    if (onFork === "wipe" && within.some((mapping) => mapping.file !== null || mapping.shared)) return -EINVAL;
    space.mappings.splitAt(address);
    space.mappings.splitAt(end);
    for (const mapping of space.mappings.within(address, end)) mapping.onFork = onFork;
    space.mappings.joinWithin(address, end);
  }
  return space.mappings.covers(address, end) ? 0 : -ENOMEM;
}

/** One byte per page, 1 when it is resident; -ENOMEM when the range has a hole. */
export function residency(space: AddressSpace, address: number, length: number): Uint8Array | number {
  if (address % PAGE_BYTES !== 0) return -EINVAL;
  const size = pageCeil(length);
  if (address + size > space.layout.limit || !space.mappings.covers(address, address + size)) return -ENOMEM;
  const result = new Uint8Array(size / PAGE_BYTES);
  for (let index = 0; index < result.length; index++) {
    const at = address + index * PAGE_BYTES;
    if (space.table.get(at) !== 0) {
      result[index] = 1;
      continue;
    }
    const mapping = space.mappings.find(at)!;
    if (mapping.file?.pages.has((mapping.fileOffset + (at - mapping.start)) / PAGE_BYTES) === true) result[index] = 1;
  }
  return result;
}

const MS_ASYNC = 1;
const MS_INVALIDATE = 2;
const MS_SYNC = 4;

export function synchronizeMemory(space: AddressSpace, address: number, length: number, flags: number): number {
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0 || address % PAGE_BYTES !== 0) return -EINVAL;
  if ((flags & MS_ASYNC) !== 0 && (flags & MS_SYNC) !== 0) return -EINVAL;
  const end = address + pageCeil(length);
  if (end > space.layout.limit) return -ENOMEM;
  for (const mapping of space.mappings.within(address, end)) {
    if (mapping.shared && mapping.file !== null) space.cache.flushFile(mapping.file);
  }
  return space.mappings.covers(address, end) ? 0 : -ENOMEM;
}
