/** `inflate_fast` over structures that zlib would have made, and over such as it never would. */
import * as fc from "fast-check";
import { constants, deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { BASE, CONTEXT, PAGE, TwinMachine } from "../testing/twin-machine.ts";

// Places in guest memory: some structures lie across pages.
const STREAM = PAGE - 20;
const STATE = 2 * PAGE - 90;
const LENGTHS = 2 * PAGE + 200;
const DISTANCES = 3 * PAGE;
const WINDOW = 4 * PAGE;
const INPUT = 6 * PAGE + 11;
const OUTPUT = 10 * PAGE - 7;
const OUTPUT_BYTES = 5 * PAGE;
const [TYPE, LEN] = [16191, 16200];

/** A code of so many bits, the last of which comes first. */
const reversed = (code: number, bits: number): number =>
  Array.from({ length: bits }, (_, bit) => ((code >> bit) & 1) << (bits - 1 - bit)).reduce((all, bit) => all | bit, 0);

/** zlib's tables for the fixed codes (RFC 1951 section 3.2.6): `value << 16 | bits << 8 | operation`. */
function putFixedTables(machine: TwinMachine): void {
  const put = (table: number, rootBits: number, code: number, bits: number, entry: number): void => {
    for (let at = reversed(code, bits); at < 1 << rootBits; at += 1 << bits)
      machine.write32(table + 4 * at, entry | (bits << 8));
  };
  let base = 3;
  for (let symbol = 0; symbol < 288; symbol++) {
    if (symbol < 144) put(LENGTHS, 9, 0x30 + symbol, 8, symbol << 16);
    else if (symbol < 256) put(LENGTHS, 9, 0x190 + symbol - 144, 9, symbol << 16);
    else if (symbol === 256) put(LENGTHS, 9, 0, 7, 96);
    else {
      const extra = symbol < 265 || symbol >= 285 ? 0 : (symbol - 261) >> 2;
      const entry = symbol > 285 ? 64 : ((symbol === 285 ? 258 : base) << 16) | 16 | extra;
      if (symbol < 280) put(LENGTHS, 9, symbol - 256, 7, entry);
      else put(LENGTHS, 9, 0xc0 + symbol - 280, 8, entry);
      base += 1 << extra;
    }
  }
  base = 1;
  for (let symbol = 0; symbol < 30; symbol++) {
    const extra = symbol < 4 ? 0 : (symbol >> 1) - 1;
    put(DISTANCES, 5, symbol, 5, (base << 16) | 16 | extra);
    base += 1 << extra;
  }
}

interface Start {
  readonly input: Uint8Array;
  readonly availableOut: number;
  /** Bytes that this call of `inflate` has given already, and what is in the window. */
  readonly given: number;
  readonly window: { readonly size: number; readonly have: number; readonly next: number };
  readonly hold: number;
  readonly bits: number;
}

function putStructures(machine: TwinMachine, { input, availableOut, window, hold, bits }: Start): void {
  input.forEach((byte, at) => machine.put(INPUT + at, byte));
  const pointers = [
    [STREAM, INPUT],
    [STREAM + 24, OUTPUT],
    [STREAM + 56, STATE],
    [STATE + 72, WINDOW],
    [STATE + 104, LENGTHS],
    [STATE + 112, DISTANCES],
  ] as const;
  const words = [
    [STREAM + 8, input.length],
    [STREAM + 32, availableOut],
    [STATE + 8, LEN],
    [STATE + 60, window.size],
    [STATE + 64, window.have],
    [STATE + 68, window.next],
    [STATE + 80, hold],
    [STATE + 84, 0],
    [STATE + 88, bits],
    [STATE + 120, 9],
    [STATE + 124, 5],
  ] as const;
  const byte = (at: number, value: bigint, count: number): void => {
    for (let index = 0; index < count; index++) machine.put(at + index, Number((value >> BigInt(8 * index)) & 0xffn));
  };
  for (const [at, place] of pointers) byte(at, BASE + BigInt(place), 8);
  for (const [at, value] of words) byte(at, BigInt(value), 4);
}
const word = (machine: TwinMachine, at: number): number =>
  [0, 1, 2, 3].reduce((sum, index) => sum + machine.get(at + index) * 2 ** (8 * index), 0);

function inflateFast(machine: TwinMachine, { availableOut, given }: Start): "done" | "declined" {
  const result = machine.call("inflate_fast", BASE + BigInt(STREAM), BigInt(availableOut + given));
  return result === undefined ? "declined" : "done";
}

function fresh(): TwinMachine {
  const machine = new TwinMachine();
  putFixedTables(machine);
  return machine;
}

describe("inflate_fast in WebAssembly", () => {
  test("B8 gives what was deflated, and leaves the stream where zlib can go on", () => {
    const machine = fresh();
    const text = fc
      .array(fc.tuple(fc.nat({ max: 255 }), fc.integer({ min: 1, max: 300 }), fc.nat({ max: 40 })), {
        minLength: 30,
        maxLength: 90,
      })
      .map((runs) => {
        // Runs of one byte, runs of a few, and what was there before.
        const bytes: number[] = [];
        for (const [byte, count, step] of runs)
          for (let index = 0; index < count; index++)
            bytes.push(
              step > 20 && bytes.length > 40 * step
                ? bytes[bytes.length - 40 * step]
                : (byte + (index % (step + 1)) * 7) & 0xff,
            );
        return Buffer.from(bytes.slice(0, OUTPUT_BYTES - 300));
      })
      .filter((bytes) => bytes.length > 1000);
    fc.assert(
      fc.property(text, fc.nat({ max: 700 }), (bytes, dictionary) => {
        machine.bytes.fill(0, CONTEXT, CONTEXT + 1024);
        // What comes first is in the window already.
        const known = bytes.subarray(0, dictionary);
        const rest = bytes.subarray(dictionary);
        const deflated = deflateRawSync(rest, {
          strategy: constants.Z_FIXED,
          ...(dictionary === 0 ? {} : { dictionary: known }),
        });
        if (deflated.length >= 3 * PAGE || (deflated[0] & 7) !== 3) return;
        // A ring whose newest byte is in the middle.
        const next = Math.min(100, dictionary);
        known.forEach((byte, at) => machine.put(WINDOW + ((1000 - dictionary + next + at) % 1000), byte));
        const start: Start = {
          input: deflated.subarray(1),
          availableOut: OUTPUT_BYTES,
          given: 0,
          window: { size: 1000, have: dictionary, next },
          hold: deflated[0] >> 3,
          bits: 5,
        };
        putStructures(machine, start);
        for (let at = 0; at < OUTPUT_BYTES; at++) machine.put(OUTPUT + at, 0xaa);
        expect(inflateFast(machine, start)).toBe("done");
        const given = OUTPUT_BYTES - word(machine, STREAM + 32);
        const left = word(machine, STREAM + 8);
        const ended = word(machine, STATE + 8) === TYPE;
        // It looks ahead by so much.
        expect(ended || left <= 24).toBe(true);
        expect(word(machine, STREAM) + left - (Number(BASE & 0xffff_ffffn) + INPUT)).toBe(start.input.length);
        const output = Buffer.from(Array.from({ length: given }, (_, at) => machine.get(OUTPUT + at)));
        expect(output.equals(rest.subarray(0, given))).toBe(true);
        expect(machine.get(OUTPUT + given)).toBe(0xaa);
        // The bits that are left are those of the last byte taken.
        const bits = word(machine, STATE + 88);
        const taken = start.input.length - left;
        expect(bits).toBeLessThan(8);
        const last = taken > 0 ? start.input[taken - 1] : deflated[0];
        expect(word(machine, STATE + 80)).toBe(last >> (8 - bits));
        expect(given === rest.length || !ended).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  test("B7 whatever the structures say, it ends, and writes to the output and the structures alone", () => {
    const machine = new TwinMachine();
    const entry = fc.oneof(
      fc.nat({ max: 0xffff_ffff }),
      // What leads on: literals, lengths and distances without bits, second tables far away.
      fc
        .tuple(
          fc.nat({ max: 0xffff }),
          fc.constantFrom(0, 1, 9, 15, 16, 255),
          fc.constantFrom(0, 1, 9, 15, 16, 20, 31, 64, 96),
        )
        .map(([value, bits, operation]) => ((value << 16) | (bits << 8) | operation) >>> 0),
    );
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: 1, maxLength: 40 }),
        fc.array(entry, { minLength: 1, maxLength: 40 }),
        fc.uint8Array({ minLength: 16, maxLength: 600 }),
        fc.record({
          availableOut: fc.oneof(fc.integer({ min: 200, max: OUTPUT_BYTES }), fc.nat({ max: 0xffff_ffff })),
          given: fc.oneof(fc.nat({ max: 3000 }), fc.nat({ max: 0xffff_ffff })),
          window: fc.record({
            size: fc.nat({ max: 0xffff_ffff }),
            have: fc.oneof(fc.nat({ max: 4000 }), fc.nat({ max: 0xffff_ffff })),
            next: fc.oneof(fc.nat({ max: 4000 }), fc.nat({ max: 0xffff_ffff })),
          }),
          hold: fc.nat({ max: 0xffff_ffff }),
          bits: fc.oneof(fc.nat({ max: 32 }), fc.nat({ max: 0xffff_ffff })),
        }),
        (lengths, distances, input, rest) => {
          machine.bytes.fill(0, CONTEXT, CONTEXT + 1024);
          for (let at = 0; at < 852; at++) machine.write32(LENGTHS + 4 * at, lengths[at % lengths.length]);
          for (let at = 0; at < 592; at++) machine.write32(DISTANCES + 4 * at, distances[at % distances.length]);
          const start = { ...rest, input };
          putStructures(machine, start);
          const before = machine.bytes.slice(0, CONTEXT);
          const result = inflateFast(machine, start);
          const given = result === "declined" ? 0 : start.availableOut - word(machine, STREAM + 32);
          expect(given).toBeLessThanOrEqual(Math.min(start.availableOut, 65536));
          // All is as it was, but for where it may have written.
          const allowed = [
            [STREAM, 36],
            [STATE, 92],
            [OUTPUT, given],
          ] as const;
          for (const [at, count] of result === "declined" ? [] : allowed)
            for (let index = 0; index < count; index++) before[machine.host(at + index)] = machine.get(at + index);
          expect(Buffer.compare(before, machine.bytes.subarray(0, CONTEXT))).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("B7 nothing is written where the output may not be", () => {
    const machine = fresh();
    const bytes = Buffer.alloc(9000, "doppel ");
    const deflated = deflateRawSync(bytes, { strategy: constants.Z_FIXED });
    const start: Start = {
      input: Buffer.concat([deflated.subarray(1), Buffer.alloc(32)]),
      availableOut: OUTPUT_BYTES,
      given: 0,
      window: { size: 0, have: 0, next: 0 },
      hold: deflated[0] >> 3,
      bits: 5,
    };
    putStructures(machine, start);
    machine.writable = (page) => page !== (OUTPUT >> 12) + 1;
    const before = machine.bytes.slice(0, CONTEXT);
    expect(inflateFast(machine, start)).toBe("declined");
    expect(Buffer.compare(before, machine.bytes.subarray(0, CONTEXT))).toBe(0);
    machine.writable = () => true;
    machine.bytes.fill(0, CONTEXT, CONTEXT + 1024);
    expect(inflateFast(machine, start)).toBe("done");
    expect(word(machine, STATE + 8)).toBe(TYPE);
  });
});
