/**
 * Multiplication and division (Intel SDM vol. 1, 7.3.2; vol. 2, MUL, IMUL, DIV, IDIV, MULX).
 */
import { blockKey, Op, type RegionBuilder } from "@doppel/dbt-core";
import type { Instruction } from "../decode/instruction.ts";
import { helperIndex } from "../helpers.ts";
import { Slot, Vector } from "../state.ts";
import type { LiftContext, Lifter } from "./context.ts";
import { highProduct, highProductSigned } from "./high-product.ts";

const divide128Helper = helperIndex("divide128");

/** One operand: rDX:rAX (AX for bytes) = rAX times it. */
function multiplyAccumulator(signed: boolean): Lifter {
  return (context, instruction) => {
    const { b, flags } = context;
    const { o0 } = instruction;
    const { width } = o0;
    const accumulator = context.readRegister(Slot.rax, width);
    const factor = context.readOperand(o0);
    flags.multiply(accumulator, factor, width, signed);
    if (width === 64) {
      const low = b.binary(Op.i64Mul, accumulator, factor);
      const high = signed ? highProductSigned(b, accumulator, factor) : highProduct(b, accumulator, factor);
      b.set(Slot.rax, low);
      b.set(Slot.rdx, high);
    } else if (width === 32) {
      const product = signed
        ? b.binary(Op.i64Mul, context.toI64Signed(accumulator, 32), context.toI64Signed(factor, 32))
        : b.binary(Op.i64Mul, context.toI64(accumulator, 32), context.toI64(factor, 32));
      const low = b.unary(Op.i32WrapI64, product);
      context.writeRegister(Slot.rax, 32, low);
      b.set(Slot.rdx, b.binary(Op.i64ShrU, product, b.i64(32)));
    } else {
      const product = narrowProduct(context, accumulator, factor, width, signed);
      context.writeRegister(Slot.rax, 16, product);
      if (width === 16) context.writeRegister(Slot.rdx, 16, b.binary(Op.i32ShrU, product, b.i32(16)));
    }
  };
}

function narrowProduct(context: LiftContext, x: number, y: number, width: number, signed: boolean): number {
  return signed
    ? context.b.binary(Op.i32Mul, context.signExtend(x, width), context.signExtend(y, width))
    : context.b.binary(Op.i32Mul, context.zeroExtend(x, width), context.zeroExtend(y, width));
}

const multiplyOne = multiplyAccumulator(true);

const imul: Lifter = (context, instruction) => {
  if (instruction.operandCount === 1) {
    multiplyOne(context, instruction);
    return;
  }
  const { flags } = context;
  const { o0, o1, o2 } = instruction;
  const { width } = o0;
  const two = instruction.operandCount === 2;
  const first = context.readOperand(two ? o0 : o1);
  const second = context.readOperand(two ? o1 : o2, width);
  flags.multiply(first, second, width, true);
  // The low half is the same, signed or not, whatever lies above.
  const product = context.binary(Op.i32Mul, Op.i64Mul, first, second, width);
  context.writeOperand(o0, product);
};

/** rDX times the source, unsigned, without flags: the high half to the first operand, the low to the second. */
const mulx: Lifter = (context, instruction) => {
  const { b } = context;
  const { o0, o1, o2 } = instruction;
  const { width } = o0;
  const first = context.readRegister(Slot.rdx, width);
  const second = context.readOperand(o2);
  if (width === 64) {
    context.writeOperand(o1, b.binary(Op.i64Mul, first, second));
    context.writeOperand(o0, highProduct(b, first, second));
  } else {
    const product = b.binary(Op.i64Mul, context.toI64(first, 32), context.toI64(second, 32));
    context.writeOperand(o1, b.unary(Op.i32WrapI64, product));
    context.writeOperand(o0, context.highHalf(product));
  }
};

/** Division: the flags are undefined, and stay as they were. */
function divide(signed: boolean): Lifter {
  return (context, instruction) => {
    const { width } = instruction.o0;
    if (width === 64) divide64(context, instruction, signed);
    else if (width === 32) divide32(context, instruction, signed);
    else divideNarrow(context, instruction, width, signed);
  };
}

function raiseIfZero(context: LiftContext, divisor: number, width: number): void {
  context.raiseIf(context.b.unary(width === 64 ? Op.i64Eqz : Op.i32Eqz, divisor), Vector.divideError);
}

/** AX by a byte, DX:AX by 16 bits. */
function divideNarrow(context: LiftContext, instruction: Instruction, width: number, signed: boolean): void {
  const { b } = context;
  const raw = context.readOperand(instruction.o0);
  const divisor = signed ? context.signExtend(raw, width) : context.zeroExtend(raw, width);
  let dividend: number;
  if (width === 8) {
    const accumulator = context.readRegister(Slot.rax, 16);
    dividend = signed ? context.signExtend(accumulator, 16) : context.zeroExtend(accumulator, 16);
  } else {
    const high = b.binary(Op.i32Shl, context.readRegister(Slot.rdx, 16), b.i32(16));
    dividend = b.binary(Op.i32Or, high, context.zeroExtend(context.readRegister(Slot.rax, 16), 16));
  }
  raiseIfZero(context, divisor, 32);
  if (signed) {
    // WebAssembly traps on the one quotient that does not fit 32 bits; it does not fit here either.
    const lowest = b.binary(Op.i32Eq, dividend, b.i32(-0x80000000));
    const minusOne = b.binary(Op.i32Eq, divisor, b.i32(-1));
    context.raiseIf(b.binary(Op.i32And, lowest, minusOne), Vector.divideError);
  }
  const quotient = b.binary(signed ? Op.i32DivS : Op.i32DivU, dividend, divisor);
  const remainder = b.binary(signed ? Op.i32RemS : Op.i32RemU, dividend, divisor);
  const again = signed ? context.signExtend(quotient, width) : context.zeroExtend(quotient, width);
  context.raiseIf(b.binary(Op.i32Ne, quotient, again), Vector.divideError);
  if (width === 8) {
    const upper = b.binary(Op.i32Shl, remainder, b.i32(8));
    context.writeRegister(Slot.rax, 16, b.binary(Op.i32Or, upper, context.zeroExtend(quotient, 8)));
  } else {
    context.writeRegister(Slot.rax, 16, quotient);
    context.writeRegister(Slot.rdx, 16, remainder);
  }
}

/** EDX:EAX by 32 bits. */
function divide32(context: LiftContext, instruction: Instruction, signed: boolean): void {
  const { b } = context;
  const divisor32 = context.readOperand(instruction.o0);
  const low = context.readRegister(Slot.rax, 32);
  const high = context.readRegister(Slot.rdx, 32);
  raiseIfZero(context, divisor32, 32);
  if (!signed && b.constantI32(high) === 0) {
    // Compilers clear EDX first.
    context.writeRegister(Slot.rax, 32, b.binary(Op.i32DivU, low, divisor32));
    context.writeRegister(Slot.rdx, 32, b.binary(Op.i32RemU, low, divisor32));
    return;
  }
  const dividend = context.joinHalves(low, high);
  if (!signed) {
    context.raiseIf(b.binary(Op.i32GeU, high, divisor32), Vector.divideError);
    const divisor = b.unary(Op.i64ExtendI32U, divisor32);
    context.writeRegister(Slot.rax, 32, b.unary(Op.i32WrapI64, b.binary(Op.i64DivU, dividend, divisor)));
    context.writeRegister(Slot.rdx, 32, b.unary(Op.i32WrapI64, b.binary(Op.i64RemU, dividend, divisor)));
    return;
  }
  const divisor = b.unary(Op.i64ExtendI32S, divisor32);
  const lowest = b.binary(Op.i64Eq, dividend, b.i64(0, -0x80000000));
  const minusOne = b.binary(Op.i32Eq, divisor32, b.i32(-1));
  context.raiseIf(b.binary(Op.i32And, lowest, minusOne), Vector.divideError);
  const quotient = b.binary(Op.i64DivS, dividend, divisor);
  context.raiseIf(b.binary(Op.i64Ne, quotient, b.unary(Op.i64Extend32S, quotient)), Vector.divideError);
  context.writeRegister(Slot.rax, 32, b.unary(Op.i32WrapI64, quotient));
  context.writeRegister(Slot.rdx, 32, b.unary(Op.i32WrapI64, b.binary(Op.i64RemS, dividend, divisor)));
}

/**
 * RDX:RAX by 64 bits, in three parts: 0 tells whether RDX only extends RAX, 1 divides 64 by 64 bits then, and 2 divides
 * 128 by 64 with a helper.
 */
function divide64(context: LiftContext, instruction: Instruction, signed: boolean): void {
  const { b, part } = context;
  const here = b.instructionOffset;
  const low = b.get(Slot.rax);
  const high = b.get(Slot.rdx);
  if (part === 0) {
    if (signed ? extendsSign(b, low, high) : isZeroConstant(b, high)) {
      divideExtended(context, low, context.readOperand(instruction.o0), signed);
      b.jump(blockKey(b.nextOffset));
      return;
    }
    const extended = signed ? b.binary(Op.i64Eq, high, b.binary(Op.i64ShrS, low, b.i64(63))) : b.unary(Op.i64Eqz, high);
    b.branch(extended, blockKey(here, 1), blockKey(here, 2));
    return;
  }
  const divisor = context.readOperand(instruction.o0);
  if (part === 1) {
    divideExtended(context, low, divisor, signed);
  } else {
    const isSigned = b.i32(signed ? 1 : 0);
    const failed = context.helper3(
      divide128Helper,
      b.unary(Op.i32WrapI64, divisor),
      context.highHalf(divisor),
      isSigned,
    );
    context.raiseIf(failed, Vector.divideError);
  }
  b.jump(blockKey(b.nextOffset));
}

function divideExtended(context: LiftContext, dividend: number, divisor: number, signed: boolean): void {
  const { b } = context;
  raiseIfZero(context, divisor, 64);
  if (signed) {
    const lowest = b.binary(Op.i64Eq, dividend, b.i64(0, -0x80000000));
    const minusOne = b.binary(Op.i64Eq, divisor, b.i64(-1));
    context.raiseIf(b.binary(Op.i32And, lowest, minusOne), Vector.divideError);
  }
  b.set(Slot.rax, b.binary(signed ? Op.i64DivS : Op.i64DivU, dividend, divisor));
  b.set(Slot.rdx, b.binary(signed ? Op.i64RemS : Op.i64RemU, dividend, divisor));
}

/** Whether `high` is what CQO made of `low`. */
function extendsSign(b: RegionBuilder, low: number, high: number): boolean {
  if (b.op[high] !== Op.i64ShrS || b.x[high] !== low) return false;
  const distance = b.y[high];
  return b.op[distance] === Op.i64Const && b.immediate[distance] === 63;
}

function isZeroConstant(b: RegionBuilder, node: number): boolean {
  return b.op[node] === Op.i64Const && b.immediate[node] === 0 && b.x[node] === 0;
}

export const multiplyDivide: Readonly<Record<string, Lifter>> = {
  mul: multiplyAccumulator(false),
  imul,
  mulx,
  div: divide(false),
  idiv: divide(true),
};
