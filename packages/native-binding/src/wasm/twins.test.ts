/** Twins in WebAssembly against those in JavaScript: random bytes at random places, pages that are there or not. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { wasmTwinModule, type WasmTwinName, wasmTwinNames } from "./twins.ts";

const PAGE = 4096;
const PAGES = 16;
const CONTEXT = 15 * PAGE * PAGES;
const REGISTERS = 64;
const OUTCOME = 32;
const TLB = { offset: 256, indexBits: 4, entryShift: 5, readTag: 0, writeTag: 8, addend: 16 };
const [RAX, RDX, RSI, RDI] = [0, 2, 6, 7];
const RETURNED = 1n;
/** Virtual page n is physical page 2n + 1: neighbours are not neighbours in memory. */
const physical = (page: number): number => 2 * page + 1;
const BASE = 0x7fff_0000_0000n;

class Machine {
  readonly memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: 16, maximum: 16 });
  readonly bytes: Uint8Array = new Uint8Array(this.memory.buffer);
  readonly view: DataView = new DataView(this.memory.buffer);
  readonly exports: Record<string, CallableFunction>;
  readable: (page: number) => boolean = () => true;
  writable: (page: number) => boolean = () => true;
  slow = 0;

  constructor() {
    const module = new WebAssembly.Module(
      wasmTwinModule({ memoryPages: 16, tlb: TLB, registers: REGISTERS, outcome: OUTCOME }),
    );
    const e = {
      memory: this.memory,
      translate: (_context: number, low: number, high: number, write: number) => this.translate(low, high, write !== 0),
      slow: () => {
        this.slow++;
        return 0;
      },
    };
    this.exports = new WebAssembly.Instance(module, { e }).exports as Record<string, CallableFunction>;
  }

  private translate(low: number, high: number, write: boolean): number {
    const address = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    const page = Number((address - BASE) >> 12n);
    if (page < 0 || page >= PAGES || !(write ? this.writable(page) : this.readable(page))) return 0;
    const host = physical(page) * PAGE;
    const entry = CONTEXT + TLB.offset + (((low >>> 12) & 15) << TLB.entryShift);
    const tag = address & ~4095n;
    this.view.setBigUint64(entry, this.readable(page) ? tag : 1n << 12n, true);
    this.view.setBigUint64(entry + 8, this.writable(page) ? tag : 1n << 12n, true);
    this.view.setInt32(entry + 16, (host - Number(BigInt.asIntN(32, tag))) | 0, true);
    return host + (low & 4095);
  }

  /** RAX, or undefined when the call went on to JavaScript. */
  call(name: WasmTwinName, rdi: bigint, rsi: bigint, rdx = 0n): bigint | undefined {
    const register = (n: number, value: bigint): void =>
      this.view.setBigUint64(CONTEXT + REGISTERS + 8 * n, BigInt.asUintN(64, value), true);
    register(RDI, rdi);
    register(RSI, rsi);
    register(RDX, rdx);
    this.view.setInt32(CONTEXT + OUTCOME, 0, true);
    if (this.exports[name](CONTEXT, 0) !== 0) throw new Error(`${name} wants to leave`);
    if (BigInt(this.view.getInt32(CONTEXT + OUTCOME, true)) !== RETURNED) return undefined;
    return this.view.getBigUint64(CONTEXT + REGISTERS + 8 * RAX, true);
  }

  get(at: number): number {
    return this.bytes[physical(at >> 12) * PAGE + (at & 4095)];
  }
  put(at: number, value: number): void {
    this.bytes[physical(at >> 12) * PAGE + (at & 4095)] = value;
  }
}

const LAST = PAGES * PAGE;

/** What C says, over the same memory; undefined where it touches a page that is not there. */
function expected(machine: Machine, name: WasmTwinName, to: number, other: number, count: number): bigint | undefined {
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
    const machine = new Machine();
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
    const machine = new Machine();
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

  test("long strings are left to JavaScript, which looks at the time", () => {
    const machine = new Machine();
    machine.bytes.fill(1);
    machine.bytes.fill(0, CONTEXT, CONTEXT + 1024);
    expect(machine.call("strlen", BASE, 0n)).toBeUndefined();
    expect(machine.call("memset", BASE, 0n, 65537n)).toBeUndefined();
    expect(machine.slow).toBe(2);
  });
});
