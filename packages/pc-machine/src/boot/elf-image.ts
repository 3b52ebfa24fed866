/**
 * Kernels as 64-bit ELF executables (ELF-64 object file format, System V ABI): an uncompressed Linux (vmlinux), or a
 * program of one's own for the bare machine. Segments go to their physical addresses.
 */

import { BootError } from "./boot-error.ts";

const magic = 0x7f45_4c46;
const class64 = 2;
const littleEndian = 1;
const executable = 2;
const sharedObject = 3;
const machineX64 = 62;
const headerBytes = 64;
const programHeaderBytes = 56;
const loadable = 1;

export interface ElfSegment {
  readonly address: number;
  readonly data: Uint8Array;
  /** At least as many as there are data; the rest is zero. */
  readonly memoryBytes: number;
}

export interface ElfImage {
  /** Physical. */
  readonly entry: number;
  readonly segments: readonly ElfSegment[];
}

export function isElf(image: Uint8Array): boolean {
  return image.length >= 4 && new DataView(image.buffer, image.byteOffset).getUint32(0) === magic;
}

/** @throws BootError */
export function parseElfImage(image: Uint8Array): ElfImage {
  if (!isElf(image)) throw new BootError("not-a-kernel", "this is not an ELF file");
  if (image.length < headerBytes) throw new BootError("truncated", "the ELF file ends within its header");
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const type = view.getUint16(16, true);
  if (
    image[4] !== class64 ||
    image[5] !== littleEndian ||
    view.getUint16(18, true) !== machineX64 ||
    (type !== executable && type !== sharedObject)
  ) {
    throw new BootError("unsupported", "the kernel is an ELF file, but not an executable for x86-64");
  }
  const table = number64(view, 32);
  const entryBytes = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  if (entryBytes < programHeaderBytes || table + count * entryBytes > image.length) {
    throw new BootError("truncated", "the ELF file's program headers are beyond its end");
  }
  const entry = view.getBigUint64(24, true);
  let physicalEntry = Number(entry);
  const segments: ElfSegment[] = [];
  for (let index = 0; index < count; index++) {
    const at = table + index * entryBytes;
    if (view.getUint32(at, true) !== loadable) continue;
    const [offset, address, fileBytes, memoryBytes] = [8, 24, 32, 40].map((field) => number64(view, at + field));
    if (offset + fileBytes > image.length || fileBytes > memoryBytes) {
      throw new BootError("truncated", "the ELF file ends within a segment");
    }
    if (memoryBytes === 0) continue;
    segments.push({ address, data: image.subarray(offset, offset + fileBytes), memoryBytes });
    // The entry point is virtual where the two differ; Linux's is physical all the same.
    const intoSegment = entry - view.getBigUint64(at + 16, true);
    if (intoSegment >= 0n && intoSegment < memoryBytes) physicalEntry = address + Number(intoSegment);
  }
  const isLoaded = segments.some(
    ({ address, memoryBytes }) => physicalEntry >= address && physicalEntry < address + memoryBytes,
  );
  if (!isLoaded) throw new BootError("unsupported", "the ELF file's entry point is in none of its segments");
  return { entry: physicalEntry, segments };
}

/** Exact for all that can be right: sizes of files, and physical addresses. */
function number64(view: DataView, offset: number): number {
  return Number(view.getBigUint64(offset, true));
}
