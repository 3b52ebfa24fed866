/**
 * Jumps, calls, returns, and the traps a program raises itself (Intel SDM vol. 1, 6.4, 7.3.8).
 */
import { blockKey, Op } from "@doppel/dbt-core";
import { FlagBit, FlagCondition } from "@doppel/lazy-flags";
import type { Instruction } from "../decode/instruction.ts";
import { OperandKind } from "../decode/instruction.ts";
import { ExitCode, ModeBit, Service, Slot, Vector } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";
import { flagsWord } from "./integer-move.ts";

const RCX = 1;
const R11 = 11;

/** The key of a direct branch's target, a distance from the end of the instruction. */
function target(context: LiftContext, instruction: Instruction): number {
  return blockKey(context.b.nextOffset + instruction.target);
}

function following(context: LiftContext): number {
  return blockKey(context.b.nextOffset);
}

/** A code address of `width` bits as the 64-bit address it stands for. */
function codeAddress(context: LiftContext, value: number, width: number): number {
  return width === 64 ? value : context.b.unary(Op.i64ExtendI32U, context.zeroExtend(value, width));
}

/** The address of the next instruction, as `width` bits. */
function returnAddress(context: LiftContext, width: number): number {
  const { b } = context;
  const address = b.address(b.nextOffset);
  return width === 64 ? address : b.unary(Op.i32WrapI64, address);
}

/** A 16-bit operand size outside 64-bit mode truncates the target; it is then found when the code runs. */
function truncatedTarget(context: LiftContext, instruction: Instruction): number {
  const { b } = context;
  return context.truncateAddress(b.address(b.nextOffset + instruction.target), 16);
}

const jcc: Lifter = (context, instruction) => {
  context.b.branch(context.flags.condition(instruction.condition), target(context, instruction), following(context));
};

const jmp: Lifter = (context, instruction) => {
  const { b } = context;
  const { o0 } = instruction;
  if (o0.kind !== OperandKind.relative) {
    b.jumpIndirect(codeAddress(context, context.readOperand(o0), o0.width));
  } else if (instruction.operandWidth === 16) {
    b.jumpIndirect(truncatedTarget(context, instruction));
  } else {
    b.jump(target(context, instruction));
  }
};

const call: Lifter = (context, instruction) => {
  const { b } = context;
  const { o0, operandWidth } = instruction;
  const direct = o0.kind === OperandKind.relative;
  const destination = direct ? -1 : codeAddress(context, context.readOperand(o0), o0.width);
  context.push(returnAddress(context, operandWidth), operandWidth);
  if (!direct) b.callIndirect(destination, following(context));
  else if (operandWidth === 16) b.jumpIndirect(truncatedTarget(context, instruction));
  else b.call(target(context, instruction), following(context));
};

const ret: Lifter = (context, instruction) => {
  const { operandWidth } = instruction;
  const address = context.pop(operandWidth, instruction.operandCount > 0 ? instruction.immediateLow : 0);
  context.b.return(codeAddress(context, address, operandWidth));
};

/** The count register of LOOP and JCXZ, by the address size: an i32, or i64 for RCX. */
function count(context: LiftContext, instruction: Instruction): number {
  const { addressWidth } = instruction;
  return context.zeroExtend(context.readRegister(Slot.rcx, addressWidth), addressWidth);
}

const jcxz: Lifter = (context, instruction) => {
  const { b } = context;
  const isZero = b.unary(instruction.addressWidth === 64 ? Op.i64Eqz : Op.i32Eqz, count(context, instruction));
  b.branch(isZero, target(context, instruction), following(context));
};

/** LOOP, LOOPE, LOOPNE: `condition` is a FlagCondition or -1. */
function loop(condition: number): Lifter {
  return (context, instruction) => {
    const { b } = context;
    const { addressWidth } = instruction;
    const before = context.readRegister(Slot.rcx, addressWidth);
    const after = context.binary(Op.i32Sub, Op.i64Sub, before, context.constant(1, addressWidth), addressWidth);
    const zero = context.constant(0, addressWidth);
    let again = context.binary(Op.i32Ne, Op.i64Ne, context.zeroExtend(after, addressWidth), zero, addressWidth);
    if (condition >= 0) again = b.binary(Op.i32And, again, context.flags.condition(condition));
    context.writeRegister(Slot.rcx, addressWidth, after);
    b.branch(again, target(context, instruction), following(context));
  };
}

// Traps: the instruction pointer stands behind the instruction.

function trap(vector: number): Lifter {
  return (context) => {
    context.b.exit(ExitCode.exception + vector, 0, following(context));
  };
}

/** INT n. INT 80H is a system call; what the others are is for the supervisor to say. */
const int: Lifter = (context, instruction) => {
  const { b } = context;
  const vector = instruction.immediateLow & 0xff;
  if (vector === 0x80) b.service(Service.interrupt80, following(context));
  else b.exit(ExitCode.interrupt, vector, following(context));
};

/** In two parts: the second raises #OF. */
const into: Lifter = (context) => {
  const { b } = context;
  if (context.part === 0) {
    b.branch(context.flags.flag(FlagBit.overflow), blockKey(b.instructionOffset, 1), following(context));
  } else {
    b.exit(ExitCode.exception + Vector.overflow, 0, following(context));
  }
};

const undefinedInstruction: Lifter = (context) => {
  context.undefinedInstruction();
};

/** RCX gets the return address and R11 the flags: in a machine here, else by the service (SDM vol. 2, SYSCALL). */
const syscall: Lifter = (context) => {
  const { b } = context;
  if ((context.mode & ModeBit.machine) !== 0) {
    b.set(RCX, b.address(b.nextOffset));
    b.set(R11, context.fromI32(flagsWord(context), 64));
  }
  context.b.service(Service.syscall, following(context));
};

const sysenter: Lifter = (context) => {
  context.b.service(Service.sysenter, following(context));
};

/** Far transfers and IRET go through descriptors: whoever owns these carries them out. */
const far: Lifter = (context) => {
  context.privileged();
};

const nothing: Lifter = () => {};

export const control: Readonly<Record<string, Lifter>> = {
  jcc,
  jmp,
  call,
  ret,
  jcxz,
  loop: loop(-1),
  loope: loop(FlagCondition.equal),
  loopne: loop(FlagCondition.notEqual),
  int3: trap(Vector.breakpoint),
  int1: trap(Vector.debug),
  int,
  into,
  ud0: undefinedInstruction,
  ud1: undefinedInstruction,
  ud2: undefinedInstruction,
  syscall,
  sysenter,
  callf: far,
  jmpf: far,
  retf: far,
  iret: far,
  endbr32: nothing,
  endbr64: nothing,
};
