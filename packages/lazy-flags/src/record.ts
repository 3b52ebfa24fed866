/**
 * What a flag-setting instruction leaves behind instead of flags: its kind, its width, and the values it worked on.
 *
 * The record has two halves, so that instructions which update only some of the flags cost nothing extra:
 *
 * - the *carry half*, `a` and `b`, and the rule by which carry follows from them. Mostly it is `a < b` unsigned (or
 *   `a <= b` when a carry went in): a subtraction records its operands, an addition its sum and first operand (the sum
 *   is smaller exactly when it wrapped), a shift the value with the bit shifted out on top, and one less than that.
 * - the *result half*: for `subtract` and `add` it follows from `a` and `b`; the other kinds have a `result` of
 *   their own, so INC and DEC leave `a` and `b`, and with them carry, as they were.
 *
 * An instruction that changes carry or overflow alone (rotates, bit tests, STC) gives the bit itself, in the operation
 * word. A logical operation is the subtraction of zero from its result: no carry, no overflow, no adjust.
 */
export const FlagKind = {
  /**
   * Normalised: `result` is a flags word (see `FlagBit`), whose carry is given in the operation word too, so that
   * carry is found alike for every kind. All zero is a valid record: no flag is set.
   */
  given: 0,
  /** `a - b`, less the carry that went in. */
  subtract: 1,
  /** `a` is the sum, `b` its first operand. */
  add: 2,
  /** `result` is one more than it was; carry is kept. */
  increment: 3,
  /** `result` is one less than it was; carry is kept. */
  decrement: 4,
  /** `result` was shifted left: overflow is whether its sign differs from carry. */
  shiftLeft: 5,
  /** `result` was shifted right: overflow is whether its two top bits differ. */
  shiftRight: 6,
  /**
   * A product of `a` and `b`: overflow is the same as carry. The other flags are undefined, and here those of whatever
   * `result` holds.
   */
  multiply: 7,
  /** Zero is that of `result`, the other flags are clear. */
  zeroOnly: 8,
  /**
   * A floating-point comparison of `a` with `b`: less sets carry, equal sets zero, unordered sets carry, zero and parity.
   */
  floatCompare: 9,
} as const;

/** How carry follows from `a` and `b`. */
export const CarryRule = {
  /** `a < b`, or `a <= b` where a carry went in. */
  compare: 0,
  /** Their unsigned product does not fit the width. */
  multiplyUnsigned: 1,
  multiplySigned: 2,
  /** As floating-point numbers of 32 or 64 bits, `a` is not greater than or equal to `b`. */
  float32: 3,
  float64: 4,
} as const;

/** Bit numbers of a flags word. They are those of the x86 flags register; any other order is a matter of moving bits. */
export const FlagBit = { carry: 0, parity: 2, adjust: 4, zero: 6, sign: 7, overflow: 11 } as const;

/** All six flags. */
export const FLAGS_MASK = 0x8d5;

/**
 * What can be asked implicitly, as pairs: an odd number is the negation of the even one below it.
 * `less` and `below` are the orders of a subtraction's operands, signed and unsigned.
 */
export const FlagCondition = {
  overflow: 0,
  notOverflow: 1,
  below: 2,
  aboveOrEqual: 3,
  equal: 4,
  notEqual: 5,
  belowOrEqual: 6,
  above: 7,
  sign: 8,
  notSign: 9,
  parity: 10,
  notParity: 11,
  less: 12,
  greaterOrEqual: 13,
  lessOrEqual: 14,
  greater: 15,
} as const;

/** A record over values `V`. Reading a field may cost something (code, say), so rules read only what they need. */
export interface FlagRecord<V> {
  /** One of `FlagKind`. */
  readonly kind: number;
  /** Bits of the operation: 8, 16, 32 or 64. For `given`, of the word that holds the flags. */
  readonly width: number;
  /** Bits `a` and `b` are compared with. The same as `width`, unless later instructions have kept carry. */
  readonly carryWidth: number;
  readonly a: V;
  readonly b: V;
  /** Not asked for `subtract`, `add` and `floatCompare`. */
  readonly result: V;
  /** One of `CarryRule`. */
  readonly carryRule: number;
  /** The second operand of an addition where it is at hand; else it is worked out. */
  readonly addend: V | undefined;
  /** The carry or borrow that went into an addition or subtraction, as a bit; undefined: none did. */
  readonly carryIn: V | undefined;
  /** Carry itself, as a bit; then `a` and `b` do not decide it. */
  readonly carry: V | undefined;
  /** Overflow itself, as a bit. */
  readonly overflow: V | undefined;
}

/**
 * The operation word: everything of a record but its three values, in 32 bits.
 *
 *     bits 0..3   kind          bit 16  a carry went in (`carryIn`)
 *     bits 8..13  64 - width    bit 17  carry is given, and is bit 18
 *     bits 21..23 carry rule    bit 19  overflow is given, and is bit 20
 *
 * Beside the word, values are zero-extended to 64 bits, but for the factors of a product: `a` is shifted to the top of
 * the 64 bits and `b` extended according to its sign, so that the product overflows 64 bits exactly when it overflows the
 * width. Carry then never depends on the width.
 */
export const OperationWord = {
  kindMask: 15,
  spareShift: 8,
  spareMask: 63,
  carryInBit: 16,
  carryIn: 0x10000,
  carryGiven: 0x20000,
  carryBit: 18,
  carry: 0x40000,
  overflowGiven: 0x80000,
  overflowBit: 20,
  overflow: 0x100000,
  /** What decides carry, besides `a` and `b`. */
  carryMask: 0xe70000,
  carryRuleShift: 21,
  carryRuleMask: 7,
} as const;

/** The constant part of an operation word. */
export function operationWord(kind: number, width: number, carryRule: number = CarryRule.compare): number {
  return kind | ((64 - width) << OperationWord.spareShift) | (carryRule << OperationWord.carryRuleShift);
}

export function operationKind(word: number): number {
  return word & OperationWord.kindMask;
}

export function operationWidth(word: number): number {
  return 64 - ((word >> OperationWord.spareShift) & OperationWord.spareMask);
}

export function operationCarryRule(word: number): number {
  return (word >> OperationWord.carryRuleShift) & OperationWord.carryRuleMask;
}

/** Whether flags have yet to be worked out from the record: it is *pending*, not *normalised*. */
export function isPending(word: number): boolean {
  return operationKind(word) !== FlagKind.given || (word & OperationWord.overflowGiven) !== 0;
}
