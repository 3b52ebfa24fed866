/**
 * String instructions (Intel SDM vol. 1, 7.3.9; vol. 2, REP).
 *
 * Repeated ones are lifted in parts, each a block: part 0 leaves when rCX is zero; the others carry on and jump back to
 * part 0, with all registers as the processor would have them, so a fault or an interrupt in the middle restarts rightly.
 * REP MOVS and REP STOS have a part 1 that asks a helper to do as much as one page holds, and a part 2 for one item.
 */
import { blockKey, Op } from "@doppel/dbt-core";
import { FlagCondition } from "@doppel/lazy-flags";
import { type Instruction, Segment } from "../decode/instruction.ts";
import { helperIndex } from "../helpers.ts";
import { ModeBit, Slot } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";

const repeatMoveHelper = helperIndex("repeatMove");
const repeatStoreHelper = helperIndex("repeatStore");

const REPE = 0xf3;

/** The linear address in rSI (DS or override) or rDI (always ES). */
function pointer(context: LiftContext, instruction: Instruction, register: number): number {
  const { b } = context;
  const { addressWidth } = instruction;
  const whole = b.get(register);
  const offset = addressWidth === 64 ? whole : context.truncateAddress(whole, addressWidth);
  if (register === Slot.rdi) return context.linearAddress(offset, Segment.es);
  return context.linearAddress(offset, instruction.segment >= 0 ? instruction.segment : Segment.ds);
}

/** Moves rSI or rDI on by one item, up or down. */
function advance(context: LiftContext, instruction: Instruction, register: number): void {
  const { b } = context;
  const bytes = instruction.operandWidth / 8;
  const step = b.select(b.i64(-bytes), b.i64(bytes), b.get(Slot.direction));
  context.setPointer(register, b.binary(Op.i64Add, b.get(register), step), instruction.addressWidth);
}

/** Ends part 0: on to part 1, or to the next instruction when rCX is zero. */
function beginRepetition(context: LiftContext, instruction: Instruction): void {
  const { b } = context;
  const { addressWidth } = instruction;
  const count = context.zeroExtend(context.readRegister(Slot.rcx, addressWidth), addressWidth);
  const done = b.unary(addressWidth === 64 ? Op.i64Eqz : Op.i32Eqz, count);
  b.branch(done, blockKey(b.nextOffset), blockKey(b.instructionOffset, 1));
}

/** Counts an item and ends the part: back to part 0, for as long as `condition` (a FlagCondition, or -1) holds. */
function endRepetition(context: LiftContext, instruction: Instruction, condition: number): void {
  const { b } = context;
  const { addressWidth } = instruction;
  const left = context.binary(
    Op.i32Sub,
    Op.i64Sub,
    context.readRegister(Slot.rcx, addressWidth),
    context.constant(1, addressWidth),
    addressWidth,
  );
  context.writeRegister(Slot.rcx, addressWidth, left);
  const again = blockKey(b.instructionOffset);
  if (condition < 0) b.jump(again);
  else b.branch(context.flags.condition(condition), again, blockKey(b.nextOffset));
}

/** What one item of MOVS, STOS or LODS is. */
type Item = (context: LiftContext, instruction: Instruction) => void;

const moveItem: Item = (context, instruction) => {
  const { operandWidth } = instruction;
  const value = context.loadMemory(pointer(context, instruction, Slot.rsi), operandWidth);
  context.storeMemory(pointer(context, instruction, Slot.rdi), operandWidth, value);
  advance(context, instruction, Slot.rsi);
  advance(context, instruction, Slot.rdi);
};

const storeItem: Item = (context, instruction) => {
  const { operandWidth } = instruction;
  const value = context.readRegister(Slot.rax, operandWidth);
  context.storeMemory(pointer(context, instruction, Slot.rdi), operandWidth, value);
  advance(context, instruction, Slot.rdi);
};

const loadItem: Item = (context, instruction) => {
  const { operandWidth } = instruction;
  const value = context.loadMemory(pointer(context, instruction, Slot.rsi), operandWidth);
  context.writeRegister(Slot.rax, operandWidth, value);
  advance(context, instruction, Slot.rsi);
};

/** Whether the bulk helpers, which know no segments, can do it. */
export function isBulk(instruction: Instruction, mode: number): boolean {
  return (
    (mode & (ModeBit.segmented | ModeBit.small)) === 0 && instruction.segment < 0 && instruction.addressWidth >= 32
  );
}

function repeatable(item: Item, bulkHelper: number): Lifter {
  return (context, instruction) => {
    const { b } = context;
    if (instruction.rep === 0) {
      item(context, instruction);
    } else if (context.part === 0) {
      beginRepetition(context, instruction);
    } else if (context.part === 1 && bulkHelper >= 0 && isBulk(instruction, context.mode)) {
      const bytes = b.i32(instruction.operandWidth / 8);
      const done = context.helper2(bulkHelper, bytes, b.i32(instruction.addressWidth));
      b.branch(done, blockKey(b.instructionOffset), blockKey(b.instructionOffset, 2));
    } else {
      item(context, instruction);
      endRepetition(context, instruction, -1);
    }
  };
}

function comparing(item: Item): Lifter {
  return (context, instruction) => {
    if (instruction.rep === 0) {
      item(context, instruction);
    } else if (context.part === 0) {
      beginRepetition(context, instruction);
    } else {
      item(context, instruction);
      endRepetition(context, instruction, instruction.rep === REPE ? FlagCondition.equal : FlagCondition.notEqual);
    }
  };
}

const cmps = comparing((context, instruction) => {
  const { operandWidth } = instruction;
  // Where both would fault, processors report the destination.
  const second = context.loadMemory(pointer(context, instruction, Slot.rdi), operandWidth);
  const first = context.loadMemory(pointer(context, instruction, Slot.rsi), operandWidth);
  context.flags.subtract(first, second, operandWidth);
  advance(context, instruction, Slot.rsi);
  advance(context, instruction, Slot.rdi);
});

const scas = comparing((context, instruction) => {
  const { operandWidth } = instruction;
  const first = context.readRegister(Slot.rax, operandWidth);
  const second = context.loadMemory(pointer(context, instruction, Slot.rdi), operandWidth);
  context.flags.subtract(first, second, operandWidth);
  advance(context, instruction, Slot.rdi);
});

export const string: Readonly<Record<string, Lifter>> = {
  movs: repeatable(moveItem, repeatMoveHelper),
  stos: repeatable(storeItem, repeatStoreHelper),
  lods: repeatable(loadItem, -1),
  cmps,
  scas,
};
