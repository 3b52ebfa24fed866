/**
 * Exact arithmetic on normalised 64-bit significands, the common core of the x87 and SSE exact paths.
 *
 * The one idea: an operation on finite, non-zero operands yields an *unrounded* result in `unrounded`: exponent and
 * 96 bits, the last of which is sticky (one if anything non-zero lies below). 32 bits below a 64-bit significand
 * are enough to round correctly to any narrower format in any mode, so rounding is somebody else's business.
 *
 *     unrounded: [EXP][HI][LO][REST]      value = (HI:LO:REST / 2^95) * 2^EXP,   HI has its top bit set
 *
 * A significand is two int32 halves `hi`, `lo` with the integer bit on top; exponents are unbiased.
 */

export const EXP = 0;
export const HI = 1;
export const LO = 2;
export const REST = 3;

export const unrounded: Int32Array = new Int32Array(4);

/** Full product of {@link multiply64}: four words, least significant first. */
export const product: Int32Array = new Int32Array(4);

/** Unsigned `a < b` on two-word integers. */
export function less64(aHi: number, aLo: number, bHi: number, bLo: number): boolean {
  return aHi === bHi ? aLo >>> 0 < bLo >>> 0 : aHi >>> 0 < bHi >>> 0;
}

/** High word of the 64-bit product of two unsigned words. */
export function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const low = Math.imul(a0, b0);
  const cross1 = Math.imul(a0, b1);
  const cross2 = Math.imul(a1, b0);
  const middle = (low >>> 16) + (cross1 & 0xffff) + (cross2 & 0xffff);
  return (Math.imul(a1, b1) + (cross1 >>> 16) + (cross2 >>> 16) + (middle >>> 16)) | 0;
}

/** 64 x 64 bits -> `product`. */
export function multiply64(aHi: number, aLo: number, bHi: number, bLo: number): void {
  const word0 = Math.imul(aLo, bLo);
  let sum = (multiplyHigh(aLo, bLo) >>> 0) + (Math.imul(aLo, bHi) >>> 0) + (Math.imul(aHi, bLo) >>> 0);
  const word1 = sum | 0;
  sum =
    (multiplyHigh(aLo, bHi) >>> 0) +
    (multiplyHigh(aHi, bLo) >>> 0) +
    (Math.imul(aHi, bHi) >>> 0) +
    (sum >= 0x100000000 ? (sum >= 0x200000000 ? 2 : 1) : 0);
  const word2 = sum | 0;
  const carry = sum >= 0x100000000 ? (sum >= 0x200000000 ? 2 : 1) : 0;
  product[0] = word0;
  product[1] = word1;
  product[2] = word2;
  product[3] = (multiplyHigh(aHi, bHi) + carry) | 0;
}

function setUnrounded(exp: number, hi: number, lo: number, rest: number): void {
  unrounded[EXP] = exp;
  unrounded[HI] = hi;
  unrounded[LO] = lo;
  unrounded[REST] = rest;
}

/** Shifts HI:LO:REST right by `count` >= 0, keeping the last bit sticky; leaves EXP alone. */
export function shiftRightSticky(hi: number, lo: number, rest: number, count: number): void {
  if (count >= 96) {
    rest = (hi | lo | rest) !== 0 ? 1 : 0;
    hi = lo = 0;
  } else {
    while (count >= 32) {
      rest = lo | (rest !== 0 ? 1 : 0);
      lo = hi;
      hi = 0;
      count -= 32;
    }
    if (count > 0) {
      const lost = rest << (32 - count);
      rest = (rest >>> count) | (lo << (32 - count)) | (lost !== 0 ? 1 : 0);
      lo = (lo >>> count) | (hi << (32 - count));
      hi = hi >>> count;
    }
  }
  unrounded[HI] = hi;
  unrounded[LO] = lo;
  unrounded[REST] = rest;
}

/** |a| + |b|, with `aExp >= bExp`. */
export function addMagnitudes(aExp: number, aHi: number, aLo: number, bExp: number, bHi: number, bLo: number): void {
  let rest = 0;
  if (aExp !== bExp) {
    shiftRightSticky(bHi, bLo, 0, aExp - bExp);
    bHi = unrounded[HI];
    bLo = unrounded[LO];
    rest = unrounded[REST];
  }
  const low = (aLo >>> 0) + (bLo >>> 0);
  const high = (aHi >>> 0) + (bHi >>> 0) + (low >= 0x100000000 ? 1 : 0);
  let hi = high | 0;
  let lo = low | 0;
  if (high >= 0x100000000) {
    rest = (rest >>> 1) | (rest & 1) | (lo << 31);
    lo = (lo >>> 1) | (hi << 31);
    hi = (hi >>> 1) | 0x80000000;
    aExp++;
  }
  setUnrounded(aExp, hi, lo, rest);
}

/** |a| - |b|, with |a| > |b|. */
export function subtractMagnitudes(
  aExp: number,
  aHi: number,
  aLo: number,
  bExp: number,
  bHi: number,
  bLo: number,
): void {
  let rest = 0;
  if (aExp !== bExp) {
    shiftRightSticky(bHi, bLo, 0, aExp - bExp);
    bHi = unrounded[HI];
    bLo = unrounded[LO];
    rest = unrounded[REST];
  }
  let borrow = rest !== 0 ? 1 : 0;
  rest = -rest | 0;
  const low = (aLo >>> 0) - (bLo >>> 0) - borrow;
  borrow = low < 0 ? 1 : 0;
  setNormalised(aExp, ((aHi >>> 0) - (bHi >>> 0) - borrow) | 0, low | 0, rest);
}

/** Stores a non-zero 96-bit value in `unrounded`, shifted left until its top bit is set. */
export function setNormalised(exp: number, hi: number, lo: number, rest: number): void {
  while (hi === 0) {
    hi = lo;
    lo = rest;
    rest = 0;
    exp -= 32;
  }
  const shift = Math.clz32(hi);
  if (shift !== 0) {
    hi = (hi << shift) | (lo >>> (32 - shift));
    lo = (lo << shift) | (rest >>> (32 - shift));
    rest <<= shift;
    exp -= shift;
  }
  setUnrounded(exp, hi, lo, rest);
}

/** |a| * |b|. */
export function multiplyMagnitudes(
  aExp: number,
  aHi: number,
  aLo: number,
  bExp: number,
  bHi: number,
  bLo: number,
): void {
  multiply64(aHi, aLo, bHi, bLo);
  let hi = product[3];
  let lo = product[2];
  let rest = product[1];
  const last = product[0];
  let exp = aExp + bExp;
  if (hi < 0) {
    exp++;
    rest |= last !== 0 ? 1 : 0;
  } else {
    hi = (hi << 1) | (lo >>> 31);
    lo = (lo << 1) | (rest >>> 31);
    rest = (rest << 1) | (last !== 0 ? 1 : 0);
  }
  setUnrounded(exp, hi, lo, rest);
}

/** Remainder left by {@link divideDigit}. */
const remainder: Int32Array = new Int32Array(2);
/** The divisor as an f64: a parameter of this type would be boxed. */
const divisor: Float64Array = new Float64Array(1);

/** One 32-bit digit of (remainder : next) / b, for remainder < b; leaves the new remainder. */
function divideDigit(rHi: number, rLo: number, next: number, bHi: number, bLo: number): number {
  // 53 bits of estimate for a 32-bit digit: wrong by at most one, and mostly right.
  let digit = Math.floor((((rHi >>> 0) * 4294967296 + (rLo >>> 0)) * 4294967296 + (next >>> 0)) / divisor[0]);
  if (digit > 0xffffffff) digit = 0xffffffff;
  // 96-bit remainder:next - digit * b
  const pLow = Math.imul(digit, bLo);
  const pMiddle = (multiplyHigh(digit, bLo) >>> 0) + (Math.imul(digit, bHi) >>> 0);
  let d0 = (next >>> 0) - (pLow >>> 0);
  let d1 = (rLo >>> 0) - (pMiddle >>> 0) - (d0 < 0 ? 1 : 0);
  let d2 = (rHi >>> 0) - (multiplyHigh(digit, bHi) >>> 0) - (pMiddle >= 0x100000000 ? 1 : 0) - (d1 < 0 ? 1 : 0);
  d0 >>>= 0;
  d1 >>>= 0;
  while (d2 < 0) {
    digit--;
    d0 += bLo >>> 0;
    d1 += (bHi >>> 0) + (d0 >= 0x100000000 ? 1 : 0);
    d2 += d1 >= 0x100000000 ? 1 : 0;
    d0 >>>= 0;
    d1 >>>= 0;
  }
  while (d2 > 0 || !less64(d1 | 0, d0 | 0, bHi, bLo)) {
    digit++;
    d0 -= bLo >>> 0;
    d1 -= (bHi >>> 0) + (d0 < 0 ? 1 : 0);
    d2 -= d1 < 0 ? 1 : 0;
    d0 >>>= 0;
    d1 >>>= 0;
  }
  remainder[0] = d0;
  remainder[1] = d1;
  return digit | 0;
}

/** |a| / |b|. */
export function divideMagnitudes(aExp: number, aHi: number, aLo: number, bExp: number, bHi: number, bLo: number): void {
  divisor[0] = (bHi >>> 0) * 4294967296 + (bLo >>> 0);
  let exp = aExp - bExp;
  let next = 0;
  if (less64(aHi, aLo, bHi, bLo)) {
    exp--;
  } else {
    // Halve the dividend so that the quotient lies in [1/2, 1): the first digit is then normalised.
    next = aLo << 31;
    aLo = (aLo >>> 1) | (aHi << 31);
    aHi = aHi >>> 1;
  }
  const hi = divideDigit(aHi, aLo, next, bHi, bLo);
  const lo = divideDigit(remainder[1], remainder[0], 0, bHi, bLo);
  const rest = divideDigit(remainder[1], remainder[0], 0, bHi, bLo);
  setUnrounded(exp, hi, lo, rest | ((remainder[0] | remainder[1]) !== 0 ? 1 : 0));
}

/** sqrt(|a|). */
export function squareRootMagnitude(aExp: number, aHi: number, aLo: number): void {
  // Radicand n3:n2:n1:n0 in [2^126, 2^128), so that its root is a normalised 64-bit integer.
  let n3 = aHi;
  let n2 = aLo;
  let n1 = 0;
  if ((aExp & 1) === 0) {
    n1 = n2 << 31;
    n2 = (n2 >>> 1) | (n3 << 31);
    n3 = n3 >>> 1;
  }
  const top = (n3 >>> 0) * 4294967296 + (n2 >>> 0);
  let high = Math.floor(Math.sqrt(top));
  if (high > 0xffffffff) high = 0xffffffff;
  // Correct the high half exactly: high^2 <= n3:n2 < (high + 1)^2.
  let r0 = (n2 >>> 0) - (Math.imul(high, high) >>> 0);
  let r1 = (n3 >>> 0) - (multiplyHigh(high, high) >>> 0);
  let excess = r1 * 4294967296 + r0; // small in magnitude, hence exact
  while (excess < 0) {
    high--;
    excess += 2 * high + 1;
  }
  while (excess > 2 * high) {
    excess -= 2 * high + 1;
    high++;
  }
  // The bias covers the quotient's own rounding (2^-20), so that the estimate can only be too large.
  let low = Math.floor((excess * 4294967296 + (n1 >>> 0)) / (2 * high) + 1 / 1024);
  if (low > 0xffffffff) low = 0xffffffff;
  // Correct the low half against the full square.
  let d0: number, d1: number, d2: number, d3: number;
  for (;;) {
    multiply64(high | 0, low | 0, high | 0, low | 0);
    d0 = 0 - (product[0] >>> 0);
    d1 = (n1 >>> 0) - (product[1] >>> 0) - (d0 < 0 ? 1 : 0);
    d2 = (n2 >>> 0) - (product[2] >>> 0) - (d1 < 0 ? 1 : 0);
    d3 = (n3 >>> 0) - (product[3] >>> 0) - (d2 < 0 ? 1 : 0);
    if (d3 >= 0) break;
    if (low === 0) {
      high--;
      low = 0xffffffff;
    } else low--;
  }
  d0 >>>= 0;
  d1 >>>= 0;
  d2 >>>= 0;
  // The remainder is at most twice the root; (root + 1/2)^2 = root^2 + root + 1/4 decides the next bit.
  r0 = d0;
  r1 = d1;
  let rest = 0;
  if (d2 !== 0 || less64(high | 0, low | 0, r1 | 0, r0 | 0)) rest = 0xc0000000 | 0;
  else if ((r0 | r1) !== 0) rest = 0x40000000;
  setUnrounded(aExp >> 1, high | 0, low | 0, rest);
}
