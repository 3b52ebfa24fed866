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
  return heap.add({
    homeSlot: heap.reserveHomeSlots(1),
    container: heap.addModule(returning(value)),
    page,
    offset,
    mode: 0,
    tier: 0,
    otherPages: [],
    checked: false,
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
