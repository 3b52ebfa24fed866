/** Values of IR nodes, for tests: pure operations on integers and comparisons of numbers, by their definition. */
import { Op, operations, type RegionBuilder } from "@doppel/dbt-core";

/** State slots' values at the block's start. */
export type Values = Map<number, number | bigint>;

const scratch = new DataView(new ArrayBuffer(8));

/** The value of `node`: i32 as a signed number, i64 as an unsigned bigint. `helper` answers the call at a node. */
export function evaluate(
  b: RegionBuilder,
  node: number,
  slots: Values,
  helper: (call: number) => number,
): number | bigint {
  const known = new Map<number, number | bigint>();
  const value = (at: number): number | bigint => {
    const before = known.get(at);
    if (before !== undefined) return before;
    const result = compute(at);
    known.set(at, result);
    return result;
  };
  const small = (at: number): number => value(at) as number;
  const compute = (at: number): number | bigint => {
    const x = b.x[at];
    const y = b.y[at];
    const immediate = b.immediate[at];
    const { name, operands } = operations[b.op[at]];
    switch (b.op[at]) {
      case Op.i32Const:
        return immediate;
      case Op.i64Const:
        return BigInt.asUintN(64, (BigInt(x) << 32n) | BigInt(immediate >>> 0));
      case Op.getStateI32:
      case Op.getStateI64:
        return slots.get(immediate) ?? 0;
      case Op.helperResultI32:
        return helper(x);
      case Op.select32:
      case Op.select64:
        return small(b.z[at]) === 0 ? value(y) : value(x);
      case Op.i32WrapI64:
        return Number(BigInt.asIntN(32, value(x) as bigint));
      case Op.i64ExtendI32U:
        return BigInt(small(x) >>> 0);
      case Op.i64ExtendI32S:
        return BigInt.asUintN(64, BigInt(small(x)));
      case Op.f32ReinterpretI32:
        scratch.setInt32(0, small(x));
        return scratch.getFloat32(0);
      case Op.f64ReinterpretI64:
        scratch.setBigUint64(0, value(x) as bigint);
        return scratch.getFloat64(0);
      case Op.i32Popcnt:
        return [...(small(x) >>> 0).toString(2)].filter((digit) => digit === "1").length;
      case Op.i32Extend8S:
        return (small(x) << 24) >> 24;
      case Op.i32Extend16S:
        return (small(x) << 16) >> 16;
      case Op.i32Eqz:
      case Op.i64Eqz:
        return BigInt(value(x)) === 0n ? 1 : 0;
      default: {
        const [type] = operands;
        if (type === "f32" || type === "f64") return compareNumbers(name.slice(3), small(x), small(y));
        return type === "i64"
          ? integer64(name.slice(3), value(x) as bigint, value(y) as bigint)
          : integer32(name.slice(3), small(x), small(y));
      }
    }
  };
  return value(node);
}

function compareNumbers(name: string, x: number, y: number): number {
  const holds = { Lt: x < y, Gt: x > y, Ge: x >= y, Le: x <= y, Eq: x === y, Ne: x !== y }[name];
  if (holds === undefined) throw new Error(`no evaluation of float ${name}`);
  return holds ? 1 : 0;
}

function integer32(name: string, x: number, y: number): number {
  const wide = integer64(name, BigInt.asUintN(64, BigInt(x)), BigInt.asUintN(64, BigInt(y)));
  switch (name) {
    case "Shl":
      return x << y;
    case "ShrU":
      return (x >>> y) | 0;
    case "ShrS":
      return x >> y;
    default:
      // Sign extension keeps the order, unsigned too.
      return typeof wide === "number" ? wide : Number(BigInt.asIntN(32, wide));
  }
}

function integer64(name: string, x: bigint, y: bigint): number | bigint {
  const signedX = BigInt.asIntN(64, x);
  const signedY = BigInt.asIntN(64, y);
  const bit = (holds: boolean): number => (holds ? 1 : 0);
  switch (name) {
    case "Add":
      return BigInt.asUintN(64, x + y);
    case "Sub":
      return BigInt.asUintN(64, x - y);
    case "Mul":
      return BigInt.asUintN(64, x * y);
    case "And":
      return x & y;
    case "Or":
      return x | y;
    case "Xor":
      return x ^ y;
    case "Shl":
      return BigInt.asUintN(64, x << (y & 63n));
    case "ShrU":
      return x >> (y & 63n);
    case "ShrS":
      return BigInt.asUintN(64, signedX >> (y & 63n));
    case "Eq":
      return bit(x === y);
    case "Ne":
      return bit(x !== y);
    case "LtU":
      return bit(x < y);
    case "GtU":
      return bit(x > y);
    case "LeU":
      return bit(x <= y);
    case "GeU":
      return bit(x >= y);
    case "LtS":
      return bit(signedX < signedY);
    case "GtS":
      return bit(signedX > signedY);
    case "LeS":
      return bit(signedX <= signedY);
    case "GeS":
      return bit(signedX >= signedY);
    default:
      throw new Error(`no evaluation of ${name}`);
  }
}
