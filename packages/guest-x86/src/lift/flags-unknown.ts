/**
 * Carry, zero and sign of a record whose kind is known only when the code runs: in line and without a branch, from
 * the slots. See `lazy-flags` for the operation word.
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import { CarryRule, FlagBit, FlagKind, OperationWord } from "@doppel/lazy-flags";
import { Slot } from "../state.ts";
import { highProduct, signedDifference } from "./high-product.ts";

/** Bit `bit` of the operation word. */
export function operationBit(b: RegionBuilder, bit: number): number {
  return b.binary(Op.i32And, b.binary(Op.i32ShrU, b.get(Slot.flagOperation), b.i32(bit)), b.i32(1));
}

/** Given, or by the carry rule: `a < b`, or `a <= b` where a carry went in; an overflow; a comparison of numbers. */
export function carryOfUnknown(b: RegionBuilder): number {
  const first = b.get(Slot.flagA);
  const second = b.get(Slot.flagB);
  const less = b.binary(Op.i64LtU, first, second);
  const level = b.binary(Op.i32And, b.binary(Op.i64Eq, first, second), operationBit(b, OperationWord.carryInBit));
  const compared = b.binary(Op.i32Or, less, level);
  const word = b.get(Slot.flagOperation);
  const rule = b.binary(
    Op.i32And,
    b.binary(Op.i32ShrU, word, b.i32(OperationWord.carryRuleShift)),
    b.i32(OperationWord.carryRuleMask),
  );
  const isFloat = b.binary(Op.i32GeU, rule, b.i32(CarryRule.float32));
  const floats = b.unary(
    Op.i32Eqz,
    floatsCompare(b, Op.f32Ge, Op.f64Ge, b.binary(Op.i32Eq, rule, b.i32(CarryRule.float32))),
  );
  const other = b.select(floats, overflowOfUnknown(b, rule), isFloat);
  const computed = b.select(other, compared, rule);
  const given = b.binary(Op.i32And, word, b.i32(OperationWord.carryGiven));
  return b.select(operationBit(b, OperationWord.carryBit), computed, given);
}

/** Whether the product of a and b overflows 64 bits, signed or unsigned. */
function overflowOfUnknown(b: RegionBuilder, rule: number): number {
  const first = b.get(Slot.flagA);
  const second = b.get(Slot.flagB);
  const zero = b.i64(0);
  const isSigned = b.binary(Op.i32Eq, rule, b.i32(CarryRule.multiplySigned));
  const low = b.binary(Op.i64Mul, first, second);
  const difference = b.select(signedDifference(b, first, second), zero, isSigned);
  const extension = b.select(b.binary(Op.i64ShrS, low, b.i64(63)), zero, isSigned);
  const high = b.binary(Op.i64Sub, highProduct(b, first, second), difference);
  return b.binary(Op.i64Ne, high, extension);
}

/** A comparison of a and b as numbers of 32 bits where `single` (i32) says so, else 64. */
function floatsCompare(b: RegionBuilder, op32: number, op64: number, single: number): number {
  const first = b.get(Slot.flagA);
  const second = b.get(Slot.flagB);
  const singles = b.binary(
    op32,
    b.unary(Op.f32ReinterpretI32, b.unary(Op.i32WrapI64, first)),
    b.unary(Op.f32ReinterpretI32, b.unary(Op.i32WrapI64, second)),
  );
  const doubles = b.binary(op64, b.unary(Op.f64ReinterpretI64, first), b.unary(Op.f64ReinterpretI64, second));
  return b.select(singles, doubles, single);
}

export function zeroOfUnknown(b: RegionBuilder): number {
  // A width of 32 bits leaves 32 to spare.
  const spare = b.binary(Op.i32And, b.get(Slot.flagOperation), b.i32(32 << OperationWord.spareShift));
  const less = floatsCompare(b, Op.f32Lt, Op.f64Lt, spare);
  const greater = floatsCompare(b, Op.f32Gt, Op.f64Gt, spare);
  const floats = b.unary(Op.i32Eqz, b.binary(Op.i32Or, less, greater));
  const integers = b.unary(Op.i64Eqz, resultOfUnknown(b));
  return unlessGiven(b, b.select(floats, integers, isFloatCompare(b)), FlagBit.zero);
}

export function signOfUnknown(b: RegionBuilder): number {
  const negative = b.binary(Op.i64LtS, resultOfUnknown(b), b.i64(0));
  return unlessGiven(b, b.select(b.i32(0), negative, isFloatCompare(b)), FlagBit.sign);
}

function isFloatCompare(b: RegionBuilder): number {
  return b.binary(Op.i32Eq, kindOf(b), b.i32(FlagKind.floatCompare));
}

function kindOf(b: RegionBuilder): number {
  return b.binary(Op.i32And, b.get(Slot.flagOperation), b.i32(OperationWord.kindMask));
}

/** `computed`, or the bit of the flags word where that is what the record holds. */
function unlessGiven(b: RegionBuilder, computed: number, flag: number): number {
  const word = b.unary(Op.i32WrapI64, b.get(Slot.flagResult));
  const given = b.binary(Op.i32And, b.binary(Op.i32ShrU, word, b.i32(flag)), b.i32(1));
  // FlagKind.given is 0.
  return b.select(computed, given, kindOf(b));
}

/** The result, shifted so that its sign is bit 63; of no meaning for a given word. */
function resultOfUnknown(b: RegionBuilder): number {
  const first = b.get(Slot.flagA);
  const borrow = b.unary(Op.i64ExtendI32U, operationBit(b, OperationWord.carryInBit));
  const difference = b.binary(Op.i64Sub, b.binary(Op.i64Sub, first, b.get(Slot.flagB)), borrow);
  const isAdd = b.binary(Op.i32Eq, kindOf(b), b.i32(FlagKind.add));
  const isSubtract = b.binary(Op.i32Eq, kindOf(b), b.i32(FlagKind.subtract));
  const result = b.select(difference, b.select(first, b.get(Slot.flagResult), isAdd), isSubtract);
  const spare = b.binary(Op.i32ShrU, b.get(Slot.flagOperation), b.i32(OperationWord.spareShift));
  const count = b.binary(Op.i32And, spare, b.i32(OperationWord.spareMask));
  return b.binary(Op.i64Shl, result, b.unary(Op.i64ExtendI32U, count));
}
