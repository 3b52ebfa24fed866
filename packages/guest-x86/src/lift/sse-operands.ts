/**
 * XMM, MMX and vector memory operands as IR values.
 *
 * Legacy SSE instructions raise #GP(0) for a 16-byte memory operand that is not aligned, moves that say they take
 * unaligned data excepted (Intel SDM vol. 1, 10.8.4.3, 11.4.1.1). Scalars are f32 and f64 values taken from and put into
 * lane 0; a scalar that was just put there is handed on without the round trip through its vector.
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import { type MnemonicName, type Operand, OperandKind } from "../decode/instruction.ts";
import { Slot, Vector } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";

/** Some mnemonics and their lifters; `lift/index.ts` puts the tables together. */
export type LifterTable = Readonly<Partial<Record<MnemonicName, Lifter>>>;

export function getXmm(context: LiftContext, operand: Operand): number {
  return context.b.get(Slot.xmm + operand.register);
}

export function setXmm(context: LiftContext, operand: Operand, value: number): void {
  context.b.set(Slot.xmm + operand.register, value);
}

/** The memory operand's address; #GP(0) unless it is a multiple of 16. */
export function alignedAddress(context: LiftContext): number {
  const { b } = context;
  const address = context.effectiveAddress();
  context.raiseIf(b.binary(Op.i32And, b.unary(Op.i32WrapI64, address), b.i32(15)), Vector.generalProtection);
  return address;
}

/** A whole register, or 16 aligned bytes. */
export function readVector(context: LiftContext, operand: Operand): number {
  if (operand.kind !== OperandKind.mem) return getXmm(context, operand);
  return context.b.load(Op.loadV128, alignedAddress(context));
}

/** A whole register, or 16 bytes wherever they are. */
export function readUnaligned(context: LiftContext, operand: Operand): number {
  if (operand.kind !== OperandKind.mem) return getXmm(context, operand);
  return context.b.load(Op.loadV128, context.effectiveAddress());
}

/** A vector of which the low `operand.width` bits count: a register as it is; memory of 128 (aligned), 64, 32 or 16 bits. */
export function readPart(context: LiftContext, operand: Operand): number {
  if (operand.kind !== OperandKind.mem) return getXmm(context, operand);
  const { b } = context;
  switch (operand.width) {
    case 64:
      return b.load(Op.loadV128Zero64, context.effectiveAddress());
    case 32:
      return b.load(Op.loadV128Zero32, context.effectiveAddress());
    case 16:
      return b.replaceLane(Op.i16x8ReplaceLane, zero(b), b.load(Op.load16U, context.effectiveAddress()), 0);
    default:
      return readVector(context, operand);
  }
}

export function zero(b: RegionBuilder): number {
  return b.v128(ZERO);
}
const ZERO = new Uint8Array(16);

// Scalars.

export function lowF64(b: RegionBuilder, vector: number): number {
  if (b.op[vector] === Op.f64x2ReplaceLane && b.immediate[vector] === 0) return b.y[vector];
  return b.extractLane(Op.f64x2ExtractLane, vector, 0);
}

export function lowF32(b: RegionBuilder, vector: number): number {
  if (b.op[vector] === Op.f32x4ReplaceLane && b.immediate[vector] === 0) return b.y[vector];
  return b.extractLane(Op.f32x4ExtractLane, vector, 0);
}

export function withLowF64(b: RegionBuilder, vector: number, value: number): number {
  const replaced = b.op[vector] === Op.f64x2ReplaceLane && b.immediate[vector] === 0;
  return b.replaceLane(Op.f64x2ReplaceLane, replaced ? b.x[vector] : vector, value, 0);
}

export function withLowF32(b: RegionBuilder, vector: number, value: number): number {
  const replaced = b.op[vector] === Op.f32x4ReplaceLane && b.immediate[vector] === 0;
  return b.replaceLane(Op.f32x4ReplaceLane, replaced ? b.x[vector] : vector, value, 0);
}

export function readF64(context: LiftContext, operand: Operand): number {
  const { b } = context;
  if (operand.kind !== OperandKind.mem) return lowF64(b, getXmm(context, operand));
  return b.load(Op.loadF64, context.effectiveAddress());
}

export function readF32(context: LiftContext, operand: Operand): number {
  const { b } = context;
  if (operand.kind !== OperandKind.mem) return lowF32(b, getXmm(context, operand));
  return b.load(Op.loadF32, context.effectiveAddress());
}

// MMX.

/** ES of the status word, in `Slot.fcwFsw`. */
const PENDING = 0x80 << 16;

/**
 * Raises #MF if an x87 exception is pending, as x87 and MMX instructions do before anything else (SDM vol. 1, 8.6). Nothing
 * is emitted where the block has asked already and no helper was called since.
 */
export function checkPending(context: LiftContext): void {
  const { b } = context;
  const word = b.get(Slot.fcwFsw);
  // Only this function reads the slot, so its nodes follow that of the first reading.
  const asked = b.nodeCount > word + 3 && b.op[word + 3] === Op.exitIf && b.x[word + 3] === word + 2;
  if (asked) return;
  context.raiseIf(b.binary(Op.i32And, word, b.i32(PENDING)), Vector.floatingPoint);
}

/** An MMX register, or 8 bytes of memory, as i64. */
export function readMmx(context: LiftContext, operand: Operand): number {
  const { b } = context;
  if (operand.kind === OperandKind.mem) {
    return operand.width === 32
      ? b.unary(Op.i64ExtendI32U, b.load(Op.load32, context.effectiveAddress()))
      : b.load(Op.load64, context.effectiveAddress());
  }
  return b.get(Slot.mmx + operand.register);
}

export function writeMmx(context: LiftContext, operand: Operand, value: number): void {
  context.b.set(Slot.mmx + operand.register, value);
  enterMmx(context, operand.register);
}

/**
 * What every MMX instruction but EMMS does to the x87 state: TOP becomes 0, all registers are in use, and a written
 * register's exponent is all ones (Intel SDM vol. 1, 9.5.1).
 */
export function enterMmx(context: LiftContext, written = -1): void {
  const { b } = context;
  b.set(Slot.ftag, b.i64(0));
  let word = b.binary(Op.i32And, b.get(Slot.fopTop), b.i32(0xff00ffff | 0));
  if (written >= 0) word = b.binary(Op.i32Or, word, b.i32(1 << (24 + written)));
  b.set(Slot.fopTop, word);
}
