/**
 * The x87 unit as WebAssembly imports.
 *
 * The one idea: generated code calls plain functions of i32 numbers, the first of which is `cpu`; this file binds
 * them to one `X87` once, so that a call costs no more than the call. All return an i32: `X87_OK`, `X87_MF`,
 * `X87_NO_STORE`, but for `fnstcw`, `fnstsw` (the word) and `fcomi` (the flags, or `FCOMI_MF`).
 */
import * as arithmetic from "./x87-arithmetic.ts";
import * as control from "./x87-control.ts";
import * as move from "./x87-load-store.ts";
import * as transcendental from "./x87-transcendental.ts";
import type { X87 } from "./x87-state.ts";

type Import1 = (cpu: number) => number;
type Import2 = (cpu: number, a: number) => number;
type Import3 = (cpu: number, a: number, b: number) => number;
type Import4 = (cpu: number, a: number, b: number, c: number) => number;

/** See the functions of the same names for what the parameters after `cpu` mean. */
export interface X87Imports {
  // Loads and stores (x87-load-store.ts)
  fldM32: Import2;
  fldM64: Import3;
  fldM80: Import4;
  fldSt: Import2;
  fildM32: Import2;
  fildM64: Import3;
  fbld: Import4;
  fldConstant: Import2;
  fstM32: Import1;
  fstM64: Import1;
  fstM80: Import1;
  fist: Import2;
  fisttp: Import2;
  fbstp: Import1;
  pop: Import1;
  fstSt: Import3;
  fxch: Import2;
  fcmov: Import3;
  ffree: Import3;
  // Arithmetic and comparison (x87-arithmetic.ts)
  arithSt: Import3;
  arithToSt: Import4;
  arithM32: Import3;
  arithM64: Import4;
  arithInteger: Import3;
  fcomSt: Import4;
  fcomM32: Import3;
  fcomM64: Import4;
  ficom: Import3;
  fcomi: Import4;
  ftst: Import1;
  fxam: Import1;
  fchs: Import2;
  fsqrt: Import1;
  frndint: Import1;
  fscale: Import1;
  fprem: Import2;
  fxtract: Import1;
  // Transcendentals (x87-transcendental.ts)
  f2xm1: Import1;
  fyl2x: Import2;
  fsin: Import2;
  fsincos: Import2;
  // Control and images (x87-control.ts)
  fwait: Import1;
  fldcw: Import2;
  fnstcw: Import1;
  fnstsw: Import1;
  fnclex: Import1;
  fninit: Import1;
  fincstp: Import2;
  fnstenv: Import2;
  fldenv: Import2;
  fnsave: Import2;
  frstor: Import2;
  fxsaveX87: Import2;
  fxrstorX87: Import2;
  mmxEnter: Import1;
  mmxWritten: Import2;
  emms: Import1;
}

/** Binds every operation to `fpu`. The functions need no `this` and may be passed to WebAssembly as they are. */
export function x87Imports(fpu: X87): X87Imports {
  return {
    fldM32: (cpu, bits) => move.fldM32(fpu, cpu, bits),
    fldM64: (cpu, lo, hi) => move.fldM64(fpu, cpu, lo, hi),
    fldM80: (cpu, lo, hi, exp) => move.fldM80(fpu, cpu, lo, hi, exp),
    fldSt: (cpu, i) => move.fldSt(fpu, cpu, i),
    fildM32: (cpu, value) => move.fildM32(fpu, cpu, value),
    fildM64: (cpu, lo, hi) => move.fildM64(fpu, cpu, lo, hi),
    fbld: (cpu, lo, hi, top) => move.fbld(fpu, cpu, lo, hi, top),
    fldConstant: (cpu, which) => move.fldConstant(fpu, cpu, which),
    fstM32: (cpu) => move.fstM32(fpu, cpu),
    fstM64: (cpu) => move.fstM64(fpu, cpu),
    fstM80: (cpu) => move.fstM80(fpu, cpu),
    fist: (cpu, bits) => move.fist(fpu, cpu, bits),
    fisttp: (cpu, bits) => move.fisttp(fpu, cpu, bits),
    fbstp: (cpu) => move.fbstp(fpu, cpu),
    pop: (cpu) => move.pop(fpu, cpu),
    fstSt: (cpu, i, pops) => move.fstSt(fpu, cpu, i, pops),
    fxch: (cpu, i) => move.fxch(fpu, cpu, i),
    fcmov: (cpu, i, taken) => move.fcmov(fpu, cpu, i, taken),
    ffree: (cpu, i, pops) => move.ffree(fpu, cpu, i, pops),
    arithSt: (cpu, op, i) => arithmetic.arithSt(fpu, cpu, op, i),
    arithToSt: (cpu, op, i, pops) => arithmetic.arithToSt(fpu, cpu, op, i, pops),
    arithM32: (cpu, op, bits) => arithmetic.arithM32(fpu, cpu, op, bits),
    arithM64: (cpu, op, lo, hi) => arithmetic.arithM64(fpu, cpu, op, lo, hi),
    arithInteger: (cpu, op, value) => arithmetic.arithInteger(fpu, cpu, op, value),
    fcomSt: (cpu, i, quiet, pops) => arithmetic.fcomSt(fpu, cpu, i, quiet, pops),
    fcomM32: (cpu, bits, pops) => arithmetic.fcomM32(fpu, cpu, bits, pops),
    fcomM64: (cpu, lo, hi, pops) => arithmetic.fcomM64(fpu, cpu, lo, hi, pops),
    ficom: (cpu, value, pops) => arithmetic.ficom(fpu, cpu, value, pops),
    fcomi: (cpu, i, quiet, pops) => arithmetic.fcomi(fpu, cpu, i, quiet, pops),
    ftst: (cpu) => arithmetic.ftst(fpu, cpu),
    fxam: (cpu) => arithmetic.fxam(fpu, cpu),
    fchs: (cpu, absolute) => arithmetic.fchs(fpu, cpu, absolute),
    fsqrt: (cpu) => arithmetic.fsqrt(fpu, cpu),
    frndint: (cpu) => arithmetic.frndint(fpu, cpu),
    fscale: (cpu) => arithmetic.fscale(fpu, cpu),
    fprem: (cpu, nearest) => arithmetic.fprem(fpu, cpu, nearest),
    fxtract: (cpu) => arithmetic.fxtract(fpu, cpu),
    f2xm1: (cpu) => transcendental.f2xm1(fpu, cpu),
    fyl2x: (cpu, which) => transcendental.fyl2x(fpu, cpu, which),
    fsin: (cpu, which) => transcendental.fsin(fpu, cpu, which),
    fsincos: (cpu, tangent) => transcendental.fsincos(fpu, cpu, tangent),
    fwait: (cpu) => control.fwait(fpu, cpu),
    fldcw: (cpu, value) => control.fldcw(fpu, cpu, value),
    fnstcw: (cpu) => control.fnstcw(fpu, cpu),
    fnstsw: (cpu) => control.fnstsw(fpu, cpu),
    fnclex: (cpu) => control.fnclex(fpu, cpu),
    fninit: (cpu) => control.fninit(fpu, cpu),
    fincstp: (cpu, delta) => control.fincstp(fpu, cpu, delta),
    fnstenv: (cpu, format) => control.fnstenv(fpu, cpu, format),
    fldenv: (cpu, format) => control.fldenv(fpu, cpu, format),
    fnsave: (cpu, format) => control.fnsave(fpu, cpu, format),
    frstor: (cpu, format) => control.frstor(fpu, cpu, format),
    fxsaveX87: (cpu, wide) => control.fxsaveX87(fpu, cpu, wide),
    fxrstorX87: (cpu, wide) => control.fxrstorX87(fpu, cpu, wide),
    mmxEnter: (cpu) => control.mmxEnter(fpu, cpu),
    mmxWritten: (cpu, i) => control.mmxWritten(fpu, cpu, i),
    emms: (cpu) => control.emms(fpu, cpu),
  };
}
