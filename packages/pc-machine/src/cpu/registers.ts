/**
 * The processor's architectural state: what translated code works on, in the engine's context block, and what only
 * privileged instructions see, here.
 *
 * Values of 64 bits that are addresses are signed numbers (canonical ones have 48 bits); others are halves or bigints.
 */
import { Header } from "@doppel/dbt-core";
import { Mxcsr, readFlags, RFlags, StateOffset, writeFlags } from "@doppel/guest-x86";

const TWO_32 = 2 ** 32;
const ADDRESS_HALF: number = 2 ** 47;

export const Cr0 = {
  pe: 1,
  mp: 2,
  em: 4,
  ts: 8,
  et: 0x10,
  ne: 0x20,
  wp: 0x10000,
  am: 0x40000,
  pg: -0x80000000,
} as const;
export const Cr4 = {
  tsd: 4,
  de: 8,
  pse: 0x10,
  pae: 0x20,
  mce: 0x40,
  pge: 0x80,
  pce: 0x100,
  osfxsr: 0x200,
  osxmmexcpt: 0x400,
  umip: 0x800,
  fsgsbase: 0x10000,
  pcide: 0x20000,
  osxsave: 0x40000,
  smep: 0x100000,
  smap: 0x200000,
} as const;
export const Efer = { sce: 1, lme: 0x100, lma: 0x400, nxe: 0x800 } as const;

/** Bits of the second word of a segment descriptor (Intel SDM vol. 3, 3.4.5). */
export const DescriptorBit = {
  accessed: 0x100,
  /** Writable (data), readable (code). */
  readWrite: 0x200,
  conforming: 0x400,
  code: 0x800,
  /** Code or data, not a system segment. */
  segment: 0x1000,
  present: 0x8000,
  long: 0x200000,
  big: 0x400000,
  granularity: 0x800000,
} as const;
export const DPL_SHIFT = 13;

export const SegmentIndex = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 } as const;
const SEGMENTS = 6;

/** LDTR and TR. */
export interface SystemSegment {
  selector: number;
  base: number;
  limit: number;
  attributes: number;
}

export interface TableRegister {
  base: number;
  limit: number;
}

/** x87 control word after FNINIT. */
const FCW_RESET = 0x37f;

export function isCanonical(address: number): boolean {
  return address >= -ADDRESS_HALF && address < ADDRESS_HALF;
}

export class Registers {
  cr0 = 0;
  cr2Low = 0;
  cr2High = 0;
  cr3 = 0;
  cr4 = 0;
  efer = 0;
  cpl = 0;
  readonly gdtr: TableRegister = { base: 0, limit: 0 };
  readonly idtr: TableRegister = { base: 0, limit: 0 };
  readonly ldtr: SystemSegment = { selector: 0, base: 0, limit: 0, attributes: 0 };
  readonly tr: SystemSegment = { selector: 0, base: 0, limit: 0, attributes: 0 };
  /** By segment: the second word of its descriptor, and its limit in bytes. */
  readonly attributes: Int32Array = new Int32Array(SEGMENTS);
  readonly limits: Float64Array = new Float64Array(SEGMENTS);
  /** SYSCALL and SYSENTER (SDM vol. 3, 5.8). */
  starHigh = 0;
  starLow = 0;
  lstar = 0;
  cstar = 0;
  syscallMask = 0;
  sysenterCs = 0;
  sysenterEsp = 0;
  sysenterEip = 0;
  readonly debug: BigUint64Array = new BigUint64Array(8);

  readonly view: DataView;
  readonly bytes: Uint8Array;
  /** Of the context block. */
  readonly pointer: number;

  constructor(view: DataView, bytes: Uint8Array, pointer: number) {
    this.view = view;
    this.bytes = bytes;
    this.pointer = pointer;
  }

  low(register: number): number {
    return this.view.getInt32(this.pointer + StateOffset.gpr + 8 * register, true);
  }
  high(register: number): number {
    return this.view.getInt32(this.pointer + StateOffset.gpr + 8 * register + 4, true);
  }
  set(register: number, low: number, high: number): void {
    this.view.setInt32(this.pointer + StateOffset.gpr + 8 * register, low, true);
    this.view.setInt32(this.pointer + StateOffset.gpr + 8 * register + 4, high, true);
  }
  /** A register as a number: exact for addresses, up to 53 bits. */
  value(register: number): number {
    return this.number(StateOffset.gpr + 8 * register);
  }
  setValue(register: number, value: number): void {
    this.setNumber(StateOffset.gpr + 8 * register, value);
  }

  private number(offset: number): number {
    const at = this.pointer + offset;
    return this.view.getInt32(at + 4, true) * TWO_32 + this.view.getUint32(at, true);
  }
  private setNumber(offset: number, value: number): void {
    const at = this.pointer + offset;
    this.view.setInt32(at, value | 0, true);
    this.view.setInt32(at + 4, Math.floor(value / TWO_32), true);
  }

  get rip(): number {
    return this.number(Header.instructionPointer);
  }
  set rip(value: number) {
    this.setNumber(Header.instructionPointer, value);
  }

  get flags(): number {
    return readFlags(this.view, this.pointer);
  }
  set flags(value: number) {
    writeFlags(this.view, this.pointer, value);
  }
  /** RFLAGS without the condition flags and DF: no record is resolved for it. */
  get systemFlags(): number {
    return this.view.getInt32(this.pointer + StateOffset.systemFlags, true);
  }
  set systemFlags(value: number) {
    this.view.setInt32(this.pointer + StateOffset.systemFlags, value, true);
  }
  get interruptsEnabled(): boolean {
    return (this.systemFlags & RFlags.interrupt) !== 0;
  }

  selector(segment: number): number {
    return this.view.getUint16(this.pointer + StateOffset.segmentSelector + 2 * segment, true);
  }
  setSelector(segment: number, selector: number): void {
    this.view.setUint16(this.pointer + StateOffset.segmentSelector + 2 * segment, selector, true);
  }
  base(segment: number): number {
    return this.number(StateOffset.segmentBase + 8 * segment);
  }
  setBase(segment: number, base: number): void {
    this.setNumber(StateOffset.segmentBase + 8 * segment, base);
  }
  get kernelGsBase(): number {
    return this.number(StateOffset.kernelGsBase);
  }
  set kernelGsBase(base: number) {
    this.setNumber(StateOffset.kernelGsBase, base);
  }

  get tscAux(): number {
    return this.view.getInt32(this.pointer + StateOffset.tscAux, true);
  }
  set tscAux(value: number) {
    this.view.setInt32(this.pointer + StateOffset.tscAux, value, true);
  }
  get mxcsr(): number {
    return this.view.getInt32(this.pointer + StateOffset.mxcsr, true);
  }

  /** 64-bit mode, as opposed to compatibility and legacy modes. */
  get long(): boolean {
    return (this.efer & Efer.lma) !== 0 && (this.attributes[SegmentIndex.cs] & DescriptorBit.long) !== 0;
  }

  /** A segment's register and hidden part at once. */
  setSegment(segment: number, selector: number, base: number, limit: number, attributes: number): void {
    this.setSelector(segment, selector);
    this.setBase(segment, base);
    this.limits[segment] = limit;
    this.attributes[segment] = attributes;
  }

  /** The state after INIT, without its real mode: general registers, floating point, flags. */
  reset(): void {
    const { view, pointer, bytes } = this;
    bytes.fill(0, pointer + Header.guestState, pointer + Header.guestStateEnd);
    this.flags = RFlags.fixed;
    view.setInt32(pointer + StateOffset.mxcsr, Mxcsr.saturated, true);
    view.setUint16(pointer + StateOffset.fcw, FCW_RESET, true);
    bytes.fill(1, pointer + StateOffset.ftag, pointer + StateOffset.ftag + 8);
    this.cr0 = Cr0.et;
    this.cr2Low = this.cr2High = this.cr3 = this.cr4 = this.efer = this.cpl = 0;
    this.starHigh = this.starLow = this.lstar = this.cstar = this.syscallMask = 0;
    this.sysenterCs = this.sysenterEsp = this.sysenterEip = 0;
    this.debug.fill(0n);
    this.debug[6] = 0xffff0ff0n;
    this.debug[7] = 0x400n;
    for (const table of [this.gdtr, this.idtr]) {
      table.base = 0;
      table.limit = 0xffff;
    }
    for (const segment of [this.ldtr, this.tr]) {
      segment.selector = segment.base = 0;
      segment.limit = 0xffff;
      segment.attributes = 0;
    }
    this.attributes.fill(0);
    this.limits.fill(0xffff);
  }
}
