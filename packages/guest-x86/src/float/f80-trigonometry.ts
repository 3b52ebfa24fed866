/**
 * FSIN, FCOS, FSINCOS, FPTAN and FPATAN.
 *
 * The one idea: arguments are reduced exactly, in integers, by the 66-bit approximation of pi that processors use
 * (so results near multiples of pi are off from the mathematical ones just as theirs are); then series in
 * double-double arithmetic, and one rounding. Arguments from 2^63 on are left alone with C2 set.
 *
 * Source: Intel SDM Vol. 1, 8.3.8 (approximation of pi), 8.3.10; Vol. 2, FSIN, FCOS, FPTAN, FPATAN (table 3-28).
 */
import { C2, DE } from "./control.ts";
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
import { BELOW, INEXACT, powerOfTwo, roundDd, significandToDd } from "./f80-real.ts";
import {
  classifyF80,
  DENORMAL,
  INFINITE,
  normalised,
  normaliseF80,
  QNAN,
  setF80,
  setZeroF80,
  ZERO,
} from "./f80-round.ts";
import { EXP, HI, LO } from "./significand.ts";

/** Of the last reduced argument: [quadrant 0..3], and [high, low] of the remainder in [-pi/4, pi/4]. */
let quadrant = 0;
const reduced: Float64Array = new Float64Array(2);

/**
 * x = n * (pi/2) + r, with pi/2 = 0x3_243F6A88_85A308D3 * 2^-65 and -1 <= exp < 63. The remainder is an integer
 * multiple of 2^-65, hence exact.
 */
function reduce(exp: number, hi: number, lo: number): void {
  let r2 = 0;
  let r1 = hi >>> 0;
  let r0 = lo >>> 0;
  let n = 0;
  for (let i = exp + 2; i > 0; i--) {
    r2 = r2 * 2 + (r1 >>> 31);
    r1 = ((r1 << 1) | (r0 >>> 31)) >>> 0;
    r0 = (r0 << 1) >>> 0;
    n <<= 1;
    if (r2 > 3 || (r2 === 3 && (r1 > 0x243f6a88 || (r1 === 0x243f6a88 && r0 >= 0x85a308d3)))) {
      n |= 1;
      r0 -= 0x85a308d3;
      r1 -= 0x243f6a88 + (r0 < 0 ? 1 : 0);
      r2 -= 3 + (r1 < 0 ? 1 : 0);
      r0 >>>= 0;
      r1 >>>= 0;
    }
  }
  // Nearest multiple: compare with pi/4 = 0x1_921FB544_42D18469.8 in the same unit.
  if (r2 > 1 || (r2 === 1 && (r1 > 0x921fb544 || (r1 === 0x921fb544 && r0 > 0x42d18469)))) {
    n++;
    r0 = 0x85a308d3 - r0;
    r1 = 0x243f6a88 - r1 - (r0 < 0 ? 1 : 0);
    r2 = 3 - r2 - (r1 < 0 ? 1 : 0);
    twoSum(-(r2 * 2 ** 64 + (r1 >>> 0) * 2 ** 32), -(r0 >>> 0));
  } else twoSum(r2 * 2 ** 64 + r1 * 2 ** 32, r0);
  quadrant = n & 3;
  reduced[0] = dd[0] * 2 ** -65;
  reduced[1] = dd[1] * 2 ** -65;
}

/** (-1)^i / (2i + 1)! and (-1)^i / (2i)!. */
const SINE_SERIES: Float64Array = ddTable(14, (i) => alternatingFactorial(2 * i + 1, i));
const COSINE_SERIES: Float64Array = ddTable(15, (i) => alternatingFactorial(2 * i, i));

function alternatingFactorial(n: number, i: number): void {
  ddSet((i & 1) !== 0 ? -1 : 1, 0);
  for (let k = 2; k <= n; k++) ddDivide(dd[0], dd[1], k, 0);
}

function sineOfReduced(): void {
  ddMultiply(reduced[0], reduced[1], reduced[0], reduced[1]);
  ddPolynomial(SINE_SERIES, dd[0], dd[1]);
  ddMultiply(dd[0], dd[1], reduced[0], reduced[1]);
}

function cosineOfReduced(): void {
  ddMultiply(reduced[0], reduced[1], reduced[0], reduced[1]);
  ddPolynomial(COSINE_SERIES, dd[0], dd[1]);
}

/** Below this exponent sin x = x and cos x = 1 up to far below the last place. */
const TINY = -60;

export const SINE = 0;
export const COSINE = 1;
export const TANGENT = 2;

/**
 * FSIN, FCOS, and the tangent of FPTAN: `which` of x into `f80Result`.
 * |x| >= 2^63 returns C2 alone, with x itself as the result. FSINCOS is both, the flags merged.
 */
export function f80Trigonometric(which: number, lo: number, hi: number, se: number, fcw: number): number {
  const kind = classifyF80(lo, hi, se);
  if (kind >= QNAN) return propagateNaN1(kind, lo, hi, se);
  if (kind === INFINITE) return invalidF80();
  if (kind === ZERO) {
    if (which === COSINE) setF80(0, 0x80000000 | 0, 0x3fff);
    else setF80(lo, hi, se);
    return 0;
  }
  const denormal = kind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  normaliseF80(lo, hi, se);
  const exp = normalised[EXP];
  const negative = (se & 0x8000) !== 0 ? 1 : 0;
  if (exp >= 63) {
    setF80(lo, hi, se);
    return C2;
  }
  if (exp < TINY) {
    if (which === COSINE) return roundDd(1, 0, 0, BELOW, 0, fcw) | denormal;
    significandToDd(normalised[HI], normalised[LO]);
    return roundDd(dd[0], dd[1], exp, which === SINE ? BELOW : INEXACT, negative, fcw) | denormal;
  }
  if (exp >= -1) reduce(exp, normalised[HI], normalised[LO]);
  else {
    significandToDd(normalised[HI], normalised[LO]);
    const unit = powerOfTwo(exp);
    quadrant = 0;
    reduced[0] = dd[0] * unit;
    reduced[1] = dd[1] * unit;
  }
  const odd = (quadrant & 1) !== 0;
  if (which === TANGENT) {
    sineOfReduced();
    const high = dd[0];
    const low = dd[1];
    cosineOfReduced();
    // tan(r + pi/2) = -cos r / sin r
    if (odd) ddDivide(-dd[0], -dd[1], high, low);
    else ddDivide(high, low, dd[0], dd[1]);
    return roundDd(dd[0], dd[1], 0, INEXACT, negative, fcw) | denormal;
  }
  if (which === SINE ? odd : !odd) cosineOfReduced();
  else sineOfReduced();
  const flip = which === SINE ? quadrant >>> 1 : ((quadrant + 1) >>> 1) & 1;
  return roundDd(dd[0], dd[1], 0, INEXACT, which === SINE ? flip ^ negative : flip, fcw) | denormal;
}

/** pi, pi/2, pi/4, 3 pi/4. */
const PI_HIGH = Math.PI;
const PI_LOW = 1.2246467991473532e-16;

/** (-1)^i / (2i + 1), for |t| <= 2^-6. */
const ARCTANGENT_SERIES: Float64Array = ddTable(9, (i) => ddDivide((i & 1) !== 0 ? -1 : 1, 0, 2 * i + 1, 0));
const ARCTANGENT_SERIES_LONG: Float64Array = ddTable(24, (i) => ddDivide((i & 1) !== 0 ? -1 : 1, 0, 2 * i + 1, 0));

/** atan(i / 64) for i = 0..64. */
const ARCTANGENTS: Float64Array = ddTable(65, (i) => {
  ddSet(i / 64, 0);
  // atan t = 2 atan(t / (1 + sqrt(1 + t^2))), twice: then |t| < 0.2.
  for (let halving = 0; halving < 2; halving++) {
    const high = dd[0];
    const low = dd[1];
    ddMultiply(high, low, high, low);
    ddAdd(dd[0], dd[1], 1, 0);
    ddSquareRoot(dd[0], dd[1]);
    ddAdd(dd[0], dd[1], 1, 0);
    ddDivide(high, low, dd[0], dd[1]);
  }
  arctangentSeries(dd[0], dd[1], ARCTANGENT_SERIES_LONG);
  ddSet(dd[0] * 4, dd[1] * 4);
});

function arctangentSeries(high: number, low: number, series: Float64Array): void {
  ddMultiply(high, low, high, low);
  ddPolynomial(series, dd[0], dd[1]);
  ddMultiply(dd[0], dd[1], high, low);
}

/** atan of a double-double in [0, 1], into `dd`. */
function arctangent(high: number, low: number): void {
  const c = Math.round(high * 64);
  if (c === 0) {
    arctangentSeries(high, low, ARCTANGENT_SERIES);
    return;
  }
  // (q - c) / (1 + q c)
  ddMultiply(high, low, c / 64, 0);
  ddAdd(dd[0], dd[1], 1, 0);
  const bottomHigh = dd[0];
  const bottomLow = dd[1];
  ddAdd(high, low, -c / 64, 0);
  ddDivide(dd[0], dd[1], bottomHigh, bottomLow);
  arctangentSeries(dd[0], dd[1], ARCTANGENT_SERIES);
  ddAdd(ARCTANGENTS[2 * c], ARCTANGENTS[2 * c + 1], dd[0], dd[1]);
}

/** `quarters` * pi/4, rounded. */
function multipleOfPi(quarters: number, sign: number, fcw: number): number {
  const high = quarters === 3 ? 2.356194490192345 : (PI_HIGH * quarters) / 4;
  const low = quarters === 3 ? 9.184850993605148e-17 : (PI_LOW * quarters) / 4;
  return roundDd(high, low, 0, INEXACT, sign, fcw);
}

/** FPATAN: the angle of the point (x = ST(0), y = ST(1)). */
export function f80Arctangent(
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
  const ySign = (ySe >>> 15) & 1;
  const xNegative = (xSe & 0x8000) !== 0;
  const denormal = xKind === DENORMAL || yKind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  if (yKind === INFINITE) {
    const quarters = xKind === INFINITE ? (xNegative ? 3 : 1) : 2;
    return multipleOfPi(quarters, ySign, fcw) | denormal;
  }
  if (yKind === ZERO || xKind === INFINITE) {
    if (xNegative) return multipleOfPi(4, ySign, fcw) | denormal;
    setZeroF80(ySign);
    return denormal;
  }
  if (xKind === ZERO) return multipleOfPi(2, ySign, fcw) | denormal;
  normaliseF80(xLo, xHi, xSe);
  const xExp = normalised[EXP];
  significandToDd(normalised[HI], normalised[LO]);
  const xHigh = dd[0];
  const xLow = dd[1];
  normaliseF80(yLo, yHi, ySe);
  const difference = normalised[EXP] - xExp;
  significandToDd(normalised[HI], normalised[LO]);
  const steep = difference > 0 || (difference === 0 && (dd[0] > xHigh || (dd[0] === xHigh && dd[1] > xLow)));
  // q = smaller / larger = dd * 2^scale, at most 1
  const scale = steep ? -difference : difference;
  if (steep) ddDivide(xHigh, xLow, dd[0], dd[1]);
  else ddDivide(dd[0], dd[1], xHigh, xLow);
  if (!steep && !xNegative && scale < TINY) {
    return roundDd(dd[0], dd[1], scale, BELOW, ySign, fcw) | denormal;
  }
  if (scale < -130) ddSet(0, 0);
  else {
    const unit = powerOfTwo(scale);
    arctangent(dd[0] * unit, dd[1] * unit);
  }
  // First octant a; then pi/2 - a, pi/2 + a, pi - a.
  if (steep) {
    const away = xNegative ? 1 : -1;
    ddAdd(PI_HIGH / 2, PI_LOW / 2, away * dd[0], away * dd[1]);
  } else if (xNegative) ddAdd(PI_HIGH, PI_LOW, -dd[0], -dd[1]);
  return roundDd(dd[0], dd[1], 0, INEXACT, ySign, fcw) | denormal;
}
