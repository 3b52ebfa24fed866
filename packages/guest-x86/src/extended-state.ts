/**
 * The FXSAVE image (Intel SDM vol. 1, 10.5.1) of a context block: x87, MMX and SSE state as signal frames and XSAVE
 * have it. 512 bytes: the x87 part in 0..23 and 32..159, MXCSR at 24, its mask at 28, XMM0..15 from 160.
 */
import { fxrstorX87, fxsaveX87 } from "./float/x87-control.ts";
import { type MemoryViews, X87 } from "./float/x87-state.ts";
import { Mxcsr } from "./mxcsr.ts";
import { StateOffset, VECTOR_STRIDE } from "./state.ts";
import { settleMmx } from "./x87-helpers.ts";

export const FXSAVE_BYTES = 512;
const MXCSR_AT = 24;
const MXCSR_MASK_AT = 28;
const X87_END = 160;
const XMM_AT = 160;

/** Saves and restores over one buffer of context blocks. */
export class ExtendedState {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly fpu: X87;

  constructor(buffer: ArrayBufferLike) {
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    const views: MemoryViews = {
      u8: this.bytes,
      u16: new Uint16Array(buffer),
      i32: new Int32Array(buffer),
      refresh: () => {},
    };
    this.fpu = new X87(views, { ...StateOffset, registers: StateOffset.fpr });
  }

  save(cpu: number, into: Uint8Array): void {
    const { bytes, view } = this;
    settleMmx(this.fpu.views, cpu);
    fxsaveX87(this.fpu, cpu, 1);
    const scratch = cpu + StateOffset.scratch;
    into.fill(0, 0, FXSAVE_BYTES);
    into.set(bytes.subarray(scratch, scratch + MXCSR_AT), 0);
    into.set(bytes.subarray(scratch + 32, scratch + X87_END), 32);
    const words = new DataView(into.buffer, into.byteOffset, FXSAVE_BYTES);
    words.setUint32(MXCSR_AT, view.getUint32(cpu + StateOffset.mxcsr, true), true);
    words.setUint32(MXCSR_MASK_AT, Mxcsr.writable, true);
    for (let register = 0; register < 16; register++) {
      const from = cpu + StateOffset.xmm + register * VECTOR_STRIDE;
      into.set(bytes.subarray(from, from + 16), XMM_AT + register * 16);
    }
  }

  /** Reserved bits of MXCSR are cleared, not refused. */
  load(cpu: number, from: Uint8Array): void {
    const { bytes, view } = this;
    bytes.set(from.subarray(0, X87_END), cpu + StateOffset.scratch);
    fxrstorX87(this.fpu, cpu, 1);
    bytes[cpu + StateOffset.mmxWritten] = 0;
    const words = new DataView(from.buffer, from.byteOffset, FXSAVE_BYTES);
    view.setUint32(cpu + StateOffset.mxcsr, words.getUint32(MXCSR_AT, true) & Mxcsr.writable, true);
    for (let register = 0; register < 16; register++) {
      const to = cpu + StateOffset.xmm + register * VECTOR_STRIDE;
      bytes.set(from.subarray(XMM_AT + register * 16, XMM_AT + register * 16 + 16), to);
    }
  }
}
