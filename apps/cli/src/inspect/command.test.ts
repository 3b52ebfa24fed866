import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { doppel, guest, repository } from "../testing/doppel.ts";
import { ElfError, readElf } from "@doppel/emulator/inspect";
import { elfWithFunction } from "./testing/elf-with-function.ts";

function complaint(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("readElf", () => {
  it("reads a program without symbols", () => {
    const image = readElf(readFileSync(join(repository, guest("hello"))));
    expect(image.mode).toBe("x86-64");
    expect(image.functions).toEqual([]);
    const holder = image.segments.find(
      ({ address, content }) => image.entry >= address && image.entry < address + content.length,
    );
    expect(holder?.executable).toBe(true);
  });

  it("finds functions by name", () => {
    const image = readElf(elfWithFunction("twice", Uint8Array.of(0x8d, 0x04, 0x3f, 0xc3)));
    expect(image.functions).toEqual([{ name: "twice", address: 0x401000, bytes: 4 }]);
  });

  it("believes no header", () => {
    const whole = elfWithFunction("twice", Uint8Array.of(0xc3));
    const lengths = Array.from({ length: Math.ceil(whole.length / 7) }, (_, index) => 7 * index);
    const complaints = lengths.map((length) => complaint(() => readElf(whole.subarray(0, length))));
    // Cut short, it may still be readable as far as anybody asks; if not, the complaint is ours.
    expect(complaints.filter((error) => error !== undefined && !(error instanceof ElfError))).toEqual([]);
    expect(complaints[9]).toBeInstanceOf(ElfError);
  });
});

describe("doppel inspect", () => {
  it("shows guest instructions, IR and WebAssembly of the region at an address", () => {
    const { entry } = readElf(readFileSync(join(repository, guest("hello"))));
    const { stdout, stderr, status } = doppel("inspect", guest("hello"), "--at", `0x${entry.toString(16)}`);
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^region at 0x[0-9a-f]+: \d+ guest instructions? in \d+ blocks?; \d+ WebAssembly instructions, \d+ bytes; \d+ TLB checks?, \d+ reloads?, \d+ spills?, \d+ helper calls?; flags recorded at \d+, fused at \d+, materialised at \d+ places?\n/,
    );
    expect(stdout).toContain("\nguest\n");
    expect(stdout).toContain("\nir\nblock +0x0\n");
    expect(stdout).toContain("\nwasm\n(func ");
  });

  it("shows only what is asked for", () => {
    const { stdout } = doppel("inspect", guest("hello"), "--at", "4001c0", "--ir", "--cold");
    expect(stdout).toContain("\nir\n");
    expect(stdout).not.toContain("\nguest\n");
    expect(stdout).not.toContain("\nwasm\n");
  });

  it.each([
    [["inspect"], "inspect needs one program", 2],
    [["inspect", guest("hello")], "needs either --function NAME or --at ADDRESS", 2],
    [["inspect", guest("hello"), "--at", "main"], "--at main: give an address in hexadecimal", 2],
    [["inspect", guest("hello"), "--at", "10"], "has no code at 0x10", 1],
    [["inspect", guest("hello"), "--function", "main"], "has no symbols; use --at ADDRESS", 2],
    [["inspect", "README.md", "--at", "10"], "README.md: not an ELF file", 1],
    [["inspect", "guests/nowhere", "--at", "10"], "guests/nowhere: no such file or directory", 1],
    [
      ["inspect", guest("hello"), "--wat"],
      "inspect: Unknown option '--wat'; doppel inspect --help lists the options",
      2,
    ],
  ])("%j: %s", (args, message, expected) => {
    const { stdout, stderr, status } = doppel(...args);
    expect(stdout).toBe("");
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(status).toBe(expected);
  });
});
