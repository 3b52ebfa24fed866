/**
 * What asks or tells the processor about itself: flag bits, CPUID, time, random numbers, segment bases, caches, fences,
 * and what only a supervisor may do (Intel SDM vol. 1, 7.3.13 to 7.3.17; vol. 3, 2.8).
 *
 * Privileged instructions have raised #GP(0) in the frontend unless the code is a supervisor's; there they leave with
 * ExitCode.privileged, and whoever owns the machine's privileged state carries them out.
 */
import { blockKey, Op } from "@doppel/dbt-core";
import { FlagBit } from "@doppel/lazy-flags";
import { helperIndex } from "../helpers.ts";
import { type Instruction, OperandKind, Segment } from "../decode/instruction.ts";
import { RFlags } from "../flags-word.ts";
import { ExitCode, ModeBit, Slot } from "../state.ts";
import { setZero } from "./atomic.ts";
import type { LiftContext, Lifter } from "./context.ts";
import { interruptWaits, leaveIf } from "./integer-move.ts";

const cpuidHelper = helperIndex("cpuid");
const timestampHelper = helperIndex("timestamp");
const highHalfHelper = helperIndex("highHalf");
const randomHelper = helperIndex("random");
const tscAuxHelper = helperIndex("tscAux");
const readPortHelper = helperIndex("readPort");
const writePortHelper = helperIndex("writePort");
const userAccessEndsHelper = helperIndex("userAccessEnds");

const nothing: Lifter = () => {};

/** Cache lines are written back by nobody, but an address that cannot be read faults. */
const touch: Lifter = (context) => {
  context.loadMemory(context.effectiveAddress(), 8);
};

const clc: Lifter = (context) => context.flags.setCarry(context.b.i32(0));
const stc: Lifter = (context) => context.flags.setCarry(context.b.i32(1));
const cmc: Lifter = (context) =>
  context.flags.setCarry(context.b.binary(Op.i32Xor, context.flags.flag(FlagBit.carry), context.b.i32(1)));
const cld: Lifter = (context) => context.b.set(Slot.direction, context.b.i32(0));
const std: Lifter = (context) => context.b.set(Slot.direction, context.b.i32(1));

const cpuid: Lifter = (context) => {
  context.helper0(cpuidHelper);
};

/** EDX:EAX = the time-stamp counter. */
const rdtsc: Lifter = (context) => {
  context.writeRegister(Slot.rax, 32, context.helper0(timestampHelper));
  context.writeRegister(Slot.rdx, 32, context.helper0(highHalfHelper));
};

const rdtscp: Lifter = (context, instruction) => {
  rdtsc(context, instruction);
  context.writeRegister(Slot.rcx, 32, context.helper0(tscAuxHelper));
};

const rdpid: Lifter = (context, instruction) => {
  const { o0 } = instruction;
  context.writeOperand(o0, context.fromI32(context.helper0(tscAuxHelper), o0.width));
};

/** CF set: there is a number, always. OF, SF, ZF, AF and PF are cleared (SDM vol. 2, RDRAND). */
const rdrand: Lifter = (context, instruction) => {
  const { o0 } = instruction;
  const low = context.helper0(randomHelper);
  const value = o0.width === 64 ? context.joinHalves(low, context.helper0(randomHelper)) : low;
  context.writeOperand(o0, value);
  context.flags.given(context.b.i32(1 << FlagBit.carry));
};

// FS and GS bases, which are a program's own in 64-bit mode (CR4.FSGSBASE is set).

function readBase(segment: number): Lifter {
  return (context, instruction) => {
    const { o0 } = instruction;
    const base = context.b.get(Slot.segmentBase + segment);
    context.writeOperand(o0, o0.width === 64 ? base : context.b.unary(Op.i32WrapI64, base));
  };
}

function writeBase(segment: number): Lifter {
  return (context, instruction) => {
    const { o0 } = instruction;
    context.b.set(Slot.segmentBase + segment, context.toI64(context.readOperand(o0), o0.width));
  };
}

/** Descriptor queries. Outside a machine no descriptor is visible, so ZF is cleared. */
const queryDescriptor: Lifter = (context) => {
  if ((context.mode & ModeBit.machine) !== 0) context.privileged();
  else setZero(context, context.b.i32(0));
};

const undefinedInstruction: Lifter = (context) => context.undefinedInstruction();

const privileged: Lifter = (context) => context.privileged();

// The interrupt flag. Where IOPL decides, the machine does.

const cli: Lifter = (context) => {
  const { b } = context;
  if ((context.mode & ModeBit.supervisor) === 0) context.privileged();
  else b.set(Slot.systemFlags, b.binary(Op.i32And, b.get(Slot.systemFlags), b.i32(~RFlags.interrupt)));
};

/** In two parts, in the supervisor: the second leaves because an interrupt waits. */
const sti: Lifter = (context) => {
  const { b } = context;
  if ((context.mode & ModeBit.supervisor) === 0) {
    context.privileged();
  } else if (context.part === 0) {
    b.set(Slot.systemFlags, b.binary(Op.i32Or, b.get(Slot.systemFlags), b.i32(RFlags.interrupt)));
    leaveIf(context, interruptWaits(context, b.i32(1)));
  } else {
    b.exit(ExitCode.interruptWindow, 1, blockKey(b.nextOffset));
  }
};

// Ports are the supervisor's, as the interrupt flag is: of programs the machine asks IOPL and the permission map.

/** I/O moves at most 32 bits. */
const portWidth = (width: number): number => Math.min(width, 32);

function portNumber(context: LiftContext, instruction: Instruction, operand: 0 | 1): number {
  return instruction.operands[operand].kind === OperandKind.imm
    ? context.b.i32(instruction.immediateLow & 0xff)
    : context.readRegister(Slot.rdx, 16);
}

const portIn: Lifter = (context, instruction) => {
  if ((context.mode & ModeBit.supervisor) === 0) return context.privileged();
  const width = portWidth(instruction.o0.width);
  const port = portNumber(context, instruction, 1);
  context.writeRegister(Slot.rax, width, context.helper2(readPortHelper, port, context.b.i32(width / 8)));
};

const portOut: Lifter = (context, instruction) => {
  if ((context.mode & ModeBit.supervisor) === 0) return context.privileged();
  const width = portWidth(instruction.o1.width);
  const value = context.readRegister(Slot.rax, width);
  context.helper3(writePortHelper, portNumber(context, instruction, 0), context.b.i32(width / 8), value);
};

// AC lets the supervisor reach user pages, where CR4.SMAP is set (SDM vol. 3, 4.6.1). The frontend keeps programs off.

const stac: Lifter = (context) => {
  const { b } = context;
  b.set(Slot.systemFlags, b.binary(Op.i32Or, b.get(Slot.systemFlags), b.i32(RFlags.alignmentCheck)));
};

const clac: Lifter = (context) => {
  const { b } = context;
  b.set(Slot.systemFlags, b.binary(Op.i32And, b.get(Slot.systemFlags), b.i32(~RFlags.alignmentCheck)));
  context.helper0(userAccessEndsHelper);
};

const swapgs: Lifter = (context) => {
  const { b } = context;
  const base = b.get(Slot.segmentBase + Segment.gs);
  b.set(Slot.segmentBase + Segment.gs, b.get(Slot.kernelGsBase));
  b.set(Slot.kernelGsBase, base);
};

const hlt: Lifter = (context) => context.b.exit(ExitCode.halt, 0, blockKey(context.b.nextOffset));

export const system: Readonly<Record<string, Lifter>> = {
  nop: nothing,
  pause: nothing,
  mfence: nothing,
  lfence: nothing,
  sfence: nothing,
  // Stores to code are seen by whatever runs next; there is nothing else that runs ahead.
  serialize: nothing,
  clflush: touch,
  clflushopt: touch,
  clwb: touch,
  prefetch: nothing,
  prefetchw: nothing,
  prefetchnta: nothing,
  prefetcht0: nothing,
  prefetcht1: nothing,
  prefetcht2: nothing,
  clc,
  stc,
  cmc,
  cld,
  std,
  cpuid,
  rdtsc,
  rdtscp,
  rdpid,
  rdrand,
  rdseed: rdrand,
  rdfsbase: readBase(Segment.fs),
  rdgsbase: readBase(Segment.gs),
  wrfsbase: writeBase(Segment.fs),
  wrgsbase: writeBase(Segment.gs),
  lar: queryDescriptor,
  lsl: queryDescriptor,
  verr: queryDescriptor,
  verw: queryDescriptor,
  // CR4.OSXSAVE and CR4.PKE are clear.
  xgetbv: undefinedInstruction,
  xsetbv: undefinedInstruction,
  rdpkru: undefinedInstruction,
  wrpkru: undefinedInstruction,
  // The supervisor's.
  hlt,
  cli,
  sti,
  clac,
  stac,
  clts: privileged,
  rdpmc: privileged,
  rdmsr: privileged,
  wrmsr: privileged,
  rsm: undefinedInstruction,
  invd: privileged,
  wbinvd: privileged,
  invlpg: privileged,
  invpcid: privileged,
  swapgs,
  lgdt: privileged,
  sgdt: privileged,
  lidt: privileged,
  sidt: privileged,
  lldt: privileged,
  sldt: privileged,
  ltr: privileged,
  str: privileged,
  lmsw: privileged,
  smsw: privileged,
  monitor: privileged,
  mwait: privileged,
  sysret: privileged,
  sysexit: privileged,
  in: portIn,
  out: portOut,
  ins: privileged,
  outs: privileged,
};
