/**
 * Helpers of the vector instructions: exact arithmetic (`float/sse-unit.ts`), string comparison, carry-less products,
 * AES and SHA. All find their operands in the vector operand area and leave vectors in it.
 */
import type { HelperDeclaration, ValueType } from "@doppel/dbt-core";
import { createAes } from "./aes-helpers.ts";
import {
  dotProduct,
  packedBinary,
  packedCompare,
  packedFromInteger,
  packedNarrow,
  packedRound,
  packedSquareRoot,
  packedToInteger,
  packedWiden,
  scalarOrdered,
  Sse,
} from "./float/sse-unit.ts";
import type { MemoryViews } from "./float/x87-state.ts";
import type { Helper, HelperPort } from "./helper-port.ts";
import { sha } from "./sha-helpers.ts";
import { Slot, StateOffset } from "./state.ts";
import { compareStrings } from "./string-compare.ts";

function declare(
  name: string,
  parameters: number,
  reads: readonly number[],
  writes: readonly number[],
): HelperDeclaration {
  const types: ValueType[] = Array.from({ length: parameters }, () => "i32");
  return { name, parameters: types, result: "i32", reads, writes, exits: false };
}

const { vectorA, vectorB, vectorResult, mxcsr, rax, rdx, xmm } = Slot;
const exactReads = [vectorA, vectorB, mxcsr];
const exactWrites = [vectorResult, mxcsr];

/** The exact ones return 1 for #XM. For their parameters see float/sse-unit.ts. */
export const sseHelperDeclarations: readonly HelperDeclaration[] = [
  declare("sseBinary", 3, exactReads, exactWrites),
  declare("sseSquareRoot", 2, exactReads, exactWrites),
  declare("sseCompare", 3, exactReads, exactWrites),
  declare("sseOrdered", 2, exactReads, exactWrites),
  declare("sseFromInteger", 3, exactReads, exactWrites),
  declare("sseToInteger", 4, exactReads, exactWrites),
  declare("sseWiden", 1, exactReads, exactWrites),
  declare("sseNarrow", 1, exactReads, exactWrites),
  declare("sseRound", 3, exactReads, exactWrites),
  declare("sseDot", 2, exactReads, exactWrites),
  /** Immediate, kind of lengths; returns the flags word and the index (see lift/sse-compare.ts). */
  declare("compareStrings", 2, [vectorA, vectorB, rax, rdx], [vectorResult]),
  /** Immediate. */
  declare("carrylessMultiply", 1, [vectorA, vectorB], [vectorResult]),
  /** One of AesOperation, immediate. */
  declare("aes", 2, [vectorA, vectorB], [vectorResult]),
  /** One of ShaOperation, immediate; SHA256RNDS2 reads XMM0. */
  declare("sha", 2, [vectorA, vectorB, xmm], [vectorResult]),
];

/** Typed views over the port's memory, made anew when it has grown. */
export function memoryViews(port: HelperPort): MemoryViews {
  const views: MemoryViews = {
    u8: new Uint8Array(port.buffer),
    u16: new Uint16Array(port.buffer),
    i32: new Int32Array(port.buffer),
    refresh() {
      views.u8 = new Uint8Array(port.buffer);
      views.u16 = new Uint16Array(port.buffer);
      views.i32 = new Int32Array(port.buffer);
    },
  };
  return views;
}

export function createSseHelpers(port: HelperPort): Record<string, Helper> {
  const views = memoryViews(port);
  const unit = new Sse(views, { mxcsr: StateOffset.mxcsr, scratch: StateOffset.vectorOperands });
  const aes = createAes();
  /** Word index of operand A; B is 16 words on, the result 32. */
  const operands = (cpu: number): number => {
    if (views.i32.length === 0) views.refresh();
    return (cpu + StateOffset.vectorOperands) >>> 2;
  };

  return {
    sseBinary: (cpu, operation, format, lanes) => packedBinary(unit, cpu, operation, format, lanes),
    sseSquareRoot: (cpu, format, lanes) => packedSquareRoot(unit, cpu, format, lanes),
    sseCompare: (cpu, predicate, format, lanes) => packedCompare(unit, cpu, predicate, format, lanes),
    sseOrdered: (cpu, quiet, format) => scalarOrdered(unit, cpu, quiet, format),
    sseFromInteger: (cpu, format, bits, lanes) => packedFromInteger(unit, cpu, format, bits, lanes),
    sseToInteger: (cpu, format, bits, truncate, lanes) => packedToInteger(unit, cpu, format, bits, truncate, lanes),
    sseWiden: (cpu, lanes) => packedWiden(unit, cpu, lanes),
    sseNarrow: (cpu, lanes) => packedNarrow(unit, cpu, lanes),
    sseRound: (cpu, format, immediate, lanes) => packedRound(unit, cpu, format, immediate, lanes),
    sseDot: (cpu, format, immediate) => dotProduct(unit, cpu, format, immediate),

    compareStrings: (cpu, immediate, lengths) => {
      const at = operands(cpu);
      const registers = (cpu + StateOffset.gpr) >>> 2;
      return compareStrings(views.u8, at << 2, immediate, lengths, views.i32, registers + 2 * rax, registers + 2 * rdx);
    },

    carrylessMultiply: (cpu, immediate) => {
      const at = operands(cpu);
      const { i32 } = views;
      const a = at + 2 * (immediate & 1);
      const b = at + 16 + 2 * ((immediate >> 4) & 1);
      multiplyCarryless(i32, at + 32, i32[a], i32[a + 1], i32[b], i32[b + 1]);
      return 0;
    },

    aes: (cpu, operation, immediate) => {
      const at = operands(cpu);
      aes(views.i32, at, operation, immediate);
      return 0;
    },

    sha: (cpu, operation, immediate) => {
      const at = operands(cpu);
      sha(views.i32, at, operation, immediate, (cpu + StateOffset.xmm) >>> 2);
      return 0;
    },
  };
}

/** The 128-bit polynomial product over GF(2) of two 64-bit numbers, to four words at `to`. */
function multiplyCarryless(
  i32: Int32Array,
  to: number,
  aLow: number,
  aHigh: number,
  bLow: number,
  bHigh: number,
): void {
  let r0 = 0;
  let r1 = 0;
  let r2 = 0;
  let r3 = 0;
  // Horner's rule from the top bit of b: shift the product left, add a where the bit is set.
  for (let bit = 63; bit >= 0; bit--) {
    r3 = (r3 << 1) | (r2 >>> 31);
    r2 = (r2 << 1) | (r1 >>> 31);
    r1 = (r1 << 1) | (r0 >>> 31);
    r0 <<= 1;
    const mask = -(((bit > 31 ? bHigh : bLow) >>> (bit & 31)) & 1);
    r0 ^= aLow & mask;
    r1 ^= aHigh & mask;
  }
  i32[to] = r0;
  i32[to + 1] = r1;
  i32[to + 2] = r2;
  i32[to + 3] = r3;
}
