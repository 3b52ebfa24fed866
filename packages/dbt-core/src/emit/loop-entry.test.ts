import { expect, test } from "vitest";
import { blockKey, keyOffset, RegionBuilder } from "../ir/region.ts";
import { separateEntry } from "./loop-entry.ts";

const at = (offset: number, copy = 0): number => blockKey(offset, 0, copy);

/** Where the blocks of a region lead that begins at 1, in a loop which is entered at 0 and has one inside, of 2 and 3. */
function separated(exit: number): Map<number, readonly [number, number]> {
  const region = new RegionBuilder([], []);
  region.reset();
  region.beginBlock(at(1));
  region.branch(region.i32(1), at(2), exit);
  region.beginBlock(at(2));
  region.branch(region.i32(1), at(1), at(3));
  region.beginBlock(at(3));
  region.branch(region.i32(1), at(2), at(1));
  region.beginBlock(at(4));
  region.jump(at(2));
  separateEntry(region);
  return new Map(region.blocks.map(({ key, target, next }) => [key, [target, next]]));
}

test("a region that begins inside a loop has blocks of its own for coming in", () => {
  const blocks = separated(at(5));
  expect(blocks.get(at(1))?.[0]).toBe(at(2));
  expect(blocks.get(at(2))).toEqual([at(1, 1), at(3)]);
  expect(blocks.get(at(3))).toEqual([at(2), at(1, 1)]);
  expect(blocks.get(at(1, 1))).toEqual([at(2), at(5)]);
});

test("what would enter the loop around it elsewhere leaves the region", () => {
  const blocks = separated(at(4));
  const [, exit] = blocks.get(at(1))!;
  expect(keyOffset(exit)).toBe(4);
  expect(blocks.has(exit)).toBe(false);
  expect(blocks.get(at(1, 1))).toEqual([at(2), at(4)]);
});

test("but not in the middle of an instruction", () => {
  expect(separated(blockKey(4, 1)).get(at(2))).toEqual([at(1), at(3)]);
});
