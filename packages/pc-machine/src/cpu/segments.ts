/**
 * Segment registers and descriptors (Intel SDM vol. 3, 3.4 and 5.5 to 5.8). Translated code knows bases only: rights
 * are checked where a selector is loaded, limits nowhere but in descriptor tables.
 */
import { generalProtection, invalidTss, segmentNotPresent, stackFault } from "./fault.ts";
import type { LinearMemory } from "./linear-memory.ts";
import { DescriptorBit, DPL_SHIFT, type Registers, SegmentIndex, type SystemSegment } from "./registers.ts";

const TWO_32 = 2 ** 32;
const TABLE_INDICATOR = 4;
const NULL_MASK = 0xfffc;
/** Descriptors of flat segments, second words: what SYSCALL and SYSRET load without looking. */
const FLAT = 0xc0_9300 | 0xf_0000;
export const FLAT_DATA: number = FLAT;
export const FLAT_CODE_32: number = FLAT | DescriptorBit.code;
export const FLAT_CODE_64: number = (FLAT | DescriptorBit.code | DescriptorBit.long) & ~DescriptorBit.big;
export const FLAT_LIMIT = 0xffff_ffff;
const TYPE_MASK = 0x1f00;
const LDT_TYPE = 0x0200;
const TSS_AVAILABLE = 0x0900;
const TSS_BUSY = 0x0b00;
const BUSY_BIT = 0x0200;

export function dplOf(attributes: number): number {
  return (attributes >>> DPL_SHIFT) & 3;
}

export function isNull(selector: number): boolean {
  return (selector & NULL_MASK) === 0;
}

export class Segmentation {
  /** The descriptor read last. */
  low = 0;
  high = 0;
  private readonly registers: Registers;
  private readonly memory: LinearMemory;

  constructor(registers: Registers, memory: LinearMemory) {
    this.registers = registers;
    this.memory = memory;
  }

  get base(): number {
    return ((this.low >>> 16) | ((this.high & 0xff) << 16) | (this.high & 0xff000000)) >>> 0;
  }
  get limit(): number {
    const limit = (this.low & 0xffff) | (this.high & 0xf0000);
    return (this.high & DescriptorBit.granularity) === 0 ? limit : limit * 4096 + 4095;
  }

  /** Where the selector's descriptor of so many bytes is; undefined beyond its table. */
  private addressOf(selector: number, bytes = 8): number | undefined {
    const { gdtr, ldtr } = this.registers;
    const local = (selector & TABLE_INDICATOR) !== 0;
    if (local && isNull(ldtr.selector)) return undefined;
    const table = local ? ldtr : gdtr;
    const offset = selector & 0xfff8;
    return offset + bytes - 1 > table.limit ? undefined : table.base + offset;
  }

  /** Reads the selector's descriptor; false where there is none. */
  find(selector: number): boolean {
    const address = isNull(selector) ? undefined : this.addressOf(selector);
    if (address === undefined) return false;
    this.memory.readSystem(address, 8);
    this.low = this.memory.scratch.getInt32(0, true);
    this.high = this.memory.scratch.getInt32(4, true);
    return true;
  }

  /** Reads it, or raises #GP(selector). */
  read(selector: number): void {
    if (!this.find(selector)) throw generalProtection(selector & NULL_MASK);
  }

  private markAccessed(selector: number): void {
    if ((this.high & DescriptorBit.accessed) !== 0) return;
    this.high |= DescriptorBit.accessed;
    this.memory.writeSystem32(this.addressOf(selector)! + 4, this.high);
  }

  /** MOV and POP to a segment register, LDS and relatives. */
  load(segment: number, selector: number): void {
    const { registers } = this;
    const { cpl } = registers;
    const rpl = selector & 3;
    if (isNull(selector)) {
      if (segment === SegmentIndex.ss && (!registers.long || cpl === 3 || rpl !== cpl)) throw generalProtection();
      registers.setSegment(segment, selector, 0, 0, 0);
      return;
    }
    this.read(selector);
    const { high } = this;
    const dpl = dplOf(high);
    const isCode = (high & DescriptorBit.code) !== 0;
    if ((high & DescriptorBit.segment) === 0) throw generalProtection(selector & NULL_MASK);
    if (segment === SegmentIndex.ss) {
      if (isCode || (high & DescriptorBit.readWrite) === 0 || rpl !== cpl || dpl !== cpl)
        throw generalProtection(selector & NULL_MASK);
      if ((high & DescriptorBit.present) === 0) throw stackFault(selector & NULL_MASK);
    } else {
      if (isCode && (high & DescriptorBit.readWrite) === 0) throw generalProtection(selector & NULL_MASK);
      const isConforming = isCode && (high & DescriptorBit.conforming) !== 0;
      if (!isConforming && (rpl > dpl || cpl > dpl)) throw generalProtection(selector & NULL_MASK);
      if ((high & DescriptorBit.present) === 0) throw segmentNotPresent(selector);
    }
    this.markAccessed(selector);
    registers.setSegment(segment, selector, this.base, this.limit, this.high);
  }

  /** Checks the descriptor of a new CS, which is read, for a transfer to privilege level `cpl`. */
  checkCode(selector: number): void {
    const { high } = this;
    const kind = DescriptorBit.segment | DescriptorBit.code;
    if ((high & kind) !== kind) throw generalProtection(selector & NULL_MASK);
    if ((high & DescriptorBit.present) === 0) throw segmentNotPresent(selector);
    if ((high & DescriptorBit.long) !== 0 && (high & DescriptorBit.big) !== 0)
      throw generalProtection(selector & NULL_MASK);
  }

  /** CS gets the descriptor read last; the privilege level becomes `cpl`. */
  setCode(selector: number, cpl: number): void {
    this.markAccessed(selector);
    this.registers.setSegment(SegmentIndex.cs, (selector & ~3) | cpl, this.base, this.limit, this.high);
    this.registers.cpl = cpl;
  }

  /** A far jump or call to a code segment: its checks, and CS. Gates and tasks are refused. */
  enterCode(selector: number): void {
    if (isNull(selector)) throw generalProtection();
    this.read(selector);
    this.checkCode(selector);
    const { cpl } = this.registers;
    const dpl = dplOf(this.high);
    const isConforming = (this.high & DescriptorBit.conforming) !== 0;
    if (isConforming ? dpl > cpl : dpl !== cpl || (selector & 3) > cpl) throw generalProtection(selector & NULL_MASK);
    this.setCode(selector, cpl);
  }

  /** On a return to an outer level, segments that it may not use become null (SDM vol. 2, IRET). */
  dropInnerSegments(): void {
    const { registers } = this;
    for (const segment of [SegmentIndex.es, SegmentIndex.ds, SegmentIndex.fs, SegmentIndex.gs]) {
      const attributes = registers.attributes[segment];
      if (isNull(registers.selector(segment))) {
        continue;
      }
      const isConforming = (attributes & DescriptorBit.code) !== 0 && (attributes & DescriptorBit.conforming) !== 0;
      if (!isConforming && dplOf(attributes) < registers.cpl) registers.setSegment(segment, 0, 0, 0, 0);
    }
  }

  /** LLDT and LTR. In 64-bit mode their descriptors have 16 bytes. */
  loadSystem(register: SystemSegment, selector: number, isTask: boolean): void {
    if (isNull(selector)) {
      if (isTask) throw generalProtection();
      register.selector = selector;
      register.base = register.limit = register.attributes = 0;
      return;
    }
    if ((selector & TABLE_INDICATOR) !== 0) throw generalProtection(selector & NULL_MASK);
    this.read(selector);
    const type = this.high & TYPE_MASK;
    if (type !== (isTask ? TSS_AVAILABLE : LDT_TYPE)) throw generalProtection(selector & NULL_MASK);
    if ((this.high & DescriptorBit.present) === 0) throw segmentNotPresent(selector);
    const { long } = this.registers;
    const address = this.addressOf(selector, long ? 16 : 8);
    if (address === undefined) throw generalProtection(selector & NULL_MASK);
    const { base, limit, high } = this;
    const upper = long ? this.memory.readSystem32(address + 8) : 0;
    register.selector = selector;
    register.base = base + upper * TWO_32;
    register.limit = limit;
    register.attributes = high;
    if (isTask) {
      register.attributes = (high & ~TYPE_MASK) | TSS_BUSY;
      this.memory.writeSystem32(address + 4, high | BUSY_BIT);
    }
  }

  /** Of the task-state segment: the stack for a privilege level, or for an interrupt-stack-table entry from 1 on. */
  taskStack(level: number, interruptStack: number): number {
    const { tr } = this.registers;
    const offset = interruptStack > 0 ? 36 + 8 * (interruptStack - 1) : 4 + 8 * level;
    if (offset + 7 > tr.limit) throw invalidTss(tr.selector);
    return this.memory.readSystemAddress(tr.base + offset);
  }

  /** Whether LAR, LSL, VERR and VERW may see the selector's descriptor; reads it. */
  isVisible(selector: number): boolean {
    if (!this.find(selector)) return false;
    const { high } = this;
    const isConforming =
      (high & DescriptorBit.segment) !== 0 &&
      (high & DescriptorBit.code) !== 0 &&
      (high & DescriptorBit.conforming) !== 0;
    const dpl = dplOf(high);
    return isConforming || (this.registers.cpl <= dpl && (selector & 3) <= dpl);
  }
}
