/**
 * Integer SIMD that exists for MMX and XMM registers alike: the frame for it, and what maps to one or a few operations
 * per lane.
 *
 * Semantics are written once, for vectors. For MMX both operands come doubled (the same 64 bits in both halves), the
 * low half of the result counts, and `mmx` tells the few functions for which that is not enough.
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import { OperandKind } from "../decode/instruction.ts";
import type { Lifter } from "./context.ts";
import { checkPending, getXmm, type LifterTable, readMmx, readVector, setXmm, writeMmx, zero } from "./sse-operands.ts";

/** The destination's new value from its old one, the source and the immediate. */
export type Packed = (b: RegionBuilder, a: number, s: number, mmx: boolean, immediate: number) => number;

export function packed(operation: Packed): Lifter {
  return (context, instruction) => {
    const { b } = context;
    const { o0, o1 } = instruction;
    if (o0.kind === OperandKind.mmx) {
      checkPending(context);
      const s = b.unary(Op.i64x2Splat, readMmx(context, o1));
      const a = b.unary(Op.i64x2Splat, readMmx(context, o0));
      const result = operation(b, a, s, true, instruction.immediateLow);
      writeMmx(context, o0, b.extractLane(Op.i64x2ExtractLane, result, 0));
    } else {
      const s = readVector(context, o1);
      setXmm(context, o0, operation(b, getXmm(context, o0), s, false, instruction.immediateLow));
    }
  };
}

/** `op(destination, source)`. */
function binary(op: number): Lifter {
  return packed((b, a, s) => b.binary(op, a, s));
}

/** `op(source)`. */
function unary(op: number): Lifter {
  return packed((b, _a, s) => b.unary(op, s));
}

/** XOR of a register with itself, SUB of a register from itself: the idioms for zero. */
function orZero(op: number): Lifter {
  return packed((b, a, s) => (a === s ? zero(b) : b.binary(op, a, s)));
}

// Multiplication.

/** High halves of the eight products. */
function multiplyHigh(low: number, high: number): Packed {
  return (b, a, s) =>
    b.shuffle(b.binary(low, a, s), b.binary(high, a, s), [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31]);
}

const EVEN_DOUBLEWORDS = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];

/** PMULUDQ, PMULDQ: products of the even doublewords. */
function multiplyEven(op: number): Packed {
  return (b, a, s) => b.binary(op, b.shuffle(a, a, EVEN_DOUBLEWORDS), b.shuffle(s, s, EVEN_DOUBLEWORDS));
}

/** PMADDUBSW: unsigned bytes of the destination times signed ones of the source, pairs added with saturation. */
const multiplyAddBytes: Packed = (b, a, s) => {
  const even = b.binary(
    Op.i16x8Mul,
    b.binary(Op.v128And, a, b.unary(Op.i16x8Splat, b.i32(0xff))),
    b.binary(Op.i16x8ShrS, b.binary(Op.i16x8Shl, s, b.i32(8)), b.i32(8)),
  );
  const odd = b.binary(Op.i16x8Mul, b.binary(Op.i16x8ShrU, a, b.i32(8)), b.binary(Op.i16x8ShrS, s, b.i32(8)));
  return b.binary(Op.i16x8AddSatS, even, odd);
};

/** PMULHRSW is q15mulr without saturation: -1 times -1 gives -1. */
const multiplyHighRound: Packed = (b, a, s) => {
  const least = b.unary(Op.i16x8Splat, b.i32(0x8000));
  const both = b.binary(Op.v128And, b.binary(Op.i16x8Eq, a, least), b.binary(Op.i16x8Eq, s, least));
  return b.binary(Op.v128Xor, b.binary(Op.i16x8Q15mulrSatS, a, s), both);
};

// Sums.

/** PSADBW: sums of absolute differences of eight bytes. */
const sumAbsoluteDifferences: Packed = (b, a, s) => {
  const difference = b.binary(Op.i8x16Sub, b.binary(Op.i8x16MaxU, a, s), b.binary(Op.i8x16MinU, a, s));
  const words = b.unary(Op.i16x8ExtaddPairwiseI8x16U, difference);
  const doublewords = b.unary(Op.i32x4ExtaddPairwiseI16x8U, words);
  const sum = b.binary(Op.i64x2Add, doublewords, b.binary(Op.i64x2ShrU, doublewords, b.i32(32)));
  return b.binary(Op.v128And, sum, b.unary(Op.i64x2Splat, b.i64(0xffff)));
};

/** For MMX both operands in one vector, the destination's 64 bits below. */
function joined(b: RegionBuilder, a: number, s: number): number {
  return b.shuffle(a, s, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
}

const EVEN_WORDS = [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29];
const ODD_WORDS = EVEN_WORDS.map((lane) => lane + 2);
const EVEN_OF_BOTH = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const ODD_OF_BOTH = EVEN_OF_BOTH.map((lane) => lane + 4);

/** PHADD, PHSUB: `op(even, odd)` of neighbours in destination, then source. */
function horizontal(op: number, even: readonly number[], odd: readonly number[]): Packed {
  return (b, a, s, mmx) => {
    const first = mmx ? joined(b, a, s) : a;
    const second = mmx ? first : s;
    return b.binary(op, b.shuffle(first, second, even), b.shuffle(first, second, odd));
  };
}

/** MPSADBW: for eight offsets, the sum of four absolute differences from a chosen block of four bytes. */
const multipleSums: Packed = (b, a, s, _mmx, immediate) => {
  const from = immediate & 4;
  const block = (immediate & 3) * 4;
  let sum = -1;
  for (let k = 0; k < 4; k++) {
    const window: number[] = [];
    const fixed: number[] = [];
    for (let lane = 0; lane < 16; lane++) {
      // Lanes 16.. come from a vector of zeros.
      window.push((lane & 1) === 0 ? from + k + (lane >> 1) : 16);
      fixed.push((lane & 1) === 0 ? block + k : 16);
    }
    const difference = b.binary(Op.i16x8Sub, b.shuffle(a, zero(b), window), b.shuffle(s, zero(b), fixed));
    const absolute = b.unary(Op.i16x8Abs, difference);
    sum = sum < 0 ? absolute : b.binary(Op.i16x8Add, sum, absolute);
  }
  return sum;
};

/** PHMINPOSUW: the least word in lane 0, its index in lane 1. */
const minimumPosition: Packed = (b, _a, s) => {
  const rotate = (v: number, bytes: number): number =>
    b.shuffle(
      v,
      v,
      Array.from({ length: 16 }, (_, lane) => (lane + bytes) & 15),
    );
  let least = b.binary(Op.i16x8MinU, s, rotate(s, 8));
  least = b.binary(Op.i16x8MinU, least, rotate(least, 4));
  least = b.binary(Op.i16x8MinU, least, rotate(least, 2));
  const index = b.unary(Op.i32Ctz, b.unary(Op.i16x8Bitmask, b.binary(Op.i16x8Eq, s, least)));
  const both = b.binary(Op.i32Or, b.extractLane(Op.i16x8ExtractLaneU, least, 0), b.binary(Op.i32Shl, index, b.i32(16)));
  return b.replaceLane(Op.i32x4ReplaceLane, zero(b), both, 0);
};

/** PSIGN: negated, zeroed or kept by the sign of the source's lane. */
function sign(negate: number, shift: number, bits: number, notEqual: number): Packed {
  return (b, a, s) => {
    const negative = b.binary(shift, s, b.i32(bits - 1));
    const signed = b.ternary(Op.v128Bitselect, b.unary(negate, a), a, negative);
    return b.binary(Op.v128And, signed, b.binary(notEqual, s, zero(b)));
  };
}

const horizontal16 = (op: number): Lifter => packed(horizontal(op, EVEN_WORDS, ODD_WORDS));
const horizontal32 = (op: number): Lifter => packed(horizontal(op, EVEN_OF_BOTH, ODD_OF_BOTH));

export const ssePacked: LifterTable = {
  paddb: binary(Op.i8x16Add),
  paddw: binary(Op.i16x8Add),
  paddd: binary(Op.i32x4Add),
  paddq: binary(Op.i64x2Add),
  psubb: orZero(Op.i8x16Sub),
  psubw: orZero(Op.i16x8Sub),
  psubd: orZero(Op.i32x4Sub),
  psubq: orZero(Op.i64x2Sub),
  paddsb: binary(Op.i8x16AddSatS),
  paddsw: binary(Op.i16x8AddSatS),
  paddusb: binary(Op.i8x16AddSatU),
  paddusw: binary(Op.i16x8AddSatU),
  psubsb: binary(Op.i8x16SubSatS),
  psubsw: binary(Op.i16x8SubSatS),
  psubusb: binary(Op.i8x16SubSatU),
  psubusw: binary(Op.i16x8SubSatU),
  pavgb: binary(Op.i8x16AvgrU),
  pavgw: binary(Op.i16x8AvgrU),
  pminsb: binary(Op.i8x16MinS),
  pminsw: binary(Op.i16x8MinS),
  pminsd: binary(Op.i32x4MinS),
  pminub: binary(Op.i8x16MinU),
  pminuw: binary(Op.i16x8MinU),
  pminud: binary(Op.i32x4MinU),
  pmaxsb: binary(Op.i8x16MaxS),
  pmaxsw: binary(Op.i16x8MaxS),
  pmaxsd: binary(Op.i32x4MaxS),
  pmaxub: binary(Op.i8x16MaxU),
  pmaxuw: binary(Op.i16x8MaxU),
  pmaxud: binary(Op.i32x4MaxU),
  pabsb: unary(Op.i8x16Abs),
  pabsw: unary(Op.i16x8Abs),
  pabsd: unary(Op.i32x4Abs),
  pcmpeqb: binary(Op.i8x16Eq),
  pcmpeqw: binary(Op.i16x8Eq),
  pcmpeqd: binary(Op.i32x4Eq),
  pcmpeqq: binary(Op.i64x2Eq),
  pcmpgtb: binary(Op.i8x16GtS),
  pcmpgtw: binary(Op.i16x8GtS),
  pcmpgtd: binary(Op.i32x4GtS),
  pcmpgtq: binary(Op.i64x2GtS),
  pand: binary(Op.v128And),
  por: binary(Op.v128Or),
  pxor: orZero(Op.v128Xor),
  // wasm's andnot is a & ~b, x86's ~a & b.
  pandn: packed((b, a, s) => b.binary(Op.v128Andnot, s, a)),
  andps: binary(Op.v128And),
  andpd: binary(Op.v128And),
  orps: binary(Op.v128Or),
  orpd: binary(Op.v128Or),
  xorps: orZero(Op.v128Xor),
  xorpd: orZero(Op.v128Xor),
  andnps: packed((b, a, s) => b.binary(Op.v128Andnot, s, a)),
  andnpd: packed((b, a, s) => b.binary(Op.v128Andnot, s, a)),

  pmullw: binary(Op.i16x8Mul),
  pmulld: binary(Op.i32x4Mul),
  pmulhw: packed(multiplyHigh(Op.i32x4ExtmulLowI16x8S, Op.i32x4ExtmulHighI16x8S)),
  pmulhuw: packed(multiplyHigh(Op.i32x4ExtmulLowI16x8U, Op.i32x4ExtmulHighI16x8U)),
  pmuludq: packed(multiplyEven(Op.i64x2ExtmulLowI32x4U)),
  pmuldq: packed(multiplyEven(Op.i64x2ExtmulLowI32x4S)),
  pmaddwd: binary(Op.i32x4DotI16x8S),
  pmaddubsw: packed(multiplyAddBytes),
  pmulhrsw: packed(multiplyHighRound),
  psadbw: packed(sumAbsoluteDifferences),
  mpsadbw: packed(multipleSums),
  phminposuw: packed(minimumPosition),
  phaddw: horizontal16(Op.i16x8Add),
  phaddsw: horizontal16(Op.i16x8AddSatS),
  phaddd: horizontal32(Op.i32x4Add),
  phsubw: horizontal16(Op.i16x8Sub),
  phsubsw: horizontal16(Op.i16x8SubSatS),
  phsubd: horizontal32(Op.i32x4Sub),
  psignb: packed(sign(Op.i8x16Neg, Op.i8x16ShrS, 8, Op.i8x16Ne)),
  psignw: packed(sign(Op.i16x8Neg, Op.i16x8ShrS, 16, Op.i16x8Ne)),
  psignd: packed(sign(Op.i32x4Neg, Op.i32x4ShrS, 32, Op.i32x4Ne)),
};
