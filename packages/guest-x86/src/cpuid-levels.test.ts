import { describe, expect, it } from "vitest";
import { cpuid } from "./cpuid.ts";
import { cpuidLevels, DEFAULT_CPUID_LEVEL } from "./cpuid-levels.ts";

/** Bits a level needs, by leaf and register: psABI, table 3.1. */
const needs = {
  "x86-64": [[1, "edx", [0, 8, 15, 23, 24, 25, 26]]],
  "x86-64-v2": [
    [1, "ecx", [0, 9, 13, 19, 20, 23]],
    [0x8000_0001, "ecx", [0]],
  ],
} as const;

describe("CPUID levels", () => {
  it("the default says everything that is translated", () => {
    expect(cpuidLevels.find(({ name }) => name === DEFAULT_CPUID_LEVEL)?.cpuid).toBe(cpuid);
  });

  it.each(cpuidLevels)(
    "$name has what the level asks for, and nothing that is not translated",
    ({ name, cpuid: level }) => {
      for (const [leaf, register, bits] of needs[name as keyof typeof needs]) {
        for (const bit of bits)
          expect((level(leaf, 0)[register] >>> bit) & 1, `${leaf.toString(16)} ${register} ${bit}`).toBe(1);
      }
      for (const leaf of [1, 7, 0x8000_0001]) {
        const own = level(leaf, 0);
        const all = cpuid(leaf, 0);
        for (const register of ["ebx", "ecx", "edx"] as const) expect(own[register] & ~all[register]).toBe(0);
      }
    },
  );

  it("the baseline has nothing of v2", () => {
    const baseline = cpuidLevels.find(({ name }) => name === "x86-64")!;
    for (const [leaf, register, bits] of needs["x86-64-v2"]) {
      for (const bit of bits) expect((baseline.cpuid(leaf, 0)[register] >>> bit) & 1).toBe(0);
    }
  });
});
