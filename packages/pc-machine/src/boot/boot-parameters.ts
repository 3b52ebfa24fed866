/**
 * The boot parameters of Linux (Documentation/arch/x86/zero-page.rst): a page that tells the kernel where its memory,
 * command line, initial RAM disk and ACPI tables are.
 */

import { firmwareArea, ramRanges } from "../platform/memory-map.ts";
import type { GuestMemory } from "../ports.ts";
import { BootError } from "./boot-error.ts";
import { bootParametersAddress, commandLineAddress, store } from "./long-mode.ts";

const pageBytes = 4096;

const Offset = {
  acpiRoot: 0x070,
  e820Entries: 0x1e8,
  /** The setup header, in the kernel's file and here at the same offset. */
  setupHeader: 0x1f1,
  bootFlag: 0x1fe,
  headerMagic: 0x202,
  loaderType: 0x210,
  ramdiskAddress: 0x218,
  ramdiskBytes: 0x21c,
  commandLine: 0x228,
  e820: 0x2d0,
} as const;

/** "A loader without an assigned number". */
const loaderType = 0xff;
const e820EntryBytes = 20;
const E820 = { ram: 1, reserved: 2 } as const;

export interface BootParameters {
  /** The setup header from the kernel's file, from offset 0x1f1; empty for a kernel that has none. */
  readonly setupHeader: Uint8Array;
  readonly commandLine: string;
  /** Longest command line that the kernel takes, in bytes, without the zero at its end. */
  readonly maximumCommandLine: number;
  readonly initrd?: { readonly address: number; readonly bytes: number };
  /** ACPI's root pointer. */
  readonly acpiRoot?: number;
}

/** Writes the boot parameters and the command line. @throws BootError when the command line cannot be passed */
export function writeBootParameters(memory: GuestMemory, parameters: BootParameters): void {
  const { setupHeader, commandLine, maximumCommandLine, initrd, acpiRoot } = parameters;
  const text = new TextEncoder().encode(commandLine);
  if (text.includes(0)) throw new BootError("bad-command-line", "the kernel's command line contains a zero byte");
  if (text.length > maximumCommandLine) {
    throw new BootError(
      "command-line-too-long",
      `the kernel's command line has ${text.length} bytes; this kernel takes ${maximumCommandLine}`,
    );
  }
  store(memory, commandLineAddress, Uint8Array.of(...text, 0));

  const page = new Uint8Array(pageBytes);
  const view = new DataView(page.buffer);
  page.set(setupHeader, Offset.setupHeader);
  if (setupHeader.length === 0) {
    view.setUint16(Offset.bootFlag, 0xaa55, true);
    view.setUint32(Offset.headerMagic, 0x5372_6448, true);
  }
  view.setUint8(Offset.loaderType, loaderType);
  view.setUint32(Offset.commandLine, commandLineAddress, true);
  if (initrd !== undefined) {
    view.setUint32(Offset.ramdiskAddress, initrd.address, true);
    view.setUint32(Offset.ramdiskBytes, initrd.bytes, true);
  }
  if (acpiRoot !== undefined) view.setUint32(Offset.acpiRoot, acpiRoot, true);

  const map = memoryMap(memory.ramBytes);
  view.setUint8(Offset.e820Entries, map.length);
  for (const [index, { start, end, type }] of map.entries()) {
    const at = Offset.e820 + index * e820EntryBytes;
    view.setBigUint64(at, BigInt(start), true);
    view.setBigUint64(at + 8, BigInt(end - start), true);
    view.setUint32(at + 16, type, true);
  }
  store(memory, bootParametersAddress, page);
}

interface E820Entry {
  readonly start: number;
  readonly end: number;
  readonly type: number;
}

/** RAM as the kernel may use it. What firmware would occupy is there, but spoken for: ACPI's tables are in it. */
function memoryMap(ramBytes: number): E820Entry[] {
  const [low, ...high] = ramRanges(ramBytes);
  return [
    { start: 0, end: firmwareArea.start, type: E820.ram },
    { ...firmwareArea, type: E820.reserved },
    { start: firmwareArea.end, end: low.end, type: E820.ram },
    ...high.map((range) => ({ ...range, type: E820.ram })),
  ];
}
