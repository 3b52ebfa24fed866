import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteWriter } from "./byte-writer.ts";

/** LEB128 as the core specification writes it down (5.2.2), with unbounded integers: value and bytes used. */
function unsigned(bytes: Uint8Array, at = 0): [bigint, number] {
  const byte = BigInt(bytes[at]);
  if (byte < 0x80n) return [byte, 1];
  const [rest, length] = unsigned(bytes, at + 1);
  return [0x80n * rest + (byte - 0x80n), length + 1];
}
function signed(bytes: Uint8Array, at = 0): [bigint, number] {
  const byte = BigInt(bytes[at]);
  if (byte < 0x40n) return [byte, 1];
  if (byte < 0x80n) return [byte - 0x80n, 1];
  const [rest, length] = signed(bytes, at + 1);
  return [0x80n * rest + (byte - 0x80n), length + 1];
}

/** Shortest encodings: seven bits a byte, of signed ones one for the sign. */
const unsignedLength = (value: bigint): number => Math.max(1, Math.ceil(value.toString(2).length / 7));
const signedLength = (value: bigint): number => {
  for (let length = 1; ; length++) if (BigInt.asIntN(7 * length, value) === value) return length;
};

function written(write: (writer: ByteWriter) => void, capacity = 1): Uint8Array {
  const writer = new ByteWriter(capacity);
  write(writer);
  return writer.toBytes();
}

const checkU32 = (value: number): void => {
  const bytes = written((writer) => writer.u32(value));
  expect([unsigned(bytes), bytes.length]).toEqual([[BigInt(value), bytes.length], unsignedLength(BigInt(value))]);
};
const checkS32 = (value: number): void => {
  const bytes = written((writer) => writer.s32(value));
  expect([signed(bytes), bytes.length]).toEqual([[BigInt(value), bytes.length], signedLength(BigInt(value))]);
};
const checkS64 = (value: bigint): void => {
  const bytes = written((writer) =>
    writer.s64(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))),
  );
  expect([signed(bytes), bytes.length]).toEqual([[value, bytes.length], signedLength(value)]);
};

describe("LEB128", () => {
  /** All powers of two that fit, and what lies beside them, of both signs. */
  const boundaries = (bits: number): bigint[] =>
    Array.from({ length: bits + 1 }, (_, power) => 1n << BigInt(power)).flatMap((power) => [
      -power - 1n,
      -power,
      1n - power,
      power - 1n,
      power,
      power + 1n,
    ]);

  test("boundaries of u32, s32 and s64", () => {
    for (const value of boundaries(32)) {
      if (BigInt.asUintN(32, value) === value) checkU32(Number(value));
      if (BigInt.asIntN(32, value) === value) checkS32(Number(value));
    }
    for (const value of boundaries(64)) if (BigInt.asIntN(64, value) === value) checkS64(value);
  });

  test("anything", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), checkU32));
    fc.assert(fc.property(fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }), checkS32));
    fc.assert(fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), checkS64), { numRuns: 1000 });
  });
});

test("a writer grows as needed, and keeps what it has", () => {
  const piece = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(fc.array(piece), fc.integer({ min: 1, max: 9 }), (pieces, capacity) => {
      const bytes = written((writer) => {
        for (const one of pieces) {
          if (typeof one === "number") writer.u8(one);
          else writer.raw(one);
        }
      }, capacity);
      expect([...bytes]).toEqual(pieces.flatMap((one) => (typeof one === "number" ? one : [...one])));
    }),
  );
});

test("sized content has its length in front, names theirs", () => {
  const content = Uint8Array.from({ length: 300 }, (_, index) => index & 0xff);
  const bytes = written((writer) => writer.sized(new ByteWriter(1), (inner) => inner.raw(content)));
  expect([...bytes]).toEqual([0xac, 0x02, ...content]);
  expect([...written((writer) => writer.name("env"))]).toEqual([3, 0x65, 0x6e, 0x76]);
});

test("opcodes: one byte, or a prefix and a number", () => {
  expect([...written((writer) => writer.opcode(0x6a))]).toEqual([0x6a]);
  expect([...written((writer) => writer.opcode(0xfc07))]).toEqual([0xfc, 0x07]);
  expect([...written((writer) => writer.opcode(0xfdae))]).toEqual([0xfd, 0xae, 0x01]);
});

test("after a reset nothing is left", () => {
  const writer = new ByteWriter(4);
  writer.raw(Uint8Array.of(1, 2, 3, 4, 5));
  writer.reset();
  writer.u8(9);
  expect([...writer.toBytes()]).toEqual([9]);
});
