/**
 * Read-modify-write instructions that exist for LOCK (Intel SDM vol. 1, 7.3.1.2). Guest code runs on one thread, so
 * they are atomic as they are; the store, which may fault, comes before any register changes.
 */
import { Op } from "@doppel/dbt-core";
import { FlagBit } from "@doppel/lazy-flags";
import { OperandKind } from "../decode/instruction.ts";
import { Slot, Vector } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";

const xadd: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  const { width } = o0;
  const first = context.readDestination(o0);
  const second = context.readOperand(o1);
  const sum = context.binary(Op.i32Add, Op.i64Add, first, second, width);
  context.flags.add(first, second, sum, width);
  context.writeOperand(o1, first);
  context.writeDestination(o0, sum);
};

/** The destination is written in either case, with what it was where the comparison fails. */
const cmpxchg: Lifter = (context, instruction) => {
  const { b } = context;
  const { o0, o1 } = instruction;
  const { width } = o0;
  const destination = context.readDestination(o0);
  const source = context.readOperand(o1);
  const expected = context.readRegister(Slot.rax, width);
  context.flags.subtract(expected, destination, width);
  const same = context.flags.flag(FlagBit.zero);
  const result = b.select(source, destination, same);
  if (o0.kind === OperandKind.gpr && width === 32) {
    // Only the register that is written has its upper half cleared.
    const whole = b.get(o0.register);
    const accumulator = b.get(Slot.rax);
    b.set(Slot.rax, b.select(accumulator, b.unary(Op.i64ExtendI32U, destination), same));
    b.set(o0.register, b.select(b.unary(Op.i64ExtendI32U, source), whole, same));
    return;
  }
  context.writeDestination(o0, result);
  if (width === 32) {
    b.set(Slot.rax, b.select(b.get(Slot.rax), b.unary(Op.i64ExtendI32U, destination), same));
  } else if (o0.kind !== OperandKind.gpr || o0.register !== Slot.rax || o0.high) {
    context.writeRegister(Slot.rax, width, b.select(expected, destination, same));
  }
};

const cmpxchg8b: Lifter = (context) => {
  const { b } = context;
  const address = context.effectiveAddress();
  const memory = context.loadMemory(address, 64);
  const expected = context.joinHalves(context.readRegister(Slot.rax, 32), context.readRegister(Slot.rdx, 32));
  const desired = context.joinHalves(context.readRegister(Slot.rbx, 32), context.readRegister(Slot.rcx, 32));
  const same = b.binary(Op.i64Eq, memory, expected);
  context.storeMemory(address, 64, b.select(desired, memory, same));
  const low = b.unary(Op.i64ExtendI32U, b.unary(Op.i32WrapI64, memory));
  b.set(Slot.rax, b.select(b.get(Slot.rax), low, same));
  b.set(Slot.rdx, b.select(b.get(Slot.rdx), b.binary(Op.i64ShrU, memory, b.i64(32)), same));
  setZero(context, same);
};

/** #GP(0) unless the operand is a multiple of 16. */
const cmpxchg16b: Lifter = (context) => {
  const { b } = context;
  const address = context.effectiveAddress();
  const misaligned = b.binary(Op.i32And, b.unary(Op.i32WrapI64, address), b.i32(15));
  context.raiseIf(misaligned, Vector.generalProtection);
  const memory = b.load(Op.loadV128, address);
  const low = b.extractLane(Op.i64x2ExtractLane, memory, 0);
  const high = b.extractLane(Op.i64x2ExtractLane, memory, 1);
  const sameLow = b.binary(Op.i64Eq, low, b.get(Slot.rax));
  const same = b.binary(Op.i32And, sameLow, b.binary(Op.i64Eq, high, b.get(Slot.rdx)));
  const desired = b.replaceLane(Op.i64x2ReplaceLane, b.unary(Op.i64x2Splat, b.get(Slot.rbx)), b.get(Slot.rcx), 1);
  b.store(Op.storeV128, address, b.select(desired, memory, same));
  b.set(Slot.rax, b.select(b.get(Slot.rax), low, same));
  b.set(Slot.rdx, b.select(b.get(Slot.rdx), high, same));
  setZero(context, same);
};

/** ZF alone changes. */
export function setZero(context: LiftContext, bit: number): void {
  const { b, flags } = context;
  const others = b.binary(Op.i32And, flags.word(), b.i32(~(1 << FlagBit.zero)));
  flags.given(b.binary(Op.i32Or, others, b.binary(Op.i32Shl, bit, b.i32(FlagBit.zero))));
}

export const atomic: Readonly<Record<string, Lifter>> = { xadd, cmpxchg, cmpxchg8b, cmpxchg16b };
