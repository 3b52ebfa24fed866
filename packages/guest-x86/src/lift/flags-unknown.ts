/**
 * Carry, zero and sign of a record whose kind is known only when the code runs: in line and without a branch, from
 * the slots. See `lazy-flags` for the operation word.
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import { FlagBit, FlagKind, OperationWord } from "@doppel/lazy-flags";
import { Slot } from "../state.ts";

/** Bit `bit` of the operation word. */
export function operationBit(b: RegionBuilder, bit: number): number {
  return b.binary(Op.i32And, b.binary(Op.i32ShrU, b.get(Slot.flagOperation), b.i32(bit)), b.i32(1));
}

/** Given, or `a < b`, or `a <= b` where a carry went in. */
export function carryOfUnknown(b: RegionBuilder): number {
  const first = b.get(Slot.flagA);
  const second = b.get(Slot.flagB);
  const less = b.binary(Op.i64LtU, first, second);
  const level = b.binary(Op.i32And, b.binary(Op.i64Eq, first, second), operationBit(b, OperationWord.carryInBit));
  const compared = b.binary(Op.i32Or, less, level);
  const given = b.binary(Op.i32And, b.get(Slot.flagOperation), b.i32(OperationWord.carryGiven));
  return b.select(operationBit(b, OperationWord.carryBit), compared, given);
}

export function zeroOfUnknown(b: RegionBuilder): number {
  return unlessGiven(b, b.unary(Op.i64Eqz, resultOfUnknown(b)), FlagBit.zero);
}

export function signOfUnknown(b: RegionBuilder): number {
  return unlessGiven(b, b.binary(Op.i64LtS, resultOfUnknown(b), b.i64(0)), FlagBit.sign);
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
