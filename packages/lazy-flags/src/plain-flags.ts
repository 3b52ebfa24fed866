/**
 * The flags of a processor whose registers are plain values: an interpreter's, or a debugger's copy.
 *
 * Recording is four assignments. Values are bigints, reduced to the width when recorded; they are values, not register
 * names, so what becomes of the operands afterwards does not matter.
 */
import { bigintAlgebra } from "./algebra.ts";
import { flagsOf, normalisedRecord, type PackedRecord, unpack } from "./packed.ts";
import { CarryRule, FlagBit, FlagKind, isPending, operationWord, OperationWord } from "./record.ts";
import { resolveCondition, resolveFlag } from "./resolve.ts";

const { carryGiven, carryBit, carryIn, overflowGiven, overflowBit, carryMask } = OperationWord;

export class PlainFlags implements PackedRecord {
  operation: number = operationWord(FlagKind.given, 64);
  a = 0n;
  b = 0n;
  result = 0n;

  // Recording.

  /** SUB, CMP, NEG: `a - b`, less a borrow. */
  subtract(a: bigint, b: bigint, width: number, borrow = false): void {
    this.operation = operationWord(FlagKind.subtract, width) | (borrow ? carryIn : 0);
    this.a = BigInt.asUintN(width, a);
    this.b = BigInt.asUintN(width, b);
  }

  /** ADD, ADC: `sum` is `first`, a second operand and a carry. */
  add(first: bigint, sum: bigint, width: number, carry = false): void {
    this.operation = operationWord(FlagKind.add, width) | (carry ? carryIn : 0);
    this.a = BigInt.asUintN(width, sum);
    this.b = BigInt.asUintN(width, first);
  }

  /** AND, OR, XOR, TEST. */
  logic(result: bigint, width: number): void {
    this.subtract(result, 0n, width);
  }

  /** INC, DEC (FlagKind.increment, decrement): carry stays as it is. */
  step(kind: number, result: bigint, width: number): void {
    this.operation = operationWord(kind, width) | (this.operation & carryMask);
    this.result = BigInt.asUintN(width, result);
  }

  /** MUL, IMUL. */
  multiply(a: bigint, b: bigint, width: number, signed: boolean): void {
    this.operation = operationWord(
      FlagKind.multiply,
      width,
      signed ? CarryRule.multiplySigned : CarryRule.multiplyUnsigned,
    );
    this.a = BigInt.asUintN(64, a << BigInt(64 - width));
    this.b = BigInt.asUintN(64, signed ? BigInt.asIntN(width, b) : BigInt.asUintN(width, b));
  }

  /** A comparison of floating-point numbers, as their bits. */
  compareFloats(a: bigint, b: bigint, width: 32 | 64): void {
    this.operation = operationWord(FlagKind.floatCompare, width, width === 32 ? CarryRule.float32 : CarryRule.float64);
    this.a = a;
    this.b = b;
  }

  /** Shifts and counts (FlagKind): a result, and carry. */
  resultAndCarry(kind: number, result: bigint, carry: boolean, width: number): void {
    this.operation = operationWord(kind, width) | carryGiven | (carry ? OperationWord.carry : 0);
    this.result = BigInt.asUintN(width, result);
  }

  /** All flags at once, as a flags word. */
  given(word: number): void {
    Object.assign(this, normalisedRecord(word));
  }

  /** Carry alone. */
  setCarry(carry: boolean): void {
    // Where overflow is worked out from carry, it has to be fixed first.
    this.overlay(carry, this.flag(FlagBit.overflow));
  }

  /** Carry and overflow alone: rotates. */
  overlay(carry: boolean, overflow: boolean): void {
    const others = this.operation & ~((3 << (carryBit - 1)) | (3 << (overflowBit - 1)));
    const given = (carry ? 1 << carryBit : 0) | (overflow ? 1 << overflowBit : 0);
    this.operation = others | carryGiven | overflowGiven | given;
  }

  // Questions.

  /** Whether flags are still to be worked out from a record. */
  get pending(): boolean {
    return isPending(this.operation);
  }

  /** One flag (FlagBit), explicitly. */
  flag(bit: number): boolean {
    return resolveFlag(bit, unpack(this), bigintAlgebra) !== 0n;
  }

  /** A condition (FlagCondition), implicitly. */
  condition(condition: number): boolean {
    return resolveCondition(condition, unpack(this), bigintAlgebra) !== 0n;
  }

  /** All flags as a word. The record stays as it is. */
  get word(): number {
    return flagsOf(this);
  }

  /** Replaces the record by the flags themselves: for checkpoints and whoever reads the state from outside. */
  normalise(): void {
    this.given(this.word);
  }
}
