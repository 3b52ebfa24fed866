import { expect, test } from "vitest";
import { Op } from "../ir/op.ts";
import { operations } from "../ir/operations.ts";
import { RegionBuilder } from "../ir/region.ts";
import { evaluatePure, type Value } from "../testing/pure-evaluator.ts";
import { Random } from "../testing/random.ts";
import { helpers, slots } from "../testing/random-region.ts";
import { LinearForms } from "./linear-forms.ts";

const UNARY = [Op.i32WrapI64, Op.i64ExtendI32U, Op.i64ExtendI32S];
const BINARY = [Op.i64Add, Op.i64Add, Op.i64Sub, Op.i64Shl, Op.i64Xor, Op.i32Add, Op.i32Sub, Op.i32Shl, Op.i32And];
const CONSTANTS = [0, 1, 2, 3, 8, -8, 16, 40, 0x3fff_ffff, -0x4000_0000, -0x8000_0000];

test("values with one name differ by their distances, and so do low halves", () => {
  const random = new Random(1);
  let compared = 0;
  let wrong = 0;
  for (let round = 0; round < 100; round++) {
    const b = new RegionBuilder(slots, helpers);
    b.reset();
    b.beginBlock(0);
    b.beginInstruction(0, 1);
    const known: Record<"i32" | "i64", number[]> = { i32: [], i64: [] };
    const values = new Map<number, Value>();
    const add = (node: number, value: Value): void => {
      values.set(node, value);
      known[b.typeOf(node) as "i32" | "i64"].push(node);
    };
    slots.forEach(({ type }, slot) => {
      if (slot < 8 && type === "i64") add(b.get(slot), random.i64());
      if (slot < 8 && type === "i32") add(b.get(slot), random.i32());
    });
    for (const value of CONSTANTS) {
      add(b.i32(value), value);
      add(b.i64(value), BigInt(value));
    }
    for (let step = 0; step < 40; step++) {
      const op = random.pick(random.chance(0.3) ? UNARY : BINARY);
      const operands = operations[op].operands.map((type) => random.pick(known[type as "i32" | "i64"]));
      const node = operands.length === 1 ? b.unary(op, operands[0]) : b.binary(op, operands[0], operands[1]);
      const value = evaluatePure(
        op,
        operands.map((operand) => values.get(operand)!),
        [],
      );
      // Nodes that the builder folds have values that it need not know.
      if (!values.has(node)) add(node, value);
    }
    const forms = new LinearForms();
    forms.begin(b);
    forms.beginBlock(undefined, true);
    for (let node = 0; node < b.nodeCount; node++) forms.note(node, 0);
    for (const types of [known.i32, known.i64]) {
      const formOf = new Map(types.map((node) => [node, forms.of(node)]));
      for (const [one, a] of formOf) {
        for (const [other, c] of formOf) {
          const difference = BigInt(values.get(one)!) - BigInt(values.get(other)!);
          const differBy = (bits: number, distance: number): boolean =>
            BigInt.asIntN(bits, difference) === BigInt.asIntN(bits, BigInt(distance));
          if (a.name === c.name) compared++;
          if (a.name === c.name && !differBy(types === known.i32 ? 32 : 64, a.distance - c.distance)) wrong++;
          if (a.low.name === c.low.name && !differBy(32, a.low.distance - c.low.distance)) wrong++;
        }
      }
    }
  }
  expect(wrong).toBe(0);
  expect(compared).toBeGreaterThan(10_000);
});

test("a register that a round adds to is in the next what it was, and so much more", () => {
  const b = new RegionBuilder(slots, helpers);
  b.reset();
  const forms = new LinearForms();
  forms.begin(b);
  const round = (block: number): number => {
    b.beginBlock(block);
    b.beginInstruction(0, 1);
    const before = b.get(0);
    b.set(0, b.binary(Op.i64Add, before, b.i64(8)));
    b.endInstruction();
    b.jump(0);
    forms.beginBlock(block === 0 ? undefined : forms.slotForms, true);
    for (let node = b.blocks[block].firstNode; node < b.blocks[block].endNode; node++) forms.note(node, block);
    return before;
  };
  const [first, second] = [forms.of(round(0)), forms.of(round(1))];
  expect(second).toEqual({ ...first, distance: 8, low: { ...first.low, distance: 8 } });
});
