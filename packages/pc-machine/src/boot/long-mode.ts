/**
 * The state in which kernels are entered at their 64-bit entry point (Linux Documentation/arch/x86/boot.rst, "64-bit boot
 * protocol"): long mode, the first four gigabytes mapped one to one, flat segments, and RSI at the boot parameters.
 *
 * ```text
 * 0x0500  descriptors: two unused, code, data      0x1_0000  boot parameters (the "zero page")
 * 0x8ff0  stack, downwards                         0x2_0000  command line
 * 0x9000  page tables: PML4, PDPT, four directories of 2 MiB pages
 * ```
 */

import type { GuestMemory, ProcessorStart } from "../ports.ts";
import { BootError } from "./boot-error.ts";

const descriptorsAddress = 0x500;
const stackAddress = 0x8ff0;
const tablesAddress = 0x9000;
export const bootParametersAddress = 0x1_0000;
export const commandLineAddress = 0x2_0000;
/** Loaders leave what lies below alone. */
export const firstLoadAddress = 0x10_0000;

const codeSelector = 0x10;
const dataSelector = 0x18;
const pageBytes = 4096;
const entries = 512;
const directories = 4;
const largePageBytes: number = 2 ** 21;
/** Present and writable; a directory's entry that is a page itself. */
const table = 0x03;
const largePage = 0x83;

/** Writes descriptors and page tables, and says how the processor starts. */
export function enterLongMode(memory: GuestMemory, entry: number): ProcessorStart {
  const descriptors = new DataView(new ArrayBuffer(32));
  // Base 0, limit 4 GiB: 64-bit code that can be read, data that can be written (Intel SDM vol. 3, 3.4.5).
  descriptors.setBigUint64(codeSelector, 0x00af_9b00_0000_ffffn, true);
  descriptors.setBigUint64(dataSelector, 0x00cf_9300_0000_ffffn, true);
  store(memory, descriptorsAddress, new Uint8Array(descriptors.buffer));

  const tables = new DataView(new ArrayBuffer(pageBytes * (2 + directories)));
  tables.setUint32(0, (tablesAddress + pageBytes) | table, true);
  for (let index = 0; index < directories; index++) {
    tables.setUint32(pageBytes + 8 * index, (tablesAddress + pageBytes * (2 + index)) | table, true);
  }
  for (let index = 0; index < directories * entries; index++) {
    tables.setUint32(2 * pageBytes + 8 * index, index * largePageBytes + largePage, true);
  }
  store(memory, tablesAddress, new Uint8Array(tables.buffer));

  return {
    rip: entry,
    rsp: stackAddress,
    rsi: bootParametersAddress,
    cr3: tablesAddress,
    gdt: { base: descriptorsAddress, limit: descriptors.byteLength - 1 },
    codeSelector,
    dataSelector,
  };
}

/** @throws BootError when that is not RAM */
export function store(memory: GuestMemory, address: number, data: Uint8Array): void {
  if (!memory.write(address, data)) {
    throw new BootError(
      "too-little-memory",
      `${data.length} bytes at 0x${address.toString(16)} do not fit guest memory`,
    );
  }
}
