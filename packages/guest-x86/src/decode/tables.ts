// The tables the decoder runs on, unpacked from the extract in ./tables-data.ts, which scripts/decode-tables.ts makes from the rows of
// forms/* (a test compares the two). Parsing the rows takes several milliseconds, this takes less than one.
//
// The extract is base64 of these arrays, one after the other, little-endian as every host of WebAssembly is:
//
//   u32  forms, nodes, operand specs, flag effects      (how many of each)
//   i32  bits[form]
//   i32  effect[effect * 5]           EFLAGS read, written, cleared, set, undefined
//   u16  mnemonic[form] | opcode entry[map << 8 | opcode] | node[]
//   u8   flow[form] | width[form] | condition[form] | operand count[form] | effect[form] | operand spec[form * 4]
//   u8   has ModRM[map << 8 | opcode] | place[spec] | register[spec] | size[spec] | memory size[spec]
import { mapCount } from "./notation.ts";
import { tablesData } from "./tables-data.ts";

const text = atob(tablesData);
const buffer = new ArrayBuffer(text.length);
const bytes = new Uint8Array(buffer);
for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);

let offset = 0;
function i32(count: number): Int32Array {
  const array = new Int32Array(buffer, offset, count);
  offset += count * 4;
  return array;
}
function u16(count: number): Uint16Array {
  const array = new Uint16Array(buffer, offset, count);
  offset += count * 2;
  return array;
}
function u8(count: number): Uint8Array {
  const array = new Uint8Array(buffer, offset, count);
  offset += count;
  return array;
}

const header = i32(4);
/** Forms are numbered 1..formCount - 1. */
export const formCount: number = header[0];
const nodeCount = header[1];
const specCount = header[2];

/** `FormBit`s. */
export const formBits: Int32Array = i32(formCount);
/** EFLAGS masks, five per effect: read, written, cleared, set, undefined. */
export const effects: Int32Array = i32(header[3] * 5);
export const formMnemonic: Uint16Array = u16(formCount);
/** See ./opcode-tree.ts. */
export const opcodeEntries: Uint16Array = u16(mapCount << 8);
export const nodes: Uint16Array = u16(nodeCount);
export const formFlow: Uint8Array = u8(formCount);
/** Size letter that gives `Instruction.operandWidth`. */
export const formWidth: Uint8Array = u8(formCount);
export const formCondition: Uint8Array = u8(formCount);
export const formOperandCount: Uint8Array = u8(formCount);
export const formEffect: Uint8Array = u8(formCount);
/** Four operand specs per form. */
export const formSpecs: Uint8Array = u8(formCount * 4);
/** 1 where a ModRM byte follows the opcode. */
export const opcodeHasModrm: Uint8Array = u8(mapCount << 8);
export const specPlace: Uint8Array = u8(specCount);
export const specRegister: Uint8Array = u8(specCount);
/** Size letter of the register (or immediate) alternative, and of the memory alternative. */
export const specSize: Uint8Array = u8(specCount);
export const specMemorySize: Uint8Array = u8(specCount);
