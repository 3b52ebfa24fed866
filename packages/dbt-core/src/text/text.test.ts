import { describe, expect, it } from "vitest";
import { ModuleEmitter } from "../emit/module-emitter.ts";
import { Op } from "../ir/op.ts";
import { blockKey, type HelperDeclaration, RegionBuilder, type StateSlot } from "../ir/region.ts";
import { foldFunction, formatFunction, formatRegion, readModule } from "./index.ts";

const slots: StateSlot[] = ["a", "b", "c"].map((name, index) => ({ name, offset: 256 + 8 * index, type: "i64" }));
const helpers: HelperDeclaration[] = [
  { name: "ask", parameters: ["i32"], result: "i32", reads: "none", writes: "none", exits: false },
];
const layout = {
  tlb: {
    offset: 4096,
    indexBits: 14,
    entryShift: 5,
    readTag: 0,
    writeTag: 16,
    addend: 8,
    state: 12,
    byGranule: 8,
    pageShift: 12,
  },
  guardWords: 0,
  cells: 0,
  jumpCache: { offset: 36864, indexBits: 12 },
};

/** Adds 8 to a, loads from there into b, and goes round while what it loaded is not 0. */
function loop(): RegionBuilder {
  const builder = new RegionBuilder(slots, helpers);
  builder.reset();
  builder.beginBlock(blockKey(0));
  builder.beginInstruction(0, 4);
  const sum = builder.binary(Op.i64Add, builder.get(0), builder.i64(8));
  builder.binary(Op.i64Mul, sum, sum); // Nobody uses it.
  builder.set(0, sum);
  builder.endInstruction();
  builder.beginInstruction(4, 4);
  const loaded = builder.load(Op.load64, sum);
  builder.set(1, loaded);
  builder.exitIf(builder.unary(Op.i64Eqz, loaded), 64, 3);
  builder.endInstruction();
  builder.beginInstruction(8, 2);
  const answer = builder.callHelper(0, [builder.i32(-1)]);
  builder.branch(answer, blockKey(0), blockKey(10));
  builder.beginBlock(blockKey(10));
  builder.beginInstruction(10, 1);
  builder.set(2, builder.address(11));
  builder.return(builder.get(1));
  return builder;
}

describe("formatRegion", () => {
  it("shows blocks, state, values and how blocks end, and leaves out what nobody uses", () => {
    expect(formatRegion(loop())).toBe(`\
block +0x0
  ; +0x0
  v1 = a
  v3 = i64Add v1, 8
  a = v3
  ; +0x4
  v7 = load64 v3
  v8 = i64Eqz v7
  exitIf v8, code 64, payload 3
  b = v7
  ; +0x8
  call ask(-1)
  v14 = result of ask
  branch v14, +0x0, +0xa
block +0xa
  ; +0xa
  v18 = i64Add base, 11
  v19 = b
  c = v18
  return to v19
`);
  });
});

describe("readModule", () => {
  const emitter = new ModuleEmitter(layout, helpers, 16);
  emitter.begin();
  emitter.addRegion(loop(), { slotFor: () => 77 }, { narrowAddresses: false, counter: 0 });
  const bytes = emitter.finish(8);
  const [region, ...others] = readModule(bytes);

  it("finds the functions and their types", () => {
    expect(WebAssembly.validate(bytes)).toBe(true);
    expect(others).toEqual([]);
    expect(region.parameters).toEqual(["i32", "i64", "i32", "i32"]);
    expect(region.result).toBe("i64");
    expect(region.bytes).toBeLessThan(bytes.length);
  });

  it("names instructions as the text format does", () => {
    const names = new Set(region.instructions.map(({ name }) => name));
    expect([...names]).toEqual(
      expect.arrayContaining(["local.get", "i64.load", "i32.shr_u", "i32.wrap_i64", "br_if", "loop", "end"]),
    );
    for (const name of names) expect(name).toMatch(/^[a-z0-9]+(\.[a-z0-9_]+)?$|^[a-z]+(_[a-z]+)*$/);
  });

  it("names the functions that are called", () => {
    const called = region.instructions.filter(({ name }) => name === "call").map(({ text }) => text);
    expect(called).toContain("$ask");
    expect(called).toContain("$slowLoad");
  });

  it("comes back to depth 0, and prints as a function", () => {
    expect(region.instructions.at(-1)!.depth).toBe(0);
    const text = formatFunction(region);
    expect(
      text.startsWith(
        "(func (param $context i32) (param $address i64) (param $slot i32) (param $depth i32) (result i64)\n",
      ),
    ).toBe(true);
    expect(text).toContain("\n  local.get $context\n");
    expect(text.endsWith("\n)\n")).toBe(true);
  });

  it("folds into statements: state by name, operands in parentheses, effects in their order", () => {
    const text = foldFunction(region, (offset) => slots.find((slot) => slot.offset === offset)?.name);
    const lines = text.split("\n").map((line) => line.trim());
    expect(lines.some((line) => /^\$\d+ = a$/.test(line))).toBe(true);
    expect(lines.some((line) => /= i64\.add\(\$\d+, 8\)$/.test(line))).toBe(true);
    expect(lines.some((line) => /call \$ask\(\$context, -1\)/.test(line))).toBe(true);
    expect(text).not.toContain("?");
    expect(text).not.toContain("local.");
  });

  it("says where a module ends too early", () => {
    expect(() => readModule(bytes.subarray(0, bytes.length - 20))).toThrow(RangeError);
  });
});
