/**
 * SSE scalar arithmetic under any MXCSR: add, subtract, multiply, divide, square root, minimum, maximum.
 *
 * The one idea: `format` is 32 or 64, operands are (lo, hi) words (hi is ignored for 32), the result is in
 * `ieeeResult` and the exception flags are returned, in MXCSR's positions. When one of them is unmasked the result
 * must not be used, and pre-computation exceptions (IE, DE, ZE) are then the only ones returned.
 *
 * Source: Intel SDM Vol. 1, 11.5.2 and 11.5.3 (conditions and priority), 4.8.3.5 (NaN rules), table 4-7.
 */
import { DE, IE, ZE } from "./control.ts";
import { DENORMAL, INFINITE, QNAN, ZERO } from "./f80-round.ts";
import { setF32, setF64 } from "./ieee-round.ts";
import {
  addMagnitudes,
  divideMagnitudes,
  EXP,
  HI,
  less64,
  LO,
  multiplyMagnitudes,
  REST,
  squareRootMagnitude,
  subtractMagnitudes,
  unrounded,
} from "./significand.ts";
import {
  invalid,
  OPERAND_EXP,
  OPERAND_HI,
  OPERAND_KIND,
  OPERAND_LO,
  OPERAND_RAW_HI,
  OPERAND_RAW_LO,
  OPERAND_SIGN,
  operandA,
  operandB,
  passOn,
  propagateNaN,
  round,
  roundingMode,
  setInfinity,
  setZero,
  unmaskedBy,
  unpack,
} from "./sse-operand.ts";

/** Operations of {@link sseBinary}, numbered as in the opcodes 0F 58..5F. */
export const SSE_ADD = 0;
export const SSE_MUL = 1;
export const SSE_SUB = 4;
export const SSE_MIN = 5;
export const SSE_DIV = 6;
export const SSE_MAX = 7;

function denormalFlag(): number {
  return operandA[OPERAND_KIND] === DENORMAL || operandB[OPERAND_KIND] === DENORMAL ? DE : 0;
}

/** a `op` b. */
export function sseBinary(
  op: number,
  format: number,
  aLo: number,
  aHi: number,
  bLo: number,
  bHi: number,
  mxcsr: number,
): number {
  unpack(operandA, format, aLo, aHi, mxcsr);
  unpack(operandB, format, bLo, bHi, mxcsr);
  if (op === SSE_MIN || op === SSE_MAX) return minimumMaximum(op, format);
  if (operandA[OPERAND_KIND] >= QNAN || operandB[OPERAND_KIND] >= QNAN) return propagateNaN(format);
  if (op === SSE_ADD) return add(format, operandB[OPERAND_SIGN], mxcsr);
  if (op === SSE_SUB) return add(format, operandB[OPERAND_SIGN] ^ 1, mxcsr);
  return op === SSE_MUL ? multiply(format, mxcsr) : divide(format, mxcsr);
}

/** a + b, with `bSign` instead of b's own sign. */
function add(format: number, bSign: number, mxcsr: number): number {
  const aKind = operandA[OPERAND_KIND];
  const bKind = operandB[OPERAND_KIND];
  const aSign = operandA[OPERAND_SIGN];
  if (aKind === INFINITE && bKind === INFINITE && aSign !== bSign) return invalid(format);
  const flags = denormalFlag();
  if (unmaskedBy(flags, mxcsr) !== 0) return flags;
  if (aKind === INFINITE || bKind === INFINITE) {
    setInfinity(format, aKind === INFINITE ? aSign : bSign);
    return flags;
  }
  const zeroSign = roundingMode(mxcsr) === 1 ? 1 : 0;
  if (aKind === ZERO && bKind === ZERO) {
    setZero(format, aSign === bSign ? aSign : zeroSign);
    return flags;
  }
  const aExp = operandA[OPERAND_EXP];
  const aHi = operandA[OPERAND_HI];
  const aLo = operandA[OPERAND_LO];
  const bExp = operandB[OPERAND_EXP];
  const bHi = operandB[OPERAND_HI];
  const bLo = operandB[OPERAND_LO];
  if (aKind === ZERO || bKind === ZERO) {
    unrounded[EXP] = aKind === ZERO ? bExp : aExp;
    unrounded[HI] = aKind === ZERO ? bHi : aHi;
    unrounded[LO] = aKind === ZERO ? bLo : aLo;
    unrounded[REST] = 0;
    return flags | round(format, aKind === ZERO ? bSign : aSign, mxcsr);
  }
  const bLarger = aExp === bExp ? less64(aHi, aLo, bHi, bLo) : aExp < bExp;
  if (aSign === bSign) {
    if (bLarger) addMagnitudes(bExp, bHi, bLo, aExp, aHi, aLo);
    else addMagnitudes(aExp, aHi, aLo, bExp, bHi, bLo);
  } else if (aExp === bExp && aHi === bHi && aLo === bLo) {
    setZero(format, zeroSign);
    return flags;
  } else if (bLarger) subtractMagnitudes(bExp, bHi, bLo, aExp, aHi, aLo);
  else subtractMagnitudes(aExp, aHi, aLo, bExp, bHi, bLo);
  return flags | round(format, bLarger ? bSign : aSign, mxcsr);
}

function multiply(format: number, mxcsr: number): number {
  const aKind = operandA[OPERAND_KIND];
  const bKind = operandB[OPERAND_KIND];
  const sign = operandA[OPERAND_SIGN] ^ operandB[OPERAND_SIGN];
  if ((aKind === INFINITE && bKind === ZERO) || (aKind === ZERO && bKind === INFINITE)) return invalid(format);
  const flags = denormalFlag();
  if (unmaskedBy(flags, mxcsr) !== 0) return flags;
  if (aKind === INFINITE || bKind === INFINITE) {
    setInfinity(format, sign);
    return flags;
  }
  if (aKind === ZERO || bKind === ZERO) {
    setZero(format, sign);
    return flags;
  }
  multiplyMagnitudes(
    operandA[OPERAND_EXP],
    operandA[OPERAND_HI],
    operandA[OPERAND_LO],
    operandB[OPERAND_EXP],
    operandB[OPERAND_HI],
    operandB[OPERAND_LO],
  );
  return flags | round(format, sign, mxcsr);
}

function divide(format: number, mxcsr: number): number {
  const aKind = operandA[OPERAND_KIND];
  const bKind = operandB[OPERAND_KIND];
  const sign = operandA[OPERAND_SIGN] ^ operandB[OPERAND_SIGN];
  if (aKind === bKind && (aKind === INFINITE || aKind === ZERO)) return invalid(format);
  if (bKind === ZERO && aKind !== INFINITE) {
    setInfinity(format, sign);
    return ZE;
  }
  const flags = denormalFlag();
  if (unmaskedBy(flags, mxcsr) !== 0) return flags;
  if (aKind === INFINITE) {
    setInfinity(format, sign);
    return flags;
  }
  if (aKind === ZERO || bKind === INFINITE) {
    setZero(format, sign);
    return flags;
  }
  divideMagnitudes(
    operandA[OPERAND_EXP],
    operandA[OPERAND_HI],
    operandA[OPERAND_LO],
    operandB[OPERAND_EXP],
    operandB[OPERAND_HI],
    operandB[OPERAND_LO],
  );
  return flags | round(format, sign, mxcsr);
}

/** Sign of a - b for operands that are not NaNs: -1, 0, 1. Zeros are equal. */
export function orderOfOperands(): number {
  const aZero = operandA[OPERAND_KIND] === ZERO;
  const bZero = operandB[OPERAND_KIND] === ZERO;
  if (aZero && bZero) return 0;
  const aSign = operandA[OPERAND_SIGN];
  const bSign = operandB[OPERAND_SIGN];
  if (aZero) return bSign !== 0 ? 1 : -1;
  if (bZero || aSign !== bSign) return aSign !== 0 ? -1 : 1;
  let order: number;
  // Infinities have the largest exponent of their format, so they order like numbers.
  if (operandA[OPERAND_EXP] !== operandB[OPERAND_EXP]) {
    order = operandA[OPERAND_EXP] < operandB[OPERAND_EXP] ? -1 : 1;
  } else if (operandA[OPERAND_HI] === operandB[OPERAND_HI] && operandA[OPERAND_LO] === operandB[OPERAND_LO]) {
    return 0;
  } else {
    const less = less64(operandA[OPERAND_HI], operandA[OPERAND_LO], operandB[OPERAND_HI], operandB[OPERAND_LO]);
    order = less ? -1 : 1;
  }
  return aSign !== 0 ? -order : order;
}

/** The second operand unless the first is strictly smaller (larger); any NaN is invalid and yields the second. */
function minimumMaximum(op: number, format: number): number {
  const nan = operandA[OPERAND_KIND] >= QNAN || operandB[OPERAND_KIND] >= QNAN;
  const first = !nan && orderOfOperands() === (op === SSE_MIN ? -1 : 1);
  const from = first ? operandA : operandB;
  // Not made quiet: a signalling NaN passes as it is.
  if (format === 32) setF32(from[OPERAND_RAW_LO]);
  else setF64(from[OPERAND_RAW_HI], from[OPERAND_RAW_LO]);
  return nan ? IE : denormalFlag();
}

/** Square root. */
export function sseSquareRoot(format: number, lo: number, hi: number, mxcsr: number): number {
  unpack(operandA, format, lo, hi, mxcsr);
  const kind = operandA[OPERAND_KIND];
  if (kind >= QNAN || kind === ZERO) {
    passOn(operandA, format);
    return kind > QNAN ? IE : 0;
  }
  if (operandA[OPERAND_SIGN] !== 0) return invalid(format);
  if (kind === INFINITE) {
    passOn(operandA, format);
    return 0;
  }
  const flags = kind === DENORMAL ? DE : 0;
  if (unmaskedBy(flags, mxcsr) !== 0) return flags;
  squareRootMagnitude(operandA[OPERAND_EXP], operandA[OPERAND_HI], operandA[OPERAND_LO]);
  return flags | round(format, 0, mxcsr);
}
