/**
 * Golden tests: x86 instructions in, the WebAssembly of hot code and its counts out, in `golden/*.txt`.
 *
 * A case there is a line with `#` and a title, lines of bytes, and what is made of them, as dbt-core/src/text/fold-wasm.ts
 * writes it. To add one, write title and bytes; to bless what has changed, let all be written anew by `pnpm bless`, and
 * look at the difference.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CodeLayout, Header } from "@doppel/dbt-core";
import { inspectRegion } from "@doppel/dbt-core/text";
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import { describe, expect, test } from "vitest";
import { X86Frontend } from "./frontend.ts";
import { ModeBit, slots } from "./state.ts";

const folder = join(import.meta.dirname, "../golden");
const update = process.env["UPDATE_GOLDEN"] !== undefined;
const ADDRESS = 0x1000;
const BYTES_WIDTH = 32;

/** As `doppel run` has it. */
const layout: CodeLayout = {
  tlb: {
    offset: Header.guestStateEnd,
    indexBits: 14,
    entryShift: 4,
    readTag: 0,
    writeTag: 16 << 14,
    addend: 8,
    state: 12,
    byGranule: 8,
    pageShift: 12,
  },
  guardWords: 0,
  cells: 0,
  jumpCache: { offset: Header.guestStateEnd + (32 << 14), indexBits: 12 },
};

interface GoldenCase {
  readonly title: string;
  readonly code: Uint8Array;
  readonly text: string;
}

const isBytes = (line: string): boolean => /^[0-9a-f]{2}( [0-9a-f]{2})*( {2}|$)/.test(line);

function readCases(text: string): GoldenCase[] {
  return text
    .split(/^(?=# )/m)
    .filter((part) => part.startsWith("# "))
    .map((part) => {
      const [title, ...lines] = part.split("\n");
      const bytes = lines.filter(isBytes).flatMap((line) => line.split("  ")[0].split(" "));
      return {
        title: title.slice(2),
        code: Uint8Array.from(bytes, (byte) => Number.parseInt(byte, 16)),
        text: `${part.trimEnd()}\n`,
      };
    });
}

/** Each instruction's bytes, and how an independent disassembler reads them. */
function listing(code: Uint8Array): string[] {
  const decoder = new Decoder(64, code, DecoderOptions.None);
  const formatter = new Formatter(FormatterSyntax.Nasm);
  decoder.ip = BigInt(ADDRESS);
  const lines: string[] = [];
  while (decoder.canDecode) {
    const start = decoder.position;
    const instruction = decoder.decode();
    const bytes = [...code.subarray(start, decoder.position)]
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join(" ");
    lines.push(`${bytes.padEnd(BYTES_WIDTH - 2)}  ${formatter.format(instruction)}`);
    instruction.free();
  }
  decoder.free();
  formatter.free();
  return lines;
}

/** The code as the region that is entered at its first byte. */
function regionOf(code: Uint8Array, frontend = new X86Frontend()): NonNullable<ReturnType<typeof inspectRegion>> {
  const memory = new Uint8Array(2 * 4096).fill(0xcc);
  memory.set(code, ADDRESS);
  return inspectRegion(ADDRESS, {
    frontend,
    layout,
    memory,
    mode: ModeBit.long,
    narrowAddresses: false,
    tier: "hot",
    fetch: (address) => (address >= ADDRESS && address < ADDRESS + 4096 ? 1 : -1),
  })!;
}

const slotNames: ReadonlyMap<number, string> = new Map([
  ...slots.map(({ offset, name }): [number, string] => [offset, name]),
  [Header.budget, "budget"],
  [Header.exitCode, "exit code"],
  [Header.exitOffset, "exit offset"],
  [Header.exitPayload, "exit payload"],
  [Header.instructionPointer, "instruction pointer"],
]);
function bless({ title, code }: GoldenCase): string {
  const frontend = new X86Frontend();
  const { folded, counts } = regionOf(code, frontend);
  const body = folded((offset) => slotNames.get(offset)).trimEnd();
  const { guestInstructions, wasmInstructions, tlbChecks, reloads, spills, helperCalls } = counts;
  const { recorded, fused, materialised } = frontend.flagStatistics;
  const summary = [
    `= ${guestInstructions} guest, ${wasmInstructions} WebAssembly instructions; ${tlbChecks} TLB checks`,
    `${reloads} reloads, ${spills} spills, ${helperCalls} helper calls`,
    `flags ${recorded} recorded, ${fused} fused, ${materialised} materialised`,
  ].join("; ");
  return `${[`# ${title}`, ...listing(code), summary, body].join("\n")}\n`;
}

describe.each(readdirSync(folder).filter((name) => name.endsWith(".txt")))("golden/%s", (name) => {
  const path = join(folder, name);
  const cases = readCases(readFileSync(path, "utf8"));
  if (update) writeFileSync(path, cases.map(bless).join("\n"));

  test.each(cases.map((one) => [one.title, one] as const))("%s", (_title, one) => {
    expect(update ? bless(one) : one.text).toBe(bless(one));
  });
});

describe("F8 in hot code", () => {
  const names = (hex: string): string[] => {
    const code = Uint8Array.from(hex.split(" "), (byte) => Number.parseInt(byte, 16));
    return regionOf(code)
      .wasm.split("\n")
      .map((line) => line.trim().split(" ")[0]);
  };
  const count = (list: readonly string[], pattern: RegExp): number => list.filter((name) => pattern.test(name)).length;
  const comparison = /^i(32|64)\.(eqz?|ne|[lg][te]_[su])$/;

  test("a comparison and its branch are one compare", () => {
    // cmp rax,rbx; jl +1; nop; jmp rcx
    const list = names("48 39 d8 7c 01 90 ff e1");
    expect(count(list, comparison)).toBe(1);
    expect(list).toContain("i64.lt_s");
  });

  test("flags that are overwritten leave nothing: each addition is one operation", () => {
    // add rax,rbx; add rax,rcx; add rax,rdx; add rax,rsi; cmp rax,rdi; jmp rbp
    const list = names("48 01 d8 48 01 c8 48 01 d0 48 01 f0 48 39 f8 ff e5");
    expect(count(list, /^i64\.add$/)).toBe(4);
    expect(count(list, comparison)).toBe(0);
    expect(count(list, /^i(32|64)\.(and|or|xor|sub|shr.*|shl|popcnt|extend.*)$/)).toBe(0);
  });

  test("in a loop the record of the counter is not stored until something leaves", () => {
    // add rax,rcx; dec rcx; jne -8; ret
    const list = names("48 01 c8 48 ff c9 75 f8 c3");
    const loop = list.slice(list.indexOf("loop"), list.indexOf("br", list.indexOf("loop")));
    expect(count(loop, /\.store/)).toBeLessThanOrEqual(2);
  });
});
