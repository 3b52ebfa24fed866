/**
 * CPUID of a whole machine: what programs see, and what a kernel needs to know beside it (Intel SDM vol. 2, CPUID).
 *
 * The processor says it is one of those that never speculated (family 6 model 36H), which is true of it, and which
 * spares the guest's kernel the mitigations that others need.
 */
import type { CpuidLeaf } from "@doppel/guest-x86";

type Cpuid = (leaf: number, subleaf: number) => CpuidLeaf;

const bits = (...places: readonly number[]): number => places.reduce((word, place) => word | (1 << place), 0);
const text = (four: string): number => [...four].reduce((word, c, index) => word | (c.charCodeAt(0) << (8 * index)), 0);

/** Family 6, model 36H, stepping 1. */
const SIGNATURE = 0x30661;
const HYPERVISOR_FIRST = 0x4000_0000;
const none: CpuidLeaf = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

/** Leaf 1, EDX. */
const machine1d = bits(
  3, // PSE
  9, // APIC
  12, // MTRR
  13, // PGE
);
/** Leaf 1, ECX. */
const machine1c = bits(
  17, // PCID
  24, // TSC deadline
  31, // a hypervisor is present
);
/** Leaf 7, EBX. */
const machine7b = bits(
  1, // IA32_TSC_ADJUST
  7, // SMEP
  20, // SMAP
);
/** Leaf 80000001H, EDX. */
const machineExtended = bits(26); // pages of 1 GiB

export interface MachineCpuidOptions {
  /** EAX of leaf 40000001H: the paravirtual features, in KVM's numbering. */
  readonly paravirtual?: number;
}

/** `programs`: what user programs see of the processor. */
export function machineCpuid(programs: Cpuid, options: MachineCpuidOptions = {}): Cpuid {
  const { paravirtual = 0 } = options;
  return (leaf, subleaf) => {
    const seen = programs(leaf, subleaf);
    switch (leaf) {
      case 1:
        return { ...seen, eax: SIGNATURE, edx: seen.edx | machine1d, ecx: seen.ecx | machine1c };
      case 7:
        return subleaf === 0 ? { ...seen, ebx: seen.ebx | machine7b } : seen;
      case 0x8000_0001:
        return { ...seen, edx: seen.edx | machineExtended };
      case HYPERVISOR_FIRST:
        return { eax: HYPERVISOR_FIRST + 1, ebx: text("KVMK"), ecx: text("VMKV"), edx: text("M\0\0\0") };
      case HYPERVISOR_FIRST + 1:
        return { ...none, eax: paravirtual };
      default:
        return seen;
    }
  };
}
