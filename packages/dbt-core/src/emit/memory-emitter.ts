/**
 * Guest memory accesses: a soft-TLB look-up in line, a call when it misses.
 *
 * ```text
 *   entry = context + ((address >> pageShift) & mask) * entrySize
 *   entry.tag ^ address < pageSize - size + 1 ?      (unsigned, 64 bits) one comparison: right page, all bytes on it
 *     host = entry.addend + low half of address          the addend that belongs to the tag
 *   : slow path, which returns a host offset, or 0 to leave the region
 * ```
 */
import { Op } from "../ir/op.ts";
import type { AccessGroup } from "./access-groups.ts";
import { Header, type TlbLayout } from "../layout.ts";
import type { ByteWriter } from "../wasm/byte-writer.ts";
import { BLOCK_EMPTY, type BranchHints, type LocalPool, Parameter, type RegionImports } from "./region-frame.ts";
import { LOADS, STORES } from "./memory-shapes.ts";
import { Wasm } from "./wasm-opcodes.ts";

/** Bytes at a distance from a place whose host offset a local has, or 0 when it is not known. */
export interface KnownPlace {
  readonly host: number;
  readonly distance: number;
}

export class MemoryEmitter {
  private readonly ownTlb: TlbLayout;
  private tlb: TlbLayout;
  private out!: ByteWriter;
  private imports!: RegionImports;
  private entry = -1;
  private host = -1;
  private locals!: LocalPool;
  private readonly hints: BranchHints;

  constructor(tlb: TlbLayout, hints: BranchHints) {
    this.hints = hints;
    this.ownTlb = tlb;
    this.tlb = tlb;
  }

  /** Locals with host offsets that a slow path takes back: those of the block's access groups so far. */
  readonly known: number[] = [];

  private forgetKnown(): void {
    for (const local of this.known) {
      this.out.u8(Wasm.i32Const);
      this.out.s32(0);
      this.out.u8(Wasm.localSet);
      this.out.u32(local);
    }
  }

  begin(locals: LocalPool, out: ByteWriter, imports: RegionImports, tlb: TlbLayout = this.ownTlb): void {
    this.tlb = tlb;
    this.locals = locals;
    this.out = out;
    this.imports = imports;
    this.entry = this.host = -1;
  }

  get(local: number): void {
    this.out.u8(Wasm.localGet);
    this.out.u32(local);
  }

  /**
   * Pushes 1 when the access hits; leaves `entry` set. The tag is the left operand: V8 would read it twice as the right
   * one, once for itself and once as an operand in memory.
   */
  private check(address: number, tag: number, size: number): void {
    const { out, tlb } = this;
    if (this.entry < 0) this.entry = this.locals.permanent("i32");
    if (this.host < 0) this.host = this.locals.permanent("i32");
    this.get(address);
    out.u8(Wasm.i32WrapI64);
    out.u8(Wasm.i32Const);
    out.s32(tlb.pageShift - tlb.entryShift);
    out.u8(Wasm.i32ShrU);
    out.u8(Wasm.i32Const);
    out.s32(((1 << tlb.indexBits) - 1) << tlb.entryShift);
    out.u8(Wasm.i32And);
    this.get(Parameter.context);
    out.u8(Wasm.i32Add);
    out.u8(Wasm.localTee);
    out.u32(this.entry);
    out.u8(Wasm.i64Load);
    out.u8(3);
    out.u32(tlb.offset + tag);
    this.get(address);
    out.u8(Wasm.i64Xor);
    out.u8(Wasm.i64Const);
    out.s32((1 << tlb.pageShift) - size + 1);
    out.u8(Wasm.i64LtU);
  }

  private pushHost(address: number, tag: number): void {
    const { out } = this;
    this.get(this.entry);
    out.u8(Wasm.i32Load);
    out.u8(2);
    out.u32(this.tlb.offset + tag + this.tlb.addend);
    this.get(address);
    out.u8(Wasm.i32WrapI64);
    out.u8(Wasm.i32Add);
  }

  private pushSlowArguments(address: number): void {
    this.get(Parameter.context);
    this.get(address);
  }

  private access(opcode: number): void {
    this.out.opcode(opcode);
    this.out.u8(0);
    this.out.u32(0);
  }

  /** The same with the check out of line: a third of the code, for regions that may run only once. */
  loadCold(op: number, address: number, offset: number, result: number, faultDepth: number): void {
    const { out } = this;
    const { size, opcode } = LOADS[op];
    if (this.host < 0) this.host = this.locals.permanent("i32");
    this.pushSlowArguments(address);
    out.u8(Wasm.i32Const);
    out.s32((offset << 8) | size);
    out.u8(Wasm.call);
    out.u32(this.imports.load);
    out.u8(Wasm.localTee);
    out.u32(this.host);
    out.u8(Wasm.i32Eqz);
    out.u8(Wasm.brIf);
    out.u32(faultDepth);
    this.get(this.host);
    this.access(opcode);
    out.u8(Wasm.localSet);
    out.u32(result);
  }

  storeCold(op: number, address: number, offset: number, value: number, faultDepth: number): void {
    const { out } = this;
    const { size } = STORES[op];
    this.pushSlowArguments(address);
    this.pushStoreValue(op, value);
    out.u8(Wasm.i32Const);
    out.s32((offset << 8) | size);
    out.u8(Wasm.call);
    out.u32(this.imports.store(size));
    out.u8(Wasm.brIf);
    out.u32(faultDepth);
  }

  /** The value as the store functions take it: an i64, or a vector. */
  private pushStoreValue(op: number, value: number): void {
    const { out } = this;
    this.get(value);
    if (op === Op.storeF32) out.u8(Wasm.i32ReinterpretF32);
    if (op === Op.storeF64) out.u8(Wasm.i64ReinterpretF64);
    else if (op !== Op.store64 && op !== Op.storeV128) out.u8(Wasm.i64ExtendI32U);
  }

  /** `faultDepth`: relative depth of the fault exit at this point. */
  load(op: number, address: number, offset: number, result: number, faultDepth: number): void {
    const { out } = this;
    const { size, opcode } = LOADS[op];
    this.check(address, this.tlb.readTag, size);
    this.hints.mark(out, true);
    // The load is in both arms: V8 would extend an offset that comes from either once more.
    out.u8(Wasm.if);
    out.u8(BLOCK_EMPTY);
    this.pushHost(address, this.tlb.readTag);
    this.access(opcode);
    this.set(result);
    out.u8(Wasm.else);
    this.pushSlowArguments(address);
    out.u8(Wasm.i32Const);
    out.s32((offset << 8) | size);
    out.u8(Wasm.call);
    out.u32(this.imports.slowLoad);
    out.u8(Wasm.localTee);
    out.u32(this.host);
    out.u8(Wasm.i32Eqz);
    this.hints.mark(out, false);
    out.u8(Wasm.brIf);
    out.u32(faultDepth + 1);
    this.forgetKnown();
    this.get(this.host);
    this.access(opcode);
    this.set(result);
    out.u8(Wasm.end);
  }

  store(op: number, address: number, offset: number, value: number, faultDepth: number): void {
    const { out } = this;
    const { size, opcode } = STORES[op];
    this.check(address, this.tlb.writeTag, size);
    this.hints.mark(out, true);
    out.u8(Wasm.if);
    out.u8(BLOCK_EMPTY);
    this.pushHost(address, this.tlb.writeTag);
    this.get(value);
    this.access(opcode);
    out.u8(Wasm.else);
    if (op === Op.storeV128) {
      this.get(Parameter.context);
      this.get(value);
      out.opcode(Wasm.v128Store);
      out.u8(4);
      out.u32(Header.storeValue);
      this.pushSlowArguments(address);
    } else {
      this.pushSlowArguments(address);
      this.pushStoreValue(op, value);
    }
    out.u8(Wasm.i32Const);
    out.s32((offset << 8) | size);
    out.u8(Wasm.call);
    out.u32(op === Op.storeV128 ? this.imports.slowStoreVector : this.imports.slowStore);
    this.hints.mark(out, false);
    out.u8(Wasm.brIf);
    out.u32(faultDepth + 1);
    this.forgetKnown();
    out.u8(Wasm.end);
  }

  // Groups of accesses.

  /**
   * Looks up a group's bytes for its first member, which is at `address` and so far behind the lowest of them: pushes 1 when
   * all are on a page known.
   */
  lookUpGroup(address: number, distance: number, { low, high, writes, truncated }: AccessGroup): void {
    const { out, tlb } = this;
    this.lowest = address;
    if (distance !== 0) {
      this.lowest = this.locals.temporary("i64");
      this.get(address);
      out.u8(Wasm.i64Const);
      out.s32(-distance);
      out.u8(Wasm.i64Add);
      // The lowest byte may be below 0, which is above all others.
      if (truncated) out.raw(Uint8Array.of(Wasm.i32WrapI64, Wasm.i64ExtendI32U));
      this.set(this.lowest);
    }
    this.lowestTag = writes ? tlb.writeTag : tlb.readTag;
    this.check(this.lowest, this.lowestTag, high - low);
  }

  /** Local with the address of the lowest byte of the group looked up last. */
  private lowest = -1;
  /** Which tag was compared. */
  private lowestTag = 0;

  private set(local: number): void {
    this.out.u8(Wasm.localSet);
    this.out.u32(local);
  }

  /**
   * A load from a place; `pushAddress` is for when it is not known. `first`: what it is has just been pushed by
   * `lookUpGroup`, and is kept.
   */
  loadKnown(
    op: number,
    from: KnownPlace,
    offset: number,
    result: number,
    faultDepth: number,
    pushAddress: () => void,
    first = false,
  ): void {
    const { out } = this;
    const { size, opcode } = LOADS[op];
    this.openKnown(from, first);
    this.accessKnown(opcode, from);
    this.set(result);
    out.u8(Wasm.else);
    this.get(Parameter.context);
    pushAddress();
    out.u8(Wasm.i32Const);
    out.s32((offset << 8) | size);
    out.u8(Wasm.call);
    out.u32(this.imports.load);
    out.u8(Wasm.localTee);
    out.u32(this.host);
    out.u8(Wasm.i32Eqz);
    this.hints.mark(out, false);
    out.u8(Wasm.brIf);
    out.u32(faultDepth + 1);
    this.forgetKnown();
    this.get(this.host);
    this.access(opcode);
    this.set(result);
    out.u8(Wasm.end);
  }

  storeKnown(
    op: number,
    to: KnownPlace,
    offset: number,
    value: number,
    faultDepth: number,
    pushAddress: () => void,
    first = false,
  ): void {
    const { out } = this;
    const { size, opcode } = STORES[op];
    this.openKnown(to, first);
    this.get(value);
    this.accessKnown(opcode, to);
    out.u8(Wasm.else);
    this.get(Parameter.context);
    pushAddress();
    this.pushStoreValue(op, value);
    out.u8(Wasm.i32Const);
    out.s32((offset << 8) | size);
    out.u8(Wasm.call);
    out.u32(this.imports.store(size));
    this.hints.mark(out, false);
    out.u8(Wasm.brIf);
    out.u32(faultDepth + 1);
    this.forgetKnown();
    out.u8(Wasm.end);
  }

  /** Opens what is done when a place is known, and pushes its host offset. */
  private openKnown({ host }: KnownPlace, first: boolean): void {
    const { out } = this;
    if (!first) this.get(host);
    this.hints.mark(out, true);
    out.u8(Wasm.if);
    out.u8(BLOCK_EMPTY);
    if (!first) {
      this.get(host);
      return;
    }
    this.pushHost(this.lowest, this.lowestTag);
    out.u8(Wasm.localTee);
    out.u32(host);
  }

  private accessKnown(opcode: number, { distance }: KnownPlace): void {
    this.out.opcode(opcode);
    this.out.u8(0);
    this.out.u32(distance);
  }
}
