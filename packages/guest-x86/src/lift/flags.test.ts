import { Op, operations, RegionBuilder } from "@doppel/dbt-core";
import { FlagBit, FlagKind, FLAGS_MASK, flagsOf, PlainFlags } from "@doppel/lazy-flags";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { helperIndex, helpers } from "../helpers.ts";
import { Slot, slots } from "../state.ts";
import { FlagState, SUMMARY_UNKNOWN } from "./flags.ts";
import { evaluate, type Values } from "./testing/evaluate.ts";

/** A record in the slots, as some other region left it. */
function inSlots(record: PlainFlags): Values {
  return new Map<number, number | bigint>([
    [Slot.flagOperation, record.operation],
    [Slot.flagA, record.a],
    [Slot.flagB, record.b],
    [Slot.flagResult, record.result],
  ]);
}

function newState(): { builder: RegionBuilder; state: FlagState } {
  const builder = new RegionBuilder(slots, helpers);
  builder.beginBlock(0);
  return { builder, state: new FlagState(builder) };
}

const width = fc.constantFrom(8, 16, 32, 64);
const edge = fc.constantFrom(
  0n,
  1n,
  0x80n,
  0xffffffffn,
  0x80000000n,
  1n << 63n,
  (1n << 64n) - 1n,
  0x3ff0000000000000n,
  0x7ff8000000000000n,
);
const value = fc.oneof(edge, fc.bigInt(0n, (1n << 64n) - 1n), fc.bigInt(0n, 20n));

/** Any record there can be, by what an instruction does to an earlier one. */
const anyRecord = fc
  .array(fc.tuple(fc.nat(9), value, value, width, fc.boolean()), { minLength: 1, maxLength: 3 })
  .map((steps) => {
    const record = new PlainFlags();
    for (const [what, x, y, size, bit] of steps) {
      const float = size === 64 ? 64 : 32;
      if (what === 0) record.subtract(x, y, size, bit);
      else if (what === 1) record.add(x, x + y + (bit ? 1n : 0n), size, bit);
      else if (what === 2) record.step(bit ? FlagKind.increment : FlagKind.decrement, x, size);
      else if (what === 3) record.resultAndCarry(FlagKind.shiftLeft, x, bit, size);
      else if (what === 4) record.resultAndCarry(FlagKind.shiftRight, x, bit, size);
      else if (what === 5) record.multiply(x, y, size, bit);
      else if (what === 6) record.resultAndCarry(FlagKind.zeroOnly, x & 63n, bit, size);
      else if (what === 7) record.compareFloats(BigInt.asUintN(float, x), BigInt.asUintN(float, y), float);
      else if (what === 8) record.overlay(bit, (x & 1n) === 1n);
      else record.given(Number(x & 0xfffn));
    }
    return record;
  });

describe("flags of a record whose kind is not known when translating", () => {
  it("F7 every flag and condition is that of the record", () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const values = inSlots(record);
        for (let condition = 0; condition < 16; condition++) {
          const { builder, state } = newState();
          state.begin(builder, SUMMARY_UNKNOWN);
          const holds = evaluate(builder, state.condition(condition), values, () => flagsOf(record));
          expect(holds, `condition ${condition}`).toBe(record.condition(condition) ? 1 : 0);
        }
        for (const flag of Object.values(FlagBit)) {
          const { builder, state } = newState();
          state.begin(builder, SUMMARY_UNKNOWN);
          const set = evaluate(builder, state.flag(flag), values, () => flagsOf(record));
          expect(set, `flag ${flag}`).toBe(record.flag(flag) ? 1 : 0);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("F6 INC keeps its carry without asking for it", () => {
    fc.assert(
      fc.property(anyRecord, value, (record, x) => {
        const { builder, state } = newState();
        state.begin(builder, SUMMARY_UNKNOWN);
        state.step(
          FlagKind.increment,
          builder.i64(Number(BigInt.asIntN(32, x)), Number(BigInt.asIntN(32, x >> 32n))),
          64,
        );
        const carry = evaluate(builder, state.flag(FlagBit.carry), inSlots(record), () => 0);
        expect(carry).toBe(record.flag(FlagBit.carry) ? 1 : 0);
        const called = [...builder.op.subarray(0, builder.nodeCount)].some((op) => op === Op.callHelper);
        expect(called).toBe(false);
      }),
      { numRuns: 200 },
    );
  });
});

/** Records in one block through `FlagState`, with the same in a `PlainFlags`. */
type Recording = (state: FlagState, plain: PlainFlags, x: bigint, y: bigint, size: number, bit: boolean) => void;

function constant(state: FlagState, bits: bigint, size: number): number {
  const low = Number(BigInt.asIntN(32, bits));
  return size === 64 ? state.builder.i64(low, Number(BigInt.asIntN(32, bits >> 32n))) : state.builder.i32(low);
}

const recordings: Readonly<Record<string, Recording>> = {
  subtract: (state, plain, x, y, size) => {
    state.subtract(constant(state, x, size), constant(state, y, size), size);
    plain.subtract(x, y, size);
  },
  subtractBorrow: (state, plain, x, y, size, bit) => {
    state.subtractBorrow(constant(state, x, size), constant(state, y, size), state.builder.i32(bit ? 1 : 0), size);
    plain.subtract(x, y, size, bit);
  },
  addCarry: (state, plain, x, y, size, bit) => {
    const sum = x + y + (bit ? 1n : 0n);
    const carry = state.builder.i32(bit ? 1 : 0);
    state.addCarry(constant(state, x, size), constant(state, y, size), carry, constant(state, sum, size), size);
    plain.add(x, sum, size, bit);
  },
  logic: (state, plain, x, _y, size) => {
    state.logic(constant(state, x, size), size);
    plain.logic(x, size);
  },
  step: (state, plain, x, _y, size, bit) => {
    const kind = bit ? FlagKind.increment : FlagKind.decrement;
    state.step(kind, constant(state, x, size), size);
    plain.step(kind, x, size);
  },
  multiply: (state, plain, x, y, size, bit) => {
    state.multiply(constant(state, x, size), constant(state, y, size), size, bit);
    plain.multiply(x, y, size, bit);
  },
  given: (state, plain, x) => {
    const word = Number(x & BigInt(FLAGS_MASK));
    state.given(state.builder.i32(word));
    plain.given(word);
  },
  setCarry: (state, plain, _x, _y, _size, bit) => {
    state.setCarry(state.builder.i32(bit ? 1 : 0));
    plain.setCarry(bit);
  },
  rotate: (state, plain, x, _y, _size, bit) => {
    state.setCarryAndOverflow(state.builder.i32(bit ? 1 : 0), state.builder.i32(Number(x & 1n)));
    plain.overlay(bit, (x & 1n) === 1n);
  },
  conditional: (state, plain, x, y, size, bit) => {
    // A shift by a count that may be zero.
    state.remember();
    const carry = state.builder.i32(Number(y & 1n));
    state.shift(FlagKind.shiftRight, constant(state, x, size), carry, constant(state, (y & 1n) << 63n, 64), size);
    state.keepIf(opaque(state, bit));
    if (bit) plain.resultAndCarry(FlagKind.shiftRight, x, (y & 1n) === 1n, size);
  },
};

/** A bit that is known only when the code runs. */
function opaque(state: FlagState, bit: boolean): number {
  const { builder } = state;
  return builder.binary(Op.i32Eq, builder.get(Slot.direction), builder.i32(bit ? 0 : 1));
}

describe("flags recorded in this block", () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...Object.keys(recordings)), value, value, width, fc.boolean()), {
    minLength: 1,
    maxLength: 3,
  });

  it("F7 every condition, here and in a block that follows, is that of the instructions one after another", () => {
    fc.assert(
      fc.property(anyRecord, steps, fc.nat(15), (before, instructions, condition) => {
        const { builder, state } = newState();
        state.begin(builder, SUMMARY_UNKNOWN);
        const values = inSlots(before);
        values.set(Slot.direction, 0);
        const plain = new PlainFlags();
        Object.assign(plain, { operation: before.operation, a: before.a, b: before.b, result: before.result });
        // What a helper called at a node finds: the flags as the instructions up to there have left them.
        const words: { from: number; word: number }[] = [];
        const helper = (call: number): number => words.findLast(({ from }) => from <= call)!.word;
        for (const [name, x, y, size, bit] of instructions) {
          words.push({ from: builder.nodeCount, word: plain.word });
          recordings[name](state, plain, BigInt.asUintN(size, x), BigInt.asUintN(size, y), size, bit);
        }
        words.push({ from: builder.nodeCount, word: plain.word });
        const here = evaluate(builder, state.condition(condition), values, helper);
        expect(here, "in the block").toBe(plain.condition(condition) ? 1 : 0);

        // The slots as the block leaves them.
        const after: Values = new Map(values);
        for (const slot of [Slot.flagOperation, Slot.flagA, Slot.flagB, Slot.flagResult]) {
          after.set(slot, evaluate(builder, builder.get(slot), values, helper));
        }
        const packed = {
          operation: after.get(Slot.flagOperation) as number,
          a: after.get(Slot.flagA) as bigint,
          b: after.get(Slot.flagB) as bigint,
          result: after.get(Slot.flagResult) as bigint,
        };
        expect(flagsOf(packed), "from outside").toBe(plain.word);
        const next = new RegionBuilder(slots, helpers);
        next.beginBlock(4);
        const { summary } = state;
        state.begin(next, summary);
        const there = evaluate(next, state.condition(condition), after, () => flagsOf(packed));
        expect(there, "in the next block").toBe(plain.condition(condition) ? 1 : 0);
      }),
      { numRuns: 3000 },
    );
  });

  it("F3 a comparison and a condition are one comparison of the operands", () => {
    const { builder, state } = newState();
    const x = builder.get(Slot.rax);
    const y = builder.get(Slot.rbx);
    state.subtract(x, y, 64);
    const node = state.condition(12);
    expect(operations[builder.op[node]].name).toBe("i64LtS");
    expect([builder.x[node], builder.y[node]]).toEqual([x, y]);
    expect(operations[builder.op[state.condition(15)]].name).toBe("i64GtS");
    expect(operations[builder.op[state.condition(7)]].name).toBe("i64GtU");
  });

  it("F3 a floating-point comparison and a condition are one comparison of the operands", () => {
    const { builder, state } = newState();
    const x = builder.unary(Op.f64ReinterpretI64, builder.get(Slot.rax));
    const y = builder.unary(Op.f64ReinterpretI64, builder.get(Slot.rbx));
    state.floatComparison(x, y, true);
    const above = state.condition(7);
    expect(operations[builder.op[above]].name).toBe("f64Lt");
    expect([builder.x[above], builder.y[above]]).toEqual([y, x]);
    expect(operations[builder.op[state.condition(3)]].name).toBe("f64Ge");
  });

  it("F1 recording computes no flag", () => {
    const { builder, state } = newState();
    const x = builder.get(Slot.rax);
    const y = builder.get(Slot.rbx);
    const before = builder.nodeCount;
    state.subtract(x, y, 64);
    // The operation word, and nothing else.
    expect(builder.nodeCount - before).toBe(1);
  });
});

describe("the helper that resolves records", () => {
  it("is declared", () => {
    expect(helpers[helperIndex("resolveFlags")].result).toBe("i32");
  });
});
