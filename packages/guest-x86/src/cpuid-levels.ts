/**
 * Processors to choose from by the levels of the x86-64 ABI (psABI, chapter 3.1.1, "micro-architecture levels"): what
 * CPUID says, which is what well-behaved programs use. Instructions beyond it still work.
 */
import { type CpuidLeaf, cpuid } from "./cpuid.ts";

export interface CpuidLevel {
  readonly name: string;
  readonly description: string;
  readonly cpuid: (leaf: number, subleaf: number) => CpuidLeaf;
}

const HYPERVISOR = 1 << 31;

/** Up to SSE2: what every x86-64 processor has. */
function baseline(leaf: number, subleaf: number): CpuidLeaf {
  const all = cpuid(leaf, subleaf);
  switch (leaf) {
    case 1:
      return { ...all, ecx: all.ecx & HYPERVISOR };
    case 7:
      return { eax: 0, ebx: 0, ecx: 0, edx: 0 };
    case 0x8000_0001:
      return { ...all, ecx: 0 };
    default:
      return all;
  }
}

export const cpuidLevels: readonly CpuidLevel[] = [
  { name: "x86-64", description: "up to SSE2", cpuid: baseline },
  {
    name: "x86-64-v2",
    description: "up to SSE4.2, with POPCNT and CMPXCHG16B; beyond that LZCNT, BMI1, BMI2, MOVBE and ADX",
    cpuid,
  },
];

export const DEFAULT_CPUID_LEVEL = "x86-64-v2";
