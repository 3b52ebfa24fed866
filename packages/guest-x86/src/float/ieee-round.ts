/**
 * Rounding into the 32-bit and 64-bit formats, for x87 stores and for SSE alike.
 *
 * The one idea: `unrounded` (see significand.ts) is everything a result is; this file turns it into bits of the
 * narrower format under a rounding mode. Tininess is detected after rounding (SDM Vol. 1, 4.9.1.5).
 */
import { C1, OE, PE, UE } from "./control.ts";
import { roundsUp } from "./f80-round.ts";
import { EXP, HI, LO, REST, shiftRightSticky, unrounded } from "./significand.ts";

/** The last narrow result: [lo, hi]; a 32-bit result is in lo, with hi zero. */
export const ieeeResult: Int32Array = new Int32Array(2);

/**
 * Options of the rounding functions. An unmasked exception means that the result will not be used; PE then tells
 * whether rounding with an unbounded exponent was inexact.
 */
export const UNMASKED_UNDERFLOW: number = UE;
export const UNMASKED_OVERFLOW: number = OE;
/** Flush results that are tiny to zero, unless underflow is unmasked. */
export const FLUSH_TO_ZERO = 1;

export function setF64(hi: number, lo: number): void {
  ieeeResult[0] = lo;
  ieeeResult[1] = hi;
}

export function setF32(bits: number): void {
  ieeeResult[0] = bits;
  ieeeResult[1] = 0;
}

function overflowsToInfinity(sign: number, mode: number): boolean {
  return mode === 0 || (mode !== 3 && (mode === 1) === (sign !== 0));
}

/** Would rounding at the format's full precision carry all the way to the next power of two? */
function carriesOut(sign: number, mode: number, onesHi: boolean, tail: number): boolean {
  return onesHi && roundsUp(mode, sign, 1, tail);
}

/** Rounds `unrounded` to 64-bit format in `ieeeResult`; returns OE, UE, PE and C1 (magnitude went up). */
export function roundF64(sign: number, mode: number, options: number): number {
  let exp = unrounded[EXP] + 1023;
  let hi = unrounded[HI];
  let lo = unrounded[LO];
  let rest = unrounded[REST];
  let tiny = false;
  if (exp <= 0) {
    const unbounded = (lo << 21) | (rest !== 0 ? 1 : 0);
    tiny = !(exp === 0 && carriesOut(sign, mode, hi === -1 && (lo | 0x7ff) === -1, unbounded));
    if (tiny && (options & UNMASKED_UNDERFLOW) !== 0) return unbounded !== 0 ? UE | PE : UE;
    if (tiny && (options & FLUSH_TO_ZERO) !== 0) {
      setF64(sign << 31, 0);
      return UE | PE;
    }
    shiftRightSticky(hi, lo, rest, 1 - exp);
    hi = unrounded[HI];
    lo = unrounded[LO];
    rest = unrounded[REST];
    exp = 0;
  }
  const tail = (lo << 21) | (rest !== 0 ? 1 : 0);
  const up = roundsUp(mode, sign, lo & 0x800, tail);
  // Drop 11 bits; the integer bit of a normal number then adds one to the exponent field.
  let low = (lo >>> 11) | (hi << 21);
  let high = (hi >>> 11) + ((exp === 0 ? 0 : exp - 1) << 20);
  if (up) {
    low = (low + 1) | 0;
    if (low === 0) high = (high + 1) | 0;
  }
  if (high >= 0x7ff00000 || exp >= 0x7ff) {
    if ((options & UNMASKED_OVERFLOW) !== 0) return tail !== 0 ? OE | PE : OE;
    if (overflowsToInfinity(sign, mode)) {
      setF64((sign << 31) | 0x7ff00000, 0);
      return OE | PE | C1;
    }
    setF64((sign << 31) | 0x7fefffff, -1);
    return OE | PE;
  }
  setF64((sign << 31) | high, low);
  const flags = tail === 0 ? 0 : up ? PE | C1 : PE;
  return tiny && tail !== 0 ? flags | UE : flags;
}

/** Rounds `unrounded` to 32-bit format in `ieeeResult`; returns OE, UE, PE and C1 (magnitude went up). */
export function roundF32(sign: number, mode: number, options: number): number {
  let exp = unrounded[EXP] + 127;
  let hi = unrounded[HI];
  let low = unrounded[LO] | unrounded[REST];
  let tiny = false;
  if (exp <= 0) {
    const unbounded = (hi << 24) | (low !== 0 ? 1 : 0);
    tiny = !(exp === 0 && carriesOut(sign, mode, (hi | 0xff) === -1, unbounded));
    if (tiny && (options & UNMASKED_UNDERFLOW) !== 0) return unbounded !== 0 ? UE | PE : UE;
    if (tiny && (options & FLUSH_TO_ZERO) !== 0) {
      setF32(sign << 31);
      return UE | PE;
    }
    shiftRightSticky(hi, low, 0, 1 - exp);
    hi = unrounded[HI];
    low = unrounded[LO] | unrounded[REST];
    exp = 0;
  }
  const tail = (hi << 24) | (low !== 0 ? 1 : 0);
  const up = roundsUp(mode, sign, hi & 0x100, tail);
  const bits = (hi >>> 8) + ((exp === 0 ? 0 : exp - 1) << 23) + (up ? 1 : 0);
  if (bits >= 0x7f800000 || exp >= 0xff) {
    if ((options & UNMASKED_OVERFLOW) !== 0) return tail !== 0 ? OE | PE : OE;
    const infinite = overflowsToInfinity(sign, mode);
    setF32((sign << 31) | (infinite ? 0x7f800000 : 0x7f7fffff));
    return infinite ? OE | PE | C1 : OE | PE;
  }
  setF32((sign << 31) | bits);
  const flags = tail === 0 ? 0 : up ? PE | C1 : PE;
  return tiny && tail !== 0 ? flags | UE : flags;
}
