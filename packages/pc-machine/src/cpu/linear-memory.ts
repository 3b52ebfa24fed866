/**
 * Guest memory as the processor itself reaches it: operands of privileged instructions with the rights of the program,
 * descriptor tables, task state and interrupt frames with the supervisor's.
 */
import { SPACE_DEVICE, SPACE_PAGE_MASK, SPACE_PAGE_SHIFT } from "@doppel/dbt-core";
import { RFlags } from "@doppel/guest-x86";
import { type GuestRam, PAGE_BYTES } from "../memory/guest-ram.ts";
import type { BusAccess } from "../ports.ts";
import { generalProtection, pageFault } from "./fault.ts";
import { PAGE_FAULT_BASE, type PageWalker } from "./page-walk.ts";
import { isCanonical, type Registers } from "./registers.ts";

const TWO_32 = 2 ** 32;

export class LinearMemory {
  private readonly registers: Registers;
  private readonly walker: PageWalker;
  private readonly ram: GuestRam;
  private readonly bus: BusAccess;
  /** What is read, or is about to be written. */
  readonly scratch: DataView = new DataView(new ArrayBuffer(64));
  private readonly scratchBytes: Uint8Array = new Uint8Array(this.scratch.buffer);

  constructor(registers: Registers, walker: PageWalker, ram: GuestRam, bus: BusAccess) {
    this.registers = registers;
    this.walker = walker;
    this.ram = ram;
    this.bus = bus;
  }

  /** Byte offset in the engine's memory; -1 for a device, whose address is the walker's. Throws what the guest gets. */
  private locate(address: number, access: 0 | 1, asUser: boolean): number {
    if (!isCanonical(address)) throw generalProtection();
    const answer = this.walker.walk(address, access, asUser, this.mayReachUser(asUser));
    if (answer >= 0)
      return ((answer >>> SPACE_PAGE_SHIFT) & SPACE_PAGE_MASK) * PAGE_BYTES + (address & (PAGE_BYTES - 1));
    if (answer === SPACE_DEVICE) return -1;
    this.registers.cr2Low = address | 0;
    this.registers.cr2High = Math.floor(address / TWO_32) | 0;
    throw pageFault(PAGE_FAULT_BASE - answer);
  }

  /** Accesses that a program did not ask for count as the supervisor's without AC (SDM vol. 3, 4.6). */
  private mayReachUser(asUser: boolean): boolean {
    return asUser || (!this.implicit && (this.registers.systemFlags & RFlags.alignmentCheck) !== 0);
  }
  private implicit = false;

  /** Reads up to 64 bytes into `scratch`. */
  read(address: number, size: number, asUser: boolean): void {
    for (let done = 0; done < size;) {
      const at = address + done;
      const length = Math.min(size - done, PAGE_BYTES - (at & (PAGE_BYTES - 1)));
      const offset = this.locate(at, 0, asUser);
      if (offset >= 0) this.scratchBytes.set(this.ram.pages.bytes.subarray(offset, offset + length), done);
      else this.readDevice(done, length);
      done += length;
    }
  }

  private readDevice(to: number, length: number): void {
    const { physical } = this.walker;
    for (let done = 0; done < length;) {
      const size = length - done >= 4 ? 4 : length - done >= 2 ? 2 : 1;
      const value = this.bus.readMemory(physical + done, size);
      if (size === 4) this.scratch.setUint32(to + done, value, true);
      else if (size === 2) this.scratch.setUint16(to + done, value, true);
      else this.scratch.setUint8(to + done, value);
      done += size;
    }
  }

  /** Writes the first `size` bytes of `scratch`, all of them or none. */
  write(address: number, size: number, asUser: boolean): void {
    const first = Math.min(size, PAGE_BYTES - (address & (PAGE_BYTES - 1)));
    const next = first < size ? this.locate(address + first, 1, asUser) : 0;
    const nextPhysical = this.walker.physical;
    const offset = this.locate(address, 1, asUser);
    this.put(offset, this.walker.physical, 0, first);
    if (first < size) this.put(next, nextPhysical, first, size - first);
  }

  private put(offset: number, physical: number, from: number, length: number): void {
    if (offset >= 0) {
      this.ram.noteWrite(Math.floor(offset / PAGE_BYTES), offset % PAGE_BYTES, length);
      this.ram.pages.bytes.set(this.scratchBytes.subarray(from, from + length), offset);
      return;
    }
    for (let done = 0; done < length;) {
      const size = length - done >= 4 ? 4 : length - done >= 2 ? 2 : 1;
      const at = from + done;
      const value =
        size === 4
          ? this.scratch.getUint32(at, true)
          : size === 2
            ? this.scratch.getUint16(at, true)
            : this.scratch.getUint8(at);
      this.bus.writeMemory(physical + done, size, value);
      done += size;
    }
  }

  // With the supervisor's rights, whatever AC says.

  readSystem(address: number, size: number): void {
    this.implicit = true;
    try {
      this.read(address, size, false);
    } finally {
      this.implicit = false;
    }
  }
  readSystem32(address: number): number {
    this.readSystem(address, 4);
    return this.scratch.getInt32(0, true);
  }
  /** 64 bits as a number, exact for addresses. */
  readSystemAddress(address: number): number {
    this.readSystem(address, 8);
    return this.scratch.getInt32(4, true) * TWO_32 + this.scratch.getUint32(0, true);
  }
  writeSystem(address: number, size: number): void {
    this.implicit = true;
    try {
      this.write(address, size, false);
    } finally {
      this.implicit = false;
    }
  }
  writeSystem32(address: number, value: number): void {
    this.scratch.setInt32(0, value, true);
    this.writeSystem(address, 4);
  }
}
