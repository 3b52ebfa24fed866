/**
 * Flag rules over IR nodes: what `lazy-flags` asks of a value becomes nodes of the region under construction.
 *
 * Values of up to 32 bits are i32 nodes whose bits above the width mean nothing, 64-bit ones i64; bits are i32 nodes that
 * are 0 or 1.
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import type { FlagAlgebra } from "@doppel/lazy-flags";
import { productOverflows64 } from "./high-product.ts";

export class IrFlagAlgebra implements FlagAlgebra<number> {
  b: RegionBuilder;

  constructor(builder: RegionBuilder) {
    this.b = builder;
  }

  constant(value: number, width: number): number {
    return width === 64 ? this.b.i64(value) : this.b.i32(value);
  }
  bit(value: boolean): number {
    return this.b.i32(value ? 1 : 0);
  }
  widen(bit: number, width: number): number {
    return width === 64 ? this.b.unary(Op.i64ExtendI32U, bit) : bit;
  }
  add(a: number, b: number, width: number): number {
    return this.b.binary(width === 64 ? Op.i64Add : Op.i32Add, a, b);
  }
  subtract(a: number, b: number, width: number): number {
    return this.b.binary(width === 64 ? Op.i64Sub : Op.i32Sub, a, b);
  }
  and(a: number, b: number, width: number): number {
    return this.b.binary(width === 64 ? Op.i64And : Op.i32And, a, b);
  }
  xor(a: number, b: number, width: number): number {
    return this.b.binary(width === 64 ? Op.i64Xor : Op.i32Xor, a, b);
  }
  shiftLeft(a: number, count: number, width: number): number {
    return width === 64
      ? this.b.binary(Op.i64Shl, a, this.b.i64(count))
      : this.b.binary(Op.i32Shl, a, this.b.i32(count));
  }

  isZero(a: number, width: number): number {
    return this.b.unary(width === 64 ? Op.i64Eqz : Op.i32Eqz, this.zeroExtend(a, width));
  }
  isNegative(a: number, width: number): number {
    if (width === 64) return this.b.binary(Op.i64LtS, a, this.b.i64(0));
    return this.b.binary(Op.i32LtS, this.signExtend(a, width), this.b.i32(0));
  }
  evenParity(a: number, width: number): number {
    const { b } = this;
    const low = width === 64 ? b.unary(Op.i32WrapI64, a) : a;
    const ones = b.unary(Op.i32Popcnt, b.binary(Op.i32And, low, b.i32(0xff)));
    return b.unary(Op.i32Eqz, b.binary(Op.i32And, ones, b.i32(1)));
  }
  testBit(a: number, index: number, width: number): number {
    const { b } = this;
    // Rules test bits of the low word only.
    const low = width === 64 ? b.unary(Op.i32WrapI64, a) : a;
    return b.binary(Op.i32And, b.binary(Op.i32ShrU, low, b.i32(index)), b.i32(1));
  }
  equal(a: number, b: number, width: number): number {
    if (this.isConstantZero(b)) return this.isZero(a, width);
    return this.compare(width === 64 ? Op.i64Eq : Op.i32Eq, a, b, width, false);
  }
  lessUnsigned(a: number, b: number, width: number): number {
    if (a === b || this.isConstantZero(b)) return this.b.i32(0);
    return this.compare(width === 64 ? Op.i64LtU : Op.i32LtU, a, b, width, false);
  }
  lessSigned(a: number, b: number, width: number): number {
    return this.compare(width === 64 ? Op.i64LtS : Op.i32LtS, a, b, width, true);
  }
  lessOrEqualUnsigned(a: number, b: number, width: number): number {
    if (this.isConstantZero(b)) return this.isZero(a, width);
    return this.compare(width === 64 ? Op.i64LeU : Op.i32LeU, a, b, width, false);
  }
  lessOrEqualSigned(a: number, b: number, width: number): number {
    return this.compare(width === 64 ? Op.i64LeS : Op.i32LeS, a, b, width, true);
  }

  productOverflows(a: number, b: number, width: number, signed: boolean): number {
    const builder = this.b;
    if (width === 64) return productOverflows64(builder, a, b, signed);
    if (width === 32) {
      const extend = signed ? Op.i64ExtendI32S : Op.i64ExtendI32U;
      const product = builder.binary(Op.i64Mul, builder.unary(extend, a), builder.unary(extend, b));
      const low = builder.unary(Op.i32WrapI64, product);
      return builder.binary(Op.i64Ne, product, builder.unary(extend, low));
    }
    const product = signed
      ? builder.binary(Op.i32Mul, this.signExtend(a, width), this.signExtend(b, width))
      : builder.binary(Op.i32Mul, this.zeroExtend(a, width), this.zeroExtend(b, width));
    const again = signed ? this.signExtend(product, width) : this.zeroExtend(product, width);
    return builder.binary(Op.i32Ne, product, again);
  }
  floatLess(a: number, b: number, width: number): number {
    return this.b.binary(width === 64 ? Op.f64Lt : Op.f32Lt, this.float(a, width), this.float(b, width));
  }
  floatGreaterOrEqual(a: number, b: number, width: number): number {
    return this.b.binary(width === 64 ? Op.f64Ge : Op.f32Ge, this.float(a, width), this.float(b, width));
  }

  not(a: number): number {
    const { b } = this;
    const op = b.op[a];
    const inverse = inverseComparison(op);
    // not (x < y) == x >= y
    if (inverse >= 0) return b.binary(inverse, b.x[a], b.y[a]);
    if (op === Op.i32Eqz) {
      const inner = b.x[a];
      // not not (x < y) == x < y; not (x == 0) == x != 0
      return isFloatComparison(b.op[inner]) ? inner : b.binary(Op.i32Ne, inner, b.i32(0));
    }
    return b.unary(Op.i32Eqz, a);
  }
  both(a: number, b: number): number {
    return this.b.binary(Op.i32And, a, b);
  }
  either(a: number, b: number): number {
    return this.b.binary(Op.i32Or, a, b);
  }
  differ(a: number, b: number): number {
    return this.b.binary(Op.i32Xor, a, b);
  }

  zeroExtend(a: number, width: number): number {
    const { b } = this;
    if (width >= 32 || isZeroExtended(b, a, width)) return a;
    return b.binary(Op.i32And, a, b.i32(width === 8 ? 0xff : 0xffff));
  }

  signExtend(a: number, width: number): number {
    const { b } = this;
    if (width >= 32) return a;
    if (b.op[a] === Op.i32Const) return b.i32((b.immediate[a] << (32 - width)) >> (32 - width));
    return b.unary(width === 8 ? Op.i32Extend8S : Op.i32Extend16S, a);
  }

  /** A bit pattern as the number it stands for. */
  private float(a: number, width: number): number {
    const { b } = this;
    const op = b.op[a];
    if (op === Op.i64ReinterpretF64 || op === Op.i32ReinterpretF32) return b.x[a];
    return b.unary(width === 64 ? Op.f64ReinterpretI64 : Op.f32ReinterpretI32, a);
  }

  private compare(op: number, a: number, b: number, width: number, signed: boolean): number {
    if (signed) return this.b.binary(op, this.signExtend(a, width), this.signExtend(b, width));
    return this.b.binary(op, this.zeroExtend(a, width), this.zeroExtend(b, width));
  }

  private isConstantZero(a: number): boolean {
    const { b } = this;
    return b.op[a] === Op.i32Const
      ? b.immediate[a] === 0
      : b.op[a] === Op.i64Const
        ? b.immediate[a] === 0 && b.x[a] === 0
        : false;
  }
}

/** Whether an i32 node is known to have no bits at or above `width` (8 or 16). */
export function isZeroExtended(b: RegionBuilder, node: number, width: number): boolean {
  const op = b.op[node];
  if (op === Op.load8U) return true;
  if (op === Op.load16U) return width === 16;
  const mask = width === 8 ? 0xff : 0xffff;
  if (op === Op.i32Const) return (b.immediate[node] & ~mask) === 0;
  if (op !== Op.i32And) return false;
  const right = b.y[node];
  return b.op[right] === Op.i32Const && (b.immediate[right] & ~mask) === 0;
}

function isFloatComparison(op: number): boolean {
  return op >= Op.f32Eq && op <= Op.f64Ge;
}

/** The integer comparison that holds exactly when `op` does not, or -1 where `op` is none. */
function inverseComparison(op: number): number {
  // In the order Eq Ne LtS LtU GtS GtU LeS LeU GeS GeU.
  const first = op >= Op.i32Eq && op <= Op.i32GeU ? Op.i32Eq : op >= Op.i64Eq && op <= Op.i64GeU ? Op.i64Eq : -1;
  if (first < 0) return -1;
  const place = op - first;
  return (
    first + (place < 2 ? place ^ 1 : place < 4 ? place + 6 : place < 6 ? place + 2 : place < 8 ? place - 2 : place - 6)
  );
}
