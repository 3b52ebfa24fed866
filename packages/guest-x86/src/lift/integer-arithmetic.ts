/**
 * Addition, subtraction, logic and comparison (Intel SDM vol. 1, 7.3.2, 7.3.5).
 *
 * Each instruction computes its result and records what its flags follow from; a read-modify-write of memory stores last,
 * and since register writes and the record take effect at the end, a store that faults leaves everything as it was.
 */
import { Op } from "@doppel/dbt-core";
import { FlagBit, FlagKind } from "@doppel/lazy-flags";
import type { Lifter } from "./context.ts";

const add: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  const { width } = o0;
  const first = context.readDestination(o0);
  const second = context.readOperand(o1, width);
  const sum = context.binary(Op.i32Add, Op.i64Add, first, second, width);
  context.flags.add(first, second, sum, width);
  context.writeDestination(o0, sum);
};

const adc: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  const { width } = o0;
  const first = context.readDestination(o0);
  const second = context.readOperand(o1, width);
  const carryIn = context.flags.flag(FlagBit.carry);
  const both = context.binary(Op.i32Add, Op.i64Add, first, second, width);
  const sum = context.binary(Op.i32Add, Op.i64Add, both, context.fromI32(carryIn, width), width);
  context.flags.addCarry(first, second, carryIn, sum, width);
  context.writeDestination(o0, sum);
};

const sub: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  const { width } = o0;
  if (context.sameRegister(o0, o1)) {
    const zero = context.constant(0, width);
    context.flags.logic(zero, width);
    context.writeOperand(o0, zero);
    return;
  }
  const first = context.readDestination(o0);
  const second = context.readOperand(o1, width);
  context.flags.subtract(first, second, width);
  context.writeDestination(o0, context.binary(Op.i32Sub, Op.i64Sub, first, second, width));
};

const sbb: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  const { width } = o0;
  const borrow = context.flags.flag(FlagBit.carry);
  const borrowed = context.fromI32(borrow, width);
  if (context.sameRegister(o0, o1)) {
    // x - x - borrow == 0 - borrow
    const zero = context.constant(0, width);
    context.flags.subtractBorrow(zero, zero, borrow, width);
    context.writeOperand(o0, context.binary(Op.i32Sub, Op.i64Sub, zero, borrowed, width));
    return;
  }
  const first = context.readDestination(o0);
  const second = context.readOperand(o1, width);
  const difference = context.binary(Op.i32Sub, Op.i64Sub, first, second, width);
  context.flags.subtractBorrow(first, second, borrow, width);
  context.writeDestination(o0, context.binary(Op.i32Sub, Op.i64Sub, difference, borrowed, width));
};

const cmp: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  const { width } = o0;
  const first = context.readOperand(o0);
  context.flags.subtract(first, context.readOperand(o1, width), width);
};

/** AND and OR of a register with itself leave it, XOR clears it. */
function logic(op32: number, op64: number, clearsSame: boolean): Lifter {
  return (context, instruction) => {
    const { o0, o1 } = instruction;
    const { width } = o0;
    let result: number;
    if (context.sameRegister(o0, o1)) {
      result = clearsSame ? context.constant(0, width) : context.readOperand(o0);
    } else {
      const first = context.readDestination(o0);
      result = context.binary(op32, op64, first, context.readOperand(o1, width), width);
    }
    context.flags.logic(result, width);
    context.writeDestination(o0, result);
  };
}

const test: Lifter = (context, instruction) => {
  const { o0, o1 } = instruction;
  const { width } = o0;
  const first = context.readOperand(o0);
  const result = context.sameRegister(o0, o1)
    ? first
    : context.binary(Op.i32And, Op.i64And, first, context.readOperand(o1, width), width);
  context.flags.logic(result, width);
};

function step(kind: number, op32: number, op64: number): Lifter {
  return (context, instruction) => {
    const { o0 } = instruction;
    const { width } = o0;
    const result = context.binary(op32, op64, context.readDestination(o0), context.constant(1, width), width);
    context.flags.step(kind, result, width);
    context.writeDestination(o0, result);
  };
}

const neg: Lifter = (context, instruction) => {
  const { o0 } = instruction;
  const { width } = o0;
  const value = context.readDestination(o0);
  const zero = context.constant(0, width);
  context.flags.subtract(zero, value, width);
  context.writeDestination(o0, context.binary(Op.i32Sub, Op.i64Sub, zero, value, width));
};

const not: Lifter = (context, instruction) => {
  const { o0 } = instruction;
  const { width } = o0;
  const value = context.readDestination(o0);
  context.writeDestination(o0, context.binary(Op.i32Xor, Op.i64Xor, value, context.constant(-1, width), width));
};

/** ADCX: carry in and out through CF alone; ADOX: through OF alone (SDM vol. 2). */
function addWithFlag(flag: number): Lifter {
  return (context, instruction) => {
    const { b, flags } = context;
    const { o0, o1 } = instruction;
    const { width } = o0;
    const first = context.readOperand(o0);
    const carryIn = flags.flag(flag);
    const second = context.readOperand(o1, width);
    const both = context.binary(Op.i32Add, Op.i64Add, first, second, width);
    const sum = context.binary(Op.i32Add, Op.i64Add, both, context.fromI32(carryIn, width), width);
    // The first addition wrapped, or the second did.
    const less = width === 64 ? Op.i64LtU : Op.i32LtU;
    const carryOut = b.binary(Op.i32Or, b.binary(less, both, first), b.binary(less, sum, both));
    if (flag === FlagBit.carry) flags.setCarry(carryOut);
    else flags.setOverflow(carryOut);
    context.writeOperand(o0, sum);
  };
}

export const integerArithmetic: Readonly<Record<string, Lifter>> = {
  add,
  adc,
  sub,
  sbb,
  cmp,
  and: logic(Op.i32And, Op.i64And, false),
  or: logic(Op.i32Or, Op.i64Or, false),
  xor: logic(Op.i32Xor, Op.i64Xor, true),
  test,
  inc: step(FlagKind.increment, Op.i32Add, Op.i64Add),
  dec: step(FlagKind.decrement, Op.i32Sub, Op.i64Sub),
  neg,
  not,
  adcx: addWithFlag(FlagBit.carry),
  adox: addWithFlag(FlagBit.overflow),
};
