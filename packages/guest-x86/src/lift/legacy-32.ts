/**
 * What compilers of the eighties used: decimal adjustment, PUSHA, BOUND, ENTER and LEAVE, far pointers
 * (Intel SDM vol. 1, 7.3.4, 7.3.10, 6.6). Most of it exists outside 64-bit mode only.
 */
import { Op } from "@doppel/dbt-core";
import { FlagBit } from "@doppel/lazy-flags";
import { Segment } from "../decode/instruction.ts";
import { ModeBit, Slot, Vector } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";
import { loadSegment } from "./integer-move.ts";

// Decimal adjustment.

/** Sets SF, ZF and PF by AL, AF and CF as bits, OF clear. */
function adjusted(context: LiftContext, al: number, adjust: number, carry: number): void {
  const { b, flags } = context;
  flags.logic(al, 8);
  const word = b.binary(Op.i32And, flags.word(), b.i32(~((1 << FlagBit.adjust) | 1)));
  const placed = b.binary(Op.i32Or, b.binary(Op.i32Shl, adjust, b.i32(FlagBit.adjust)), carry);
  flags.given(b.binary(Op.i32Or, word, placed));
}

/** DAA and DAS (SDM vol. 2): 6 for the low digit, 60H for the high. */
function decimalAdjust(op: number): Lifter {
  return (context) => {
    const { b, flags } = context;
    const old = context.zeroExtend(context.readRegister(Slot.rax, 8), 8);
    const lowDigit = b.binary(Op.i32And, old, b.i32(15));
    const carryIn = flags.flag(FlagBit.carry);
    const adjust = b.binary(Op.i32Or, b.binary(Op.i32GtU, lowDigit, b.i32(9)), flags.flag(FlagBit.adjust));
    const high = b.binary(Op.i32Or, b.binary(Op.i32GtU, old, b.i32(0x99)), carryIn);
    const six = b.select(b.i32(6), b.i32(0), adjust);
    const sixty = b.select(b.i32(0x60), b.i32(0), high);
    const al = b.binary(op, b.binary(op, old, six), sixty);
    let carry = high;
    if (op === Op.i32Sub) {
      // DAS: the low digit's borrow counts too.
      const borrowed = b.binary(Op.i32And, adjust, b.binary(Op.i32LtU, old, b.i32(6)));
      carry = b.binary(Op.i32Or, high, borrowed);
    }
    context.writeRegister(Slot.rax, 8, al);
    adjusted(context, al, adjust, carry);
  };
}

/** AAA and AAS: one unpacked digit in AL, the carry into AH. */
function asciiAdjust(op: number): Lifter {
  return (context) => {
    const { b, flags } = context;
    const old = context.readRegister(Slot.rax, 16);
    const lowDigit = b.binary(Op.i32And, old, b.i32(15));
    const adjust = b.binary(Op.i32Or, b.binary(Op.i32GtU, lowDigit, b.i32(9)), flags.flag(FlagBit.adjust));
    const changed = b.binary(op, old, b.i32(0x106));
    const ax = b.binary(Op.i32And, b.select(changed, old, adjust), b.i32(0xff0f));
    context.writeRegister(Slot.rax, 16, ax);
    adjusted(context, ax, adjust, adjust);
  };
}

const aam: Lifter = (context, instruction) => {
  const { b } = context;
  const base = instruction.immediateLow & 0xff;
  if (base === 0) {
    context.raise(Vector.divideError);
    return;
  }
  const al = context.zeroExtend(context.readRegister(Slot.rax, 8), 8);
  const high = b.binary(Op.i32DivU, al, b.i32(base));
  const low = b.binary(Op.i32RemU, al, b.i32(base));
  context.writeRegister(Slot.rax, 16, b.binary(Op.i32Or, b.binary(Op.i32Shl, high, b.i32(8)), low));
  context.flags.logic(low, 8);
};

const aad: Lifter = (context, instruction) => {
  const { b } = context;
  const base = b.i32(instruction.immediateLow & 0xff);
  const high = context.readHighByte(Slot.rax);
  const sum = b.binary(Op.i32Add, context.readRegister(Slot.rax, 8), b.binary(Op.i32Mul, high, base));
  const al = context.zeroExtend(sum, 8);
  context.writeRegister(Slot.rax, 16, al);
  context.flags.logic(al, 8);
};

/** AL = all ones or zero, by CF. */
const salc: Lifter = (context) => {
  const { b } = context;
  context.writeRegister(Slot.rax, 8, b.binary(Op.i32Sub, b.i32(0), context.flags.flag(FlagBit.carry)));
};

// The stack.

const pusha: Lifter = (context, instruction) => {
  const { b } = context;
  const { operandWidth } = instruction;
  const bytes = operandWidth / 8;
  const pointer = b.get(Slot.rsp);
  for (let register = 0; register < 8; register++) {
    const value = context.readRegister(register, operandWidth);
    context.storeMemory(context.stackAddress(pointer, -bytes * (register + 1)), operandWidth, value);
  }
  context.setStackPointer(pointer, -bytes * 8);
};

const popa: Lifter = (context, instruction) => {
  const { b } = context;
  const { operandWidth } = instruction;
  const bytes = operandWidth / 8;
  const pointer = b.get(Slot.rsp);
  for (let register = 7; register >= 0; register--) {
    if (register === Slot.rsp) continue;
    const value = context.loadMemory(context.stackAddress(pointer, bytes * (7 - register)), operandWidth);
    context.writeRegister(register, operandWidth, value);
  }
  context.setStackPointer(pointer, bytes * 8);
};

/** ENTER with its nesting level: the frame pointers of the outer procedures are copied (SDM vol. 2, ENTER). */
const enter: Lifter = (context, instruction) => {
  const { b } = context;
  const { operandWidth, immediateLow } = instruction;
  const level = instruction.immediate2 & 31;
  const bytes = operandWidth / 8;
  const pointer = b.get(Slot.rsp);
  const outer = b.get(Slot.rbp);
  const store = (place: number, value: number): void => {
    context.storeMemory(context.stackAddress(pointer, -bytes * place), operandWidth, value);
  };
  store(1, context.readRegister(Slot.rbp, operandWidth));
  const frame = b.binary(Op.i64Add, pointer, b.i64(-bytes));
  for (let place = 1; place < level; place++) {
    store(1 + place, context.loadMemory(context.stackAddress(outer, -bytes * place), operandWidth));
  }
  if (level > 0) store(1 + level, operandWidth === 64 ? frame : b.unary(Op.i32WrapI64, frame));
  context.setPointer(Slot.rbp, frame, operandWidth === 16 ? 16 : context.stackWidth);
  context.setStackPointer(pointer, -bytes * (1 + level) - (immediateLow & 0xffff));
};

const leave: Lifter = (context, instruction) => {
  const { b } = context;
  const { operandWidth } = instruction;
  const frame = b.get(Slot.rbp);
  const value = context.loadMemory(context.stackAddress(frame, 0), operandWidth);
  context.setStackPointer(frame, operandWidth / 8);
  context.writeRegister(Slot.rbp, operandWidth, value);
};

// The rest.

/** #BR unless the index lies between the two signed bounds in memory. */
const bound: Lifter = (context, instruction) => {
  const { b } = context;
  const { o0 } = instruction;
  const { width } = o0;
  const address = context.effectiveAddress();
  const index = context.signExtend(context.readOperand(o0), width);
  const lower = context.signExtend(context.loadMemory(address, width), width);
  const upperAddress = b.binary(Op.i64Add, address, b.i64(width / 8));
  const upper = context.signExtend(context.loadMemory(upperAddress, width), width);
  const outside = b.binary(Op.i32Or, b.binary(Op.i32LtS, index, lower), b.binary(Op.i32GtS, index, upper));
  context.raiseIf(outside, Vector.bound);
};

/** Raises the selector's RPL to the source's, and says in ZF whether it had to. */
const arpl: Lifter = (context, instruction) => {
  const { b, flags } = context;
  const { o0, o1 } = instruction;
  const destination = context.readDestination(o0);
  const source = b.binary(Op.i32And, context.readOperand(o1), b.i32(3));
  const lower = b.binary(Op.i32LtU, b.binary(Op.i32And, destination, b.i32(3)), source);
  const raised = b.binary(Op.i32Or, b.binary(Op.i32And, destination, b.i32(~3)), source);
  context.writeDestination(o0, b.select(raised, destination, lower));
  const others = b.binary(Op.i32And, flags.word(), b.i32(~(1 << FlagBit.zero)));
  flags.given(b.binary(Op.i32Or, others, b.binary(Op.i32Shl, lower, b.i32(FlagBit.zero))));
};

/** LDS, LES, LFS, LGS, LSS: an offset and, behind it, a selector. */
function loadFarPointer(segment: number): Lifter {
  return (context, instruction) => {
    const { b } = context;
    const { o0 } = instruction;
    if ((context.mode & ModeBit.machine) !== 0) {
      context.privileged();
      return;
    }
    const address = context.effectiveAddress();
    const offset = context.loadMemory(address, o0.width);
    const selector = context.loadMemory(b.binary(Op.i64Add, address, b.i64(o0.width / 8)), 16);
    loadSegment(context, segment, selector);
    context.writeOperand(o0, offset);
  };
}

export const legacy32: Readonly<Record<string, Lifter>> = {
  daa: decimalAdjust(Op.i32Add),
  das: decimalAdjust(Op.i32Sub),
  aaa: asciiAdjust(Op.i32Add),
  aas: asciiAdjust(Op.i32Sub),
  aam,
  aad,
  salc,
  pusha,
  popa,
  enter,
  leave,
  bound,
  arpl,
  lds: loadFarPointer(Segment.ds),
  les: loadFarPointer(Segment.es),
  lss: loadFarPointer(Segment.ss),
  lfs: loadFarPointer(Segment.fs),
  lgs: loadFarPointer(Segment.gs),
};
