/**
 * MXCSR, and the images of x87, MMX and SSE state: LDMXCSR, STMXCSR, FXSAVE, FXRSTOR, EMMS (Intel SDM vol. 1, 10.5).
 *
 * Whatever loads MXCSR ends its block and asks the supervisor to see whether code has to run in another mode from here
 * on (`mxcsr.ts`). In a machine's supervisor an image with the MXCSR of a fresh processor, all flags clear, is restored
 * as the saturated one, unless it was saved with exactly that, by a program that had cleared the flags itself: such a save
 * leaves a mark in the image's reserved bytes. So a kernel that starts its programs from an image does not put them
 * all on the slow path.
 */
import { blockKey, Op } from "@doppel/dbt-core";
import type { Instruction } from "../decode/instruction.ts";
import { helperIndex } from "../helpers.ts";
import { Mxcsr } from "../mxcsr.ts";
import { ModeBit, Service, Slot, Vector } from "../state.ts";
import type { LiftContext } from "./context.ts";
import { alignedAddress, checkPending, type LifterTable } from "./sse-operands.ts";

const saveHelper = helperIndex("fxsaveImage");
const restoreHelper = helperIndex("fxrstorImage");
const readChunkHelper = helperIndex("readImage");
const writeChunkHelper = helperIndex("writeImage");

/** Places in the FXSAVE image. */
const Image = { mxcsr: 24, xmm: 160, marker: 416 } as const;
/** Chunks of 16 bytes that hold the x87 part and MXCSR. */
const X87_CHUNKS = 10;

function at(context: LiftContext, address: number, offset: number): number {
  return context.b.binary(Op.i64Add, address, context.b.i64(offset));
}

/** #GP(0) for reserved bits. */
function checkMxcsr(context: LiftContext, value: number): void {
  const { b } = context;
  context.raiseIf(b.binary(Op.i32And, value, b.i32(~Mxcsr.writable)), Vector.generalProtection);
}

function changeMode(context: LiftContext): void {
  context.b.service(Service.modeChange, blockKey(context.b.nextOffset));
}

function ldmxcsr(context: LiftContext): void {
  const { b } = context;
  const value = b.load(Op.load32, context.effectiveAddress());
  checkMxcsr(context, value);
  b.set(Slot.mxcsr, value);
  changeMode(context);
}

function stmxcsr(context: LiftContext): void {
  context.b.store(Op.store32, context.effectiveAddress(), context.b.get(Slot.mxcsr));
}

/** REX.W: 64-bit instruction and data pointers. */
function fxsave(wide: boolean): (context: LiftContext) => void {
  return (context) => {
    const { b } = context;
    const address = alignedAddress(context);
    context.helper1(saveHelper, b.i32(wide ? 1 : 0));
    for (let chunk = 0; chunk < X87_CHUNKS; chunk++) {
      context.helper1(readChunkHelper, b.i32(chunk));
      b.store(Op.storeV128, at(context, address, 16 * chunk), b.get(Slot.vectorResult));
    }
    for (let register = 0; register < (context.long ? 16 : 8); register++) {
      b.store(Op.storeV128, at(context, address, Image.xmm + 16 * register), b.get(Slot.xmm + register));
    }
    if ((context.mode & ModeBit.supervisor) !== 0) {
      const clear = b.binary(Op.i32Eq, b.get(Slot.mxcsr), b.i32(Mxcsr.reset));
      b.store(Op.store32, at(context, address, Image.marker), clear);
    }
  };
}

function fxrstor(wide: boolean): (context: LiftContext) => void {
  return (context) => {
    const { b } = context;
    const address = alignedAddress(context);
    // All loads first: a fault leaves the state as it was.
    const chunks: number[] = [];
    for (let chunk = 0; chunk < X87_CHUNKS; chunk++) {
      chunks.push(b.load(Op.loadV128, at(context, address, 16 * chunk)));
    }
    const registers: number[] = [];
    for (let register = 0; register < (context.long ? 16 : 8); register++) {
      registers.push(b.load(Op.loadV128, at(context, address, Image.xmm + 16 * register)));
    }
    const stored = b.extractLane(Op.i32x4ExtractLane, chunks[Image.mxcsr >> 4], (Image.mxcsr & 15) >> 2);
    let value = stored;
    if ((context.mode & ModeBit.supervisor) !== 0) {
      const marked = b.load(Op.load32, at(context, address, Image.marker));
      const fresh = b.binary(Op.i32And, b.binary(Op.i32Eq, stored, b.i32(Mxcsr.reset)), b.unary(Op.i32Eqz, marked));
      value = b.select(b.i32(Mxcsr.saturated), stored, fresh);
    }
    checkMxcsr(context, stored);
    b.set(Slot.mxcsr, value);
    for (let register = 0; register < registers.length; register++) b.set(Slot.xmm + register, registers[register]);
    for (let chunk = 0; chunk < X87_CHUNKS; chunk++) {
      b.set(Slot.vectorA, chunks[chunk]);
      b.endInstruction();
      context.helper1(writeChunkHelper, b.i32(chunk));
    }
    context.helper1(restoreHelper, b.i32(wide ? 1 : 0));
    changeMode(context);
  };
}

function emms(context: LiftContext, _instruction: Instruction): void {
  const { b } = context;
  checkPending(context);
  b.set(Slot.ftag, b.i64(0x01010101, 0x01010101));
  b.set(Slot.fopTop, b.binary(Op.i32And, b.get(Slot.fopTop), b.i32(0xff00ffff | 0)));
}

export const sseState: LifterTable = {
  ldmxcsr,
  stmxcsr,
  emms,
  fxsave: fxsave(false),
  fxsave64: fxsave(true),
  fxrstor: fxrstor(false),
  fxrstor64: fxrstor(true),
};
