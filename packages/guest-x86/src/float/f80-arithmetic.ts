/**
 * x87 addition, subtraction, multiplication, division and square root.
 *
 * The one idea: sort operands by class first; two finite non-zero numbers go to the exact magnitude operation and
 * are rounded once. Operands are (lo, hi, se); the result is in `f80Result`; the return value is the set of
 * status-word bits raised. When one of IE, DE, ZE is raised and unmasked in `fcw` the result must not be used.
 *
 * Source: Intel SDM Vol. 1, 4.8.3.5 and table 4-7 (NaNs), 4.9.2 (priority of exceptions), 8.5 (x87 exceptions).
 */
import { DE, IE, ZE } from "./control.ts";
import {
  classifyF80,
  DENORMAL,
  INFINITE,
  NORMAL,
  normalised,
  normaliseF80,
  QNAN,
  roundF80,
  setF80,
  setIndefiniteF80,
  setInfinityF80,
  setZeroF80,
  SNAN,
  UNSUPPORTED,
  ZERO,
} from "./f80-round.ts";
import {
  addMagnitudes,
  divideMagnitudes,
  EXP,
  HI,
  less64,
  LO,
  multiplyMagnitudes,
  squareRootMagnitude,
  subtractMagnitudes,
} from "./significand.ts";

/** Invalid operation with the default result. */
export function invalidF80(): number {
  setIndefiniteF80();
  return IE;
}

/** Result of a one-operand operation on a QNAN, SNAN or UNSUPPORTED operand. */
export function propagateNaN1(kind: number, lo: number, hi: number, se: number): number {
  if (kind === UNSUPPORTED) return invalidF80();
  setF80(lo, hi | 0x40000000, se);
  return kind === SNAN ? IE : 0;
}

/** Result of a two-operand operation of which at least one is QNAN, SNAN or UNSUPPORTED (SDM table 4-7). */
export function propagateNaN2(
  aKind: number,
  aLo: number,
  aHi: number,
  aSe: number,
  bKind: number,
  bLo: number,
  bHi: number,
  bSe: number,
): number {
  if (aKind === UNSUPPORTED || bKind === UNSUPPORTED) return invalidF80();
  let first: boolean;
  if (aKind < QNAN) first = false;
  else if (bKind < QNAN) first = true;
  else if (aKind !== bKind) first = aKind === QNAN;
  else if (aHi === bHi && aLo === bLo) first = (aSe & 0x8000) === 0;
  else first = less64(bHi, bLo, aHi, aLo);
  if (first) setF80(aLo, aHi | 0x40000000, aSe);
  else setF80(bLo, bHi | 0x40000000, bSe);
  return aKind === SNAN || bKind === SNAN ? IE : 0;
}

function addFinite(
  aSign: number,
  aExp: number,
  aHi: number,
  aLo: number,
  bSign: number,
  bExp: number,
  bHi: number,
  bLo: number,
  fcw: number,
): number {
  if (aSign === bSign) {
    if (aExp >= bExp) addMagnitudes(aExp, aHi, aLo, bExp, bHi, bLo);
    else addMagnitudes(bExp, bHi, bLo, aExp, aHi, aLo);
    return roundF80(aSign, fcw);
  }
  if (aExp === bExp && aHi === bHi && aLo === bLo) {
    setZeroF80(((fcw >>> 10) & 3) === 1 ? 1 : 0);
    return 0;
  }
  if (aExp > bExp || (aExp === bExp && less64(bHi, bLo, aHi, aLo))) {
    subtractMagnitudes(aExp, aHi, aLo, bExp, bHi, bLo);
    return roundF80(aSign, fcw);
  }
  subtractMagnitudes(bExp, bHi, bLo, aExp, aHi, aLo);
  return roundF80(bSign, fcw);
}

/** a + (b with its sign flipped by `flip`, 0 or 0x8000). */
function addSigned(
  aLo: number,
  aHi: number,
  aSe: number,
  bLo: number,
  bHi: number,
  bSe: number,
  flip: number,
  fcw: number,
): number {
  const aKind = classifyF80(aLo, aHi, aSe);
  const bKind = classifyF80(bLo, bHi, bSe);
  const aSign = (aSe >>> 15) & 1;
  const bSign = ((bSe ^ flip) >>> 15) & 1;
  if (aKind === NORMAL && bKind === NORMAL) {
    return addFinite(aSign, (aSe & 0x7fff) - 16383, aHi, aLo, bSign, (bSe & 0x7fff) - 16383, bHi, bLo, fcw);
  }
  if (aKind >= QNAN || bKind >= QNAN) return propagateNaN2(aKind, aLo, aHi, aSe, bKind, bLo, bHi, bSe);
  if (aKind === INFINITE && bKind === INFINITE && aSign !== bSign) return invalidF80();
  const denormal = aKind === DENORMAL || bKind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  if (aKind === INFINITE) {
    setInfinityF80(aSign);
    return denormal;
  }
  if (bKind === INFINITE) {
    setInfinityF80(bSign);
    return denormal;
  }
  if (aKind === ZERO && bKind === ZERO) {
    setZeroF80(aSign === bSign ? aSign : ((fcw >>> 10) & 3) === 1 ? 1 : 0);
    return denormal;
  }
  if (aKind === ZERO || bKind === ZERO) {
    // x + 0 still rounds x to the precision asked for.
    if (aKind === ZERO) normaliseF80(bLo, bHi, bSe);
    else normaliseF80(aLo, aHi, aSe);
    addMagnitudes(normalised[EXP], normalised[HI], normalised[LO], normalised[EXP], 0, 0);
    return roundF80(aKind === ZERO ? bSign : aSign, fcw) | denormal;
  }
  normaliseF80(aLo, aHi, aSe);
  const exp = normalised[EXP];
  const hi = normalised[HI];
  const lo = normalised[LO];
  normaliseF80(bLo, bHi, bSe);
  return addFinite(aSign, exp, hi, lo, bSign, normalised[EXP], normalised[HI], normalised[LO], fcw) | denormal;
}

/** FADD: a + b. */
export function f80Add(
  aLo: number,
  aHi: number,
  aSe: number,
  bLo: number,
  bHi: number,
  bSe: number,
  fcw: number,
): number {
  return addSigned(aLo, aHi, aSe, bLo, bHi, bSe, 0, fcw);
}

/** FSUB: a - b. */
export function f80Subtract(
  aLo: number,
  aHi: number,
  aSe: number,
  bLo: number,
  bHi: number,
  bSe: number,
  fcw: number,
): number {
  return addSigned(aLo, aHi, aSe, bLo, bHi, bSe, 0x8000, fcw);
}

/** FMUL: a * b. */
export function f80Multiply(
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
  const sign = ((aSe ^ bSe) >>> 15) & 1;
  if (aKind === NORMAL && bKind === NORMAL) {
    multiplyMagnitudes((aSe & 0x7fff) - 16383, aHi, aLo, (bSe & 0x7fff) - 16383, bHi, bLo);
    return roundF80(sign, fcw);
  }
  if (aKind >= QNAN || bKind >= QNAN) return propagateNaN2(aKind, aLo, aHi, aSe, bKind, bLo, bHi, bSe);
  if ((aKind === INFINITE && bKind === ZERO) || (aKind === ZERO && bKind === INFINITE)) return invalidF80();
  const denormal = aKind === DENORMAL || bKind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  if (aKind === INFINITE || bKind === INFINITE) {
    setInfinityF80(sign);
    return denormal;
  }
  if (aKind === ZERO || bKind === ZERO) {
    setZeroF80(sign);
    return denormal;
  }
  normaliseF80(aLo, aHi, aSe);
  const exp = normalised[EXP];
  const hi = normalised[HI];
  const lo = normalised[LO];
  normaliseF80(bLo, bHi, bSe);
  multiplyMagnitudes(exp, hi, lo, normalised[EXP], normalised[HI], normalised[LO]);
  return roundF80(sign, fcw) | denormal;
}

/** FDIV: a / b. */
export function f80Divide(
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
  const sign = ((aSe ^ bSe) >>> 15) & 1;
  if (aKind === NORMAL && bKind === NORMAL) {
    divideMagnitudes((aSe & 0x7fff) - 16383, aHi, aLo, (bSe & 0x7fff) - 16383, bHi, bLo);
    return roundF80(sign, fcw);
  }
  if (aKind >= QNAN || bKind >= QNAN) return propagateNaN2(aKind, aLo, aHi, aSe, bKind, bLo, bHi, bSe);
  if (aKind === bKind && (aKind === INFINITE || aKind === ZERO)) return invalidF80();
  if (bKind === ZERO && aKind !== INFINITE) {
    setInfinityF80(sign);
    return ZE; // comes before DE
  }
  const denormal = aKind === DENORMAL || bKind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  if (aKind === INFINITE) {
    setInfinityF80(sign);
    return denormal;
  }
  if (aKind === ZERO || bKind === INFINITE) {
    setZeroF80(sign);
    return denormal;
  }
  normaliseF80(aLo, aHi, aSe);
  const exp = normalised[EXP];
  const hi = normalised[HI];
  const lo = normalised[LO];
  normaliseF80(bLo, bHi, bSe);
  divideMagnitudes(exp, hi, lo, normalised[EXP], normalised[HI], normalised[LO]);
  return roundF80(sign, fcw) | denormal;
}

/** FSQRT. */
export function f80SquareRoot(lo: number, hi: number, se: number, fcw: number): number {
  const kind = classifyF80(lo, hi, se);
  if (kind >= QNAN) return propagateNaN1(kind, lo, hi, se);
  if (kind === ZERO) {
    setF80(lo, hi, se);
    return 0;
  }
  if ((se & 0x8000) !== 0) return invalidF80();
  if (kind === INFINITE) {
    setF80(lo, hi, se);
    return 0;
  }
  const denormal = kind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  normaliseF80(lo, hi, se);
  squareRootMagnitude(normalised[EXP], normalised[HI], normalised[LO]);
  return roundF80(0, fcw) | denormal;
}
