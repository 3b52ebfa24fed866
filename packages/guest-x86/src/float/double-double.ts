/**
 * Double-double arithmetic: an unevaluated sum of two f64 numbers, about 106 bits.
 *
 * The one idea: error-free transformations (Dekker 1971, Knuth TAOCP 4.2.2) recover what an f64 operation rounded
 * off. Relative errors are a few units of 2^-104, which leaves some 38 bits below an x87 significand. A result is
 * left in `dd` (high part, low part); operands are passed as parts, so nothing is allocated.
 */

export const dd: Float64Array = new Float64Array(2);

/** Exact a + b. */
export function twoSum(a: number, b: number): void {
  const sum = a + b;
  const part = sum - a;
  dd[0] = sum;
  dd[1] = a - (sum - part) + (b - part);
}

/** a + b. */
export function ddAdd(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const sum = aHigh + bHigh;
  let part = sum - aHigh;
  const error = aHigh - (sum - part) + (bHigh - part);
  const low = aLow + bLow;
  part = low - aLow;
  const lowError = aLow - (low - part) + (bLow - part);
  const middle = error + low;
  const high = sum + middle;
  const rest = middle - (high - sum) + lowError;
  dd[0] = high + rest;
  dd[1] = rest - (dd[0] - high);
}

const SPLITTER = 134217729; // 2^27 + 1

/** a * b. */
export function ddMultiply(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const product = aHigh * bHigh;
  let spread = SPLITTER * aHigh;
  const a1 = spread - (spread - aHigh);
  const a2 = aHigh - a1;
  spread = SPLITTER * bHigh;
  const b1 = spread - (spread - bHigh);
  const b2 = bHigh - b1;
  const error = a1 * b1 - product + a1 * b2 + a2 * b1 + a2 * b2;
  const rest = error + (aHigh * bLow + aLow * bHigh) + aLow * bLow;
  dd[0] = product + rest;
  dd[1] = rest - (dd[0] - product);
}

/** a / b. */
export function ddDivide(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const first = aHigh / bHigh;
  ddMultiply(bHigh, bLow, first, 0);
  ddAdd(aHigh, aLow, -dd[0], -dd[1]);
  const restHigh = dd[0];
  const restLow = dd[1];
  const second = restHigh / bHigh;
  ddMultiply(bHigh, bLow, second, 0);
  ddAdd(restHigh, restLow, -dd[0], -dd[1]);
  const third = dd[0] / bHigh;
  twoSum(first, second);
  ddAdd(dd[0], dd[1], third, 0);
}

/** Square root, for the making of tables. */
export function ddSquareRoot(high: number, low: number): void {
  const root = Math.sqrt(high);
  ddMultiply(root, 0, root, 0);
  ddAdd(high, low, -dd[0], -dd[1]);
  twoSum(root, dd[0] / (2 * root));
  // One more Newton step in full precision.
  const rootHigh = dd[0];
  const rootLow = dd[1];
  ddMultiply(rootHigh, rootLow, rootHigh, rootLow);
  ddAdd(high, low, -dd[0], -dd[1]);
  ddAdd(rootHigh, rootLow, dd[0] / (2 * root), 0);
}

/**
 * c[0] + x * (c[1] + x * (c[2] + ...)), with coefficients as pairs (high, low).
 */
export function ddPolynomial(coefficients: Float64Array, xHigh: number, xLow: number): void {
  let i = coefficients.length - 2;
  dd[0] = coefficients[i];
  dd[1] = coefficients[i + 1];
  while (i > 0) {
    i -= 2;
    ddMultiply(dd[0], dd[1], xHigh, xLow);
    ddAdd(coefficients[i], coefficients[i + 1], dd[0], dd[1]);
  }
}

/** A table of `length` pairs; `fill` leaves entry i in `dd`. */
export function ddTable(length: number, fill: (i: number) => void): Float64Array {
  const table = new Float64Array(2 * length);
  for (let i = 0; i < length; i++) {
    fill(i);
    table[2 * i] = dd[0];
    table[2 * i + 1] = dd[1];
  }
  return table;
}

/** Sets `dd`. */
export function ddSet(high: number, low: number): void {
  dd[0] = high;
  dd[1] = low;
}
