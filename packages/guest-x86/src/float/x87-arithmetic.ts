/**
 * x87 arithmetic and comparison on the register stack.
 *
 * The one idea: every form is `dest = dest op source`, with `op` numbered as in the opcode's reg field
 * (0 add, 1 mul, 4 sub, 5 reversed sub, 6 div, 7 reversed div) and the source brought into one place first.
 *
 * Source: Intel SDM Vol. 1, 8.3.5 to 8.3.7; Vol. 2, FADD ... FUCOMI, FXAM, FTST.
 */
import { C0, C1, C2, C3, DE, IE, SF, ZE } from "./control.ts";
import { f80Add, f80Divide, f80Multiply, f80SquareRoot, f80Subtract } from "./f80-arithmetic.ts";
import { f80Compare, f80Examine, UNORDERED } from "./f80-compare.ts";
import { f80SignalFromF32, f80SignalFromF64 } from "./f80-convert.ts";
import { f80FromI32, f80RoundToInteger } from "./f80-integer.ts";
import { extractedExponent, f80Extract, f80Remainder, f80Scale } from "./f80-remainder.ts";
import { classifyF80, f80Result, QNAN, setF80, setIndefiniteF80, setZeroF80 } from "./f80-round.ts";
import {
  commit,
  commitConditions,
  isEmpty,
  isPending,
  popStack,
  pushStack,
  readFcw,
  readFsw,
  readStack,
  stackAddress,
  stackUnderflow,
  writeControl,
  writeStack,
  X87_MF,
  X87_OK,
  type X87,
} from "./x87-state.ts";

/** Operations of {@link arithSt} and its kin. */
export const X87_ADD = 0;
export const X87_MUL = 1;
export const X87_SUB = 4;
export const X87_SUBR = 5;
export const X87_DIV = 6;
export const X87_DIVR = 7;

/** dest ST(i) = ST(i) op `f80Result`. Returns the flags; writes if they permit. */
function operate(fpu: X87, cpu: number, op: number, i: number, sourceFlags: number): number {
  const fcw = readFcw(fpu, cpu);
  const at = stackAddress(fpu, cpu, i);
  const aLo = fpu.views.i32[at >>> 2];
  const aHi = fpu.views.i32[(at + 4) >>> 2];
  const aSe = fpu.views.u16[(at + 8) >>> 1];
  const bLo = f80Result[0];
  const bHi = f80Result[1];
  const bSe = f80Result[2];
  let flags: number;
  if (op === X87_ADD) flags = f80Add(aLo, aHi, aSe, bLo, bHi, bSe, fcw);
  else if (op === X87_MUL) flags = f80Multiply(aLo, aHi, aSe, bLo, bHi, bSe, fcw);
  else if (op === X87_SUB) flags = f80Subtract(aLo, aHi, aSe, bLo, bHi, bSe, fcw);
  else if (op === X87_SUBR) flags = f80Subtract(bLo, bHi, bSe, aLo, aHi, aSe, fcw);
  else if (op === X87_DIV) flags = f80Divide(aLo, aHi, aSe, bLo, bHi, bSe, fcw);
  else flags = f80Divide(bLo, bHi, bSe, aLo, aHi, aSe, fcw);
  if (sourceFlags !== 0 && (flags & (IE | ZE)) === 0 && classifyF80(aLo, aHi, aSe) < QNAN) {
    // The source was a denormal of a narrower format: DE comes after NaN, IE and ZE, before OE, UE and PE.
    flags = (DE & ~fcw) !== 0 ? DE : flags | DE;
  }
  commit(fpu, cpu, fcw, flags);
  if ((flags & ~fcw & 7) === 0) writeStack(fpu, cpu, i);
  return flags & ~fcw & 7;
}

/** ST(0) = ST(0) op ST(i). */
export function arithSt(fpu: X87, cpu: number, op: number, i: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0) || isEmpty(fpu, cpu, i)) stackUnderflow(fpu, cpu, 0);
  else {
    readStack(fpu, cpu, i);
    operate(fpu, cpu, op, 0, 0);
  }
  return X87_OK;
}

/** ST(i) = ST(i) op ST(0), then a pop if `pops` is non-zero. */
export function arithToSt(fpu: X87, cpu: number, op: number, i: number, pops: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0) || isEmpty(fpu, cpu, i)) {
    if (!stackUnderflow(fpu, cpu, i)) return X87_OK;
  } else {
    readStack(fpu, cpu, 0);
    if (operate(fpu, cpu, op, i, 0) !== 0) return X87_OK;
  }
  if (pops !== 0) popStack(fpu, cpu);
  return X87_OK;
}

/** ST(0) = ST(0) op m32. */
export function arithM32(fpu: X87, cpu: number, op: number, bits: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0)) stackUnderflow(fpu, cpu, 0);
  else operate(fpu, cpu, op, 0, f80SignalFromF32(bits));
  return X87_OK;
}

/** ST(0) = ST(0) op m64. */
export function arithM64(fpu: X87, cpu: number, op: number, lo: number, hi: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0)) stackUnderflow(fpu, cpu, 0);
  else operate(fpu, cpu, op, 0, f80SignalFromF64(lo, hi));
  return X87_OK;
}

/** ST(0) = ST(0) op integer (FIADD and its kin): m16 or m32, sign-extended. */
export function arithInteger(fpu: X87, cpu: number, op: number, value: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0)) stackUnderflow(fpu, cpu, 0);
  else {
    f80FromI32(value);
    operate(fpu, cpu, op, 0, 0);
  }
  return X87_OK;
}

/** Compares ST(0) with `f80Result`. Returns FSW bits. */
function compareResult(fpu: X87, cpu: number, quiet: boolean, sourceFlags: number): number {
  const at = stackAddress(fpu, cpu, 0);
  const flags = f80Compare(
    fpu.views.i32[at >>> 2],
    fpu.views.i32[(at + 4) >>> 2],
    fpu.views.u16[(at + 8) >>> 1],
    f80Result[0],
    f80Result[1],
    f80Result[2],
    quiet,
  );
  return (flags & UNORDERED) === UNORDERED ? flags : flags | sourceFlags;
}

/** Commits a comparison: an unmasked stack fault or invalid operand leaves the condition codes and the stack. */
function finishCompare(fpu: X87, cpu: number, flags: number, pops: number): void {
  const fcw = readFcw(fpu, cpu);
  commitConditions(fpu, cpu, fcw, flags);
  if ((flags & ~fcw & 7) !== 0) return;
  for (let i = 0; i < pops; i++) popStack(fpu, cpu);
}

/** FCOM, FCOMP, FCOMPP (`quiet` 0), FUCOM, FUCOMP, FUCOMPP (`quiet` 1) with ST(i); `pops` = 0, 1, 2. */
export function fcomSt(fpu: X87, cpu: number, i: number, quiet: number, pops: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  let flags = UNORDERED | IE | SF;
  if (!isEmpty(fpu, cpu, 0) && !isEmpty(fpu, cpu, i)) {
    readStack(fpu, cpu, i);
    flags = compareResult(fpu, cpu, quiet !== 0, 0);
  }
  finishCompare(fpu, cpu, flags, pops);
  return X87_OK;
}

/** FCOM, FCOMP m32. */
export function fcomM32(fpu: X87, cpu: number, bits: number, pops: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  const flags = isEmpty(fpu, cpu, 0) ? UNORDERED | IE | SF : compareResult(fpu, cpu, false, f80SignalFromF32(bits));
  finishCompare(fpu, cpu, flags, pops);
  return X87_OK;
}

/** FCOM, FCOMP m64. */
export function fcomM64(fpu: X87, cpu: number, lo: number, hi: number, pops: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  const flags = isEmpty(fpu, cpu, 0) ? UNORDERED | IE | SF : compareResult(fpu, cpu, false, f80SignalFromF64(lo, hi));
  finishCompare(fpu, cpu, flags, pops);
  return X87_OK;
}

/** FICOM, FICOMP: m16 or m32, sign-extended. */
export function ficom(fpu: X87, cpu: number, value: number, pops: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  let flags = UNORDERED | IE | SF;
  if (!isEmpty(fpu, cpu, 0)) {
    f80FromI32(value);
    flags = compareResult(fpu, cpu, false, 0);
  }
  finishCompare(fpu, cpu, flags, pops);
  return X87_OK;
}

/** What {@link fcomi} returns when #MF is to be raised. */
export const FCOMI_MF = -1;

/**
 * FCOMI, FCOMIP (`quiet` 0), FUCOMI, FUCOMIP (`quiet` 1). Returns the new ZF (0x40), PF (4) and CF (1), or
 * {@link FCOMI_MF}. OF, SF and AF become zero; EFLAGS are written even under an unmasked exception.
 */
export function fcomi(fpu: X87, cpu: number, i: number, quiet: number, pops: number): number {
  if (isPending(fpu, cpu)) return FCOMI_MF;
  let flags = UNORDERED | IE | SF;
  if (!isEmpty(fpu, cpu, 0) && !isEmpty(fpu, cpu, i)) {
    readStack(fpu, cpu, i);
    flags = compareResult(fpu, cpu, quiet !== 0, 0);
  }
  const fcw = readFcw(fpu, cpu);
  // C1 changes on underflow only.
  const kept = (flags & SF) !== 0 ? 0 : readFsw(fpu, cpu) & C1;
  commit(fpu, cpu, fcw, (flags & ~UNORDERED) | kept);
  if (pops !== 0 && (flags & ~fcw & 7) === 0) popStack(fpu, cpu);
  return ((flags & C3) !== 0 ? 0x40 : 0) | ((flags & C2) !== 0 ? 4 : 0) | ((flags & C0) !== 0 ? 1 : 0);
}

/** FTST: ST(0) with zero. */
export function ftst(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  let flags = UNORDERED | IE | SF;
  if (!isEmpty(fpu, cpu, 0)) {
    setZeroF80(0);
    flags = compareResult(fpu, cpu, false, 0);
  }
  finishCompare(fpu, cpu, flags, 0);
  return X87_OK;
}

/** FXAM: never faults; an empty register is C3 C2 C0 = 101. */
export function fxam(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  readStack(fpu, cpu, 0);
  let flags = f80Examine(f80Result[0], f80Result[1], f80Result[2]);
  if (isEmpty(fpu, cpu, 0)) flags = (flags & C1) | C3 | C0;
  commitConditions(fpu, cpu, readFcw(fpu, cpu), flags);
  return X87_OK;
}

/** FCHS (`absolute` 0), FABS (`absolute` 1): the sign bit only, whatever the encoding. */
export function fchs(fpu: X87, cpu: number, absolute: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0)) {
    stackUnderflow(fpu, cpu, 0);
    return X87_OK;
  }
  const at = (stackAddress(fpu, cpu, 0) + 8) >>> 1;
  if (absolute !== 0) fpu.views.u16[at] &= 0x7fff;
  else fpu.views.u16[at] ^= 0x8000;
  commit(fpu, cpu, readFcw(fpu, cpu), 0);
  return X87_OK;
}

/** Ends an operation on ST(0) whose result is in `f80Result`. */
function finishUnary(fpu: X87, cpu: number, fcw: number, flags: number): number {
  commit(fpu, cpu, fcw, flags);
  if ((flags & ~fcw & 7) === 0) writeStack(fpu, cpu, 0);
  return X87_OK;
}

/** FSQRT. */
export function fsqrt(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0)) {
    stackUnderflow(fpu, cpu, 0);
    return X87_OK;
  }
  const fcw = readFcw(fpu, cpu);
  readStack(fpu, cpu, 0);
  return finishUnary(fpu, cpu, fcw, f80SquareRoot(f80Result[0], f80Result[1], f80Result[2], fcw));
}

/** FRNDINT. */
export function frndint(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0)) {
    stackUnderflow(fpu, cpu, 0);
    return X87_OK;
  }
  const fcw = readFcw(fpu, cpu);
  readStack(fpu, cpu, 0);
  return finishUnary(fpu, cpu, fcw, f80RoundToInteger(f80Result[0], f80Result[1], f80Result[2], fcw));
}

/** FSCALE: ST(0) * 2^trunc(ST(1)). */
export function fscale(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  if (isEmpty(fpu, cpu, 0) || isEmpty(fpu, cpu, 1)) {
    stackUnderflow(fpu, cpu, 0);
    return X87_OK;
  }
  const fcw = readFcw(fpu, cpu);
  readStack(fpu, cpu, 1);
  const lo = f80Result[0];
  const hi = f80Result[1];
  const se = f80Result[2];
  readStack(fpu, cpu, 0);
  return finishUnary(fpu, cpu, fcw, f80Scale(f80Result[0], f80Result[1], f80Result[2], lo, hi, se, fcw));
}

/** FPREM (`nearest` 0), FPREM1 (`nearest` 1). */
export function fprem(fpu: X87, cpu: number, nearest: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  const fcw = readFcw(fpu, cpu);
  if (isEmpty(fpu, cpu, 0) || isEmpty(fpu, cpu, 1)) {
    writeControl(fpu, cpu, fcw, readFsw(fpu, cpu) & ~C2);
    stackUnderflow(fpu, cpu, 0);
    return X87_OK;
  }
  readStack(fpu, cpu, 1);
  const lo = f80Result[0];
  const hi = f80Result[1];
  const se = f80Result[2];
  readStack(fpu, cpu, 0);
  const flags = f80Remainder(f80Result[0], f80Result[1], f80Result[2], lo, hi, se, fcw, nearest !== 0);
  // Without a quotient (NaN, or an unmasked exception) C0 and C3 keep their old values; C2 is cleared.
  const unwritten = (flags & ~fcw & 7) !== 0;
  const kept = unwritten || (f80Result[2] & 0x7fff) === 0x7fff ? readFsw(fpu, cpu) & (C0 | C3) : 0;
  commitConditions(fpu, cpu, fcw, flags | kept);
  if (!unwritten) writeStack(fpu, cpu, 0);
  return X87_OK;
}

/** FXTRACT: the exponent replaces ST(0), then the significand is pushed. */
export function fxtract(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  const fcw = readFcw(fpu, cpu);
  if (isEmpty(fpu, cpu, 0) || !isEmpty(fpu, cpu, 7)) {
    commit(fpu, cpu, fcw, isEmpty(fpu, cpu, 0) ? IE | SF : IE | SF | C1);
    if ((fcw & IE) === 0) return X87_OK;
    setIndefiniteF80();
    writeStack(fpu, cpu, 0);
    pushStack(fpu, cpu);
    return X87_OK;
  }
  readStack(fpu, cpu, 0);
  const flags = f80Extract(f80Result[0], f80Result[1], f80Result[2], fcw);
  commit(fpu, cpu, fcw, flags);
  if ((flags & ~fcw & 7) !== 0) return X87_OK;
  const lo = f80Result[0];
  const hi = f80Result[1];
  const se = f80Result[2];
  setF80(extractedExponent[0], extractedExponent[1], extractedExponent[2]);
  writeStack(fpu, cpu, 0);
  setF80(lo, hi, se);
  pushStack(fpu, cpu);
  return X87_OK;
}
