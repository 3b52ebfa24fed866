/**
 * F2XM1, FYL2X and FYL2XP1.
 *
 * The one idea: a table brings the argument near the point where a short series in double-double arithmetic has its
 * full relative precision; the final rounding is then the correct one but for one case in about 2^35.
 * Real processors differ from this, and from each other, in the last place (see f80-transcendental.test.ts).
 *
 * Source: Intel SDM Vol. 1, 8.3.9, 8.3.10; Vol. 2, tables of F2XM1, FYL2X, FYL2XP1.
 */
import { DE, PE, UE, ZE } from "./control.ts";
import {
  dd,
  ddAdd,
  ddDivide,
  ddMultiply,
  ddPolynomial,
  ddSet,
  ddSquareRoot,
  ddTable,
  twoSum,
} from "./double-double.ts";
import { invalidF80, propagateNaN1, propagateNaN2 } from "./f80-arithmetic.ts";
import { EXACT, exponentOf, INEXACT, powerOfTwo, roundDd, significandToDd } from "./f80-real.ts";
import {
  classifyF80,
  DENORMAL,
  f80Result,
  INFINITE,
  normalised,
  normaliseF80,
  QNAN,
  setF80,
  setInfinityF80,
  setZeroF80,
  ZERO,
} from "./f80-round.ts";
import { EXP, HI, LO } from "./significand.ts";

/** ln 2 and 1 / ln 2. */
const LN2_HIGH = Math.LN2;
const LN2_LOW = 2.3190468138462996e-17;
const LOG2E_HIGH = Math.LOG2E;
const LOG2E_LOW = 2.0355273740931033e-17;

/** (e^t - 1 - t) / t^2 = 1/2! + t/3! + ..., for |t| < 0.011. */
const EXPM1_SERIES: Float64Array = ddTable(12, (i) => {
  ddSet(0.5, 0);
  for (let k = 3; k <= i + 2; k++) ddDivide(dd[0], dd[1], k, 0);
});

/** 2^(n / 32) for n = -32..32, entry n + 32. */
const POWERS: Float64Array = ddTable(65, (i) => {
  const n = i - 32;
  let rootHigh = 2;
  let rootLow = 0;
  let high = 1;
  let low = 0;
  // The binary digits of |n| / 32 choose among 2, sqrt 2, its root, and so on.
  for (let bit = 32; bit !== 0; bit >>= 1) {
    if ((Math.abs(n) & bit) !== 0) {
      ddMultiply(high, low, rootHigh, rootLow);
      high = dd[0];
      low = dd[1];
    }
    ddSquareRoot(rootHigh, rootLow);
    rootHigh = dd[0];
    rootLow = dd[1];
  }
  if (n < 0) ddDivide(1, 0, high, low);
  else ddSet(high, low);
});

/** F2XM1: 2^x - 1 for |x| <= 1. Beyond that the manual leaves the result undefined; here it is x. */
export function f80Exp2Minus1(lo: number, hi: number, se: number, fcw: number): number {
  const kind = classifyF80(lo, hi, se);
  if (kind >= QNAN) return propagateNaN1(kind, lo, hi, se);
  const negative = (se & 0x8000) !== 0;
  if (kind === ZERO) {
    setF80(lo, hi, se);
    return 0;
  }
  if (kind === INFINITE) {
    if (negative) setF80(0, 0x80000000 | 0, 0xbfff);
    else setInfinityF80(0);
    return 0;
  }
  const denormal = kind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  normaliseF80(lo, hi, se);
  const exp = normalised[EXP];
  if (exp >= 0) {
    if (exp === 0 && hi === (0x80000000 | 0) && lo === 0) {
      // 2^1 - 1 and 2^-1 - 1 are exact.
      setF80(0, hi, negative ? 0xbffe : se);
      return PE;
    }
    setF80(lo, hi, se);
    return PE;
  }
  significandToDd(normalised[HI], normalised[LO]);
  if (exp < -120) {
    // x * ln 2; the next term is far below the last bit.
    ddMultiply(dd[0], dd[1], LN2_HIGH, LN2_LOW);
    return roundDd(dd[0], dd[1], exp, INEXACT, negative ? 1 : 0, fcw) | denormal;
  }
  const unit = negative ? -powerOfTwo(exp) : powerOfTwo(exp);
  const xHigh = dd[0] * unit;
  const xLow = dd[1] * unit;
  const n = Math.round(xHigh * 32);
  twoSum(xHigh, -n / 32);
  ddAdd(dd[0], dd[1], xLow, 0);
  ddMultiply(dd[0], dd[1], LN2_HIGH, LN2_LOW);
  const tHigh = dd[0];
  const tLow = dd[1];
  ddPolynomial(EXPM1_SERIES, tHigh, tLow);
  ddMultiply(dd[0], dd[1], tHigh, tLow);
  ddMultiply(dd[0], dd[1], tHigh, tLow);
  ddAdd(tHigh, tLow, dd[0], dd[1]);
  if (n !== 0) {
    const powerHigh = POWERS[2 * (n + 32)];
    const powerLow = POWERS[2 * (n + 32) + 1];
    ddMultiply(dd[0], dd[1], powerHigh, powerLow);
    const restHigh = dd[0];
    const restLow = dd[1];
    ddAdd(powerHigh, powerLow, -1, 0);
    ddAdd(dd[0], dd[1], restHigh, restLow);
  }
  return roundDd(dd[0], dd[1], 0, INEXACT, 0, fcw) | denormal;
}

/** 2 / (ln 2 * (2i + 1)): log2((1 + s) / (1 - s)) = s * (c0 + c1 s^2 + ...), for |s| < 2^-7. */
const LOG_SERIES: Float64Array = ddTable(9, (i) => ddDivide(2 * LOG2E_HIGH, 2 * LOG2E_LOW, 2 * i + 1, 0));

/** The same far longer, for the making of LOGS. */
const LOG_SERIES_LONG: Float64Array = ddTable(24, (i) => ddDivide(2 * LOG2E_HIGH, 2 * LOG2E_LOW, 2 * i + 1, 0));

/** log2(c / 128) for c = 88..184, entry c - 88. */
const FIRST_LOG = 88;
const LOGS: Float64Array = ddTable(184 - FIRST_LOG + 1, (i) => {
  const c = i + FIRST_LOG;
  ddDivide(c - 128, 0, c + 128, 0);
  logOfRatio(dd[0], dd[1], LOG_SERIES_LONG);
});

/** log2((1 + s) / (1 - s)) into `dd`. */
function logOfRatio(sHigh: number, sLow: number, series: Float64Array): void {
  ddMultiply(sHigh, sLow, sHigh, sLow);
  ddPolynomial(series, dd[0], dd[1]);
  ddMultiply(dd[0], dd[1], sHigh, sLow);
}

/** log2(1 + d), for 1 + d in [0.7, 1.42] and d exact, into `dd`. */
function log2OfOnePlus(dHigh: number, dLow: number): void {
  const c = Math.round((1 + dHigh) * 128);
  // s = (1 + d - c / 128) / (1 + d + c / 128)
  const offset = (128 - c) / 128;
  twoSum(offset, dHigh);
  ddAdd(dd[0], dd[1], dLow, 0);
  const topHigh = dd[0];
  const topLow = dd[1];
  twoSum((128 + c) / 128, dHigh);
  ddAdd(dd[0], dd[1], dLow, 0);
  ddDivide(topHigh, topLow, dd[0], dd[1]);
  logOfRatio(dd[0], dd[1], LOG_SERIES);
  if (c !== 128) ddAdd(LOGS[2 * (c - FIRST_LOG)], LOGS[2 * (c - FIRST_LOG) + 1], dd[0], dd[1]);
}

/** log2(2^exp * m), for m in [1, 2), into `dd`. */
function log2OfProduct(exp: number, mHigh: number, mLow: number): void {
  if (mHigh > Math.SQRT2) {
    mHigh /= 2;
    mLow /= 2;
    exp++;
  }
  twoSum(mHigh, -1);
  ddAdd(dd[0], dd[1], mLow, 0);
  log2OfOnePlus(dd[0], dd[1]);
  if (exp !== 0) ddAdd(exp, 0, dd[0], dd[1]);
}

/** (dd) * y * 2^scale, rounded; y is finite and not zero. */
function timesY(yLo: number, yHi: number, ySe: number, scale: number, beyond: number, fcw: number): number {
  const high = dd[0];
  const low = dd[1];
  normaliseF80(yLo, yHi, ySe);
  significandToDd(normalised[HI], normalised[LO]);
  ddMultiply(dd[0], dd[1], high, low);
  return roundDd(dd[0], dd[1], normalised[EXP] + scale, beyond, ySe & 0x8000, fcw);
}

/** FYL2X: y * log2(x), y = ST(1), x = ST(0). */
export function f80YLog2X(
  xLo: number,
  xHi: number,
  xSe: number,
  yLo: number,
  yHi: number,
  ySe: number,
  fcw: number,
): number {
  const xKind = classifyF80(xLo, xHi, xSe);
  const yKind = classifyF80(yLo, yHi, ySe);
  if (xKind >= QNAN || yKind >= QNAN) return propagateNaN2(yKind, yLo, yHi, ySe, xKind, xLo, xHi, xSe);
  const xNegative = (xSe & 0x8000) !== 0;
  const ySign = (ySe >>> 15) & 1;
  if (xKind !== ZERO && xNegative) return invalidF80();
  const one = xSe === 0x3fff && xHi === (0x80000000 | 0) && xLo === 0;
  if (yKind === INFINITE && one) return invalidF80();
  if (yKind === ZERO && (xKind === ZERO || xKind === INFINITE)) return invalidF80();
  const denormal = xKind === DENORMAL || yKind === DENORMAL ? DE : 0;
  if (xKind === ZERO) {
    if (yKind === INFINITE) {
      setInfinityF80(ySign ^ 1);
      return 0;
    }
    setInfinityF80(ySign ^ 1);
    return ZE;
  }
  if ((denormal & ~fcw) !== 0) return denormal;
  const below = (xSe & 0x7fff) < 0x3fff; // log2 x < 0
  if (xKind === INFINITE || yKind === INFINITE) {
    setInfinityF80(ySign ^ (below ? 1 : 0));
    return denormal;
  }
  if (yKind === ZERO || one) {
    setZeroF80(ySign ^ (below ? 1 : 0));
    return denormal;
  }
  normaliseF80(xLo, xHi, xSe);
  const exp = normalised[EXP];
  if (normalised[HI] === (0x80000000 | 0) && normalised[LO] === 0) {
    // A power of two: the product is exact before rounding. Processors set PE all the same.
    ddSet(exp, 0);
    const flags = timesY(yLo, yHi, ySe, 0, EXACT, fcw) | PE | denormal;
    return (f80Result[2] & 0x7fff) === 0 ? flags | UE : flags;
  }
  significandToDd(normalised[HI], normalised[LO]);
  log2OfProduct(exp, dd[0], dd[1]);
  return timesY(yLo, yHi, ySe, 0, INEXACT, fcw) | denormal;
}

/** FYL2XP1: y * log2(x + 1), for |x| < 1 - sqrt(1/2); beyond that the manual leaves the result undefined. */
export function f80YLog2XPlus1(
  xLo: number,
  xHi: number,
  xSe: number,
  yLo: number,
  yHi: number,
  ySe: number,
  fcw: number,
): number {
  const xKind = classifyF80(xLo, xHi, xSe);
  const yKind = classifyF80(yLo, yHi, ySe);
  if (xKind >= QNAN || yKind >= QNAN) return propagateNaN2(yKind, yLo, yHi, ySe, xKind, xLo, xHi, xSe);
  const xSign = (xSe >>> 15) & 1;
  const ySign = (ySe >>> 15) & 1;
  if (xKind === INFINITE) {
    if (xSign !== 0 || yKind === ZERO) return invalidF80();
  }
  if (yKind === INFINITE && xKind === ZERO) return invalidF80();
  const denormal = xKind === DENORMAL || yKind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  if (xKind === INFINITE || yKind === INFINITE) {
    setInfinityF80(ySign ^ xSign);
    return denormal;
  }
  if (xKind === ZERO || yKind === ZERO) {
    setZeroF80(ySign ^ xSign);
    return denormal;
  }
  normaliseF80(xLo, xHi, xSe);
  const exp = normalised[EXP];
  significandToDd(normalised[HI], normalised[LO]);
  if (exp < -120) {
    ddMultiply(dd[0], dd[1], xSign !== 0 ? -LOG2E_HIGH : LOG2E_HIGH, xSign !== 0 ? -LOG2E_LOW : LOG2E_LOW);
    return timesY(yLo, yHi, ySe, exp, INEXACT, fcw) | denormal;
  }
  if (exp >= 0 && xSign !== 0) {
    // The logarithm of zero or of a negative number: outside the instruction's domain.
    setF80(xLo, xHi, xSe);
    return PE | denormal;
  }
  if (exp >= 120) log2OfProduct(exp, dd[0], dd[1]);
  else {
    const unit = xSign !== 0 ? -powerOfTwo(exp) : powerOfTwo(exp);
    const high = dd[0] * unit;
    const low = dd[1] * unit;
    if (exp < -2) log2OfOnePlus(high, low);
    else {
      // 1 + x is far enough from 1 to be taken apart anew.
      twoSum(high, 1);
      ddAdd(dd[0], dd[1], low, 0);
      const sumExp = exponentOf(dd[0]);
      const sumUnit = powerOfTwo(-sumExp);
      log2OfProduct(sumExp, dd[0] * sumUnit, dd[1] * sumUnit);
    }
  }
  return timesY(yLo, yHi, ySe, 0, INEXACT, fcw) | denormal;
}
