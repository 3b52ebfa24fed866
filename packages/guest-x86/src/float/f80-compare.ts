/**
 * Comparison and classification of 80-bit numbers.
 *
 * The one idea: answers are status-word bits (C3, C2, C0), so that they can be merged with the exception flags.
 * Source: Intel SDM Vol. 1, 8.1.3.1 and tables 8-6, 8-7; Vol. 2, FCOM, FUCOM, FXAM.
 */
import { C0, C1, C2, C3, DE, IE } from "./control.ts";
import { classifyF80, DENORMAL, INFINITE, QNAN, SNAN, UNSUPPORTED, ZERO } from "./f80-round.ts";
import { less64 } from "./significand.ts";

/** C3 C2 C0 = 111: unordered. */
export const UNORDERED: number = C3 | C2 | C0;

/**
 * FCOM (`quiet` false: any NaN is invalid) and FUCOM (`quiet` true: only SNANs and unsupported encodings are).
 * Returns 0 for a > b, C0 for a < b, C3 for a = b, {@link UNORDERED}; with IE or DE.
 */
export function f80Compare(
  aLo: number,
  aHi: number,
  aSe: number,
  bLo: number,
  bHi: number,
  bSe: number,
  quiet: boolean,
): number {
  const aKind = classifyF80(aLo, aHi, aSe);
  const bKind = classifyF80(bLo, bHi, bSe);
  if (aKind >= QNAN || bKind >= QNAN) {
    return quiet && aKind < SNAN && bKind < SNAN ? UNORDERED : UNORDERED | IE;
  }
  const denormal = aKind === DENORMAL || bKind === DENORMAL ? DE : 0;
  if (aKind === ZERO && bKind === ZERO) return C3 | denormal;
  const aNegative = (aSe & 0x8000) !== 0;
  if (aKind === ZERO || bKind === ZERO || ((aSe ^ bSe) & 0x8000) !== 0) {
    const negative = aKind === ZERO ? (bSe & 0x8000) === 0 : aNegative;
    return (negative ? C0 : 0) | denormal;
  }
  // A pseudo-denormal compares like the normal number of exponent 1 that it equals.
  let aExp = aSe & 0x7fff;
  let bExp = bSe & 0x7fff;
  if (aExp === 0) aExp = 1;
  if (bExp === 0) bExp = 1;
  if (aExp === bExp && aHi === bHi && aLo === bLo) return C3 | denormal;
  const smaller = aExp === bExp ? less64(aHi, aLo, bHi, bLo) : aExp < bExp;
  return (smaller !== aNegative ? C0 : 0) | denormal;
}

/** FXAM of an occupied register: C3 C2 C0 for the class, C1 for the sign. */
export function f80Examine(lo: number, hi: number, se: number): number {
  const sign = (se & 0x8000) !== 0 ? C1 : 0;
  const kind = classifyF80(lo, hi, se);
  if (kind === UNSUPPORTED) return sign;
  if (kind >= QNAN) return sign | C0;
  if (kind === INFINITE) return sign | C2 | C0;
  if (kind === ZERO) return sign | C3;
  return kind === DENORMAL ? sign | C3 | C2 : sign | C2;
}
