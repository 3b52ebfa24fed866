/** What is known of each instruction-set extension: which instructions decode, which are translated, what CPUID says. */
import { type CpuidLeaf, cpuid } from "./cpuid.ts";
import { allForms } from "./decode/catalog.ts";
import { mnemonicNames } from "./decode/instruction.ts";
import { lifters } from "./lift/index.ts";

export interface ExtensionSupport {
  /** As the instruction tables name it; empty for what every processor has. */
  readonly feature: string;
  readonly forms: number;
  /** Instructions that are translated, and those that decode but raise #UD. */
  readonly translated: readonly string[];
  readonly undefined: readonly string[];
  /** Whether CPUID announces it; undefined where CPUID has no bit for it. */
  readonly announced: boolean | undefined;
}

type Bit = readonly [leaf: number, register: keyof CpuidLeaf, bit: number];

/** Where CPUID announces a feature (Intel SDM vol. 2, CPUID; AMD's for leaf 8000_0001H; XSAVE's are in leaf 0DH). */
const CPUID_BITS: Readonly<Record<string, Bit>> = {
  adx: [7, "ebx", 19],
  aes: [1, "ecx", 25],
  bmi1: [7, "ebx", 3],
  bmi2: [7, "ebx", 8],
  clflush: [1, "edx", 19],
  clflushopt: [7, "ebx", 23],
  clwb: [7, "ebx", 24],
  cmov: [1, "edx", 15],
  cx16: [1, "ecx", 13],
  cx8: [1, "edx", 8],
  fsgsbase: [7, "ebx", 0],
  fxsr: [1, "edx", 24],
  invpcid: [7, "ebx", 10],
  lahf: [0x8000_0001, "ecx", 0],
  lzcnt: [0x8000_0001, "ecx", 5],
  mmx: [1, "edx", 23],
  monitor: [1, "ecx", 3],
  movbe: [1, "ecx", 22],
  msr: [1, "edx", 5],
  pclmulqdq: [1, "ecx", 1],
  pku: [7, "ecx", 3],
  popcnt: [1, "ecx", 23],
  prefetchw: [0x8000_0001, "ecx", 8],
  rdpid: [7, "ecx", 22],
  rdrand: [1, "ecx", 30],
  rdseed: [7, "ebx", 18],
  rdtscp: [0x8000_0001, "edx", 27],
  sep: [1, "edx", 11],
  serialize: [7, "edx", 14],
  sha: [7, "ebx", 29],
  smap: [7, "ebx", 20],
  sse: [1, "edx", 25],
  sse2: [1, "edx", 26],
  sse3: [1, "ecx", 0],
  "sse4.1": [1, "ecx", 19],
  "sse4.2": [1, "ecx", 20],
  sse4a: [0x8000_0001, "ecx", 6],
  ssse3: [1, "ecx", 9],
  syscall: [0x8000_0001, "edx", 11],
  tsc: [1, "edx", 4],
  x87: [1, "edx", 0],
  xsave: [1, "ecx", 26],
  avx: [1, "ecx", 28],
  avx2: [7, "ebx", 5],
  f16c: [1, "ecx", 29],
  fma: [1, "ecx", 12],
};

function isAnnounced(feature: string): boolean | undefined {
  if (!Object.hasOwn(CPUID_BITS, feature)) return undefined;
  const [leaf, register, bit] = CPUID_BITS[feature];
  return ((cpuid(leaf, 0)[register] >>> bit) & 1) === 1;
}

/** By feature, in alphabetical order. */
export function instructionSupport(): ExtensionSupport[] {
  const byFeature = new Map<string, { forms: number; mnemonics: Set<string> }>();
  for (const { feature, mnemonic } of allForms()) {
    const entry = byFeature.get(feature) ?? { forms: 0, mnemonics: new Set<string>() };
    byFeature.set(feature, entry);
    entry.forms++;
    entry.mnemonics.add(mnemonic);
  }
  const hasLifter = (name: string): boolean =>
    lifters[mnemonicNames.indexOf(name as (typeof mnemonicNames)[number])] !== undefined;
  return [...byFeature]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([feature, { forms, mnemonics }]) => {
      const names = [...mnemonics].sort();
      return {
        feature,
        forms,
        translated: names.filter(hasLifter),
        undefined: names.filter((name) => !hasLifter(name)),
        announced: isAnnounced(feature),
      };
    });
}
