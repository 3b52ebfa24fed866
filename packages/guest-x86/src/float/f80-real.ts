/**
 * Between the 80-bit format and double-double, for the transcendental functions.
 *
 * The one idea: a significand travels as a double-double in [1, 2), its exponent as an integer beside it, so the
 * narrower exponent range of f64 never matters. On the way back the 96-bit form of significand.ts is built and
 * rounded once.
 */
import { dd } from "./double-double.ts";
import { fullPrecision, roundF80 } from "./f80-round.ts";
import { EXP, HI, LO, REST, setNormalised, unrounded } from "./significand.ts";

/** A normalised significand as a double-double in [1, 2), into `dd`. */
export function significandToDd(hi: number, lo: number): void {
  const high = (hi >>> 0) * 2 ** -31;
  const low = (lo >>> 0) * 2 ** -63;
  dd[0] = high + low;
  dd[1] = low - (dd[0] - high);
}

const bits64: Float64Array = new Float64Array(1);
const bits32: Int32Array = new Int32Array(bits64.buffer);

/** 2^e as an f64, for -1022 <= e <= 1023. */
export function powerOfTwo(e: number): number {
  bits32[0] = 0;
  bits32[1] = (e + 1023) << 20;
  return bits64[0];
}

/** Unbiased exponent of a normal f64. */
export function exponentOf(value: number): number {
  bits64[0] = value;
  return ((bits32[1] >>> 20) & 0x7ff) - 1023;
}

/** {@link roundDd}'s `beyond`: the value is exact, or differs from it by less than the last bit looked at. */
export const EXACT = 0;
export const INEXACT = 1;
/** The value is inexact and its magnitude a little smaller than the double-double. */
export const BELOW = 2;

/**
 * Rounds (high + low) * 2^scale, not zero, into `f80Result`, ignoring precision control; returns OE, UE, PE and C1.
 * `negate` non-zero flips the sign.
 */
export function roundDd(high: number, low: number, scale: number, beyond: number, negate: number, fcw: number): number {
  let sign = negate !== 0 ? 1 : 0;
  if (high < 0) {
    high = -high;
    low = -low;
    sign ^= 1;
  }
  const exp = exponentOf(high);
  const unit = powerOfTwo(-exp);
  high *= unit * 2 ** 31; // in [2^31, 2^32)
  low *= unit;
  let hi = Math.floor(high);
  const below = low * 2 ** 63;
  const whole = Math.floor(below);
  let lo = (high - hi) * 2 ** 32 + whole;
  const fraction = (below - whole) * 2 ** 32;
  let rest = Math.floor(fraction);
  let sticky = beyond !== EXACT || rest !== fraction ? 1 : 0;
  if (rest === 2 ** 32) {
    // `below` was a hair below zero.
    rest--;
    sticky = 1;
  }
  if (beyond === BELOW) {
    rest--;
    if (rest < 0) {
      rest += 2 ** 32;
      lo--;
    }
    sticky = 1;
  }
  if (lo < 0) {
    lo += 2 ** 32;
    hi--;
  }
  if (hi < 2 ** 31) setNormalised(exp + scale, hi | 0, lo | 0, rest | 0);
  else {
    unrounded[EXP] = exp + scale;
    unrounded[HI] = hi | 0;
    unrounded[LO] = lo | 0;
    unrounded[REST] = rest | 0;
  }
  unrounded[REST] |= sticky;
  return roundF80(sign, fullPrecision(fcw));
}
