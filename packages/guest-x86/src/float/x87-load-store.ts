/**
 * Loads and stores of ST(0): FLD, FILD, FBLD, the constants; FST, FIST, FISTTP, FBSTP; register moves.
 *
 * The one idea: generated code owns the guest memory access. A load gets the operand's bits as arguments; a store
 * leaves them at the start of the scratch area, the caller writes them out (and may fault, with the stack as it was)
 * and only then calls `pop`. On `X87_NO_STORE` the caller does neither.
 *
 * Source: Intel SDM Vol. 2, FLD ... FXCH; Vol. 1, 8.5.1.1 (stack faults), 8.3.4 (constants).
 */
import { IE, OE, SF, UE } from "./control.ts";
import { f80FromF32, f80FromF64, f80ToF32, f80ToF64, ieeeResult } from "./f80-convert.ts";
import { f80FromDecimal, f80FromI32, f80FromI64, f80ToDecimal, f80ToInteger, integerResult } from "./f80-integer.ts";
import { f80Result, setF80, setIndefiniteF80 } from "./f80-round.ts";
import {
  commit,
  isEmpty,
  isPending,
  popStack,
  pushResult,
  pushStack,
  readFcw,
  readStack,
  setTag,
  stackUnderflow,
  writeScratch,
  writeStack,
  X87_MF,
  X87_NO_STORE,
  X87_OK,
  type X87,
} from "./x87-state.ts";

/** FLD m32. */
export function fldM32(fpu: X87, cpu: number, bits: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  pushResult(fpu, cpu, f80FromF32(bits));
  return X87_OK;
}

/** FLD m64. */
export function fldM64(fpu: X87, cpu: number, lo: number, hi: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  pushResult(fpu, cpu, f80FromF64(lo, hi));
  return X87_OK;
}

/** FLD m80: bits as they are, whatever they are. */
export function fldM80(fpu: X87, cpu: number, lo: number, hi: number, exp: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  setF80(lo, hi, exp & 0xffff);
  pushResult(fpu, cpu, 0);
  return X87_OK;
}

/** FLD ST(i). */
export function fldSt(fpu: X87, cpu: number, i: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, i)) {
    // Underflow goes before overflow when both would occur.
    const fcw = readFcw(fpu, cpu);
    commit(fpu, cpu, fcw, IE | SF);
    if ((fcw & IE) === 0) return X87_OK;
    setIndefiniteF80();
    pushStack(fpu, cpu);
  } else {
    readStack(fpu, cpu, i);
    pushResult(fpu, cpu, 0);
  }
  return X87_OK;
}

/** FILD m16 and m32: the value sign-extended to 32 bits. */
export function fildM32(fpu: X87, cpu: number, value: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  f80FromI32(value);
  pushResult(fpu, cpu, 0);
  return X87_OK;
}

/** FILD m64. */
export function fildM64(fpu: X87, cpu: number, lo: number, hi: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  f80FromI64(lo, hi);
  pushResult(fpu, cpu, 0);
  return X87_OK;
}

/** FBLD m80. */
export function fbld(fpu: X87, cpu: number, lo: number, hi: number, top: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  f80FromDecimal(lo, hi, top);
  pushResult(fpu, cpu, 0);
  return X87_OK;
}

/** Constants in opcode order D9 E8..EE: [lo when rounded down, lo to nearest, lo up, hi, exponent]. */
const CONSTANTS: Int32Array = new Int32Array([
  ...[0, 0, 0, 0x80000000, 0x3fff], // 1
  ...[0xcd1b8afe, 0xcd1b8afe, 0xcd1b8aff, 0xd49a784b, 0x4000], // log2(10)
  ...[0x5c17f0bb, 0x5c17f0bc, 0x5c17f0bc, 0xb8aa3b29, 0x3fff], // log2(e)
  ...[0x2168c234, 0x2168c235, 0x2168c235, 0xc90fdaa2, 0x4000], // pi
  ...[0xfbcff798, 0xfbcff799, 0xfbcff799, 0x9a209a84, 0x3ffd], // log10(2)
  ...[0xd1cf79ab, 0xd1cf79ac, 0xd1cf79ac, 0xb17217f7, 0x3ffe], // ln(2)
  ...[0, 0, 0, 0, 0], // 0
]);

/** FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ: `which` = 0..6 in this order. */
export function fldConstant(fpu: X87, cpu: number, which: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  const mode = (readFcw(fpu, cpu) >>> 10) & 3;
  const column = mode === 0 ? 1 : mode === 2 ? 2 : 0;
  setF80(CONSTANTS[which * 5 + column], CONSTANTS[which * 5 + 3], CONSTANTS[which * 5 + 4]);
  pushResult(fpu, cpu, 0);
  return X87_OK;
}

/** Ends a store: merges flags, and forbids the store if one of `fatal` is raised and unmasked. */
function finishStore(fpu: X87, cpu: number, flags: number, fatal: number): number {
  const fcw = readFcw(fpu, cpu);
  commit(fpu, cpu, fcw, flags);
  return (flags & fatal & ~fcw) !== 0 ? X87_NO_STORE : X87_OK;
}

/** FST m32, FSTP m32: bits in scratch word 0. */
export function fstM32(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  let flags = IE | SF;
  if (isEmpty(fpu, cpu, 0)) ieeeResult[0] = 0xffc00000;
  else {
    readStack(fpu, cpu, 0);
    flags = f80ToF32(f80Result[0], f80Result[1], f80Result[2], readFcw(fpu, cpu));
  }
  writeScratch(fpu, cpu, 0, ieeeResult[0]);
  return finishStore(fpu, cpu, flags, IE | OE | UE);
}

/** FST m64, FSTP m64: bits in scratch words 0 and 1. */
export function fstM64(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  let flags = IE | SF;
  if (isEmpty(fpu, cpu, 0)) {
    ieeeResult[0] = 0;
    ieeeResult[1] = 0xfff80000;
  } else {
    readStack(fpu, cpu, 0);
    flags = f80ToF64(f80Result[0], f80Result[1], f80Result[2], readFcw(fpu, cpu));
  }
  writeScratch(fpu, cpu, 0, ieeeResult[0]);
  writeScratch(fpu, cpu, 1, ieeeResult[1]);
  return finishStore(fpu, cpu, flags, IE | OE | UE);
}

/** FSTP m80: bits in scratch words 0 to 2. */
export function fstM80(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  let flags = 0;
  if (isEmpty(fpu, cpu, 0)) {
    flags = IE | SF;
    setIndefiniteF80();
  } else readStack(fpu, cpu, 0);
  for (let word = 0; word < 3; word++) writeScratch(fpu, cpu, word, f80Result[word]);
  return finishStore(fpu, cpu, flags, IE);
}

function storeInteger(fpu: X87, cpu: number, bits: number, mode: number): number {
  let flags = IE | SF;
  if (isEmpty(fpu, cpu, 0)) f80ToInteger(0, 0, 0x7fff, bits, 0);
  else {
    readStack(fpu, cpu, 0);
    flags = f80ToInteger(f80Result[0], f80Result[1], f80Result[2], bits, mode);
  }
  writeScratch(fpu, cpu, 0, integerResult[0]);
  writeScratch(fpu, cpu, 1, integerResult[1]);
  return finishStore(fpu, cpu, flags, IE);
}

/** FIST, FISTP of 16, 32 or 64 `bits`: the integer, sign-extended to 64 bits, in scratch words 0 and 1. */
export function fist(fpu: X87, cpu: number, bits: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  return storeInteger(fpu, cpu, bits, (readFcw(fpu, cpu) >>> 10) & 3);
}

/** FISTTP (SSE3): like {@link fist}, truncating. */
export function fisttp(fpu: X87, cpu: number, bits: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  return storeInteger(fpu, cpu, bits, 3);
}

/** FBSTP: 80 bits in scratch words 0 to 2. */
export function fbstp(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  let flags = IE | SF;
  if (isEmpty(fpu, cpu, 0)) f80ToDecimal(0, 0, 0x7fff, 0);
  else {
    readStack(fpu, cpu, 0);
    flags = f80ToDecimal(f80Result[0], f80Result[1], f80Result[2], readFcw(fpu, cpu));
  }
  for (let word = 0; word < 3; word++) writeScratch(fpu, cpu, word, integerResult[word]);
  return finishStore(fpu, cpu, flags, IE);
}

/** The pop of a store, once the store has succeeded. */
export function pop(fpu: X87, cpu: number): number {
  popStack(fpu, cpu);
  return X87_OK;
}

/** FST ST(i), or FSTP ST(i) with `pops` non-zero. */
export function fstSt(fpu: X87, cpu: number, i: number, pops: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0)) {
    if (!stackUnderflow(fpu, cpu, i)) return X87_OK;
  } else {
    readStack(fpu, cpu, 0);
    writeStack(fpu, cpu, i);
    commit(fpu, cpu, readFcw(fpu, cpu), 0);
  }
  if (pops !== 0) popStack(fpu, cpu);
  return X87_OK;
}

/** FXCH ST(i): empty registers are first filled with the indefinite. */
export function fxch(fpu: X87, cpu: number, i: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  const empty0 = isEmpty(fpu, cpu, 0);
  const emptyI = isEmpty(fpu, cpu, i);
  if (empty0 || emptyI) {
    if (empty0 && !stackUnderflow(fpu, cpu, 0)) return X87_OK;
    if (emptyI && !stackUnderflow(fpu, cpu, i)) return X87_OK;
  } else commit(fpu, cpu, readFcw(fpu, cpu), 0);
  readStack(fpu, cpu, 0);
  const lo = f80Result[0];
  const hi = f80Result[1];
  const se = f80Result[2];
  readStack(fpu, cpu, i);
  writeStack(fpu, cpu, 0);
  setF80(lo, hi, se);
  writeStack(fpu, cpu, i);
  return X87_OK;
}

/** FCMOVcc ST(0), ST(i): `taken` is the condition. C1 changes on underflow only. */
export function fcmov(fpu: X87, cpu: number, i: number, taken: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0) || isEmpty(fpu, cpu, i)) {
    stackUnderflow(fpu, cpu, 0);
    return X87_OK;
  }
  if (taken !== 0) {
    readStack(fpu, cpu, i);
    writeStack(fpu, cpu, 0);
  }
  return X87_OK;
}

/** FFREE ST(i), or FFREEP ST(i) with `pops` non-zero. */
export function ffree(fpu: X87, cpu: number, i: number, pops: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  setTag(fpu, cpu, i, 1);
  commit(fpu, cpu, readFcw(fpu, cpu), 0);
  if (pops !== 0) popStack(fpu, cpu);
  return X87_OK;
}
