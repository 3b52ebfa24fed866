/**
 * SSE arithmetic in the exact mode: operands go to the vector operand area, a helper does all lanes with MXCSR's
 * rounding, FTZ, DAZ and flags, and says whether an unmasked exception is to be raised (Intel SDM vol. 1, 11.5).
 *
 * Operand slots are no architectural state, so they may be written before the helper has had its say: an instruction
 * that raises #XM has changed nothing but MXCSR's flags, which is what the manual wants.
 */
import { Op } from "@doppel/dbt-core";
import { helperIndex } from "../helpers.ts";
import type { Operand } from "../decode/instruction.ts";
import { ModeBit, Slot, Vector } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";
import { getXmm, readPart, setXmm } from "./sse-operands.ts";

const binaryHelper = helperIndex("sseBinary");
const squareRootHelper = helperIndex("sseSquareRoot");
const roundHelper = helperIndex("sseRound");
const dotHelper = helperIndex("sseDot");

export function isExact(context: LiftContext): boolean {
  context.usedModeBits |= ModeBit.exactFloat;
  return (context.mode & ModeBit.exactFloat) !== 0;
}

/** One lifter for each mode. */
export function modal(fast: Lifter, exact: Lifter): Lifter {
  return (context, instruction) => {
    if (isExact(context)) exact(context, instruction);
    else fast(context, instruction);
  };
}

/** Puts operands where helpers look for them. */
export function passOperands(context: LiftContext, first: number, second = -1): void {
  const { b } = context;
  b.set(Slot.vectorA, first);
  if (second >= 0) b.set(Slot.vectorB, second);
  b.endInstruction();
}

/** Raises #XM if the helper said so; else the vector it left. */
export function takeResult(context: LiftContext, raised: number): number {
  context.raiseIf(raised, Vector.simdFloatingPoint);
  return context.b.get(Slot.vectorResult);
}

const FIRST_4 = [16, 17, 18, 19, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const FIRST_8 = [16, 17, 18, 19, 20, 21, 22, 23, 8, 9, 10, 11, 12, 13, 14, 15];

/** Writes `bytes` (4, 8 or 16) of the result to a register, which keeps the rest. */
export function writeLow(context: LiftContext, operand: Operand, result: number, bytes: number): void {
  const { b } = context;
  if (bytes === 16) setXmm(context, operand, result);
  else setXmm(context, operand, b.shuffle(getXmm(context, operand), result, bytes === 4 ? FIRST_4 : FIRST_8));
}

/** `operation` is one of float/sse-arithmetic's SSE_ADD …; `lanes` 1 for the scalar forms. */
export function exactBinary(operation: number, format: number, lanes: number): Lifter {
  return (context, { o0, o1 }) => {
    const { b } = context;
    const source = readPart(context, o1);
    passOperands(context, getXmm(context, o0), source);
    const raised = context.helper3(binaryHelper, b.i32(operation), b.i32(format), b.i32(lanes));
    writeLow(context, o0, takeResult(context, raised), (format / 8) * lanes);
  };
}

/** HADD, HSUB: the operands are shuffles of both registers. */
export function exactHorizontal(
  operation: number,
  format: number,
  even: readonly number[],
  odd: readonly number[],
): Lifter {
  return (context, { o0, o1 }) => {
    const { b } = context;
    const source = readPart(context, o1);
    const old = getXmm(context, o0);
    passOperands(context, b.shuffle(old, source, even), b.shuffle(old, source, odd));
    const raised = context.helper3(binaryHelper, b.i32(operation), b.i32(format), b.i32(128 / format));
    setXmm(context, o0, takeResult(context, raised));
  };
}

export function exactSquareRoot(format: number, lanes: number): Lifter {
  return (context, { o0, o1 }) => {
    const { b } = context;
    passOperands(context, readPart(context, o1));
    const raised = context.helper2(squareRootHelper, b.i32(format), b.i32(lanes));
    writeLow(context, o0, takeResult(context, raised), (format / 8) * lanes);
  };
}

export function exactRound(format: number, lanes: number): Lifter {
  return (context, { o0, o1, immediateLow }) => {
    const { b } = context;
    passOperands(context, readPart(context, o1));
    const raised = context.helper3(roundHelper, b.i32(format), b.i32(immediateLow & 15), b.i32(lanes));
    writeLow(context, o0, takeResult(context, raised), (format / 8) * lanes);
  };
}

export function exactDot(format: number): Lifter {
  return (context, { o0, o1, immediateLow }) => {
    const { b } = context;
    const source = readPart(context, o1);
    passOperands(context, getXmm(context, o0), source);
    const raised = context.helper2(dotHelper, b.i32(format), b.i32(immediateLow & 0xff));
    setXmm(context, o0, takeResult(context, raised));
  };
}

/** The low 32 or 64 bits of a vector as an integer value. */
export function lowInteger(context: LiftContext, vector: number, width: number): number {
  return context.b.extractLane(width === 64 ? Op.i64x2ExtractLane : Op.i32x4ExtractLane, vector, 0);
}
