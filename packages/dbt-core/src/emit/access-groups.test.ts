import { expect, test } from "vitest";
import { Op } from "../ir/op.ts";
import { blockKey, RegionBuilder } from "../ir/region.ts";
import { helpers, slots } from "../testing/random-region.ts";
import { AccessGroups } from "./access-groups.ts";
import { FlowGraph } from "./flow-graph.ts";
import { unrollLoops } from "./loop-unrolling.ts";

/** A loop that goes through memory in steps, and does something else in each. */
function groupsOfLoop(step: number, more: (b: RegionBuilder) => void = () => {}): (readonly number[])[] {
  const b = new RegionBuilder(slots, helpers);
  b.reset();
  b.beginBlock(blockKey(0));
  b.jump(blockKey(1));
  b.beginBlock(blockKey(1));
  b.beginInstruction(1, 1);
  const address = b.get(0);
  b.load(Op.load64, address);
  more(b);
  b.set(0, b.binary(Op.i64Add, address, b.i64(step)));
  b.endInstruction();
  b.branch(b.i32(1), blockKey(1), blockKey(2));
  b.beginBlock(blockKey(2));
  b.exit(64);
  unrollLoops(b);
  const graph = new FlowGraph();
  graph.build(b);
  const groups = new AccessGroups();
  groups.plan(b, graph);
  const found = new Map<object, number[]>();
  for (let node = 0; node < b.nodeCount; node++) {
    const group = groups.of(node);
    if (group === undefined) continue;
    const offsets = found.get(group) ?? [];
    found.set(group, [...offsets, groups.offsetIn(group, node)]);
  }
  return [...found.values()];
}

test("the rounds of an unrolled loop share a look-up", () => {
  expect(groupsOfLoop(8)).toEqual([[0, 8, 16, 24]]);
  expect(groupsOfLoop(-8)).toEqual([[24, 16, 8, 0]]);
});

test("unless they are far from one another, or a helper is called in between", () => {
  expect(groupsOfLoop(4096)).toEqual([]);
  expect(groupsOfLoop(8, (b) => void b.callHelper(0, []))).toEqual([]);
});
