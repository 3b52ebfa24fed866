/**
 * The x87 register stack as bytes in the CPU state block.
 *
 * The one idea: all state lives in guest-visible memory at `cpu` + offsets, so that an operation is a pure function
 * of memory and may be called from generated code. `X87` only knows where things are; it holds no FPU state.
 *
 *     registers + 16 * p   physical register Rp: significand u64 at +0 (= MMp), sign and exponent u16 at +8
 *     fcw u16, fsw u16     fsw without TOP, which is the byte `ftop`
 *     ftag u8[8]           one per physical register: 1 = empty, 0 = in use
 *     fop u16, fip u64, fdp u64   last instruction and operand; generated code keeps them, save and restore copy them
 *     scratch              512 bytes in which memory operands and images travel
 *
 * Invariant: ES and BUSY of fsw are set exactly while fsw has an exception that fcw leaves unmasked.
 * Source: Intel SDM Vol. 1, 8.1 (x87 execution environment), 8.5.1.1 (stack faults).
 */
import { BUSY, C0, C1, C2, C3, ES, IE, SF } from "./control.ts";
import { f80Result, setIndefiniteF80 } from "./f80-round.ts";

/** Views over the memory that holds CPU state blocks. `refresh` makes them anew after the memory has grown. */
export interface MemoryViews {
  u8: Uint8Array;
  u16: Uint16Array;
  i32: Int32Array;
  refresh(): void;
}

/** Byte offsets from the start of a CPU state block; `registers`, `fip`, `fdp`, `scratch` are multiples of 8. */
export interface X87Layout {
  readonly registers: number;
  readonly fcw: number;
  readonly fsw: number;
  readonly ftop: number;
  readonly ftag: number;
  readonly fop: number;
  readonly fip: number;
  readonly fdp: number;
  readonly scratch: number;
}

/** The instruction is done; an unmasked exception it raised is signalled by the next waiting instruction. */
export const X87_OK = 0;
/** Nothing was done: an exception is pending, raise #MF (vector 16). */
export const X87_MF = 1;
/** Done, but an unmasked exception forbids the store to memory, and the pop after it. */
export const X87_NO_STORE = 2;

export class X87 {
  readonly views: MemoryViews;
  // The layout, taken apart: these are read several times per instruction.
  readonly registers: number;
  readonly fcw: number;
  readonly fsw: number;
  readonly ftop: number;
  readonly ftag: number;
  readonly fop: number;
  readonly fip: number;
  readonly fdp: number;
  readonly scratch: number;

  constructor(views: MemoryViews, layout: X87Layout) {
    this.views = views;
    this.registers = layout.registers;
    this.fcw = layout.fcw;
    this.fsw = layout.fsw;
    this.ftop = layout.ftop;
    this.ftag = layout.ftag;
    this.fop = layout.fop;
    this.fip = layout.fip;
    this.fdp = layout.fdp;
    this.scratch = layout.scratch;
  }
}

/** Starts a waiting instruction: true if an unmasked exception is pending. Also renews detached views. */
export function isPending(fpu: X87, cpu: number): boolean {
  if (fpu.views.u16.length === 0) fpu.views.refresh();
  return (fpu.views.u16[(cpu + fpu.fsw) >>> 1] & ES) !== 0;
}

/** Starts an instruction that does not wait. */
export function begin(fpu: X87): void {
  if (fpu.views.u16.length === 0) fpu.views.refresh();
}

export function readFcw(fpu: X87, cpu: number): number {
  return fpu.views.u16[(cpu + fpu.fcw) >>> 1];
}

export function readFsw(fpu: X87, cpu: number): number {
  return fpu.views.u16[(cpu + fpu.fsw) >>> 1];
}

export function readTop(fpu: X87, cpu: number): number {
  return fpu.views.u8[(cpu + fpu.ftop) >>> 0];
}

export function writeTop(fpu: X87, cpu: number, top: number): void {
  fpu.views.u8[(cpu + fpu.ftop) >>> 0] = top & 7;
}

/** Stores FSW (without TOP) and FCW, deriving ES and BUSY. */
export function writeControl(fpu: X87, cpu: number, fcw: number, fsw: number): void {
  const summary = (fsw & ~fcw & 0x3f) !== 0 ? ES | BUSY : 0;
  fpu.views.u16[(cpu + fpu.fcw) >>> 1] = fcw;
  fpu.views.u16[(cpu + fpu.fsw) >>> 1] = (fsw & 0x477f) | summary;
}

/** Merges the flags of a finished instruction; C1 is replaced, the other condition codes stay. */
export function commit(fpu: X87, cpu: number, fcw: number, flags: number): void {
  const at = (cpu + fpu.fsw) >>> 1;
  let fsw = (fpu.views.u16[at] & ~C1) | flags;
  if ((fsw & ~fcw & 0x3f) !== 0) fsw |= ES | BUSY;
  fpu.views.u16[at] = fsw;
}

/** Like {@link commit}, but all four condition codes are replaced. */
export function commitConditions(fpu: X87, cpu: number, fcw: number, flags: number): void {
  fpu.views.u16[(cpu + fpu.fsw) >>> 1] &= ~(C0 | C2 | C3);
  commit(fpu, cpu, fcw, flags);
}

/** Byte address of ST(i). */
export function stackAddress(fpu: X87, cpu: number, i: number): number {
  return (cpu + fpu.registers + (((readTop(fpu, cpu) + i) & 7) << 4)) >>> 0;
}

export function isEmpty(fpu: X87, cpu: number, i: number): boolean {
  return fpu.views.u8[(cpu + fpu.ftag + ((readTop(fpu, cpu) + i) & 7)) >>> 0] !== 0;
}

export function setTag(fpu: X87, cpu: number, i: number, tag: number): void {
  fpu.views.u8[(cpu + fpu.ftag + ((readTop(fpu, cpu) + i) & 7)) >>> 0] = tag;
}

/** Puts `f80Result` into ST(i) and marks it in use. */
export function writeStack(fpu: X87, cpu: number, i: number): void {
  const { u8, u16, i32 } = fpu.views;
  const physical = (u8[(cpu + fpu.ftop) >>> 0] + i) & 7;
  const at = cpu + fpu.registers + (physical << 4);
  i32[at >>> 2] = f80Result[0];
  i32[(at + 4) >>> 2] = f80Result[1];
  u16[(at + 8) >>> 1] = f80Result[2];
  u8[(cpu + fpu.ftag + physical) >>> 0] = 0;
}

/** Copies ST(i) into `f80Result`. */
export function readStack(fpu: X87, cpu: number, i: number): void {
  const at = stackAddress(fpu, cpu, i);
  f80Result[0] = fpu.views.i32[at >>> 2];
  f80Result[1] = fpu.views.i32[(at + 4) >>> 2];
  f80Result[2] = fpu.views.u16[(at + 8) >>> 1];
}

/** Marks ST(0) empty and moves TOP up. */
export function popStack(fpu: X87, cpu: number): void {
  const top = readTop(fpu, cpu);
  fpu.views.u8[(cpu + fpu.ftag + top) >>> 0] = 1;
  writeTop(fpu, cpu, top + 1);
}

/** Moves TOP down and writes `f80Result` there. The caller has checked that the slot is free. */
export function pushStack(fpu: X87, cpu: number): void {
  writeTop(fpu, cpu, readTop(fpu, cpu) - 1);
  writeStack(fpu, cpu, 0);
}

/** Stack underflow whose destination is ST(i): indefinite if masked. Returns true if masked. */
export function stackUnderflow(fpu: X87, cpu: number, i: number): boolean {
  const fcw = readFcw(fpu, cpu);
  commit(fpu, cpu, fcw, IE | SF);
  if ((fcw & IE) === 0) return false;
  setIndefiniteF80();
  writeStack(fpu, cpu, i);
  return true;
}

/** Pushes `f80Result`, or signals stack overflow; `flags` are those of producing it. An unmasked DE still pushes. */
export function pushResult(fpu: X87, cpu: number, flags: number): void {
  const fcw = readFcw(fpu, cpu);
  if (!isEmpty(fpu, cpu, 7)) {
    flags = IE | SF | C1;
    setIndefiniteF80();
  }
  commit(fpu, cpu, fcw, flags);
  if ((flags & ~fcw & IE) === 0) pushStack(fpu, cpu);
}

/** Stores the low words of a memory operand in the scratch area. */
export function writeScratch(fpu: X87, cpu: number, word: number, value: number): void {
  fpu.views.i32[((cpu + fpu.scratch) >>> 2) + word] = value;
}
