import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PAGE_BYTES, SoftTlb, softTlbShape, TLB_INDEX_BITS } from "./index.ts";

const BASE = 128;
const PAGE_SHIFT = 12n;

/** A TLB, and what emitted code does with it: the one comparison, in 64 bits. */
class Checked {
  readonly words: Int32Array = new Int32Array((BASE + softTlbShape.bytes) / 4);
  readonly view: DataView = new DataView(this.words.buffer);
  readonly tlb: SoftTlb = new SoftTlb(this.words, BASE);

  /** The host offset that an access of so many bytes hits, or undefined. */
  lookUp(address: bigint, size: number, write: boolean): number | undefined {
    const { indexBits, entryShift, readTag, writeTag, addend, pageShift } = softTlbShape;
    const index = Number((address >> BigInt(pageShift)) & BigInt((1 << indexBits) - 1));
    const at = BASE + (index << entryShift) + (write ? writeTag : readTag);
    const tag = this.view.getBigUint64(at, true);
    if ((address ^ tag) >= BigInt(PAGE_BYTES - size + 1)) return undefined;
    return (this.view.getInt32(at + addend, true) + low(address)) | 0;
  }

  fill(page: bigint, host: number, rights: string): void {
    const address = BigInt.asUintN(64, page << PAGE_SHIFT);
    this.tlb.fill(low(address), high(address), host, rights.includes("r"), rights.includes("w"), rights.includes("g"));
  }
}

const low = (address: bigint): number => Number(BigInt.asIntN(32, address));
const high = (address: bigint): number => Number(BigInt.asIntN(32, address >> 32n));
const sizes = [1, 2, 4, 8, 16];
const ENTRIES = 1n << BigInt(TLB_INDEX_BITS);

/** Pages that share indices, at both ends of the address space and on both sides of the canonical hole. */
const pages: readonly bigint[] = [
  0n,
  1n,
  2n,
  ENTRIES - 1n,
  ENTRIES,
  ENTRIES + 1n,
  5n * ENTRIES,
  0x7_ffff_ffffn,
  0x8_0000_0000n,
  0xf_ffff_ffffn,
  0xf_ffff_ffff_ffffn,
  0x8_0000_0000_0000n,
];
const pageOf = fc.constantFrom(...pages);

describe("a page that is guarded", () => {
  const PAGE = 7n;
  const HOST = 0x5000;
  const isByGranule = ({ view }: Checked): boolean => {
    const { entryShift, writeTag, state, byGranule } = softTlbShape;
    return (view.getInt32(BASE + (Number(PAGE) << entryShift) + writeTag + state, true) & byGranule) !== 0;
  };

  test("is written by granule, if it could be written", () => {
    for (const rights of ["rw", "r"]) {
      const one = new Checked();
      one.fill(PAGE, HOST, rights);
      one.tlb.dropWrites(HOST + PAGE_BYTES);
      expect(isByGranule(one)).toBe(false);
      one.tlb.dropWrites(HOST);
      one.tlb.dropWrites(HOST);
      expect(isByGranule(one)).toBe(rights === "rw");
      expect(one.lookUp(PAGE << PAGE_SHIFT, 1, true)).toBeUndefined();
      expect(one.lookUp(PAGE << PAGE_SHIFT, 1, false)).toBe(HOST);
    }
  });

  test("is not once all rights to write are taken, or when another page has its entry", () => {
    const address = Number(PAGE << PAGE_SHIFT);
    for (const take of [
      ({ tlb }: Checked) => tlb.flushWrites(),
      ({ tlb }: Checked) => tlb.flush(),
      (one: Checked) => one.fill(PAGE + ENTRIES, HOST, "rw"),
    ]) {
      const one = new Checked();
      one.tlb.fill(address, 0, HOST, true, true, false, true);
      expect(one.lookUp(PAGE << PAGE_SHIFT, 1, true)).toBeUndefined();
      expect(isByGranule(one)).toBe(true);
      take(one);
      expect(isByGranule(one)).toBe(false);
    }
  });
});

describe("a look-up", () => {
  test("hits exactly the accesses that are wholly on a page that was filled in", () => {
    const one = new Checked();
    one.fill(7n, 0x5000, "rw");
    for (const size of sizes) {
      for (let at = 7 * PAGE_BYTES - 20; at < 8 * PAGE_BYTES + 20; at++) {
        const inside = at >= 7 * PAGE_BYTES && at + size <= 8 * PAGE_BYTES;
        for (const write of [false, true]) {
          expect(one.lookUp(BigInt(at), size, write)).toBe(inside ? 0x5000 + at - 7 * PAGE_BYTES : undefined);
        }
      }
    }
  });

  test("in an empty TLB never hits, at any address", () => {
    const one = new Checked();
    const addresses = [0n, 1n, 4095n, 0x8000_0000_0000_0000n, (1n << 64n) - 1n, (1n << 64n) - 8n, 0x7fff_ffff_ffffn];
    const check = (address: bigint): void => {
      for (const size of sizes)
        for (const write of [false, true]) expect(one.lookUp(address, size, write)).toBeUndefined();
    };
    for (const address of addresses) check(address);
    for (let index = 0n; index < 2n * ENTRIES; index++)
      for (const offset of [0n, 4095n]) check((index << PAGE_SHIFT) + offset);
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), check));
  });
});

type Command =
  | { what: "fill"; page: bigint; rights: string; host: number }
  | { what: "range"; page: bigint; count: number }
  | { what: "drop"; host: number }
  | { what: "flush" }
  | { what: "flush local" }
  | { what: "writes" };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant("fill" as const),
      page: pageOf,
      rights: fc.constantFrom("r", "rw", "w", "", "rg", "rwg"),
      host: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("range" as const),
      page: pageOf,
      count: fc.constantFrom(1, 2, 3, Number(ENTRIES) - 1, Number(ENTRIES), 5000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("drop" as const), host: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.constant({ what: "flush" as const }) },
  { weight: 2, arbitrary: fc.constant({ what: "flush local" as const }) },
  { weight: 1, arbitrary: fc.constant({ what: "writes" as const }) },
);

/** By index: what was filled in last, of what has not been taken back. */
class Model {
  private readonly entries: Map<
    bigint,
    { page: bigint; read: boolean; write: boolean; global: boolean; host: number }
  > = new Map();

  apply(one: Command): void {
    if (one.what === "fill") {
      this.entries.set(one.page % ENTRIES, {
        page: one.page,
        read: one.rights.includes("r"),
        write: one.rights.includes("w"),
        global: one.rights.includes("g"),
        host: one.host,
      });
    } else if (one.what === "flush") this.entries.clear();
    else if (one.what === "writes") for (const entry of this.entries.values()) entry.write = false;
    else {
      for (const [index, entry] of this.entries) {
        // A range may wrap around.
        const isInRange = one.what === "range" && BigInt.asUintN(52, entry.page - one.page) < BigInt(one.count);
        if (isInRange || (one.what === "flush local" && !entry.global)) this.entries.delete(index);
        else if (one.what === "drop" && entry.host === one.host) entry.write = false;
      }
    }
  }

  lookUp(page: bigint, write: boolean): number | undefined {
    const entry = this.entries.get(page % ENTRIES);
    return entry !== undefined && entry.page === page && (write ? entry.write : entry.read)
      ? entry.host * PAGE_BYTES
      : undefined;
  }
}

test("fills, flushes and dropped rights leave what a naive model leaves", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 25 }), (list) => {
      const one = new Checked();
      const model = new Model();
      for (const next of list) {
        model.apply(next);
        if (next.what === "fill") one.fill(next.page, next.host * PAGE_BYTES, next.rights);
        else if (next.what === "range") {
          const address = BigInt.asUintN(64, next.page << PAGE_SHIFT);
          one.tlb.flushRange(low(address), high(address), next.count);
        } else if (next.what === "drop") one.tlb.dropWrites(next.host * PAGE_BYTES);
        else if (next.what === "flush local") one.tlb.flushLocal();
        else if (next.what === "writes") one.tlb.flushWrites();
        else one.tlb.flush();
      }
      for (const page of pages) {
        for (const write of [false, true]) {
          expect([page, write, one.lookUp(page << PAGE_SHIFT, 8, write)]).toEqual([
            page,
            write,
            model.lookUp(page, write),
          ]);
        }
      }
    }),
    { numRuns: 400 },
  );
});

test("pages above 2 GiB lose their writes like others, named by their offset as 32 bits", () => {
  const one = new Checked();
  one.fill(3n, 0xc000_0000, "rw");
  expect(one.lookUp(0x3010n, 8, true)! >>> 0).toBe(0xc000_0010);
  one.tlb.dropWrites(0xc000_0000 | 0);
  expect(one.lookUp(0x3010n, 8, true)).toBeUndefined();
  expect(one.lookUp(0x3010n, 8, false)! >>> 0).toBe(0xc000_0010);
});

test("the shape says how large it is, and nothing beyond is touched", () => {
  const words = new Int32Array((softTlbShape.bytes + 64) / 4).fill(0x5a5a5a5a);
  words.fill(0, 8, (32 + softTlbShape.bytes) / 4);
  const tlb = new SoftTlb(words, 32);
  tlb.fill(-4096, -1, 64, true, true);
  tlb.flushRange(0, 0, 1 << TLB_INDEX_BITS);
  tlb.flush();
  const untouched = (list: Int32Array): boolean => list.every((word) => word === 0x5a5a5a5a);
  expect([untouched(words.subarray(0, 8)), untouched(words.subarray((32 + softTlbShape.bytes) / 4))]).toEqual([
    true,
    true,
  ]);
});
