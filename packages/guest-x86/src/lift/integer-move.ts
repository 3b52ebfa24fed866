/**
 * Data movement: MOV and its extending forms, LEA, XCHG, BSWAP, the stack, flags to and from registers and stack,
 * CMOVcc and SETcc (Intel SDM vol. 1, 7.3.1, 7.3.11, 7.3.14).
 */
import { blockKey, Op } from "@doppel/dbt-core";
import { FlagBit } from "@doppel/lazy-flags";
import { OperandKind, Segment } from "../decode/instruction.ts";
import { RFlags, SYSTEM_FLAGS, USER_SYSTEM_FLAGS } from "../flags-word.ts";
import { helperIndex } from "../helpers.ts";
import { ExitCode, ModeBit, Slot, Vector } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";

const readSelectorHelper = helperIndex("readSelector");
const loadSelectorHelper = helperIndex("loadSelector");
const interruptWaitsHelper = helperIndex("interruptWaits");

const mov: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  if (o0.kind === OperandKind.segment && (context.mode & ModeBit.machine) !== 0) {
    context.privileged();
  } else if (o0.kind === OperandKind.segment) {
    loadSegment(context, o0.register, context.readOperand(o1, 16));
  } else if (o1.kind === OperandKind.segment) {
    context.writeOperand(o0, readSelector(context, o1.register, o0.width));
  } else if (o0.kind >= OperandKind.control || o1.kind >= OperandKind.control) {
    // Control and debug registers are a machine's: outside the supervisor they have raised #GP already.
    if (o1.kind === OperandKind.imm) context.writeOperand(o0, context.readOperand(o1, o0.width));
    else context.privileged();
  } else {
    context.writeOperand(o0, context.readOperand(o1, o0.width));
  }
};

function readSelector(context: LiftContext, segment: number, width: number): number {
  return context.fromI32(context.helper1(readSelectorHelper, context.b.i32(segment)), width);
}

/** Loads a segment register; #GP(selector) where the descriptor does not allow it. CS cannot be loaded (#UD, by the decoder). */
export function loadSegment(context: LiftContext, segment: number, selector: number): void {
  const { b } = context;
  const failed = context.helper2(loadSelectorHelper, b.i32(segment), context.zeroExtend(selector, 16));
  context.raiseIf(failed, Vector.generalProtection);
}

const movzx: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  const value = context.zeroExtend(context.readOperand(o1), o1.width);
  context.writeOperand(o0, context.fromI32(value, o0.width));
};

const movsx: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  const value = context.readOperand(o1);
  if (o0.width === 64) context.writeOperand(o0, context.toI64Signed(value, o1.width));
  else context.writeOperand(o0, o1.width < o0.width ? context.signExtend(value, o1.width) : value);
};

const lea: Lifter = (context, instruction) => {
  const { o0 } = instruction;
  const offset = context.addressOffset();
  context.writeOperand(o0, o0.width === 64 ? offset : context.b.unary(Op.i32WrapI64, offset));
};

const xchg: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  const first = context.readDestination(o0);
  const second = context.readOperand(o1);
  context.writeDestination(o0, second);
  context.writeOperand(o1, first);
};

/** The bytes of a value of 16, 32 or 64 bits in reverse. */
export function reverseBytes(context: LiftContext, value: number, width: number): number {
  const { b } = context;
  if (width === 64) {
    const vector = b.unary(Op.i64x2Splat, value);
    return b.extractLane(Op.i64x2ExtractLane, b.shuffle(vector, vector, reversed), 0);
  }
  // Bytes 3 and 1 turned left, bytes 2 and 0 right.
  const odd = b.binary(Op.i32And, b.binary(Op.i32Rotl, value, b.i32(8)), b.i32(0x00ff00ff));
  const even = b.binary(Op.i32And, b.binary(Op.i32Rotr, value, b.i32(8)), b.i32(0xff00ff00 | 0));
  const whole = b.binary(Op.i32Or, odd, even);
  return width === 32 ? whole : b.binary(Op.i32ShrU, whole, b.i32(16));
}
const reversed = Uint8Array.from({ length: 16 }, (_, index) => index ^ 7);

const bswap: Lifter = (context, instruction) => {
  const { o0 } = instruction;
  const { width } = o0;
  // With a 16-bit operand the result is undefined; processors clear the register.
  const value = width === 16 ? context.b.i32(0) : reverseBytes(context, context.readOperand(o0), width);
  context.writeOperand(o0, value);
};

const movbe: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  context.writeOperand(o0, reverseBytes(context, context.readOperand(o1), o0.width));
};

// The stack.

const push: Lifter = (context, instruction) => {
  const { o0, operandWidth } = instruction;
  if (o0.kind === OperandKind.segment) context.push(readSelector(context, o0.register, operandWidth), operandWidth);
  else context.push(context.readOperand(o0, operandWidth), operandWidth);
};

const pop: Lifter = (context, instruction) => {
  const { o0, operandWidth } = instruction;
  if (o0.kind === OperandKind.segment && (context.mode & ModeBit.machine) !== 0) {
    context.privileged();
    return;
  }
  const value = context.pop(operandWidth);
  // A memory operand's address is computed after the stack pointer has moved (SDM vol. 2, POP).
  if (o0.kind === OperandKind.segment) loadSegment(context, o0.register, context.toI32(value, operandWidth));
  else context.writeOperand(o0, value);
};

// Flags to and from elsewhere.

/** RFLAGS as a word, without VM and RF, as PUSHF stores it. */
export function flagsWord(context: LiftContext): number {
  const { b } = context;
  const system = b.binary(Op.i32And, b.get(Slot.systemFlags), b.i32(~(RFlags.resume | RFlags.virtual8086)));
  const direction = b.binary(Op.i32Shl, b.get(Slot.direction), b.i32(10));
  const others = b.binary(Op.i32Or, b.binary(Op.i32Or, system, direction), b.i32(RFlags.fixed));
  return b.binary(Op.i32Or, context.flags.word(), others);
}

/** Sets RFLAGS from a word, of the system flags those in `mask`. */
export function setFlagsWord(context: LiftContext, word: number, mask: number): void {
  const { b } = context;
  const kept = b.binary(Op.i32And, b.get(Slot.systemFlags), b.i32(~mask));
  b.set(Slot.systemFlags, b.binary(Op.i32Or, kept, b.binary(Op.i32And, word, b.i32(mask))));
  b.set(Slot.direction, b.binary(Op.i32And, b.binary(Op.i32ShrU, word, b.i32(10)), b.i32(1)));
  context.flags.given(word);
}

const pushf: Lifter = (context, instruction) => {
  const { operandWidth } = instruction;
  context.push(context.fromI32(flagsWord(context), operandWidth), operandWidth);
};

/** Whether an interrupt waits (i32), where `isEnabled` (i32) says that the interrupt flag is set. */
export function interruptWaits(context: LiftContext, isEnabled: number): number {
  return context.b.binary(Op.i32And, context.helper0(interruptWaitsHelper), isEnabled);
}

/** Ends an instruction's first part: to the second, which leaves, if `condition`; else behind the instruction. */
export function leaveIf(context: LiftContext, condition: number): void {
  const { b } = context;
  b.branch(condition, blockKey(b.instructionOffset, 1), blockKey(b.nextOffset));
}

/** In two parts, in a machine: the second leaves because an interrupt waits, or the trap flag is set. */
const popf: Lifter = (context, instruction) => {
  const { operandWidth } = instruction;
  if (context.part === 1) {
    context.b.exit(ExitCode.interruptWindow, 0, blockKey(context.b.nextOffset));
    return;
  }
  const word = context.toI32(context.pop(operandWidth), operandWidth);
  let mask =
    (context.mode & ModeBit.supervisor) !== 0 ? SYSTEM_FLAGS & ~(RFlags.virtual8086 | (3 << 19)) : USER_SYSTEM_FLAGS;
  mask &= ~RFlags.resume;
  if (operandWidth === 16) mask &= 0xffff;
  const before = context.b.get(Slot.systemFlags);
  setFlagsWord(context, word, mask);
  if ((context.mode & ModeBit.machine) !== 0) {
    const { b } = context;
    const trap = b.binary(Op.i32And, word, b.i32(RFlags.trap));
    const isEnabled = b.binary(Op.i32And, b.binary(Op.i32ShrU, word, b.i32(9)), b.i32(1));
    if ((context.mode & ModeBit.supervisor) === 0) {
      leaveIf(context, trap);
      return;
    }
    // A supervisor that gives up AC must not reach user pages from here on.
    const access = b.binary(Op.i32And, b.binary(Op.i32Xor, word, before), b.i32(RFlags.alignmentCheck));
    leaveIf(context, b.binary(Op.i32Or, b.binary(Op.i32Or, trap, access), interruptWaits(context, isEnabled)));
  }
};

/** The flags LAHF and SAHF move: SF ZF AF PF CF. */
const LOW_FLAGS = 0xd5;

const lahf: Lifter = (context) => {
  const { b } = context;
  const word = b.binary(Op.i32And, context.flags.word(), b.i32(LOW_FLAGS));
  context.writeHighByte(Slot.rax, b.binary(Op.i32Or, word, b.i32(RFlags.fixed)));
};

const sahf: Lifter = (context) => {
  const { b, flags } = context;
  const overflow = b.binary(Op.i32Shl, flags.flag(FlagBit.overflow), b.i32(FlagBit.overflow));
  const low = b.binary(Op.i32And, context.readHighByte(Slot.rax), b.i32(LOW_FLAGS));
  flags.given(b.binary(Op.i32Or, low, overflow));
};

const cmovcc: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  // The source is read, and a 32-bit destination's upper half cleared, whether or not the condition holds.
  const source = context.readOperand(o1);
  const condition = context.flags.condition(instruction.condition);
  context.writeOperand(o0, context.b.select(source, context.readOperand(o0), condition));
};

const setcc: Lifter = (context, instruction) => {
  context.writeOperand(instruction.o0, context.flags.condition(instruction.condition));
};

// Sign extension of the accumulator.

const cbw: Lifter = (context) => {
  context.writeRegister(Slot.rax, 16, context.signExtend(context.readRegister(Slot.rax, 8), 8));
};
const cwde: Lifter = (context) => {
  context.writeRegister(Slot.rax, 32, context.signExtend(context.readRegister(Slot.rax, 16), 16));
};
const cdqe: Lifter = (context) => {
  context.b.set(Slot.rax, context.b.unary(Op.i64ExtendI32S, context.readRegister(Slot.rax, 32)));
};
const cwd: Lifter = (context) => {
  const { b } = context;
  const value = context.signExtend(context.readRegister(Slot.rax, 16), 16);
  context.writeRegister(Slot.rdx, 16, b.binary(Op.i32ShrS, value, b.i32(15)));
};
const cdq: Lifter = (context) => {
  const { b } = context;
  context.writeRegister(Slot.rdx, 32, b.binary(Op.i32ShrS, context.readRegister(Slot.rax, 32), b.i32(31)));
};
const cqo: Lifter = (context) => {
  const { b } = context;
  b.set(Slot.rdx, b.binary(Op.i64ShrS, b.get(Slot.rax), b.i64(63)));
};

/** AL = [rBX + AL]. */
const xlat: Lifter = (context, instruction) => {
  const { b } = context;
  const index = b.unary(Op.i64ExtendI32U, context.zeroExtend(context.readRegister(Slot.rax, 8), 8));
  const sum = b.binary(Op.i64Add, b.get(Slot.rbx), index);
  const { addressWidth } = instruction;
  const offset = addressWidth === 64 ? sum : context.truncateAddress(sum, addressWidth);
  const segment = instruction.segment >= 0 ? instruction.segment : Segment.ds;
  context.writeRegister(Slot.rax, 8, context.loadMemory(context.linearAddress(offset, segment), 8));
};

export const integerMove: Readonly<Record<string, Lifter>> = {
  mov,
  movnti: mov,
  movzx,
  movsx,
  movsxd: movsx,
  movbe,
  lea,
  xchg,
  bswap,
  push,
  pop,
  pushf,
  popf,
  lahf,
  sahf,
  cmovcc,
  setcc,
  cbw,
  cwde,
  cdqe,
  cwd,
  cdq,
  cqo,
  xlat,
};
