import { expect, it } from "vitest";
import { Allowance } from "./allowance.ts";

const SECOND = 2 ** 26;

/** How many regions of a hundred may be of full size when so much budget was spent. */
function granted(allowance: Allowance, spent: number): number {
  let count = 0;
  for (let region = 0; region < 100; region++) if (allowance.take(spent)) count++;
  return count;
}

it("a computation's few regions are of full size, and of hundreds at once the first", () => {
  const allowance = new Allowance();
  expect(granted(allowance, 0)).toBe(32);
  expect(granted(allowance, 0)).toBe(0);
});

it("who stays somewhere may have more, but no hoard of them", () => {
  const allowance = new Allowance();
  granted(allowance, 0);
  expect(granted(allowance, SECOND)).toBe(4);
  expect(granted(allowance, 1000 * SECOND)).toBe(32);
});
