import { assert, constantFrom, integer, property, uint8Array } from "fast-check";
import { describe, expect, it } from "vitest";
import { signatureOf, SignatureIndex } from "./code-signature.ts";
import { type ByteSource, readElfFunctions } from "./elf-functions.ts";

function sourceOf(bytes: Uint8Array): ByteSource {
  return {
    sizeBytes: () => bytes.length,
    readAt: (offset, into) => {
      const piece = bytes.subarray(offset, offset + into.length);
      into.set(piece);
      return piece.length;
    },
  };
}

const FUNCTION = 2;
const INDIRECT = 10;
const GLOBAL = 0x10;

/** A 64-bit library with a soname, symbol versions, and code at address 0x10000 that is at 0x400 of the file. */
function library(): Uint8Array {
  const bytes = new Uint8Array(0x600);
  const view = new DataView(bytes.buffer);
  const strings = "\0libtoy.so.1\0copy\0choose\0V1\0V2\0local\0";
  bytes.set(new TextEncoder().encode(strings), 0x200);
  const name = (text: string): number => strings.indexOf(`\0${text}\0`) + 1;
  // Symbols: name, type and binding, section, value, size.
  const symbols = [
    [0, 0, 0, 0, 0],
    [name("copy"), GLOBAL | FUNCTION, 6, 0x10000, 32],
    [name("copy"), GLOBAL | FUNCTION, 6, 0x10040, 16],
    [name("choose"), GLOBAL | INDIRECT, 6, 0x10080, 8],
    [name("local"), FUNCTION, 6, 0x10090, 8],
    [name("choose"), GLOBAL | FUNCTION, 6, 0x1fff0, 8],
  ];
  symbols.forEach(([nameAt, info, section, value, size], index) => {
    const at = 0x280 + 24 * index;
    view.setUint32(at, nameAt, true);
    bytes[at + 4] = info;
    view.setUint16(at + 6, section, true);
    view.setUint32(at + 8, value, true);
    view.setUint32(at + 16, size, true);
    // Versions 2 and 3; the second copy is hidden.
    view.setUint16(0x320 + 2 * index, index === 1 ? 3 : index === 2 ? 0x8002 : 1, true);
  });
  [name("V1"), name("V2")].forEach((nameAt, index) => {
    const at = 0x340 + 28 * index;
    view.setUint16(at + 4, index + 2, true);
    view.setUint32(at + 12, 20, true);
    view.setUint32(at + 16, index === 0 ? 28 : 0, true);
    view.setUint32(at + 20, nameAt, true);
  });
  view.setUint32(0x380, 14, true);
  view.setUint32(0x388, 1, true);
  // Sections: type, flags, address, offset, size, link, info.
  const sections = [
    [0, 0, 0, 0, 0, 0, 0],
    [3, 2, 0, 0x200, strings.length, 0, 0],
    [11, 2, 0, 0x280, 24 * symbols.length, 1, 1],
    [0x6fffffff, 2, 0, 0x320, 2 * symbols.length, 2, 0],
    [0x6ffffffd, 2, 0, 0x340, 56, 1, 2],
    [6, 3, 0, 0x380, 16, 1, 0],
    [1, 6, 0x10000, 0x400, 0x100, 0, 0],
  ];
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint32(40, 64, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, sections.length, true);
  sections.forEach(([type, flags, address, offset, size, link, info], index) => {
    const at = 64 + 64 * index;
    [type, flags].forEach((value, field) => view.setUint32(at + 4 + 4 * field, value, true));
    view.setUint32(at + 16, address, true);
    view.setUint32(at + 24, offset, true);
    view.setUint32(at + 32, size, true);
    view.setUint32(at + 40, link, true);
    view.setUint32(at + 44, info, true);
  });
  return bytes;
}

describe("functions of an ELF file", () => {
  it("B1 are found by name, with their versions, and those that choose others are told apart", () => {
    const found = readElfFunctions(sourceOf(library()), new Set(["copy", "choose", "local"]));
    expect(found).toEqual({
      library: "libtoy.so.1",
      isStatic: false,
      functions: [
        { name: "copy", version: "V2", offset: 0x400, size: 32, indirect: false, dynamic: true },
        { name: "copy", version: "V1", offset: 0x440, size: 16, indirect: false, dynamic: true },
        { name: "choose", version: undefined, offset: 0x480, size: 8, indirect: true, dynamic: true },
      ],
    });
  });

  it("no bytes make the reader throw, or find a function outside the file", () => {
    const names = new Set(["copy", "choose"]);
    assert(
      property(
        integer({ min: 0, max: 0x5ff }),
        uint8Array({ minLength: 1, maxLength: 8 }),
        integer({ min: 0, max: 0x600 }),
        (at, bytes, end) => {
          const damaged = library();
          damaged.set(bytes.subarray(0, damaged.length - at), at);
          const found = readElfFunctions(sourceOf(damaged.subarray(0, end)), names);
          for (const { name } of found?.functions ?? []) expect(names.has(name)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("signatures", () => {
  it("B1 know a function wherever the linker has put it, and no other", () => {
    const code = Uint8Array.from({ length: 100 }, (_, index) => (index * 37) & 0xff);
    const index = new SignatureIndex<string>();
    index.add(signatureOf(code, [20, 60])!, "known");
    const find = (bytes: Uint8Array): string | undefined =>
      index.find(new DataView(bytes.buffer).getUint32(0, true), (length) =>
        length <= bytes.length ? bytes.subarray(0, length) : undefined,
      )?.value;
    assert(
      property(
        integer({ min: 0, max: 99 }),
        integer({ min: 1, max: 255 }),
        constantFrom(100, 130),
        (at, change, length) => {
          const moved = new Uint8Array(length);
          moved.set(code);
          moved.set([1, 2, 3, 4], 20);
          moved.set([5, 6, 7, 8], 60);
          expect(find(moved)).toBe("known");
          moved[at] ^= change;
          const relocated = (at >= 20 && at < 24) || (at >= 60 && at < 64);
          expect(find(moved)).toBe(relocated ? "known" : undefined);
        },
      ),
    );
    expect(find(code.slice(0, 99))).toBeUndefined();
    expect(signatureOf(code, [4])).toBeUndefined();
  });
});
