/** What /proc says of the machine: the same as CPUID and uname(2). */
import { type CpuidLeaf, cpuidLevels, DEFAULT_CPUID_LEVEL } from "@doppel/guest-x86";
import { KERNEL_RELEASE, KERNEL_VERSION, type SystemDescription } from "@doppel/linux-user";

type Bits = readonly [leaf: number, register: keyof CpuidLeaf, names: Readonly<Record<number, string>>];

/** CPUID's bits by the names Linux gives them (arch/x86/include/asm/cpufeatures.h), in the order of /proc/cpuinfo. */
const FLAG_NAMES: readonly Bits[] = [
  [
    1,
    "edx",
    {
      0: "fpu",
      1: "vme",
      2: "de",
      3: "pse",
      4: "tsc",
      5: "msr",
      6: "pae",
      7: "mce",
      8: "cx8",
      9: "apic",
      11: "sep",
      12: "mtrr",
      13: "pge",
      14: "mca",
      15: "cmov",
      16: "pat",
      17: "pse36",
      19: "clflush",
      23: "mmx",
      24: "fxsr",
      25: "sse",
      26: "sse2",
      28: "ht",
    },
  ],
  [0x8000_0001, "edx", { 11: "syscall", 20: "nx", 26: "pdpe1gb", 27: "rdtscp", 29: "lm" }],
  [0x8000_0007, "edx", { 8: "constant_tsc nonstop_tsc" }],
  [
    1,
    "ecx",
    {
      0: "pni",
      1: "pclmulqdq",
      3: "monitor",
      9: "ssse3",
      12: "fma",
      13: "cx16",
      19: "sse4_1",
      20: "sse4_2",
      21: "x2apic",
      22: "movbe",
      23: "popcnt",
      25: "aes",
      26: "xsave",
      28: "avx",
      29: "f16c",
      30: "rdrand",
      31: "hypervisor",
    },
  ],
  [0x8000_0001, "ecx", { 0: "lahf_lm", 5: "abm", 6: "sse4a", 8: "3dnowprefetch" }],
  [
    7,
    "ebx",
    {
      0: "fsgsbase",
      3: "bmi1",
      5: "avx2",
      7: "smep",
      8: "bmi2",
      9: "erms",
      10: "invpcid",
      18: "rdseed",
      19: "adx",
      20: "smap",
      23: "clflushopt",
      24: "clwb",
      29: "sha_ni",
    },
  ],
  [7, "ecx", { 3: "pku", 22: "rdpid" }],
  [7, "edx", { 14: "serialize" }],
];

function flags(cpuid: (leaf: number, subleaf: number) => CpuidLeaf): string {
  return FLAG_NAMES.flatMap(([leaf, register, names]) => {
    const word = cpuid(leaf, 0)[register];
    return Object.entries(names)
      .filter(([bit]) => ((word >>> Number(bit)) & 1) === 1)
      .map(([, name]) => name);
  }).join(" ");
}

function ascii(words: readonly number[]): string {
  return words
    .flatMap((word) => [0, 8, 16, 24].map((shift) => String.fromCharCode((word >>> shift) & 0xff)))
    .join("")
    .replaceAll("\0", "");
}

/** The machine with the processor that `cpu` names (see `cpuidLevels`); an unknown name is the engine's to refuse. */
export function systemDescription(cpu: string = DEFAULT_CPUID_LEVEL): SystemDescription {
  const { cpuid } = cpuidLevels.find(({ name }) => name === cpu) ?? cpuidLevels[0];
  const vendor = cpuid(0, 0);
  const version = cpuid(1, 0).eax;
  const brand = [0x8000_0002, 0x8000_0003, 0x8000_0004].map((leaf) => cpuid(leaf, 0));
  const addresses = cpuid(0x8000_0008, 0).eax;
  return {
    release: KERNEL_RELEASE,
    version: KERNEL_VERSION,
    cpuCount: 1,
    cpuFields: {
      vendor_id: ascii([vendor.ebx, vendor.edx, vendor.ecx]),
      "cpu family": `${(version >> 8) & 15}`,
      model: `${((version >> 4) & 15) | ((version >> 12) & 0xf0)}`,
      "model name": ascii(brand.flatMap(({ eax, ebx, ecx, edx }) => [eax, ebx, ecx, edx])),
      stepping: `${version & 15}`,
      "cache size": "512 KB",
      "physical id": "0",
      siblings: "1",
      "core id": "0",
      "cpu cores": "1",
      fpu: "yes",
      fpu_exception: "yes",
      "cpuid level": `${vendor.eax}`,
      wp: "yes",
      flags: flags(cpuid),
      "clflush size": `${((cpuid(1, 0).ebx >> 8) & 0xff) * 8}`,
      cache_alignment: "64",
      "address sizes": `${addresses & 0xff} bits physical, ${(addresses >> 8) & 0xff} bits virtual`,
    },
  };
}
