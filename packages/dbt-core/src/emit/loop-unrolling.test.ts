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

/** A loop of blocks 1 and 2, and what `region` adds. */
function unrolledLoop(more: (region: RegionBuilder) => void): Map<number, readonly [number, number]> {
  const region = new RegionBuilder([], []);
  region.reset();
  region.beginBlock(blockKey(0));
  region.jump(blockKey(1));
  more(region);
  region.beginBlock(blockKey(9));
  region.exit(64);
  unrollLoops(region);
  return new Map(region.blocks.map(({ key, target, next }) => [key, [target, next]]));
}

const copy = (offset: number, number: number): number => blockKey(offset, 0, number);
const [header, rest, behind] = [1, 2, 9].map((offset) => blockKey(offset));

test("what leads back in one copy leads on to the next, and in the last to the first", () => {
  const blocks = unrolledLoop((region) => {
    region.beginBlock(header);
    region.branch(region.i32(1), rest, behind);
    region.beginBlock(rest);
    region.jump(header);
  });
  expect(blocks.get(header)).toEqual([copy(2, 1), behind]);
  expect(blocks.get(copy(2, 1))).toEqual([copy(1, 1), 0]);
  expect(blocks.get(copy(1, 1))).toEqual([copy(2, 2), behind]);
  expect(blocks.get(copy(1, 3))).toEqual([rest, behind]);
  expect(blocks.get(rest)).toEqual([header, 0]);
  expect(blocks.size).toBe(4 + 6);
});

test("a call on another way round is there once, and comes back in the last round", () => {
  const blocks = unrolledLoop((region) => {
    region.beginBlock(header);
    region.branch(region.i32(1), rest, blockKey(3));
    region.beginBlock(rest);
    region.branch(region.i32(1), header, behind);
    region.beginBlock(blockKey(3));
    region.call(blockKey(50), rest);
  });
  expect(blocks.get(header)).toEqual([copy(2, 1), blockKey(3)]);
  expect(blocks.get(copy(1, 3))).toEqual([rest, blockKey(3)]);
  expect(blocks.get(blockKey(3))).toEqual([blockKey(50), rest]);
  expect(blocks.get(rest)).toEqual([header, behind]);
});

test("a loop around another goes round once", () => {
  const blocks = unrolledLoop((region) => {
    region.beginBlock(header);
    region.jump(rest);
    region.beginBlock(rest);
    region.branch(region.i32(1), rest, blockKey(3));
    region.beginBlock(blockKey(3));
    region.branch(region.i32(1), header, behind);
  });
  expect(blocks.has(copy(1, 1))).toBe(false);
  expect(blocks.get(rest)).toEqual([copy(2, 1), blockKey(3)]);
  expect(blocks.get(copy(2, 3))).toEqual([rest, blockKey(3)]);
});
