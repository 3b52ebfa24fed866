/** Twins in WebAssembly against those in JavaScript: random bytes at random places, pages that are there or not. */
import * as fc from "fast-check";
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { BASE, CONTEXT, PAGE, PAGES, TwinMachine } from "../testing/twin-machine.ts";
import { type WasmTwinName, wasmTwinNames } from "./twins.ts";

const LAST = PAGES * PAGE;

/** What C says, over the same memory; undefined where it touches a page that is not there. */
function expected(
  machine: TwinMachine,
  name: WasmTwinName,
  to: number,
  other: number,
  count: number,
): bigint | undefined {
  class Missing extends Error {}
  const at = (place: number): number => {
    if (place >= LAST || !machine.readable(place >> 12)) throw new Missing();
    return machine.get(place);
  };
  const find = (limit: number, matches: (byte: number) => boolean): number => {
    for (let index = 0; index < limit; index++) if (matches(at(to + index))) return index;
    return limit;
  };
  const compare = (limit: number, strings: boolean): bigint => {
    for (let index = 0; index < limit; index++) {
      const [a, b] = [at(to + index), at(other + index)];
      if (a !== b) return BigInt.asUintN(32, BigInt(a - b));
      if (strings && a === 0) return 0n;
    }
    return 0n;
  };
  const place = (distance: number): bigint => BASE + BigInt(to + distance);
  const byte = other & 0xff;
  try {
    switch (name) {
      case "strlen":
        return BigInt(find(Infinity, (one) => one === 0));
      case "strnlen":
        return BigInt(find(other, (one) => one === 0));
      case "strchrnul":
        return place(find(Infinity, (one) => one === byte || one === 0));
      case "strchr": {
        const distance = find(Infinity, (one) => one === byte || one === 0);
        return at(to + distance) === byte ? place(distance) : 0n;
      }
      case "memchr": {
        const distance = find(count, (one) => one === byte);
        return distance < count ? place(distance) : 0n;
      }
      case "memcmp":
        return compare(count, false);
      case "strcmp":
        return compare(Infinity, true);
      case "strncmp":
        return compare(count, true);
      default:
        throw new Error(name);
    }
  } catch (error) {
    if (error instanceof Missing) return undefined;
    throw error;
  }
}

const place = fc.oneof(
  fc.nat({ max: LAST - 1 }),
  fc
    .tuple(fc.nat({ max: PAGES - 1 }), fc.integer({ min: -70, max: 70 }))
    .map(([page, offset]) => Math.max(0, page * PAGE + offset)),
);
const length = fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 9000 }));
const [moves, searches] = [
  ["memcpy", "memmove", "mempcpy"],
  wasmTwinNames.filter((name) => name.startsWith("str") || name === "memchr" || name === "memcmp"),
] as const;

describe("twins in WebAssembly", () => {
  test("B8 what they find is what C says, also across pages; what cannot be read goes on to JavaScript", () => {
    const machine = new TwinMachine();
    fc.assert(
      fc.property(
        fc.constantFrom(...searches),
        place,
        place,
        length,
        fc.nat({ max: 255 }),
        fc.array(fc.tuple(place, fc.nat({ max: 255 })), { maxLength: 6 }),
        fc.option(fc.nat({ max: PAGES - 1 })),
        (name, to, from, count, byte, marks, missing) => {
          for (let at = 0; at < LAST; at += 1) machine.put(at, 7);
          for (const [at, value] of marks) machine.put(Math.min(at, LAST - 1), value);
          machine.bytes.fill(0, CONTEXT, CONTEXT + 1024);
          machine.readable = (page) => page !== missing;
          const takesByte = name === "memchr" || name.startsWith("strchr");
          const other = takesByte ? byte : name === "strnlen" ? count : from;
          const second = takesByte || name === "strnlen" ? BigInt(other) : BASE + BigInt(other);
          const result = machine.call(name, BASE + BigInt(to), second, BigInt(count));
          expect(result).toBe(expected(machine, name, to, other, count));
        },
      ),
      { numRuns: 300 },
    );
  });

  test("B7 copies and fills write all, or nothing where a page may not simply be written", () => {
    const machine = new TwinMachine();
    fc.assert(
      fc.property(
        fc.constantFrom(...moves, "memset" as const),
        place,
        place,
        length,
        fc.option(fc.nat({ max: PAGES - 1 })),
        (name, to, from, count, missing) => {
          for (let at = 0; at < LAST; at++) machine.put(at, (at * 31) & 0xff);
          machine.bytes.fill(0, CONTEXT, CONTEXT + 1024);
          machine.readable = () => true;
          machine.writable = (page) => page !== missing;
          const before = Array.from({ length: LAST }, (_, at) => machine.get(at));
          const second = name === "memset" ? BigInt(from) : BASE + BigInt(from);
          const result = machine.call(name, BASE + BigInt(to), second, BigInt(count));
          const touched = (start: number): number[] =>
            count === 0
              ? []
              : Array.from(
                  { length: ((start + count - 1) >> 12) - (start >> 12) + 1 },
                  (_, index) => (start >> 12) + index,
                );
          const fits = touched(to).every((page) => page < PAGES && page !== missing);
          const readable = name === "memset" || touched(from).every((page) => page < PAGES);
          const overlaps = name !== "memset" && to >= from && to < from + count;
          const wanted = before.slice();
          const goes = fits && readable && !overlaps;
          for (let index = 0; index < (goes ? count : 0); index++)
            wanted[to + index] = name === "memset" ? from & 0xff : before[from + index];
          expect(result).toBe(goes ? BASE + BigInt(to + (name === "mempcpy" ? count : 0)) : undefined);
          expect(
            Buffer.from(Array.from({ length: LAST }, (_, at) => machine.get(at))).equals(Buffer.from(wanted)),
          ).toBe(true);
        },
      ),
      { numRuns: 120 },
    );
  });

  test("B8 checksums are those of zlib, or JavaScript's where not all can be read", () => {
    const machine = new TwinMachine();
    for (let at = 0; at < LAST; at++) machine.put(at, (at * 31 + (at >> 7) * 17) & 0xff);
    const bytes = Uint8Array.from({ length: LAST }, (_, at) => machine.get(at));
    const adler32 = (sum: number, from: number, count: number): bigint => {
      let [a, b] = [sum & 0xffff, sum >>> 16];
      for (let at = from; at < from + count; at++) {
        a = (a + bytes[at]) % 65521;
        b = (b + a) % 65521;
      }
      return BigInt((((b % 65521) << 16) | (a % 65521)) >>> 0);
    };
    fc.assert(
      fc.property(
        fc.constantFrom("crc32", "crc32_z", "adler32", "adler32_z"),
        fc.nat({ max: 0xffff_ffff }),
        place,
        length.filter((count) => count > 0),
        fc.option(fc.nat({ max: PAGES - 1 })),
        (name, sum, from, count, missing) => {
          machine.bytes.fill(0, CONTEXT, CONTEXT + 1024);
          machine.readable = (page) => page !== missing;
          const last = (from + count - 1) >> 12;
          const whole = last < PAGES && (missing === null || missing < from >> 12 || missing > last);
          // What is above the parameter's 32 bits is anybody's.
          const dirt = 1n << 40n;
          const result = machine.call(
            name,
            BigInt(sum) + dirt,
            BASE + BigInt(from),
            BigInt(count) + (name.endsWith("_z") ? 0n : dirt),
          );
          const wanted = name.startsWith("crc")
            ? BigInt(crc32(bytes.subarray(from, from + count), sum))
            : adler32(sum, from, count);
          expect(result).toBe(whole ? wanted : undefined);
        },
      ),
      { numRuns: 300 },
    );
    machine.readable = () => true;
    // The largest sums there are on a page.
    for (let at = 0; at < LAST; at++) machine.put(at, 0xff);
    bytes.fill(0xff);
    expect(machine.call("adler32_z", 0xfff0_fff0n, BASE, BigInt(LAST))).toBe(adler32(0xfff0_fff0, 0, LAST));
    expect(machine.spent).toBe(LAST / 1024);
  });

  test("long strings are left to JavaScript, which looks at the time", () => {
    const machine = new TwinMachine();
    machine.bytes.fill(1);
    machine.bytes.fill(0, CONTEXT, CONTEXT + 1024);
    expect(machine.call("strlen", BASE, 0n)).toBeUndefined();
    expect(machine.call("memset", BASE, 0n, 65537n)).toBeUndefined();
    expect(machine.slow).toBe(2);
  });
});
