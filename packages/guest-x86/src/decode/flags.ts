// What an instruction does to EFLAGS, as masks of EFLAGS bits; derived from the flags column of its row.
import {
  FormBit,
  formBits,
  formFlagsCleared,
  formFlagsRead,
  formFlagsSet,
  formFlagsUndefined,
  formFlagsWritten,
} from "./form-table.ts";
import { OperandKind } from "./instruction.ts";
import type { Instruction } from "./instruction.ts";

/** EFLAGS bits. */
export const Flag = { c: 0x1, p: 0x4, a: 0x10, z: 0x40, s: 0x80, i: 0x200, d: 0x400, o: 0x800, ac: 0x4_0000 } as const;

// By condition / 2: O, B, Z, BE, S, P, L, LE.
const conditionFlags = new Uint16Array([0x800, 0x1, 0x40, 0x41, 0x80, 0x4, 0x880, 0x8c0]);

/** Flags whose value the instruction's effect depends on. */
export function flagsRead(instruction: Instruction): number {
  const form = instruction.form;
  const read = formFlagsRead[form] as number;
  if (((formBits[form] as number) & FormBit.readsCondition) === 0) return read;
  return read | (conditionFlags[instruction.condition >> 1] as number);
}

/** Flags whose value may differ after the instruction: written, cleared, set or left undefined. */
export function flagsChanged(instruction: Instruction): number {
  const form = instruction.form;
  return (
    (formFlagsWritten[form] as number) |
    (formFlagsCleared[form] as number) |
    (formFlagsSet[form] as number) |
    (formFlagsUndefined[form] as number)
  );
}

/**
 * Flags whose earlier value cannot be seen after the instruction: `flagsChanged`, unless a count that may be zero decides
 * (a shift by CL, a repeated string comparison), in which case nothing is certain.
 */
export function flagsOverwritten(instruction: Instruction): number {
  if (((formBits[instruction.form] as number) & FormBit.conditionalFlags) === 0) return flagsChanged(instruction);
  if (((formBits[instruction.form] as number) & FormBit.rep) !== 0) {
    return instruction.rep === 0 ? flagsChanged(instruction) : 0;
  }
  const last = instruction.operands[(instruction.operandCount - 1) as 0 | 1 | 2 | 3];
  if (last.kind !== OperandKind.imm) return 0;
  const count = instruction.immediateLow & (instruction.operandWidth === 64 ? 63 : 31);
  return count === 0 ? 0 : flagsChanged(instruction);
}

/** Flags left undefined by the architecture (a subset of `flagsChanged`). */
export function flagsUndefined(instruction: Instruction): number {
  return formFlagsUndefined[instruction.form] as number;
}
