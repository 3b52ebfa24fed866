import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FlagBit, FlagKind, FLAGS_MASK, PlainFlags } from "./index.ts";

/** Flags as the manuals define them, computed at once: bits of a flags word. */
interface Computed {
  word: number;
}

const width = fc.constantFrom(8, 16, 32, 64);
const edge = fc.constantFrom(
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x8000n,
  0x7fffffffn,
  0x80000000n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
);
const value = fc.oneof(edge, fc.bigInt(0n, (1n << 64n) - 1n));

const top = (bits: bigint, size: number): boolean => ((bits >> BigInt(size - 1)) & 1n) === 1n;
const parityOf = (bits: bigint): boolean =>
  [...(bits & 0xffn).toString(2)].filter((digit) => digit === "1").length % 2 === 0;

function compose(result: bigint, size: number, carry: boolean, adjust: boolean, overflow: boolean): Computed {
  const bits = BigInt.asUintN(size, result);
  return {
    word:
      (carry ? 1 : 0) |
      (parityOf(bits) ? 4 : 0) |
      (adjust ? 16 : 0) |
      (bits === 0n ? 64 : 0) |
      (top(bits, size) ? 128 : 0) |
      (overflow ? 2048 : 0),
  };
}

function addition(x: bigint, y: bigint, carryIn: bigint, size: number): Computed {
  const a = BigInt.asUintN(size, x);
  const b = BigInt.asUintN(size, y);
  const sum = a + b + carryIn;
  const signed = BigInt.asIntN(size, a) + BigInt.asIntN(size, b) + carryIn;
  const adjust = (a & 15n) + (b & 15n) + carryIn > 15n;
  return compose(sum, size, sum >> BigInt(size) !== 0n, adjust, BigInt.asIntN(size, signed) !== signed);
}

function subtraction(x: bigint, y: bigint, borrow: bigint, size: number): Computed {
  const a = BigInt.asUintN(size, x);
  const b = BigInt.asUintN(size, y);
  const signed = BigInt.asIntN(size, a) - BigInt.asIntN(size, b) - borrow;
  const adjust = (a & 15n) - (b & 15n) - borrow < 0n;
  return compose(a - b - borrow, size, a - b - borrow < 0n, adjust, BigInt.asIntN(size, signed) !== signed);
}

/** Conditions from a flags word, in the order of FlagCondition. */
function conditions(word: number): boolean[] {
  const flag = (bit: number): boolean => ((word >> bit) & 1) === 1;
  const less = flag(FlagBit.sign) !== flag(FlagBit.overflow);
  const even = [
    flag(FlagBit.overflow),
    flag(FlagBit.carry),
    flag(FlagBit.zero),
    flag(FlagBit.carry) || flag(FlagBit.zero),
    flag(FlagBit.sign),
    flag(FlagBit.parity),
    less,
    less || flag(FlagBit.zero),
  ];
  return even.flatMap((holds) => [holds, !holds]);
}

function expectFlags(flags: PlainFlags, word: number): void {
  expect(flags.word).toBe(word);
  for (const bit of Object.values(FlagBit)) expect(flags.flag(bit)).toBe(((word >> bit) & 1) === 1);
  expect(conditions(word).map((_, condition) => flags.condition(condition))).toEqual(conditions(word));
}

/** Any record, and the flags it stands for. */
const anyState = fc
  .tuple(fc.nat(3), value, value, width, fc.boolean())
  .map(([which, x, y, size, bit]): { flags: PlainFlags; word: number } => {
    const flags = new PlainFlags();
    if (which === 0) {
      flags.subtract(x, y, size, bit);
      return { flags, word: subtraction(x, y, bit ? 1n : 0n, size).word };
    }
    if (which === 1) {
      flags.add(x, x + y + (bit ? 1n : 0n), size, bit);
      return { flags, word: addition(x, y, bit ? 1n : 0n, size).word };
    }
    if (which === 2) {
      flags.resultAndCarry(FlagKind.shiftLeft, x, bit, size);
      return { flags, word: compose(x, size, bit, false, top(x, size) !== bit).word };
    }
    const word = Number(x & BigInt(FLAGS_MASK));
    flags.given(word);
    return { flags, word };
  });

describe("flags of a record", () => {
  it("F3 addition, with and without carry, at every width", () => {
    fc.assert(
      fc.property(value, value, width, fc.boolean(), (x, y, size, carry) => {
        const flags = new PlainFlags();
        flags.add(x, x + y + (carry ? 1n : 0n), size, carry);
        expectFlags(flags, addition(x, y, carry ? 1n : 0n, size).word);
      }),
      { numRuns: 2000 },
    );
  });

  it("F3 subtraction, with and without borrow, at every width", () => {
    fc.assert(
      fc.property(value, value, width, fc.boolean(), (x, y, size, borrow) => {
        const flags = new PlainFlags();
        flags.subtract(x, y, size, borrow);
        expectFlags(flags, subtraction(x, y, borrow ? 1n : 0n, size).word);
      }),
      { numRuns: 2000 },
    );
  });

  it("F3 logic clears carry, overflow and adjust", () => {
    fc.assert(
      fc.property(value, width, (x, size) => {
        const flags = new PlainFlags();
        flags.logic(x, size);
        expectFlags(flags, compose(x, size, false, false, false).word);
      }),
    );
  });

  it("F3 products: carry and overflow say that the result does not fit, and INC keeps carry", () => {
    fc.assert(
      fc.property(value, value, width, fc.boolean(), (x, y, size, signed) => {
        const flags = new PlainFlags();
        flags.multiply(x, y, size, signed);
        const reduce = (bits: number, number: bigint): bigint =>
          signed ? BigInt.asIntN(bits, number) : BigInt.asUintN(bits, number);
        const product = reduce(size, x) * reduce(size, y);
        const overflows = reduce(size, product) !== product;
        expect(flags.flag(FlagBit.carry)).toBe(overflows);
        expect(flags.flag(FlagBit.overflow)).toBe(overflows);
        flags.step(FlagKind.increment, 5n, 16);
        expectFlags(flags, (overflows ? 1 : 0) | 4);
      }),
    );
  });

  it("F3 floating-point comparisons", () => {
    const bits = new DataView(new ArrayBuffer(8));
    const pattern = (number: number, size: 32 | 64): bigint => {
      if (size === 64) bits.setFloat64(0, number);
      else bits.setFloat32(0, number);
      return size === 64 ? bits.getBigUint64(0) : BigInt(bits.getUint32(0));
    };
    fc.assert(
      fc.property(
        fc.float(),
        fc.float(),
        fc.boolean(),
        fc.constantFrom(32 as const, 64 as const),
        (x, y, same, size) => {
          const other = same ? x : y;
          const flags = new PlainFlags();
          flags.compareFloats(pattern(x, size), pattern(other, size), size);
          expectFlags(flags, x > other ? 0 : x < other ? 1 : x === other ? 0x40 : 0x45);
        },
      ),
    );
  });

  it("F3 shifts and counts", () => {
    fc.assert(
      fc.property(value, width, fc.boolean(), (x, size, carry) => {
        const flags = new PlainFlags();
        const sign = top(x, size);
        flags.resultAndCarry(FlagKind.shiftLeft, x, carry, size);
        expectFlags(flags, compose(x, size, carry, false, sign !== carry).word);
        flags.resultAndCarry(FlagKind.shiftRight, x, carry, size);
        expectFlags(flags, compose(x, size, carry, false, sign !== top(x << 1n, size)).word);
        const count = x & 63n;
        flags.resultAndCarry(FlagKind.zeroOnly, count, carry, size);
        expectFlags(flags, (carry ? 1 : 0) | (count === 0n ? 64 : 0));
      }),
    );
  });
});

describe("partial updates", () => {
  it("F6 INC and DEC keep carry, whatever set it", () => {
    fc.assert(
      fc.property(anyState, value, width, ({ flags, word }, x, size) => {
        const carry = (word & 1) === 1;
        const up = BigInt.asUintN(size, x);
        flags.step(FlagKind.increment, up, size);
        expectFlags(flags, (addition(up - 1n, 1n, 0n, size).word & ~1) | (carry ? 1 : 0));
        flags.step(FlagKind.decrement, up, size);
        expectFlags(flags, (subtraction(up + 1n, 1n, 0n, size).word & ~1) | (carry ? 1 : 0));
      }),
      { numRuns: 1000 },
    );
  });

  it("F6 a rotate changes carry and overflow, and STC carry, and nothing else", () => {
    fc.assert(
      fc.property(anyState, fc.boolean(), fc.boolean(), ({ flags, word }, carry, overflow) => {
        flags.overlay(carry, overflow);
        const rotated = (word & ~0x801) | (carry ? 1 : 0) | (overflow ? 0x800 : 0);
        expectFlags(flags, rotated);
        flags.setCarry(!carry);
        expectFlags(flags, (rotated & ~1) | (carry ? 0 : 1));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("states of a record", () => {
  it("F2 a record is pending until it is normalised, which changes no flag", () => {
    fc.assert(
      fc.property(anyState, ({ flags, word }) => {
        flags.subtract(flags.a, flags.b, 32);
        expect(flags.pending).toBe(true);
        flags.given(word);
        expect(flags.pending).toBe(false);
        flags.overlay((word & 1) === 1, (word & 0x800) !== 0);
        flags.normalise();
        expect(flags.pending).toBe(false);
        expectFlags(flags, word);
      }),
    );
  });

  it("a record of zeros is valid: no flag is set", () => {
    expect(new PlainFlags().word).toBe(0);
    expect(new PlainFlags().pending).toBe(false);
  });
});
