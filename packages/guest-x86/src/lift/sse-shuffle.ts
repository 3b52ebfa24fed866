/**
 * Everything that moves lanes about: unpack, pack, shuffle, align, insert, extract, blend, extend.
 *
 * What an immediate decides becomes the sixteen lanes of one wasm shuffle, worked out when lifting.
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import { type Instruction, OperandKind } from "../decode/instruction.ts";
import { Slot } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";
import {
  checkPending,
  enterMmx,
  getXmm,
  type LifterTable,
  readMmx,
  readPart,
  readVector,
  setXmm,
  writeMmx,
  zero,
} from "./sse-operands.ts";
import { type Packed, packed } from "./sse-packed.ts";

/** Lane lists are copied by the builder, so one scratch list serves them all. */
const lanes = new Uint8Array(16);

// Unpack and pack.

/** The lanes that interleave elements of `size` bytes from the low (`from` 0) or high (8) halves. */
function interleaved(size: number, from: number): readonly number[] {
  return Array.from({ length: 16 }, (_, lane) => {
    const element = Math.floor(lane / size);
    return (element & 1) * 16 + from + (element >> 1) * size + (lane % size);
  });
}

function unpackLow(size: number): Lifter {
  const order = interleaved(size, 0);
  return packed((b, a, s) => b.shuffle(a, s, order));
}

/** The high half of an MMX register is the middle of the interleaved low halves. */
function unpackHigh(size: number): Lifter {
  const order = interleaved(size, 8);
  const mmxOrder = Array.from({ length: 16 }, (_, lane) => interleaved(size, 0)[(lane + 8) & 15]);
  return packed((b, a, s, mmx) => b.shuffle(a, s, mmx ? mmxOrder : order));
}

const JOINED = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];

function pack(op: number): Lifter {
  return packed((b, a, s, mmx) => {
    if (!mmx) return b.binary(op, a, s);
    const both = b.shuffle(a, s, JOINED);
    return b.binary(op, both, both);
  });
}

// Shuffles by immediate.

/** PSHUFD, PSHUFLW, PSHUFHW, PSHUFW: four elements of `size` bytes at `from` chosen by two bits each. */
function shuffleWithin(size: number, from: number): Packed {
  return (b, _a, s, _mmx, immediate) => {
    for (let lane = 0; lane < 16; lane++) lanes[lane] = lane;
    for (let element = 0; element < 4; element++) {
      const chosen = (immediate >> (2 * element)) & 3;
      for (let byte = 0; byte < size; byte++) lanes[from + element * size + byte] = from + chosen * size + byte;
    }
    return b.shuffle(s, s, lanes);
  };
}

const shufps: Packed = (b, a, s, _mmx, immediate) => {
  for (let lane = 0; lane < 16; lane++) {
    const chosen = (immediate >> (2 * (lane >> 2))) & 3;
    lanes[lane] = (lane < 8 ? 0 : 16) + chosen * 4 + (lane & 3);
  }
  return b.shuffle(a, s, lanes);
};

const shufpd: Packed = (b, a, s, _mmx, immediate) => {
  for (let lane = 0; lane < 16; lane++) {
    const chosen = (immediate >> (lane >> 3)) & 1;
    lanes[lane] = (lane < 8 ? 0 : 16) + chosen * 8 + (lane & 7);
  }
  return b.shuffle(a, s, lanes);
};

/** PALIGNR: destination above source, shifted right by bytes. */
const palignr: Packed = (b, a, s, mmx, immediate) => {
  const count = immediate & 0xff;
  const size = mmx ? 8 : 16;
  if (count >= 2 * size) return zero(b);
  // With 16 zeros above both operands; a shuffle has room for two vectors, and at most two are touched.
  const high = count >= size;
  const first = high ? a : s;
  const second = high ? zero(b) : a;
  const start = high ? count - size : count;
  for (let lane = 0; lane < 16; lane++) {
    const at = start + (lane % size);
    lanes[lane] = at < size ? at : 16 + (at - size);
  }
  return b.shuffle(first, second, lanes);
};

/** PSLLDQ, PSRLDQ: whole-register shifts by bytes. */
function byteShift(direction: number): Lifter {
  return (context, instruction) => {
    const { b } = context;
    const { o0 } = instruction;
    const count = instruction.immediateLow & 0xff;
    const distance = (count > 15 ? 16 : count) * direction;
    for (let lane = 0; lane < 16; lane++) {
      const from = lane + distance;
      lanes[lane] = from < 0 || from > 15 ? 16 : from;
    }
    setXmm(context, o0, b.shuffle(getXmm(context, o0), zero(b), lanes));
  };
}

/** PSHUFB: bit 7 of a control byte gives zero, its low bits an index. Swizzle gives zero for 16 and more. */
const pshufb: Packed = (b, a, s, mmx) =>
  b.binary(Op.i8x16Swizzle, a, b.binary(Op.v128And, s, b.unary(Op.i8x16Splat, b.i32(mmx ? 0x87 : 0x8f))));

// Blends.

/** BLENDPS, BLENDPD, PBLENDW: a bit of the immediate per element of `size` bytes. */
function blend(size: number): Packed {
  return (b, a, s, _mmx, immediate) => {
    for (let lane = 0; lane < 16; lane++) {
      lanes[lane] = lane + 16 * ((immediate >> Math.floor(lane / size)) & 1);
    }
    return b.shuffle(a, s, lanes);
  };
}

/** PBLENDVB, BLENDVPS, BLENDVPD: by the sign of XMM0's lanes; `sign` spreads it over the lane. */
function blendBySign(sign: (b: RegionBuilder, mask: number) => number): Lifter {
  return (context, { o0, o1 }) => {
    const { b } = context;
    const s = readVector(context, o1);
    setXmm(context, o0, b.ternary(Op.v128Bitselect, s, getXmm(context, o0), sign(b, b.get(Slot.xmm))));
  };
}

// Insert and extract.

/** PINSRB, PINSRW, PINSRD, PINSRQ: element `immediate` modulo their number. */
function insert(op: number, width: number): Lifter {
  return (context, { o0, o1, immediateLow }) => {
    const { b } = context;
    if (o0.kind === OperandKind.mmx) checkPending(context);
    const value =
      o1.kind === OperandKind.mem
        ? context.loadMemory(context.effectiveAddress(), width)
        : context.readRegister(o1.register, width);
    if (o0.kind === OperandKind.mmx) {
      const vector = b.replaceLane(op, b.unary(Op.i64x2Splat, readMmx(context, o0)), value, immediateLow & 3);
      writeMmx(context, o0, b.extractLane(Op.i64x2ExtractLane, vector, 0));
    } else {
      setXmm(context, o0, b.replaceLane(op, getXmm(context, o0), value, immediateLow & (128 / width - 1)));
    }
  };
}

/** PEXTRB, PEXTRW, PEXTRD, PEXTRQ, EXTRACTPS: into memory of their width, or a register, zero-extended. */
function extract(op: number, width: number): Lifter {
  return (context, { o0, o1, immediateLow }) => {
    const { b } = context;
    const mmx = o1.kind === OperandKind.mmx;
    if (mmx) checkPending(context);
    const vector = mmx ? b.unary(Op.i64x2Splat, readMmx(context, o1)) : getXmm(context, o1);
    const value = b.extractLane(op, vector, immediateLow & (mmx ? 3 : 128 / width - 1));
    if (o0.kind === OperandKind.mem) context.storeMemory(context.effectiveAddress(), width, value);
    else context.writeRegister(o0.register, width === 64 ? 64 : 32, value);
    if (mmx) enterMmx(context);
  };
}

/** INSERTPS: element `immediate[7:6]` (memory: the one there is) to place [5:4], then zeros where [3:0] says. */
function insertps(context: LiftContext, { o0, o1, immediateLow }: Instruction): void {
  const { b } = context;
  const source = readPart(context, o1);
  const from = o1.kind === OperandKind.mem ? 0 : (immediateLow >> 6) & 3;
  const to = (immediateLow >> 4) & 3;
  for (let lane = 0; lane < 16; lane++) {
    lanes[lane] = lane >> 2 === to ? 16 + from * 4 + (lane & 3) : lane;
  }
  const inserted = b.shuffle(getXmm(context, o0), source, lanes);
  if ((immediateLow & 15) === 0) {
    setXmm(context, o0, inserted);
    return;
  }
  for (let lane = 0; lane < 16; lane++) lanes[lane] = ((immediateLow >> (lane >> 2)) & 1) !== 0 ? 16 : lane;
  setXmm(context, o0, b.shuffle(inserted, zero(b), lanes));
}

/** PMOVSX, PMOVZX: one widening after another. */
function extend(...steps: readonly number[]): Lifter {
  return (context, { o0, o1 }) => {
    let value = readPart(context, o1);
    for (const step of steps) value = context.b.unary(step, value);
    setXmm(context, o0, value);
  };
}

const { i16x8ExtendLowI8x16S, i32x4ExtendLowI16x8S, i64x2ExtendLowI32x4S } = Op;
const { i16x8ExtendLowI8x16U, i32x4ExtendLowI16x8U, i64x2ExtendLowI32x4U } = Op;

export const sseShuffles: LifterTable = {
  punpcklbw: unpackLow(1),
  punpcklwd: unpackLow(2),
  punpckldq: unpackLow(4),
  punpcklqdq: unpackLow(8),
  punpckhbw: unpackHigh(1),
  punpckhwd: unpackHigh(2),
  punpckhdq: unpackHigh(4),
  punpckhqdq: unpackHigh(8),
  unpcklps: unpackLow(4),
  unpcklpd: unpackLow(8),
  unpckhps: unpackHigh(4),
  unpckhpd: unpackHigh(8),
  packsswb: pack(Op.i8x16NarrowI16x8S),
  packuswb: pack(Op.i8x16NarrowI16x8U),
  packssdw: pack(Op.i16x8NarrowI32x4S),
  packusdw: pack(Op.i16x8NarrowI32x4U),

  pshufd: packed(shuffleWithin(4, 0)),
  pshuflw: packed(shuffleWithin(2, 0)),
  pshufhw: packed(shuffleWithin(2, 8)),
  pshufw: packed(shuffleWithin(2, 0)),
  shufps: packed(shufps),
  shufpd: packed(shufpd),
  palignr: packed(palignr),
  pshufb: packed(pshufb),
  pslldq: byteShift(-1),
  psrldq: byteShift(1),

  blendps: packed(blend(4)),
  blendpd: packed(blend(8)),
  pblendw: packed(blend(2)),
  pblendvb: blendBySign((b, mask) => b.binary(Op.i8x16ShrS, mask, b.i32(7))),
  blendvps: blendBySign((b, mask) => b.binary(Op.i32x4ShrS, mask, b.i32(31))),
  blendvpd: blendBySign((b, mask) => b.binary(Op.i64x2LtS, mask, zero(b))),

  pinsrb: insert(Op.i8x16ReplaceLane, 8),
  pinsrw: insert(Op.i16x8ReplaceLane, 16),
  pinsrd: insert(Op.i32x4ReplaceLane, 32),
  pinsrq: insert(Op.i64x2ReplaceLane, 64),
  pextrb: extract(Op.i8x16ExtractLaneU, 8),
  pextrw: extract(Op.i16x8ExtractLaneU, 16),
  pextrd: extract(Op.i32x4ExtractLane, 32),
  pextrq: extract(Op.i64x2ExtractLane, 64),
  extractps: extract(Op.i32x4ExtractLane, 32),
  insertps,

  pmovsxbw: extend(i16x8ExtendLowI8x16S),
  pmovsxbd: extend(i16x8ExtendLowI8x16S, i32x4ExtendLowI16x8S),
  pmovsxbq: extend(i16x8ExtendLowI8x16S, i32x4ExtendLowI16x8S, i64x2ExtendLowI32x4S),
  pmovsxwd: extend(i32x4ExtendLowI16x8S),
  pmovsxwq: extend(i32x4ExtendLowI16x8S, i64x2ExtendLowI32x4S),
  pmovsxdq: extend(i64x2ExtendLowI32x4S),
  pmovzxbw: extend(i16x8ExtendLowI8x16U),
  pmovzxbd: extend(i16x8ExtendLowI8x16U, i32x4ExtendLowI16x8U),
  pmovzxbq: extend(i16x8ExtendLowI8x16U, i32x4ExtendLowI16x8U, i64x2ExtendLowI32x4U),
  pmovzxwd: extend(i32x4ExtendLowI16x8U),
  pmovzxwq: extend(i32x4ExtendLowI16x8U, i64x2ExtendLowI32x4U),
  pmovzxdq: extend(i64x2ExtendLowI32x4U),
};
