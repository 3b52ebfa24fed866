/**
 * Packed shifts. wasm takes counts modulo the lane's width; x86 gives zeros, or copies of the sign, for a count beyond
 * it, and takes the count from all 64 low bits of its operand (Intel SDM vol. 2, PSLLW …).
 */
import { Op } from "@doppel/dbt-core";
import { OperandKind } from "../decode/instruction.ts";
import type { Lifter } from "./context.ts";
import { checkPending, getXmm, type LifterTable, readMmx, readVector, setXmm, writeMmx, zero } from "./sse-operands.ts";

function shift(op: number, bits: number, arithmetic: boolean): Lifter {
  return (context, instruction) => {
    const { b } = context;
    const { o0, o1 } = instruction;
    const mmx = o0.kind === OperandKind.mmx;
    if (mmx) checkPending(context);
    let count: number;
    // All ones where the count is within the lane: what is left of a logical shift.
    let mask = -1;
    if (o1.kind === OperandKind.imm) {
      const wanted = instruction.immediateLow & 0xff;
      if (wanted >= bits && !arithmetic) {
        if (mmx) writeMmx(context, o0, b.i64(0));
        else setXmm(context, o0, zero(b));
        return;
      }
      count = b.i32(wanted >= bits ? bits - 1 : wanted);
    } else {
      const whole = mmx ? readMmx(context, o1) : b.extractLane(Op.i64x2ExtractLane, readVector(context, o1), 0);
      const within = b.binary(Op.i64LtU, whole, b.i64(bits));
      count = b.unary(Op.i32WrapI64, whole);
      if (arithmetic) count = b.select(count, b.i32(bits - 1), within);
      else mask = b.unary(Op.i64x2Splat, b.select(b.i64(-1), b.i64(0), within));
    }
    const value = mmx ? b.unary(Op.i64x2Splat, readMmx(context, o0)) : getXmm(context, o0);
    let result = b.binary(op, value, count);
    if (mask >= 0) result = b.binary(Op.v128And, result, mask);
    if (mmx) writeMmx(context, o0, b.extractLane(Op.i64x2ExtractLane, result, 0));
    else setXmm(context, o0, result);
  };
}

export const sseShifts: LifterTable = {
  psllw: shift(Op.i16x8Shl, 16, false),
  pslld: shift(Op.i32x4Shl, 32, false),
  psllq: shift(Op.i64x2Shl, 64, false),
  psrlw: shift(Op.i16x8ShrU, 16, false),
  psrld: shift(Op.i32x4ShrU, 32, false),
  psrlq: shift(Op.i64x2ShrU, 64, false),
  psraw: shift(Op.i16x8ShrS, 16, true),
  psrad: shift(Op.i32x4ShrS, 32, true),
};
