import { expect, test } from "vitest";
import { loopJoins } from "./loop-joins.ts";

test("a loop with one way in has no joins", () => {
  // 0 -> 1 <-> 2, 1 -> 3
  expect(loopJoins([0, 1, 2, 3], [[], [0, 2], [1], [1]], [0])).toEqual([]);
});

test("of a loop with two ways in, what edges lead back to is one", () => {
  // 0 -> 1 <-> 2 <- 0
  expect(loopJoins([0, 1, 2], [[], [0, 2], [1, 0]], [0])).toEqual([1]);
});

test("where a region is entered is a way in, what only the lifter knows of is not", () => {
  // 0 -> 1 <-> 2
  expect(loopJoins([0, 1, 2], [[], [0, 2], [1, -1]], [0])).toEqual([]);
  expect(loopJoins([0, 1, 2], [[], [0, 2], [1]], [0, 2])).toEqual([1]);
});
