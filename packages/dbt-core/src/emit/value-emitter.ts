/**
 * Values of one block become wasm expressions.
 *
 * A pure value is emitted where it is first used: as part of the expression when that is its only use, through a
 * temporary local otherwise. A value that is (or was just put) in a state slot's local is read from there until that
 * local gets another value; whoever still needs it then has it moved to a temporary first.
 *
 * In cold code slots have no locals: state is read from and written to the context block where it is used, so that
 * entries, calls, exits and faults carry no spills.
 */
import { Op } from "../ir/op.ts";
import { operations, VALUE_TYPE_CODE, type ValueType } from "../ir/operations.ts";
import { type RegionBuilder, SELDOM, type StateSet } from "../ir/region.ts";
import type { ByteWriter } from "../wasm/byte-writer.ts";
import { type BranchHints, type LocalPool, Parameter } from "./region-frame.ts";
import type { SlotSets } from "./slot-sets.ts";
import { Wasm } from "./wasm-opcodes.ts";
import { clear } from "../clear.ts";

const ARITY: Uint8Array = Uint8Array.from(operations, (operation) => operation.operands.length);
const OPCODE: Int32Array = Int32Array.from(operations, (operation) => operation.opcode);
const HAS_EFFECT: Uint8Array = Uint8Array.from(operations, (operation) =>
  operation.pure || operation.name.startsWith("getState") || operation.name.startsWith("helperResult") ? 0 : 1,
);
const IMMEDIATE = { none: 0, lane: 1, shuffle: 2, i32: 3, i64: 4, v128: 5 } as const;
const IMMEDIATE_KIND: Uint8Array = Uint8Array.from(operations, (operation) => IMMEDIATE[operation.immediate]);
const NO_LOCAL = -1;
/** The value is in the context block still: a state slot that nothing has written since. */
const IN_CONTEXT = -2;

export class ValueEmitter {
  private readonly locals: LocalPool;
  private readonly hints: BranchHints;
  private region!: RegionBuilder;
  private out!: ByteWriter;
  private uses: Int32Array = new Int32Array(4096);
  /** The local a node's value can be read from now, or NO_LOCAL. */
  private home: Int32Array = new Int32Array(4096);
  private slotLocal: Int32Array = new Int32Array(64);
  private residents: number[][] = [];
  /** Slots that have residents, some more than once. */
  private readonly occupied: number[] = [];
  private cold = false;
  private dirtyLow = 0;
  private dirtyHigh = 0;

  constructor(locals: LocalPool, hints: BranchHints) {
    this.locals = locals;
    this.hints = hints;
  }

  begin(region: RegionBuilder, sets: SlotSets, out: ByteWriter, cold: boolean): void {
    this.region = region;
    this.cold = cold;
    this.out = out;
    if (this.uses.length < region.nodeCount) {
      this.uses = new Int32Array(region.op.length);
      this.home = new Int32Array(region.op.length);
    } else {
      this.uses.fill(0, 0, region.nodeCount);
    }
    this.home.fill(NO_LOCAL, 0, region.nodeCount);
    this.slotLocal.fill(NO_LOCAL);
    while (this.residents.length < region.slots.length) this.residents.push([]);
    this.countUses(region, sets);
  }

  /** Operands come before their users, so one backward sweep counts the uses by what is itself used. */
  private countUses(region: RegionBuilder, sets: SlotSets): void {
    const { op, x, y, z } = region;
    const { uses } = this;
    for (const block of region.blocks) if (block.value >= 0) uses[block.value]++;
    for (let node = region.nodeCount - 1; node >= 0; node--) {
      const code = op[node];
      if (code === Op.setState) {
        if (sets.deadSet[node] === 0) uses[x[node]]++;
      } else if (code === Op.callHelper) {
        const start = x[node];
        for (let index = 0; index < y[node]; index++) uses[region.callArguments[start + index]]++;
      } else if (HAS_EFFECT[code] === 1 || uses[node] > 0) {
        const arity = ARITY[code];
        if (arity > 0) uses[x[node]]++;
        if (arity > 1) uses[y[node]]++;
        if (arity > 2) uses[z[node]]++;
      }
    }
  }

  beginBlock(dirtyLow: number, dirtyHigh: number): void {
    for (const slot of this.occupied) clear(this.residents[slot]);
    clear(this.occupied);
    this.dirtyLow = dirtyLow;
    this.dirtyHigh = dirtyHigh;
  }

  endBlock(): void {
    this.locals.releaseTemporaries();
  }

  /** Takes note of a node that needs no code by itself. */
  note(node: number): void {
    const code = this.region.op[node];
    if (code < Op.getStateI32 || code > Op.getStateV128) return;
    if (this.uses[node] === 0) return;
    const slot = this.region.immediate[node];
    this.home[node] = this.isInContext(slot) ? IN_CONTEXT : this.localOfSlot(slot);
    this.residents[slot].push(node);
    this.occupied.push(slot);
  }

  /** Emits the node's value onto the wasm stack. */
  push(node: number): void {
    const left = --this.uses[node];
    const home = this.home[node];
    if (home >= 0) {
      this.local(Wasm.localGet, home);
      return;
    }
    const shareable = this.tree(node);
    if (left > 0 && shareable) {
      const local = this.locals.temporary(this.region.typeOf(node));
      this.home[node] = local;
      this.local(Wasm.localTee, local);
    }
  }

  /** Puts the node's value into some local that stays valid to the end of the current node. */
  toLocal(node: number): number {
    const home = this.home[node];
    if (home >= 0) {
      this.uses[node]--;
      return home;
    }
    const left = --this.uses[node];
    const shareable = this.tree(node);
    const local = this.locals.temporary(this.region.typeOf(node));
    this.local(Wasm.localSet, local);
    if (left > 0 && shareable) this.home[node] = local;
    return local;
  }

  /** A local for the result of a node with effects. */
  resultLocal(node: number): number {
    const local = this.locals.temporary(this.region.typeOf(node));
    this.home[node] = local;
    return local;
  }

  /** Emits the operation itself. Returns false for what is cheaper to repeat than to keep. */
  private tree(node: number): boolean {
    const { op, x, y, z, immediate } = this.region;
    const { out } = this;
    const code = op[node];
    if (this.home[node] === IN_CONTEXT) {
      this.readSlot(immediate[node]);
      return true;
    }
    if (code === Op.regionBase) {
      this.local(Wasm.localGet, Parameter.address);
      return false;
    }
    if (code >= Op.selectF32 && code <= Op.selectV128) {
      this.choose(node);
      return true;
    }
    const arity = ARITY[code];
    if (arity > 0) this.push(x[node]);
    if (arity > 1) this.push(y[node]);
    if (arity > 2) this.push(z[node]);
    const opcode = OPCODE[code];
    if (opcode < 0) throw new Error(`${operations[code].name} is used before it was emitted`);
    out.opcode(opcode);
    switch (IMMEDIATE_KIND[code]) {
      case IMMEDIATE.lane:
        out.u8(immediate[node]);
        return true;
      case IMMEDIATE.shuffle:
      case IMMEDIATE.v128:
        out.raw(this.region.wide, immediate[node], immediate[node] + 16);
        return true;
      case IMMEDIATE.i32:
        out.s32(immediate[node]);
        return false;
      case IMMEDIATE.i64:
        out.s64(immediate[node], x[node]);
        return false;
      default:
        return true;
    }
  }

  /**
   * A select between floats or vectors, as an `if` that works out one arm only. Processors have no conditional move for
   * them, so there is a branch anyway; and guests choose between a usual value and an elaborate one (NaNs, say).
   */
  private choose(node: number): void {
    const { x, y, z, immediate } = this.region;
    const { out } = this;
    this.settle(x[node]);
    this.settle(y[node]);
    this.push(z[node]);
    if (immediate[node] === SELDOM) this.hints.mark(out, false);
    out.u8(Wasm.if);
    out.u8(VALUE_TYPE_CODE[this.region.typeOf(node)]);
    this.push(x[node]);
    out.u8(Wasm.else);
    this.push(y[node]);
    out.u8(Wasm.end);
  }

  /** Gives every value below `node` that others need too a local now: what follows may not be executed. */
  settle(node: number): void {
    if (this.home[node] >= 0) return;
    const { op, x, y, z } = this.region;
    const arity = ARITY[op[node]];
    if (arity === 0 && this.home[node] !== IN_CONTEXT && op[node] !== Op.v128Const) return;
    if (this.uses[node] > 1) {
      this.tree(node);
      const local = this.locals.temporary(this.region.typeOf(node));
      this.local(Wasm.localSet, local);
      this.home[node] = local;
      return;
    }
    if (arity > 0) this.settle(x[node]);
    if (arity > 1) this.settle(y[node]);
    if (arity > 2) this.settle(z[node]);
  }

  private local(opcode: number, local: number): void {
    this.out.u8(opcode);
    this.out.u32(local);
  }

  // State slots.

  private isInContext(slot: number): boolean {
    return this.cold || this.region.slots[slot].inContext === true;
  }

  private localOfSlot(slot: number): number {
    let local = this.slotLocal[slot];
    if (local === NO_LOCAL) {
      local = this.locals.permanent(this.region.slots[slot].type);
      this.slotLocal[slot] = local;
    }
    return local;
  }

  set(slot: number, node: number): void {
    if (this.isInContext(slot)) {
      this.local(Wasm.localGet, Parameter.context);
      this.push(node);
      this.release(slot);
      this.writeSlot(slot);
      return;
    }
    const local = this.localOfSlot(slot);
    if (slot < 32) this.dirtyLow |= 1 << slot;
    else this.dirtyHigh |= 1 << (slot - 32);
    if (this.home[node] === local) {
      this.uses[node]--;
      return;
    }
    const keep = this.home[node] < 0 && this.uses[node] > 1;
    if (keep) {
      this.uses[node]--;
      const shareable = this.tree(node);
      this.release(slot);
      this.local(Wasm.localSet, local);
      if (shareable) {
        this.home[node] = local;
        this.residents[slot].push(node);
        this.occupied.push(slot);
      }
    } else {
      this.push(node);
      this.release(slot);
      this.local(Wasm.localSet, local);
    }
  }

  /** Moves values that live in the slot's local and are still needed to temporaries: the local is about to change. */
  private release(slot: number): void {
    const list = this.residents[slot];
    const inContext = this.isInContext(slot);
    const home = inContext ? IN_CONTEXT : this.slotLocal[slot];
    for (const node of list) {
      if (this.uses[node] > 0 && this.home[node] === home) {
        const temporary = this.locals.temporary(this.region.typeOf(node));
        if (inContext) this.readSlot(slot);
        else this.local(Wasm.localGet, home);
        this.local(Wasm.localSet, temporary);
        this.home[node] = temporary;
      }
    }
    clear(list);
  }

  loadSlot(slot: number): void {
    const local = this.localOfSlot(slot);
    this.readSlot(slot);
    this.local(Wasm.localSet, local);
  }

  /** Pushes the slot's value from the context block. */
  private readSlot(slot: number): void {
    const { offset, type } = this.region.slots[slot];
    const { out } = this;
    this.local(Wasm.localGet, Parameter.context);
    out.opcode(
      type === "i32" ? Wasm.i32Load : type === "i64" ? Wasm.i64Load : type === "f64" ? Wasm.f64Load : Wasm.v128Load,
    );
    out.u8(type === "i32" ? 2 : type === "v128" ? 4 : 3);
    out.u32(offset);
  }

  /** Stores what is on the wasm stack, above the context pointer, to the slot's place in the context block. */
  private writeSlot(slot: number): void {
    const { offset, type } = this.region.slots[slot];
    const { out } = this;
    out.opcode(
      type === "i32" ? Wasm.i32Store : type === "i64" ? Wasm.i64Store : type === "f64" ? Wasm.f64Store : Wasm.v128Store,
    );
    out.u8(type === "i32" ? 2 : type === "v128" ? 4 : 3);
    out.u32(offset);
  }

  spillSlot(slot: number): void {
    const local = this.slotLocal[slot];
    if (local === NO_LOCAL)
      throw new Error(`state slot ${this.region.slots[slot].name} is spilled but was never loaded or set`);
    this.local(Wasm.localGet, Parameter.context);
    this.local(Wasm.localGet, local);
    this.writeSlot(slot);
  }

  private isDirty(slot: number): boolean {
    return slot < 32 ? (this.dirtyLow & (1 << slot)) !== 0 : (this.dirtyHigh & (1 << (slot - 32))) !== 0;
  }

  /** Before a helper that reads state from the context block, or may write it there but need not. */
  spillFor(reads: StateSet, writes: StateSet): void {
    if (this.cold || (reads === "none" && writes === "none")) return;
    for (let slot = 0; slot < this.region.slots.length; slot++) {
      if (this.isDirty(slot) && (contains(reads, slot) || contains(writes, slot))) this.spillSlot(slot);
    }
  }

  /** Before a helper that writes state: nobody may go on using the old locals. */
  releaseFor(set: StateSet): void {
    if (set === "none") return;
    if (set === "all") for (let slot = 0; slot < this.region.slots.length; slot++) this.release(slot);
    else for (const slot of set) this.release(slot);
  }

  reloadFor(set: StateSet): void {
    if (set === "none" || this.cold) return;
    if (set === "all") {
      for (let slot = 0; slot < this.region.slots.length; slot++)
        if (this.slotLocal[slot] !== NO_LOCAL) this.loadSlot(slot);
    } else {
      for (const slot of set) if (this.slotLocal[slot] !== NO_LOCAL) this.loadSlot(slot);
    }
  }

  /** Takes a helper's result, which is on the wasm stack, for the result node behind the call. */
  setHelperResult(call: number, type: ValueType): void {
    const node = call + 1;
    if (this.uses[node] === 0) {
      this.out.u8(Wasm.drop);
      return;
    }
    const local = this.locals.temporary(type);
    this.home[node] = local;
    this.local(Wasm.localSet, local);
  }
}

function contains(set: StateSet, slot: number): boolean {
  return set === "all" || (set !== "none" && set.includes(slot));
}
