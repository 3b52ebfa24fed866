/**
 * The exact mode without its helpers, where flags cannot change.
 *
 * Once PE is set, an operation on ordinary numbers with an ordinary result has nothing to say to an MXCSR with round to
 * nearest, no DAZ or FTZ and everything masked: most of what a program does that has cleared its flags. Such an
 * instruction is lifted in two parts: the first works out the result as in the fast mode and goes on behind the
 * instruction if it was of that kind; the second is the helper's. Comparisons, which set EFLAGS, ask first and have three.
 */
import { blockKey, Op, type RegionBuilder } from "@doppel/dbt-core";
import { type Instruction, Mnemonic, type Operand } from "../decode/instruction.ts";
import { Slot } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";
import { getXmm, lowF32, lowF64, readF32, readF64, readPart, setXmm, withLowF32, withLowF64 } from "./sse-operands.ts";

/** RC, FTZ, DAZ, the masks and PE; and what they have to be. */
const CONTROL = 0xffe0;
const ORDINARY_CONTROL = 0x1fa0;

/** Operations of one format, scalar or vector: comparisons give i32 or lanes of ones. */
export interface Checks {
  readonly abs: number;
  readonly eq: number;
  readonly lt: number;
  readonly gt: number;
  readonly ge: number;
  readonly format: number;
  readonly vector: boolean;
}
export const checks32: Checks = {
  abs: Op.f32Abs,
  eq: Op.f32Eq,
  lt: Op.f32Lt,
  gt: Op.f32Gt,
  ge: Op.f32Ge,
  format: 32,
  vector: false,
};
export const checks64: Checks = {
  abs: Op.f64Abs,
  eq: Op.f64Eq,
  lt: Op.f64Lt,
  gt: Op.f64Gt,
  ge: Op.f64Ge,
  format: 64,
  vector: false,
};
export const checks32x4: Checks = {
  abs: Op.f32x4Abs,
  eq: Op.f32x4Eq,
  lt: Op.f32x4Lt,
  gt: Op.f32x4Gt,
  ge: Op.f32x4Ge,
  format: 32,
  vector: true,
};
export const checks64x2: Checks = {
  abs: Op.f64x2Abs,
  eq: Op.f64x2Eq,
  lt: Op.f64x2Lt,
  gt: Op.f64x2Gt,
  ge: Op.f64x2Ge,
  format: 64,
  vector: true,
};

function constant(b: RegionBuilder, by: Checks, bits32: number, high64: number): number {
  const scalar =
    by.format === 32 ? b.unary(Op.f32ReinterpretI32, b.i32(bits32)) : b.unary(Op.f64ReinterpretI64, b.i64(0, high64));
  if (!by.vector) return scalar;
  return b.unary(by.format === 32 ? Op.f32x4Splat : Op.f64x2Splat, scalar);
}
const zeroOf = (b: RegionBuilder, by: Checks): number => constant(b, by, 0, 0);
const leastNormal = (b: RegionBuilder, by: Checks): number => constant(b, by, 0x00800000, 0x00100000);
const infinity = (b: RegionBuilder, by: Checks): number => constant(b, by, 0x7f800000, 0x7ff00000);

const both = (b: RegionBuilder, by: Checks, p: number, q: number): number =>
  b.binary(by.vector ? Op.v128And : Op.i32And, p, q);
const either = (b: RegionBuilder, by: Checks, p: number, q: number): number =>
  b.binary(by.vector ? Op.v128Or : Op.i32Or, p, q);

/** Zero, normal or infinite: raises neither DE nor IE by itself. */
function isPlain(b: RegionBuilder, by: Checks, x: number): number {
  const normal = b.binary(by.ge, b.unary(by.abs, x), leastNormal(b, by));
  return either(b, by, normal, b.binary(by.eq, x, zeroOf(b, by)));
}

/** Neither infinite nor NaN: neither OE, ZE nor IE. */
function isFinite(b: RegionBuilder, by: Checks, r: number): number {
  return b.binary(by.lt, b.unary(by.abs, r), infinity(b, by));
}

/** An i32 that holds if MXCSR and all lanes of `condition` allow the result. */
function allowed(context: LiftContext, by: Checks, condition: number): number {
  const { b } = context;
  const control = b.binary(Op.i32Eq, b.binary(Op.i32And, b.get(Slot.mxcsr), b.i32(CONTROL)), b.i32(ORDINARY_CONTROL));
  const lanes = by.vector ? b.unary(Op.i32x4AllTrue, condition) : condition;
  return b.binary(Op.i32And, control, lanes);
}

/** Sums and differences: what is below the normal range is exact, so only overflow counts. */
export function sumAllowed(context: LiftContext, by: Checks, r: number, x: number, y: number): number {
  const { b } = context;
  const operands = both(b, by, isPlain(b, by, x), isPlain(b, by, y));
  return allowed(context, by, both(b, by, isFinite(b, by, r), operands));
}

/** Products and quotients: an operand of zero (as a divisor it gives no finite result), or a result above the least normal number, which it was not rounded up to. */
export function productAllowed(context: LiftContext, by: Checks, r: number, x: number, y: number): number {
  const { b } = context;
  const operands = both(b, by, isPlain(b, by, x), isPlain(b, by, y));
  const zero = either(b, by, b.binary(by.eq, x, zeroOf(b, by)), b.binary(by.eq, y, zeroOf(b, by)));
  const size = either(b, by, b.binary(by.gt, b.unary(by.abs, r), leastNormal(b, by)), zero);
  return allowed(context, by, both(b, by, both(b, by, isFinite(b, by, r), size), operands));
}

function rootAllowed(context: LiftContext, by: Checks, r: number, x: number): number {
  const { b } = context;
  return allowed(context, by, both(b, by, isFinite(b, by, r), isPlain(b, by, x)));
}

/** MIN and MAX, as comparisons. */
export function extremumAllowed(context: LiftContext, by: Checks, _r: number, x: number, y: number): number {
  return comparisonAllowed(context, by, x, y);
}

/** Comparisons raise IE for NaNs and DE, no more. */
export function comparisonAllowed(context: LiftContext, by: Checks, x: number, y: number): number {
  const { b } = context;
  return allowed(context, by, both(b, by, isPlain(b, by, x), isPlain(b, by, y)));
}

/** To an integer: inside its range. A value that is not integral raises PE, which is set. */
export function integerAllowed(context: LiftContext, by: Checks, x: number, limit: number): number {
  return allowed(context, by, context.b.binary(by.lt, context.b.unary(by.abs, x), limit));
}

/** From an integer: PE at most. */
export function conversionAllowed(context: LiftContext): number {
  return allowed(context, checks32, context.b.i32(1));
}

/** To the other format: a plain operand, and the narrower result in the normal range or an operand of zero. */
function formatAllowed(context: LiftContext, from: Checks, x: number, to: Checks, r: number): number {
  const { b } = context;
  const size = b.binary(Op.i32And, isFinite(b, to, r), b.binary(to.gt, b.unary(to.abs, r), leastNormal(b, to)));
  const zero = b.binary(from.eq, x, zeroOf(b, from));
  return allowed(context, from, b.binary(Op.i32And, isPlain(b, from, x), b.binary(Op.i32Or, size, zero)));
}

type Rule = (context: LiftContext, by: Checks, r: number, x: number, y: number) => number;

/** Sets the destination to `value` and goes on behind the instruction if `holds`; else all is as it was in part 1. */
function finish(context: LiftContext, operand: Operand, value: number, holds: number): void {
  const { b } = context;
  setXmm(context, operand, b.select(value, getXmm(context, operand), holds));
  b.branch(holds, blockKey(b.nextOffset), blockKey(b.instructionOffset, 1));
}

/** `op(destination, source)` on vectors (ADDPS …). `swapped` for pmin and pmax. */
export function inlineVector(op: number, by: Checks, rule: Rule, exact: Lifter, swapped = false): Lifter {
  return (context, instruction) => {
    if (context.part !== 0) {
      exact(context, instruction);
      return;
    }
    const { o0, o1 } = instruction;
    const y = readPart(context, o1);
    const x = getXmm(context, o0);
    const r = swapped ? context.b.binary(op, y, x) : context.b.binary(op, x, y);
    finish(context, o0, r, rule(context, by, r, x, y));
  };
}

/** `op(destination, source)` on scalars (ADDSS …). */
export function inlineScalar(op: number, by: Checks, rule: Rule, exact: Lifter): Lifter {
  return (context, instruction) => {
    if (context.part !== 0) {
      exact(context, instruction);
      return;
    }
    const { o0, o1 } = instruction;
    const y = readScalar(context, by, o1);
    const old = getXmm(context, o0);
    const x = low(context, by, old);
    const r = context.b.binary(op, x, y);
    finish(context, o0, withLow(context, by, old, r), rule(context, by, r, x, y));
  };
}

/** MINSS … by a vector operation that takes the operands swapped. */
export function inlineScalarExtremum(op: number, by: Checks, exact: Lifter): Lifter {
  return (context, instruction) => {
    if (context.part !== 0) {
      exact(context, instruction);
      return;
    }
    const { o0, o1 } = instruction;
    const y = readPart(context, o1);
    const old = getXmm(context, o0);
    const r = low(context, by, context.b.binary(op, y, old));
    const holds = comparisonAllowed(context, by, low(context, by, old), low(context, by, y));
    finish(context, o0, withLow(context, by, old, r), holds);
  };
}

/** SQRTSS, SQRTSD. */
export function inlineRoot(op: number, by: Checks, exact: Lifter): Lifter {
  return (context, instruction) => {
    if (context.part !== 0) {
      exact(context, instruction);
      return;
    }
    const { o0, o1 } = instruction;
    const x = readScalar(context, by, o1);
    const r = context.b.unary(op, x);
    finish(context, o0, withLow(context, by, getXmm(context, o0), r), rootAllowed(context, by, r, x));
  };
}

/** CVTSS2SD, CVTSD2SS. */
export function inlineFormat(op: number, from: Checks, to: Checks, exact: Lifter): Lifter {
  return (context, instruction) => {
    if (context.part !== 0) {
      exact(context, instruction);
      return;
    }
    const { o0, o1 } = instruction;
    const x = readScalar(context, from, o1);
    const r = context.b.unary(op, x);
    finish(context, o0, withLow(context, to, getXmm(context, o0), r), formatAllowed(context, from, x, to, r));
  };
}

function readScalar(context: LiftContext, by: Checks, operand: Operand): number {
  return by.format === 64 ? readF64(context, operand) : readF32(context, operand);
}
function low(context: LiftContext, by: Checks, value: number): number {
  return by.format === 64 ? lowF64(context.b, value) : lowF32(context.b, value);
}
function withLow(context: LiftContext, by: Checks, value: number, scalar: number): number {
  return by.format === 64 ? withLowF64(context.b, value, scalar) : withLowF32(context.b, value, scalar);
}

/** Part 0 asks, part 1 is `exact`, part 2 is `fast`: for what changes other things than an XMM register. */
export function askFirst(
  ask: (context: LiftContext, instruction: Instruction) => number,
  fast: Lifter,
  exact: Lifter,
): Lifter {
  return (context, instruction) => {
    const { b } = context;
    if (context.part === 0) {
      b.branch(ask(context, instruction), blockKey(b.instructionOffset, 2), blockKey(b.instructionOffset, 1));
    } else if (context.part === 1) {
      exact(context, instruction);
      b.jump(blockKey(b.nextOffset));
    } else {
      fast(context, instruction);
    }
  };
}

const inTwoParts: ReadonlySet<number> = new Set([
  Mnemonic.addss,
  Mnemonic.addsd,
  Mnemonic.addps,
  Mnemonic.addpd,
  Mnemonic.subss,
  Mnemonic.subsd,
  Mnemonic.subps,
  Mnemonic.subpd,
  Mnemonic.mulss,
  Mnemonic.mulsd,
  Mnemonic.mulps,
  Mnemonic.mulpd,
  Mnemonic.divss,
  Mnemonic.divsd,
  Mnemonic.divps,
  Mnemonic.divpd,
  Mnemonic.sqrtss,
  Mnemonic.sqrtsd,
  Mnemonic.minps,
  Mnemonic.minpd,
  Mnemonic.minss,
  Mnemonic.minsd,
  Mnemonic.maxps,
  Mnemonic.maxpd,
  Mnemonic.maxss,
  Mnemonic.maxsd,
  Mnemonic.cvtss2sd,
  Mnemonic.cvtsd2ss,
]);
const inThreeParts: ReadonlySet<number> = new Set([
  Mnemonic.comiss,
  Mnemonic.comisd,
  Mnemonic.ucomiss,
  Mnemonic.ucomisd,
  Mnemonic.cvttsd2si,
  Mnemonic.cvttss2si,
  Mnemonic.cvtsd2si,
  Mnemonic.cvtss2si,
  Mnemonic.cvtsi2ss,
  Mnemonic.cvtsi2sd,
]);

/** In how many parts an instruction is lifted in the exact mode. */
export function partsInExactMode(mnemonic: number): number {
  return inTwoParts.has(mnemonic) ? 2 : inThreeParts.has(mnemonic) ? 3 : 1;
}
