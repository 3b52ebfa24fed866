import * as fc from "fast-check";
import { expect, test } from "vitest";
import { hashTargets } from "./target-hash.ts";

test("every target has an index of its own", () => {
  const offsets = fc.uniqueArray(fc.integer({ min: -(1 << 17), max: 1 << 17 }), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(offsets, (list) => {
      const { multiplier, shift, table } = hashTargets(list)!;
      expect(list.map((offset) => table[Math.imul(offset, multiplier) >>> shift])).toEqual([...list.keys()]);
      expect(table.filter((number) => number >= 0)).toHaveLength(list.length);
    }),
  );
});
