/**
 * Kernels to the Multiboot Specification 0.6.96: 32-bit ELF executables with a header among their first 8192 bytes, entered
 * in protected mode without paging, EBX at what the loader has to say.
 *
 * ```text
 * 0x0500  descriptors: unused, code, data        0x1_0000  boot information
 * 0x8ff0  stack, which kernels set up anew       0x2_0000  command line
 * ```
 */
import type { GuestMemory, ProcessorStart } from "../ports.ts";
import { BootError } from "./boot-error.ts";
import { bootParametersAddress, commandLineAddress, firstLoadAddress, store } from "./long-mode.ts";

const headerMagic = 0x1bad_b002;
const loaderMagic = 0x2bad_b002;
const searchedBytes = 8192;
/** What kernels may require: modules on page boundaries, and to know their memory. There are no modules. */
const requirementsKnown = 0x0000_0003;
const requirements = 0xffff;

const descriptorsAddress = 0x500;
const stackAddress = 0x8ff0;
const codeSelector = 0x08;
const dataSelector = 0x10;

/** Offsets in the boot information (3.3), and which of its fields are there. */
const Info = { flags: 0, memoryLower: 4, memoryUpper: 8, commandLine: 16, bytes: 120 } as const;
const InfoFlag = { memory: 1, commandLine: 4 } as const;
const kibibyte = 1024;
const lowerMemoryKiB = 639;
const commandLineBytes = 4096;

// ELF-32 (System V ABI).
const class32 = 1;
const littleEndian = 1;
const executable = 2;
const machine386 = 3;
const headerBytes = 52;
const programHeaderBytes = 32;
const loadable = 1;

/** Where the header is, or -1. */
function headerOffset(image: Uint8Array): number {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  for (let at = 0; at + 12 <= Math.min(image.length, searchedBytes); at += 4) {
    if (view.getUint32(at, true) !== headerMagic) continue;
    if (((headerMagic + view.getUint32(at + 4, true) + view.getUint32(at + 8, true)) | 0) === 0) return at;
  }
  return -1;
}

/** Whether this is an ELF file for i386 with a Multiboot header. */
export function isMultiboot(image: Uint8Array): boolean {
  return image.length >= headerBytes && image[4] === class32 && headerOffset(image) >= 0;
}

/** @throws BootError when it cannot be run, or does not fit */
export function bootMultiboot(
  memory: GuestMemory,
  image: Uint8Array,
  { commandLine, end }: { readonly commandLine: string; readonly end: number },
): ProcessorStart {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const needs = view.getUint32(headerOffset(image) + 4, true) & requirements;
  if ((needs & ~requirementsKnown) !== 0)
    throw new BootError("unsupported", `the kernel requires 0x${needs.toString(16)} of a Multiboot loader`);
  const [type, machine, tableBytes, count] = [16, 18, 42, 44].map((at) => view.getUint16(at, true));
  if (image[5] !== littleEndian || type !== executable || machine !== machine386)
    throw new BootError("unsupported", "the kernel has a Multiboot header, but is no ELF executable for i386");
  const [entry, table] = [24, 28].map((at) => view.getUint32(at, true));
  if (tableBytes < programHeaderBytes || table + count * tableBytes > image.length)
    throw new BootError("truncated", "the ELF file's program headers are beyond its end");
  for (let index = 0; index < count; index++) {
    const at = table + index * tableBytes;
    if (view.getUint32(at, true) !== loadable) continue;
    const [offset, address, fileBytes, memoryBytes] = [4, 12, 16, 20].map((field) => view.getUint32(at + field, true));
    if (offset + fileBytes > image.length || fileBytes > memoryBytes)
      throw new BootError("truncated", "the ELF file ends within a segment");
    if (memoryBytes === 0) continue;
    if (address < firstLoadAddress || address + memoryBytes > end)
      throw new BootError(
        "too-little-memory",
        `the kernel has a segment at 0x${address.toString(16)}, where no memory is for it`,
      );
    store(memory, address, image.subarray(offset, offset + fileBytes));
    store(memory, address + fileBytes, new Uint8Array(memoryBytes - fileBytes));
  }
  writeInformation(memory, commandLine, end);
  return enterProtectedMode(memory, entry);
}

function writeInformation(memory: GuestMemory, commandLine: string, end: number): void {
  const words = new TextEncoder().encode(`${commandLine}\0`);
  if (words.length > commandLineBytes) throw new BootError("too-little-memory", "the command line is too long");
  store(memory, commandLineAddress, words);
  const info = new DataView(new ArrayBuffer(Info.bytes));
  info.setUint32(Info.flags, InfoFlag.memory | InfoFlag.commandLine, true);
  info.setUint32(Info.memoryLower, lowerMemoryKiB, true);
  info.setUint32(Info.memoryUpper, (end - firstLoadAddress) / kibibyte, true);
  info.setUint32(Info.commandLine, commandLineAddress, true);
  store(memory, bootParametersAddress, new Uint8Array(info.buffer));
}

function enterProtectedMode(memory: GuestMemory, entry: number): ProcessorStart {
  const descriptors = new DataView(new ArrayBuffer(24));
  // Base 0, limit 4 GiB: 32-bit code that can be read, data that can be written (Intel SDM vol. 3, 3.4.5).
  descriptors.setBigUint64(codeSelector, 0x00cf_9b00_0000_ffffn, true);
  descriptors.setBigUint64(dataSelector, 0x00cf_9300_0000_ffffn, true);
  store(memory, descriptorsAddress, new Uint8Array(descriptors.buffer));
  return {
    mode: "protected",
    rip: entry,
    rsp: stackAddress,
    rsi: 0,
    rax: loaderMagic,
    rbx: bootParametersAddress,
    cr3: 0,
    gdt: { base: descriptorsAddress, limit: descriptors.byteLength - 1 },
    codeSelector,
    dataSelector,
  };
}
