/**
 * x86 as the translator sees it: a pool of decoded instructions, and what each means.
 *
 * Bytes that are no instruction become one of the pseudo-records below, which raise the exception the processor would; so
 * region discovery meets nothing but instructions.
 */
import {
  blockKey,
  Flow as CoreFlow,
  type Frontend,
  type HelperDeclaration,
  type RegionBuilder,
  type StateSlot,
  Terminator,
} from "@doppel/dbt-core";
import { decode, FormBit, formBits, needsMoreBytes, tooLong } from "./decode/index.ts";
import { Flow, Instruction, Mnemonic, type Mode, OperandKind } from "./decode/instruction.ts";
import { helpers } from "./helpers.ts";
import { LiftContext } from "./lift/context.ts";
import { type FlagStatistics, SUMMARY_UNKNOWN } from "./lift/flags.ts";
import { lifters, usesFloatUnit } from "./lift/index.ts";
import { partsInExactMode } from "./lift/sse-exact-inline.ts";
import { isBulk } from "./lift/string.ts";
import { ModeBit, slots, Vector } from "./state.ts";

/** What a record holds. */
const RecordState = { instruction: 0, undefined: 1, tooLong: 2 } as const;

/** Bytes an undecodable record is said to have; control never gets behind them. */
const UNDECODABLE_LENGTH = 1;

/** The translator's flow for each of the decoder's. */
const flows: Readonly<Record<number, number>> = {
  [Flow.next]: CoreFlow.next,
  [Flow.jump]: CoreFlow.jump,
  [Flow.branch]: CoreFlow.branch,
  [Flow.call]: CoreFlow.call,
  [Flow.return]: CoreFlow.return,
  [Flow.indirectJump]: CoreFlow.indirectJump,
  [Flow.indirectCall]: CoreFlow.indirectCall,
  [Flow.system]: CoreFlow.stop,
  [Flow.undefined]: CoreFlow.stop,
};

export class X86Frontend implements Frontend {
  readonly slots: readonly StateSlot[] = slots;
  readonly helpers: readonly HelperDeclaration[] = helpers;
  /** A kernel that computes with vectors makes MXCSR what it needs, and programs theirs; most code never asks. */
  readonly optionalModeBits: number = ModeBit.exactFloat | ModeBit.noFloat;

  private readonly instructions: Instruction[] = [];
  /** By record: one of RecordState, its Flow for the translator, its number of parts. */
  private states: Uint8Array = new Uint8Array(256);
  private flowOf: Uint8Array = new Uint8Array(256);
  private partsOf: Uint8Array = new Uint8Array(256);
  private context: LiftContext | undefined;
  private mode = 0;
  /** What is known of the flags record at the end of each block of the region so far. */
  private summaries: Int32Array = new Int32Array(64);
  private block = -1;

  decode(index: number, code: Uint8Array, position: number, end: number, mode: number): number {
    const instruction = this.record(index);
    const width: Mode = (mode & ModeBit.long) !== 0 ? 64 : (mode & ModeBit.small) !== 0 ? 16 : 32;
    const length = decode(code, position, end, width, instruction);
    if (length === needsMoreBytes) return 0;
    if (length < 0) {
      this.states[index] = length === tooLong ? RecordState.tooLong : RecordState.undefined;
      this.flowOf[index] = CoreFlow.stop;
      this.partsOf[index] = 1;
      instruction.length = UNDECODABLE_LENGTH;
      return UNDECODABLE_LENGTH;
    }
    this.states[index] = RecordState.instruction;
    this.flowOf[index] = flowOfInstruction(instruction, mode);
    this.partsOf[index] = partsOfInstruction(instruction, mode);
    return length;
  }

  flow(index: number): number {
    return this.flowOf[index];
  }

  displacement(index: number): number {
    return this.instructions[index].target;
  }

  parts(index: number): number {
    return this.partsOf[index];
  }

  /** Record `index`, for whoever looks at code (traces, bindings); valid until the next `decode` into it. */
  instruction(index: number): Instruction {
    return this.instructions[index];
  }

  /** What was recorded and asked of flags in the code lifted so far. */
  get flagStatistics(): Readonly<FlagStatistics> {
    return this.context?.flags.statistics ?? { recorded: 0, fused: 0, materialised: 0 };
  }

  beginRegion(builder: RegionBuilder, mode: number): void {
    this.mode = mode;
    if (this.context === undefined) this.context = new LiftContext(builder, this.record(0));
    this.context.b = builder;
    this.context.mode = mode;
    this.context.usedModeBits = 0;
  }

  get usedModeBits(): number {
    return this.context?.usedModeBits ?? 0;
  }

  beginBlock(builder: RegionBuilder, predecessors: readonly number[] | undefined): void {
    this.block = builder.blocks.length - 1;
    if (this.block >= this.summaries.length) {
      const larger = new Int32Array(this.block * 2);
      larger.set(this.summaries);
      this.summaries = larger;
    }
    let known = SUMMARY_UNKNOWN;
    if (predecessors !== undefined && predecessors.length > 0) {
      known = this.summaries[predecessors[0]]!;
      for (let index = 1; index < predecessors.length; index++) {
        if (this.summaries[predecessors[index]] !== known) known = SUMMARY_UNKNOWN;
      }
    }
    this.context!.flags.begin(builder, known);
  }

  lift(index: number, part: number, builder: RegionBuilder): void {
    const context = this.context!;
    const instruction = this.instructions[index];
    context.instruction = instruction;
    context.part = part;
    const state = this.states[index];
    if (state !== RecordState.instruction) {
      context.raise(state === RecordState.tooLong ? Vector.generalProtection : Vector.invalidOpcode);
      return;
    }
    const lifter = lifters[instruction.mnemonic];
    if (usesFloatUnit(instruction.mnemonic)) context.usedModeBits |= ModeBit.noFloat;
    if (isRefused(instruction, this.mode)) {
      context.privileged();
    } else if (lifter === undefined) {
      context.undefinedInstruction();
    } else if (isForbidden(instruction, this.mode)) {
      context.raise(isUnknownToPrograms(instruction) ? Vector.invalidOpcode : Vector.generalProtection);
    } else {
      lifter(context, instruction);
    }
    // What the lifter ended without saying so goes on behind itself.
    if (this.flowOf[index] === CoreFlow.stop && !builder.ended) builder.jump(blockKey(builder.nextOffset));
  }

  endBlock(builder: RegionBuilder): void {
    const terminator = builder.blocks[builder.blocks.length - 1]?.terminator;
    // Behind a call or a service come the flags that the callee or the supervisor leaves.
    const another =
      terminator === Terminator.call || terminator === Terminator.callIndirect || terminator === Terminator.service;
    this.summaries[this.block] = another ? SUMMARY_UNKNOWN : this.context!.flags.summary;
  }

  private record(index: number): Instruction {
    while (this.instructions.length <= index) this.instructions.push(new Instruction());
    if (index >= this.states.length) {
      const grow = (array: Uint8Array): Uint8Array => {
        const larger = new Uint8Array(Math.max(array.length * 2, index + 1));
        larger.set(array);
        return larger;
      };
      this.states = grow(this.states);
      this.flowOf = grow(this.flowOf);
      this.partsOf = grow(this.partsOf);
    }
    return this.instructions[index];
  }
}

/**
 * Privileged instructions, and those IOPL allows, are the supervisor's: IOPL is 0 for all others here (SDM vol. 1, 19.5.1).
 */
function isForbidden(instruction: Instruction, mode: number): boolean {
  const bits = formBits[instruction.form];
  // In a machine's programs IOPL is what the supervisor made it.
  if ((bits & FormBit.ioPrivileged) !== 0 && (mode & ModeBit.machine) !== 0) return false;
  return (bits & (FormBit.privileged | FormBit.ioPrivileged)) !== 0 && (mode & ModeBit.supervisor) === 0;
}

/** With CR0.TS or CR0.EM set: the machine says how. */
function isRefused({ mnemonic }: Instruction, mode: number): boolean {
  return (mode & ModeBit.noFloat) !== 0 && usesFloatUnit(mnemonic);
}

/** CLAC and STAC outside ring 0, and RSM outside system management mode, raise #UD. */
function isUnknownToPrograms({ mnemonic }: Instruction): boolean {
  return mnemonic === Mnemonic.clac || mnemonic === Mnemonic.stac || mnemonic === Mnemonic.rsm;
}

function flowOfInstruction(instruction: Instruction, mode: number): number {
  const { mnemonic } = instruction;
  if (isRefused(instruction, mode)) return CoreFlow.stop;
  if (mnemonic === Mnemonic.syscall || mnemonic === Mnemonic.sysenter) return CoreFlow.service;
  if (mnemonic === Mnemonic.int && (instruction.immediateLow & 0xff) === 0x80) return CoreFlow.service;
  if (loadsMxcsr(mnemonic)) return CoreFlow.service;
  if (mnemonic === Mnemonic.sti && (mode & ModeBit.supervisor) !== 0) return CoreFlow.next;
  const outsideLong = (mode & ModeBit.long) === 0;
  if (outsideLong && instruction.operandWidth === 16) {
    // Truncated targets are found when the code runs.
    if (instruction.flow === Flow.jump || instruction.flow === Flow.call) return CoreFlow.indirectJump;
  }
  if (lifters[mnemonic] === undefined || isForbidden(instruction, mode)) return CoreFlow.stop;
  return flows[instruction.flow];
}

/** What follows may have to run in another mode. */
function loadsMxcsr(mnemonic: number): boolean {
  return mnemonic === Mnemonic.ldmxcsr || mnemonic === Mnemonic.fxrstor || mnemonic === Mnemonic.fxrstor64;
}

function partsOfInstruction(instruction: Instruction, mode: number): number {
  if (isRefused(instruction, mode)) return 1;
  switch (instruction.mnemonic) {
    case Mnemonic.movs:
    case Mnemonic.stos:
      if (instruction.rep === 0) return 1;
      return isBulk(instruction, mode) ? 3 : 2;
    case Mnemonic.cmps:
    case Mnemonic.scas:
    case Mnemonic.lods:
      return instruction.rep === 0 ? 1 : 2;
    case Mnemonic.div:
    case Mnemonic.idiv:
      return instruction.operandWidth === 64 ? 3 : 1;
    case Mnemonic.into:
      return 2;
    case Mnemonic.sti:
      return (mode & ModeBit.supervisor) !== 0 ? 2 : 1;
    case Mnemonic.popf:
      return (mode & ModeBit.machine) !== 0 ? 2 : 1;
    case Mnemonic.fst:
    case Mnemonic.fstp:
    case Mnemonic.fist:
    case Mnemonic.fistp:
    case Mnemonic.fisttp:
    case Mnemonic.fbstp:
      return instruction.o0.kind === OperandKind.mem ? 2 : 1;
    default:
      return (mode & ModeBit.exactFloat) !== 0 ? partsInExactMode(instruction.mnemonic) : 1;
  }
}
