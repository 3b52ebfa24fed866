/**
 * SSE conversions between 32-bit, 64-bit floating point and integers, and rounding to integral values.
 *
 * The one idea: all of them are "take apart, round to another width, put together"; an integer is just another
 * format, whose only exceptional value is the indefinite. Results are in `ieeeResult`, flags are returned.
 *
 * Source: Intel SDM Vol. 1, 4.2.1.1 and 11.5.2.1 (integer indefinite); Vol. 2, CVTSD2SI ... ROUNDSS.
 */
import { DE, IE, PE } from "./control.ts";
import { f80ToInteger, integerResult } from "./f80-integer.ts";
import { DENORMAL, F80_BIAS, INFINITE, QNAN, SNAN, ZERO } from "./f80-round.ts";
import { ieeeResult, roundF32, roundF64 } from "./ieee-round.ts";
import { EXP, HI, LO, REST, setNormalised, unrounded } from "./significand.ts";
import {
  OPERAND_EXP,
  OPERAND_HI,
  OPERAND_KIND,
  OPERAND_LO,
  OPERAND_SIGN,
  operandA,
  passOn,
  round,
  roundingMode,
  setInfinity,
  setZero,
  unmaskedBy,
  unpack,
} from "./sse-operand.ts";

/** CVTSI2Sx: a signed 64-bit integer (extend 32-bit ones) to `format`; returns PE. */
export function sseFromInteger(format: number, lo: number, hi: number, mxcsr: number): number {
  const sign = hi >>> 31;
  if (sign !== 0) {
    hi = (~hi + (lo === 0 ? 1 : 0)) | 0;
    lo = -lo | 0;
  }
  if ((hi | lo) === 0) {
    setZero(format, 0);
    return 0;
  }
  setNormalised(63, hi, lo, 0);
  return round(format, sign, mxcsr);
}

/**
 * CVTSx2SI (mode of `mxcsr`) and CVTTSx2SI (`truncate`): to a signed integer of `bits` 32 or 64.
 * Invalid, also out of range, gives IE and the integer indefinite.
 */
export function sseToInteger(
  format: number,
  bits: number,
  truncate: boolean,
  lo: number,
  hi: number,
  mxcsr: number,
): number {
  unpack(operandA, format, lo, hi, mxcsr);
  const kind = operandA[OPERAND_KIND];
  let se = operandA[OPERAND_SIGN] << 15;
  if (kind >= INFINITE) se |= 0x7fff;
  else if (kind !== ZERO) se |= operandA[OPERAND_EXP] + F80_BIAS;
  const high = kind === ZERO ? 0 : operandA[OPERAND_HI];
  const low = kind === ZERO ? 0 : operandA[OPERAND_LO];
  const flags = f80ToInteger(low, high, se, bits, truncate ? 3 : roundingMode(mxcsr));
  ieeeResult[0] = integerResult[0];
  ieeeResult[1] = integerResult[1];
  return flags & (IE | PE);
}

/** CVTSS2SD: exact but for a signalling NaN. */
export function sseWiden(bits: number, mxcsr: number): number {
  unpack(operandA, 32, bits, 0, mxcsr);
  const kind = operandA[OPERAND_KIND];
  const sign = operandA[OPERAND_SIGN];
  if (kind === ZERO) setZero(64, sign);
  else if (kind === INFINITE) setInfinity(64, sign);
  else if (kind >= QNAN) {
    ieeeResult[0] = bits << 29;
    ieeeResult[1] = (sign << 31) | 0x7ff80000 | ((bits & 0x7fffff) >>> 3);
    return kind === SNAN ? IE : 0;
  } else {
    loadUnrounded();
    roundF64(sign, 0, 0);
    return kind === DENORMAL ? DE : 0;
  }
  return 0;
}

function loadUnrounded(): void {
  unrounded[EXP] = operandA[OPERAND_EXP];
  unrounded[HI] = operandA[OPERAND_HI];
  unrounded[LO] = operandA[OPERAND_LO];
  unrounded[REST] = 0;
}

/** CVTSD2SS. */
export function sseNarrow(lo: number, hi: number, mxcsr: number): number {
  unpack(operandA, 64, lo, hi, mxcsr);
  const kind = operandA[OPERAND_KIND];
  const sign = operandA[OPERAND_SIGN];
  if (kind === ZERO) setZero(32, sign);
  else if (kind === INFINITE) setInfinity(32, sign);
  else if (kind >= QNAN) {
    ieeeResult[0] = (sign << 31) | 0x7fc00000 | ((hi & 0xfffff) << 3) | (lo >>> 29);
    ieeeResult[1] = 0;
    return kind === SNAN ? IE : 0;
  } else {
    const flags = kind === DENORMAL ? DE : 0;
    if (unmaskedBy(flags, mxcsr) !== 0) return flags;
    loadUnrounded();
    return flags | round(32, sign, mxcsr);
  }
  return 0;
}

/** ROUNDSx with `immediate`: bits 0-1 mode, bit 2 use MXCSR's mode instead, bit 3 no PE. */
export function sseRound(format: number, immediate: number, lo: number, hi: number, mxcsr: number): number {
  unpack(operandA, format, lo, hi, mxcsr);
  const kind = operandA[OPERAND_KIND];
  const sign = operandA[OPERAND_SIGN];
  const fractionBits = format === 32 ? 23 : 52;
  if (kind >= INFINITE || kind === ZERO || operandA[OPERAND_EXP] >= fractionBits) {
    passOn(operandA, format);
    return kind === SNAN ? IE : 0;
  }
  const mode = (immediate & 4) !== 0 ? roundingMode(mxcsr) : immediate & 3;
  // Numbers below 2^52 fit 64-bit integers; the sign is put back even on zero.
  const se = (sign << 15) | (operandA[OPERAND_EXP] + F80_BIAS);
  const flags = f80ToInteger(operandA[OPERAND_LO], operandA[OPERAND_HI], se, 64, mode);
  let low = integerResult[0];
  let high = integerResult[1];
  if (high < 0) {
    high = (~high + (low === 0 ? 1 : 0)) | 0;
    low = -low | 0;
  }
  if ((high | low) === 0) setZero(format, sign);
  else {
    setNormalised(63, high, low, 0);
    if (format === 32) roundF32(sign, 0, 0);
    else roundF64(sign, 0, 0);
  }
  return (immediate & 8) !== 0 ? 0 : flags & PE;
}
