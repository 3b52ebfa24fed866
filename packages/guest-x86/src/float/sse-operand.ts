/**
 * 32-bit and 64-bit operands of SSE arithmetic: taking them apart, and the NaN rules.
 *
 * The one idea: both formats become the same thing, a class, a sign and a normalised number in an `Operand` row, so
 * that every operation exists once and `format` (32 or 64) matters only on the way in and on the way out.
 *
 *     operand row: [KIND][SIGN][EXP][HI][LO][RAW LO][RAW HI]     EXP, HI, LO as in significand.ts
 *
 * Source: Intel SDM Vol. 1, 10.2.3.4 (DAZ), 4.8.3.4 to 4.8.3.6 and table 4-7 (NaNs), 11.5 (SIMD exceptions).
 */
import { IE, MXCSR_DAZ, MXCSR_FTZ, MXCSR_MASK_SHIFT, OE, UE } from "./control.ts";
import { DENORMAL, INFINITE, NORMAL, QNAN, SNAN, ZERO } from "./f80-round.ts";
import { FLUSH_TO_ZERO, ieeeResult, roundF32, roundF64, setF32, setF64 } from "./ieee-round.ts";

export { ieeeResult };

export const OPERAND_KIND = 0;
export const OPERAND_SIGN = 1;
export const OPERAND_EXP = 2;
export const OPERAND_HI = 3;
export const OPERAND_LO = 4;
export const OPERAND_RAW_LO = 5;
export const OPERAND_RAW_HI = 6;

export const operandA: Int32Array = new Int32Array(7);
export const operandB: Int32Array = new Int32Array(7);

/** Takes the bits apart; DAZ of `mxcsr` turns a denormal, its raw bits included, into a zero of its sign. */
export function unpack(operand: Int32Array, format: number, lo: number, hi: number, mxcsr: number): void {
  let sign: number;
  let exp: number;
  let high: number;
  let low: number;
  let special: boolean;
  if (format === 32) {
    sign = lo >>> 31;
    exp = (lo >>> 23) & 0xff;
    special = exp === 0xff;
    high = (lo << 8) & 0x7fffffff;
    low = 0;
    if (exp === 0) exp = 1;
    else high |= 0x80000000;
    exp -= 127;
  } else {
    sign = hi >>> 31;
    exp = (hi >>> 20) & 0x7ff;
    special = exp === 0x7ff;
    high = ((hi << 11) | (lo >>> 21)) & 0x7fffffff;
    low = lo << 11;
    if (exp === 0) exp = 1;
    else high |= 0x80000000;
    exp -= 1023;
  }
  operand[OPERAND_SIGN] = sign;
  operand[OPERAND_RAW_LO] = lo;
  operand[OPERAND_RAW_HI] = hi;
  let kind = NORMAL;
  if (special) {
    if (((high & 0x7fffffff) | low) === 0) kind = INFINITE;
    else kind = (high & 0x40000000) !== 0 ? QNAN : SNAN;
  } else if (high >= 0) {
    kind = (high | low) === 0 ? ZERO : DENORMAL;
    if (kind === DENORMAL && (mxcsr & MXCSR_DAZ) !== 0) {
      kind = ZERO;
      if (format === 32) operand[OPERAND_RAW_LO] = lo & 0x80000000;
      else {
        operand[OPERAND_RAW_LO] = 0;
        operand[OPERAND_RAW_HI] = hi & 0x80000000;
      }
    } else if (kind === DENORMAL) {
      if (high === 0) {
        high = low;
        low = 0;
        exp -= 32;
      }
      const shift = Math.clz32(high);
      if (shift !== 0) {
        high = (high << shift) | (low >>> (32 - shift));
        low <<= shift;
      }
      exp -= shift;
    }
  }
  operand[OPERAND_KIND] = kind;
  operand[OPERAND_EXP] = exp;
  operand[OPERAND_HI] = high;
  operand[OPERAND_LO] = low;
}

/** The operand's bits as the result, a NaN made quiet. */
export function passOn(operand: Int32Array, format: number): void {
  const quiet = operand[OPERAND_KIND] >= QNAN;
  if (format === 32) setF32(operand[OPERAND_RAW_LO] | (quiet ? 0x00400000 : 0));
  else setF64(operand[OPERAND_RAW_HI] | (quiet ? 0x00080000 : 0), operand[OPERAND_RAW_LO]);
}

/** Two-operand NaN rule: the first operand if it is a NaN, else the second, made quiet. */
export function propagateNaN(format: number): number {
  passOn(operandA[OPERAND_KIND] >= QNAN ? operandA : operandB, format);
  return operandA[OPERAND_KIND] === SNAN || operandB[OPERAND_KIND] === SNAN ? IE : 0;
}

/** Invalid operation with its masked result, the default NaN. */
export function invalid(format: number): number {
  if (format === 32) setF32(0xffc00000 | 0);
  else setF64(0xfff80000 | 0, 0);
  return IE;
}

export function setZero(format: number, sign: number): void {
  if (format === 32) setF32(sign << 31);
  else setF64(sign << 31, 0);
}

export function setInfinity(format: number, sign: number): void {
  if (format === 32) setF32((sign << 31) | 0x7f800000);
  else setF64((sign << 31) | 0x7ff00000, 0);
}

/** Rounding control of MXCSR. */
export function roundingMode(mxcsr: number): number {
  return (mxcsr >>> 13) & 3;
}

/** Rounds `unrounded` into `ieeeResult` as `mxcsr` says; returns OE, UE, PE. */
export function round(format: number, sign: number, mxcsr: number): number {
  const options = (~(mxcsr >>> MXCSR_MASK_SHIFT) & (OE | UE)) | ((mxcsr & MXCSR_FTZ) !== 0 ? FLUSH_TO_ZERO : 0);
  const mode = roundingMode(mxcsr);
  return (format === 32 ? roundF32(sign, mode, options) : roundF64(sign, mode, options)) & 0x3f;
}

/** The flags of `flags` that `mxcsr` leaves unmasked. */
export function unmaskedBy(flags: number, mxcsr: number): number {
  return flags & ~(mxcsr >>> MXCSR_MASK_SHIFT) & 0x3f;
}
