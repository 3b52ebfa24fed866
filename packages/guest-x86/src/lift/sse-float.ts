/**
 * SSE floating-point arithmetic in the fast mode: MXCSR is saturated (`mxcsr.ts`), so results are WebAssembly's but for
 * NaNs, and nothing else is observable. In the exact mode a helper
 * call takes the place of each (`sse-exact.ts`), unless no flag can change (`sse-exact-inline.ts`).
 *
 * Source: Intel SDM vol. 2, the instructions' pages; vol. 1, 10.2.3, 11.5 for MXCSR.
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import { SSE_ADD, SSE_DIV, SSE_MAX, SSE_MIN, SSE_MUL, SSE_SUB } from "../float/sse-arithmetic.ts";
import { SSE_ADDSUB } from "../float/sse-unit.ts";
import type { Lifter } from "./context.ts";
import { exactBinary, exactDot, exactHorizontal, exactRound, exactSquareRoot, modal } from "./sse-exact.ts";
import {
  checks32,
  checks32x4,
  checks64,
  checks64x2,
  extremumAllowed,
  inlineRoot,
  inlineScalar,
  inlineScalarExtremum,
  inlineVector,
  productAllowed,
  sumAllowed,
} from "./sse-exact-inline.ts";
import { fixNaN32, fixNaN64, fixNaNs, fixUnaryNaN32, fixUnaryNaN64 } from "./sse-nan.ts";
import {
  getXmm,
  type LifterTable,
  lowF32,
  lowF64,
  readF32,
  readF64,
  readPart,
  readVector,
  setXmm,
  withLowF32,
  withLowF64,
  zero,
} from "./sse-operands.ts";

/** 32 or 64, from the comparison that finds NaNs. */
const formatOf = (notEqual: number): number => (notEqual === Op.f32x4Ne ? 32 : 64);

function scalar64(op: number, exact: number): Lifter {
  const rule = exact === SSE_ADD || exact === SSE_SUB ? sumAllowed : productAllowed;
  return modal(
    (context, { o0, o1 }) => {
      const { b } = context;
      const y = readF64(context, o1);
      const old = getXmm(context, o0);
      const x = lowF64(b, old);
      setXmm(context, o0, withLowF64(b, old, fixNaN64(b, b.binary(op, x, y), x, y)));
    },
    inlineScalar(op, checks64, rule, exactBinary(exact, 64, 1)),
  );
}

function scalar32(op: number, exact: number): Lifter {
  const rule = exact === SSE_ADD || exact === SSE_SUB ? sumAllowed : productAllowed;
  return modal(
    (context, { o0, o1 }) => {
      const { b } = context;
      const y = readF32(context, o1);
      const old = getXmm(context, o0);
      const x = lowF32(b, old);
      setXmm(context, o0, withLowF32(b, old, fixNaN32(b, b.binary(op, x, y), x, y)));
    },
    inlineScalar(op, checks32, rule, exactBinary(exact, 32, 1)),
  );
}

function vector(op: number, notEqual: number, exact: number): Lifter {
  const rule = exact === SSE_ADD || exact === SSE_SUB ? sumAllowed : productAllowed;
  const by = notEqual === Op.f32x4Ne ? checks32x4 : checks64x2;
  return modal(
    (context, { o0, o1 }) => {
      const { b } = context;
      const y = readVector(context, o1);
      const x = getXmm(context, o0);
      setXmm(context, o0, fixNaNs(b, notEqual, b.binary(op, x, y), x, y));
    },
    inlineVector(op, by, rule, exactBinary(exact, by.format, 128 / by.format)),
  );
}

/** MIN and MAX return the second operand unless the first is strictly less (greater): pmin and pmax, operands swapped. */
function extremum(op: number, exact: number, format: number): Lifter {
  return modal(
    (context, { o0, o1 }) => {
      const { b } = context;
      const y = readVector(context, o1);
      setXmm(context, o0, b.binary(op, y, getXmm(context, o0)));
    },
    inlineVector(
      op,
      format === 32 ? checks32x4 : checks64x2,
      extremumAllowed,
      exactBinary(exact, format, 128 / format),
      true,
    ),
  );
}

function scalarExtremum64(op: number, exact: number): Lifter {
  return modal(
    (context, { o0, o1 }) => {
      const { b } = context;
      const y = readPart(context, o1);
      const old = getXmm(context, o0);
      setXmm(context, o0, withLowF64(b, old, lowF64(b, b.binary(op, y, old))));
    },
    inlineScalarExtremum(op, checks64, exactBinary(exact, 64, 1)),
  );
}

function scalarExtremum32(op: number, exact: number): Lifter {
  return modal(
    (context, { o0, o1 }) => {
      const { b } = context;
      const y = readPart(context, o1);
      const old = getXmm(context, o0);
      setXmm(context, o0, withLowF32(b, old, lowF32(b, b.binary(op, y, old))));
    },
    inlineScalarExtremum(op, checks32, exactBinary(exact, 32, 1)),
  );
}

// Square roots and approximations.

const sqrtsd: Lifter = modal(
  (context, { o0, o1 }) => {
    const { b } = context;
    const x = readF64(context, o1);
    setXmm(context, o0, withLowF64(b, getXmm(context, o0), fixUnaryNaN64(b, b.unary(Op.f64Sqrt, x), x)));
  },
  inlineRoot(Op.f64Sqrt, checks64, exactSquareRoot(64, 1)),
);

const sqrtss: Lifter = modal(
  (context, { o0, o1 }) => {
    const { b } = context;
    const x = readF32(context, o1);
    setXmm(context, o0, withLowF32(b, getXmm(context, o0), fixUnaryNaN32(b, b.unary(Op.f32Sqrt, x), x)));
  },
  inlineRoot(Op.f32Sqrt, checks32, exactSquareRoot(32, 1)),
);

function squareRoots(op: number, notEqual: number): Lifter {
  return modal(
    (context, { o0, o1 }) => {
      const { b } = context;
      const x = readVector(context, o1);
      setXmm(context, o0, fixNaNs(b, notEqual, b.unary(op, x), x, x));
    },
    exactSquareRoot(formatOf(notEqual), 128 / formatOf(notEqual)),
  );
}

const MAGNITUDE = Uint8Array.from({ length: 16 }, (_, lane) => ((lane & 3) === 3 ? 0x7f : 0xff));
const LEAST_NORMAL = Uint8Array.from({ length: 16 }, (_, lane) => [0, 0, 0x80, 0][lane & 3]);
const MINIMUM_EXPONENT = LEAST_NORMAL;

/** Lanes that are denormal become zeros of their sign. */
function flushDenormals(b: RegionBuilder, x: number): number {
  const magnitude = b.binary(Op.v128And, x, b.v128(MAGNITUDE));
  const denormal = b.binary(Op.i32x4LtU, magnitude, b.v128(MINIMUM_EXPONENT));
  return b.binary(Op.v128Andnot, x, b.binary(Op.v128And, denormal, b.v128(MAGNITUDE)));
}

/**
 * RCP and RSQRT promise a relative error below 1.5 * 2^-12 and differ between processors; here the result is the
 * correctly rounded quotient. Denormal operands count as zeros and results are flushed to zero whatever MXCSR says.
 */
function reciprocals(b: RegionBuilder, x: number): number {
  const one = b.unary(Op.f32x4Splat, b.unary(Op.f32ReinterpretI32, b.i32(0x3f800000)));
  const operand = flushDenormals(b, x);
  return fixNaNs(b, Op.f32x4Ne, flushDenormals(b, b.binary(Op.f32x4Div, one, operand)), x, x);
}

function reciprocalRoots(b: RegionBuilder, x: number): number {
  const one = b.unary(Op.f32x4Splat, b.unary(Op.f32ReinterpretI32, b.i32(0x3f800000)));
  const root = b.unary(Op.f32x4Sqrt, flushDenormals(b, x));
  return fixNaNs(b, Op.f32x4Ne, b.binary(Op.f32x4Div, one, root), x, x);
}

/** These raise no exceptions and heed no rounding mode, so there is one mode for them. */
function approximation(operation: (b: RegionBuilder, x: number) => number, single: boolean): Lifter {
  return (context, { o0, o1 }) => {
    const { b } = context;
    const result = operation(b, single ? readPart(context, o1) : readVector(context, o1));
    setXmm(context, o0, single ? withLowF32(b, getXmm(context, o0), lowF32(b, result)) : result);
  };
}

// Horizontal and alternating.

const EVEN_32 = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const ODD_32 = EVEN_32.map((lane) => lane + 4);
const EVEN_64 = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const ODD_64 = EVEN_64.map((lane) => lane + 8);

/** HADD and HSUB: `op(even, odd)` over the pairs of destination, then source. */
function horizontal(op: number, notEqual: number, exact: number): Lifter {
  const even = notEqual === Op.f32x4Ne ? EVEN_32 : EVEN_64;
  const odd = notEqual === Op.f32x4Ne ? ODD_32 : ODD_64;
  return modal(
    (context, { o0, o1 }) => {
      const { b } = context;
      const s = readVector(context, o1);
      const a = getXmm(context, o0);
      const x = b.shuffle(a, s, even);
      const y = b.shuffle(a, s, odd);
      setXmm(context, o0, fixNaNs(b, notEqual, b.binary(op, x, y), x, y));
    },
    exactHorizontal(exact, formatOf(notEqual), even, odd),
  );
}

const ALTERNATE_32 = [0, 1, 2, 3, 20, 21, 22, 23, 8, 9, 10, 11, 28, 29, 30, 31];
const ALTERNATE_64 = [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31];

/** ADDSUB: even lanes subtract, odd ones add. */
function alternating(subtract: number, add: number, notEqual: number): Lifter {
  const order = notEqual === Op.f32x4Ne ? ALTERNATE_32 : ALTERNATE_64;
  return modal(
    (context, { o0, o1 }) => {
      const { b } = context;
      const y = readVector(context, o1);
      const x = getXmm(context, o0);
      const result = b.shuffle(b.binary(subtract, x, y), b.binary(add, x, y), order);
      setXmm(context, o0, fixNaNs(b, notEqual, result, x, y));
    },
    exactBinary(SSE_ADDSUB, formatOf(notEqual), 128 / formatOf(notEqual)),
  );
}

/** DPPS: products chosen by immediate[7:4], summed in pairs, then the sums; the sum goes where [3:0] says. */
const dpps: Lifter = modal((context, { o0, o1, immediateLow }) => {
  const { b } = context;
  const y = readVector(context, o1);
  const x = getXmm(context, o0);
  const products = keepLanes(b, fixNaNs(b, Op.f32x4Ne, b.binary(Op.f32x4Mul, x, y), x, y), immediateLow >> 4, 4);
  const swapped = b.shuffle(products, products, [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11]);
  // Lanes 0 and 2 hold first plus second and third plus fourth, NaNs of the former preferred.
  const pairs = fixNaNs(b, Op.f32x4Ne, b.binary(Op.f32x4Add, products, swapped), products, swapped);
  const first = b.extractLane(Op.f32x4ExtractLane, pairs, 0);
  const second = b.extractLane(Op.f32x4ExtractLane, pairs, 2);
  const sum = fixNaN32(b, b.binary(Op.f32Add, first, second), first, second);
  setXmm(context, o0, keepLanes(b, b.unary(Op.f32x4Splat, sum), immediateLow & 15, 4));
}, exactDot(32));

const dppd: Lifter = modal((context, { o0, o1, immediateLow }) => {
  const { b } = context;
  const y = readVector(context, o1);
  const x = getXmm(context, o0);
  const products = keepLanes(b, fixNaNs(b, Op.f64x2Ne, b.binary(Op.f64x2Mul, x, y), x, y), (immediateLow >> 4) & 3, 8);
  const first = b.extractLane(Op.f64x2ExtractLane, products, 0);
  const second = b.extractLane(Op.f64x2ExtractLane, products, 1);
  const sum = fixNaN64(b, b.binary(Op.f64Add, first, second), first, second);
  setXmm(context, o0, keepLanes(b, b.unary(Op.f64x2Splat, sum), immediateLow & 3, 8));
}, exactDot(64));

const laneMask = new Uint8Array(16);

/** Zeroes the elements of `size` bytes whose bit in `kept` is clear. */
function keepLanes(b: RegionBuilder, value: number, kept: number, size: number): number {
  const all = (1 << (16 / size)) - 1;
  if ((kept & all) === all) return value;
  if ((kept & all) === 0) return zero(b);
  for (let lane = 0; lane < 16; lane++) laneMask[lane] = ((kept >> Math.floor(lane / size)) & 1) !== 0 ? 0xff : 0;
  return b.binary(Op.v128And, value, b.v128(laneMask));
}

// Rounding to integral values: immediate[1:0] is the mode, [2] takes MXCSR's, which is nearest here.

const ROUND_F32X4 = [Op.f32x4Nearest, Op.f32x4Floor, Op.f32x4Ceil, Op.f32x4Trunc] as const;
const ROUND_F64X2 = [Op.f64x2Nearest, Op.f64x2Floor, Op.f64x2Ceil, Op.f64x2Trunc] as const;
const ROUND_F32 = [Op.f32Nearest, Op.f32Floor, Op.f32Ceil, Op.f32Trunc] as const;
const ROUND_F64 = [Op.f64Nearest, Op.f64Floor, Op.f64Ceil, Op.f64Trunc] as const;

const roundingMode = (immediate: number): number => ((immediate & 4) !== 0 ? 0 : immediate & 3);

function roundVector(operations: readonly number[], notEqual: number): Lifter {
  return modal(
    (context, { o0, o1, immediateLow }) => {
      const { b } = context;
      const x = readVector(context, o1);
      setXmm(context, o0, fixNaNs(b, notEqual, b.unary(operations[roundingMode(immediateLow)], x), x, x));
    },
    exactRound(formatOf(notEqual), 128 / formatOf(notEqual)),
  );
}

const roundsd: Lifter = modal(
  (context, { o0, o1, immediateLow }) => {
    const { b } = context;
    const x = readF64(context, o1);
    const rounded = b.unary(ROUND_F64[roundingMode(immediateLow)], x);
    setXmm(context, o0, withLowF64(b, getXmm(context, o0), fixUnaryNaN64(b, rounded, x)));
  },
  exactRound(64, 1),
);

const roundss: Lifter = modal(
  (context, { o0, o1, immediateLow }) => {
    const { b } = context;
    const x = readF32(context, o1);
    const rounded = b.unary(ROUND_F32[roundingMode(immediateLow)], x);
    setXmm(context, o0, withLowF32(b, getXmm(context, o0), fixUnaryNaN32(b, rounded, x)));
  },
  exactRound(32, 1),
);

export const sseFloats: LifterTable = {
  addps: vector(Op.f32x4Add, Op.f32x4Ne, SSE_ADD),
  addpd: vector(Op.f64x2Add, Op.f64x2Ne, SSE_ADD),
  subps: vector(Op.f32x4Sub, Op.f32x4Ne, SSE_SUB),
  subpd: vector(Op.f64x2Sub, Op.f64x2Ne, SSE_SUB),
  mulps: vector(Op.f32x4Mul, Op.f32x4Ne, SSE_MUL),
  mulpd: vector(Op.f64x2Mul, Op.f64x2Ne, SSE_MUL),
  divps: vector(Op.f32x4Div, Op.f32x4Ne, SSE_DIV),
  divpd: vector(Op.f64x2Div, Op.f64x2Ne, SSE_DIV),
  addss: scalar32(Op.f32Add, SSE_ADD),
  addsd: scalar64(Op.f64Add, SSE_ADD),
  subss: scalar32(Op.f32Sub, SSE_SUB),
  subsd: scalar64(Op.f64Sub, SSE_SUB),
  mulss: scalar32(Op.f32Mul, SSE_MUL),
  mulsd: scalar64(Op.f64Mul, SSE_MUL),
  divss: scalar32(Op.f32Div, SSE_DIV),
  divsd: scalar64(Op.f64Div, SSE_DIV),
  minps: extremum(Op.f32x4Pmin, SSE_MIN, 32),
  minpd: extremum(Op.f64x2Pmin, SSE_MIN, 64),
  maxps: extremum(Op.f32x4Pmax, SSE_MAX, 32),
  maxpd: extremum(Op.f64x2Pmax, SSE_MAX, 64),
  minss: scalarExtremum32(Op.f32x4Pmin, SSE_MIN),
  minsd: scalarExtremum64(Op.f64x2Pmin, SSE_MIN),
  maxss: scalarExtremum32(Op.f32x4Pmax, SSE_MAX),
  maxsd: scalarExtremum64(Op.f64x2Pmax, SSE_MAX),
  sqrtss,
  sqrtsd,
  sqrtps: squareRoots(Op.f32x4Sqrt, Op.f32x4Ne),
  sqrtpd: squareRoots(Op.f64x2Sqrt, Op.f64x2Ne),
  rcpps: approximation(reciprocals, false),
  rcpss: approximation(reciprocals, true),
  rsqrtps: approximation(reciprocalRoots, false),
  rsqrtss: approximation(reciprocalRoots, true),
  haddps: horizontal(Op.f32x4Add, Op.f32x4Ne, SSE_ADD),
  haddpd: horizontal(Op.f64x2Add, Op.f64x2Ne, SSE_ADD),
  hsubps: horizontal(Op.f32x4Sub, Op.f32x4Ne, SSE_SUB),
  hsubpd: horizontal(Op.f64x2Sub, Op.f64x2Ne, SSE_SUB),
  addsubps: alternating(Op.f32x4Sub, Op.f32x4Add, Op.f32x4Ne),
  addsubpd: alternating(Op.f64x2Sub, Op.f64x2Add, Op.f64x2Ne),
  dpps,
  dppd,
  roundss,
  roundsd,
  roundps: roundVector(ROUND_F32X4, Op.f32x4Ne),
  roundpd: roundVector(ROUND_F64X2, Op.f64x2Ne),
};
