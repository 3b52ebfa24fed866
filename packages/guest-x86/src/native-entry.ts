/**
 * What stands ahead of a guest function that has a native twin, and where guest functions return to that a twin called.
 *
 * ```text
 *   start     worth it?  no: the guest's function
 *   run       helper "native" (call), which leaves after faults
 *   decide    outcome?   guest: the guest's function;  returned: as RET would;  call: CALL r11, back to `resume`
 *   resume    helper "native" (resume), then as above     at an address of its own, in the function's first instruction
 * ```
 * A called guest function finds its registers, its stack and the address it returns to where any caller would have put
 * them: the helper has pushed that. So the wasm call it becomes is the same as any guest call's.
 */
import { blockKey, type EntryCode, entryBlock, GUEST_CODE, Op, type RegionBuilder } from "@doppel/dbt-core";
import type { HelperDeclaration } from "@doppel/dbt-core";
import { ModeBit, Slot, StateOffset } from "./state.ts";

/**
 * Context pointer, id, `NativePhase`, halves of the address that guest functions return to; not zero: leave. The helper
 * leaves a `NativeOutcome` at `NATIVE_RESULT` of the context.
 */
export const nativeHelperDeclaration: HelperDeclaration = {
  name: "native",
  parameters: ["i32", "i32", "i32", "i32"],
  reads: "all",
  writes: "all",
  exits: true,
};

/** A twin in WebAssembly, by number: context pointer, id; the rest as above. */
export const nativeTwinDeclarations: readonly HelperDeclaration[] = Array.from({ length: 24 }, (_, twin) => ({
  name: nativeTwinName(twin),
  parameters: ["i32"],
  reads: "all",
  writes: "all",
  exits: true,
}));

export function nativeTwinName(twin: number): string {
  return `nativeTwin${twin}`;
}

export const NativePhase = { call: 0, resume: 1 } as const;

export const NativeOutcome = {
  /** The twin does not want this call. */
  guest: 0,
  /** Its result is in the registers; the return address is still on the stack. */
  returned: 1,
  /** The guest function at R11 is to be called. */
  call: 2,
} as const;

/** Byte offset of the outcome (i32) in a context block. */
export const NATIVE_RESULT: number = StateOffset.vectorOperands + 128;

/** R11 is no parameter and nobody's to keep (System V AMD64 ABI, figure 3.4). */
const TARGET = 11;

// Blocks. After `resume` they are others than after `run`: the only way back is to an address that a region can begin at.
const START = 0;
const RUN = 1;
const RETURN = 2;
const DECIDE = { [NativePhase.call]: 3, [NativePhase.resume]: 4 } as const;
const CALL = { [NativePhase.call]: 5, [NativePhase.resume]: 6 } as const;
/** No guest instruction has a part of this number. */
const RESUME_PART = 3;

export interface NativeEntry {
  /** What the helper is told. */
  readonly id: number;
  /** Of the binding: nobody else's. */
  readonly name: string;
  /** Bytes of the guest function, from the address this is entry code for. */
  readonly sourceBytes: number;
  /** Calls in which this general register is less (unsigned, below 2 ** 31) are the guest's function's. */
  readonly atLeast?: { readonly register: number; readonly value: number };
  /** Where guest functions return to: its distance from this address, 0 when that is this very address. Absent: none is called. */
  readonly resumeAt?: number;
  /** The number of a twin in WebAssembly that is called instead of the helper. It calls no guest functions. */
  readonly twin?: number;
  readonly onceCompiled?: boolean;
}

interface Frontend {
  readonly helpers: readonly HelperDeclaration[];
  beginBlock(builder: RegionBuilder, predecessors: undefined): void;
  endBlock(builder: RegionBuilder): void;
}

export function nativeEntry(frontend: Frontend, mode: number, entry: NativeEntry): EntryCode {
  const declaration = entry.twin === undefined ? nativeHelperDeclaration : nativeTwinDeclarations[entry.twin];
  const helper = frontend.helpers.indexOf(declaration);
  const { onceCompiled = false } = entry;
  return {
    sourceBytes: entry.sourceBytes,
    onceCompiled,
    identity: identityOf(entry),
    lift: (builder) => liftEntry(frontend, helper, mode, entry, builder),
  };
}

/** 24 bits of a hash of all that its code depends on (FNV-1a), not zero. */
function identityOf(entry: NativeEntry): number {
  let hash = 0x811c9dc5;
  for (const character of JSON.stringify(entry)) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x0100_0193);
  return (hash >>> 8) | 1;
}

function liftEntry(frontend: Frontend, helper: number, mode: number, entry: NativeEntry, b: RegionBuilder): void {
  const { atLeast, resumeAt } = entry;
  const long = (mode & ModeBit.long) !== 0;
  const block = (key: number, offset: number, lift: () => void): void => {
    b.beginBlock(key);
    frontend.beginBlock(b, undefined);
    b.beginInstruction(offset, 0);
    lift();
    frontend.endBlock(b);
  };
  const outcomeIs = (outcome: number): number =>
    b.binary(Op.i32Eq, b.extractLane(Op.i32x4ExtractLane, b.get(Slot.vectorResult), 0), b.i32(outcome));
  const stackTop = (): number =>
    long ? b.load(Op.load64, b.get(Slot.rsp)) : b.load(Op.load32, b.unary(Op.i64ExtendI32U, stackPointer32()));
  const stackPointer32 = (): number => b.unary(Op.i32WrapI64, b.get(Slot.rsp));
  const native = (phase: 0 | 1): void => {
    if (entry.twin !== undefined) {
      b.callHelper(helper, [b.i32(entry.id)]);
      b.branch(outcomeIs(NativeOutcome.guest), GUEST_CODE, entryBlock(RETURN));
      return;
    }
    const resumeAddress = b.address(resumeAt ?? 0);
    const low = b.unary(Op.i32WrapI64, resumeAddress);
    const high = b.unary(Op.i32WrapI64, b.binary(Op.i64ShrU, resumeAddress, b.i64(32)));
    b.callHelper(helper, [b.i32(entry.id), b.i32(phase), low, high]);
    b.branch(outcomeIs(NativeOutcome.guest), GUEST_CODE, entryBlock(resumeAt === undefined ? RETURN : DECIDE[phase]));
  };

  const starts = resumeAt !== 0;
  if (starts) {
    if (atLeast !== undefined) {
      block(entryBlock(START), 0, () => {
        const { register, value } = atLeast;
        b.branch(b.binary(Op.i64GeU, b.get(register), b.i64(value)), entryBlock(RUN), GUEST_CODE);
      });
    }
    block(entryBlock(RUN), 0, () => {
      // A return address that cannot be read faults now, not when the twin has done its work.
      stackTop();
      native(NativePhase.call);
    });
  }
  if (resumeAt !== undefined) {
    const resume = blockKey(resumeAt, RESUME_PART);
    block(resume, resumeAt, () => native(NativePhase.resume));
    for (const phase of starts ? [NativePhase.call, NativePhase.resume] : [NativePhase.resume]) {
      block(entryBlock(DECIDE[phase]), resumeAt, () => {
        b.branch(outcomeIs(NativeOutcome.returned), entryBlock(RETURN), entryBlock(CALL[phase]));
      });
      block(entryBlock(CALL[phase]), resumeAt, () => b.callIndirect(b.get(TARGET), resume));
    }
  }
  block(entryBlock(RETURN), 0, () => {
    const address = stackTop();
    if (long) b.set(Slot.rsp, b.binary(Op.i64Add, b.get(Slot.rsp), b.i64(8)));
    else b.set(Slot.rsp, b.unary(Op.i64ExtendI32U, b.binary(Op.i32Add, stackPointer32(), b.i32(4))));
    b.return(long ? address : b.unary(Op.i64ExtendI32U, address));
  });
}
