/**
 * Single bits, bit scans and counts (Intel SDM vol. 1, 7.3.7; vol. 2, BT, BSF, TZCNT, LZCNT, POPCNT).
 */
import { Op } from "@doppel/dbt-core";
import type { Instruction } from "../decode/instruction.ts";
import { OperandKind } from "../decode/instruction.ts";
import type { LiftContext, Lifter } from "./context.ts";

/**
 * The address of the item a bit offset in a register lies in: bits are counted from the operand's address, to both sides,
 * as far as the register reaches (SDM vol. 2, BT).
 */
function bitAddress(context: LiftContext, instruction: Instruction, offset: number, width: number): number {
  const { b } = context;
  const whole = context.toI64Signed(offset, width);
  const shift = width === 64 ? 6 : width === 32 ? 5 : 4;
  const items = b.binary(Op.i64ShrS, whole, b.i64(shift));
  const bytes = b.binary(Op.i64Shl, items, b.i64(shift - 3));
  const sum = b.binary(Op.i64Add, context.addressOffset(), bytes);
  const { addressWidth } = instruction;
  return context.linearAddress(
    addressWidth === 64 ? sum : context.truncateAddress(sum, addressWidth),
    context.memorySegment(),
  );
}

/** BT, BTS, BTR, BTC: `change` makes the new value of (value, mask); -1: none. */
function bitTest(change: (context: LiftContext, value: number, mask: number, width: number) => number): Lifter {
  return (context, instruction) => {
    const { b } = context;
    const { o0, o1 } = instruction;
    const { width } = o0;
    const inMemory = o0.kind === OperandKind.mem;
    const offset =
      o1.kind === OperandKind.imm
        ? context.constant(instruction.immediateLow & (width - 1), width)
        : context.readOperand(o1);
    let address = -1;
    let value: number;
    if (inMemory) {
      address =
        o1.kind === OperandKind.imm ? context.effectiveAddress() : bitAddress(context, instruction, offset, width);
      value = context.loadMemory(address, width);
    } else {
      value = context.readOperand(o0);
    }
    const place = context.binary(Op.i32And, Op.i64And, offset, context.constant(width - 1, width), width);
    const shifted = context.binary(Op.i32ShrU, Op.i64ShrU, value, place, width);
    context.flags.setCarryLoosely(b.binary(Op.i32And, context.toI32(shifted, width), b.i32(1)));
    const mask = context.binary(Op.i32Shl, Op.i64Shl, context.constant(1, width), place, width);
    const result = change(context, value, mask, width);
    if (result < 0) return;
    if (inMemory) context.storeMemory(address, width, result);
    else context.writeOperand(o0, result);
  };
}

const noChange = (): number => -1;
const setBit = (context: LiftContext, value: number, mask: number, width: number): number =>
  context.binary(Op.i32Or, Op.i64Or, value, mask, width);
const flipBit = (context: LiftContext, value: number, mask: number, width: number): number =>
  context.binary(Op.i32Xor, Op.i64Xor, value, mask, width);
const clearBit = (context: LiftContext, value: number, mask: number, width: number): number => {
  const others = context.binary(Op.i32Xor, Op.i64Xor, mask, context.constant(-1, width), width);
  return context.binary(Op.i32And, Op.i64And, value, others, width);
};

/** Index of the lowest one, or WebAssembly's answer for zero: the width (32 for 16 bits). */
function trailingZeros(context: LiftContext, value: number, width: number): number {
  return context.b.unary(width === 64 ? Op.i64Ctz : Op.i32Ctz, value);
}

function leadingZeros(context: LiftContext, value: number, width: number): number {
  const zeros = context.b.unary(width === 64 ? Op.i64Clz : Op.i32Clz, context.zeroExtend(value, width));
  return width === 16 ? context.b.binary(Op.i32Sub, zeros, context.b.i32(16)) : zeros;
}

/** An i32 bit: whether a value is not zero. */
function isNotZero(context: LiftContext, value: number, width: number): number {
  const zero = context.constant(0, width);
  return context.binary(Op.i32Ne, Op.i64Ne, context.zeroExtend(value, width), zero, width);
}

/** BSF, BSR: zero sets ZF and leaves the destination (AMD64 APM vol. 3; Intel: undefined). */
function scan(reverse: boolean): Lifter {
  return (context, instruction) => {
    const { b } = context;
    const { o0, o1 } = instruction;
    const { width } = o0;
    const source = context.readOperand(o1);
    const found = isNotZero(context, source, width);
    let index: number;
    if (reverse) {
      const zeros = leadingZeros(context, source, width);
      index = context.binary(Op.i32Xor, Op.i64Xor, zeros, context.constant(width - 1, width), width);
    } else {
      index = trailingZeros(context, source, width);
    }
    context.flags.zeroOnly(found, 32, b.i32(0));
    if (width === 32) {
      // The whole 64-bit register is left alone.
      const kept = b.get(o0.register);
      b.set(o0.register, b.select(b.unary(Op.i64ExtendI32U, index), kept, found));
    } else {
      context.writeOperand(o0, b.select(index, context.readOperand(o0), found));
    }
  };
}

const tzcnt: Lifter = (context, instruction) => {
  const { b } = context;
  const { o0, o1 } = instruction;
  const { width } = o0;
  const source = context.readOperand(o1);
  // A one above the operand stops the count there.
  const bounded = width === 16 ? b.binary(Op.i32Or, source, b.i32(0x10000)) : source;
  countFlags(context, source, trailingZeros(context, bounded, width), width);
};

const lzcnt: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  const source = context.readOperand(o1);
  countFlags(context, source, leadingZeros(context, source, o0.width), o0.width);
};

/** CF: the source is zero. ZF: the result is. */
function countFlags(context: LiftContext, source: number, result: number, width: number): void {
  context.flags.zeroAndCarry(result, source, width);
  context.writeOperand(context.instruction.o0, result);
}

const popcnt: Lifter = (context, instruction) => {
  const { b } = context;
  const { o0, o1 } = instruction;
  const { width } = o0;
  const source = context.zeroExtend(context.readOperand(o1), width);
  const ones = b.unary(width === 64 ? Op.i64Popcnt : Op.i32Popcnt, source);
  context.flags.zeroOnly(ones, width, b.i32(0));
  context.writeOperand(o0, ones);
};

export const bit: Readonly<Record<string, Lifter>> = {
  bt: bitTest(noChange),
  bts: bitTest(setBit),
  btr: bitTest(clearBit),
  btc: bitTest(flipBit),
  bsf: scan(false),
  bsr: scan(true),
  tzcnt,
  lzcnt,
  popcnt,
};
