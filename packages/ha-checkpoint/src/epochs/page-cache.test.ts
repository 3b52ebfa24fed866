import * as fc from "fast-check";
import { expect, it } from "vitest";
import { PageCache } from "./page-cache.ts";

const pageBytes = 16;
const pageCount = 40;

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("set"), page: fc.nat(pageCount - 1), byte: fc.nat(255) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("delete"), page: fc.nat(pageCount - 1), byte: fc.constant(0) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear"), page: fc.constant(0), byte: fc.constant(0) }) },
);

it("the cache of pages is a map that forgets what was set longest ago", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: pageCount }), fc.array(step, { maxLength: 300 }), (capacity, steps) => {
      const cache = new PageCache(pageBytes, pageCount, capacity);
      const model = new Map<number, number>();
      for (const { kind, page, byte } of steps) {
        if (kind === "clear") {
          cache.clear();
          model.clear();
        } else {
          model.delete(page);
          if (kind === "delete") cache.delete(page);
          else {
            cache.set(page, new Uint8Array(pageBytes).fill(byte));
            model.set(page, byte);
            if (model.size > capacity) model.delete(model.keys().next().value!);
          }
        }
        expect(cache.size).toBe(model.size);
        for (let at = 0; at < pageCount; at++) {
          const byteThere = model.get(at);
          expect(cache.get(at)).toEqual(
            byteThere === undefined ? undefined : new Uint8Array(pageBytes).fill(byteThere),
          );
        }
      }
    }),
  );
});
