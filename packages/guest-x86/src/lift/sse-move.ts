/**
 * Moves of whole vectors, halves and scalars, between XMM registers, memory and general registers.
 *
 * One lifter per direction and size; the table says which mnemonic is which. Non-temporal stores are stores: the hint has
 * no architectural effect on a coherent memory. Source: Intel SDM vol. 2, the instructions' own pages.
 */
import { Op } from "@doppel/dbt-core";
import { type Instruction, OperandKind, Segment } from "../decode/instruction.ts";
import { Slot } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";
import {
  alignedAddress,
  checkPending,
  enterMmx,
  getXmm,
  type LifterTable,
  lowF32,
  lowF64,
  readF32,
  readF64,
  readMmx,
  readUnaligned,
  readVector,
  setXmm,
  withLowF32,
  withLowF64,
  writeMmx,
  zero,
} from "./sse-operands.ts";

/** MOVAPS, MOVAPD, MOVDQA, MOVNTPS …: memory must be aligned. */
function moveAligned(context: LiftContext, { o0, o1 }: Instruction): void {
  if (o0.kind === OperandKind.mem) {
    context.b.store(Op.storeV128, alignedAddress(context), getXmm(context, o1));
  } else {
    setXmm(context, o0, readVector(context, o1));
  }
}

function moveUnaligned(context: LiftContext, { o0, o1 }: Instruction): void {
  if (o0.kind === OperandKind.mem) {
    context.b.store(Op.storeV128, context.effectiveAddress(), getXmm(context, o1));
  } else {
    setXmm(context, o0, readUnaligned(context, o1));
  }
}

/** MOVSS: a load clears the rest of the register, a move between registers keeps it. */
function moveScalar32(context: LiftContext, { o0, o1 }: Instruction): void {
  const { b } = context;
  if (o0.kind === OperandKind.mem) {
    b.store(Op.storeF32, context.effectiveAddress(), lowF32(b, getXmm(context, o1)));
  } else if (o1.kind === OperandKind.mem) {
    setXmm(context, o0, b.load(Op.loadV128Zero32, context.effectiveAddress()));
  } else {
    setXmm(context, o0, withLowF32(b, getXmm(context, o0), readF32(context, o1)));
  }
}

/** MOVSD, as MOVSS. */
function moveScalar64(context: LiftContext, { o0, o1 }: Instruction): void {
  const { b } = context;
  if (o0.kind === OperandKind.mem) {
    b.store(Op.storeF64, context.effectiveAddress(), lowF64(b, getXmm(context, o1)));
  } else if (o1.kind === OperandKind.mem) {
    setXmm(context, o0, b.load(Op.loadV128Zero64, context.effectiveAddress()));
  } else {
    setXmm(context, o0, withLowF64(b, getXmm(context, o0), readF64(context, o1)));
  }
}

const LOW_FROM_SECOND = [16, 17, 18, 19, 20, 21, 22, 23, 8, 9, 10, 11, 12, 13, 14, 15];
const BOTH_LOW = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const HIGH_OF_SECOND_LOW = [24, 25, 26, 27, 28, 29, 30, 31, 8, 9, 10, 11, 12, 13, 14, 15];

/** MOVLPS, MOVLPD with memory. */
function moveLow(context: LiftContext, { o0, o1 }: Instruction): void {
  const { b } = context;
  if (o0.kind === OperandKind.mem) {
    b.store(Op.storeF64, context.effectiveAddress(), lowF64(b, getXmm(context, o1)));
  } else {
    const loaded = b.load(Op.loadV128Zero64, context.effectiveAddress());
    setXmm(context, o0, b.shuffle(getXmm(context, o0), loaded, LOW_FROM_SECOND));
  }
}

/** MOVHPS, MOVHPD with memory. */
function moveHigh(context: LiftContext, { o0, o1 }: Instruction): void {
  const { b } = context;
  if (o0.kind === OperandKind.mem) {
    b.store(Op.storeF64, context.effectiveAddress(), b.extractLane(Op.f64x2ExtractLane, getXmm(context, o1), 1));
  } else {
    const loaded = b.load(Op.loadV128Zero64, context.effectiveAddress());
    setXmm(context, o0, b.shuffle(getXmm(context, o0), loaded, BOTH_LOW));
  }
}

function moveHighToLow(context: LiftContext, { o0, o1 }: Instruction): void {
  setXmm(context, o0, context.b.shuffle(getXmm(context, o0), getXmm(context, o1), HIGH_OF_SECOND_LOW));
}

function moveLowToHigh(context: LiftContext, { o0, o1 }: Instruction): void {
  setXmm(context, o0, context.b.shuffle(getXmm(context, o0), getXmm(context, o1), BOTH_LOW));
}

/** MOVD and MOVQ between general registers or memory and XMM or MMX registers, and MOVQ between those. */
function moveInteger(context: LiftContext, instruction: Instruction): void {
  const { o0, o1 } = instruction;
  if (o0.kind === OperandKind.mmx) moveToMmx(context, instruction);
  else if (o1.kind === OperandKind.mmx) moveFromMmx(context, instruction);
  else if (o0.kind === OperandKind.xmm) moveToXmm(context, instruction);
  else moveFromXmm(context, instruction);
}

function moveToXmm(context: LiftContext, { o0, o1 }: Instruction): void {
  const { b } = context;
  if (o1.kind === OperandKind.xmm) {
    setXmm(context, o0, b.shuffle(getXmm(context, o1), zero(b), BOTH_LOW));
  } else if (o1.kind === OperandKind.mem) {
    const op = o1.width === 64 ? Op.loadV128Zero64 : Op.loadV128Zero32;
    setXmm(context, o0, b.load(op, context.effectiveAddress()));
  } else {
    const op = o1.width === 64 ? Op.i64x2ReplaceLane : Op.i32x4ReplaceLane;
    setXmm(context, o0, b.replaceLane(op, zero(b), context.readRegister(o1.register, o1.width), 0));
  }
}

function moveFromXmm(context: LiftContext, { o0, o1 }: Instruction): void {
  const { b } = context;
  const vector = getXmm(context, o1);
  if (o0.kind === OperandKind.mem) {
    const address = context.effectiveAddress();
    if (o0.width === 64) b.store(Op.storeF64, address, lowF64(b, vector));
    else b.store(Op.storeF32, address, lowF32(b, vector));
  } else {
    const op = o0.width === 64 ? Op.i64x2ExtractLane : Op.i32x4ExtractLane;
    context.writeRegister(o0.register, o0.width, b.extractLane(op, vector, 0));
  }
}

function moveToMmx(context: LiftContext, { o0, o1 }: Instruction): void {
  checkPending(context);
  const value =
    o1.kind === OperandKind.gpr
      ? context.toI64(context.readRegister(o1.register, o1.width), o1.width)
      : readMmx(context, o1);
  writeMmx(context, o0, value);
}

function moveFromMmx(context: LiftContext, { o0, o1 }: Instruction): void {
  const { b } = context;
  checkPending(context);
  const whole = readMmx(context, o1);
  const value = o0.width === 64 ? whole : b.unary(Op.i32WrapI64, whole);
  if (o0.kind === OperandKind.mem) context.storeMemory(context.effectiveAddress(), o0.width, value);
  else context.writeRegister(o0.register, o0.width, value);
  enterMmx(context);
}

/** MOVQ2DQ, MOVDQ2Q. */
function moveMmxToXmm(context: LiftContext, { o0, o1 }: Instruction): void {
  const { b } = context;
  checkPending(context);
  setXmm(context, o0, b.replaceLane(Op.i64x2ReplaceLane, zero(b), readMmx(context, o1), 0));
  enterMmx(context);
}
function moveXmmToMmx(context: LiftContext, { o0, o1 }: Instruction): void {
  checkPending(context);
  writeMmx(context, o0, context.b.extractLane(Op.i64x2ExtractLane, getXmm(context, o1), 0));
}

/** MOVMSKPS, MOVMSKPD, PMOVMSKB: sign bits into a general register, zero-extended to all of it. */
function signMask(op: number): Lifter {
  return (context, { o0, o1 }) => {
    const { b } = context;
    if (o1.kind === OperandKind.mmx) {
      checkPending(context);
      const mask = b.unary(op, b.unary(Op.i64x2Splat, readMmx(context, o1)));
      context.writeRegister(o0.register, 32, b.binary(Op.i32And, mask, b.i32(0xff)));
      enterMmx(context);
    } else {
      context.writeRegister(o0.register, 32, b.unary(op, getXmm(context, o1)));
    }
  };
}

/** MOVSLDUP, MOVSHDUP, MOVDDUP: one shuffle of the source. */
function duplicate(lanes: readonly number[]): Lifter {
  return (context, { o0, o1 }) => {
    const { b } = context;
    const source =
      o1.kind === OperandKind.mem && o1.width === 64
        ? b.load(Op.loadV128Zero64, context.effectiveAddress())
        : readVector(context, o1);
    setXmm(context, o0, b.shuffle(source, source, lanes));
  };
}

/** Address of the implicit operand of MASKMOVDQU and MASKMOVQ: DS:rDI, the segment overridable. */
function maskMoveAddress(context: LiftContext): number {
  const { b, instruction } = context;
  const { addressWidth, segment } = instruction;
  const whole = b.get(Slot.rdi);
  const offset = addressWidth === 64 ? whole : context.truncateAddress(whole, addressWidth);
  return context.linearAddress(offset, segment >= 0 ? segment : Segment.ds);
}

/**
 * MASKMOVDQU writes the bytes whose mask byte is negative. Here the others are written back as they were; that
 * an all-zero mask may fault is the SDM's "implementation dependent".
 */
function maskMoveXmm(context: LiftContext, { o0, o1 }: Instruction): void {
  const { b } = context;
  const address = maskMoveAddress(context);
  const mask = b.binary(Op.i8x16ShrS, getXmm(context, o1), b.i32(7));
  const old = b.load(Op.loadV128, address);
  b.store(Op.storeV128, address, b.ternary(Op.v128Bitselect, getXmm(context, o0), old, mask));
}

function maskMoveMmx(context: LiftContext, { o0, o1 }: Instruction): void {
  const { b } = context;
  checkPending(context);
  const address = maskMoveAddress(context);
  const mask = b.binary(Op.i8x16ShrS, b.unary(Op.i64x2Splat, readMmx(context, o1)), b.i32(7));
  const old = b.load(Op.loadV128Zero64, address);
  const value = b.ternary(Op.v128Bitselect, b.unary(Op.i64x2Splat, readMmx(context, o0)), old, mask);
  b.store(Op.storeF64, address, lowF64(b, value));
  enterMmx(context);
}

const EVEN_WORDS = [0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11];
const ODD_WORDS = [4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15];
const LOW_TWICE = [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7];

export const sseMoves: LifterTable = {
  movaps: moveAligned,
  movapd: moveAligned,
  movdqa: moveAligned,
  movntps: moveAligned,
  movntpd: moveAligned,
  movntdq: moveAligned,
  movntdqa: moveAligned,
  movups: moveUnaligned,
  movupd: moveUnaligned,
  movdqu: moveUnaligned,
  lddqu: moveUnaligned,
  movss: moveScalar32,
  movntss: moveScalar32,
  movsd: moveScalar64,
  movntsd: moveScalar64,
  movlps: moveLow,
  movlpd: moveLow,
  movhps: moveHigh,
  movhpd: moveHigh,
  movhlps: moveHighToLow,
  movlhps: moveLowToHigh,
  movd: moveInteger,
  movq: moveInteger,
  movntq: moveFromMmx,
  movq2dq: moveMmxToXmm,
  movdq2q: moveXmmToMmx,
  movmskps: signMask(Op.i32x4Bitmask),
  movmskpd: signMask(Op.i64x2Bitmask),
  pmovmskb: signMask(Op.i8x16Bitmask),
  movsldup: duplicate(EVEN_WORDS),
  movshdup: duplicate(ODD_WORDS),
  movddup: duplicate(LOW_TWICE),
  maskmovdqu: maskMoveXmm,
  maskmovq: maskMoveMmx,
};
