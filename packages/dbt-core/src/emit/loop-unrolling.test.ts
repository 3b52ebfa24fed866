import { expect, test } from "vitest";
import { blockKey, RegionBuilder } from "../ir/region.ts";
import { interpret } from "../testing/ir-interpreter.ts";
import { Random } from "../testing/random.ts";
import { randomRegion } from "../testing/random-region.ts";
import { Place, TestMachine } from "../testing/test-machine.ts";
import { unrollLoops } from "./loop-unrolling.ts";

const SIZES = { blocks: 5, instructions: 2, actions: 3, slots: 8 };
/** Edges that are followed before a run ends: it may have no other end. */
const MOST_EDGES = 60;

class Endless extends Error {}

/** All that a run does and leaves, without the budget: what costs some is not the same. */
function behaviour(region: RegionBuilder, seed: number): string[] {
  const machine = new TestMachine(new ArrayBuffer(Place.end));
  machine.begin(seed);
  let edges = 0;
  let result: string;
  const blockAt = (key: number): number => region.blockOfKey(key);
  const inside = (_from: number, key: number): number => {
    if (++edges > MOST_EDGES) throw new Endless();
    return blockAt(key);
  };
  try {
    const options = { address: 4096n, slot: 7, depth: 2, narrow: false, slotFor: () => 9, counter: undefined };
    result = machine.outcome(interpret(region, { blockAt, inside, isBackEdge: () => false }, machine, options));
  } catch (error) {
    if (!(error instanceof Endless)) throw error;
    result = machine.state();
  }
  return [...machine.events, result];
}

test("a region with unrolled loops does what it did", () => {
  let unrolled = 0;
  for (let seed = 1; seed <= 400; seed++) {
    const region = randomRegion(new Random(seed), SIZES);
    const before = [0, 1].map((run) => behaviour(region, seed + run));
    const { length } = region.blocks;
    unrollLoops(region);
    if (region.blocks.length === length) continue;
    unrolled++;
    expect([0, 1].map((run) => behaviour(region, seed + run))).toEqual(before);
  }
  expect(unrolled).toBeGreaterThan(40);
});

test("what leads back in one copy leads on to the next, and in the last to the first", () => {
  const region = new RegionBuilder([], []);
  region.reset();
  const [entry, header, rest, behind] = [0, 1, 2, 3].map((offset) => blockKey(offset));
  region.beginBlock(entry);
  region.jump(header);
  region.beginBlock(header);
  region.branch(region.i32(1), rest, behind);
  region.beginBlock(rest);
  region.jump(header);
  region.beginBlock(behind);
  region.exit(64);
  unrollLoops(region);
  const copy = (offset: number, number: number): number => blockKey(offset, 0, number);
  const led = region.blocks.map(({ key, target, next }) => [key, target, next]);
  expect(led.slice(1, 3)).toEqual([
    [header, rest, behind],
    [rest, copy(1, 1), 0],
  ]);
  expect(led.slice(-2)).toEqual([
    [copy(1, 3), copy(2, 3), behind],
    [copy(2, 3), header, 0],
  ]);
});
