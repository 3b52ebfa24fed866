/**
 * Emitted code against the interpreter of the IR, on random regions. The long campaign, which shows the smallest region
 * it finds when something differs:
 *
 * ```sh
 * REGIONS=1000000 FIRST=1 pnpm vitest run packages/dbt-core/src/emit/differential.test.ts
 * ```
 */
import { expect, test } from "vitest";
import { DifferentialTest, simplify } from "../testing/differential.ts";
import { Op } from "../ir/op.ts";
import { operations } from "../ir/operations.ts";
import { RegionBuilder } from "../ir/region.ts";
import { FlowGraph } from "./flow-graph.ts";
import { interpret } from "../testing/ir-interpreter.ts";
import { evaluatePure, type Value } from "../testing/pure-evaluator.ts";
import { Random } from "../testing/random.ts";
import { helpers, type Sizes, slots } from "../testing/random-region.ts";
import { Place, TestMachine } from "../testing/test-machine.ts";

const regions = Number(process.env["REGIONS"] ?? 2400);
const first = Number(process.env["FIRST"] ?? 1);
/** Regions that share a module. */
const BATCH = 24;

/** Many blocks, and so many distinct sets of dirty slots; long blocks; few slots, and so many dependences. */
const shapes: readonly Sizes[] = [
  { blocks: 10, instructions: 4, actions: 4, slots: 16 },
  { blocks: 22, instructions: 3, actions: 3, slots: 40 },
  { blocks: 20, instructions: 2, actions: 2, slots: 30 },
  { blocks: 3, instructions: 8, actions: 8, slots: 8 },
];

test(
  `${regions} random regions do what the IR means, in cold code and in hot`,
  { timeout: 60_000 + regions * 20 },
  () => {
    const differential = new DifferentialTest(2);
    for (let seed = first, batch = 0; seed < first + regions; seed += BATCH, batch++) {
      const sizes = shapes[batch % shapes.length];
      const failure = differential.check(seed, BATCH, sizes);
      if (failure === undefined) continue;
      const simple = simplify(differential, sizes, 2000) ?? failure;
      expect.unreachable(
        `seed ${failure.seed} of shape ${batch % shapes.length} fails; a simple one, ${simple.seed}:\n${simple.text}`,
      );
    }
  },
);

test("what the builder folds is what the operations would have given", () => {
  const random = new Random(1);
  const machine = new TestMachine(new ArrayBuffer(Place.end));
  machine.begin(1);
  const graph = new FlowGraph();
  const foldable = operations.flatMap(({ name, operands, result, pure }, op) =>
    pure && /^(i32|i64)(Add|Sub|And|Or|Xor|Shl|ShrU|ShrS|Eqz|WrapI64|ExtendI32[SU])$/.test(name) && result !== undefined
      ? [{ op, operands }]
      : [],
  );
  const interesting = [0, -1, 1, 31, 32, 63, 64, -0x80000000, 0x7fffffff];
  for (let round = 0; round < 3000; round++) {
    const b = new RegionBuilder(slots, helpers);
    b.reset();
    b.beginBlock(0);
    b.beginInstruction(0, 1);
    const half = (): number => (random.chance(0.6) ? random.pick(interesting) : random.i32());
    // Values as nodes, and as they are worked out beside.
    const make = (type: string): { node: number; value: Value } => {
      if (type === "i32") {
        if (random.chance(0.4))
          return { node: b.get(3), value: machine.view.getInt32(machine.context + slots[3].offset, true) };
        const value = half();
        return { node: b.i32(value), value };
      }
      if (random.chance(0.4))
        return { node: b.get(0), value: machine.view.getBigInt64(machine.context + slots[0].offset, true) };
      const [low, high] = [half(), half()];
      return { node: b.i64(low, high), value: (BigInt(high) << 32n) | BigInt(low >>> 0) };
    };
    const known: Record<string, { node: number; value: Value }[]> = { i32: [], i64: [] };
    for (let step = 0; step < 4; step++) {
      const { op, operands } = random.pick(foldable);
      const values = operands.map((type) =>
        known[type].length > 0 && random.chance(0.6) ? random.pick(known[type]) : make(type),
      );
      const node = values.length === 1 ? b.unary(op, values[0].node) : b.binary(op, values[0].node, values[1].node);
      known[operations[op].result!].push({
        node,
        value: evaluatePure(
          op,
          values.map(({ value }) => value),
          [],
        ),
      });
    }
    const all = [
      ...known["i32"].map((one) => ({ ...one, wide: b.unary(Op.i64ExtendI32S, one.node) })),
      ...known["i64"].map((one) => ({ ...one, wide: one.node })),
    ];
    const { wide, value } = random.pick(all);
    b.return(wide);
    graph.build(b);
    const result = interpret(b, graph, machine, {
      address: 0n,
      slot: 0,
      depth: 0,
      narrow: false,
      slotFor: () => 0,
      counter: undefined,
    });
    expect(result).toBe(BigInt(value));
  }
});
