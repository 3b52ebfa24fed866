/**
 * The x87 environment and state in memory: FNSTENV, FLDENV, FNSAVE, FRSTOR (Intel SDM vol. 1, 8.1.10, 8.3.11).
 *
 * An image is made in, or taken from, the scratch area, in chunks of sixteen bytes. What saving does to the state (masking
 * all exceptions, FNINIT) waits until the image is in memory.
 */
import { Op } from "@doppel/dbt-core";
import { ENV16, ENV32 } from "../float/x87-control.ts";
import { helperIndex } from "../helpers.ts";
import { Slot } from "../state.ts";
import { x87HelperName } from "../x87-helpers.ts";
import type { LiftContext } from "./context.ts";
import { checkPending, type LifterTable, zero } from "./sse-operands.ts";

const environmentImage = helperIndex("environmentImage");
const stateImage = helperIndex("stateImage");
const readImage = helperIndex("readImage");
const writeImage = helperIndex("writeImage");
const fnstenvHelper = helperIndex(x87HelperName("fnstenv"));
const fninitHelper = helperIndex(x87HelperName("fninit"));
const fldenvHelper = helperIndex(x87HelperName("fldenv"));
const frstorHelper = helperIndex(x87HelperName("frstor"));

const REGISTER_BYTES = 80;

const isShort = (context: LiftContext): boolean => context.instruction.operandWidth === 16;
const formatOf = (context: LiftContext): number => (isShort(context) ? ENV16 : ENV32);
const environmentBytes = (context: LiftContext): number => (isShort(context) ? 14 : 28);

function at(context: LiftContext, address: number, offset: number): number {
  return context.b.binary(Op.i64Add, address, context.b.i64(offset));
}

/** Stores `bytes` of the scratch area. */
function storeImage(context: LiftContext, address: number, bytes: number): void {
  const { b } = context;
  for (let done = 0; done < bytes; done += 16) {
    context.helper1(readImage, b.i32(done >> 4));
    const chunk = b.get(Slot.vectorResult);
    const left = bytes - done;
    if (left >= 16) {
      b.store(Op.storeV128, at(context, address, done), chunk);
      continue;
    }
    let place = 0;
    if (left >= 8) {
      b.store(Op.store64, at(context, address, done), b.extractLane(Op.i64x2ExtractLane, chunk, 0));
      place = 8;
    }
    if (left - place >= 4) {
      b.store(Op.store32, at(context, address, done + place), b.extractLane(Op.i32x4ExtractLane, chunk, place >> 2));
      place += 4;
    }
    if (left - place >= 2) {
      b.store(Op.store16, at(context, address, done + place), b.extractLane(Op.i16x8ExtractLaneU, chunk, place >> 1));
    }
  }
}

/** Loads `bytes` into the scratch area, all of them before the first is put there. */
function loadImage(context: LiftContext, address: number, bytes: number): void {
  const { b } = context;
  const chunks: number[] = [];
  for (let done = 0; done < bytes; done += 16) {
    const left = bytes - done;
    if (left >= 16) {
      chunks.push(b.load(Op.loadV128, at(context, address, done)));
      continue;
    }
    let chunk = zero(b);
    let place = 0;
    if (left >= 8) {
      chunk = b.replaceLane(Op.i64x2ReplaceLane, chunk, b.load(Op.load64, at(context, address, done)), 0);
      place = 8;
    }
    if (left - place >= 4) {
      const word = b.load(Op.load32, at(context, address, done + place));
      chunk = b.replaceLane(Op.i32x4ReplaceLane, chunk, word, place >> 2);
      place += 4;
    }
    if (left - place >= 2) {
      const word = b.load(Op.load16U, at(context, address, done + place));
      chunk = b.replaceLane(Op.i16x8ReplaceLane, chunk, word, place >> 1);
    }
    chunks.push(chunk);
  }
  for (let index = 0; index < chunks.length; index++) {
    b.set(Slot.vectorA, chunks[index]);
    b.endInstruction();
    context.helper1(writeImage, b.i32(index));
  }
}

function fnstenv(context: LiftContext): void {
  const { b } = context;
  context.helper1(environmentImage, b.i32(formatOf(context)));
  storeImage(context, context.effectiveAddress(), environmentBytes(context));
  context.helper1(fnstenvHelper, b.i32(formatOf(context)));
}

function fnsave(context: LiftContext): void {
  context.helper1(stateImage, context.b.i32(formatOf(context)));
  storeImage(context, context.effectiveAddress(), environmentBytes(context) + REGISTER_BYTES);
  context.helper0(fninitHelper);
}

function fldenv(context: LiftContext): void {
  checkPending(context);
  loadImage(context, context.effectiveAddress(), environmentBytes(context));
  context.helper1(fldenvHelper, context.b.i32(formatOf(context)));
}

function frstor(context: LiftContext): void {
  checkPending(context);
  loadImage(context, context.effectiveAddress(), environmentBytes(context) + REGISTER_BYTES);
  context.helper1(frstorHelper, context.b.i32(formatOf(context)));
}

export const x87Images: LifterTable = { fnstenv, fnsave, fldenv, frstor };
