import { assert, bigInt, constantFrom, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { FlagKind, flagsOf, OperationWord, operationWord, plainFlagsOf } from "./index.ts";

const halves = (value: bigint): [number, number] => [
  Number(BigInt.asIntN(32, value)),
  Number(BigInt.asIntN(32, value >> 32n)),
];

describe("a packed record's flags", () => {
  // Values near where something carries or overflows, of any width, and any others.
  const value = bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const near = constantFrom(
    0n,
    1n,
    15n,
    0x7fn,
    0xffn,
    0x7fffn,
    0x7fff_ffffn,
    0xffff_ffffn,
    2n ** 63n - 1n,
    2n ** 64n - 1n,
  );

  it("F3 are the same from halves, without a bigint, where no carry went in", () => {
    assert(
      property(
        constantFrom(FlagKind.subtract, FlagKind.add),
        constantFrom(8, 16, 32, 64),
        value,
        near,
        near,
        (kind, width, x, y, offset) => {
          const a = BigInt.asUintN(width, x < 2n ** 32n ? y + x : x);
          const b = BigInt.asUintN(width, y + offset);
          const operation = operationWord(kind, width);
          expect(plainFlagsOf(operation, ...halves(a), ...halves(b))).toBe(flagsOf({ operation, a, b, result: 0n }));
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("of other records they are not", () => {
    for (const other of [OperationWord.carryIn, OperationWord.carryGiven, OperationWord.overflowGiven])
      expect(plainFlagsOf(operationWord(FlagKind.add, 32) | other, 0, 0, 0, 0)).toBe(-1);
    expect(plainFlagsOf(operationWord(FlagKind.increment, 32), 0, 0, 0, 0)).toBe(-1);
  });
});
