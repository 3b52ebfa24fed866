/**
 * What a guest architecture gives the translator: how to find the shape of its code, and what each instruction means.
 */
import type { HelperDeclaration, RegionBuilder, StateSlot } from "./ir/region.ts";

/** How an instruction passes control on; everything region discovery needs to know about it. */
export const Flow = {
  next: 0,
  jump: 1,
  branch: 2,
  call: 3,
  return: 4,
  indirectJump: 5,
  indirectCall: 6,
  /** Ends the block and goes on behind itself (a system call). */
  service: 7,
  /** Ends the block for good (an undefined instruction, HLT). */
  stop: 8,
} as const;

export interface Frontend {
  readonly slots: readonly StateSlot[];
  readonly helpers: readonly HelperDeclaration[];
  /** Bits of the mode that only some code goes by, and is the same whatever they are where it does not. Absent: none. */
  readonly optionalModeBits?: number;
  /** Those of them that what has been lifted since `beginRegion` goes by. */
  readonly usedModeBits?: number;
  /**
   * Decodes the instruction at `code[position]` into the frontend's record number `index`. `mode` is the context's
   * translation mode (operand size, floating-point mode, privilege…), opaque to the translator.
   * @returns its length, or 0 when its bytes go beyond `end`
   */
  decode(index: number, code: Uint8Array, position: number, end: number, mode: number): number;
  /** Facts about record `index`: its `Flow`, */
  flow(index: number): number;
  /** the direct target's distance from the end of the instruction, */
  displacement(index: number): number;
  /** and in how many parts it is lifted; each part is a block of its own. 1 for nearly all. */
  parts(index: number): number;
  /** Called before the first block of a region is lifted. */
  beginRegion(builder: RegionBuilder, mode: number): void;
  /** Called at the start of each block; `predecessors` are the indices of blocks already lifted that may come here,
   * or undefined when not all of them are known. */
  beginBlock(builder: RegionBuilder, predecessors: readonly number[] | undefined): void;
  /** Lifts part `part` of record `index`. The translator has called `beginInstruction`, and calls `endInstruction`. */
  lift(index: number, part: number, builder: RegionBuilder): void;
  endBlock(builder: RegionBuilder): void;
}
