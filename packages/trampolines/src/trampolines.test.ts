/** Heap and tables by themselves, over real WebAssembly tables and the smallest modules there are. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CodeHeap, type Fragment, TrampolineTable } from "./index.ts";

type HeapFragment = Fragment<WebAssembly.Module>;

const RESERVED = 8;
const TRAP = 1;

/** Exports `copySlot`, and as `f` a function that returns a number: what a "fragment" does. */
function returning(value: number): WebAssembly.Module {
  return new WebAssembly.Module(
    Uint8Array.of(
      0,
      0x61,
      0x73,
      0x6d,
      1,
      0,
      0,
      0,
      1,
      10,
      2,
      0x60,
      0,
      1,
      0x7f,
      0x60,
      2,
      0x7f,
      0x7f,
      0,
      2,
      9,
      1,
      1,
      0x65,
      1,
      0x74,
      1,
      0x70,
      0,
      0,
      3,
      3,
      2,
      0,
      1,
      7,
      9,
      2,
      1,
      0x66,
      0,
      0,
      1,
      0x63,
      0,
      1,
      10,
      20,
      2,
      5,
      0,
      0x41,
      0x80 | value,
      0,
      0x0b,
      12,
      0,
      0x20,
      0,
      0x20,
      1,
      0x41,
      1,
      0xfc,
      0x0e,
      0,
      0,
      0x0b,
    ),
  );
}

class Process {
  readonly table: TrampolineTable<WebAssembly.Module>;
  private readonly heap: CodeHeap<WebAssembly.Module>;

  constructor(heap: CodeHeap<WebAssembly.Module>) {
    this.heap = heap;
    this.table = new TrampolineTable(heap);
    const { exports } = new WebAssembly.Instance(returning(0), { e: { t: this.table.table } });
    this.table.table.set(TRAP, exports["f"]);
    this.table.setTrap(TRAP, RESERVED, exports["c"] as (to: number, from: number) => void);
  }

  /** What a resolver does: the fragment's module into the table, then the slot to the fragment. */
  link(slot: number, fragment: HeapFragment): void {
    this.table.ensure(fragment.container, (module) => {
      const { exports } = new WebAssembly.Instance(module, { e: { t: this.table.table } });
      this.table.table.set(fragment.homeSlot, exports["f"]);
    });
    this.table.growTo(this.heap.slotCount);
    this.table.link(slot, fragment);
  }

  /** What is reached through a slot: a fragment's number, or 0 for the trap. */
  through(slot: number): number {
    return (this.table.table.get(slot) as () => number)();
  }
}

function addFragment(
  heap: CodeHeap<WebAssembly.Module>,
  value: number,
  place: Partial<HeapFragment> = {},
): HeapFragment {
  const page = place.page ?? 1;
  const offset = place.offset ?? 0;
  const homeSlot = heap.reserveHomeSlots(1);
  return heap.add({
    homeSlot,
    container: heap.addModule(returning(value), homeSlot, 1, 10),
    page,
    offset,
    mode: 0,
    tier: 0,
    otherPages: [],
    checked: false,
    linkSlots: [],
    counter: 0,
    ignoredMode: 0,
    sources: [{ page, start: offset, end: offset + 10 }],
    ...place,
  });
}

describe("the heap", () => {
  test("T1 fragments are found by the physical place of their source, the best first", () => {
    const heap = new CodeHeap<WebAssembly.Module>(RESERVED);
    const haste = addFragment(heap, 1, { page: 5, offset: 100 });
    const other = addFragment(heap, 2, { page: 5, offset: 101 });
    const care = addFragment(heap, 3, { page: 5, offset: 100, tier: 1 });
    const later = addFragment(heap, 4, { page: 5, offset: 100, mode: 1 });
    expect(heap.at(5, 100).map(({ id }) => id)).toEqual([care, later, haste].map(({ id }) => id));
    expect(heap.at(5, 101)).toEqual([other]);
    expect([heap.at(5, 102), heap.at(6, 100)]).toEqual([[], []]);
    expect(new Set([haste, other, care, later].map(({ homeSlot }) => homeSlot)).size).toBe(4);
  });

  test("T3 a link slot is one number for a page, mode and distance, and no other's", () => {
    const place = fc.tuple(
      fc.integer({ min: 1, max: 2 ** 20 - 1 }),
      fc.nat({ max: 5000 }),
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 }),
    );
    const near = fc.tuple(
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(0, 1, 63, 64, 128, 129),
      fc.constantFrom(0, 4096, -4096),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(place, near), { maxLength: 40 }), (places) => {
        const heap = new CodeHeap<WebAssembly.Module>(RESERVED);
        const names = new Map<string, number>();
        for (const [page, mode, distance] of places) {
          const slot = heap.linkSlot(page, mode, distance);
          const name = `${page}/${mode}/${distance}`;
          expect(names.get(name) ?? slot).toBe(slot);
          names.set(name, slot);
          expect(slot).toBeGreaterThanOrEqual(RESERVED);
          expect(slot).toBeLessThan(heap.slotCount);
        }
        expect(new Set(names.values()).size).toBe(names.size);
      }),
    );
  });

  test("what was made from some bytes is found by their granules, on all pages it was made from", () => {
    const heap = new CodeHeap<WebAssembly.Module>(RESERVED);
    const over = addFragment(heap, 1, {
      page: 2,
      offset: 4090,
      sources: [
        { page: 2, start: 4090, end: 4096 },
        { page: 9, start: 0, end: 70 },
      ],
    });
    const found = (page: number, offset: number, length: number): number[] =>
      heap.madeFrom(page, offset, length, 6).map(({ id }) => id);
    expect([
      found(2, 4032, 1),
      found(2, 4031, 1),
      found(9, 127, 1),
      found(9, 128, 8),
      found(9, 120, 100),
      found(3, 0, 4096),
    ]).toEqual([[over.id], [], [over.id], [], [over.id], []]);
    heap.discard(over);
    expect([found(2, 0, 4096), found(9, 0, 4096), heap.at(2, 4090)]).toEqual([[], [], []]);
    heap.discard(over);
    expect(heap.statistics.discarded).toBe(1);
  });
});

describe("tables", () => {
  test("T4 T8 begin with traps in all slots, and get traps where they grow", () => {
    const heap = new CodeHeap<WebAssembly.Module>(RESERVED);
    const early = new Process(heap);
    const slots = Array.from({ length: 9000 }, (_, index) => heap.linkSlot(1, 0, index));
    const last = slots.at(-1)!;
    early.table.growTo(heap.slotCount);
    const late = new Process(heap);
    late.table.growTo(heap.slotCount);
    for (const process of [early, late])
      for (const slot of [slots[0], slots[4095], slots[4096], last]) expect(process.through(slot)).toBe(0);
  });

  test("T5 T6 a link is one process's own", () => {
    const heap = new CodeHeap<WebAssembly.Module>(RESERVED);
    const [first, second, third] = [new Process(heap), new Process(heap), new Process(heap)];
    const slot = heap.linkSlot(1, 0, 4096);
    first.link(slot, addFragment(heap, 11));
    second.link(slot, addFragment(heap, 22, { page: 2 }));
    third.table.growTo(heap.slotCount);
    expect([first.through(slot), second.through(slot), third.through(slot)]).toEqual([11, 22, 0]);
    expect(first.table.statistics).toMatchObject({ linked: 1, instances: 1 });
  });

  test("T7 unlinking puts traps back: all of a process's, or a discarded fragment's in every process", () => {
    const heap = new CodeHeap<WebAssembly.Module>(RESERVED);
    const [first, second] = [new Process(heap), new Process(heap)];
    const [one, two] = [addFragment(heap, 1), addFragment(heap, 2, { offset: 50 })];
    const [toOne, alsoToOne, toTwo] = [0, 1, 2].map((distance) => heap.linkSlot(1, 0, distance));
    const all = [toOne, alsoToOne, toTwo];
    for (const process of [first, second]) {
      process.link(toOne, one);
      process.link(alsoToOne, one);
      process.link(toTwo, two);
    }
    const seen = (process: Process): number[] => all.map((slot) => process.through(slot));
    heap.discard(one);
    expect([seen(first), seen(second)]).toEqual([
      [0, 0, 2],
      [0, 0, 2],
    ]);
    // Nothing holds the discarded code any more; the other's home slots stay.
    expect([first.through(one.homeSlot), second.through(one.homeSlot), second.through(two.homeSlot)]).toEqual([
      0, 0, 2,
    ]);
    first.table.unlinkAll();
    expect([seen(first), seen(second)]).toEqual([
      [0, 0, 0],
      [0, 0, 2],
    ]);
    // Home slots stay: what is in them can be linked again.
    first.link(toTwo, two);
    expect([seen(first), first.table.statistics.instances]).toEqual([[0, 0, 2], 2]);
  });

  test("a slot that was linked anew, to code of a higher tier, is unlinked with either", () => {
    const heap = new CodeHeap<WebAssembly.Module>(RESERVED);
    const process = new Process(heap);
    const slot = heap.linkSlot(1, 0, 0);
    const [haste, care] = [addFragment(heap, 1), addFragment(heap, 2, { tier: 1 })];
    process.link(slot, haste);
    process.link(slot, care);
    expect(process.through(slot)).toBe(2);
    heap.discard(care);
    expect(process.through(slot)).toBe(0);
  });

  test("T8 a table that is left behind has traps in all link slots, and what it was filled with for the next process", () => {
    const heap = new CodeHeap<WebAssembly.Module>(RESERVED);
    const process = new Process(heap);
    const [one, two] = [addFragment(heap, 1), addFragment(heap, 2, { offset: 50 })];
    const [toOne, toTwo] = [0, 1].map((distance) => heap.linkSlot(1, 0, distance));
    process.link(toOne, one);
    process.link(toTwo, two);
    process.table.vacate();
    expect([heap.tableCount, process.through(toOne), process.through(toTwo)]).toEqual([0, 0, 0]);
    // Nobody has it, and yet code that is discarded goes from it as well.
    heap.discard(two);
    expect(process.through(two.homeSlot)).toBe(0);
    process.table.occupy();
    let instantiated = 0;
    expect(process.table.ensure(one.container, () => instantiated++)).toBe(false);
    expect(process.table.ensure(one.container, () => instantiated++)).toBe(true);
    process.table.link(toOne, one);
    expect([heap.tableCount, instantiated, process.through(toOne), process.through(toTwo)]).toEqual([1, 0, 1, 0]);
  });

  test("T8 a table that is disposed of is out of the heap's reach", () => {
    const heap = new CodeHeap<WebAssembly.Module>(RESERVED);
    const process = new Process(heap);
    const one = addFragment(heap, 5);
    const slot = heap.linkSlot(1, 0, 0);
    process.link(slot, one);
    process.table.dispose();
    heap.discard(one);
    expect(process.through(slot)).toBe(5);
  });
});

describe("T10 slots and room", () => {
  const heapOf = (maximumSize?: number): CodeHeap<WebAssembly.Module> =>
    new CodeHeap(RESERVED, maximumSize === undefined ? {} : { maximumSize });

  test("slots of discarded code are used again only after reclaim, when they hold traps in every table", () => {
    const heap = heapOf();
    const [first, second] = [new Process(heap), new Process(heap)];
    const target = addFragment(heap, 3);
    const slot = heap.linkSlot(5, 0, 100);
    const user = addFragment(heap, 4, { offset: 64, linkSlots: [slot] });
    for (const process of [first, second]) process.link(slot, target);
    heap.discard(user);
    expect(heap.linkSlot(6, 0, 100)).not.toBe(slot);
    expect(heap.reserveHomeSlots(1)).not.toBe(user.homeSlot);
    // Until then, code that is on some stack may still go through it.
    expect(first.through(slot)).toBe(3);
    heap.reclaim();
    expect([first.through(slot), second.through(slot)]).toEqual([0, 0]);
    expect([heap.linkSlot(7, 0, 100), heap.reserveHomeSlots(1)]).toEqual([slot, user.homeSlot]);
  });

  test("a link slot that another fragment still goes through stays", () => {
    const heap = heapOf();
    const slot = heap.linkSlot(5, 0, 100);
    const [one, other] = [0, 64].map((offset) => addFragment(heap, 1, { offset, linkSlots: [slot] }));
    heap.discard(one);
    heap.reclaim();
    expect(heap.linkSlot(5, 0, 100)).toBe(slot);
    heap.discard(other);
    // Used again before it was reclaimed.
    const third = addFragment(heap, 1, { offset: 128, linkSlots: [heap.linkSlot(5, 0, 100)] });
    heap.reclaim();
    expect(heap.linkSlot(5, 0, 100)).toBe(slot);
    heap.discard(third);
    heap.reclaim();
    expect(heap.linkSlot(9, 0, 0)).toBe(slot);
  });

  test("a table that instantiates a batch late has traps for those of it that were discarded", () => {
    const heap = heapOf();
    const firstSlot = heap.reserveHomeSlots(2);
    const container = heap.addModule(returning(7), firstSlot, 2, 10);
    const common = {
      container,
      page: 1,
      mode: 0,
      ignoredMode: 0,
      tier: 0,
      otherPages: [],
      checked: false,
      linkSlots: [],
      counter: 0,
    };
    const gone = heap.add({ ...common, homeSlot: firstSlot, offset: 0, sources: [{ page: 1, start: 0, end: 4 }] });
    heap.add({ ...common, homeSlot: firstSlot + 1, offset: 8, sources: [{ page: 1, start: 8, end: 12 }] });
    heap.discard(gone);
    const late = new Process(heap);
    late.table.ensure(container, (module) => {
      const { exports } = new WebAssembly.Instance(module, { e: { t: late.table.table } });
      for (const slot of [firstSlot, firstSlot + 1]) late.table.table.set(slot, exports["f"]);
    });
    expect([late.through(firstSlot), late.through(firstSlot + 1)]).toEqual([0, 7]);
    // The batch keeps its slots for as long as one of it lives.
    heap.reclaim();
    expect(heap.reserveHomeSlots(2)).not.toBe(firstSlot);
  });

  test("a heap over its bound discards its oldest modules, and those translated with care last", () => {
    const heap = heapOf(100);
    const process = new Process(heap);
    const fragments = Array.from({ length: 10 }, (_, index) =>
      addFragment(heap, index + 1, { offset: 64 * index, tier: index === 0 ? 1 : 0 }),
    );
    const slots = fragments.map((_, index) => heap.linkSlot(9, 0, index));
    fragments.forEach((fragment, index) => process.link(slots[index], fragment));
    heap.evict();
    expect(heap.statistics.evicted).toBe(0);
    addFragment(heap, 11, { offset: 64 * 10 });
    heap.evict();
    // 110 of 100: down to 75, by the four oldest that are not hot.
    expect(slots.map((slot) => process.through(slot))).toEqual([1, 0, 0, 0, 0, 6, 7, 8, 9, 10]);
    expect(heap.statistics).toMatchObject({ evicted: 4, discarded: 4 });
    for (let index = 11; index < 40; index++) {
      addFragment(heap, 1, { offset: 64 * index, tier: 1 });
      heap.evict();
      heap.reclaim();
    }
    expect(heap.statistics.fragments - heap.statistics.discarded).toBeLessThanOrEqual(10);
    expect(heap.slotCount).toBeLessThanOrEqual(RESERVED + 11 + 10 + 1);
  });

  test("whatever is made, linked, discarded and reclaimed, slots lead where they were led, or to the trap", () => {
    const command = fc.record({
      what: fc.constantFrom("make", "link", "discard", "reclaim", "evict"),
      index: fc.nat(30),
      other: fc.nat(30),
    });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (list) => {
        const heap = heapOf(120);
        const processes = [new Process(heap), new Process(heap)];
        const live: { fragment: HeapFragment; value: number }[] = [];
        /** By process and slot: the value expected. */
        const links = processes.map(() => new Map<number, HeapFragment>());
        let made = 0;
        for (const { what, index, other } of list) {
          const chosen = live[index % Math.max(1, live.length)];
          if (what === "make") {
            const value = (made++ % 63) + 1;
            const linkSlots = [heap.linkSlot(other % 4, 0, index)];
            live.push({ fragment: addFragment(heap, value, { offset: 64 * (index % 60), linkSlots }), value });
          } else if (what === "link" && chosen !== undefined) {
            const user = live[other % live.length].fragment;
            const slot = user.linkSlots[0];
            processes[other % 2].link(slot, chosen.fragment);
            links[other % 2].set(slot, chosen.fragment);
          } else if (what === "discard" && chosen !== undefined) heap.discard(chosen.fragment);
          else if (what === "reclaim") heap.reclaim();
          else if (what === "evict") heap.evict();
          for (let at = live.length - 1; at >= 0; at--) if (live[at].fragment.discarded) live.splice(at, 1);
          for (const { fragment } of live) {
            processes.forEach((process, number) => {
              const expected = links[number].get(fragment.linkSlots[0]);
              if (expected === undefined || process.table.table.length <= fragment.linkSlots[0]) return;
              const got = process.through(fragment.linkSlots[0]);
              const value = live.find((one) => one.fragment === expected)?.value;
              expect([0, value]).toContain(got);
            });
          }
          // No two live fragments have a slot in common.
          expect(new Set(live.map(({ fragment }) => fragment.homeSlot)).size).toBe(live.length);
        }
      }),
      { numRuns: 150 },
    );
  });
});
