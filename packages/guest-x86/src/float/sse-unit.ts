/**
 * Packed and scalar SSE instructions on operands in the CPU state block, for generated code to import.
 *
 * The one idea: generated code stores whole vectors into the scratch area, one call does all lanes, merges the flags
 * into MXCSR, and says whether #XM is to be raised; the result is then of no use and the destination stays.
 *
 *     scratch + 0     first operand (the only one of one-operand instructions), up to 64 bytes
 *     scratch + 64    second operand
 *     scratch + 128   result
 *
 * `lanes` is 1 for scalar forms, whose other lanes the caller merges. All functions return 0, or 1 for #XM (vector 19).
 * Source: Intel SDM Vol. 1, 11.5.3 (all lanes are examined, then flags are set), 11.5.1.
 */
import { MXCSR_MASK_SHIFT, PRE_COMPUTATION } from "./control.ts";
import { SSE_ADD, SSE_MUL, SSE_SUB, sseBinary, sseSquareRoot } from "./sse-arithmetic.ts";
import { COMPARE_TRUE, sseCompare, sseOrdered } from "./sse-compare.ts";
import { sseFromInteger, sseNarrow, sseRound, sseToInteger, sseWiden } from "./sse-convert.ts";
import { ieeeResult } from "./sse-operand.ts";
import type { MemoryViews } from "./x87-state.ts";

/** Byte offsets from the start of a CPU state block, multiples of 4. */
export interface SseLayout {
  readonly mxcsr: number;
  readonly scratch: number;
}

export class Sse {
  readonly views: MemoryViews;
  readonly layout: SseLayout;

  constructor(views: MemoryViews, layout: SseLayout) {
    this.views = views;
    this.layout = layout;
  }
}

/** Word index of the second operand, and of the result, from that of the first. */
const SECOND = 16;
const RESULT = 32;

/** {@link packedBinary}'s own operation: even lanes subtract, odd lanes add (ADDSUBPx). */
export const SSE_ADDSUB = 8;

function begin(sse: Sse, cpu: number): number {
  if (sse.views.i32.length === 0) sse.views.refresh();
  return (cpu + sse.layout.scratch) >>> 2;
}

function readMxcsr(sse: Sse, cpu: number): number {
  return sse.views.i32[(cpu + sse.layout.mxcsr) >>> 2];
}

/** Merges the flags of all lanes. An unmasked pre-computation exception keeps the later ones from being found. */
function commit(sse: Sse, cpu: number, mxcsr: number, flags: number): number {
  const unmasked = flags & ~(mxcsr >>> MXCSR_MASK_SHIFT) & 0x3f;
  if ((unmasked & PRE_COMPUTATION) !== 0) flags &= PRE_COMPUTATION;
  sse.views.i32[(cpu + sse.layout.mxcsr) >>> 2] |= flags;
  return unmasked === 0 ? 0 : 1;
}

function writeLane(i32: Int32Array, at: number, format: number, lane: number): void {
  if (format === 32) i32[at + RESULT + lane] = ieeeResult[0];
  else {
    i32[at + RESULT + 2 * lane] = ieeeResult[0];
    i32[at + RESULT + 2 * lane + 1] = ieeeResult[1];
  }
}

/** ADD, SUB, MUL, DIV, MIN, MAX, ADDSUB in scalar and packed forms. */
export function packedBinary(sse: Sse, cpu: number, op: number, format: number, lanes: number): number {
  const at = begin(sse, cpu);
  const i32 = sse.views.i32;
  const mxcsr = readMxcsr(sse, cpu);
  let flags = 0;
  for (let lane = 0; lane < lanes; lane++) {
    const laneOp = op === SSE_ADDSUB ? ((lane & 1) === 0 ? SSE_SUB : SSE_ADD) : op;
    const lo = format === 32 ? at + lane : at + 2 * lane;
    const hi = lo + (format >>> 6);
    flags |= sseBinary(laneOp, format, i32[lo], i32[hi], i32[lo + SECOND], i32[hi + SECOND], mxcsr);
    writeLane(i32, at, format, lane);
  }
  return commit(sse, cpu, mxcsr, flags);
}

/** SQRTxx. */
export function packedSquareRoot(sse: Sse, cpu: number, format: number, lanes: number): number {
  const at = begin(sse, cpu);
  const i32 = sse.views.i32;
  const mxcsr = readMxcsr(sse, cpu);
  let flags = 0;
  for (let lane = 0; lane < lanes; lane++) {
    const lo = format === 32 ? at + lane : at + 2 * lane;
    flags |= sseSquareRoot(format, i32[lo], i32[lo + (format >>> 6)], mxcsr);
    writeLane(i32, at, format, lane);
  }
  return commit(sse, cpu, mxcsr, flags);
}

/** CMPxx: lanes of all ones or all zeros. */
export function packedCompare(sse: Sse, cpu: number, predicate: number, format: number, lanes: number): number {
  const at = begin(sse, cpu);
  const i32 = sse.views.i32;
  const mxcsr = readMxcsr(sse, cpu);
  let flags = 0;
  for (let lane = 0; lane < lanes; lane++) {
    const lo = format === 32 ? at + lane : at + 2 * lane;
    const hi = lo + (format >>> 6);
    const found = sseCompare(predicate, format, i32[lo], i32[hi], i32[lo + SECOND], i32[hi + SECOND], mxcsr);
    flags |= found & 0x3f;
    ieeeResult[0] = ieeeResult[1] = (found & COMPARE_TRUE) !== 0 ? -1 : 0;
    writeLane(i32, at, format, lane);
  }
  return commit(sse, cpu, mxcsr, flags);
}

/** COMISx (`quiet` 0), UCOMISx (`quiet` 1): ZF 0x40, PF 4, CF 1 in the first result word; OF, SF, AF become zero. */
export function scalarOrdered(sse: Sse, cpu: number, quiet: number, format: number): number {
  const at = begin(sse, cpu);
  const i32 = sse.views.i32;
  const mxcsr = readMxcsr(sse, cpu);
  const found = sseOrdered(quiet !== 0, format, i32[at], i32[at + 1], i32[at + SECOND], i32[at + SECOND + 1], mxcsr);
  i32[at + RESULT] = found >>> 8;
  return commit(sse, cpu, mxcsr, found & 0x3f);
}

/** CVTSI2Sx, CVTDQ2Px: signed integers of `bits` 32 or 64 to `format`. */
export function packedFromInteger(sse: Sse, cpu: number, format: number, bits: number, lanes: number): number {
  const at = begin(sse, cpu);
  const i32 = sse.views.i32;
  const mxcsr = readMxcsr(sse, cpu);
  let flags = 0;
  for (let lane = 0; lane < lanes; lane++) {
    const lo = bits === 32 ? at + lane : at + 2 * lane;
    flags |= sseFromInteger(format, i32[lo], bits === 32 ? i32[lo] >> 31 : i32[lo + 1], mxcsr);
    writeLane(i32, at, format, lane);
  }
  return commit(sse, cpu, mxcsr, flags);
}

/** CVTSx2SI, CVTPx2DQ, and with `truncate` non-zero CVTTxx: `format` to signed integers of `bits` 32 or 64. */
export function packedToInteger(
  sse: Sse,
  cpu: number,
  format: number,
  bits: number,
  truncate: number,
  lanes: number,
): number {
  const at = begin(sse, cpu);
  const i32 = sse.views.i32;
  const mxcsr = readMxcsr(sse, cpu);
  let flags = 0;
  for (let lane = 0; lane < lanes; lane++) {
    const lo = format === 32 ? at + lane : at + 2 * lane;
    flags |= sseToInteger(format, bits, truncate !== 0, i32[lo], i32[lo + (format >>> 6)], mxcsr);
    writeLane(i32, at, bits, lane);
  }
  return commit(sse, cpu, mxcsr, flags);
}

/** CVTSS2SD, CVTPS2PD. */
export function packedWiden(sse: Sse, cpu: number, lanes: number): number {
  const at = begin(sse, cpu);
  const i32 = sse.views.i32;
  const mxcsr = readMxcsr(sse, cpu);
  let flags = 0;
  for (let lane = 0; lane < lanes; lane++) {
    flags |= sseWiden(i32[at + lane], mxcsr);
    writeLane(i32, at, 64, lane);
  }
  return commit(sse, cpu, mxcsr, flags);
}

/** CVTSD2SS, CVTPD2PS. */
export function packedNarrow(sse: Sse, cpu: number, lanes: number): number {
  const at = begin(sse, cpu);
  const i32 = sse.views.i32;
  const mxcsr = readMxcsr(sse, cpu);
  let flags = 0;
  for (let lane = 0; lane < lanes; lane++) {
    flags |= sseNarrow(i32[at + 2 * lane], i32[at + 2 * lane + 1], mxcsr);
    writeLane(i32, at, 32, lane);
  }
  return commit(sse, cpu, mxcsr, flags);
}

/** ROUNDxx. */
export function packedRound(sse: Sse, cpu: number, format: number, immediate: number, lanes: number): number {
  const at = begin(sse, cpu);
  const i32 = sse.views.i32;
  const mxcsr = readMxcsr(sse, cpu);
  let flags = 0;
  for (let lane = 0; lane < lanes; lane++) {
    const lo = format === 32 ? at + lane : at + 2 * lane;
    flags |= sseRound(format, immediate, i32[lo], i32[lo + (format >>> 6)], mxcsr);
    writeLane(i32, at, format, lane);
  }
  return commit(sse, cpu, mxcsr, flags);
}

const terms: Int32Array = new Int32Array(8);

/** Puts the sum of terms `a` and `b` into term `a`. */
function addTerms(format: number, a: number, b: number, mxcsr: number): number {
  const flags = sseBinary(SSE_ADD, format, terms[2 * a], terms[2 * a + 1], terms[2 * b], terms[2 * b + 1], mxcsr);
  terms[2 * a] = ieeeResult[0];
  terms[2 * a + 1] = ieeeResult[1];
  return flags;
}

/** DPPS (`format` 32, four lanes), DPPD (`format` 64, two lanes): each product and each sum is rounded by itself. */
export function dotProduct(sse: Sse, cpu: number, format: number, immediate: number): number {
  const at = begin(sse, cpu);
  const i32 = sse.views.i32;
  const mxcsr = readMxcsr(sse, cpu);
  const lanes = format === 32 ? 4 : 2;
  let flags = 0;
  terms.fill(0);
  for (let lane = 0; lane < lanes; lane++) {
    if (((immediate >>> (4 + lane)) & 1) === 0) continue;
    const lo = format === 32 ? at + lane : at + 2 * lane;
    const hi = lo + (format >>> 6);
    flags |= sseBinary(SSE_MUL, format, i32[lo], i32[hi], i32[lo + SECOND], i32[hi + SECOND], mxcsr);
    terms[2 * lane] = ieeeResult[0];
    terms[2 * lane + 1] = ieeeResult[1];
  }
  // Each stage is examined by itself: an exception in one keeps the next from running.
  if (commit(sse, cpu, mxcsr, flags) !== 0) return 1;
  flags = addTerms(format, 0, 1, mxcsr);
  if (format === 32) {
    flags |= addTerms(format, 2, 3, mxcsr);
    if (commit(sse, cpu, mxcsr, flags) !== 0) return 1;
    flags = addTerms(format, 0, 2, mxcsr);
  }
  for (let lane = 0; lane < lanes; lane++) {
    const chosen = ((immediate >>> lane) & 1) !== 0;
    ieeeResult[0] = chosen ? terms[0] : 0;
    ieeeResult[1] = chosen ? terms[1] : 0;
    writeLane(i32, at, format, lane);
  }
  return commit(sse, cpu, mxcsr, flags);
}
