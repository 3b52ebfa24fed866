/**
 * The 80-bit format: classes of encodings, and rounding into it.
 *
 * The one idea: a result is written to `f80Result` by exactly one function, `roundF80`, which knows precision
 * control, rounding control, denormals, and both the masked and the unmasked response to overflow and underflow.
 *
 *     bit 79   78..64     63        62..0
 *     sign     exponent   integer   fraction        in memory: lo u32, hi u32, se u16
 *
 * Source: Intel SDM Vol. 1, 4.2.2 (formats), 4.9.1 (responses), 8.1.5.2 (precision control), 8.2.2 (unsupported).
 */
import { C1, OE, PE, UE } from "./control.ts";
import { EXP, HI, LO, REST, shiftRightSticky, unrounded } from "./significand.ts";

export const F80_BIAS = 16383;

/** The last f80 result: [lo, hi, sign and exponent]. */
export const f80Result: Int32Array = new Int32Array(3);

/** Classes of operands, ordered: everything from QNAN up is not a number, everything below UNSUPPORTED is valid. */
export const ZERO = 0;
export const DENORMAL = 1;
export const NORMAL = 2;
export const INFINITE = 3;
export const QNAN = 4;
export const SNAN = 5;
export const UNSUPPORTED = 6;

/** Class of an encoding. Pseudo-denormals are DENORMAL; pseudo-NaNs, pseudo-infinities, unnormals UNSUPPORTED. */
export function classifyF80(lo: number, hi: number, se: number): number {
  const exp = se & 0x7fff;
  if (exp === 0) return (lo | hi) === 0 ? ZERO : DENORMAL;
  if (hi >= 0) return UNSUPPORTED;
  if (exp !== 0x7fff) return NORMAL;
  if (((hi & 0x7fffffff) | lo) === 0) return INFINITE;
  return (hi & 0x40000000) !== 0 ? QNAN : SNAN;
}

export function setF80(lo: number, hi: number, se: number): void {
  f80Result[0] = lo;
  f80Result[1] = hi;
  f80Result[2] = se;
}

/** The default NaN, "real indefinite": negative, quiet, no other fraction bit (SDM Vol. 1, 4.8.3.7). */
export function setIndefiniteF80(): void {
  setF80(0, 0xc0000000 | 0, 0xffff);
}

export function setInfinityF80(sign: number): void {
  setF80(0, 0x80000000 | 0, (sign << 15) | 0x7fff);
}

export function setZeroF80(sign: number): void {
  setF80(0, 0, sign << 15);
}

/** A normalised number: [EXP][HI][LO], the operand side of `unrounded`. */
export const normalised: Int32Array = new Int32Array(3);

/** Puts a DENORMAL or NORMAL encoding into `normalised`. */
export function normaliseF80(lo: number, hi: number, se: number): void {
  let exp = se & 0x7fff;
  if (exp === 0) exp = 1;
  if (hi >= 0) {
    if (hi === 0) {
      hi = lo;
      lo = 0;
      exp -= 32;
    }
    const shift = Math.clz32(hi);
    if (shift !== 0) {
      hi = (hi << shift) | (lo >>> (32 - shift));
      lo <<= shift;
      exp -= shift;
    }
  }
  normalised[EXP] = exp - F80_BIAS;
  normalised[HI] = hi;
  normalised[LO] = lo;
}

/** Does a magnitude with these bits below the last place go up? `tail` has the half-way bit on top. */
export function roundsUp(mode: number, sign: number, odd: number, tail: number): boolean {
  if (tail === 0) return false;
  if (mode === 0) return tail < 0 && (odd !== 0 || tail !== (0x80000000 | 0));
  return mode === 3 ? false : (mode === 1) === (sign !== 0);
}

/** Rounding of HI:LO:REST to 64, 53 or 24 bits, left in `unrounded`; returns PE, and C1 if it went up. */
function roundSignificand(sign: number, fcw: number): number {
  let hi = unrounded[HI];
  let lo = unrounded[LO];
  const rest = unrounded[REST];
  const mode = (fcw >>> 10) & 3;
  const precision = (fcw >>> 8) & 3;
  let tail = rest;
  let up: boolean;
  if (precision === 2) {
    tail = (lo << 21) | (rest !== 0 ? 1 : 0);
    lo &= ~0x7ff;
    up = roundsUp(mode, sign, lo & 0x800, tail);
    if (up) {
      lo = (lo + 0x800) | 0;
      if (lo === 0) hi = (hi + 1) | 0;
    }
  } else if (precision === 0) {
    tail = (hi << 24) | ((lo | rest) !== 0 ? 1 : 0);
    lo = 0;
    hi &= ~0xff;
    up = roundsUp(mode, sign, hi & 0x100, tail);
    if (up) hi = (hi + 0x100) | 0;
  } else {
    up = roundsUp(mode, sign, lo & 1, tail);
    if (up) {
      lo = (lo + 1) | 0;
      if (lo === 0) hi = (hi + 1) | 0;
    }
  }
  if (up && (hi | lo) === 0) {
    hi = 0x80000000 | 0;
    unrounded[EXP]++;
  }
  unrounded[HI] = hi;
  unrounded[LO] = lo;
  return tail === 0 ? 0 : up ? PE | C1 : PE;
}

/** Control word for operations that precision control does not touch. */
export function fullPrecision(fcw: number): number {
  return fcw | 0x300;
}

/**
 * Rounds `unrounded` under `fcw` into `f80Result`; returns OE, UE, PE and C1.
 * Tininess is detected after rounding. Unmasked overflow and underflow wrap the exponent by 24576.
 */
export function roundF80(sign: number, fcw: number): number {
  const exp = unrounded[EXP] + F80_BIAS;
  if (exp <= 0) return roundTiny(sign, fcw, exp);
  const flags = roundSignificand(sign, fcw);
  const rounded = unrounded[EXP] + F80_BIAS;
  if (rounded >= 0x7fff) return overflowF80(sign, fcw, rounded, flags);
  setF80(unrounded[LO], unrounded[HI], (sign << 15) | rounded);
  return flags;
}

function overflowF80(sign: number, fcw: number, exp: number, flags: number): number {
  if ((fcw & OE) === 0) {
    exp -= 24576;
    if (exp < 0x7fff) {
      setF80(unrounded[LO], unrounded[HI], (sign << 15) | exp);
      return flags | OE;
    }
    // Only FSCALE gets here: too large even for the wrapped exponent.
    setInfinityF80(sign);
    return OE | PE | C1;
  }
  const mode = (fcw >>> 10) & 3;
  if (mode === 0 || (mode !== 3 && (mode === 1) === (sign !== 0))) {
    setInfinityF80(sign);
    return OE | PE | C1;
  }
  const precision = (fcw >>> 8) & 3;
  setF80(precision === 0 ? 0 : precision === 2 ? ~0x7ff : -1, precision === 0 ? ~0xff : -1, (sign << 15) | 0x7ffe);
  return OE | PE;
}

function roundTiny(sign: number, fcw: number, exp: number): number {
  const hi = unrounded[HI];
  const lo = unrounded[LO];
  const rest = unrounded[REST];
  const flags = roundSignificand(sign, fcw);
  const rounded = unrounded[EXP] + F80_BIAS;
  const tiny = rounded <= 0;
  if (tiny && (fcw & UE) === 0) {
    if (rounded + 24576 > 0) {
      setF80(unrounded[LO], unrounded[HI], (sign << 15) | (rounded + 24576));
      return flags | UE;
    }
    setZeroF80(sign);
    return UE | PE;
  }
  shiftRightSticky(hi, lo, rest, 1 - exp);
  const denormalFlags = roundSignificand(sign, fcw);
  // A carry into the integer bit makes the smallest normal number.
  setF80(unrounded[LO], unrounded[HI], (sign << 15) | (unrounded[HI] < 0 ? 1 : 0));
  return denormalFlags !== 0 && tiny ? denormalFlags | UE : denormalFlags;
}
