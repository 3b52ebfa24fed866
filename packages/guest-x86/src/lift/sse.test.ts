import { operations, RegionBuilder } from "@doppel/dbt-core";
import { describe, expect, it } from "vitest";
import { allForms, decode } from "../decode/index.ts";
import { Instruction, Mnemonic } from "../decode/instruction.ts";
import { helpers } from "../helpers.ts";
import { Mxcsr, modeForMxcsr } from "../mxcsr.ts";
import { ModeBit, slots } from "../state.ts";
import { LiftContext } from "./context.ts";
import { lifters } from "./index.ts";
import { partsInExactMode } from "./sse-exact-inline.ts";

/** Names of the nodes that one instruction becomes. */
function lift(bytes: readonly number[], mode: number = ModeBit.long): string[] {
  const instruction = new Instruction();
  expect(decode(Uint8Array.from(bytes), 0, bytes.length, 64, instruction)).toBe(bytes.length);
  const builder = new RegionBuilder(slots, helpers);
  const context = new LiftContext(builder, instruction);
  context.mode = mode;
  builder.beginBlock(0);
  builder.beginInstruction(0, bytes.length);
  lifters[instruction.mnemonic]!(context, instruction);
  if (!builder.ended) builder.endInstruction();
  return Array.from({ length: builder.nodeCount }, (_, node) => operations[builder.op[node]].name);
}

describe("vector lifters", () => {
  it("there is one for every form of the features a processor may have", () => {
    const wanted = new Set([
      "mmx",
      "sse",
      "sse2",
      "sse3",
      "ssse3",
      "sse4.1",
      "sse4.2",
      "x87",
      "fxsr",
      "aes",
      "pclmulqdq",
      "sha",
    ]);
    const missing = [...allForms()].filter(
      ({ feature, mnemonic }) => wanted.has(feature) && lifters[Mnemonic[mnemonic]] === undefined,
    );
    expect(missing.map(({ mnemonic }) => mnemonic)).toEqual([]);
  });

  it("scalar arithmetic is one operation and a check for NaN in the fast mode", () => {
    const nodes = lift([0xf2, 0x0f, 0x58, 0xc1]); // addsd xmm0, xmm1
    expect(nodes.filter((name) => name === "f64Add")).toHaveLength(1);
    expect(nodes).not.toContain("callHelper");
  });

  it("scalar arithmetic is a helper's in the exact mode, or two parts", () => {
    const exact = ModeBit.long | ModeBit.exactFloat;
    expect(lift([0xf2, 0x0f, 0x7c, 0xc1], exact)).toContain("callHelper"); // haddps xmm0, xmm1
    expect(lift([0xf2, 0x0f, 0x58, 0xc1], exact)).not.toContain("callHelper"); // addsd, part 0
    const instruction = new Instruction();
    decode(Uint8Array.of(0xf2, 0x0f, 0x58, 0xc1), 0, 4, 64, instruction);
    expect(partsInExactMode(instruction.mnemonic)).toBe(2);
  });

  it("PXOR of a register with itself reads nothing", () => {
    expect(lift([0x66, 0x0f, 0xef, 0xc0])).not.toContain("v128Xor");
  });

  it("aligned moves check alignment, unaligned ones do not", () => {
    expect(lift([0x0f, 0x28, 0x00])).toContain("exitIf");
    expect(lift([0x0f, 0x10, 0x00])).not.toContain("exitIf");
  });
});

describe("MXCSR", () => {
  it("only the saturated state is fast", () => {
    expect(modeForMxcsr(Mxcsr.saturated)).toBe(0);
    for (const mxcsr of [Mxcsr.reset, 0x1fbe, 0x3fbf, 0x9fbf, 0x1fff, 0x1f3f]) {
      expect(modeForMxcsr(mxcsr)).toBe(ModeBit.exactFloat);
    }
  });
});
