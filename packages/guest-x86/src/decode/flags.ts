// What an instruction does to EFLAGS, as masks of EFLAGS bits; derived from the flags column of its row.
import { OperandKind } from "./instruction.ts";
import type { Instruction } from "./instruction.ts";
import { FormBit } from "./notation.ts";
import { effects, formBits, formEffect } from "./tables.ts";

/** EFLAGS bits. */
export const Flag = { c: 0x1, p: 0x4, a: 0x10, z: 0x40, s: 0x80, i: 0x200, d: 0x400, o: 0x800, ac: 0x4_0000 } as const;

// By condition / 2: O, B, Z, BE, S, P, L, LE.
const conditionFlags = new Uint16Array([0x800, 0x1, 0x40, 0x41, 0x80, 0x4, 0x880, 0x8c0]);

// What the count of a shift or repetition is known to be.
const countUnknown = -1;

// The count that decides whether flags change at all: a shift's immediate after masking, 1 where there is no count.
function decidingCount(instruction: Instruction): number {
  const bits = formBits[instruction.form];
  if ((bits & FormBit.conditionalFlags) === 0) return 1;
  if ((bits & FormBit.rep) !== 0) return instruction.rep === 0 ? 1 : countUnknown;
  const last = instruction.operands[(instruction.operandCount - 1) as 0 | 1 | 2 | 3];
  if (last.kind !== OperandKind.imm) return countUnknown;
  return instruction.immediateLow & (instruction.operandWidth === 64 ? 63 : 31);
}

/** Flags whose value the instruction's effect depends on. */
export function flagsRead(instruction: Instruction): number {
  const form = instruction.form;
  const bits = formBits[form];
  let read = effects[effectOf(form)];
  if ((bits & FormBit.readsCondition) !== 0) read |= conditionFlags[instruction.condition >> 1];
  return decidingCount(instruction) === 0 ? 0 : read;
}

/** Flags whose value may differ after the instruction: written, cleared, set or left undefined. */
export function flagsChanged(instruction: Instruction): number {
  return decidingCount(instruction) === 0 ? 0 : declaredChanges(instruction.form);
}

/**
 * Flags whose earlier value cannot be seen after the instruction: `flagsChanged`, unless a count that may be zero decides
 * (a shift by CL, a repeated string comparison), in which case nothing is certain.
 */
export function flagsOverwritten(instruction: Instruction): number {
  return decidingCount(instruction) > 0 ? declaredChanges(instruction.form) : 0;
}

/** Flags left undefined by the architecture (a subset of `flagsChanged`). */
export function flagsUndefined(instruction: Instruction): number {
  const form = instruction.form;
  const bits = formBits[form];
  const flags = effects[effectOf(form) + 4];
  if ((bits & FormBit.conditionalFlags) === 0) return flags;
  const count = decidingCount(instruction);
  // A shift or rotation by one defines OF, whatever its encoding.
  return count === 0 ? 0 : count === 1 ? flags & ~Flag.o : flags;
}

function effectOf(form: number): number {
  return formEffect[form] * 5;
}

function declaredChanges(form: number): number {
  const effect = effectOf(form);
  return effects[effect + 1] | effects[effect + 2] | effects[effect + 3] | effects[effect + 4];
}
