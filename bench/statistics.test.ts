import { describe, expect, it } from "vitest";
import { geometricMean, median, ratio } from "./statistics.ts";

describe("statistics of benchmarks", () => {
  it("the median is the middle one, or between the middle two", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  it("the geometric mean of a ratio and its inverse is 1", () => {
    expect(geometricMean([4, 0.25])).toBeCloseTo(1);
    expect(geometricMean([2, 8])).toBeCloseTo(4);
  });

  it("a ratio is that of the medians, its spread that of the rounds", () => {
    expect(ratio([2, 4, 9], [1, 1, 3])).toEqual({ value: 4, low: 2, high: 4 });
  });
});
