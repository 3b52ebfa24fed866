/**
 * The rules: flags and conditions from a record, written once for every algebra. Only what is asked for is worked out.
 */
import type { FlagAlgebra } from "./algebra.ts";
import { CarryRule, FlagBit, FlagKind, type FlagRecord } from "./record.ts";

/** The value the sign, zero and parity flags describe; not for `given`. */
export function resultOf<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  const { width } = record;
  if (record.kind === FlagKind.add) return record.a;
  if (record.kind !== FlagKind.subtract) return record.result;
  const difference = algebra.subtract(record.a, record.b, width);
  const borrow = record.carryIn;
  return borrow === undefined ? difference : algebra.subtract(difference, algebra.widen(borrow, width), width);
}

/** The second operand of an addition: the sum less the first operand, less what was carried in. */
function addendOf<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  if (record.addend !== undefined) return record.addend;
  const { width, carryIn } = record;
  const difference = algebra.subtract(record.a, record.b, width);
  return carryIn === undefined ? difference : algebra.subtract(difference, algebra.widen(carryIn, width), width);
}

export function carry<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  const known = record.carry;
  if (known !== undefined) return known;
  const { carryRule, carryWidth } = record;
  if (carryRule !== CarryRule.compare) return otherCarry(record, algebra, carryRule);
  const { a, b, carryIn } = record;
  const below = algebra.lessUnsigned(a, b, carryWidth);
  if (carryIn === undefined) return below;
  return algebra.either(below, algebra.both(algebra.equal(a, b, carryWidth), carryIn));
}

function otherCarry<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>, rule: number): V {
  const { a, b } = record;
  if (rule === CarryRule.multiplyUnsigned || rule === CarryRule.multiplySigned) {
    return algebra.productOverflows(a, b, record.carryWidth, rule === CarryRule.multiplySigned);
  }
  return algebra.not(algebra.floatGreaterOrEqual(a, b, rule === CarryRule.float32 ? 32 : 64));
}

/** Whether the operands of a floating-point comparison are equal or unordered. */
function floatEqual<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  const { a, b, width } = record;
  return algebra.not(algebra.either(algebra.floatLess(a, b, width), algebra.floatLess(b, a, width)));
}

/** A number is greater than or equal to itself. */
function floatUnordered<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  const { a, b, width } = record;
  const both = algebra.both(algebra.floatGreaterOrEqual(a, a, width), algebra.floatGreaterOrEqual(b, b, width));
  return algebra.not(both);
}

export function parity<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  if (record.kind === FlagKind.given) return algebra.testBit(record.result, FlagBit.parity, record.width);
  if (record.kind === FlagKind.zeroOnly) return algebra.bit(false);
  if (record.kind === FlagKind.floatCompare) return floatUnordered(record, algebra);
  return algebra.evenParity(resultOf(record, algebra), record.width);
}

/** The carry out of bit 3, for decimal arithmetic. */
export function adjust<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  const { width } = record;
  switch (record.kind) {
    case FlagKind.given:
      return algebra.testBit(record.result, FlagBit.adjust, width);
    case FlagKind.subtract: {
      const operands = algebra.xor(record.a, record.b, width);
      return algebra.testBit(algebra.xor(operands, resultOf(record, algebra), width), 4, width);
    }
    case FlagKind.add: {
      const operands = algebra.xor(record.b, addendOf(record, algebra), width);
      return algebra.testBit(algebra.xor(operands, record.a, width), 4, width);
    }
    case FlagKind.increment:
      return algebra.isZero(algebra.and(record.result, algebra.constant(15, width), width), width);
    case FlagKind.decrement: {
      const low = algebra.constant(15, width);
      return algebra.equal(algebra.and(record.result, low, width), low, width);
    }
    default:
      return algebra.bit(false);
  }
}

export function zero<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  const { kind, width } = record;
  if (kind === FlagKind.given) return algebra.testBit(record.result, FlagBit.zero, width);
  if (kind === FlagKind.floatCompare) return floatEqual(record, algebra);
  if (kind === FlagKind.subtract && record.carryIn === undefined) return algebra.equal(record.a, record.b, width);
  return algebra.isZero(resultOf(record, algebra), width);
}

export function sign<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  if (record.kind === FlagKind.given) return algebra.testBit(record.result, FlagBit.sign, record.width);
  if (record.kind === FlagKind.zeroOnly || record.kind === FlagKind.floatCompare) return algebra.bit(false);
  return algebra.isNegative(resultOf(record, algebra), record.width);
}

export function overflow<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  const known = record.overflow;
  if (known !== undefined) return known;
  const { width } = record;
  switch (record.kind) {
    case FlagKind.given:
      return algebra.testBit(record.result, FlagBit.overflow, width);
    case FlagKind.subtract: {
      // The operands' signs differ, and the result's is not the first one's.
      const operands = algebra.xor(record.a, record.b, width);
      const changed = algebra.xor(record.a, resultOf(record, algebra), width);
      return algebra.isNegative(algebra.and(operands, changed, width), width);
    }
    case FlagKind.add: {
      // The result's sign is neither operand's.
      const first = algebra.xor(record.a, record.b, width);
      const second = algebra.xor(record.a, addendOf(record, algebra), width);
      return algebra.isNegative(algebra.and(first, second, width), width);
    }
    case FlagKind.increment:
      return algebra.equal(record.result, algebra.shiftLeft(algebra.constant(1, width), width - 1, width), width);
    case FlagKind.decrement: {
      const lowest = algebra.shiftLeft(algebra.constant(1, width), width - 1, width);
      return algebra.equal(record.result, algebra.subtract(lowest, algebra.constant(1, width), width), width);
    }
    case FlagKind.shiftLeft:
      return algebra.differ(algebra.isNegative(record.result, width), carry(record, algebra));
    case FlagKind.shiftRight:
      return algebra.isNegative(algebra.xor(record.result, algebra.shiftLeft(record.result, 1, width), width), width);
    case FlagKind.multiply:
      return carry(record, algebra);
    default:
      return algebra.bit(false);
  }
}

/** Resolves one flag explicitly: its bit. `flag` is one of `FlagBit`. */
export function resolveFlag<V>(flag: number, record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  switch (flag) {
    case FlagBit.carry:
      return carry(record, algebra);
    case FlagBit.parity:
      return parity(record, algebra);
    case FlagBit.adjust:
      return adjust(record, algebra);
    case FlagBit.zero:
      return zero(record, algebra);
    case FlagBit.sign:
      return sign(record, algebra);
    case FlagBit.overflow:
      return overflow(record, algebra);
    default:
      throw new RangeError(`bit ${flag} of a flags word is no flag`);
  }
}

/**
 * Resolves a condition implicitly: straight from the parameters where the kind allows, without working out flags.
 * `condition` is one of `FlagCondition`.
 */
export function resolveCondition<V>(condition: number, record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  const holds = resolveEven(condition & ~1, record, algebra);
  return (condition & 1) === 0 ? holds : algebra.not(holds);
}

function resolveEven<V>(condition: number, record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  // A plain comparison: the order of the operands is the answer.
  const compares =
    record.kind === FlagKind.subtract &&
    record.carryIn === undefined &&
    record.carry === undefined &&
    record.overflow === undefined;
  switch (condition) {
    case 0:
      return overflow(record, algebra);
    case 2:
      return carry(record, algebra);
    case 4:
      return zero(record, algebra);
    case 6:
      if (record.carry === undefined && record.kind === FlagKind.floatCompare) {
        return algebra.not(algebra.floatLess(record.b, record.a, record.width));
      }
      if (compares) return algebra.lessOrEqualUnsigned(record.a, record.b, record.width);
      return algebra.either(carry(record, algebra), zero(record, algebra));
    case 8:
      return sign(record, algebra);
    case 10:
      return parity(record, algebra);
    case 12:
      return less(record, algebra);
    case 14:
      if (compares) return algebra.lessOrEqualSigned(record.a, record.b, record.width);
      return algebra.either(zero(record, algebra), less(record, algebra));
    default:
      throw new RangeError(`${condition} is no condition`);
  }
}

/** Sign differs from overflow: the first operand of a subtraction was smaller than the second and the borrow. */
function less<V>(record: FlagRecord<V>, algebra: FlagAlgebra<V>): V {
  if (record.kind === FlagKind.subtract && record.overflow === undefined) {
    const { a, b, width, carryIn } = record;
    const smaller = algebra.lessSigned(a, b, width);
    return carryIn === undefined ? smaller : algebra.either(smaller, algebra.both(algebra.equal(a, b, width), carryIn));
  }
  return algebra.differ(sign(record, algebra), overflow(record, algebra));
}
