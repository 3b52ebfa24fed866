/**
 * Linux's bzImage (Documentation/arch/x86/boot.rst): a setup header, code for real mode that is not used, and the
 * kernel, which is entered at its 64-bit entry point.
 */

import { BootError } from "./boot-error.ts";

const sectorBytes = 512;
/** Of the 64-bit entry point, from the start of the protected-mode code. */
const longModeEntry = 0x200;

/** Offsets in the file of fields of the setup header. */
const Offset = {
  setupSectors: 0x1f1,
  systemParagraphs: 0x1f4,
  bootFlag: 0x1fe,
  headerEnd: 0x201,
  magic: 0x202,
  version: 0x206,
  kernelVersion: 0x20e,
  loadFlags: 0x211,
  initrdMaximum: 0x22c,
  alignment: 0x230,
  relocatable: 0x234,
  extendedLoadFlags: 0x236,
  commandLineBytes: 0x238,
  preferredAddress: 0x258,
  memoryNeeded: 0x260,
  end: 0x264,
} as const;

const magic = 0x5372_6448;
/** 2.12 has the flag that says whether there is a 64-bit entry point: Linux 3.8. */
const oldestVersion = 0x020c;
const loadedHigh = 0x01;
const has64BitEntry = 0x01;

export interface BzImage {
  /** To be passed on in the boot parameters, from offset 0x1f1. */
  readonly setupHeader: Uint8Array;
  /** What is loaded and run. */
  readonly code: Uint8Array;
  /** From the load address. */
  readonly entry: number;
  readonly preferredAddress: number;
  readonly alignment: number;
  readonly isRelocatable: boolean;
  /** From the load address on, until it has read its memory map: more than the code has. */
  readonly memoryNeeded: number;
  /** The last address an initial RAM disk may occupy. */
  readonly initrdMaximum: number;
  readonly maximumCommandLine: number;
  /** "6.1.0-28-cloud-amd64 (...)", as the file says; empty when it does not. */
  readonly kernelVersion: string;
}

export function isBzImage(image: Uint8Array): boolean {
  if (image.length < Offset.magic + 4) return false;
  return new DataView(image.buffer, image.byteOffset).getUint32(Offset.magic, true) === magic;
}

/** @throws BootError */
export function parseBzImage(image: Uint8Array): BzImage {
  if (!isBzImage(image)) throw new BootError("not-a-kernel", "this is not a Linux kernel image (bzImage)");
  if (image.length < Offset.end) throw new BootError("truncated", "the kernel image ends within its header");
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const version = view.getUint16(Offset.version, true);
  if (version < oldestVersion || (view.getUint8(Offset.loadFlags) & loadedHigh) === 0) {
    const found = `${version >>> 8}.${version & 0xff}`;
    throw new BootError("unsupported", `the kernel has boot protocol ${found}; 2.12 (Linux 3.8) or newer is needed`);
  }
  if ((view.getUint16(Offset.extendedLoadFlags, true) & has64BitEntry) === 0) {
    throw new BootError("unsupported", "the kernel has no 64-bit entry point: is it a 32-bit kernel?");
  }
  const setupSectors = view.getUint8(Offset.setupSectors) || 4;
  const start = (setupSectors + 1) * sectorBytes;
  // The size is counted in paragraphs of 16 bytes, of which the last may be incomplete.
  const expected = start + view.getUint32(Offset.systemParagraphs, true) * 16;
  if (image.length + 16 <= expected || image.length <= start + longModeEntry) {
    throw new BootError("truncated", `the kernel image has ${image.length} bytes of ${expected}`);
  }
  const headerEnd = Offset.magic + view.getUint8(Offset.headerEnd);
  const alignment = view.getUint32(Offset.alignment, true);
  const preferred = view.getBigUint64(Offset.preferredAddress, true);
  if (alignment === 0 || (alignment & (alignment - 1)) !== 0 || preferred >= 2n ** 32n) {
    throw new BootError("not-a-kernel", "the kernel image's header is damaged");
  }
  const code = image.subarray(start);
  return {
    setupHeader: image.slice(Offset.setupSectors, Math.max(headerEnd, Offset.end)),
    code,
    entry: longModeEntry,
    preferredAddress: Number(preferred),
    alignment,
    isRelocatable: view.getUint8(Offset.relocatable) !== 0,
    memoryNeeded: Math.max(view.getUint32(Offset.memoryNeeded, true), code.length),
    initrdMaximum: view.getUint32(Offset.initrdMaximum, true),
    maximumCommandLine: view.getUint32(Offset.commandLineBytes, true),
    kernelVersion: readString(image, view.getUint16(Offset.kernelVersion, true) + sectorBytes, start),
  };
}

function readString(image: Uint8Array, from: number, limit: number): string {
  if (from === sectorBytes || from >= limit) return "";
  const end = image.indexOf(0, from);
  return new TextDecoder().decode(image.subarray(from, end < 0 || end > limit ? limit : end));
}
