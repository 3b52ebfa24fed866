/**
 * A record as four plain values (the operation word and three 64-bit values), as it lies in a processor's memory, and
 * its resolution to a flags word: for debuggers, signal delivery, checkpoints and interpreters.
 */
import { bigintAlgebra, numberAlgebra } from "./algebra.ts";
import {
  CarryRule,
  FlagBit,
  FlagKind,
  FLAGS_MASK,
  type FlagRecord,
  operationCarryRule,
  operationKind,
  operationWidth,
  operationWord,
  OperationWord,
} from "./record.ts";
import { adjust, carry, overflow, parity, sign, zero } from "./resolve.ts";

/** A record whose values are plain, as `OperationWord` says. */
export interface PackedRecord {
  operation: number;
  a: bigint;
  b: bigint;
  result: bigint;
}

/** The record as the rules read it. */
export function unpack(packed: PackedRecord): FlagRecord<bigint> {
  const { operation, a, b, result } = packed;
  const bit = (has: boolean, mask: number): bigint | undefined =>
    has ? ((operation & mask) === 0 ? 0n : 1n) : undefined;
  return {
    kind: operationKind(operation),
    width: operationWidth(operation),
    carryWidth: 64,
    a,
    b,
    result,
    addend: undefined,
    carryRule: operationCarryRule(operation),
    carryIn: bit((operation & OperationWord.carryIn) !== 0, OperationWord.carryIn),
    carry: bit((operation & OperationWord.carryGiven) !== 0, OperationWord.carry),
    overflow: bit((operation & OperationWord.overflowGiven) !== 0, OperationWord.overflow),
  };
}

/** The flags word of a record (see `FlagBit`). */
export function flagsOf(packed: PackedRecord): number {
  const record = unpack(packed);
  if (record.width < 64 && record.carryRule === CarryRule.compare && record.a >> 32n === 0n && record.b >> 32n === 0n)
    return narrowFlags(record);
  return Number(
    carry(record, bigintAlgebra) |
      (parity(record, bigintAlgebra) << 2n) |
      (adjust(record, bigintAlgebra) << 4n) |
      (zero(record, bigintAlgebra) << 6n) |
      (sign(record, bigintAlgebra) << 7n) |
      (overflow(record, bigintAlgebra) << 11n),
  );
}

function narrowFlags(record: FlagRecord<bigint>): number {
  const narrow = (value: bigint | undefined): number | undefined => (value === undefined ? undefined : Number(value));
  const small: FlagRecord<number> = {
    kind: record.kind,
    width: record.width,
    carryWidth: 32,
    a: Number(record.a),
    b: Number(record.b),
    result: Number(BigInt.asUintN(32, record.result)),
    addend: undefined,
    carryRule: record.carryRule,
    carryIn: narrow(record.carryIn),
    carry: narrow(record.carry),
    overflow: narrow(record.overflow),
  };
  return (
    (carry(small, numberAlgebra) << FlagBit.carry) |
    (parity(small, numberAlgebra) << FlagBit.parity) |
    (adjust(small, numberAlgebra) << FlagBit.adjust) |
    (zero(small, numberAlgebra) << FlagBit.zero) |
    (sign(small, numberAlgebra) << FlagBit.sign) |
    (overflow(small, numberAlgebra) << FlagBit.overflow)
  );
}

/** Neither was a carry put in, nor carry or overflow given, and carry is that of the comparison. */
const isPlain = (operation: number): boolean =>
  (operation & (OperationWord.carryMask | OperationWord.overflowGiven)) === 0;

/**
 * The flags word of a plain addition or subtraction, which nearly all records are, from halves of 32 bits: what
 * `flagsOf` says, without a bigint. -1 for other records.
 *
 * With `d = a - b`, adjust and overflow are the same expressions of `a`, `b` and `d` for both: of a subtraction they are
 * minuend, subtrahend and result, of an addition sum, addend and addend.
 */
export function plainFlagsOf(operation: number, aLow: number, aHigh: number, bLow: number, bHigh: number): number {
  const kind = operationKind(operation);
  if (!isPlain(operation) || (kind !== FlagKind.subtract && kind !== FlagKind.add)) return -1;
  const width = operationWidth(operation);
  const borrow = aLow >>> 0 < bLow >>> 0 ? 1 : 0;
  const low = (aLow - bLow) | 0;
  const high = (aHigh - bHigh - borrow) | 0;
  const isBelow = aHigh === bHigh ? borrow : aHigh >>> 0 < bHigh >>> 0 ? 1 : 0;
  const resultLow = kind === FlagKind.add ? aLow : low;
  const resultHigh = kind === FlagKind.add ? aHigh : high;
  const isZero = width === 64 ? (resultLow | resultHigh) === 0 : resultLow << (32 - width) === 0;
  const signOf = (lowHalf: number, highHalf: number): number =>
    (width === 64 ? highHalf >>> 31 : lowHalf >>> (width - 1)) & 1;
  return (
    (isBelow << FlagBit.carry) |
    (numberAlgebra.evenParity(resultLow, width) << FlagBit.parity) |
    ((((aLow ^ bLow ^ low) >>> 4) & 1) << FlagBit.adjust) |
    ((isZero ? 1 : 0) << FlagBit.zero) |
    (signOf(resultLow, resultHigh) << FlagBit.sign) |
    (signOf((aLow ^ bLow) & (aLow ^ low), (aHigh ^ bHigh) & (aHigh ^ high)) << FlagBit.overflow)
  );
}

/** The normalised record that stands for a flags word; other bits of `word` are dropped. */
export function normalisedRecord(word: number): PackedRecord {
  const carryBit = (word & 1) === 0 ? 0 : OperationWord.carry;
  const operation = operationWord(FlagKind.given, 64) | OperationWord.carryGiven | carryBit;
  return { operation, a: 0n, b: 0n, result: BigInt(word & FLAGS_MASK) };
}
