/**
 * RFLAGS as a word, read from and written to a context block: for signals, checkpoints, debuggers and helpers.
 * Layout of RFLAGS: Intel SDM vol. 1, 3.4.3.
 */
import {
  FLAGS_MASK,
  flagsOf,
  normalisedRecord,
  OperationWord,
  type PackedRecord,
  plainFlagsOf,
} from "@doppel/lazy-flags";
import { StateOffset } from "./state.ts";

export const RFlags = {
  carry: 0x1,
  parity: 0x4,
  adjust: 0x10,
  zero: 0x40,
  sign: 0x80,
  trap: 0x100,
  interrupt: 0x200,
  direction: 0x400,
  overflow: 0x800,
  ioPrivilege: 0x3000,
  nestedTask: 0x4000,
  resume: 0x10000,
  virtual8086: 0x20000,
  alignmentCheck: 0x40000,
  identification: 0x200000,
  /** Bit 1 is always set. */
  fixed: 0x2,
} as const;

/** The bits kept in StateOffset.systemFlags: all that are neither condition flags nor DF. */
export const SYSTEM_FLAGS: number =
  RFlags.trap |
  RFlags.interrupt |
  RFlags.ioPrivilege |
  RFlags.nestedTask |
  RFlags.resume |
  RFlags.virtual8086 |
  RFlags.alignmentCheck |
  (3 << 19) |
  RFlags.identification;

/** What POPF changes of them outside the supervisor (IOPL < CPL = 3; SDM vol. 2, POPF, table 4-16). */
export const USER_SYSTEM_FLAGS: number =
  RFlags.trap | RFlags.nestedTask | RFlags.alignmentCheck | RFlags.identification;

/** The operation word of a record that holds a flags word, with carry set. */
const GIVEN: number = normalisedRecord(RFlags.carry).operation;

const record: PackedRecord = { operation: 0, a: 0n, b: 0n, result: 0n };

/** CF, PF, AF, ZF, SF and OF of the context block at `cpu`, from its flags record. */
export function readConditionFlags(view: DataView, cpu: number): number {
  const operation = view.getInt32(cpu + StateOffset.flagOperation, true);
  // A word that was given, which is what system software leaves, is one already.
  if ((operation | OperationWord.carry) === GIVEN) {
    const others = view.getInt32(cpu + StateOffset.flagResult, true) & FLAGS_MASK & ~RFlags.carry;
    return others | ((operation & OperationWord.carry) === 0 ? 0 : RFlags.carry);
  }
  const plain = plainFlagsOf(
    operation,
    view.getInt32(cpu + StateOffset.flagA, true),
    view.getInt32(cpu + StateOffset.flagA + 4, true),
    view.getInt32(cpu + StateOffset.flagB, true),
    view.getInt32(cpu + StateOffset.flagB + 4, true),
  );
  if (plain >= 0) return plain;
  record.operation = operation;
  record.a = view.getBigUint64(cpu + StateOffset.flagA, true);
  record.b = view.getBigUint64(cpu + StateOffset.flagB, true);
  record.result = view.getBigUint64(cpu + StateOffset.flagResult, true);
  return flagsOf(record);
}

/** RFLAGS of the context block at `cpu`, exact. The record is left as it is. */
export function readFlags(view: DataView, cpu: number): number {
  const direction = view.getInt32(cpu + StateOffset.direction, true) === 0 ? 0 : RFlags.direction;
  const system = view.getInt32(cpu + StateOffset.systemFlags, true) & SYSTEM_FLAGS;
  return readConditionFlags(view, cpu) | direction | system | RFlags.fixed;
}

/** Sets RFLAGS; the record becomes normalised. The caller masks what may be changed. */
export function writeFlags(view: DataView, cpu: number, value: number): void {
  const carry = (value & RFlags.carry) === 0 ? 0 : OperationWord.carry;
  view.setInt32(cpu + StateOffset.flagOperation, (GIVEN & ~OperationWord.carry) | carry, true);
  view.setInt32(cpu + StateOffset.flagResult, value & FLAGS_MASK, true);
  view.setInt32(cpu + StateOffset.flagResult + 4, 0, true);
  // Nobody asks for these; they are what a normalised record has.
  for (let at = StateOffset.flagA; at < StateOffset.flagResult; at += 4) view.setInt32(cpu + at, 0, true);
  view.setInt32(cpu + StateOffset.direction, (value & RFlags.direction) === 0 ? 0 : 1, true);
  view.setInt32(cpu + StateOffset.systemFlags, value & SYSTEM_FLAGS, true);
}
