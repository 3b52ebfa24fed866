import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ENOEXEC } from "../kernel/errno.ts";
import { buildElf64 } from "../testing/elf-builder.ts";
import { FakeSource } from "../testing/fake-files.ts";
import type { ElfFile } from "./elf.ts";
import { isLoadFailure, parseElf } from "./elf.ts";
import { parseScript } from "./script.ts";

const parse = (bytes: Uint8Array): ReturnType<typeof parseElf> => parseElf(new FakeSource("/f", bytes));

function reason(bytes: Uint8Array): string {
  const result = parse(bytes);
  expect(isLoadFailure(result)).toBe(true);
  expect((result as { errno: number }).errno).toBe(ENOEXEC);
  return (result as { reason: string }).reason;
}

test("a good file", () => {
  const elf = parse(buildElf64({ type: 3, interpreter: "/lib/ld.so" })) as ElfFile;
  expect(elf).toMatchObject({
    mode: "x86-64",
    relocatable: true,
    interpreter: "/lib/ld.so",
    programHeaderCount: 2,
    programHeaderAddress: 0x400040,
  });
});

test.each([
  ["not an ELF file", new TextEncoder().encode("hello")],
  ["truncated ELF header", buildElf64().subarray(0, 40)],
  ["built for AArch64; only x86-64 and i386 programs run here", buildElf64({ machine: 183 })],
  ["an object file, not linked", buildElf64({ type: 1 })],
  ["truncated: the program headers lie past the end of the file", buildElf64().subarray(0, 100)],
  ["truncated: a segment lies past the end of the file", buildElf64().subarray(0, 4096)],
  [
    "a segment with more bytes in the file than in memory",
    buildElf64({ segments: [{ address: 0x400000, fileBytes: 100, memoryBytes: 50 }] }),
  ],
  ["a segment outside the address space", buildElf64({ segments: [{ address: 2 ** 47, fileBytes: 100 }] })],
  [
    "a segment whose address and file offset differ within the page",
    buildElf64({ segments: [{ address: 0x400010, fileBytes: 100 }] }),
  ],
  [
    "loadable segments overlap or are out of order",
    buildElf64({
      segments: [
        { address: 0x400000, fileBytes: 100 },
        { address: 0x400000, fileBytes: 100 },
      ],
    }),
  ],
  ["no loadable segment", buildElf64({ segments: [{ type: 4, address: 0 }] })],
])("%s", (expected, bytes) => {
  expect(reason(bytes)).toBe(expected);
});

test("no bytes make the parser throw or accept a segment outside the file", () => {
  const good = buildElf64({ interpreter: "/lib/ld.so" });
  const change = fc.record({ at: fc.integer({ min: 4, max: 300 }), value: fc.integer({ min: 0, max: 255 }) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), fc.integer({ min: 0, max: good.length }), (changes, length) => {
      const bytes = good.slice(0, length);
      for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
      const result = parse(bytes);
      expect(isLoadFailure(result) ? result.reason : "loaded").not.toBe("");
      for (const segment of isLoadFailure(result) ? [] : result.segments) {
        expect(segment.offset + segment.fileBytes).toBeLessThanOrEqual(bytes.length);
        expect(segment.address + segment.memoryBytes).toBeLessThanOrEqual(2 ** 47);
      }
    }),
    { numRuns: 2000 },
  );
});

test("script lines", () => {
  const line = (text: string): ReturnType<typeof parseScript> => parseScript(new TextEncoder().encode(text));
  expect(line("#!/bin/sh\necho")).toEqual({ interpreter: "/bin/sh", argument: null });
  expect(line("#! /usr/bin/env  perl -w \n")).toEqual({ interpreter: "/usr/bin/env", argument: "perl -w" });
  expect(line("#!  \n")).toBeNull();
  expect(line(`#!${"x".repeat(300)}`.slice(0, 256))).toBeNull();
});
