/**
 * The transcendental instructions on the register stack.
 *
 * The one idea: one-operand functions replace ST(0), two-operand ones replace ST(1) and pop, FSINCOS and FPTAN also
 * push; only stack faults and C2 need care here. Source: Intel SDM Vol. 2, F2XM1 ... FYL2XP1.
 */
import { C1, C2, IE, SF } from "./control.ts";
import { f80Exp2Minus1, f80YLog2X, f80YLog2XPlus1 } from "./f80-exponential.ts";
import { f80Result, setF80, setIndefiniteF80 } from "./f80-round.ts";
import { COSINE, f80Arctangent, f80Trigonometric, SINE, TANGENT } from "./f80-trigonometry.ts";
import {
  commit,
  isEmpty,
  isPending,
  popStack,
  pushStack,
  readFcw,
  readFsw,
  readStack,
  stackUnderflow,
  writeControl,
  writeStack,
  X87_MF,
  X87_OK,
  type X87,
} from "./x87-state.ts";

function clearC2(fpu: X87, cpu: number): void {
  writeControl(fpu, cpu, readFcw(fpu, cpu), readFsw(fpu, cpu) & ~C2);
}

/** F2XM1. */
export function f2xm1(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0)) {
    stackUnderflow(fpu, cpu, 0);
    return X87_OK;
  }
  const fcw = readFcw(fpu, cpu);
  readStack(fpu, cpu, 0);
  const flags = f80Exp2Minus1(f80Result[0], f80Result[1], f80Result[2], fcw);
  commit(fpu, cpu, fcw, flags);
  if ((flags & ~fcw & 7) === 0) writeStack(fpu, cpu, 0);
  return X87_OK;
}

export const FYL2X = 0;
export const FYL2XP1 = 1;
export const FPATAN = 2;

/** FYL2X, FYL2XP1, FPATAN (`which` = 0, 1, 2): ST(1) = f(ST(1), ST(0)), then a pop. */
export function fyl2x(fpu: X87, cpu: number, which: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0) || isEmpty(fpu, cpu, 1)) {
    if (stackUnderflow(fpu, cpu, 1)) popStack(fpu, cpu);
    return X87_OK;
  }
  const fcw = readFcw(fpu, cpu);
  readStack(fpu, cpu, 1);
  const lo = f80Result[0];
  const hi = f80Result[1];
  const se = f80Result[2];
  readStack(fpu, cpu, 0);
  const xLo = f80Result[0];
  const xHi = f80Result[1];
  const xSe = f80Result[2];
  let flags: number;
  if (which === FYL2X) flags = f80YLog2X(xLo, xHi, xSe, lo, hi, se, fcw);
  else if (which === FYL2XP1) flags = f80YLog2XPlus1(xLo, xHi, xSe, lo, hi, se, fcw);
  else flags = f80Arctangent(xLo, xHi, xSe, lo, hi, se, fcw);
  commit(fpu, cpu, fcw, flags);
  if ((flags & ~fcw & 7) === 0) {
    writeStack(fpu, cpu, 1);
    popStack(fpu, cpu);
  }
  return X87_OK;
}

/** FSIN (`which` 0), FCOS (`which` 1). |ST(0)| >= 2^63 sets C2 and changes nothing. */
export function fsin(fpu: X87, cpu: number, which: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  clearC2(fpu, cpu);
  if (isEmpty(fpu, cpu, 0)) {
    stackUnderflow(fpu, cpu, 0);
    return X87_OK;
  }
  const fcw = readFcw(fpu, cpu);
  readStack(fpu, cpu, 0);
  const flags = f80Trigonometric(which, f80Result[0], f80Result[1], f80Result[2], fcw);
  commit(fpu, cpu, fcw, flags);
  if ((flags & C2) === 0 && (flags & ~fcw & 7) === 0) writeStack(fpu, cpu, 0);
  return X87_OK;
}

/** FSINCOS (`tangent` 0): sine, then cosine pushed. FPTAN (`tangent` 1): tangent, then 1.0 pushed. */
export function fsincos(fpu: X87, cpu: number, tangent: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  clearC2(fpu, cpu);
  const fcw = readFcw(fpu, cpu);
  const empty = isEmpty(fpu, cpu, 0);
  if (empty || !isEmpty(fpu, cpu, 7)) {
    commit(fpu, cpu, fcw, empty ? IE | SF : IE | SF | C1);
    if ((fcw & IE) === 0) return X87_OK;
    setIndefiniteF80();
    writeStack(fpu, cpu, 0);
    pushStack(fpu, cpu);
    return X87_OK;
  }
  readStack(fpu, cpu, 0);
  const lo = f80Result[0];
  const hi = f80Result[1];
  const se = f80Result[2];
  let flags = f80Trigonometric(tangent !== 0 ? TANGENT : SINE, lo, hi, se, fcw);
  if ((flags & C2) !== 0 || (flags & ~fcw & 7) !== 0) {
    commit(fpu, cpu, fcw, flags);
    return X87_OK;
  }
  const isNaN = (f80Result[2] & 0x7fff) === 0x7fff;
  writeStack(fpu, cpu, 0);
  if (isNaN) {
    // NaN and invalid operands: the same NaN twice.
  } else if (tangent !== 0) setF80(0, 0x80000000 | 0, 0x3fff);
  else {
    // C1 is that of the sine.
    flags |= f80Trigonometric(COSINE, lo, hi, se, fcw) & ~C1;
  }
  commit(fpu, cpu, fcw, flags);
  pushStack(fpu, cpu);
  return X87_OK;
}
