/**
 * What CPUID says, leaf by leaf: exactly what is translated, and nothing else (Intel SDM vol. 2, CPUID, tables 3-8 ff.).
 *
 * The vendor is Intel's because programs that know neither vendor choose their slowest code. Family 6 model 42 (Sandy Bridge)
 * fits x86-64-v2; no AVX and no XSAVE, so nobody uses registers we do not have.
 */
export interface CpuidLeaf {
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

const bits = (...places: readonly number[]): number => places.reduce((word, place) => word | (1 << place), 0);

/** Four ASCII characters as a register holds them. */
const text = (four: string): number => [...four].reduce((word, c, index) => word | (c.charCodeAt(0) << (8 * index)), 0);

const none: CpuidLeaf = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
const HIGHEST_BASIC = 7;
const HIGHEST_EXTENDED = 0x8000_0008;

const brand = "doppel x86-64 processor".padEnd(48, "\0");
const brandLeaf = (part: number): CpuidLeaf => {
  const at = (register: number): number => text(brand.slice(16 * part + 4 * register, 16 * part + 4 * register + 4));
  return { eax: at(0), ebx: at(1), ecx: at(2), edx: at(3) };
};

/** Leaf 1, ECX. */
const features1c = bits(
  0, // SSE3
  9, // SSSE3
  13, // CMPXCHG16B
  19, // SSE4.1
  20, // SSE4.2
  22, // MOVBE
  23, // POPCNT
  30, // RDRAND
  31, // a hypervisor is present
);

/** Leaf 1, EDX. */
const features1d = bits(
  0, // x87
  4, // TSC
  5, // RDMSR, WRMSR
  6, // PAE
  8, // CMPXCHG8B
  11, // SYSENTER
  13, // global pages
  15, // CMOV
  16, // PAT
  19, // CLFLUSH
  23, // MMX
  24, // FXSAVE
  25, // SSE
  26, // SSE2
);

/** What Linux tells programs as AT_HWCAP. */
export const hwcap: number = features1d;

/** Leaf 7, EBX. */
const features7b = bits(
  0, // RDFSBASE and relatives
  3, // BMI1
  8, // BMI2
  9, // REP MOVSB, REP STOSB are fast
  18, // RDSEED
  19, // ADX
  23, // CLFLUSHOPT
);

/** Caches, leaf 4: type 1 data, 2 instruction, 3 unified; ways, 64-byte lines, sets. */
const cache = (level: number, type: number, ways: number, sets: number): CpuidLeaf => ({
  eax: type | (level << 5) | (1 << 8),
  ebx: 63 | ((ways - 1) << 22),
  ecx: sets - 1,
  edx: 0,
});

const caches: readonly CpuidLeaf[] = [
  cache(1, 1, 8, 64), // 32 KiB
  cache(1, 2, 8, 64), // 32 KiB
  cache(2, 3, 8, 1024), // 512 KiB
  cache(3, 3, 16, 8192), // 8 MiB
];

const leaves: ReadonlyMap<number, CpuidLeaf> = new Map<number, CpuidLeaf>([
  [0, { eax: HIGHEST_BASIC, ebx: text("Genu"), ecx: text("ntel"), edx: text("ineI") }],
  // Family 6, model 2AH, stepping 7; CLFLUSH lines of 8 x 8 bytes, one logical processor.
  [1, { eax: 0x206a7, ebx: (8 << 8) | (1 << 16), ecx: features1c, edx: features1d }],
  // "Leaf 4 says what the caches are".
  [2, { eax: 0xff01, ebx: 0, ecx: 0, edx: 0 }],
  [7, { eax: 0, ebx: features7b, ecx: bits(22), edx: bits(14) }], // RDPID; SERIALIZE
  [0x8000_0000, { eax: HIGHEST_EXTENDED | 0, ebx: 0, ecx: 0, edx: 0 }],
  // LAHF in 64-bit mode, LZCNT; SYSCALL, NX, RDTSCP, 64-bit mode.
  [0x8000_0001, { eax: 0, ebx: 0, ecx: bits(0, 5), edx: bits(11, 20, 27, 29) }],
  [0x8000_0002, brandLeaf(0)],
  [0x8000_0003, brandLeaf(1)],
  [0x8000_0004, brandLeaf(2)],
  // 512 KiB of second-level cache in 64-byte lines, 8 ways.
  [0x8000_0006, { eax: 0, ebx: 0, ecx: 64 | (6 << 12) | (512 << 16), edx: 0 }],
  // The TSC's rate does not change.
  [0x8000_0007, { eax: 0, ebx: 0, ecx: 0, edx: bits(8) }],
  // 40 bits of physical address, 48 of linear.
  [0x8000_0008, { eax: 40 | (48 << 8), ebx: 0, ecx: 0, edx: 0 }],
]);

/** CPUID of `leaf` (EAX) and `subleaf` (ECX), both unsigned. */
export function cpuid(leaf: number, subleaf: number): CpuidLeaf {
  if (leaf === 4) return caches[subleaf] ?? none;
  if (leaf === 7 && subleaf !== 0) return none;
  return leaves.get(leaf) ?? none;
}
