/**
 * Memory as a debugger sees it: through the page tables the processor has loaded, whatever their rights say, and without
 * a trace: no accessed bit is set and no device is touched.
 */
import { type GuestRam, PAGE_BYTES } from "../memory/guest-ram.ts";
import { Cr0, isCanonical, type Registers } from "./registers.ts";

const TWO_32 = 2 ** 32;
const PRESENT = 1;
const LARGE = 0x80;
const ADDRESS_HIGH = 0xff;
const TABLE_ENTRY_BYTES = 8;

export class DebugMemory {
  private readonly registers: Registers;
  private readonly ram: GuestRam;

  constructor(registers: Registers, ram: GuestRam) {
    this.registers = registers;
    this.ram = ram;
  }

  /** Guest-physical address, or -1 where nothing is mapped. 4-level paging: SDM vol. 3, 4.5. */
  physical(address: number): number {
    const { registers, ram } = this;
    if (!isCanonical(address)) return -1;
    if ((registers.cr0 & Cr0.pg) === 0) return address < 0 ? address + TWO_32 : address % TWO_32;
    let table = registers.cr3 - (registers.cr3 % PAGE_BYTES);
    for (let shift = 39; ; shift -= 9) {
      const index = Math.floor(address / 2 ** shift) & 511;
      const entry = ram.view(table + TABLE_ENTRY_BYTES * index, TABLE_ENTRY_BYTES);
      if (entry === undefined || (entry[0] & PRESENT) === 0) return -1;
      const view = new DataView(entry.buffer, entry.byteOffset);
      const base = (view.getUint32(4, true) & ADDRESS_HIGH) * TWO_32 + view.getUint32(0, true);
      const isLeaf = shift === 12 || (shift < 39 && (entry[0] & LARGE) !== 0);
      if (isLeaf) {
        const size = 2 ** shift;
        return base - (base % size) + (((address % size) + size) % size);
      }
      table = base - (base % PAGE_BYTES);
    }
  }

  /** From the address on, as far as RAM is mapped. */
  read(address: bigint, length: number): Uint8Array {
    const data = new Uint8Array(length);
    let done = 0;
    for (const piece of this.pieces(address, length)) {
      data.set(piece.ram, done);
      done += piece.ram.length;
    }
    return data.subarray(0, done);
  }

  /** All of it or nothing. */
  write(address: bigint, data: Uint8Array): boolean {
    const pieces = [...this.pieces(address, data.length)];
    if (pieces.reduce((sum, { ram }) => sum + ram.length, 0) < data.length) return false;
    let done = 0;
    for (const { physical, ram } of pieces) {
      this.ram.write(physical, data.subarray(done, done + ram.length));
      done += ram.length;
    }
    return true;
  }

  private *pieces(address: bigint, length: number): Generator<{ physical: number; ram: Uint8Array }> {
    for (let done = 0; done < length;) {
      const at = BigInt.asIntN(64, address + BigInt(done));
      // Canonical addresses are exact as numbers, others become none of those.
      const physical = this.physical(Number(at));
      if (physical < 0) return;
      const bytes = Math.min(length - done, PAGE_BYTES - Number(BigInt.asUintN(12, at)));
      const ram = this.ram.view(physical, bytes);
      if (ram === undefined) return;
      yield { physical, ram };
      done += bytes;
    }
  }
}
