/**
 * Shifts and rotates (Intel SDM vol. 1, 7.3.6; vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD).
 *
 * The count is taken modulo 32, or 64 for 64-bit operands. A count of zero changes no flag: where the count is in CL, the
 * new record is chosen when the code runs. OF is defined for counts of one; for others it is as the formula for one gives.
 */
import { Op } from "@doppel/dbt-core";
import { FlagBit, FlagKind } from "@doppel/lazy-flags";
import { type Operand, OperandKind } from "../decode/instruction.ts";
import type { LiftContext, Lifter } from "./context.ts";

/** Node of a value's highest bit (as bit 0), or the one `below` it. */
function topBit(context: LiftContext, value: number, width: number, below = 0): number {
  const { b } = context;
  if (width === 64) {
    return b.binary(Op.i32And, b.unary(Op.i32WrapI64, b.binary(Op.i64ShrU, value, b.i64(63 - below))), b.i32(1));
  }
  return b.binary(Op.i32And, b.binary(Op.i32ShrU, value, b.i32(width - 1 - below)), b.i32(1));
}

/** Bit 0 of a value of any width. */
function bit0(context: LiftContext, value: number, width: number): number {
  return context.b.binary(Op.i32And, context.toI32(value, width), context.b.i32(1));
}

/** The count, masked: a constant in `constantCount`, or a node. */
class Count {
  /** -1 when only known at run time. */
  constant = -1;
  /** i32. */
  node = -1;

  read(context: LiftContext, operand: Operand, width: number): void {
    const { b, instruction } = context;
    const mask = width === 64 ? 63 : 31;
    if (operand.kind === OperandKind.imm) {
      this.constant = instruction.immediateLow & mask;
      this.node = b.i32(this.constant);
    } else {
      this.constant = -1;
      this.node = b.binary(Op.i32And, context.readOperand(operand), b.i32(mask));
    }
  }
}
const count = new Count();

/** `count` less or more a constant, as an operand for a shift of `width` bits. */
function countOperand(context: LiftContext, width: number, plus = 0, negate = false): number {
  const { b } = context;
  const node = negate ? b.binary(Op.i32Sub, b.i32(plus), count.node) : b.binary(Op.i32Add, count.node, b.i32(plus));
  return context.fromI32(node, width);
}

/** A 64-bit value moved up so that the bit shifted out of the operand is on top. */
function toTop(context: LiftContext, value: number, distance: number): number {
  return context.b.binary(Op.i64Shl, value, distance);
}

/** Starts recording what a count of zero undoes. @returns false when the count is constantly zero: no flag changes */
function beginFlags(context: LiftContext): boolean {
  if (count.constant === 0) return false;
  if (count.constant < 0) context.flags.remember();
  return true;
}

function endFlags(context: LiftContext): void {
  if (count.constant < 0) context.flags.keepIf(count.node);
}

const shl: Lifter = (context, instruction) => {
  const { b } = context;
  const { o0, o1 } = instruction;
  const { width } = o0;
  const value = context.readDestination(o0);
  count.read(context, o1, width);
  const result = context.binary(Op.i32Shl, Op.i64Shl, value, countOperand(context, width), width);
  if (beginFlags(context)) {
    // The last bit out: `width - count` of the value; for narrow values, bit `width` of the result.
    let out: number;
    let source: number;
    if (width >= 32) {
      const place = countOperand(context, width, width, true);
      out = bit0(context, context.binary(Op.i32ShrU, Op.i64ShrU, value, place, width), width);
      source = toTop(context, context.toI64(value, width), countOperand(context, 64, 63 - width));
    } else {
      const wide = b.binary(Op.i32Shl, context.zeroExtend(value, width), count.node);
      out = b.binary(Op.i32And, b.binary(Op.i32ShrU, wide, b.i32(width)), b.i32(1));
      source = toTop(context, b.unary(Op.i64ExtendI32U, wide), b.i64(63 - width));
    }
    context.flags.shift(FlagKind.shiftLeft, result, out, source, width);
    endFlags(context);
  }
  context.writeDestination(o0, result);
};

function shiftRight(op32: number, op64: number, signed: boolean): Lifter {
  return (context, instruction) => {
    const { o0, o1 } = instruction;
    const { width } = o0;
    const raw = context.readDestination(o0);
    const value = signed ? context.signExtend(raw, width) : context.zeroExtend(raw, width);
    count.read(context, o1, width);
    const result = context.binary(op32, op64, value, countOperand(context, width), width);
    if (beginFlags(context)) {
      const out = context.binary(op32, op64, value, countOperand(context, width, -1), width);
      const whole = signed ? context.toI64Signed(value, width) : context.toI64(value, width);
      const source = toTop(context, whole, countOperand(context, 64, 64, true));
      context.flags.shift(FlagKind.shiftRight, result, bit0(context, out, width), source, width);
      endFlags(context);
    }
    context.writeDestination(o0, result);
  };
}

function rotate(left: boolean): Lifter {
  return (context, instruction) => {
    const { b } = context;
    const { o0, o1 } = instruction;
    const { width } = o0;
    const value = context.readDestination(o0);
    count.read(context, o1, width);
    let result: number;
    if (width >= 32) {
      const distance = countOperand(context, width);
      result = left
        ? context.binary(Op.i32Rotl, Op.i64Rotl, value, distance, width)
        : context.binary(Op.i32Rotr, Op.i64Rotr, value, distance, width);
    } else {
      const narrow = context.zeroExtend(value, width);
      const forth = b.binary(Op.i32And, count.node, b.i32(width - 1));
      const back = b.binary(Op.i32Sub, b.i32(width), forth);
      result = b.binary(
        Op.i32Or,
        b.binary(left ? Op.i32Shl : Op.i32ShrU, narrow, forth),
        b.binary(left ? Op.i32ShrU : Op.i32Shl, narrow, back),
      );
    }
    if (beginFlags(context)) {
      const top = topBit(context, result, width);
      const carry = left ? bit0(context, result, width) : top;
      const overflow = b.binary(Op.i32Xor, top, left ? carry : topBit(context, result, width, 1));
      context.flags.setCarryAndOverflow(carry, overflow);
      endFlags(context);
    }
    context.writeDestination(o0, result);
  };
}

/** RCL and RCR: rotates of the value with CF above it. */
function rotateThroughCarry(left: boolean): Lifter {
  return (context, instruction) => {
    const { b, flags } = context;
    const { o0, o1 } = instruction;
    const { width } = o0;
    const value = context.readDestination(o0);
    count.read(context, o1, width);
    if (count.constant === 0) {
      context.writeDestination(o0, value);
      return;
    }
    const carryIn = flags.flag(FlagBit.carry);
    let result: number;
    let carry: number;
    let nothing = count.node;
    if (width === 64) {
      const carried = b.unary(Op.i64ExtendI32U, carryIn);
      const one = b.i64(1);
      const forth = countOperand(context, 64);
      const back = countOperand(context, 64, 64, true);
      const beyond = left ? b.binary(Op.i64ShrU, value, one) : b.binary(Op.i64Shl, value, one);
      const toCarry = left ? countOperand(context, 64, -1) : back;
      const turned = b.binary(
        Op.i64Or,
        b.binary(left ? Op.i64Shl : Op.i64ShrU, value, forth),
        b.binary(left ? Op.i64ShrU : Op.i64Shl, beyond, back),
      );
      const rotated = b.binary(Op.i64Or, turned, b.binary(Op.i64Shl, carried, toCarry));
      carry = bit0(context, b.binary(Op.i64ShrU, value, left ? back : countOperand(context, 64, -1)), 64);
      result = count.constant > 0 ? rotated : b.select(rotated, value, count.node);
    } else {
      // In 64 bits the value and CF fit beside their copy.
      const places = width + 1;
      if (width < 32) {
        nothing = b.binary(Op.i32RemU, count.node, b.i32(places));
        if (count.constant > 0) nothing = b.i32(count.constant % places);
      }
      const whole = b.binary(
        Op.i64Or,
        context.toI64(value, width),
        b.binary(Op.i64Shl, b.unary(Op.i64ExtendI32U, carryIn), b.i64(width)),
      );
      const forth = b.unary(Op.i64ExtendI32U, nothing);
      const back = b.unary(Op.i64ExtendI32U, b.binary(Op.i32Sub, b.i32(places), nothing));
      const rotated = b.binary(
        Op.i64Or,
        b.binary(left ? Op.i64Shl : Op.i64ShrU, whole, forth),
        b.binary(left ? Op.i64ShrU : Op.i64Shl, whole, back),
      );
      result = b.unary(Op.i32WrapI64, rotated);
      carry = bit0(context, b.binary(Op.i64ShrU, rotated, b.i64(width)), 64);
    }
    if (count.constant < 0) flags.remember();
    const top = topBit(context, result, width);
    flags.setCarryAndOverflow(carry, b.binary(Op.i32Xor, top, left ? carry : topBit(context, result, width, 1)));
    if (count.constant < 0) flags.keepIf(count.node);
    context.writeDestination(o0, result);
  };
}

/** SHLD and SHRD: shifts of a value with bits of another coming in. */
function doubleShift(left: boolean): Lifter {
  return (context, instruction) => {
    const { b } = context;
    const { o0, o1, o2 } = instruction;
    const { width } = o0;
    const value = context.readDestination(o0);
    const filler = context.readOperand(o1);
    count.read(context, o2, width);
    let result: number;
    let out: number;
    let source: number;
    if (width === 64) {
      const forth = countOperand(context, 64);
      const back = countOperand(context, 64, 64, true);
      source = toTop(context, value, left ? countOperand(context, 64, -1) : back);
      const shifted = b.binary(
        Op.i64Or,
        b.binary(left ? Op.i64Shl : Op.i64ShrU, value, forth),
        b.binary(left ? Op.i64ShrU : Op.i64Shl, filler, back),
      );
      result = count.constant === 0 ? value : count.constant > 0 ? shifted : b.select(shifted, value, count.node);
      out = bit0(context, b.binary(Op.i64ShrU, value, left ? back : countOperand(context, 64, -1)), 64);
    } else if (width === 32) {
      const forth = b.unary(Op.i64ExtendI32U, count.node);
      const distance = left ? countOperand(context, 64, 31) : countOperand(context, 64, 64, true);
      source = toTop(context, context.toI64(value, 32), distance);
      const both = left ? context.joinHalves(filler, value) : context.joinHalves(value, filler);
      result = left
        ? context.highHalf(b.binary(Op.i64Shl, both, forth))
        : b.unary(Op.i32WrapI64, b.binary(Op.i64ShrU, both, forth));
      out = bit0(context, b.binary(Op.i32ShrU, value, countOperand(context, 32, left ? 32 : -1, left)), 32);
    } else {
      // Counts above 16 are undefined for the result; what comes in then is the value again.
      const narrow = context.zeroExtend(value, 16);
      const middle = b.binary(Op.i32Shl, context.zeroExtend(filler, 16), b.i32(16));
      const forth = b.unary(Op.i64ExtendI32U, count.node);
      if (left) {
        // value : filler : value
        const lower = b.binary(Op.i32Or, middle, narrow);
        const whole = context.joinHalves(lower, narrow);
        const shifted = b.binary(Op.i64Shl, whole, forth);
        result = context.highHalf(shifted);
        source = toTop(context, shifted, b.i64(15));
        out = bit0(context, b.binary(Op.i64ShrU, shifted, b.i64(48)), 64);
      } else {
        const whole = context.joinHalves(b.binary(Op.i32Or, middle, narrow), narrow);
        result = b.unary(Op.i32WrapI64, b.binary(Op.i64ShrU, whole, forth));
        source = toTop(context, whole, countOperand(context, 64, 64, true));
        out = bit0(context, b.binary(Op.i64ShrU, whole, countOperand(context, 64, -1)), 64);
      }
    }
    if (beginFlags(context)) {
      context.flags.shift(left ? FlagKind.shiftLeft : FlagKind.shiftRight, result, out, source, width);
      endFlags(context);
    }
    context.writeDestination(o0, result);
  };
}

/** RORX, SARX, SHLX, SHRX (BMI2): no flags, the count in an operand of its own. */
function shiftWithoutFlags(op32: number, op64: number): Lifter {
  return (context, instruction) => {
    const { o0, o1, o2 } = instruction;
    const { width } = o0;
    const value = context.readOperand(o1);
    const distance =
      o2.kind === OperandKind.imm
        ? context.constant(instruction.immediateLow & 63, width)
        : context.readOperand(o2, width);
    // WebAssembly takes counts modulo the width too.
    context.writeOperand(o0, context.binary(op32, op64, value, distance, width));
  };
}

export const shiftRotate: Readonly<Record<string, Lifter>> = {
  shl,
  shr: shiftRight(Op.i32ShrU, Op.i64ShrU, false),
  sar: shiftRight(Op.i32ShrS, Op.i64ShrS, true),
  rol: rotate(true),
  ror: rotate(false),
  rcl: rotateThroughCarry(true),
  rcr: rotateThroughCarry(false),
  shld: doubleShift(true),
  shrd: doubleShift(false),
  rorx: shiftWithoutFlags(Op.i32Rotr, Op.i64Rotr),
  sarx: shiftWithoutFlags(Op.i32ShrS, Op.i64ShrS),
  shlx: shiftWithoutFlags(Op.i32Shl, Op.i64Shl),
  shrx: shiftWithoutFlags(Op.i32ShrU, Op.i64ShrU),
};
