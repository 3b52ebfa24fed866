/**
 * Conversions between integers and floating point, and between the formats.
 *
 * Out of range and NaN become the integer indefinite, 80…0; wasm saturates instead and gives 0 for NaN, which agrees
 * below the range, so `value < limit` picks the cases to correct. Source: Intel SDM vol. 1, 11.5.2.1; vol. 2, CVTxx.
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import { type Instruction, OperandKind } from "../decode/instruction.ts";
import { helperIndex } from "../helpers.ts";
import type { LiftContext, Lifter } from "./context.ts";
import { isExact, lowInteger, modal, passOperands, takeResult, writeLow } from "./sse-exact.ts";
import { askFirst, checks32, checks64, conversionAllowed, inlineFormat, integerAllowed } from "./sse-exact-inline.ts";
import { fixDemotedNaN, fixPromotedNaN, unlikely } from "./sse-nan.ts";
import {
  checkPending,
  enterMmx,
  getXmm,
  type LifterTable,
  readF32,
  readF64,
  readMmx,
  readPart,
  setXmm,
  withLowF32,
  withLowF64,
  writeMmx,
  zero,
} from "./sse-operands.ts";

const fromIntegerHelper = helperIndex("sseFromInteger");
const toIntegerHelper = helperIndex("sseToInteger");
const widenHelper = helperIndex("sseWiden");
const narrowHelper = helperIndex("sseNarrow");

// General register to scalar.

function fromGeneral(format: number): Lifter {
  const fast: Lifter = (context, { o0, o1 }) => {
    const { b } = context;
    const value = context.readOperand(o1);
    const wide = o1.width === 64;
    const old = getXmm(context, o0);
    if (format === 64) {
      setXmm(context, o0, withLowF64(b, old, b.unary(wide ? Op.f64ConvertI64S : Op.f64ConvertI32S, value)));
    } else {
      setXmm(context, o0, withLowF32(b, old, b.unary(wide ? Op.f32ConvertI64S : Op.f32ConvertI32S, value)));
    }
  };
  const exact: Lifter = (context, { o0, o1 }) => {
    const { b } = context;
    const value = context.readOperand(o1);
    const op = o1.width === 64 ? Op.i64x2ReplaceLane : Op.i32x4ReplaceLane;
    passOperands(context, b.replaceLane(op, zero(b), value, 0));
    const raised = context.helper3(fromIntegerHelper, b.i32(format), b.i32(o1.width), b.i32(1));
    writeLow(context, o0, takeResult(context, raised), format / 8);
  };
  return modal(fast, askFirst(conversionAllowed, fast, exact));
}

// Scalar to general register.

const f64Bits = (b: RegionBuilder, high: number): number => b.unary(Op.f64ReinterpretI64, b.i64(0, high));
const f32Bits = (b: RegionBuilder, bits: number): number => b.unary(Op.f32ReinterpretI32, b.i32(bits));

function toGeneral(format: number, truncate: boolean): Lifter {
  const fast: Lifter = (context, { o0, o1 }) => {
    const { b } = context;
    const wide = o0.width === 64;
    const indefinite = wide ? b.i64(0, 0x80000000) : b.i32(0x80000000);
    let integer: number;
    let inRange: number;
    if (format === 64) {
      const source = readF64(context, o1);
      const x = truncate ? source : b.unary(Op.f64Nearest, source);
      integer = b.unary(wide ? Op.i64TruncSatF64S : Op.i32TruncSatF64S, x);
      inRange = b.binary(Op.f64Lt, x, f64Bits(b, wide ? 0x43e00000 : 0x41e00000));
    } else {
      const source = readF32(context, o1);
      const x = truncate ? source : b.unary(Op.f32Nearest, source);
      integer = b.unary(wide ? Op.i64TruncSatF32S : Op.i32TruncSatF32S, x);
      inRange = b.binary(Op.f32Lt, x, f32Bits(b, wide ? 0x5f000000 : 0x4f000000));
    }
    context.writeRegister(o0.register, o0.width, b.select(integer, indefinite, inRange));
  };
  const exact: Lifter = (context, { o0, o1 }) => {
    const { b } = context;
    passOperands(context, readPart(context, o1));
    const kind = b.i32(truncate ? 1 : 0);
    const raised = context.helper4(toIntegerHelper, b.i32(format), b.i32(o0.width), kind, b.i32(1));
    const result = takeResult(context, raised);
    context.writeRegister(o0.register, o0.width, lowInteger(context, result, o0.width));
  };
  const ask = (context: LiftContext, { o0, o1 }: Instruction): number => {
    const { b } = context;
    const wide = o0.width === 64;
    if (format === 64) {
      // Half the range: nothing below is rounded out of it.
      const limit = f64Bits(b, wide ? 0x43d00000 : 0x41d00000);
      return integerAllowed(context, checks64, readF64(context, o1), limit);
    }
    return integerAllowed(context, checks32, readF32(context, o1), f32Bits(b, wide ? 0x5e800000 : 0x4e800000));
  };
  return modal(fast, askFirst(ask, fast, exact));
}

// Vectors of doublewords, in XMM or MMX registers.

const INDEFINITE_2 = Uint8Array.from({ length: 16 }, (_, lane) => (lane === 3 || lane === 7 ? 0x80 : 0));
const INDEFINITE_4 = Uint8Array.from({ length: 16 }, (_, lane) => ((lane & 3) === 3 ? 0x80 : 0));
const LOW_HALF = [0, 1, 2, 3, 4, 5, 6, 7, 16, 16, 16, 16, 16, 16, 16, 16];
/** Doublewords 0 and 2, then zeros. */
const EVEN_THEN_ZERO = [0, 1, 2, 3, 8, 9, 10, 11, 16, 16, 16, 16, 16, 16, 16, 16];

function doublewordsOfF32(b: RegionBuilder, source: number, truncate: boolean): number {
  const x = truncate ? source : b.unary(Op.f32x4Nearest, source);
  const inRange = b.binary(Op.f32x4Lt, x, b.unary(Op.f32x4Splat, f32Bits(b, 0x4f000000)));
  return b.ternary(Op.v128Bitselect, b.unary(Op.i32x4TruncSatF32x4S, x), b.v128(INDEFINITE_4), inRange);
}

function doublewordsOfF64(b: RegionBuilder, source: number, truncate: boolean): number {
  const x = truncate ? source : b.unary(Op.f64x2Nearest, source);
  const inRange = b.binary(Op.f64x2Lt, x, b.unary(Op.f64x2Splat, f64Bits(b, 0x41e00000)));
  const mask = b.shuffle(inRange, zero(b), EVEN_THEN_ZERO);
  return b.ternary(Op.v128Bitselect, b.unary(Op.i32x4TruncSatF64x2SZero, x), b.v128(INDEFINITE_2), mask);
}

/** CVTPS2DQ, CVTPD2DQ, CVTPS2PI, CVTPD2PI and their truncating relatives. */
function toDoublewords(format: number, truncate: boolean): Lifter {
  const operation = format === 32 ? doublewordsOfF32 : doublewordsOfF64;
  return (context, { o0, o1 }) => {
    const { b } = context;
    const mmx = o0.kind === OperandKind.mmx;
    if (mmx) checkPending(context);
    const source = readPart(context, o1);
    let result: number;
    if (isExact(context)) {
      // Processors make the transition even when they then raise #XM.
      if (mmx) enterMmx(context);
      passOperands(context, source);
      const lanes = format === 32 && !mmx ? 4 : 2;
      const kind = b.i32(truncate ? 1 : 0);
      const raised = context.helper4(toIntegerHelper, b.i32(format), b.i32(32), kind, b.i32(lanes));
      result = takeResult(context, raised);
      if (lanes === 2 && !mmx) result = b.shuffle(result, zero(b), LOW_HALF);
    } else {
      result = operation(b, source, truncate);
    }
    if (mmx) writeMmx(context, o0, b.extractLane(Op.i64x2ExtractLane, result, 0));
    else setXmm(context, o0, result);
  };
}

/** CVTDQ2PS, CVTDQ2PD, CVTPI2PS, CVTPI2PD. The last two are exact; a double holds any doubleword. */
const cvtdq2ps: Lifter = modal(
  (context, { o0, o1 }) => {
    setXmm(context, o0, context.b.unary(Op.f32x4ConvertI32x4S, readPart(context, o1)));
  },
  (context, { o0, o1 }) => {
    const { b } = context;
    passOperands(context, readPart(context, o1));
    setXmm(context, o0, takeResult(context, context.helper3(fromIntegerHelper, b.i32(32), b.i32(32), b.i32(4))));
  },
);

const cvtdq2pd: Lifter = (context, { o0, o1 }) => {
  setXmm(context, o0, context.b.unary(Op.f64x2ConvertLowI32x4S, readPart(context, o1)));
};

const cvtpi2ps: Lifter = (context, { o0, o1 }) => {
  const { b } = context;
  const mmx = o1.kind === OperandKind.mmx;
  if (mmx) checkPending(context);
  const source = b.unary(Op.i64x2Splat, readMmx(context, o1));
  // From memory it leaves the x87 state alone.
  if (mmx) enterMmx(context);
  if (isExact(context)) {
    passOperands(context, source);
    const raised = context.helper3(fromIntegerHelper, b.i32(32), b.i32(32), b.i32(2));
    writeLow(context, o0, takeResult(context, raised), 8);
  } else {
    writeLow(context, o0, b.unary(Op.f32x4ConvertI32x4S, source), 8);
  }
};

const cvtpi2pd: Lifter = (context, { o0, o1 }) => {
  const { b } = context;
  if (o1.kind === OperandKind.mmx) checkPending(context);
  setXmm(context, o0, b.unary(Op.f64x2ConvertLowI32x4S, b.unary(Op.i64x2Splat, readMmx(context, o1))));
  // From memory it leaves the x87 state alone (SDM vol. 2, CVTPI2PD).
  if (o1.kind === OperandKind.mmx) enterMmx(context);
};

// Between the formats.

const cvtss2sd: Lifter = modal(
  (context, { o0, o1 }) => {
    const { b } = context;
    const x = readF32(context, o1);
    setXmm(context, o0, withLowF64(b, getXmm(context, o0), fixPromotedNaN(b, b.unary(Op.f64PromoteF32, x), x)));
  },
  inlineFormat(Op.f64PromoteF32, checks32, checks64, (context, { o0, o1 }) => {
    passOperands(context, readPart(context, o1));
    writeLow(context, o0, takeResult(context, context.helper1(widenHelper, context.b.i32(1))), 8);
  }),
);

const cvtsd2ss: Lifter = modal(
  (context, { o0, o1 }) => {
    const { b } = context;
    const x = readF64(context, o1);
    setXmm(context, o0, withLowF32(b, getXmm(context, o0), fixDemotedNaN(b, b.unary(Op.f32DemoteF64, x), x)));
  },
  inlineFormat(Op.f32DemoteF64, checks64, checks32, (context, { o0, o1 }) => {
    passOperands(context, readPart(context, o1));
    writeLow(context, o0, takeResult(context, context.helper1(narrowHelper, context.b.i32(1))), 4);
  }),
);

const everyQuadword = (low: number, high: number): Uint8Array => {
  const bytes = new Uint8Array(16);
  const words = new DataView(bytes.buffer);
  for (let at = 0; at < 16; at += 8) {
    words.setUint32(at, low, true);
    words.setUint32(at + 4, high, true);
  }
  return bytes;
};
const PAYLOAD_32 = everyQuadword(0x7fffff, 0);
const SIGN_32 = everyQuadword(0x80000000, 0);
const QUIET_64 = everyQuadword(0, 0x7ff80000);
const PAYLOAD_TOP = everyQuadword(0x3fffff, 0);
const QUIET_32 = everyQuadword(0x7fc00000, 0);

/** CVTPS2PD: NaNs keep sign and payload, quiet. */
const cvtps2pd: Lifter = modal(
  (context, { o0, o1 }) => {
    const { b } = context;
    const x = readPart(context, o1);
    const result = b.unary(Op.f64x2PromoteLowF32x4, x);
    const bits = b.unary(Op.i64x2ExtendLowI32x4U, x);
    const payload = b.binary(Op.i64x2Shl, b.binary(Op.v128And, bits, b.v128(PAYLOAD_32)), b.i32(29));
    const sign = b.binary(Op.i64x2Shl, b.binary(Op.v128And, bits, b.v128(SIGN_32)), b.i32(32));
    const fixed = b.binary(Op.v128Or, b.binary(Op.v128Or, payload, sign), b.v128(QUIET_64));
    const isNaN = b.binary(Op.f64x2Ne, result, result);
    const cold = b.ternary(Op.v128Bitselect, fixed, result, isNaN);
    setXmm(context, o0, unlikely(b, cold, result, b.unary(Op.v128AnyTrue, isNaN)));
  },
  (context, { o0, o1 }) => {
    passOperands(context, readPart(context, o1));
    setXmm(context, o0, takeResult(context, context.helper1(widenHelper, context.b.i32(2))));
  },
);

const cvtpd2ps: Lifter = modal(
  (context, { o0, o1 }) => {
    const { b } = context;
    const x = readPart(context, o1);
    const result = b.unary(Op.f32x4DemoteF64x2Zero, x);
    const payload = b.binary(Op.v128And, b.binary(Op.i64x2ShrU, x, b.i32(29)), b.v128(PAYLOAD_TOP));
    const sign = b.binary(Op.v128And, b.binary(Op.i64x2ShrU, x, b.i32(32)), b.v128(SIGN_32));
    const wide = b.binary(Op.v128Or, b.binary(Op.v128Or, payload, sign), b.v128(QUIET_32));
    const fixed = b.shuffle(wide, zero(b), EVEN_THEN_ZERO);
    const isNaN = b.binary(Op.f32x4Ne, result, result);
    const cold = b.ternary(Op.v128Bitselect, fixed, result, isNaN);
    setXmm(context, o0, unlikely(b, cold, result, b.unary(Op.v128AnyTrue, isNaN)));
  },
  (context, { o0, o1 }) => {
    const { b } = context;
    passOperands(context, readPart(context, o1));
    const result = takeResult(context, context.helper1(narrowHelper, b.i32(2)));
    setXmm(context, o0, b.shuffle(result, zero(b), LOW_HALF));
  },
);

export const sseConversions: LifterTable = {
  cvtsi2ss: fromGeneral(32),
  cvtsi2sd: fromGeneral(64),
  cvtss2si: toGeneral(32, false),
  cvtsd2si: toGeneral(64, false),
  cvttss2si: toGeneral(32, true),
  cvttsd2si: toGeneral(64, true),
  cvtps2dq: toDoublewords(32, false),
  cvttps2dq: toDoublewords(32, true),
  cvtpd2dq: toDoublewords(64, false),
  cvttpd2dq: toDoublewords(64, true),
  cvtps2pi: toDoublewords(32, false),
  cvttps2pi: toDoublewords(32, true),
  cvtpd2pi: toDoublewords(64, false),
  cvttpd2pi: toDoublewords(64, true),
  cvtdq2ps,
  cvtdq2pd,
  cvtpi2ps,
  cvtpi2pd,
  cvtss2sd,
  cvtsd2ss,
  cvtps2pd,
  cvtpd2ps,
};
