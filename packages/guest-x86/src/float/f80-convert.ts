/**
 * Conversions between the 80-bit format and 32/64-bit floating point (FLD, FST of m32 and m64).
 *
 * The one idea: widening is exact and can only raise IE (signalling NaN) or DE; narrowing is one rounding.
 * Source: Intel SDM Vol. 1, 4.8.3.6, 8.5.2 (denormals on loads); Vol. 2, FLD and FST.
 */
import { C1, DE, IE, OE, PE, UE } from "./control.ts";
import {
  classifyF80,
  F80_BIAS,
  f80Result,
  INFINITE,
  normalised,
  normaliseF80,
  setF80,
  setInfinityF80,
  setZeroF80,
  SNAN,
  UNSUPPORTED,
  ZERO,
} from "./f80-round.ts";
import { ieeeResult, roundF32, roundF64, setF32, setF64 } from "./ieee-round.ts";
import { EXP, HI, LO, REST, unrounded } from "./significand.ts";

export { ieeeResult };

/** Exact f32 -> f80, into `f80Result`, a signalling NaN made quiet; returns IE or DE. */
export function f80FromF32(bits: number): number {
  const flags = f80SignalFromF32(bits);
  return flags === 0 ? quietLoad() : flags;
}

/** Exact f64 -> f80, into `f80Result`, a signalling NaN made quiet; returns IE or DE. */
export function f80FromF64(lo: number, hi: number): number {
  const flags = f80SignalFromF64(lo, hi);
  return flags === 0 ? quietLoad() : flags;
}

function quietLoad(): number {
  if ((f80Result[2] & 0x7fff) !== 0x7fff) return 0;
  if ((f80Result[0] | (f80Result[1] & 0x7fffffff)) === 0 || (f80Result[1] & 0x40000000) !== 0) return 0;
  f80Result[1] |= 0x40000000;
  return IE;
}

/** f32 as an operand of f80 arithmetic: signalling NaNs stay signalling; returns DE. */
export function f80SignalFromF32(bits: number): number {
  const se = (bits >>> 16) & 0x8000;
  const exp = (bits >>> 23) & 0xff;
  const fraction = bits << 9;
  if (exp === 0xff) {
    if (fraction === 0) {
      setInfinityF80(se >>> 15);
      return 0;
    }
    setF80(0, (fraction >>> 1) | 0x80000000, se | 0x7fff);
    return 0;
  }
  if (exp === 0) {
    if (fraction === 0) {
      setZeroF80(se >>> 15);
      return 0;
    }
    const shift = Math.clz32(fraction);
    setF80(0, fraction << shift, se | (F80_BIAS - 127 - shift));
    return DE;
  }
  setF80(0, (fraction >>> 1) | 0x80000000, se | (exp - 127 + F80_BIAS));
  return 0;
}

/** f64 as an operand of f80 arithmetic: signalling NaNs stay signalling; returns DE. */
export function f80SignalFromF64(lo: number, hi: number): number {
  const se = (hi >>> 16) & 0x8000;
  const exp = (hi >>> 20) & 0x7ff;
  let high = (hi << 11) | (lo >>> 21);
  let low = lo << 11;
  if (exp === 0x7ff) {
    if (((high & 0x7fffffff) | low) === 0) {
      setInfinityF80(se >>> 15);
      return 0;
    }
    setF80(low, high | 0x80000000, se | 0x7fff);
    return 0;
  }
  if (exp === 0) {
    high &= 0x7fffffff;
    if ((high | low) === 0) {
      setZeroF80(se >>> 15);
      return 0;
    }
    let scaled = 1 - 1023 + F80_BIAS;
    if (high === 0) {
      high = low;
      low = 0;
      scaled -= 32;
    }
    const shift = Math.clz32(high);
    if (shift !== 0) {
      high = (high << shift) | (low >>> (32 - shift));
      low <<= shift;
    }
    setF80(low, high, se | (scaled - shift));
    return DE;
  }
  setF80(low, high | 0x80000000, se | (exp - 1023 + F80_BIAS));
  return 0;
}

function loadUnrounded(lo: number, hi: number, se: number): void {
  normaliseF80(lo, hi, se);
  unrounded[EXP] = normalised[EXP];
  unrounded[HI] = normalised[HI];
  unrounded[LO] = normalised[LO];
  unrounded[REST] = 0;
}

/** Unmasked overflow or underflow leaves memory alone, and is then the only exception raised. */
function storeFlags(flags: number, fcw: number): number {
  return (flags & (OE | UE) & ~fcw) !== 0 ? flags & ~(PE | C1) : flags;
}

/** f80 -> f64 under the rounding mode of `fcw`, into `ieeeResult`; returns IE, OE, UE, PE and C1. */
export function f80ToF64(lo: number, hi: number, se: number, fcw: number): number {
  const kind = classifyF80(lo, hi, se);
  const sign = (se >>> 15) & 1;
  if (kind === ZERO) {
    setF64(sign << 31, 0);
    return 0;
  }
  if (kind >= INFINITE) {
    if (kind === UNSUPPORTED) {
      setF64(0xfff80000 | 0, 0);
      return IE;
    }
    if (kind === INFINITE) setF64((sign << 31) | 0x7ff00000, 0);
    else setF64((sign << 31) | 0x7ff80000 | ((hi & 0x7fffffff) >>> 11), (lo >>> 11) | (hi << 21));
    return kind === SNAN ? IE : 0;
  }
  loadUnrounded(lo, hi, se);
  return storeFlags(roundF64(sign, (fcw >>> 10) & 3, ~fcw & (OE | UE)), fcw);
}

/** f80 -> f32 under the rounding mode of `fcw`, into `ieeeResult[0]`; returns IE, OE, UE, PE and C1. */
export function f80ToF32(lo: number, hi: number, se: number, fcw: number): number {
  const kind = classifyF80(lo, hi, se);
  const sign = (se >>> 15) & 1;
  if (kind === ZERO) {
    setF32(sign << 31);
    return 0;
  }
  if (kind >= INFINITE) {
    if (kind === UNSUPPORTED) {
      setF32(0xffc00000 | 0);
      return IE;
    }
    if (kind === INFINITE) setF32((sign << 31) | 0x7f800000);
    else setF32((sign << 31) | 0x7fc00000 | ((hi & 0x7fffffff) >>> 8));
    return kind === SNAN ? IE : 0;
  }
  loadUnrounded(lo, hi, se);
  return storeFlags(roundF32(sign, (fcw >>> 10) & 3, ~fcw & (OE | UE)), fcw);
}
