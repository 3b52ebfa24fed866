/**
 * x87 instructions: guest memory and general registers here, arithmetic in helpers on the register stack.
 *
 * An operand is loaded first and goes to the helper as 32-bit pieces; a store's helper leaves the bits in the scratch
 * area, and only when they are in memory does another one set the status and pop, so a fault finds all as it was. Stores are
 * lifted in two parts, because an unmasked exception skips the second. Every instruction that waits raises #MF itself, ahead of
 * any access. The pointers to the last instruction and operand are not kept. Source: Intel SDM vol. 1, 8; vol. 2, F*.
 */
import { blockKey, Op } from "@doppel/dbt-core";
import { type Instruction, OperandKind } from "../decode/instruction.ts";
import { X87_ADD, X87_DIV, X87_DIVR, X87_MUL, X87_SUB, X87_SUBR } from "../float/x87-arithmetic.ts";
import type { X87Imports } from "../float/x87-imports.ts";
import { X87_NO_STORE } from "../float/x87-state.ts";
import { helperIndex } from "../helpers.ts";
import { Slot } from "../state.ts";
import { x87HelperName } from "../x87-helpers.ts";
import type { LiftContext, Lifter } from "./context.ts";
import { checkPending, type LifterTable } from "./sse-operands.ts";

function helper(name: keyof X87Imports): number {
  return helperIndex(x87HelperName(name));
}

/** The operand's low and high half, from memory. */
function loadHalves(context: LiftContext): [low: number, high: number] {
  const { b } = context;
  const value = b.load(Op.load64, context.effectiveAddress());
  return [b.unary(Op.i32WrapI64, value), b.unary(Op.i32WrapI64, b.binary(Op.i64ShrU, value, b.i64(32)))];
}

/** Ten bytes: 32, 32 and 16 bits. */
function loadExtended(context: LiftContext): [low: number, high: number, top: number] {
  const { b } = context;
  const address = context.effectiveAddress();
  const value = b.load(Op.load64, address);
  const top = b.load(Op.load16U, b.binary(Op.i64Add, address, b.i64(8)));
  return [b.unary(Op.i32WrapI64, value), b.unary(Op.i32WrapI64, b.binary(Op.i64ShrU, value, b.i64(32))), top];
}

/** A signed integer of 16 or 32 bits. */
function loadInteger(context: LiftContext, width: number): number {
  return context.b.load(width === 16 ? Op.load16S : Op.load32, context.effectiveAddress());
}

/** A helper without operands, of an instruction that waits. */
function plain(name: keyof X87Imports): Lifter {
  const index = helper(name);
  return (context) => {
    checkPending(context);
    context.helper0(index);
  };
}

/** The same with one constant. */
function withConstant(name: keyof X87Imports, constant: number): Lifter {
  const index = helper(name);
  return (context) => {
    checkPending(context);
    context.helper1(index, context.b.i32(constant));
  };
}

// Loads.

const fldM32 = helper("fldM32");
const fldM64 = helper("fldM64");
const fldM80 = helper("fldM80");
const fldSt = helper("fldSt");
const fildM32 = helper("fildM32");
const fildM64 = helper("fildM64");
const fbldHelper = helper("fbld");

function fld(context: LiftContext, { o0 }: Instruction): void {
  const { b } = context;
  checkPending(context);
  if (o0.kind === OperandKind.st) {
    context.helper1(fldSt, b.i32(o0.register));
  } else if (o0.width === 32) {
    context.helper1(fldM32, b.load(Op.load32, context.effectiveAddress()));
  } else if (o0.width === 64) {
    const [low, high] = loadHalves(context);
    context.helper2(fldM64, low, high);
  } else {
    const [low, high, top] = loadExtended(context);
    context.helper3(fldM80, low, high, top);
  }
}

function fild(context: LiftContext, { o0 }: Instruction): void {
  checkPending(context);
  if (o0.width === 64) {
    const [low, high] = loadHalves(context);
    context.helper2(fildM64, low, high);
  } else {
    context.helper1(fildM32, loadInteger(context, o0.width));
  }
}

function fbld(context: LiftContext): void {
  checkPending(context);
  const [low, high, top] = loadExtended(context);
  context.helper3(fbldHelper, low, high, top);
}

// Stores.

const fstM32 = helper("fstM32");
const fstM64 = helper("fstM64");
const fstM80 = helper("fstM80");
const fstSt = helper("fstSt");
const fistHelper = helper("fist");
const fisttpHelper = helper("fisttp");
const fbstpHelper = helper("fbstp");
const storedHelper = helperIndex("x87Stored");

/** Part 0 makes the bits, part 1 stores them, sets the status and pops. `make` returns what its helper did. */
function store(context: LiftContext, width: number, pops: boolean, make: () => number): void {
  const { b } = context;
  if (context.part === 0) {
    checkPending(context);
    const forbidden = b.binary(Op.i32Eq, make(), b.i32(X87_NO_STORE));
    b.branch(forbidden, blockKey(b.nextOffset), blockKey(b.instructionOffset, 1));
    return;
  }
  const bits = b.get(Slot.x87Scratch);
  const address = context.effectiveAddress();
  if (width === 16) {
    b.store(Op.store16, address, b.extractLane(Op.i16x8ExtractLaneU, bits, 0));
  } else if (width === 32) {
    b.store(Op.store32, address, b.extractLane(Op.i32x4ExtractLane, bits, 0));
  } else {
    const upper = width === 80 ? b.binary(Op.i64Add, address, b.i64(8)) : address;
    if (width === 80) {
      // Nothing may be written when the store of one part faults, so both are tried first.
      b.load(Op.load64, address);
      b.load(Op.load16U, upper);
    }
    b.store(Op.store64, address, b.extractLane(Op.i64x2ExtractLane, bits, 0));
    if (width === 80) b.store(Op.store16, upper, b.extractLane(Op.i16x8ExtractLaneU, bits, 4));
  }
  context.helper1(storedHelper, b.i32(pops ? 1 : 0));
}

function fst(pops: boolean): Lifter {
  return (context, { o0 }) => {
    if (o0.kind === OperandKind.st) {
      checkPending(context);
      context.helper2(fstSt, context.b.i32(o0.register), context.b.i32(pops ? 1 : 0));
    } else {
      const index = o0.width === 32 ? fstM32 : o0.width === 64 ? fstM64 : fstM80;
      store(context, o0.width, pops, () => context.helper0(index));
    }
  };
}

function fist(index: number, pops: boolean): Lifter {
  return (context, { o0 }) => {
    store(context, o0.width, pops, () => context.helper1(index, context.b.i32(o0.width)));
  };
}

function fbstp(context: LiftContext): void {
  store(context, 80, true, () => context.helper0(fbstpHelper));
}

// Arithmetic.

const arithSt = helper("arithSt");
const arithToSt = helper("arithToSt");
const arithM32 = helper("arithM32");
const arithM64 = helper("arithM64");
const arithInteger = helper("arithInteger");

function arithmetic(operation: number): Lifter {
  return (context, { o0, o1 }) => {
    const { b } = context;
    checkPending(context);
    if (o0.kind === OperandKind.mem) {
      if (o0.width === 32) {
        context.helper2(arithM32, b.i32(operation), b.load(Op.load32, context.effectiveAddress()));
      } else {
        const [low, high] = loadHalves(context);
        context.helper3(arithM64, b.i32(operation), low, high);
      }
    } else if (o0.register === 0) {
      context.helper2(arithSt, b.i32(operation), b.i32(o1.register));
    } else {
      context.helper3(arithToSt, b.i32(operation), b.i32(o0.register), b.i32(0));
    }
  };
}

function arithmeticPop(operation: number): Lifter {
  return (context, { o0 }) => {
    const { b } = context;
    checkPending(context);
    context.helper3(arithToSt, b.i32(operation), b.i32(o0.register), b.i32(1));
  };
}

function integerArithmetic(operation: number): Lifter {
  return (context, { o0 }) => {
    checkPending(context);
    context.helper2(arithInteger, context.b.i32(operation), loadInteger(context, o0.width));
  };
}

// Comparison.

const fcomSt = helper("fcomSt");
const fcomM32 = helper("fcomM32");
const fcomM64 = helper("fcomM64");
const ficomHelper = helper("ficom");
const fcomiHelper = helper("fcomi");
const fcmovHelper = helper("fcmov");

/** FCOMPP and FUCOMPP have no operands: they compare with ST(1). */
function compare(quiet: number, pops: number): Lifter {
  return (context, { o0, o1, operandCount }) => {
    const { b } = context;
    checkPending(context);
    if (operandCount !== 0 && o0.kind === OperandKind.mem) {
      if (o0.width === 32) {
        context.helper2(fcomM32, b.load(Op.load32, context.effectiveAddress()), b.i32(pops));
      } else {
        const [low, high] = loadHalves(context);
        context.helper3(fcomM64, low, high, b.i32(pops));
      }
    } else {
      context.helper3(fcomSt, b.i32(operandCount === 0 ? 1 : o1.register), b.i32(quiet), b.i32(pops));
    }
  };
}

function integerCompare(pops: number): Lifter {
  return (context, { o0 }) => {
    checkPending(context);
    context.helper2(ficomHelper, loadInteger(context, o0.width), context.b.i32(pops));
  };
}

function compareToFlags(quiet: number, pops: number): Lifter {
  return (context, { o1 }) => {
    const { b } = context;
    checkPending(context);
    context.flags.given(context.helper3(fcomiHelper, b.i32(o1.register), b.i32(quiet), b.i32(pops)));
  };
}

function fcmovcc(context: LiftContext, { o1, condition }: Instruction): void {
  checkPending(context);
  context.helper2(fcmovHelper, context.b.i32(o1.register), context.flags.condition(condition));
}

// Stack and control.

const fxchHelper = helper("fxch");
const ffreeHelper = helper("ffree");
const fldcwHelper = helper("fldcw");
const fnstcwHelper = helper("fnstcw");
const fnstswHelper = helper("fnstsw");
const fnclexHelper = helper("fnclex");
const fninitHelper = helper("fninit");

function fxch(context: LiftContext, { o1 }: Instruction): void {
  checkPending(context);
  context.helper1(fxchHelper, context.b.i32(o1.register));
}

function ffree(pops: number): Lifter {
  return (context, { o0 }) => {
    checkPending(context);
    context.helper2(ffreeHelper, context.b.i32(o0.register), context.b.i32(pops));
  };
}

function fldcw(context: LiftContext): void {
  checkPending(context);
  context.helper1(fldcwHelper, context.b.load(Op.load16U, context.effectiveAddress()));
}

/** FNSTCW, FNSTSW: 16 bits to memory or AX, without waiting. */
function storeWord(index: number): Lifter {
  return (context, { o0 }) => {
    context.writeOperand(o0, context.helper0(index));
  };
}

/** Waits, and does nothing else: FNOP, FWAIT. */
const wait: Lifter = (context) => checkPending(context);
/** FNENI, FNDISI, FNSETPM: of the 8087 and 80287. */
const nothing: Lifter = () => {};

export const x87: LifterTable = {
  fld,
  fild,
  fbld,
  fld1: withConstant("fldConstant", 0),
  fldl2t: withConstant("fldConstant", 1),
  fldl2e: withConstant("fldConstant", 2),
  fldpi: withConstant("fldConstant", 3),
  fldlg2: withConstant("fldConstant", 4),
  fldln2: withConstant("fldConstant", 5),
  fldz: withConstant("fldConstant", 6),
  fst: fst(false),
  fstp: fst(true),
  fist: fist(fistHelper, false),
  fistp: fist(fistHelper, true),
  fisttp: fist(fisttpHelper, true),
  fbstp,
  fadd: arithmetic(X87_ADD),
  fmul: arithmetic(X87_MUL),
  fsub: arithmetic(X87_SUB),
  fsubr: arithmetic(X87_SUBR),
  fdiv: arithmetic(X87_DIV),
  fdivr: arithmetic(X87_DIVR),
  faddp: arithmeticPop(X87_ADD),
  fmulp: arithmeticPop(X87_MUL),
  fsubp: arithmeticPop(X87_SUB),
  fsubrp: arithmeticPop(X87_SUBR),
  fdivp: arithmeticPop(X87_DIV),
  fdivrp: arithmeticPop(X87_DIVR),
  fiadd: integerArithmetic(X87_ADD),
  fimul: integerArithmetic(X87_MUL),
  fisub: integerArithmetic(X87_SUB),
  fisubr: integerArithmetic(X87_SUBR),
  fidiv: integerArithmetic(X87_DIV),
  fidivr: integerArithmetic(X87_DIVR),
  fcom: compare(0, 0),
  fcomp: compare(0, 1),
  fcompp: compare(0, 2),
  fucom: compare(1, 0),
  fucomp: compare(1, 1),
  fucompp: compare(1, 2),
  ficom: integerCompare(0),
  ficomp: integerCompare(1),
  fcomi: compareToFlags(0, 0),
  fcomip: compareToFlags(0, 1),
  fucomi: compareToFlags(1, 0),
  fucomip: compareToFlags(1, 1),
  fcmovcc,
  fxch,
  ffree: ffree(0),
  ffreep: ffree(1),
  ftst: plain("ftst"),
  fxam: plain("fxam"),
  fsqrt: plain("fsqrt"),
  frndint: plain("frndint"),
  fscale: plain("fscale"),
  fxtract: plain("fxtract"),
  fchs: withConstant("fchs", 0),
  fabs: withConstant("fchs", 1),
  fprem: withConstant("fprem", 0),
  fprem1: withConstant("fprem", 1),
  f2xm1: plain("f2xm1"),
  fyl2x: withConstant("fyl2x", 0),
  fyl2xp1: withConstant("fyl2x", 1),
  fpatan: withConstant("fyl2x", 2),
  fsin: withConstant("fsin", 0),
  fcos: withConstant("fsin", 1),
  fsincos: withConstant("fsincos", 0),
  fptan: withConstant("fsincos", 1),
  fincstp: withConstant("fincstp", 1),
  fdecstp: withConstant("fincstp", -1),
  fldcw,
  fnstcw: storeWord(fnstcwHelper),
  fnstsw: storeWord(fnstswHelper),
  fnclex: (context) => void context.helper0(fnclexHelper),
  fninit: (context) => void context.helper0(fninitHelper),
  fnop: wait,
  fwait: wait,
  fneni: nothing,
  fndisi: nothing,
  fnsetpm: nothing,
};
