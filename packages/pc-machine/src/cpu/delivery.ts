/**
 * Interrupts and exceptions through the IDT of 64-bit mode, and IRET back (Intel SDM vol. 3, 6.14; vol. 2, IRET).
 */
import { RFlags, SYSTEM_FLAGS, Vector } from "@doppel/guest-x86";
import { generalProtection, NO_ERROR_CODE, ProcessorFault, segmentNotPresent, stackFault } from "./fault.ts";
import type { LinearMemory } from "./linear-memory.ts";
import { DescriptorBit, Efer, isCanonical, type Registers, SegmentIndex } from "./registers.ts";
import { dplOf, isNull, type Segmentation } from "./segments.ts";

const RSP = 4;
const TWO_32 = 2 ** 32;
const GATE_BYTES = 16;
const INTERRUPT_GATE = 0x0e;
const TRAP_GATE = 0x0f;
/** Bit 0 of an error code: an event outside the program; bit 1: the selector is an IDT index. */
const EXTERNAL = 1;
const IN_IDT = 2;
const CONDITION_FLAGS = 0xcd5;

/** Where an event comes from: whose rights count, and what error codes say. */
export type EventSource = "program" | "exception" | "hardware";

/** The guest's processor shut down: it could not deliver even a double fault. */
export class TripleFault extends Error {
  override name = "TripleFault";
}

/** Exceptions that combine with another to a double fault (SDM vol. 3, table 6-5). */
function isContributory(vector: number): boolean {
  return vector === Vector.divideError || (vector >= Vector.invalidTss && vector <= Vector.generalProtection);
}

export class EventDelivery {
  private readonly registers: Registers;
  private readonly memory: LinearMemory;
  private readonly segments: Segmentation;

  constructor(registers: Registers, memory: LinearMemory, segments: Segmentation) {
    this.registers = registers;
    this.memory = memory;
    this.segments = segments;
  }

  /**
   * Delivers the event, or what comes of trying: another exception, a double fault. `faultRip` is where RIP stands when
   * the event itself cannot be delivered. Throws TripleFault.
   */
  deliver(vector: number, errorCode: number, source: EventSource, faultRip: number = this.registers.rip): void {
    let pending = vector;
    let code = errorCode;
    let from = source;
    for (;;) {
      try {
        this.enter(pending, code, from);
        return;
      } catch (error) {
        if (!(error instanceof ProcessorFault)) throw error;
        if (pending === Vector.doubleFault) {
          throw new TripleFault(
            `triple fault: exception ${error.vector} while a double fault was delivered (RIP ${hex(this.registers.rip)})`,
            { cause: error },
          );
        }
        const combines =
          from !== "program" &&
          ((isContributory(pending) && isContributory(error.vector)) ||
            (pending === Vector.pageFault && (isContributory(error.vector) || error.vector === Vector.pageFault)));
        this.registers.rip = faultRip;
        pending = combines ? Vector.doubleFault : error.vector;
        code = combines ? 0 : error.errorCode;
        from = "exception";
      }
    }
  }

  private enter(vector: number, errorCode: number, source: EventSource): void {
    const { registers, memory, segments } = this;
    if ((registers.efer & Efer.lma) === 0)
      throw new TripleFault(`event ${vector} outside long mode, which this processor does not deliver`);
    const external = source === "program" ? 0 : EXTERNAL;
    const asError = vector * 8 + IN_IDT + external;
    if (vector * GATE_BYTES + GATE_BYTES - 1 > registers.idtr.limit) throw generalProtection(asError);
    memory.readSystem(registers.idtr.base + vector * GATE_BYTES, GATE_BYTES);
    const { scratch } = memory;
    const first = scratch.getInt32(0, true);
    const second = scratch.getInt32(4, true);
    const third = scratch.getInt32(8, true);
    const type = (second >>> 8) & 0x1f;
    if (type !== INTERRUPT_GATE && type !== TRAP_GATE) throw generalProtection(asError);
    if (source === "program" && dplOf(second) < registers.cpl) throw generalProtection(asError);
    if ((second & DescriptorBit.present) === 0) throw segmentNotPresent(asError);
    const target = third * TWO_32 + (((first & 0xffff) | (second & 0xffff0000)) >>> 0);
    const selector = first >>> 16;
    const stackTable = second & 7;
    if (isNull(selector)) throw generalProtection(external);
    if (!segments.find(selector)) throw generalProtection((selector & 0xfffc) | external);
    segments.checkCode(selector);
    const dpl = dplOf(segments.high);
    if ((segments.high & DescriptorBit.long) === 0 || dpl > registers.cpl)
      throw generalProtection((selector & 0xfffc) | external);
    const { cpl } = registers;
    const inner = (segments.high & DescriptorBit.conforming) !== 0 ? cpl : dpl;
    // Reading the task-state segment replaces the descriptor at hand.
    const { low, high } = segments;
    let stack = registers.value(RSP);
    if (stackTable > 0 || inner < cpl) {
      stack = segments.taskStack(inner, stackTable);
      if (!isCanonical(stack)) throw stackFault(0);
    }
    stack -= ((stack % 16) + 16) % 16;
    this.pushFrame(stack, errorCode);
    segments.low = low;
    segments.high = high;
    segments.setCode(selector, inner);
    if (inner < cpl) registers.setSegment(SegmentIndex.ss, inner, 0, 0, 0);
    registers.setValue(RSP, stack - (errorCode === NO_ERROR_CODE ? 40 : 48));
    registers.rip = target;
    let cleared = RFlags.trap | RFlags.nestedTask | RFlags.resume | RFlags.virtual8086;
    if (type === INTERRUPT_GATE) cleared |= RFlags.interrupt;
    registers.systemFlags &= ~cleared;
  }

  /** SS, RSP, RFLAGS, CS, RIP and the error code below `stack`. */
  private pushFrame(stack: number, errorCode: number): void {
    const { registers, memory } = this;
    const { scratch } = memory;
    const extra = errorCode === NO_ERROR_CODE ? 0 : 8;
    const size = 40 + extra;
    const { rip, flags } = registers;
    const put = (at: number, low: number, high: number): void => {
      scratch.setInt32(extra + at, low, true);
      scratch.setInt32(extra + at + 4, high, true);
    };
    if (extra > 0) {
      scratch.setInt32(0, errorCode, true);
      scratch.setInt32(4, 0, true);
    }
    put(0, rip | 0, Math.floor(rip / TWO_32));
    put(8, registers.selector(SegmentIndex.cs), 0);
    put(16, flags, 0);
    put(24, registers.low(RSP), registers.high(RSP));
    put(32, registers.selector(SegmentIndex.ss), 0);
    const { cpl } = registers;
    memory.writeSystem(stack - size, size);
    registers.cpl = cpl;
  }

  /** IRET in 64-bit and compatibility mode, for an operand of `width` bits. */
  interruptReturn(width: number): void {
    const { registers, memory, segments } = this;
    const { long, cpl } = registers;
    if ((registers.systemFlags & RFlags.nestedTask) !== 0) throw generalProtection();
    const bytes = width / 8;
    const stack = registers.value(RSP);
    const top = long ? stack : stack >>> 0;
    const items = long ? 5 : 3;
    this.pop(top, items, bytes);
    const rip = this.item(0, width);
    const cs = this.item(1, width) & 0xffff;
    const flags = this.item(2, width);
    const level = cs & 3;
    if (isNull(cs)) throw generalProtection();
    segments.read(cs);
    segments.checkCode(cs);
    const dpl = dplOf(segments.high);
    const isConforming = (segments.high & DescriptorBit.conforming) !== 0;
    if (level < cpl || (isConforming ? dpl > level : dpl !== level)) throw generalProtection(cs & 0xfffc);
    const toLong = (segments.high & DescriptorBit.long) !== 0;
    if (toLong && !isCanonical(rip)) throw generalProtection();
    const { low, high } = segments;
    let ss = -1;
    let rspLow = 0;
    let rspHigh = 0;
    if (long || level > cpl) {
      if (!long) this.pop(top, 5, bytes);
      const { scratch } = memory;
      rspLow = width === 16 ? scratch.getUint16(3 * bytes, true) : scratch.getInt32(3 * bytes, true);
      rspHigh = width === 64 ? scratch.getInt32(3 * bytes + 4, true) : 0;
      ss = this.item(4, width) & 0xffff;
      this.checkStack(ss, level, toLong);
    }
    const stackLow = segments.low;
    const stackHigh = segments.high;
    // Nothing can fail any more.
    segments.low = low;
    segments.high = high;
    segments.setCode(cs, level);
    registers.rip = toLong ? rip : rip >>> 0;
    this.restoreFlags(flags, width, cpl);
    if (ss < 0) {
      registers.set(RSP, top + items * bytes, 0);
    } else {
      if (isNull(ss)) {
        registers.setSegment(SegmentIndex.ss, ss, 0, 0, 0);
      } else {
        segments.low = stackLow;
        segments.high = stackHigh;
        registers.setSegment(SegmentIndex.ss, ss, segments.base, segments.limit, stackHigh);
      }
      registers.set(RSP, rspLow, rspHigh);
    }
    if (level > cpl) segments.dropInnerSegments();
  }

  private checkStack(ss: number, level: number, toLong: boolean): void {
    const { segments } = this;
    if (isNull(ss)) {
      if (!toLong || level === 3 || (ss & 3) !== level) throw generalProtection();
      return;
    }
    segments.read(ss);
    const { high } = segments;
    const kind = DescriptorBit.segment | DescriptorBit.code | DescriptorBit.readWrite;
    if (
      (ss & 3) !== level ||
      dplOf(high) !== level ||
      (high & kind) !== (DescriptorBit.segment | DescriptorBit.readWrite)
    )
      throw generalProtection(ss & 0xfffc);
    if ((high & DescriptorBit.present) === 0) throw stackFault(ss & 0xfffc);
  }

  private pop(top: number, items: number, bytes: number): void {
    this.memory.read(top, items * bytes, this.registers.cpl === 3);
  }

  private item(index: number, width: number): number {
    const { scratch } = this.memory;
    if (width === 16) return scratch.getUint16(2 * index, true);
    if (width === 32) return scratch.getUint32(4 * index, true);
    return scratch.getInt32(8 * index + 4, true) * TWO_32 + scratch.getUint32(8 * index, true);
  }

  /** What IRET may change depends on the level it is executed at. */
  restoreFlags(word: number, width: number, cpl: number): void {
    const { registers } = this;
    const old = registers.flags;
    let mask = CONDITION_FLAGS | RFlags.trap | RFlags.direction | RFlags.nestedTask;
    if (width > 16) mask |= RFlags.resume | RFlags.alignmentCheck | RFlags.identification;
    const ioPrivilege = (old & RFlags.ioPrivilege) >>> 12;
    if (cpl <= ioPrivilege) mask |= RFlags.interrupt;
    if (cpl === 0) mask |= RFlags.ioPrivilege | (width > 16 ? SYSTEM_FLAGS & ~RFlags.virtual8086 : 0);
    registers.flags = ((word | 0) & mask & ~RFlags.resume) | (old & ~mask);
  }
}

function hex(address: number): string {
  return BigInt.asUintN(64, BigInt(address)).toString(16);
}
