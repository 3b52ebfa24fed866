/**
 * x86's rules for NaN results on top of WebAssembly's, which leave sign and payload open.
 *
 * The rule (Intel SDM vol. 1, 4.8.3.5): the first operand that is a NaN, made quiet; where no operand is one, the
 * default NaN, which is negative. Only results that are NaN need any of this, so every function here works out `fixed`
 * for that case alone and picks it by `result != result`, which is all the usual case costs.
 */
import { Op, type RegionBuilder, SELDOM } from "@doppel/dbt-core";

/** `condition ? cold : hot`, where `cold` is rarely wanted. */
export function unlikely(b: RegionBuilder, cold: number, hot: number, condition: number): number {
  return b.select(cold, hot, condition, SELDOM);
}

// Scalars.

function quietF64(b: RegionBuilder, value: number): number {
  const bits = b.binary(Op.i64Or, b.unary(Op.i64ReinterpretF64, value), b.i64(0, 0x00080000));
  return b.unary(Op.f64ReinterpretI64, bits);
}

function quietF32(b: RegionBuilder, value: number): number {
  return b.unary(Op.f32ReinterpretI32, b.binary(Op.i32Or, b.unary(Op.i32ReinterpretF32, value), b.i32(0x00400000)));
}

const defaultF64 = (b: RegionBuilder): number => b.unary(Op.f64ReinterpretI64, b.i64(0, 0xfff80000 | 0));
const defaultF32 = (b: RegionBuilder): number => b.unary(Op.f32ReinterpretI32, b.i32(0xffc00000 | 0));

export function fixNaN64(b: RegionBuilder, result: number, x: number, y: number): number {
  const second = b.select(quietF64(b, y), defaultF64(b), b.binary(Op.f64Ne, y, y));
  const fixed = b.select(quietF64(b, x), second, b.binary(Op.f64Ne, x, x));
  return unlikely(b, fixed, result, b.binary(Op.f64Ne, result, result));
}

export function fixNaN32(b: RegionBuilder, result: number, x: number, y: number): number {
  const second = b.select(quietF32(b, y), defaultF32(b), b.binary(Op.f32Ne, y, y));
  const fixed = b.select(quietF32(b, x), second, b.binary(Op.f32Ne, x, x));
  return unlikely(b, fixed, result, b.binary(Op.f32Ne, result, result));
}

/** For operations of one operand. */
export function fixUnaryNaN64(b: RegionBuilder, result: number, x: number): number {
  const fixed = b.select(quietF64(b, x), defaultF64(b), b.binary(Op.f64Ne, x, x));
  return unlikely(b, fixed, result, b.binary(Op.f64Ne, result, result));
}

export function fixUnaryNaN32(b: RegionBuilder, result: number, x: number): number {
  const fixed = b.select(quietF32(b, x), defaultF32(b), b.binary(Op.f32Ne, x, x));
  return unlikely(b, fixed, result, b.binary(Op.f32Ne, result, result));
}

/** CVTSS2SD of a NaN: the payload moves up, quiet. */
export function fixPromotedNaN(b: RegionBuilder, result: number, x: number): number {
  const bits = b.unary(Op.i32ReinterpretF32, x);
  const high = b.binary(
    Op.i32Or,
    b.binary(Op.i32And, bits, b.i32(0x80000000 | 0)),
    b.binary(Op.i32Or, b.binary(Op.i32And, b.binary(Op.i32ShrU, bits, b.i32(3)), b.i32(0x7ffff)), b.i32(0x7ff80000)),
  );
  const wide = b.binary(
    Op.i64Or,
    b.binary(Op.i64Shl, b.unary(Op.i64ExtendI32U, high), b.i64(32)),
    b.unary(Op.i64ExtendI32U, b.binary(Op.i32Shl, bits, b.i32(29))),
  );
  return unlikely(b, b.unary(Op.f64ReinterpretI64, wide), result, b.binary(Op.f64Ne, result, result));
}

/** CVTSD2SS of a NaN: the payload's upper bits, quiet. */
export function fixDemotedNaN(b: RegionBuilder, result: number, x: number): number {
  const bits = b.unary(Op.i64ReinterpretF64, x);
  const high = b.unary(Op.i32WrapI64, b.binary(Op.i64ShrU, bits, b.i64(32)));
  const payload = b.unary(Op.i32WrapI64, b.binary(Op.i64ShrU, bits, b.i64(29)));
  const narrow = b.binary(
    Op.i32Or,
    b.binary(Op.i32And, high, b.i32(0x80000000 | 0)),
    b.binary(Op.i32Or, b.binary(Op.i32And, payload, b.i32(0x003fffff)), b.i32(0x7fc00000)),
  );
  return unlikely(b, b.unary(Op.f32ReinterpretI32, narrow), result, b.binary(Op.f32Ne, result, result));
}

// Vectors. `notEqual` is f32x4Ne or f64x2Ne and says which lanes are NaN.

const QUIET_32 = Uint8Array.from({ length: 16 }, (_, lane) => ((lane & 3) === 2 ? 0x40 : 0));
const QUIET_64 = Uint8Array.from({ length: 16 }, (_, lane) => ((lane & 7) === 6 ? 0x08 : 0));
const DEFAULT_32 = Uint8Array.from({ length: 16 }, (_, lane) => [0, 0, 0xc0, 0xff][lane & 3]);
const DEFAULT_64 = Uint8Array.from({ length: 16 }, (_, lane) => [0, 0, 0, 0, 0, 0, 0xf8, 0xff][lane & 7]);

export function fixNaNs(b: RegionBuilder, notEqual: number, result: number, x: number, y: number): number {
  const wide = notEqual === Op.f64x2Ne;
  const quiet = (value: number): number => b.binary(Op.v128Or, value, b.v128(wide ? QUIET_64 : QUIET_32));
  const isNaN = (value: number): number => b.binary(notEqual, value, value);
  let fixed = b.v128(wide ? DEFAULT_64 : DEFAULT_32);
  if (y !== x) fixed = b.ternary(Op.v128Bitselect, quiet(y), fixed, isNaN(y));
  fixed = b.ternary(Op.v128Bitselect, quiet(x), fixed, isNaN(x));
  const cold = b.ternary(Op.v128Bitselect, fixed, result, isNaN(result));
  return unlikely(b, cold, result, b.unary(Op.v128AnyTrue, isNaN(result)));
}
