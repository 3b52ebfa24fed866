/**
 * MXCSR and the translation mode that follows from it (docs/decisions/0003-sse-floating-point.md).
 *
 * The one idea: with round-to-nearest, no FTZ or DAZ, everything masked, and all six sticky flags set already, no
 * instruction can change MXCSR or do anything but what WebAssembly's floating point does. In this *saturated* state,
 * and in no other, code is translated to plain WebAssembly operations; otherwise arithmetic goes through exact helpers.
 * Programs start saturated, so only those that clear a flag or change the control bits leave the fast path.
 */
import { ModeBit } from "./state.ts";

export const Mxcsr = {
  /** What the processor has after reset: everything masked, nearest, no flag set. */
  reset: 0x1f80,
  /** `reset` with all sticky flags set: what programs start with. */
  saturated: 0x1fbf,
  flags: 0x3f,
  daz: 0x40,
  masks: 0x1f80,
  ftz: 0x8000,
  /** The bits that may be set; others raise #GP(0). What FXSAVE stores as MXCSR_MASK. */
  writable: 0xffff,
} as const;

/** The `ModeBit`s that code must be translated with to run under this MXCSR. */
export function modeForMxcsr(mxcsr: number): number {
  return (mxcsr & 0xffff) === Mxcsr.saturated ? 0 : ModeBit.exactFloat;
}
