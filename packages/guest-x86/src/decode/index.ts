// The decoder of x86-64 and i386 instructions. Add an instruction by adding a row to forms/ (legend in forms/legend.ts) and running
// scripts/decode-tables.ts. The encoder, for tests, is ./encode.ts.
export { decode, needsMoreBytes, tooLong, undefinedOpcode } from "./decode.ts";
export { Flag, flagsChanged, flagsOverwritten, flagsRead, flagsUndefined } from "./flags.ts";
export {
  Flow,
  Instruction,
  Mnemonic,
  Operand,
  OperandKind,
  Segment,
  mnemonicNames,
  registerRip,
} from "./instruction.ts";
export type { MnemonicName, Mode } from "./instruction.ts";
export { allForms, describeForm } from "./catalog.ts";
export type { Form } from "./catalog.ts";
export { FormBit } from "./notation.ts";
export { formBits, formCount } from "./tables.ts";
