import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { blockKey, RegionBuilder } from "../ir/region.ts";
import { FlowGraph } from "./flow-graph.ts";

/** Successors of each block: none, one or two; a number that is no block's leaves the region. */
type Shape = readonly (readonly number[])[];

function build(shape: Shape, dispatches = false): FlowGraph {
  const builder = new RegionBuilder([], []);
  builder.reset();
  if (dispatches) builder.dispatch(shape.map((_, index) => blockKey(index)));
  shape.forEach((successors, index) => {
    builder.beginBlock(blockKey(index));
    builder.beginInstruction(index, 1);
    const [first, second] = successors.map((successor) => blockKey(successor));
    if (first === undefined) builder.exit(64);
    else if (second === undefined) builder.jump(first);
    else builder.branch(builder.i32(1), first, second);
  });
  const graph = new FlowGraph();
  graph.build(builder);
  return graph;
}

/** Blocks that can be reached from the entry without going through `without`. */
function reachable(shape: Shape, without = -1): Set<number> {
  const seen = new Set<number>();
  const pending = without === 0 ? [] : [0];
  for (let block = pending.pop(); block !== undefined; block = pending.pop()) {
    if (seen.has(block)) continue;
    seen.add(block);
    for (const next of shape[block]) if (next < shape.length && next !== without) pending.push(next);
  }
  return seen;
}

/** By definition: all ways from the entry lead through `above`. */
const dominates = (shape: Shape, above: number, below: number): boolean => !reachable(shape, above).has(below);

const shapes = fc
  .integer({ min: 1, max: 14 })
  .chain((blocks) =>
    fc.array(fc.array(fc.integer({ min: 0, max: blocks }), { maxLength: 2 }), { minLength: blocks, maxLength: blocks }),
  );

describe("any graph", () => {
  const check = (property: (shape: Shape, graph: FlowGraph) => void): void =>
    fc.assert(
      fc.property(shapes, (shape) => property(shape, build(shape))),
      { numRuns: 500 },
    );

  test("the order has all reachable blocks once, the entry first, dominators before what they dominate", () => {
    check((shape, graph) => {
      expect(new Set(graph.order)).toEqual(reachable(shape));
      expect(graph.order).toHaveLength(reachable(shape).size);
      expect(graph.order[0]).toBe(0);
      graph.order.forEach((block, index) => expect(graph.position[block]).toBe(index));
      for (const block of graph.order)
        expect(graph.position[graph.immediateDominator[block]]).toBeLessThanOrEqual(graph.position[block]);
      shape.forEach((_, block) => expect(graph.position[block] >= 0).toBe(reachable(shape).has(block)));
    });
  });

  test("it is a reverse postorder: an edge that goes back in it closes a cycle", () => {
    check((shape, graph) => {
      for (const from of graph.order) {
        for (const to of shape[from]) {
          if (to >= shape.length || graph.position[to] > graph.position[from]) continue;
          expect(reachesFrom(shape, to).has(from)).toBe(true);
        }
      }
    });
  });

  test("dominators are what the definition says", () => {
    check((shape, graph) => {
      for (const above of graph.order) {
        for (const below of graph.order)
          expect([above, below, graph.dominates(above, below)]).toEqual([above, below, dominates(shape, above, below)]);
      }
      for (const block of graph.order.slice(1)) {
        const strict = graph.order.filter((other) => other !== block && dominates(shape, other, block));
        const closest = strict.find((candidate) => strict.every((other) => dominates(shape, other, candidate)));
        expect(graph.immediateDominator[block]).toBe(closest);
        expect(graph.children[closest!]).toContain(block);
      }
    });
  });

  test("edges stay inside when they go forward, or back to a dominator; what is left is reducible", () => {
    check((shape, graph) => {
      for (const from of graph.order) {
        for (const to of shape[from]) {
          const exists = to < shape.length;
          const forward = exists && graph.position[to] > graph.position[from];
          const back = exists && !forward && dominates(shape, to, from);
          expect(graph.inside(from, blockKey(to))).toBe(forward || back ? to : -1);
          expect((forward || back) && graph.isBackEdge(from, to)).toBe(back);
          expect(back && graph.isLoopHeader[to] === 0).toBe(false);
        }
      }
    });
  });

  test("a block has a label of its own exactly when not only its dominator falls into it", () => {
    check((shape, graph) => {
      for (const block of graph.order.slice(1)) {
        const forward = graph.order.flatMap((from) =>
          shape[from].filter((to) => to === block && graph.position[from] < graph.position[block]).map(() => from),
        );
        expect(forward.length).toBeGreaterThan(0);
        expect(graph.isMerge[block] === 1).toBe(forward.length > 1 || forward[0] !== graph.immediateDominator[block]);
      }
      const headers = graph.order.filter((block) => graph.isLoopHeader[block] === 1);
      for (const header of headers) {
        expect(graph.order.some((from) => shape[from].includes(header) && dominates(shape, header, from))).toBe(true);
      }
    });
  });
});

function reachesFrom(shape: Shape, start: number): Set<number> {
  const seen = new Set<number>();
  const pending = [start];
  for (let block = pending.pop(); block !== undefined; block = pending.pop()) {
    if (seen.has(block)) continue;
    seen.add(block);
    pending.push(...shape[block].filter((next) => next < shape.length));
  }
  return seen;
}

test("a loop entered in the middle: the edge that would make it irreducible leaves the region", () => {
  // 0 goes to 1 and 2, which go to each other.
  const graph = build([[1, 2], [2], [1]]);
  const [first, second] = graph.order.slice(1);
  expect(graph.inside(first, blockKey(second))).toBe(second);
  expect(graph.inside(second, blockKey(first))).toBe(-1);
  expect([...graph.isLoopHeader.slice(0, 3)]).toEqual([0, 0, 0]);
});

test("in a region that dispatches to a block, edges into loops there go by way of the dispatch block", () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const blocks = shape.length;
      // Block n of the shape is block n + 1 of the region.
      const graph = build(shape, true);
      for (const from of graph.order.slice(1)) {
        for (const to of shape[from - 1]) {
          const target = to + 1;
          const exists = to < blocks;
          const back = exists && graph.position[target] <= graph.position[from];
          const around = back && !graph.dominates(target, from);
          expect(graph.inside(from, blockKey(to))).toBe(!exists ? -1 : around ? 0 : target);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("a graph is built anew for every region, smaller or larger", () => {
  const builder = new RegionBuilder([], []);
  const graph = new FlowGraph();
  for (const blocks of [3, 700, 1, 20]) {
    builder.reset();
    for (let index = 0; index < blocks; index++) {
      builder.beginBlock(blockKey(index));
      builder.beginInstruction(index, 1);
      if (index === blocks - 1) builder.exit(64);
      else builder.jump(blockKey(index + 1));
    }
    graph.build(builder);
    expect(graph.order).toEqual(Array.from({ length: blocks }, (_, index) => index));
    expect(graph.blockAt(blockKey(blocks))).toBe(-1);
  }
});
