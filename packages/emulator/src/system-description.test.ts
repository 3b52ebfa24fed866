import { describe, expect, it } from "vitest";
import { systemDescription } from "./system-description.ts";

describe("/proc/cpuinfo", () => {
  it("says what CPUID says", () => {
    const { cpuFields } = systemDescription();
    expect(cpuFields).toMatchObject({
      vendor_id: "GenuineIntel",
      "cpu family": "6",
      model: "42",
      stepping: "7",
      "clflush size": "64",
    });
    expect(cpuFields["model name"]).toMatch(/^doppel/);
    expect(cpuFields["flags"].split(" ")).toEqual(
      expect.arrayContaining(["fpu", "sse4_2", "popcnt", "cx16", "lm", "hypervisor"]),
    );
    expect(cpuFields["flags"]).not.toContain("avx");
  });

  it("follows --cpu", () => {
    const flags = systemDescription("x86-64").cpuFields["flags"].split(" ");
    expect(flags).toContain("sse2");
    expect(flags).not.toContain("sse4_2");
    expect(flags).not.toContain("bmi1");
  });
});
