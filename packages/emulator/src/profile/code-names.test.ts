import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AddressSpacePort, FileContents } from "@doppel/linux-user";
import { assert, property, integer, uint8Array } from "fast-check";
import { describe, expect, it } from "vitest";
import { readElf } from "../elf-file.ts";
import { CodeNames } from "./code-names.ts";

const BASE = 0x40_0000;
const path = join(import.meta.dirname, "../../../../guests/bin/qsort");
const program = Uint8Array.from(readFileSync(path));

/** The bytes as a file that is mapped whole. */
function spaceOf(bytes: Uint8Array): AddressSpacePort {
  const contents: FileContents = {
    name: "/opt/toy",
    sizeBytes: () => bytes.length,
    readAt: (offset, into) => {
      const piece = bytes.subarray(offset, offset + into.length);
      into.set(piece);
      return piece.length;
    },
  };
  return {
    translate: () => -1,
    fileMappings: () => [{ contents, offset: 0, start: BASE, end: BASE + bytes.length }],
  };
}

describe("names of guest code", () => {
  it("are where the function begins when the file has no symbols", () => {
    const { entry, functionStarts, segments } = readElf(program);
    const { address, fileOffset } = segments.find(({ executable }) => executable)!;
    const place = new CodeNames().placeOf(spaceOf(program), BASE + entry - address + fileOffset);
    const start = functionStarts.findLast((from) => from <= entry) ?? entry;
    expect(place).toEqual({ name: `function at 0x${start.toString(16)}`, file: "/opt/toy" });
  });

  it("are addresses where nothing is mapped from a file", () => {
    expect(new CodeNames().placeOf(spaceOf(program), 0x1234)).toEqual({ name: "code at 0x1234" });
  });

  it("no file makes them fail", () => {
    assert(
      property(
        integer({ min: 0, max: 0x400 }),
        uint8Array({ minLength: 1, maxLength: 8 }),
        integer({ min: 0, max: program.length - 1 }),
        (at, bytes, offset) => {
          const damaged = Uint8Array.from(program);
          damaged.set(bytes, at);
          const { file } = new CodeNames().placeOf(spaceOf(damaged), BASE + offset);
          expect(file).toBe("/opt/toy");
        },
      ),
      { numRuns: 300 },
    );
  });
});
