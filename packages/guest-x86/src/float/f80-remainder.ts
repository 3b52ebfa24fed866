/**
 * FPREM, FPREM1, FSCALE and FXTRACT: the operations that work on the exponent and are exact but for underflow.
 *
 * The one idea: a remainder is a shift-and-subtract division of which only the last three quotient bits are kept.
 * Source: Intel SDM Vol. 2, FPREM (quotient bits in C0, C3, C1; C2 = incomplete), FPREM1, FSCALE, FXTRACT.
 */
import { C0, C1, C2, C3, DE, ZE } from "./control.ts";
import { invalidF80, propagateNaN1, propagateNaN2 } from "./f80-arithmetic.ts";
import { f80FromI32 } from "./f80-integer.ts";
import {
  classifyF80,
  DENORMAL,
  F80_BIAS,
  f80Result,
  fullPrecision,
  INFINITE,
  normalised,
  normaliseF80,
  QNAN,
  roundF80,
  setF80,
  setInfinityF80,
  setZeroF80,
  ZERO,
} from "./f80-round.ts";
import { EXP, HI, less64, LO, REST, setNormalised, unrounded } from "./significand.ts";

function quotientBits(quotient: number): number {
  return ((quotient & 1) !== 0 ? C1 : 0) | ((quotient & 2) !== 0 ? C3 : 0) | ((quotient & 4) !== 0 ? C0 : 0);
}

function loadUnrounded(exp: number, hi: number, lo: number): void {
  unrounded[EXP] = exp;
  unrounded[HI] = hi;
  unrounded[LO] = lo;
  unrounded[REST] = 0;
}

/**
 * FPREM (`nearest` false: truncating) and FPREM1 (`nearest` true: IEEE remainder) of a by b, into `f80Result`.
 * Exponents that differ by 64 or more are reduced in part, with C2 set.
 */
export function f80Remainder(
  aLo: number,
  aHi: number,
  aSe: number,
  bLo: number,
  bHi: number,
  bSe: number,
  fcw: number,
  nearest: boolean,
): number {
  const aKind = classifyF80(aLo, aHi, aSe);
  const bKind = classifyF80(bLo, bHi, bSe);
  if (aKind >= QNAN || bKind >= QNAN) return propagateNaN2(aKind, aLo, aHi, aSe, bKind, bLo, bHi, bSe);
  if (aKind === INFINITE || bKind === ZERO) return invalidF80();
  const denormal = aKind === DENORMAL || bKind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  if (aKind === ZERO) {
    setF80(aLo, aHi, aSe);
    return denormal;
  }
  let sign = (aSe >>> 15) & 1;
  normaliseF80(aLo, aHi, aSe);
  const aExp = normalised[EXP];
  let rHi = normalised[HI];
  let rLo = normalised[LO];
  if (bKind === INFINITE) {
    loadUnrounded(aExp, rHi, rLo);
    return roundF80(sign, fullPrecision(fcw)) | denormal;
  }
  normaliseF80(bLo, bHi, bSe);
  const bExp = normalised[EXP];
  const dHi = normalised[HI];
  const dLo = normalised[LO];
  const difference = aExp - bExp;
  if (difference < (nearest ? -1 : 0)) {
    loadUnrounded(aExp, rHi, rLo);
    return roundF80(sign, fullPrecision(fcw)) | denormal;
  }
  const partial = difference >= 64;
  const steps = partial ? 32 + (difference & 31) : difference;
  let quotient = 0;
  let carry = 0;
  // Invariant: carry:rHi:rLo < 2 * d, scaled by 2^exp.
  let exp = aExp;
  if (difference >= 0) {
    for (let i = 0; ; i++) {
      quotient <<= 1;
      if (carry !== 0 || !less64(rHi, rLo, dHi, dLo)) {
        rHi = (rHi - dHi - (rLo >>> 0 < dLo >>> 0 ? 1 : 0)) | 0;
        rLo = (rLo - dLo) | 0;
        quotient |= 1;
      }
      if (i === steps) break;
      carry = rHi >>> 31;
      rHi = (rHi << 1) | (rLo >>> 31);
      rLo <<= 1;
      exp--;
    }
  }
  if (partial) quotient = 0;
  else if (nearest && (rHi | rLo) !== 0) {
    // Round the quotient to nearest even: compare twice the remainder with the divisor.
    let twice: number;
    if (difference === -1) twice = less64(dHi, dLo, rHi, rLo) ? 1 : rHi === dHi && rLo === dLo ? 0 : -1;
    else if (rHi < 0) twice = 1;
    else {
      const hi2 = (rHi << 1) | (rLo >>> 31);
      const lo2 = rLo << 1;
      twice = less64(dHi, dLo, hi2, lo2) ? 1 : hi2 === dHi && lo2 === dLo ? 0 : -1;
    }
    if (twice > 0 || (twice === 0 && (quotient & 1) !== 0)) {
      quotient++;
      sign ^= 1;
      if (difference === -1) {
        // r is half the scale of d here: d - r = 2 * (d / 2) - r
        const over = (dLo << 1) >>> 0;
        const overHi = (dHi << 1) | (dLo >>> 31);
        rHi = (overHi - rHi - (over < rLo >>> 0 ? 1 : 0)) | 0;
        rLo = (over - rLo) | 0;
      } else {
        const borrow = dLo >>> 0 < rLo >>> 0 ? 1 : 0;
        rHi = (dHi - rHi - borrow) | 0;
        rLo = (dLo - rLo) | 0;
      }
    }
  }
  let flags = denormal | quotientBits(quotient) | (partial ? C2 : 0);
  if ((rHi | rLo) === 0) setZeroF80((aSe >>> 15) & 1);
  else {
    setNormalised(exp, rHi, rLo, 0);
    flags |= roundF80(sign, fullPrecision(fcw));
  }
  return flags;
}

/** FSCALE: a * 2^trunc(b). */
export function f80Scale(
  aLo: number,
  aHi: number,
  aSe: number,
  bLo: number,
  bHi: number,
  bSe: number,
  fcw: number,
): number {
  const aKind = classifyF80(aLo, aHi, aSe);
  const bKind = classifyF80(bLo, bHi, bSe);
  const sign = (aSe >>> 15) & 1;
  if (aKind >= QNAN || bKind >= QNAN) return propagateNaN2(aKind, aLo, aHi, aSe, bKind, bLo, bHi, bSe);
  if (bKind === INFINITE) {
    const shrinks = (bSe & 0x8000) !== 0;
    if (aKind === (shrinks ? INFINITE : ZERO)) return invalidF80();
  }
  const denormal = aKind === DENORMAL || bKind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  if (aKind === ZERO || aKind === INFINITE) {
    setF80(aLo, aHi, aSe);
    return denormal;
  }
  if (bKind === INFINITE) {
    if ((bSe & 0x8000) !== 0) setZeroF80(sign);
    else setInfinityF80(sign);
    return denormal;
  }
  const bExp = (bSe & 0x7fff) - F80_BIAS;
  // Beyond 2^16 every number leaves the range, even with a wrapped exponent.
  let scale = bExp < 0 ? 0 : bExp > 16 ? 0x1ffff : bHi >>> (31 - bExp);
  if ((bSe & 0x8000) !== 0) scale = -scale;
  normaliseF80(aLo, aHi, aSe);
  loadUnrounded(normalised[EXP] + scale, normalised[HI], normalised[LO]);
  return roundF80(sign, fullPrecision(fcw)) | denormal;
}

/** Exponent half of {@link f80Extract}: [lo, hi, se]. */
export const extractedExponent: Int32Array = new Int32Array(3);

function copyToExponent(): void {
  extractedExponent.set(f80Result);
}

/** FXTRACT: significand into `f80Result`, exponent into {@link extractedExponent}. */
export function f80Extract(lo: number, hi: number, se: number, fcw: number): number {
  const kind = classifyF80(lo, hi, se);
  if (kind >= QNAN) {
    const flags = propagateNaN1(kind, lo, hi, se);
    copyToExponent();
    return flags;
  }
  if (kind === INFINITE) {
    setInfinityF80(0);
    copyToExponent();
    setF80(lo, hi, se);
    return 0;
  }
  if (kind === ZERO) {
    setInfinityF80(1);
    copyToExponent();
    setF80(lo, hi, se);
    return ZE;
  }
  const denormal = kind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  normaliseF80(lo, hi, se);
  f80FromI32(normalised[EXP]);
  copyToExponent();
  setF80(normalised[LO], normalised[HI], (se & 0x8000) | F80_BIAS);
  return denormal;
}
