import { describe, expect, it } from "vitest";
import { JUMP_CACHE_BITS, JUMP_CACHE_BYTES, JumpCache } from "./jump-cache.ts";

const PLACE = 64;
const SETS = 1 << JUMP_CACHE_BITS;

function setUp(): { cache: JumpCache; slotOf: (low: number, high: number) => number | undefined } {
  const bytes = new Uint8Array(PLACE + JUMP_CACHE_BYTES);
  const view = new DataView(bytes.buffer);
  const cache = new JumpCache({ bytes, view }, PLACE);
  // As the support module looks it up.
  const slotOf = (low: number, high: number): number | undefined => {
    const set = PLACE + (((low ^ ((low >>> 12) | (high << 20))) & (SETS - 1)) << 5);
    const way = [set, set + 16].find((at) => view.getInt32(at, true) === low && view.getInt32(at + 4, true) === high);
    return way === undefined ? undefined : view.getInt32(way + 8, true);
  };
  return { cache, slotOf };
}

describe("the jump cache", () => {
  // Of one set: bits 12 to 23 are put upon bits 0 to 11.
  const low = [0, 1, 2].map((number) => number | (number << 12));

  it("holds two addresses of a set, and gives up the one added first for a third", () => {
    const { cache, slotOf } = setUp();
    cache.add(low[0], 0, 10, 0, 0);
    cache.add(low[1], 0, 11, 0, 0);
    cache.add(low[1], 0, 21, 0, 0);
    expect(low.map((address) => slotOf(address, 0))).toEqual([10, 21, undefined]);
    cache.add(low[2], 0, 12, 0, 0);
    expect(low.map((address) => slotOf(address, 0))).toEqual([undefined, 21, 12]);
  });

  it("forgets an address wherever it has gone", () => {
    const { cache, slotOf } = setUp();
    cache.add(low[0], 0, 10, 0, 0);
    cache.add(low[1], 0, 11, 0, 0);
    cache.add(low[0], 0, 20, 0, 0);
    cache.remove(low[0], 0);
    expect(low.map((address) => slotOf(address, 0))).toEqual([undefined, 11, undefined]);
    cache.flush();
    expect(slotOf(low[1], 0)).toBeUndefined();
  });

  it("forgets by the bits of the mode that code goes by, also in the second way", () => {
    const { cache, slotOf } = setUp();
    cache.add(low[0], 0, 10, 0, 1);
    cache.add(low[1], 0, 11, 0, 2);
    cache.removeModal(1);
    expect(low.map((address) => slotOf(address, 0))).toEqual([undefined, 11, undefined]);
    cache.add(low[2], 0, 12, 0, 0);
    cache.removeModal(2);
    expect(low.map((address) => slotOf(address, 0))).toEqual([undefined, undefined, 12]);
  });
});
