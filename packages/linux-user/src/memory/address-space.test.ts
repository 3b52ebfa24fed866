import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import {
  FAULT_BUS,
  FAULT_OUT_OF_MEMORY,
  FAULT_PROTECTION,
  FAULT_UNMAPPED,
  PAGE_BYTES,
  TRANSLATION_WRITABLE,
} from "../engine-port.ts";
import { EACCES, EEXIST, EINVAL, ENOMEM } from "../kernel/errno.ts";
import { FakeContext, FakeEngine } from "../testing/fake-engine.ts";
import { FakeSource } from "../testing/fake-files.ts";
import { AddressSpace } from "./address-space.ts";
import { sharedAnonymous } from "./anonymous-source.ts";
import { LAYOUT_X86_64 } from "./layout.ts";
import type { MapRequest } from "./mmap.ts";
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_PRIVATE,
  MAP_SHARED,
  mapMemory,
  moveBreak,
  protectMemory,
  unmapMemory,
} from "./mmap.ts";
import { PageCache } from "./page-cache.ts";
import { PageFrames } from "./page-frames.ts";
import { adviseMemory, remapMemory, residency } from "./remap.ts";
import { GuestMemory } from "./user-memory.ts";

const BASE = 0x10_0000;
let engine: FakeEngine;
let frames: PageFrames;
let cache: PageCache;
let space: AddressSpace;
let memory: GuestMemory;

function makeSpace(pages: number): void {
  engine = new FakeEngine(pages);
  frames = new PageFrames(engine.memory);
  cache = new PageCache(frames);
  space = new AddressSpace(LAYOUT_X86_64, frames, cache);
  space.engine = new FakeContext(engine, space);
  memory = new GuestMemory(space);
}

function map(request: Partial<MapRequest>): number {
  return mapMemory(space, {
    address: BASE,
    length: PAGE_BYTES,
    protection: 3,
    flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
    file: null,
    offset: 0,
    name: "",
    mayWrite: true,
    ...request,
  });
}

beforeEach(() => makeSpace(256));

describe("demand zero", () => {
  test("reading unwritten memory takes no page of its own; writing takes one", () => {
    map({ length: 16 * PAGE_BYTES });
    const before = engine.memory.freePages;
    expect(memory.readU64(BASE + 8)).toBe(0);
    expect(memory.readU64(BASE + PAGE_BYTES)).toBe(0);
    expect(before - engine.memory.freePages).toBe(1);
    memory.writeU32(BASE, 5);
    expect(before - engine.memory.freePages).toBe(2);
    expect(memory.readU32(BASE + PAGE_BYTES)).toBe(0);
  });

  test("a store tells the engine that the page of zeros is gone", () => {
    map({});
    memory.readU8(BASE);
    memory.writeU8(BASE, 1);
    expect((space.engine as FakeContext).invalidations).toContainEqual([BASE, PAGE_BYTES]);
  });

  test("faults tell what is wrong", () => {
    map({ protection: 1 });
    expect(space.translate(BASE, 1)).toBe(FAULT_PROTECTION);
    expect(space.translate(BASE, 2)).toBe(FAULT_PROTECTION);
    expect(space.translate(BASE + PAGE_BYTES, 0)).toBe(FAULT_UNMAPPED);
    expect(space.translate(2 ** 47, 0)).toBe(FAULT_UNMAPPED);
  });

  test("memory that is not there is a fault, and what was mapped stays whole", () => {
    makeSpace(4);
    map({ length: 16 * PAGE_BYTES, flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | 0x4000 });
    let result = 0;
    for (let page = 0; page < 16 && result >= 0; page++) result = space.translate(BASE + page * PAGE_BYTES, 1);
    expect(result).toBe(FAULT_OUT_OF_MEMORY);
    space.release();
    expect(engine.memory.freePages).toBe(4);
  });
});

describe("fork", () => {
  test("private pages are copied by the first that writes, shared ones never", () => {
    const shared = BASE + 64 * PAGE_BYTES;
    map({});
    map({ address: shared, flags: MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, file: sharedAnonymous(cache, PAGE_BYTES) });
    memory.writeU32(BASE, 1);
    memory.writeU32(shared, 1);
    const child = space.fork();
    const childMemory = new GuestMemory(child);
    expect(space.translate(BASE, 0) & TRANSLATION_WRITABLE).toBe(0);
    childMemory.writeU32(BASE, 2);
    childMemory.writeU32(shared, 2);
    expect([memory.readU32(BASE), childMemory.readU32(BASE), memory.readU32(shared)]).toEqual([1, 2, 2]);
    // The last owner of a page writes to it in place.
    const page = space.translate(BASE, 0) >> 2;
    expect(space.translate(BASE, 1) >> 2).toBe(page);
    child.release();
    space.release();
    expect(engine.memory.freePages).toBe(256);
  });

  test("MADV_DONTFORK and MADV_WIPEONFORK", () => {
    map({ length: 2 * PAGE_BYTES });
    memory.writeU32(BASE, 1);
    memory.writeU32(BASE + PAGE_BYTES, 1);
    adviseMemory(space, BASE, PAGE_BYTES, 10);
    adviseMemory(space, BASE + PAGE_BYTES, PAGE_BYTES, 18);
    const child = space.fork();
    expect(child.translate(BASE, 0)).toBe(FAULT_UNMAPPED);
    expect(new GuestMemory(child).readU32(BASE + PAGE_BYTES)).toBe(0);
  });
});

describe("files", () => {
  const content = Uint8Array.from({ length: 3 * PAGE_BYTES - 100 }, (_, index) => index % 251);

  test("two spaces share the file's pages; a private write is nobody else's", () => {
    const source = new FakeSource("/lib", content.slice());
    map({ length: 3 * PAGE_BYTES, flags: MAP_PRIVATE | MAP_FIXED, file: cache.file(source) });
    const other = new AddressSpace(LAYOUT_X86_64, frames, cache);
    mapMemory(other, {
      address: 0x70_0000,
      length: PAGE_BYTES,
      protection: 5,
      flags: MAP_PRIVATE | MAP_FIXED,
      file: cache.file(source),
      offset: PAGE_BYTES,
      name: "",
      mayWrite: true,
    });
    expect(space.translate(BASE + PAGE_BYTES, 0) >> 2).toBe(other.translate(0x70_0000, 2) >> 2);
    expect(source.reads).toBe(1);
    expect(memory.readU8(BASE + 5000)).toBe(5000 % 251);
    memory.writeU8(BASE + 5000, 7);
    expect(new GuestMemory(other).readU8(0x70_0000 + 5000 - PAGE_BYTES)).toBe(5000 % 251);
    expect(source.content[5000]).toBe(5000 % 251);
  });

  test("past the last page is SIGBUS, the rest of the last page is zeros", () => {
    map({ length: 4 * PAGE_BYTES, flags: MAP_PRIVATE | MAP_FIXED, file: cache.file(new FakeSource("/f", content)) });
    expect(memory.readU8(BASE + 3 * PAGE_BYTES - 1)).toBe(0);
    expect(space.translate(BASE + 3 * PAGE_BYTES, 0)).toBe(FAULT_BUS);
  });

  test("a shared mapping is written back, and noticed again after that", () => {
    const source = new FakeSource("/f", content.slice());
    map({ length: PAGE_BYTES, flags: MAP_SHARED | MAP_FIXED, file: cache.file(source) });
    memory.writeU8(BASE, 99);
    expect(source.content[0]).toBe(0);
    cache.flush(source);
    expect(source.content[0]).toBe(99);
    memory.writeU8(BASE, 98);
    unmapMemory(space, BASE, PAGE_BYTES);
    expect(source.content[0]).toBe(98);
  });

  test("write(2) shows in mappings; truncation takes their pages away", () => {
    const source = new FakeSource("/f", content.slice());
    map({ length: 3 * PAGE_BYTES, flags: MAP_SHARED | MAP_FIXED, file: cache.file(source) });
    expect(memory.readU8(BASE + 2 * PAGE_BYTES)).toBe((2 * PAGE_BYTES) % 251);
    cache.write(source, 2 * PAGE_BYTES, Uint8Array.of(77));
    expect(memory.readU8(BASE + 2 * PAGE_BYTES)).toBe(77);
    source.content = source.content.slice(0, 100);
    cache.truncate(source, 100);
    expect(space.translate(BASE + 2 * PAGE_BYTES, 0)).toBe(FAULT_BUS);
    expect(memory.readU8(BASE + 100)).toBe(0);
  });

  test("clean cached pages are given back when memory runs out", () => {
    makeSpace(6);
    const source = new FakeSource("/f", content);
    map({ length: 3 * PAGE_BYTES, flags: MAP_PRIVATE | MAP_FIXED, file: cache.file(source) });
    for (let page = 0; page < 3; page++) memory.readU8(BASE + page * PAGE_BYTES);
    unmapMemory(space, BASE, 3 * PAGE_BYTES);
    expect(engine.memory.freePages).toBe(3);
    map({ length: 6 * PAGE_BYTES });
    for (let page = 0; page < 6; page++) memory.writeU8(BASE + page * PAGE_BYTES, 1);
    expect(cache.isCached(source)).toBe(false);
  });
});

describe("mmap, mprotect, mremap, brk", () => {
  test("placement goes down from mmap_base, and fills holes", () => {
    const first = map({ address: 0, flags: MAP_PRIVATE | MAP_ANONYMOUS, length: 4 * PAGE_BYTES });
    expect(first).toBe(LAYOUT_X86_64.mmapBase - 4 * PAGE_BYTES);
    const second = map({ address: 0, flags: MAP_PRIVATE | MAP_ANONYMOUS });
    expect(second).toBe(first - PAGE_BYTES);
    unmapMemory(space, first + PAGE_BYTES, PAGE_BYTES);
    expect(map({ address: 0, flags: MAP_PRIVATE | MAP_ANONYMOUS })).toBe(first + PAGE_BYTES);
  });

  test("bad arguments", () => {
    expect(map({ address: BASE + 1 })).toBe(-EINVAL);
    expect(map({ length: 0 })).toBe(-EINVAL);
    expect(map({ length: 2 ** 48 })).toBe(-ENOMEM);
    map({});
    expect(map({ flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE })).toBe(-EEXIST);
    expect(unmapMemory(space, BASE + 1, PAGE_BYTES)).toBe(-EINVAL);
    expect(protectMemory(space, BASE, 2 * PAGE_BYTES, 1)).toBe(-ENOMEM);
  });

  test("a shared mapping of a file open for reading never becomes writable", () => {
    map({
      flags: MAP_SHARED | MAP_FIXED,
      protection: 1,
      file: cache.file(new FakeSource("/f", new Uint8Array(10))),
      mayWrite: false,
    });
    expect(protectMemory(space, BASE, PAGE_BYTES, 3)).toBe(-EACCES);
  });

  test("changing protection splits and joins mappings", () => {
    map({ length: 3 * PAGE_BYTES });
    memory.writeU8(BASE + PAGE_BYTES, 1);
    protectMemory(space, BASE + PAGE_BYTES, PAGE_BYTES, 1);
    expect(space.mappings.length).toBe(3);
    expect(space.translate(BASE + PAGE_BYTES, 1)).toBe(FAULT_PROTECTION);
    protectMemory(space, BASE + PAGE_BYTES, PAGE_BYTES, 3);
    expect(space.mappings.length).toBe(1);
    expect(memory.readU8(BASE + PAGE_BYTES)).toBe(1);
    protectMemory(space, BASE, 3 * PAGE_BYTES, 0);
    expect(space.translate(BASE + PAGE_BYTES, 0)).toBe(FAULT_PROTECTION);
  });

  test("mremap grows in place, or moves with its contents", () => {
    map({ length: 2 * PAGE_BYTES });
    memory.writeU32(BASE + 4, 42);
    expect(remapMemory(space, BASE, 2 * PAGE_BYTES, 3 * PAGE_BYTES, 0, 0)).toBe(BASE);
    map({ address: BASE + 3 * PAGE_BYTES, protection: 1 });
    expect(remapMemory(space, BASE, 3 * PAGE_BYTES, 4 * PAGE_BYTES, 0, 0)).toBe(-ENOMEM);
    const moved = remapMemory(space, BASE, 3 * PAGE_BYTES, 4 * PAGE_BYTES, 1, 0);
    expect(memory.readU32(moved + 4)).toBe(42);
    expect(space.translate(BASE, 0)).toBe(FAULT_UNMAPPED);
    expect(remapMemory(space, moved, 4 * PAGE_BYTES, PAGE_BYTES, 0, 0)).toBe(moved);
    expect(space.translate(moved + PAGE_BYTES, 0)).toBe(FAULT_UNMAPPED);
  });

  test("the break moves, and stops before what is mapped", () => {
    space.breakStart = space.breakEnd = BASE;
    expect(moveBreak(space, BASE + 100)).toBe(BASE + 100);
    memory.writeU8(BASE + 99, 1);
    map({ address: BASE + 4 * PAGE_BYTES });
    expect(moveBreak(space, BASE + 5 * PAGE_BYTES)).toBe(BASE + 100);
    expect(moveBreak(space, BASE)).toBe(BASE);
    expect(space.translate(BASE, 0)).toBe(FAULT_UNMAPPED);
  });

  test("a stack grows down to its limit and keeps away from what is below", () => {
    const top = 0x1000_0000;
    map({ address: top - PAGE_BYTES, flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN });
    expect(space.translate(top - 100 * PAGE_BYTES, 1)).toBeGreaterThan(0);
    expect(space.translate(top - 9 * 1024 * 1024, 1)).toBe(FAULT_UNMAPPED);
    map({ address: top - 200 * PAGE_BYTES });
    expect(space.translate(top - 150 * PAGE_BYTES, 1)).toBe(FAULT_UNMAPPED);
  });

  test("residency counts what is in the page cache too", () => {
    const source = new FakeSource("/f", new Uint8Array(2 * PAGE_BYTES));
    cache.file(source).page(1);
    map({ length: 2 * PAGE_BYTES, flags: MAP_PRIVATE | MAP_FIXED, protection: 1, file: cache.file(source) });
    expect(residency(space, BASE, 2 * PAGE_BYTES)).toEqual(Uint8Array.of(0, 1));
  });
});

test("any sequence of calls keeps every page accounted for", () => {
  const page = fc.integer({ min: 0, max: 31 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant("map" as const), page, count: fc.integer({ min: 1, max: 8 }), shared: fc.boolean() }),
    fc.record({ kind: fc.constant("unmap" as const), page, count: fc.integer({ min: 1, max: 8 }) }),
    fc.record({
      kind: fc.constant("protect" as const),
      page,
      count: fc.integer({ min: 1, max: 8 }),
      protection: fc.integer({ min: 0, max: 7 }),
    }),
    fc.record({ kind: fc.constant("touch" as const), page, access: fc.constantFrom(0 as const, 1 as const) }),
    fc.record({ kind: fc.constant("move" as const), page, count: fc.integer({ min: 1, max: 4 }), to: page }),
    fc.record({ kind: fc.constant("fork" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      makeSpace(512);
      const spaces = [space];
      const at = (index: number): number => BASE + index * PAGE_BYTES;
      for (const action of steps) {
        if (action.kind === "fork") {
          if (spaces.length < 4) spaces.push(spaces[0].fork());
          continue;
        }
        if (action.kind === "touch") {
          for (const each of spaces) each.translate(at(action.page), action.access);
        } else if (action.kind === "map") {
          const length = action.count * PAGE_BYTES;
          map({
            address: at(action.page),
            length,
            flags: (action.shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_FIXED,
            file: action.shared ? sharedAnonymous(cache, length) : null,
          });
        } else if (action.kind === "unmap") {
          unmapMemory(space, at(action.page), action.count * PAGE_BYTES);
        } else if (action.kind === "protect") {
          protectMemory(space, at(action.page), action.count * PAGE_BYTES, action.protection);
        } else {
          remapMemory(space, at(action.page), action.count * PAGE_BYTES, action.count * PAGE_BYTES, 3, at(action.to));
        }
        for (const each of spaces) {
          let bytes = 0;
          let previous = 0;
          for (const mapping of each.mappings) {
            expect(mapping.start).toBeGreaterThanOrEqual(previous);
            expect(mapping.end).toBeGreaterThan(mapping.start);
            previous = mapping.end;
            bytes += mapping.end - mapping.start;
          }
          expect(each.mappings.bytes).toBe(bytes);
          expect(each.table.countIn(BASE, BASE + 64 * PAGE_BYTES)).toBe(each.residentPages);
        }
      }
      for (const each of spaces) each.release();
      // Only the page of zeros may be left.
      expect(engine.memory.totalPages - engine.memory.freePages).toBeLessThanOrEqual(1);
    }),
    { numRuns: 300 },
  );
});
