/**
 * Integers in and out of the 80-bit format: FILD, FIST, FISTTP, FRNDINT, and packed decimal (FBLD, FBSTP).
 *
 * The one idea: one function aligns a magnitude to its integer part and rounds it; everything else checks a range.
 * Source: Intel SDM Vol. 1, 4.2.1 and 4.7 (integer and BCD formats, indefinites); Vol. 2, FIST, FISTTP, FBSTP.
 */
import { C1, DE, IE, PE } from "./control.ts";
import { propagateNaN1 } from "./f80-arithmetic.ts";
import {
  classifyF80,
  DENORMAL,
  F80_BIAS,
  INFINITE,
  QNAN,
  roundsUp,
  setF80,
  setInfinityF80,
  setZeroF80,
  ZERO,
} from "./f80-round.ts";

/** The last integer or decimal result, least significant word first: two words, or three for packed decimal. */
export const integerResult: Int32Array = new Int32Array(3);

/** FILD m16, m32: exact. */
export function f80FromI32(value: number): void {
  if (value === 0) {
    setZeroF80(0);
    return;
  }
  const magnitude = value < 0 ? -value : value;
  const shift = Math.clz32(magnitude);
  setF80(0, magnitude << shift, (value < 0 ? 0x8000 : 0) | (F80_BIAS + 31 - shift));
}

function setFromMagnitude(hi: number, lo: number, se: number): void {
  let exp = F80_BIAS + 63;
  if (hi === 0) {
    if (lo === 0) {
      setF80(0, 0, se);
      return;
    }
    hi = lo;
    lo = 0;
    exp -= 32;
  }
  const shift = Math.clz32(hi);
  if (shift !== 0) {
    hi = (hi << shift) | (lo >>> (32 - shift));
    lo <<= shift;
  }
  setF80(lo, hi, se | (exp - shift));
}

/** FILD m64: exact. */
export function f80FromI64(lo: number, hi: number): void {
  if (hi >= 0) setFromMagnitude(hi, lo, 0);
  else setFromMagnitude(~hi + (lo === 0 ? 1 : 0), -lo | 0, 0x8000);
}

const TOO_LARGE = -1;

/** Magnitude of a finite number rounded to an integer, into `integerResult`; flags, or TOO_LARGE from 2^64 on. */
function roundMagnitude(lo: number, hi: number, se: number, mode: number): number {
  const exp = (se & 0x7fff) - F80_BIAS;
  if (exp >= 64) return TOO_LARGE;
  let tail: number;
  let high: number;
  let low: number;
  if (exp === 63) {
    high = hi;
    low = lo;
    tail = 0;
  } else if (exp >= 31) {
    // 1..32 fraction bits, all of them in lo
    const shift = 63 - exp;
    tail = shift === 32 ? lo : lo << (32 - shift);
    low = shift === 32 ? hi : (lo >>> shift) | (hi << (32 - shift));
    high = shift === 32 ? 0 : hi >>> shift;
  } else if (exp >= -1) {
    // 33..64 fraction bits
    const shift = 31 - exp;
    tail = shift === 32 ? hi : (hi << (32 - shift)) | (lo >>> shift);
    if ((shift === 32 ? lo : lo << (32 - shift)) !== 0) tail |= 1;
    low = shift === 32 ? 0 : hi >>> shift;
    high = 0;
  } else {
    high = low = 0;
    tail = (hi | lo) === 0 ? 0 : 1;
  }
  let flags = tail === 0 ? 0 : PE;
  if (roundsUp(mode, (se >>> 15) & 1, low & 1, tail)) {
    flags |= C1;
    low = (low + 1) | 0;
    if (low === 0) {
      high = (high + 1) | 0;
      if (high === 0) return TOO_LARGE;
    }
  }
  integerResult[0] = low;
  integerResult[1] = high;
  return flags;
}

/**
 * FIST and FISTTP: to a signed integer of 16, 32 or 64 bits in `integerResult`, rounded in `mode`.
 * Out of range, infinity and not-a-number give IE and the integer indefinite (only the top bit set).
 */
export function f80ToInteger(lo: number, hi: number, se: number, bits: number, mode: number): number {
  if (classifyF80(lo, hi, se) < INFINITE) {
    const flags = roundMagnitude(lo, hi, se, mode);
    if (flags !== TOO_LARGE) {
      const negative = (se & 0x8000) !== 0;
      let low = integerResult[0];
      let high = integerResult[1];
      if (negative) {
        high = (~high + (low === 0 ? 1 : 0)) | 0;
        low = -low | 0;
      }
      const zero = (low | high) === 0;
      const fits =
        zero ||
        (high < 0 === negative && (bits === 64 || (high === low >> 31 && (bits === 32 || low === (low << 16) >> 16))));
      if (fits) {
        integerResult[0] = low;
        integerResult[1] = high;
        return flags;
      }
    }
  }
  integerResult[0] = bits === 64 ? 0 : bits === 32 ? 0x80000000 | 0 : -0x8000;
  integerResult[1] = bits === 64 ? 0x80000000 | 0 : -1;
  return IE;
}

/** FRNDINT: to an integral value in the same format. */
export function f80RoundToInteger(lo: number, hi: number, se: number, fcw: number): number {
  const kind = classifyF80(lo, hi, se);
  if (kind >= QNAN) return propagateNaN1(kind, lo, hi, se);
  if (kind === INFINITE) {
    setInfinityF80((se >>> 15) & 1);
    return 0;
  }
  if (kind === ZERO) {
    setF80(lo, hi, se);
    return 0;
  }
  const denormal = kind === DENORMAL ? DE : 0;
  if ((denormal & ~fcw) !== 0) return denormal;
  if ((se & 0x7fff) >= F80_BIAS + 63) {
    setF80(lo, hi, se);
    return 0;
  }
  const flags = roundMagnitude(lo, hi, se, (fcw >>> 10) & 3);
  setFromMagnitude(integerResult[1], integerResult[0], se & 0x8000);
  return flags | denormal;
}

const BILLION = 1000000000;

/** FBSTP: to 18 packed decimal digits and a sign, 80 bits in `integerResult`; out of range gives IE. */
export function f80ToDecimal(lo: number, hi: number, se: number, fcw: number): number {
  if (classifyF80(lo, hi, se) < INFINITE) {
    const flags = roundMagnitude(lo, hi, se, (fcw >>> 10) & 3);
    const high = integerResult[1] >>> 0;
    const low = integerResult[0] >>> 0;
    // 10^18 = 0x0de0b6b3_a7640000
    if (flags !== TOO_LARGE && (high < 0x0de0b6b3 || (high === 0x0de0b6b3 && low < 0xa7640000))) {
      let upper = Math.floor((high * 4294967296 + low) / BILLION);
      let lower = (low - Math.imul(upper, BILLION)) | 0;
      if (lower < 0) {
        upper--;
        lower += BILLION;
      } else if (lower >= BILLION) {
        upper++;
        lower -= BILLION;
      }
      // 9 digits each: digits 0..7 in word 0, 8..15 in word 1, 16 and 17 in the third.
      const digit8 = Math.floor(lower / 100000000);
      integerResult[0] = packDigits(lower % 100000000);
      integerResult[1] = digit8 | (packDigits(upper % 10000000) << 4);
      integerResult[2] = packDigits(Math.floor(upper / 10000000)) | (se & 0x8000);
      return flags;
    }
  }
  integerResult[0] = 0;
  integerResult[1] = 0xc0000000 | 0;
  integerResult[2] = 0xffff;
  return IE;
}

function packDigits(value: number): number {
  let packed = 0;
  for (let shift = 0; value !== 0; shift += 4) {
    const next = Math.floor(value / 10);
    packed |= (value - next * 10) << shift;
    value = next;
  }
  return packed;
}

function unpackDigits(packed: number, count: number): number {
  let value = 0;
  for (let i = count - 1; i >= 0; i--) value = value * 10 + ((packed >>> (4 * i)) & 15);
  return value;
}

/** FBLD: packed decimal to f80, exact. Digits above 9 are undefined by the manual; they count as 10 to 15. */
export function f80FromDecimal(lo: number, hi: number, signAndTop: number): void {
  const lower = unpackDigits(lo, 8) + (hi & 15) * 100000000;
  const upper = unpackDigits(hi >>> 4, 7) + unpackDigits(signAndTop & 0xff, 2) * 10000000;
  // upper * 10^9 + lower in two words
  const low = (upper & 0xffff) * BILLION + lower;
  const middle = (upper >>> 16) * BILLION + Math.floor(low / 65536);
  setFromMagnitude(Math.floor(middle / 65536) | 0, ((middle & 0xffff) << 16) | (low & 0xffff), signAndTop & 0x8000);
}
