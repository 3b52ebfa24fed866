/**
 * BMI1, BMI2 and CRC32 (Intel SDM vol. 1, 7.3.16, 7.3.17). Shifts and multiplication without flags stand with their kin.
 */
import { Op } from "@doppel/dbt-core";
import { helperIndex } from "../helpers.ts";
import type { LiftContext, Lifter } from "./context.ts";

const pdepHelper = helperIndex("pdep");
const pextHelper = helperIndex("pext");
const highHalfHelper = helperIndex("highHalf");
const crc32cHelper = helperIndex("crc32c");

const andn: Lifter = (context, instruction) => {
  const { o0, o1, o2 } = instruction;
  const { width } = o0;
  const inverse = context.binary(Op.i32Xor, Op.i64Xor, context.readOperand(o1), context.constant(-1, width), width);
  const result = context.binary(Op.i32And, Op.i64And, inverse, context.readOperand(o2), width);
  context.flags.logic(result, width);
  context.writeOperand(o0, result);
};

/** `value` without its bits from `length` (i32, any) on. */
function lowBits(context: LiftContext, value: number, length: number, width: number): number {
  const { b } = context;
  const one = context.constant(1, width);
  const power = context.binary(Op.i32Shl, Op.i64Shl, one, context.fromI32(length, width), width);
  const mask = context.binary(Op.i32Sub, Op.i64Sub, power, one, width);
  const kept = context.binary(Op.i32And, Op.i64And, value, mask, width);
  return b.select(kept, value, b.binary(Op.i32LtU, length, b.i32(width)));
}

const bextr: Lifter = (context, instruction) => {
  const { b } = context;
  const { o0, o1, o2 } = instruction;
  const { width } = o0;
  const control = context.toI32(context.readOperand(o2), width);
  const start = b.binary(Op.i32And, control, b.i32(0xff));
  const length = b.binary(Op.i32And, b.binary(Op.i32ShrU, control, b.i32(8)), b.i32(0xff));
  const value = context.readOperand(o1);
  const shifted = context.binary(Op.i32ShrU, Op.i64ShrU, value, context.fromI32(start, width), width);
  const inside = b.select(shifted, context.constant(0, width), b.binary(Op.i32LtU, start, b.i32(width)));
  const result = lowBits(context, inside, length, width);
  context.flags.logic(result, width);
  context.writeOperand(o0, result);
};

const bzhi: Lifter = (context, instruction) => {
  const { b } = context;
  const { o0, o1, o2 } = instruction;
  const { width } = o0;
  const length = b.binary(Op.i32And, context.toI32(context.readOperand(o2), width), b.i32(0xff));
  const result = lowBits(context, context.readOperand(o1), length, width);
  context.flags.logic(result, width);
  context.flags.setCarry(b.binary(Op.i32GeU, length, b.i32(width)));
  context.writeOperand(o0, result);
};

/** BLSI, BLSMSK, BLSR: the value and its neighbour, combined; CF says whether the value is (not) zero. */
function lowestBit(op32: number, op64: number, negated: boolean): Lifter {
  return (context, instruction) => {
    const { o0, o1 } = instruction;
    const { width } = o0;
    const value = context.readOperand(o1);
    const zero = context.constant(0, width);
    const other = negated
      ? context.binary(Op.i32Sub, Op.i64Sub, zero, value, width)
      : context.binary(Op.i32Sub, Op.i64Sub, value, context.constant(1, width), width);
    const result = context.binary(op32, op64, value, other, width);
    context.flags.logic(result, width);
    const carry = negated
      ? context.binary(Op.i32Ne, Op.i64Ne, value, zero, width)
      : context.b.unary(width === 64 ? Op.i64Eqz : Op.i32Eqz, value);
    context.flags.setCarry(carry);
    context.writeOperand(o0, result);
  };
}

function scatterGather(helper: number): Lifter {
  return (context, instruction) => {
    const { b } = context;
    const { o0, o1, o2 } = instruction;
    const { width } = o0;
    const source = context.readOperand(o1);
    const mask = context.readOperand(o2);
    const nothing = b.i32(0);
    if (width === 32) {
      context.writeOperand(o0, context.helper4(helper, source, nothing, mask, nothing));
      return;
    }
    const low = context.helper4(
      helper,
      b.unary(Op.i32WrapI64, source),
      context.highHalf(source),
      b.unary(Op.i32WrapI64, mask),
      context.highHalf(mask),
    );
    context.writeOperand(o0, context.joinHalves(low, context.helper0(highHalfHelper)));
  };
}

const crc32: Lifter = (context, instruction) => {
  const { b } = context;
  const { o0, o1 } = instruction;
  const before = context.readRegister(o0.register, 32);
  const data = context.readOperand(o1);
  let crc: number;
  if (o1.width === 64) {
    const four = b.i32(4);
    const first = context.helper3(crc32cHelper, before, b.unary(Op.i32WrapI64, data), four);
    crc = context.helper3(crc32cHelper, first, context.highHalf(data), four);
  } else {
    crc = context.helper3(crc32cHelper, before, data, b.i32(o1.width / 8));
  }
  context.writeRegister(o0.register, 32, crc);
};

export const bmi: Readonly<Record<string, Lifter>> = {
  andn,
  bextr,
  bzhi,
  blsi: lowestBit(Op.i32And, Op.i64And, true),
  blsmsk: lowestBit(Op.i32Xor, Op.i64Xor, false),
  blsr: lowestBit(Op.i32And, Op.i64And, false),
  pdep: scatterGather(pdepHelper),
  pext: scatterGather(pextHelper),
  crc32,
};
