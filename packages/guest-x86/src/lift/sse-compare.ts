/**
 * Floating-point comparisons, PTEST, and the string comparisons of SSE4.2.
 *
 * Comparisons do not care about rounding, so the fast mode's are wasm's own; the exact mode needs their flags.
 * Source: Intel SDM vol. 2, CMPPS (table of predicates), COMISD, PTEST; 4.1 for PCMPxSTRx.
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import { FlagBit } from "@doppel/lazy-flags";
import type { Instruction } from "../decode/instruction.ts";
import { helperIndex } from "../helpers.ts";
import { Slot } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";
import { modal, passOperands, takeResult, writeLow } from "./sse-exact.ts";
import { askFirst, checks32, checks64, comparisonAllowed } from "./sse-exact-inline.ts";
import {
  getXmm,
  type LifterTable,
  lowF32,
  lowF64,
  readF32,
  readF64,
  readPart,
  readUnaligned,
  readVector,
  zero,
} from "./sse-operands.ts";

const compareHelper = helperIndex("sseCompare");
const orderedHelper = helperIndex("sseOrdered");
const stringHelper = helperIndex("compareStrings");

// CMPPS and relatives.

interface Comparisons {
  readonly format: number;
  readonly eq: number;
  readonly ne: number;
  readonly lt: number;
  readonly le: number;
}
const OF_F32X4: Comparisons = { format: 32, eq: Op.f32x4Eq, ne: Op.f32x4Ne, lt: Op.f32x4Lt, le: Op.f32x4Le };
const OF_F64X2: Comparisons = { format: 64, eq: Op.f64x2Eq, ne: Op.f64x2Ne, lt: Op.f64x2Lt, le: Op.f64x2Le };

/** The eight predicates: EQ LT LE UNORD NEQ NLT NLE ORD. */
function compareLanes(b: RegionBuilder, predicate: number, by: Comparisons, x: number, y: number): number {
  switch (predicate & 7) {
    case 0:
      return b.binary(by.eq, x, y);
    case 1:
      return b.binary(by.lt, x, y);
    case 2:
      return b.binary(by.le, x, y);
    case 3:
      return b.binary(Op.v128Or, b.binary(by.ne, x, x), b.binary(by.ne, y, y));
    case 4:
      return b.binary(by.ne, x, y);
    case 5:
      return b.unary(Op.v128Not, b.binary(by.lt, x, y));
    case 6:
      return b.unary(Op.v128Not, b.binary(by.le, x, y));
    default:
      return b.binary(Op.v128And, b.binary(by.eq, x, x), b.binary(by.eq, y, y));
  }
}

function compare(by: Comparisons, lanes: number): Lifter {
  const { format } = by;
  const bytes = (format / 8) * lanes;
  return modal(
    (context, { o0, o1, immediateLow }) => {
      const y = readPart(context, o1);
      writeLow(context, o0, compareLanes(context.b, immediateLow, by, getXmm(context, o0), y), bytes);
    },
    (context, { o0, o1, immediateLow }) => {
      const { b } = context;
      const y = readPart(context, o1);
      passOperands(context, getXmm(context, o0), y);
      const raised = context.helper3(compareHelper, b.i32(immediateLow & 7), b.i32(format), b.i32(lanes));
      writeLow(context, o0, takeResult(context, raised), bytes);
    },
  );
}

// COMIS, UCOMIS.

function ordered(format: number, quiet: boolean): Lifter {
  const by = format === 64 ? checks64 : checks32;
  const fast: Lifter = (context, { o0, o1 }) => {
    const { b } = context;
    if (format === 64) {
      const y = readF64(context, o1);
      context.flags.floatComparison(lowF64(b, getXmm(context, o0)), y, true);
    } else {
      const y = readF32(context, o1);
      context.flags.floatComparison(lowF32(b, getXmm(context, o0)), y, false);
    }
  };
  const ask = (context: LiftContext, { o0, o1 }: Instruction): number => {
    const { b } = context;
    const x = getXmm(context, o0);
    if (format === 64) return comparisonAllowed(context, by, lowF64(b, x), readF64(context, o1));
    return comparisonAllowed(context, by, lowF32(b, x), readF32(context, o1));
  };
  const exact: Lifter = (context, { o0, o1 }) => {
    const { b } = context;
    const y = readPart(context, o1);
    passOperands(context, getXmm(context, o0), y);
    const raised = context.helper2(orderedHelper, b.i32(quiet ? 1 : 0), b.i32(format));
    context.flags.given(b.extractLane(Op.i32x4ExtractLane, takeResult(context, raised), 0));
  };
  return modal(fast, askFirst(ask, fast, exact));
}

/** PTEST: ZF if destination and source have no bit in common, CF if the source has none outside the destination. */
function ptest(context: LiftContext, { o0, o1 }: Instruction): void {
  const { b } = context;
  const source = readVector(context, o1);
  const destination = getXmm(context, o0);
  const common = b.unary(Op.v128AnyTrue, b.binary(Op.v128And, destination, source));
  const outside = b.unary(Op.v128AnyTrue, b.binary(Op.v128Andnot, source, destination));
  context.flags.zeroOnly(common, 32, b.unary(Op.i32Eqz, outside));
}

// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM.

/** How the helper finds the lengths: by the terminator, or in EAX and EDX, or in RAX and RDX. */
export const StringLengths = { implicit: 0, explicit32: 1, explicit64: 2 } as const;

/** Bits of the immediate (SDM vol. 2, 4.1.1 to 4.1.6). */
const StringImmediate = {
  words: 1,
  aggregation: 0xc,
  equalEach: 0x8,
  negative: 0x10,
  masked: 0x20,
  highestIndex: 0x40,
} as const;

/**
 * PCMPISTRI that compares element by element, which is what strcmp and its relatives are made of: a bit for each element,
 * set where both are before their string's end and equal, or both behind it.
 */
function equalEachIndex(context: LiftContext, { o0, o1, immediateLow }: Instruction): void {
  const { b } = context;
  const words = (immediateLow & StringImmediate.words) !== 0;
  const count = words ? 8 : 16;
  const equalElements = (x: number, y: number): number =>
    b.unary(words ? Op.i16x8Bitmask : Op.i8x16Bitmask, b.binary(words ? Op.i16x8Eq : Op.i8x16Eq, x, y));
  const all = b.i32((1 << count) - 1);
  const zeros = zero(b);
  const second = readUnaligned(context, o1);
  const first = getXmm(context, o0);
  const endsFirst = equalElements(first, zeros);
  const endsSecond = equalElements(second, zeros);
  // Below the lowest bit; all, when there is none.
  const before = (ends: number): number =>
    b.binary(Op.i32And, b.binary(Op.i32Sub, ends, b.i32(1)), b.binary(Op.i32Xor, ends, b.i32(-1)));
  const insideFirst = before(endsFirst);
  const insideSecond = before(endsSecond);
  const inOne = b.binary(Op.i32Xor, insideFirst, insideSecond);
  const unequal = b.binary(Op.i32Xor, equalElements(first, second), all);
  // Unequal inside the first, or inside one alone.
  const differ = b.binary(Op.i32And, b.binary(Op.i32Or, b.binary(Op.i32And, unequal, insideFirst), inOne), all);
  const isNegative = (immediateLow & StringImmediate.negative) !== 0;
  const isMasked = (immediateLow & StringImmediate.masked) !== 0;
  const same = (): number => b.binary(Op.i32Xor, differ, all);
  const bits = !isNegative
    ? same()
    : isMasked
      ? b.binary(Op.i32And, b.binary(Op.i32Xor, same(), insideSecond), all)
      : differ;
  const index =
    (immediateLow & StringImmediate.highestIndex) === 0
      ? b.unary(Op.i32Ctz, b.binary(Op.i32Or, bits, b.i32(1 << count)))
      : b.ternary(Op.select32, b.binary(Op.i32Sub, b.i32(31), b.unary(Op.i32Clz, bits)), b.i32(count), bits);
  context.writeRegister(Slot.rcx, 32, index);
  const flag = (value: number, bit: number): number => b.binary(Op.i32Shl, value, b.i32(bit));
  const isSet = (value: number): number => b.binary(Op.i32Ne, value, b.i32(0));
  const carry = isSet(bits);
  const ended = flag(isSet(b.binary(Op.i32And, endsSecond, all)), FlagBit.zero);
  const sign = flag(isSet(b.binary(Op.i32And, endsFirst, all)), FlagBit.sign);
  const overflow = flag(b.binary(Op.i32And, bits, b.i32(1)), FlagBit.overflow);
  const or = (x: number, y: number): number => b.binary(Op.i32Or, x, y);
  context.flags.given(or(or(carry, ended), or(sign, overflow)));
}

/** The helper returns the flags word, and the index in bits 16 and up; the mask is its vector result. */
function compareStrings(explicit: boolean, mask: boolean): Lifter {
  return (context, instruction) => {
    const { b } = context;
    const { o0, o1, immediateLow, operandWidth } = instruction;
    if (!explicit && !mask && (immediateLow & StringImmediate.aggregation) === StringImmediate.equalEach)
      return equalEachIndex(context, instruction);
    const second = readUnaligned(context, o1);
    passOperands(context, getXmm(context, o0), second);
    const lengths = !explicit
      ? StringLengths.implicit
      : operandWidth === 64
        ? StringLengths.explicit64
        : StringLengths.explicit32;
    const found = context.helper2(stringHelper, b.i32(immediateLow & 0xff), b.i32(lengths));
    if (mask) b.set(Slot.xmm, b.get(Slot.vectorResult));
    else context.writeRegister(Slot.rcx, 32, b.binary(Op.i32ShrU, found, b.i32(16)));
    context.flags.given(b.binary(Op.i32And, found, b.i32(0xffff)));
  };
}

export const sseComparisons: LifterTable = {
  cmpps: compare(OF_F32X4, 4),
  cmppd: compare(OF_F64X2, 2),
  cmpss: compare(OF_F32X4, 1),
  cmpsd: compare(OF_F64X2, 1),
  comiss: ordered(32, false),
  comisd: ordered(64, false),
  ucomiss: ordered(32, true),
  ucomisd: ordered(64, true),
  ptest,
  pcmpestri: compareStrings(true, false),
  pcmpestrm: compareStrings(true, true),
  pcmpistri: compareStrings(false, false),
  pcmpistrm: compareStrings(false, true),
};
