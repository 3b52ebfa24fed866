import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GRANULE_BYTES, GuardBits, PAGE_BYTES, PhysicalMemory } from "./index.ts";

const PAGES = 4;
const bytesOfPage = fc
  .tuple(
    fc.integer({ min: 0, max: PAGES - 1 }),
    fc.integer({ min: 0, max: PAGE_BYTES - 1 }),
    fc.integer({ min: 1, max: 300 }),
  )
  .map(([page, offset, length]) => ({ page, offset, length: Math.min(length, PAGE_BYTES - offset) }));
const commands = fc.array(fc.record({ what: fc.constantFrom("set", "clear"), where: bytesOfPage }), { maxLength: 30 });

/** Granules that the bytes touch, by definition. */
function granules({ page, offset, length }: { page: number; offset: number; length: number }): string[] {
  const touched = new Set<string>();
  for (let at = offset; at < offset + length; at++) touched.add(`${page}:${Math.floor(at / GRANULE_BYTES)}`);
  return [...touched];
}

describe("G1 every granule has a guard bit of its own", () => {
  test("a granule is smaller than a page, many to a page", () => {
    expect(PAGE_BYTES / GRANULE_BYTES).toBeGreaterThanOrEqual(16);
    expect(PAGE_BYTES % GRANULE_BYTES).toBe(0);
  });

  test("G2 they are as they were set and cleared, whatever was done to their neighbours", () => {
    fc.assert(
      fc.property(commands, bytesOfPage, (list, question) => {
        const bits = new GuardBits(new Uint32Array(2 * PAGES));
        const model = new Set<string>();
        /** What setting said: whether the page had none. */
        const answers: [boolean, boolean][] = [];
        for (const { what, where } of list) {
          if (what === "set") {
            const wasFree = ![...model].some((name) => name.startsWith(`${where.page}:`));
            answers.push([bits.set(where.page, where.offset, where.length), wasFree]);
            for (const name of granules(where)) model.add(name);
          } else {
            bits.clear(where.page, where.offset, where.length);
            for (const name of granules(where)) model.delete(name);
          }
        }
        for (const [answer, expected] of answers) expect(answer).toBe(expected);
        expect(bits.test(question.page, question.offset, question.length)).toBe(
          granules(question).some((name) => model.has(name)),
        );
        for (let page = 0; page < PAGES; page++) {
          expect(bits.anyOnPage(page)).toBe([...model].some((name) => name.startsWith(`${page}:`)));
        }
      }),
      { numRuns: 500 },
    );
  });

  test("bits 31, 32 and 63 of a page are no exception", () => {
    for (const granule of [0, 31, 32, 63]) {
      const bits = new GuardBits(new Uint32Array(4));
      bits.set(1, granule * GRANULE_BYTES, 1);
      for (let other = 0; other < 64; other++)
        expect(bits.test(1, other * GRANULE_BYTES + 63, 1)).toBe(other === granule);
      expect([bits.anyOnPage(0), bits.anyOnPage(1)]).toEqual([false, true]);
      bits.clear(1, granule * GRANULE_BYTES + 5, 1);
      expect(bits.anyOnPage(1)).toBe(false);
    }
  });
});

describe("stores to guarded memory", () => {
  const guarded = (): { memory: PhysicalMemory; page: number; hits: string[] } => {
    const memory = new PhysicalMemory(1 << 20);
    const page = memory.allocatePage();
    const hits: string[] = [];
    memory.setGuardHit((hitPage, offset, length) => hits.push([hitPage, offset, length].join()));
    return { memory, page, hits };
  };

  test("G3 a store to another granule of the page drops nothing", () => {
    const { memory, page, hits } = guarded();
    memory.guard(page, 128, 64);
    expect([memory.checkStore(page, 64, 64), memory.checkStore(page, 192, 8), memory.checkStore(page, 0, 1)]).toEqual([
      false,
      false,
      false,
    ]);
    expect([hits, memory.isGuarded(page)]).toEqual([[], true]);
  });

  test("G9 G10 a store to a guarded granule tells whoever translated, before anything is written, and once", () => {
    const { memory, page } = guarded();
    const seen: number[] = [];
    memory.bytes[memory.pageOffset(page) + 130] = 7;
    memory.setGuardHit((hitPage, offset) => seen.push(memory.bytes[memory.pageOffset(hitPage) + offset]));
    memory.guard(page, 100, 40);
    expect(memory.checkStore(page, 130, 1)).toBe(true);
    expect(seen).toEqual([7]);
    // The granule's bit is gone, that of the other is not.
    expect(memory.checkStore(page, 130, 1)).toBe(false);
    expect(memory.checkStore(page, 100, 1)).toBe(true);
  });

  test("G11 a store that straddles two granules asks for both", () => {
    for (const granule of [1, 2]) {
      const { memory, page } = guarded();
      memory.guard(page, granule * GRANULE_BYTES, 1);
      expect(memory.checkStore(page, 2 * GRANULE_BYTES - 1, 2)).toBe(true);
    }
  });

  test("G13 other writers say so, and are seen; a page that is freed is written, too", () => {
    const { memory, page, hits } = guarded();
    memory.guard(page, 0, 64);
    memory.noteWrite(page, 64, 4000);
    expect(hits).toEqual([]);
    memory.noteWrite(page, 60, 100);
    expect(hits).toEqual([`${page},60,100`]);
    memory.guard(page, 640, 64);
    memory.freePage(page);
    expect(hits.at(-1)).toBe(`${page},0,${PAGE_BYTES}`);
    expect(memory.isGuarded(page)).toBe(false);
  });

  test("the first guard of a page is announced, with its place in memory, until nobody listens", () => {
    const { memory, page } = guarded();
    const announced: number[] = [];
    const stop = memory.onPageGuarded((host) => announced.push(host));
    memory.guard(page, 0, 1);
    memory.guard(page, 999, 10);
    expect(announced).toEqual([memory.pageOffset(page)]);
    memory.checkStore(page, 0, PAGE_BYTES);
    memory.guard(page, 5, 1);
    stop();
    memory.checkStore(page, 0, PAGE_BYTES);
    memory.guard(page, 5, 1);
    expect(announced).toHaveLength(2);
  });
});
