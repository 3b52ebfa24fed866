// The decoder of x86-64 and i386 instructions. Add an instruction by adding a row to forms/ (legend in forms/legend.ts).
export { decode, needsMoreBytes, tooLong, undefinedOpcode } from "./decode.ts";
export { alternativesOf, encode, existsIn, operandSizesOf, prepare } from "./encode.ts";
export type { OperandSize } from "./encode.ts";
export { Flag, flagsChanged, flagsOverwritten, flagsRead, flagsUndefined } from "./flags.ts";
export { Flow, Instruction, Mnemonic, Operand, OperandKind, Segment, mnemonicNames, registerRip } from "./instruction.ts";
export type { MnemonicName, Mode } from "./instruction.ts";
export { FormBit, allForms, describeForm, formBits, formCount } from "./form-table.ts";
export type { Form } from "./form-table.ts";
