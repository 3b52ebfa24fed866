/** Puts a kernel, its command line and its initial RAM disk into guest memory, and says how the processor starts. */

import { ramRanges } from "../platform/memory-map.ts";
import type { GuestMemory, ProcessorStart } from "../ports.ts";
import { BootError } from "./boot-error.ts";
import { writeBootParameters } from "./boot-parameters.ts";
import { isBzImage, parseBzImage } from "./bzimage.ts";
import type { BzImage } from "./bzimage.ts";
import { bootMultiboot, isMultiboot } from "./multiboot.ts";
import { isElf, parseElfImage } from "./elf-image.ts";
import type { ElfImage } from "./elf-image.ts";
import { enterLongMode, firstLoadAddress, store } from "./long-mode.ts";

const pageBytes = 4096;
/** What Linux takes by default (COMMAND_LINE_SIZE), for kernels that do not say. */
const elfCommandLineBytes = 2047;

export interface BootOptions {
  /** A bzImage, an ELF executable for x86-64, or one for i386 with a Multiboot header. */
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly commandLine?: string;
  /** ACPI's root pointer, from `writeAcpiTables`. */
  readonly acpiRoot?: number;
}

/** @throws BootError when the kernel is none, cannot be run, or does not fit */
export function boot(memory: GuestMemory, options: BootOptions): ProcessorStart {
  const { kernel } = options;
  if (isBzImage(kernel)) return bootBzImage(memory, parseBzImage(kernel), options);
  if (isMultiboot(kernel)) return bootMultiboot(memory, kernel, { ...shared(options), end: lowRamEnd(memory) });
  if (isElf(kernel)) return bootElf(memory, parseElfImage(kernel), options);
  throw new BootError("not-a-kernel", "the kernel is neither a Linux kernel image (bzImage) nor an ELF file");
}

function bootBzImage(memory: GuestMemory, image: BzImage, options: BootOptions): ProcessorStart {
  const end = lowRamEnd(memory);
  let address = image.preferredAddress;
  if (image.isRelocatable && address + image.memoryNeeded > end) address = alignUp(firstLoadAddress, image.alignment);
  const kernelEnd = address + image.memoryNeeded;
  if (address < firstLoadAddress || kernelEnd > end) {
    throw new BootError("too-little-memory", `the kernel needs ${mebibytes(kernelEnd)} of memory to start`);
  }
  store(memory, address, image.code);
  const initrd = placeInitrd(memory, options.initrd, kernelEnd, Math.min(end, image.initrdMaximum + 1));
  writeBootParameters(memory, {
    ...shared(options),
    setupHeader: image.setupHeader,
    maximumCommandLine: image.maximumCommandLine,
    ...(initrd === undefined ? {} : { initrd }),
  });
  return enterLongMode(memory, address + image.entry);
}

function bootElf(memory: GuestMemory, image: ElfImage, options: BootOptions): ProcessorStart {
  const end = lowRamEnd(memory);
  let kernelEnd = firstLoadAddress;
  for (const { address, data, memoryBytes } of image.segments) {
    if (address < firstLoadAddress || address + memoryBytes > end) {
      const range = `0x${address.toString(16)} to 0x${(address + memoryBytes).toString(16)}`;
      throw new BootError(
        "too-little-memory",
        `the kernel has a segment at ${range}; memory for it is from 1 MiB to ${mebibytes(end)}`,
      );
    }
    store(memory, address, data);
    clear(memory, address + data.length, memoryBytes - data.length);
    kernelEnd = Math.max(kernelEnd, address + memoryBytes);
  }
  const initrd = placeInitrd(memory, options.initrd, kernelEnd, end);
  writeBootParameters(memory, {
    ...shared(options),
    setupHeader: new Uint8Array(0),
    maximumCommandLine: elfCommandLineBytes,
    ...(initrd === undefined ? {} : { initrd }),
  });
  return enterLongMode(memory, image.entry);
}

function shared({ commandLine, acpiRoot }: BootOptions): { commandLine: string; acpiRoot?: number } {
  return { commandLine: commandLine ?? "", ...(acpiRoot === undefined ? {} : { acpiRoot }) };
}

/** As high as may be, which is where the kernel does not come when it unpacks itself. */
function placeInitrd(
  memory: GuestMemory,
  initrd: Uint8Array | undefined,
  least: number,
  end: number,
): { address: number; bytes: number } | undefined {
  if (initrd === undefined || initrd.length === 0) return undefined;
  const address = Math.floor((end - initrd.length) / pageBytes) * pageBytes;
  if (address < least) {
    throw new BootError(
      "too-little-memory",
      `the initial RAM disk has ${mebibytes(initrd.length)}; beside the kernel there are ${mebibytes(Math.max(end - least, 0))}`,
    );
  }
  store(memory, address, initrd);
  return { address, bytes: initrd.length };
}

function clear(memory: GuestMemory, address: number, length: number): void {
  const zeros = new Uint8Array(Math.min(length, 2 ** 20));
  for (let done = 0; done < length; done += zeros.length) {
    store(memory, address + done, zeros.subarray(0, Math.min(zeros.length, length - done)));
  }
}

function lowRamEnd(memory: GuestMemory): number {
  return ramRanges(memory.ramBytes)[0].end;
}

function alignUp(address: number, alignment: number): number {
  return Math.ceil(address / alignment) * alignment;
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
