/** The high 64 bits of 128-bit products, which WebAssembly has no operation for. */
import { Op, type RegionBuilder } from "@doppel/dbt-core";

/** Of an unsigned product, from four products of halves (Hacker's Delight, 8-2). */
export function highProduct(b: RegionBuilder, x: number, y: number): number {
  const half = b.i64(32);
  const mask = b.i64(-1, 0);
  const xLow = b.binary(Op.i64And, x, mask);
  const xHigh = b.binary(Op.i64ShrU, x, half);
  const yLow = b.binary(Op.i64And, y, mask);
  const yHigh = b.binary(Op.i64ShrU, y, half);
  const lowest = b.binary(Op.i64Mul, xLow, yLow);
  const first = b.binary(Op.i64Add, b.binary(Op.i64Mul, xHigh, yLow), b.binary(Op.i64ShrU, lowest, half));
  const second = b.binary(Op.i64Add, b.binary(Op.i64Mul, xLow, yHigh), b.binary(Op.i64And, first, mask));
  const carried = b.binary(Op.i64Add, b.binary(Op.i64ShrU, first, half), b.binary(Op.i64ShrU, second, half));
  return b.binary(Op.i64Add, b.binary(Op.i64Mul, xHigh, yHigh), carried);
}

/** What a signed product's high half is less than the unsigned one's: each factor where the other is negative. */
export function signedDifference(b: RegionBuilder, x: number, y: number): number {
  const sign = b.i64(63);
  const first = b.binary(Op.i64And, b.binary(Op.i64ShrS, x, sign), y);
  const second = b.binary(Op.i64And, b.binary(Op.i64ShrS, y, sign), x);
  return b.binary(Op.i64Add, first, second);
}

export function highProductSigned(b: RegionBuilder, x: number, y: number): number {
  return b.binary(Op.i64Sub, highProduct(b, x, y), signedDifference(b, x, y));
}

/** Whether a 64-bit product's high half is more than the extension of its low half: an i32 bit. */
export function productOverflows64(b: RegionBuilder, x: number, y: number, signed: boolean): number {
  if (!signed) return b.binary(Op.i64Ne, highProduct(b, x, y), b.i64(0));
  const low = b.binary(Op.i64Mul, x, y);
  return b.binary(Op.i64Ne, highProductSigned(b, x, y), b.binary(Op.i64ShrS, low, b.i64(63)));
}
