import * as fc from "fast-check";
import { expect, test } from "vitest";
import { UnitArchive } from "./unit-archive.ts";

const PAGE_WORDS = 1024;
const GRANULE = 64;
/** Every byte counts. */
const ALL: readonly number[] = [-1, -1, -1, -1];

const unit = fc.record({
  mode: fc.nat(200),
  page: fc.nat(3),
  granule: fc.nat(62),
  granules: fc.integer({ min: 1, max: 2 }),
  inGranule: fc.nat(GRANULE - 1),
  other: fc.option(fc.nat(3), { nil: undefined }),
  bytes: fc.uint8Array({ minLength: 8, maxLength: 300 }),
  relocations: fc.array(fc.integer(), { maxLength: 3 }),
});

function described({ page, granule, granules, inGranule, other, bytes, relocations }: Parameters<typeof parts>[0]) {
  return {
    page,
    offset: granule * GRANULE + inGranule,
    parts: parts({ page, granule, granules, other, bytes, relocations, inGranule }),
  };
}

function parts({
  page,
  granule,
  granules,
  other,
  bytes,
  relocations,
}: {
  page: number;
  granule: number;
  granules: number;
  inGranule: number;
  other: number | undefined;
  bytes: Uint8Array;
  relocations: number[];
}) {
  const start = granule * GRANULE;
  const own = { distance: 0, page, start, end: start + granules * GRANULE, bits: ALL };
  const sources =
    other === undefined ? [own] : [own, { distance: other - page, page: other, start: 0, end: GRANULE, bits: ALL }];
  return {
    start: 0,
    length: bytes.length,
    ignoredMode: 0,
    relocations: relocations.flatMap((to, index) => [4 * index, to]),
    fields: [],
    sources,
  };
}

const memoryOf = (seed: number): Int32Array =>
  Int32Array.from({ length: 4 * PAGE_WORDS }, (_, at) => Math.imul(at + seed, 0x9e3779b1));

test("a unit is found, also in another run, for as long as each byte is what it was made from", () => {
  fc.assert(
    fc.property(fc.array(unit, { minLength: 1, maxLength: 40 }), fc.nat(), (units, pick) => {
      const memory = memoryOf(1);
      const archive = new UnitArchive();
      for (const one of units) {
        const { page, offset, parts: known } = described(one);
        archive.add(memory, one.mode, page, offset, known, one.bytes);
      }
      const later = new UnitArchive();
      later.load(archive.contents().slice());
      const last = units[units.length - 1];
      const { page, offset, parts: known } = described(last);
      const find = () => later.find(memory, last.mode, page, offset, (distance) => page + distance);
      const found = find()!;
      const sources = known.sources.map(({ distance, page: at, start, end }) => ({ distance, page: at, start, end }));
      expect(found).toMatchObject({ length: known.length, relocations: known.relocations, sources });
      expect(later.bytes.slice(found.start, found.start + found.length)).toEqual(last.bytes);
      // One bit of what it was made from.
      const source = known.sources[pick % known.sources.length];
      const at = source.page * PAGE_WORDS + source.start / 4 + (pick % (GRANULE / 4));
      memory[at] ^= 1 << (pick % 32);
      expect(find()).toBeUndefined();
    }),
  );
});

test("one of another mode that it goes by, or on pages that are not there, is not found", () => {
  const memory = memoryOf(2);
  const archive = new UnitArchive();
  const sources = [
    { distance: 0, page: 1, start: 0, end: GRANULE, bits: ALL },
    { distance: 1, page: 2, start: 0, end: GRANULE, bits: ALL },
  ];
  archive.add(
    memory,
    6,
    1,
    8,
    { start: 0, length: 4, ignoredMode: 8, relocations: [], fields: [], sources },
    Uint8Array.of(1, 2, 3, 4),
  );
  expect(archive.find(memory, 6, 1, 8, (distance) => 1 + distance)).toBeDefined();
  expect(archive.find(memory, 6 + 8, 1, 8, (distance) => 1 + distance)).toBeDefined();
  expect(archive.find(memory, 7, 1, 8, (distance) => 1 + distance)).toBeUndefined();
  expect(archive.find(memory, 6, 1, 8, (distance) => (distance === 0 ? 1 : -1))).toBeUndefined();
});

test("an archive that is full takes no more", () => {
  const memory = memoryOf(3);
  const archive = new UnitArchive((1 << 16) + 200);
  const sources = [{ distance: 0, page: 0, start: 0, end: GRANULE, bits: ALL }];
  for (let mode = 0; mode < 10; mode++)
    archive.add(
      memory,
      mode,
      0,
      0,
      { start: 0, length: 20, ignoredMode: 0, relocations: [], fields: [], sources },
      new Uint8Array(20),
    );
  expect(archive.added).toBe(1);
  expect(archive.contents().byteLength).toBeLessThanOrEqual((1 << 16) + 200);
});

test("bytes that do not count may be anything; a field's value comes with the unit, if it is of the kind it was made for", () => {
  const address = fc.integer({ min: -(2 ** 31), max: -(2 ** 24) - 1 });
  fc.assert(
    fc.property(fc.nat(GRANULE - 4), address, fc.integer(), fc.nat(GRANULE - 1), (at, was, is, entry) => {
      fc.pre(entry < at || entry >= at + 4);
      const page = 1;
      const memory = memoryOf(4);
      const bytes = new DataView(memory.buffer);
      const place = page * PAGE_WORDS * 4 + at;
      bytes.setInt32(place, was, true);
      const bits = [-1, -1];
      for (let byte = at; byte < at + 4; byte++) bits[byte >> 5] &= ~(1 << (byte & 31));
      const archive = new UnitArchive();
      const sources = [{ distance: 0, page, start: 0, end: GRANULE, bits }];
      const made = { start: 0, length: 8, ignoredMode: 0, relocations: [], fields: [4, at - entry], sources };
      archive.add(memory, 0, page, entry, made, new Uint8Array(8));
      bytes.setInt32(place, is, true);
      const found = archive.find(memory, 0, page, entry, (distance) => page + distance);
      expect(found?.fields).toEqual(is < -(2 ** 24) ? [4, is] : undefined);
    }),
  );
});
