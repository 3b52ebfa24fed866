/**
 * What a memory fault looks like to whoever handles it, beyond what the failed access tells.
 *
 * Translated code reads an operand before it writes it, and knows nothing of segments when an address turns out to be
 * none. The instruction at fault is decoded once more instead: faults are rare, and nothing is kept ready for them.
 */
import { decode } from "./decode/decode.ts";
import { Instruction, type MnemonicName, OperandKind, Segment } from "./decode/instruction.ts";
import { Slot } from "./state.ts";

/** Instructions that write the memory they read: the processor asks for both rights at once (SDM vol. 3, 4.7). */
const modifying: ReadonlySet<string> = new Set<MnemonicName>([
  "add", "or", "adc", "sbb", "and", "sub", "xor", "inc", "dec", "neg", "not", "rol", "ror", "rcl", "rcr", "shl", "shr", "sar",
  "shld", "shrd", "bts", "btr", "btc", "xchg", "xadd", "cmpxchg", "cmpxchg8b", "cmpxchg16b", "maskmovq", "maskmovdqu",
  // Ten bytes are tried before they are written.
  "fstp", "fbstp",
]); // prettier-ignore

/** Instructions that go through the stack without naming it. */
const stacking: ReadonlySet<string> = new Set<MnemonicName>([
  "push", "pop", "pushf", "popf", "pusha", "popa", "call", "ret", "enter", "leave",
]); // prettier-ignore

const instruction = new Instruction();

/** Whether the instruction at `code[position]`, whose read failed, wanted to write there as well. */
export function wantedToWrite(code: Uint8Array, position: number, end: number, mode: 32 | 64): boolean {
  if (decode(code, position, end, mode, instruction) <= 0 || !modifying.has(instruction.name)) return false;
  const { o0, o1 } = instruction;
  // XCHG and XADD have their memory operand on either side, the others' destination comes first.
  if (instruction.name.startsWith("maskmov")) return true;
  return o0.kind === OperandKind.mem || (instruction.name === "xchg" && o1.kind === OperandKind.mem);
}

/**
 * Whether an access to a non-canonical address by the instruction at `code[position]` raises #SS rather than #GP: it
 * went through SS (SDM vol. 1, 3.7.4 and vol. 3, 6.15).
 */
export function faultsInStack(code: Uint8Array, position: number, end: number, mode: 32 | 64): boolean {
  if (decode(code, position, end, mode, instruction) <= 0) return false;
  let memory = false;
  for (let i = 0; i < instruction.operandCount; i++) memory ||= instruction.operands[i as 0].kind === OperandKind.mem;
  if (!memory) return stacking.has(instruction.name);
  if (instruction.segment === Segment.fs || instruction.segment === Segment.gs) return false;
  return instruction.base === Slot.rsp || instruction.base === Slot.rbp;
}
