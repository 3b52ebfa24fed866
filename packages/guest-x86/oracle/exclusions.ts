/** What the oracle cannot ask of the processor, or not in these words, and why. */
import type { Form } from "../src/decode/index.ts";
import type { MnemonicName } from "../src/decode/instruction.ts";

const otherClock = "its result is not a function of the state a case describes";
const kernels = "it depends on the descriptor tables, which are the kernel's";
const transfers = "it goes through the kernel's descriptor tables";
const kernelCall = "it calls the kernel";
const emulated = "the kernel emulates it (UMIP) or its configuration decides";
const harness = "it would take FS or GS away from the harness";
const extended = "which components it saves is a matter of XCR0 and of tracking that processors do differently";

/** Mnemonics that are not generated at all. */
export const excludedMnemonics: Readonly<Partial<Record<MnemonicName, string>>> = {
  rdtsc: otherClock,
  rdtscp: otherClock,
  rdrand: otherClock,
  rdseed: otherClock,
  rdpid: otherClock,
  cpuid: otherClock,
  rdpmc: emulated,
  xgetbv: otherClock,
  rdpkru: emulated,
  wrpkru: emulated,
  sgdt: emulated,
  sidt: emulated,
  sldt: emulated,
  str: emulated,
  smsw: emulated,
  verr: kernels,
  verw: kernels,
  lar: kernels,
  lsl: kernels,
  lds: kernels,
  les: kernels,
  lss: kernels,
  lfs: kernels,
  lgs: kernels,
  callf: transfers,
  jmpf: transfers,
  retf: transfers,
  iret: transfers,
  int: kernelCall,
  int1: "it is a debug trap, which the kernel reports in more than one way",
  syscall: kernelCall,
  sysenter: kernelCall,
  wrfsbase: harness,
  wrgsbase: harness,
  xsave: extended,
  xsave64: extended,
  xrstor: extended,
  xrstor64: extended,
  xsaveopt: extended,
  xsaveopt64: extended,
  xsavec: extended,
  xsavec64: extended,
  monitor: "processors differ in whether a program may execute it",
  mwait: "processors differ in whether a program may execute it",
  serialize: "it leaves nothing to be compared, and few processors have it",
};

/** CPUID features the translated processor does not have: it raises #UD where this machine's may not. */
const missingFeatures: Readonly<Record<string, string>> = {
  sse4a: "not announced: AMD alone has it",
  clwb: "not announced",
  xsaves: "not announced",
};

/** Forms that are not generated though their mnemonic is. */
const excludedForms: readonly { readonly reason: string; readonly matches: (form: Form) => boolean }[] = [
  { reason: kernels, matches: ({ mnemonic, operands }) => mnemonic === "mov" && operands[0] === "Sw" },
  {
    reason: kernels,
    matches: ({ mnemonic, operands }) => mnemonic === "pop" && /^[ECSDFG]S$/.test(operands[0] ?? ""),
  },
  {
    reason: "undocumented: a store and pop that does not notice an empty register",
    matches: ({ encoding, mnemonic }) => mnemonic === "fstp" && encoding === "D9 D8+i",
  },
  {
    reason: "AMD's processors raise #UD where Intel's do nothing",
    matches: ({ encoding, operands }) => encoding === "0F 0D /r" && operands[0] === "Rv",
  },
  {
    reason: "the kernel's virtualisation of user interrupts decides",
    matches: ({ mnemonic }) => mnemonic === "sti" || mnemonic === "cli",
  },
];

/** Why `form` is not generated, or undefined when it is. */
export function exclusion(form: Form): string | undefined {
  const known = excludedMnemonics[form.mnemonic];
  if (known !== undefined) return known;
  for (const feature of form.feature.split(" ")) if (feature in missingFeatures) return missingFeatures[feature];
  return excludedForms.find(({ matches }) => matches(form))?.reason;
}
