/**
 * SSE comparisons: CMPxx with 8 (SSE) or 32 (AVX) predicates, COMISx, UCOMISx.
 *
 * The one idea: two operands stand in one of four relations; a predicate is the set of relations it holds for, and
 * whether a quiet NaN is invalid to it. Source: Intel SDM Vol. 2, CMPPD (tables 3-1 and 3-3), COMISD, UCOMISD.
 */
import { DE, IE } from "./control.ts";
import { DENORMAL, QNAN, SNAN } from "./f80-round.ts";
import { orderOfOperands } from "./sse-arithmetic.ts";
import { OPERAND_KIND, operandA, operandB, unpack } from "./sse-operand.ts";

const LESS = 1;
const EQUAL = 2;
const GREATER = 4;
const UNORDERED = 8;

/** Relations that satisfy predicate p & 15: EQ LT LE UNORD NEQ NLT NLE ORD EQ_U NGE NGT FALSE NEQ_O GE GT TRUE. */
const SATISFIED = [2, 1, 3, 8, 13, 14, 12, 7, 10, 9, 11, 0, 5, 6, 4, 15] as const;
/** Predicates below 16 to which a quiet NaN is invalid (LT LE NLT NLE NGE NGT GE GT); from 16 on the others. */
const SIGNALLING = 0x6666;

let flagsOfRelation = 0;

function relation(quiet: boolean): number {
  const aKind = operandA[OPERAND_KIND];
  const bKind = operandB[OPERAND_KIND];
  if (aKind >= QNAN || bKind >= QNAN) {
    flagsOfRelation = !quiet || aKind === SNAN || bKind === SNAN ? IE : 0;
    return UNORDERED;
  }
  flagsOfRelation = aKind === DENORMAL || bKind === DENORMAL ? DE : 0;
  const order = orderOfOperands();
  return order === 0 ? EQUAL : order < 0 ? LESS : GREATER;
}

/** Set in what {@link sseCompare} returns if the predicate holds; the low six bits are the exception flags. */
export const COMPARE_TRUE = 0x100;

/** CMPxx with `predicate` 0 to 31. */
export function sseCompare(
  predicate: number,
  format: number,
  aLo: number,
  aHi: number,
  bLo: number,
  bHi: number,
  mxcsr: number,
): number {
  unpack(operandA, format, aLo, aHi, mxcsr);
  unpack(operandB, format, bLo, bHi, mxcsr);
  const base = predicate & 15;
  const signals = ((SIGNALLING >>> base) & 1) !== ((predicate >>> 4) & 1);
  const holds = (SATISFIED[base] & relation(!signals)) !== 0;
  return flagsOfRelation | (holds ? COMPARE_TRUE : 0);
}

/** COMISx (`quiet` false), UCOMISx (`quiet` true): ZF, PF, CF at bits 14, 10, 8 (their EFLAGS places, times 256). */
export function sseOrdered(
  quiet: boolean,
  format: number,
  aLo: number,
  aHi: number,
  bLo: number,
  bHi: number,
  mxcsr: number,
): number {
  unpack(operandA, format, aLo, aHi, mxcsr);
  unpack(operandB, format, bLo, bHi, mxcsr);
  const found = relation(quiet);
  const eflags = found === UNORDERED ? 0x45 : found === EQUAL ? 0x40 : found === LESS ? 1 : 0;
  return flagsOfRelation | (eflags << 8);
}
