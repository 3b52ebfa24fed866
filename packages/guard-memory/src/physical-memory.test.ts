import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PAGE_BYTES, PhysicalMemory } from "./index.ts";

/** One MiB: 256 pages, of which page 0 is nobody's and the last holds the guard words. */
const small = (): PhysicalMemory => new PhysicalMemory(1 << 20);

describe("pages", () => {
  test("all but page 0 are handed out, each once, zeroed; then none is left", () => {
    const memory = small();
    const pages = new Set<number>();
    for (let page = memory.allocatePage(); page !== 0; page = memory.allocatePage()) {
      expect(pages.has(page)).toBe(false);
      pages.add(page);
      const start = memory.pageOffset(page);
      expect(memory.bytes.subarray(start, start + PAGE_BYTES).some((byte) => byte !== 0)).toBe(false);
      memory.bytes.fill(0xff, start, start + PAGE_BYTES);
    }
    expect([pages.size, memory.freePages]).toEqual([254, 0]);
    expect(memory.bytes.subarray(0, PAGE_BYTES).every((byte) => byte === 0)).toBe(true);
    expect([memory.allocatePage(), memory.allocateBlock(1)]).toEqual([0, 0]);
    memory.freePage(17);
    expect([memory.allocatePage(), memory.bytes[17 * PAGE_BYTES]]).toEqual([17, 0]);
  });

  test("pages and blocks never overlap, whatever is allocated and freed, and what is free is zeroed when it comes back", () => {
    const command = fc.oneof(
      fc.record({ what: fc.constant("page" as const), pages: fc.constant(1) }),
      fc.record({ what: fc.constant("block" as const), pages: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ what: fc.constant("free" as const), pages: fc.nat({ max: 1000 }) }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 120 }), (list) => {
        const memory = small();
        const held: { first: number; pages: number; block: boolean }[] = [];
        const owner = new Map<number, object>();
        for (const { what, pages } of list) {
          if (what === "free") {
            const [one] = held.splice(pages % Math.max(1, held.length), 1);
            if (one === undefined) continue;
            for (let page = one.first; page < one.first + one.pages; page++) owner.delete(page);
            if (one.block) memory.freeBlock(memory.pageOffset(one.first), one.pages);
            else memory.freePage(one.first);
            continue;
          }
          const first = what === "page" ? memory.allocatePage() : memory.allocateBlock(pages) / PAGE_BYTES;
          if (first === 0) continue;
          const one = { first, pages, block: what === "block" };
          held.push(one);
          expect(first + pages).toBeLessThanOrEqual(memory.totalPages);
          for (let page = first; page < first + pages; page++) {
            expect(owner.has(page)).toBe(false);
            owner.set(page, one);
          }
          const start = memory.pageOffset(first);
          const bytes = memory.bytes.subarray(start, start + pages * PAGE_BYTES);
          expect(bytes.some((byte) => byte !== 0)).toBe(false);
          bytes.fill(0xaa);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("pages above 2 GiB have places of their own", () => {
    const memory = new PhysicalMemory(3 * 2 ** 30);
    const block = memory.allocateBlock(1);
    // Above it are the guard words: 8 bytes for each page.
    expect(block).toBe(3 * 2 ** 30 - 8 * memory.totalPages - PAGE_BYTES);
    memory.bytes[block] = 5;
    expect(memory.view.getUint8(block)).toBe(5);
    const page = block / PAGE_BYTES;
    const announced: number[] = [];
    memory.onPageGuarded((host) => announced.push(host));
    memory.guard(page, 0, 1);
    expect([memory.pageOffset(page), announced]).toEqual([block, [block | 0]]);
  });

  test("what is reserved lies above what is allocated", () => {
    const memory = new PhysicalMemory(4 << 20);
    const first = memory.reserveHighest(256);
    expect(first % 16).toBe(0);
    expect(first + 256).toBeLessThanOrEqual(memory.totalPages);
    expect(memory.allocateBlock(3)).toBe((first - 3) * PAGE_BYTES);
    expect(memory.freePages).toBe(first - 4);
    expect(() => memory.reserveHighest(first)).toThrow(RangeError);
  });

  test("less than a MiB is refused, and says so; parts of 64 KiB are dropped", () => {
    expect(() => new PhysicalMemory(1000)).toThrow("guest memory of 1000 bytes is too small: at least 1 MiB is needed");
    expect(new PhysicalMemory((1 << 20) + 70000).bytes).toHaveLength((1 << 20) + 65536);
  });
});
