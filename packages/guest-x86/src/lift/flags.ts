/**
 * Condition flags in the lifter: the record of the last flag-setting instruction, as nodes where this block has set
 * it, else in the state slots (Slot.flagOperation, flagA, flagB, flagResult; see `lazy-flags` for what they mean).
 *
 * Recording sets slots and computes nothing; whoever reads flags asks for a condition or a flag, which becomes nodes by the
 * rules of `lazy-flags`. Where the record's kind is not known when translating (it comes from another region, say),
 * carry, zero and sign are still worked out in line, the rest by a helper that reads the slots.
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import {
  carry,
  CarryRule,
  FlagBit,
  FlagKind,
  FLAGS_MASK,
  type FlagRecord,
  operationWord,
  OperationWord,
  resolveCondition,
  resolveFlag,
} from "@doppel/lazy-flags";
import { helperIndex } from "../helpers.ts";
import { Slot } from "../state.ts";
import { IrFlagAlgebra } from "./flag-algebra.ts";
import * as unknown from "./flags-unknown.ts";

/** Whether carry follows from a and b, from its own bit, or in a way not known here. */
const CarryForm = { compare: 0, given: 1, unknown: 2 } as const;
const OverflowForm = { byKind: 0, given: 1 } as const;

const KIND_UNKNOWN = -1;
const NO_NODE = -1;
/** What `summary` says of a record about which nothing is known. */
export const SUMMARY_UNKNOWN = -1;

const noArguments: readonly number[] = [];
const { carryGiven, carryBit, overflowGiven, overflowBit, carryMask } = OperationWord;
const CARRY_OVERLAY = carryGiven | OperationWord.carry;
const OVERFLOW_OVERLAY = overflowGiven | OperationWord.overflow;

/** How often, in the code translated so far. */
export interface FlagStatistics {
  /** Flags were recorded. */
  recorded: number;
  /** A condition or a flag was asked for whose record was known: it became an expression of the record's operands. */
  fused: number;
  /** Flags have to be worked out when the code runs: all of them as a word, or of a record that is known only then. */
  materialised: number;
}

export class FlagState implements FlagRecord<number> {
  readonly statistics: FlagStatistics = { recorded: 0, fused: 0, materialised: 0 };
  builder: RegionBuilder;
  readonly algebra: IrFlagAlgebra;
  /** One of FlagKind, or KIND_UNKNOWN. */
  kind: number = KIND_UNKNOWN;
  width = 64;
  carryWidth = 64;
  carryRule: number = CarryRule.compare;
  private carryForm: number = CarryForm.unknown;
  private overflowForm: number = OverflowForm.byKind;
  private hasCarryIn = false;
  /** Nodes of the record's values; NO_NODE: in their slots. */
  private nodeA = NO_NODE;
  private nodeB = NO_NODE;
  private nodeResult = NO_NODE;
  private nodeAddend = NO_NODE;
  private nodeCarryIn = NO_NODE;
  private nodeCarry = NO_NODE;
  private nodeOverflow = NO_NODE;
  /** The flags word as worked out by the helper, once it has been. */
  private nodeWord = NO_NODE;
  /** The slots' values before a record that may turn out to change nothing. */
  private oldOperation = NO_NODE;
  private oldA = NO_NODE;
  private oldB = NO_NODE;
  private oldResult = NO_NODE;

  constructor(builder: RegionBuilder) {
    this.builder = builder;
    this.algebra = new IrFlagAlgebra(builder);
  }

  // Between blocks.

  /** What is known of the record at the end of a block; 0 or more, or SUMMARY_UNKNOWN. */
  get summary(): number {
    if (this.kind === KIND_UNKNOWN) return SUMMARY_UNKNOWN;
    const forms = this.carryForm | (this.overflowForm << 2) | (this.hasCarryIn ? 8 : 0);
    return this.kind | ((64 - this.width) << 4) | (forms << 10) | (this.carryRule << 14);
  }

  /** Starts a block in which the record is as `summary` says, its values in the slots. */
  begin(builder: RegionBuilder, summary: number): void {
    this.builder = builder;
    this.algebra.b = builder;
    this.forgetNodes();
    if (summary === SUMMARY_UNKNOWN) {
      this.setUnknown();
      return;
    }
    this.kind = summary & 15;
    this.width = 64 - ((summary >> 4) & 63);
    this.carryForm = (summary >> 10) & 3;
    this.overflowForm = (summary >> 12) & 1;
    this.hasCarryIn = ((summary >> 13) & 1) !== 0;
    this.carryRule = summary >> 14;
    // Slots hold zero-extended values, whose order is the same at any width they fit in.
    const { kind } = this;
    const together = kind === FlagKind.subtract || kind === FlagKind.add || kind === FlagKind.floatCompare;
    this.carryWidth = together ? this.width : this.carryRule === CarryRule.float32 ? 32 : 64;
  }

  private forgetNodes(): void {
    this.nodeA = NO_NODE;
    this.nodeB = NO_NODE;
    this.nodeResult = NO_NODE;
    this.nodeAddend = NO_NODE;
    this.nodeCarryIn = NO_NODE;
    this.nodeCarry = NO_NODE;
    this.nodeOverflow = NO_NODE;
    this.nodeWord = NO_NODE;
  }

  private setUnknown(): void {
    this.kind = KIND_UNKNOWN;
    this.width = 64;
    this.carryWidth = 64;
    this.carryRule = CarryRule.compare;
    this.carryForm = CarryForm.unknown;
    this.overflowForm = OverflowForm.byKind;
    this.hasCarryIn = false;
  }

  // The record as the rules read it.

  get a(): number {
    if (this.nodeA === NO_NODE) this.nodeA = this.fromSlot(Slot.flagA, this.carryWidth);
    return this.nodeA;
  }
  get b(): number {
    if (this.nodeB === NO_NODE) this.nodeB = this.fromSlot(Slot.flagB, this.carryWidth);
    return this.nodeB;
  }
  get result(): number {
    if (this.nodeResult === NO_NODE) this.nodeResult = this.fromSlot(Slot.flagResult, this.width);
    return this.nodeResult;
  }
  get addend(): number | undefined {
    return this.nodeAddend === NO_NODE ? undefined : this.nodeAddend;
  }
  get carryIn(): number | undefined {
    if (!this.hasCarryIn) return undefined;
    if (this.nodeCarryIn === NO_NODE) {
      this.nodeCarryIn = unknown.operationBit(this.builder, OperationWord.carryInBit);
    }
    return this.nodeCarryIn;
  }
  get carry(): number | undefined {
    if (this.nodeCarry === NO_NODE) {
      if (this.carryForm === CarryForm.compare) return undefined;
      this.nodeCarry =
        this.carryForm === CarryForm.given
          ? unknown.operationBit(this.builder, carryBit)
          : unknown.carryOfUnknown(this.builder);
    }
    return this.nodeCarry;
  }
  get overflow(): number | undefined {
    if (this.overflowForm !== OverflowForm.given) return undefined;
    if (this.nodeOverflow === NO_NODE) this.nodeOverflow = unknown.operationBit(this.builder, overflowBit);
    return this.nodeOverflow;
  }

  private fromSlot(slot: number, width: number): number {
    const whole = this.builder.get(slot);
    return width === 64 ? whole : this.builder.unary(Op.i32WrapI64, whole);
  }

  // Questions.

  /** Whether condition `code` (FlagCondition; the low nibble of Jcc) holds: an i32 node, 0 or 1. */
  condition(code: number): number {
    if (this.kind === KIND_UNKNOWN) {
      this.statistics.materialised++;
      const holds = this.unknownCondition(code & ~1);
      return (code & 1) === 0 ? holds : this.algebra.not(holds);
    }
    this.statistics.fused++;
    return resolveCondition(code, this, this.algebra);
  }

  /** One flag (FlagBit) as an i32 node, 0 or 1. */
  flag(flag: number): number {
    if (this.kind === KIND_UNKNOWN) this.statistics.materialised++;
    else this.statistics.fused++;
    return this.flagNode(flag);
  }

  private flagNode(flag: number): number {
    return this.kind === KIND_UNKNOWN ? this.unknownFlag(flag) : resolveFlag(flag, this, this.algebra);
  }

  /** All six flags as a flags word (FlagBit), an i32 node. */
  word(): number {
    const { builder } = this;
    this.statistics.materialised++;
    if (this.kind === KIND_UNKNOWN) return this.resolvedWord();
    if (this.kind === FlagKind.given && this.overflowForm === OverflowForm.byKind) {
      // All but carry are in the word.
      const others = builder.binary(Op.i32And, this.result, builder.i32(FLAGS_MASK & ~1));
      return builder.binary(Op.i32Or, others, this.flagNode(FlagBit.carry));
    }
    const low = this.place(FlagBit.parity, this.flagNode(FlagBit.carry));
    const middle = this.place(FlagBit.zero, this.place(FlagBit.adjust, low));
    return this.place(FlagBit.overflow, this.place(FlagBit.sign, middle));
  }

  private place(flag: number, others: number): number {
    const { builder } = this;
    return builder.binary(Op.i32Or, others, builder.binary(Op.i32Shl, this.flagNode(flag), builder.i32(flag)));
  }

  // Records of unknown kind.

  private resolvedWord(): number {
    if (this.nodeWord === NO_NODE) this.nodeWord = this.builder.callHelper(helperIndex("resolveFlags"), noArguments);
    return this.nodeWord;
  }

  private unknownFlag(flag: number): number {
    if (flag === FlagBit.carry) return carry(this, this.algebra);
    if (flag === FlagBit.overflow && this.overflowForm === OverflowForm.given) return this.overflow!;
    if (this.nodeWord === NO_NODE) {
      if (flag === FlagBit.zero) return unknown.zeroOfUnknown(this.builder);
      if (flag === FlagBit.sign) return unknown.signOfUnknown(this.builder);
    }
    return this.algebra.testBit(this.resolvedWord(), flag, 32);
  }

  private unknownCondition(pair: number): number {
    const { algebra } = this;
    switch (pair) {
      case 0:
        return this.unknownFlag(FlagBit.overflow);
      case 2:
        return this.unknownFlag(FlagBit.carry);
      case 4:
        return this.unknownFlag(FlagBit.zero);
      case 6:
        return algebra.either(this.unknownFlag(FlagBit.carry), this.unknownFlag(FlagBit.zero));
      case 8:
        return this.unknownFlag(FlagBit.sign);
      case 10:
        return this.unknownFlag(FlagBit.parity);
      default: {
        // Overflow first: if it needs the resolved word, sign and zero come from there too.
        const overflow = this.unknownFlag(FlagBit.overflow);
        const less = algebra.differ(overflow, this.unknownFlag(FlagBit.sign));
        return pair === 12 ? less : algebra.either(less, this.unknownFlag(FlagBit.zero));
      }
    }
  }

  // Recording. Nodes of up to 32 bits are i32; their bits above the width mean nothing.

  /** `a - b`: SUB, CMP, NEG, CMPXCHG, CMPS, SCAS. */
  subtract(a: number, b: number, width: number): void {
    this.builder.set(Slot.flagOperation, this.builder.i32(operationWord(FlagKind.subtract, width)));
    this.startCompare(FlagKind.subtract, a, b, width);
  }

  /** `a - b - borrow` (a bit). */
  subtractBorrow(a: number, b: number, borrow: number, width: number): void {
    this.startCompare(FlagKind.subtract, a, b, width);
    this.setCarryIn(borrow);
  }

  /** `sum = first + second`. */
  add(first: number, second: number, sum: number, width: number): void {
    this.builder.set(Slot.flagOperation, this.builder.i32(operationWord(FlagKind.add, width)));
    this.startCompare(FlagKind.add, sum, first, width);
    this.nodeAddend = second;
  }

  addCarry(first: number, second: number, carryIn: number, sum: number, width: number): void {
    this.startCompare(FlagKind.add, sum, first, width);
    this.nodeAddend = second;
    this.setCarryIn(carryIn);
  }

  /** AND, OR, XOR, TEST: the subtraction of zero from the result. */
  logic(result: number, width: number): void {
    this.subtract(result, this.algebra.constant(0, width), width);
  }

  /** INC and DEC (FlagKind.increment, decrement): carry stays as it is. */
  step(kind: number, result: number, width: number): void {
    const { builder } = this;
    this.statistics.recorded++;
    const constant = builder.i32(operationWord(kind, width, this.carryRule));
    if (this.carryForm === CarryForm.compare && !this.hasCarryIn) {
      builder.set(Slot.flagOperation, constant);
    } else {
      const kept = builder.binary(Op.i32And, builder.get(Slot.flagOperation), builder.i32(carryMask));
      builder.set(Slot.flagOperation, builder.binary(Op.i32Or, kept, constant));
    }
    this.nodeWord = NO_NODE;
    this.kind = kind;
    this.width = width;
    this.overflowForm = OverflowForm.byKind;
    this.setResult(result, width);
  }

  /**
   * Shifts (FlagKind.shiftLeft, shiftRight): `carryFlag` is the bit shifted out, `source` an i64 that has it on top.
   */
  shift(kind: number, result: number, carryFlag: number, source: number, width: number): void {
    const { builder } = this;
    builder.set(Slot.flagOperation, builder.i32(operationWord(kind, width)));
    // The highest positive number is below what has the bit.
    this.startCompare(kind, builder.i64(-1, 0x7fffffff), source, 64);
    this.width = width;
    this.nodeCarry = carryFlag;
    this.setResult(result, width);
  }

  /** MUL, IMUL. */
  multiply(a: number, b: number, width: number, signed: boolean): void {
    const { builder } = this;
    const rule = signed ? CarryRule.multiplySigned : CarryRule.multiplyUnsigned;
    builder.set(Slot.flagOperation, builder.i32(operationWord(FlagKind.multiply, width, rule)));
    this.start(FlagKind.multiply, a, b, width, rule);
    let second = b;
    if (signed && width < 64) second = builder.unary(Op.i64ExtendI32S, this.algebra.signExtend(b, width));
    else second = this.forSlot(b, width);
    const first = width === 64 ? a : builder.unary(Op.i64ExtendI32U, a);
    builder.set(Slot.flagA, builder.binary(Op.i64Shl, first, builder.i64(64 - width)));
    builder.set(Slot.flagB, second);
  }

  /** A result of its own, and carry as a bit. */
  private resultAndCarry(kind: number, result: number, carryFlag: number, width: number): void {
    const { builder } = this;
    this.start(kind, NO_NODE, NO_NODE, width, CarryRule.compare);
    this.carryWidth = 64;
    this.carryForm = CarryForm.given;
    this.nodeCarry = carryFlag;
    const word = builder.i32(operationWord(kind, width) | carryGiven);
    builder.set(Slot.flagOperation, this.withBit(word, carryFlag, carryBit));
    this.setResult(result, width);
  }

  /** ZF by `value` (its sign bit clear), CF as given, all others clear: POPCNT, PTEST, BSF. */
  zeroOnly(value: number, width: number, carryFlag: number): void {
    this.resultAndCarry(FlagKind.zeroOnly, value, carryFlag, width);
  }

  /** ZF by `value`, CF by whether `source` is zero, all others clear: TZCNT, LZCNT. */
  zeroAndCarry(value: number, source: number, width: number): void {
    const { builder } = this;
    builder.set(Slot.flagOperation, builder.i32(operationWord(FlagKind.zeroOnly, width)));
    // Zero is what lies below one.
    this.startCompare(FlagKind.zeroOnly, source, this.algebra.constant(1, width), width);
    this.setResult(value, width);
  }

  /** Flags as a flags word (FlagBit; other bits are ignored), an i32 node. */
  given(word: number): void {
    this.resultAndCarry(FlagKind.given, word, this.builder.binary(Op.i32And, word, this.builder.i32(1)), 32);
  }

  /** COMISS, UCOMISS (f32 nodes), COMISD, UCOMISD (f64 nodes, `double`). */
  floatComparison(x: number, y: number, double: boolean): void {
    const { builder } = this;
    const width = double ? 64 : 32;
    const rule = double ? CarryRule.float64 : CarryRule.float32;
    const reinterpret = double ? Op.i64ReinterpretF64 : Op.i32ReinterpretF32;
    builder.set(Slot.flagOperation, builder.i32(operationWord(FlagKind.floatCompare, width, rule)));
    this.startCompare(FlagKind.floatCompare, builder.unary(reinterpret, x), builder.unary(reinterpret, y), width);
    this.carryRule = rule;
  }

  /** Carry alone (a bit): STC, CLC, CMC, ADCX. */
  setCarry(bit: number): void {
    if (this.overflowFollowsCarry()) this.overlay(NO_NODE, this.flagNode(FlagBit.overflow));
    this.overlay(bit, NO_NODE);
  }

  /** Carry, where overflow is undefined but ZF is kept: BT and relatives. */
  setCarryLoosely(bit: number): void {
    this.overlay(bit, NO_NODE);
  }

  /** Carry and overflow alone (bits): rotates. */
  setCarryAndOverflow(carryFlag: number, overflowFlag: number): void {
    this.overlay(carryFlag, overflowFlag);
  }

  /** Overflow alone: ADOX. */
  setOverflow(bit: number): void {
    this.overlay(NO_NODE, bit);
  }

  private overlay(carryFlag: number, overflowFlag: number): void {
    const { builder } = this;
    this.statistics.recorded++;
    let word = builder.get(Slot.flagOperation);
    let cleared = 0;
    let given = 0;
    if (carryFlag !== NO_NODE) {
      cleared |= CARRY_OVERLAY;
      given |= carryGiven;
    }
    if (overflowFlag !== NO_NODE) {
      cleared |= OVERFLOW_OVERLAY;
      given |= overflowGiven;
    }
    word = builder.binary(Op.i32And, word, builder.i32(~cleared));
    word = builder.binary(Op.i32Or, word, builder.i32(given));
    if (carryFlag !== NO_NODE) {
      word = this.withBit(word, carryFlag, carryBit);
      this.carryForm = CarryForm.given;
      this.nodeCarry = carryFlag;
    }
    if (overflowFlag !== NO_NODE) {
      word = this.withBit(word, overflowFlag, overflowBit);
      this.overflowForm = OverflowForm.given;
      this.nodeOverflow = overflowFlag;
    }
    builder.set(Slot.flagOperation, word);
    this.nodeWord = NO_NODE;
  }

  /** Whether a change of carry alone would change overflow, which then has to be made explicit first. */
  private overflowFollowsCarry(): boolean {
    const { kind } = this;
    return (
      this.overflowForm !== OverflowForm.given &&
      (kind === FlagKind.shiftLeft || kind === FlagKind.multiply || kind === KIND_UNKNOWN)
    );
  }

  // Records that may change nothing (shifts and rotates by a count that turns out to be zero).

  /** Remembers the slots before recording. */
  remember(): void {
    const { builder } = this;
    this.oldOperation = builder.get(Slot.flagOperation);
    this.oldA = builder.get(Slot.flagA);
    this.oldB = builder.get(Slot.flagB);
    this.oldResult = builder.get(Slot.flagResult);
  }

  /** Undoes what was recorded since `remember` unless `condition` (i32) holds. */
  keepIf(condition: number): void {
    this.keepSlot(Slot.flagOperation, this.oldOperation, condition);
    this.keepSlot(Slot.flagA, this.oldA, condition);
    this.keepSlot(Slot.flagB, this.oldB, condition);
    this.keepSlot(Slot.flagResult, this.oldResult, condition);
    this.forgetNodes();
    this.setUnknown();
  }

  private keepSlot(slot: number, old: number, condition: number): void {
    const { builder } = this;
    const now = builder.get(slot);
    if (now !== old) builder.set(slot, builder.select(now, old, condition));
  }

  // Inside.

  private start(kind: number, a: number, b: number, width: number, carryRule: number): void {
    this.statistics.recorded++;
    this.forgetNodes();
    this.kind = kind;
    this.width = width;
    this.carryWidth = width;
    this.carryRule = carryRule;
    this.carryForm = CarryForm.compare;
    this.overflowForm = OverflowForm.byKind;
    this.hasCarryIn = false;
    this.nodeA = a;
    this.nodeB = b;
  }

  private startCompare(kind: number, a: number, b: number, width: number): void {
    this.start(kind, a, b, width, CarryRule.compare);
    this.builder.set(Slot.flagA, this.forSlot(a, width));
    this.builder.set(Slot.flagB, this.forSlot(b, width));
  }

  private setCarryIn(bit: number): void {
    const word = this.builder.i32(operationWord(this.kind, this.width));
    this.builder.set(Slot.flagOperation, this.withBit(word, bit, OperationWord.carryInBit));
    this.hasCarryIn = true;
    this.nodeCarryIn = bit;
  }

  private setResult(result: number, width: number): void {
    this.nodeResult = result;
    this.builder.set(Slot.flagResult, this.forSlot(result, width));
  }

  /** Values lie zero-extended in their slots. */
  private forSlot(value: number, width: number): number {
    return width === 64 ? value : this.builder.unary(Op.i64ExtendI32U, this.algebra.zeroExtend(value, width));
  }

  private withBit(word: number, bit: number, place: number): number {
    const { builder } = this;
    return builder.binary(Op.i32Or, word, builder.binary(Op.i32Shl, bit, builder.i32(place)));
  }
}
