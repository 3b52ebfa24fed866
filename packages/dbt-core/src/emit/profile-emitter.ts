/** What code translated in haste finds out for when it is translated with care: how often it runs, and where it jumps to. */
import { JumpRing } from "../engine/jump-profile.ts";
import type { ByteWriter } from "../wasm/byte-writer.ts";
import type { LocalPool } from "./region-frame.ts";
import { Wasm } from "./wasm-opcodes.ts";

export class ProfileEmitter {
  private locals!: LocalPool;
  private out!: ByteWriter;
  private count = -1;

  begin(locals: LocalPool, out: ByteWriter): void {
    this.locals = locals;
    this.out = out;
    this.count = -1;
  }

  /** Counts at a byte offset in memory; pushes whether the count is used up. */
  countDown(counter: number): void {
    const { out } = this;
    this.step(counter, () => {
      out.u8(Wasm.i32Const);
      out.s32(1);
      out.u8(Wasm.i32Sub);
    });
    out.u8(Wasm.localGet);
    out.u32(this.count);
    out.u8(Wasm.i32Const);
    out.s32(0);
    out.u8(Wasm.i32LtS);
  }

  /** Notes a target, in a local, at the site at a byte offset in memory (`JumpProfile`); 0: nowhere. */
  noteTarget(site: number, target: number): void {
    if (site === 0) return;
    const { out } = this;
    this.step(site, () => {
      out.u8(Wasm.i32Const);
      out.s32(JumpRing.step);
      out.u8(Wasm.i32Add);
      out.u8(Wasm.i32Const);
      out.s32(JumpRing.mask);
      out.u8(Wasm.i32And);
    });
    out.u8(Wasm.localGet);
    out.u32(this.count);
    out.u8(Wasm.localGet);
    out.u32(target);
    out.u8(Wasm.i32WrapI64);
    out.u8(Wasm.i32Store);
    out.u8(2);
    out.u32(site + JumpRing.first);
  }

  /** Changes a word of memory, and keeps it in `count`. */
  private step(at: number, change: () => void): void {
    const { out } = this;
    if (this.count < 0) this.count = this.locals.permanent("i32");
    out.u8(Wasm.i32Const);
    out.s32(at);
    out.u8(Wasm.i32Const);
    out.s32(at);
    out.u8(Wasm.i32Load);
    out.u8(2);
    out.u32(0);
    change();
    out.u8(Wasm.localTee);
    out.u32(this.count);
    out.u8(Wasm.i32Store);
    out.u8(2);
    out.u32(0);
  }
}
