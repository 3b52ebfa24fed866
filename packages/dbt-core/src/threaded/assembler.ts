/**
 * Assembles a region of IR into threaded code (see `record.ts`), in one pass over its nodes behind one that counts uses.
 *
 * A value that a block reads from a state slot stays where it is until the slot gets another value; whoever still needs
 * it then has it moved to a cell first. A constant is part of the record that uses it where the handlers allow that.
 */
import { Op } from "../ir/op.ts";
import { operations } from "../ir/operations.ts";
import { type Block, keyOffset, type RegionBuilder, type StateSet, Terminator } from "../ir/region.ts";
import { Access } from "../layout.ts";
import type { GuardMask } from "../emit/region-emitter.ts";
import { leadsBack, type LinkTarget } from "../emit/region-frame.ts";
import { constantHandler, Handler, plainHandler, recordBytes } from "./handlers.ts";
import { CELL_BYTES, EntryField, HelperField, RecordField, UNIT_HEADER, UnitField } from "./record.ts";

const CAPACITY = 1 << 16;
/** Bytes of records, and of cells, that one node never needs more of: a helper call may have all slots saved first. */
const RESERVE = 2048;
const NOWHERE = -1;
const VECTOR_BYTES = 16;
const VALUE_BYTES = 8;

const ARITY: Uint8Array = Uint8Array.from(operations, ({ operands }) => operands.length);
const MAY_FAULT: Uint8Array = Uint8Array.from(operations, ({ mayFault }) => (mayFault ? 1 : 0));
const HAS_EFFECT: Uint8Array = Uint8Array.from(operations, ({ pure, name }) =>
  pure || name.startsWith("getState") || name.startsWith("helperResult") ? 0 : 1,
);
const CELL_SIZE: Uint8Array = Uint8Array.from(operations, ({ result }) =>
  result === "v128" ? VECTOR_BYTES : VALUE_BYTES,
);

interface AccessHandler {
  readonly handler: number;
  /** Of a store whose value is a constant; -1 where there is none. */
  readonly constant: number;
  readonly size: number;
}
const access = (handler: number, size: number, constant = -1): AccessHandler => ({ handler, constant, size });
const ACCESSES: Readonly<Record<number, AccessHandler>> = {
  [Op.load8U]: access(Handler.load8U, Access.bytes1),
  [Op.load8S]: access(Handler.load8S, Access.bytes1),
  [Op.load16U]: access(Handler.load16U, Access.bytes2),
  [Op.load16S]: access(Handler.load16S, Access.bytes2),
  [Op.load32]: access(Handler.load32, Access.bytes4),
  [Op.load64]: access(Handler.load64, Access.bytes8),
  [Op.loadF32]: access(Handler.load32, Access.bytes4),
  [Op.loadF64]: access(Handler.load64, Access.bytes8),
  [Op.loadV128]: access(Handler.loadV128, Access.bytes16),
  [Op.loadV128Zero32]: access(Handler.loadV128Zero32, Access.bytes4),
  [Op.loadV128Zero64]: access(Handler.loadV128Zero64, Access.bytes8),
  [Op.store8]: access(Handler.store8, Access.bytes1, Handler.storeConstant8),
  [Op.store16]: access(Handler.store16, Access.bytes2, Handler.storeConstant16),
  [Op.store32]: access(Handler.store32, Access.bytes4, Handler.storeConstant32),
  [Op.store64]: access(Handler.store64, Access.bytes8, Handler.storeConstant64),
  [Op.storeF32]: access(Handler.store32, Access.bytes4),
  [Op.storeF64]: access(Handler.store64, Access.bytes8),
  [Op.storeV128]: access(Handler.storeV128, Access.bytes16),
};

/** Extracting or replacing a lane: the handler, and the lane's bytes. */
const EXTRACT: Readonly<Record<number, readonly [number, number]>> = {
  [Op.i8x16ExtractLaneS]: [Handler.copy8S, 1],
  [Op.i8x16ExtractLaneU]: [Handler.copy8U, 1],
  [Op.i16x8ExtractLaneS]: [Handler.copy16S, 2],
  [Op.i16x8ExtractLaneU]: [Handler.copy16U, 2],
  [Op.i32x4ExtractLane]: [Handler.copy32, 4],
  [Op.f32x4ExtractLane]: [Handler.copy32, 4],
  [Op.i64x2ExtractLane]: [Handler.copy64, 8],
  [Op.f64x2ExtractLane]: [Handler.copy64, 8],
};
const REPLACE: Readonly<Record<number, readonly [number, number]>> = {
  [Op.i8x16ReplaceLane]: [Handler.put8, 1],
  [Op.i16x8ReplaceLane]: [Handler.put16, 2],
  [Op.i32x4ReplaceLane]: [Handler.copy32, 4],
  [Op.f32x4ReplaceLane]: [Handler.copy32, 4],
  [Op.i64x2ReplaceLane]: [Handler.copy64, 8],
  [Op.f64x2ReplaceLane]: [Handler.copy64, 8],
};

/** The index of the block that `key` names, or -1 where an edge leaves. What goes back in the blocks' order is a loop. */
export function blockOfKey(region: RegionBuilder, key: number): number {
  const { blocks } = region;
  for (let index = 0; index < blocks.length; index++) if (blocks[index].key === key) return index;
  return -1;
}

export class ThreadedAssembler {
  /** The unit's bytes after `assemble`, which do not depend on where they are put. */
  readonly bytes: Uint8Array = new Uint8Array(CAPACITY);
  length = 0;
  private readonly words: Int32Array = new Int32Array(this.bytes.buffer);
  private readonly halves: Uint16Array = new Uint16Array(this.bytes.buffer);
  private readonly cells: number;
  private nextCell = 0;
  private region!: RegionBuilder;
  private link!: LinkTarget;
  private guards: readonly GuardMask[] = [];
  private narrow = 0;
  private count = 0;
  /** By node: how often it is used yet, and where its value is. */
  private uses: Uint16Array = new Uint16Array(4096);
  private place: Int32Array = new Int32Array(4096);
  /** By node that sets a slot: not zero when nobody can see it. */
  private dead: Uint8Array = new Uint8Array(4096);
  /** Nodes read from a slot whose value is there still, by slot. */
  private readonly residents: number[][] = [];
  private readonly occupied: number[] = [];
  /** By block: where its first record is. Distances to blocks that are not assembled yet: place, record, block. */
  private readonly starts: number[] = [];
  private readonly fixups: number[] = [];

  /** @param cells offset of the cells from the context pointer */
  constructor(cells: number) {
    this.cells = cells;
  }

  /** Pairs: guest offset of a block that can be entered, and where in the unit its entry is. The first is the region's. */
  readonly entries: number[] = [];

  /**
   * Whether the region could be assembled: not when it is too large. `count`: of entries and loops until it is compiled;
   * `guards`: what `guardTest` tests.
   */
  assemble(
    region: RegionBuilder,
    link: LinkTarget,
    narrow: boolean,
    count: number,
    guards: readonly GuardMask[] = [],
  ): boolean {
    // Dispatch blocks are of hot code.
    if (region.dispatchTargets.length > 0) return false;
    this.region = region;
    this.link = link;
    this.guards = guards;
    this.count = count;
    this.narrow = narrow ? 1 : 0;
    this.prepare(region);
    this.length = UNIT_HEADER;
    this.entries.length = 0;
    this.starts.length = 0;
    this.fixups.length = 0;
    for (let index = 0; index < region.blocks.length; index++) {
      if (!this.block(index)) return false;
    }
    for (let index = 0; index < region.blocks.length; index++) this.entry(index);
    const { fixups } = this;
    for (let index = 0; index < fixups.length; index += 3)
      this.words[fixups[index] >> 2] = this.starts[fixups[index + 2]] - fixups[index + 1];
    this.words[UnitField.bytes >> 2] = this.length;
    this.words[UnitField.entries >> 2] = this.entries.length >> 1;
    return true;
  }

  private prepare(region: RegionBuilder): void {
    if (this.uses.length < region.nodeCount) {
      this.uses = new Uint16Array(region.op.length);
      this.place = new Int32Array(region.op.length);
      this.dead = new Uint8Array(region.op.length);
    }
    this.uses.fill(0, 0, region.nodeCount);
    this.place.fill(NOWHERE, 0, region.nodeCount);
    this.dead.fill(0, 0, region.nodeCount);
    while (this.residents.length < region.slots.length) this.residents.push([]);
    for (const block of region.blocks) this.countUses(region, block);
  }

  /** One backward sweep: what is used by what is itself used, and which slots are set again before anybody looks. */
  private countUses(region: RegionBuilder, block: Block): void {
    const { op, x, y, z, immediate } = region;
    const { uses, dead } = this;
    let low = -1;
    let high = -1;
    if (block.value >= 0) uses[block.value]++;
    for (let node = block.endNode - 1; node >= block.firstNode; node--) {
      const code = op[node];
      if (code === Op.setState) {
        const slot = immediate[node];
        const bit = 1 << (slot & 31);
        if (((slot < 32 ? low : high) & bit) === 0) {
          dead[node] = 1;
          continue;
        }
        if (slot < 32) low &= ~bit;
        else high &= ~bit;
        uses[x[node]]++;
      } else if (code === Op.callHelper) {
        const { exits, reads } = region.helpers[immediate[node]];
        if (exits || reads !== "none") low = high = -1;
        const start = x[node];
        for (let index = 0; index < y[node]; index++) uses[region.callArguments[start + index]]++;
      } else if (HAS_EFFECT[code] === 1 || uses[node] > 0) {
        if (MAY_FAULT[code] === 1) low = high = -1;
        const arity = ARITY[code];
        if (arity > 0) uses[x[node]]++;
        if (arity > 1) uses[y[node]]++;
        if (arity > 2) uses[z[node]]++;
        if (code >= Op.getStateI32 && code <= Op.getStateV128) {
          const slot = immediate[node];
          if (slot < 32) low |= 1 << slot;
          else high |= 1 << (slot - 32);
        }
      }
    }
  }

  /** A block of whole instructions can be entered; a later part of one cannot. */
  private entry(block: number): void {
    const { key } = this.region.blocks[block];
    if (key % 4 !== 0) return;
    const record = this.record(Handler.entry + this.narrow);
    this.word(record, EntryField.offset, keyOffset(key));
    this.fixups.push(record + EntryField.block, record, block);
    this.word(record, EntryField.count, this.count);
    this.entries.push(keyOffset(key), record);
  }

  // Records.

  /** Begins a record; its fields are zero unless set. */
  private record(handler: number): number {
    const at = this.length;
    const half = at >> 1;
    this.halves[half] = handler;
    this.halves[half + 1] = 0;
    this.words[(at >> 2) + 1] = 0;
    this.length = at + recordBytes[handler];
    return at;
  }

  private field(record: number, offset: number, value: number): void {
    this.halves[(record + offset) >> 1] = value;
  }

  private word(record: number, offset: number, value: number): void {
    this.words[(record + offset) >> 2] = value;
  }

  private cell(bytes: number): number {
    const at = this.nextCell;
    this.nextCell += bytes;
    return this.cells + at;
  }

  /** Where the value is that a node needs of another; constants, and the region's address, are put into a cell here. */
  private operand(node: number): number {
    if (this.place[node] === NOWHERE) {
      const to = this.cell(VALUE_BYTES);
      this.place[node] = to;
      if (this.region.op[node] === Op.regionBase) this.address(to, 0);
      else this.constant(node, to);
    }
    this.uses[node]--;
    return this.place[node];
  }

  private constant(node: number, to: number): void {
    const { op, immediate, x } = this.region;
    if (op[node] === Op.i32Const) {
      const record = this.record(Handler.constant32);
      this.field(record, RecordField.result, to);
      this.word(record, RecordField.c, immediate[node]);
      return;
    }
    if (op[node] !== Op.i64Const) throw new Error(`${operations[op[node]].name} is used before it is assembled`);
    const short = x[node] === immediate[node] >> 31;
    const record = this.record(short ? Handler.constant32To64 : Handler.constant64);
    this.field(record, RecordField.result, to);
    this.word(record, RecordField.c, immediate[node]);
    if (!short) this.word(record, RecordField.c + 4, x[node]);
  }

  /** Whether a node is a constant that fits a record's sign-extended word. */
  private isShort(node: number): boolean {
    const { op, immediate, x } = this.region;
    return (
      this.place[node] === NOWHERE &&
      (op[node] === Op.i32Const || (op[node] === Op.i64Const && x[node] === immediate[node] >> 31))
    );
  }

  // Blocks.

  private block(index: number): boolean {
    const block = this.region.blocks[index];
    const { op, immediate } = this.region;
    for (const slot of this.occupied) this.residents[slot].length = 0;
    this.occupied.length = 0;
    this.nextCell = 0;
    this.starts.push(this.length);
    let offset = keyOffset(block.key);
    for (let node = block.firstNode; node < block.endNode; node++) {
      if (this.length + RESERVE > CAPACITY || this.nextCell + RESERVE > CELL_BYTES) return false;
      const code = op[node];
      if (code === Op.instruction) offset = immediate[node];
      else if (code === Op.setState) this.set(node);
      else if (code >= Op.load8U && code <= Op.storeV128) this.access(node, offset);
      else if (code === Op.exitIf) this.exitIf(node, offset);
      else if (code === Op.callHelper) this.callHelper(node, offset);
      else if (code === Op.guardTest) this.guardTest(offset);
      else if (this.uses[node] > 0) this.value(node);
    }
    this.terminate(index, block);
    return true;
  }

  private value(node: number): void {
    const { op, x, y, z, immediate, slots, wide } = this.region;
    const code = op[node];
    if (code === Op.i32Const || code === Op.i64Const || code === Op.regionBase) return;
    if (code >= Op.getStateI32 && code <= Op.getStateV128) {
      const slot = immediate[node];
      this.place[node] = slots[slot].offset;
      this.residents[slot].push(node);
      this.occupied.push(slot);
      return;
    }
    if (code >= Op.helperResultI32 && code <= Op.helperResultF64) return;
    const to = this.cell(CELL_SIZE[code]);
    if (code === Op.v128Const) {
      const record = this.record(Handler.constant128);
      this.field(record, RecordField.result, to);
      this.bytes.set(wide.subarray(immediate[node], immediate[node] + VECTOR_BYTES), record + RecordField.c);
    } else if (code === Op.i8x16Shuffle) {
      const a = this.operand(x[node]);
      const b = this.operand(y[node]);
      const record = this.record(Handler.shuffle);
      this.field(record, RecordField.result, to);
      this.field(record, RecordField.a, a);
      this.field(record, RecordField.b, b);
      this.bytes.set(wide.subarray(immediate[node], immediate[node] + VECTOR_BYTES), record + RecordField.c);
    } else if (EXTRACT[code] !== undefined) {
      const [handler, bytes] = EXTRACT[code];
      this.copy(handler, to, this.operand(x[node]) + bytes * immediate[node]);
    } else if (REPLACE[code] !== undefined) {
      const [handler, bytes] = REPLACE[code];
      this.copy(Handler.copy128, to, this.operand(x[node]));
      this.copy(handler, to + bytes * immediate[node], this.operand(y[node]));
    } else if (code === Op.i64Add && op[x[node]] === Op.regionBase && this.isShort(y[node])) {
      this.address(to, immediate[y[node]]);
    } else {
      this.operation(code, to, x[node], y[node], z[node]);
    }
    this.place[node] = to;
  }

  private operation(code: number, to: number, x: number, y: number, z: number): void {
    const arity = ARITY[code];
    const a = this.operand(x);
    if (arity === 2 && constantHandler[code] >= 0 && this.isShort(y)) {
      const record = this.record(constantHandler[code]);
      this.field(record, RecordField.result, to);
      this.field(record, RecordField.a, a);
      this.word(record, RecordField.c, this.region.immediate[y]);
      this.uses[y]--;
      return;
    }
    const b = arity > 1 ? this.operand(y) : 0;
    const c = arity > 2 ? this.operand(z) : 0;
    const record = this.record(plainHandler[code]);
    this.field(record, RecordField.result, to);
    this.field(record, RecordField.a, a);
    if (arity > 1) this.field(record, RecordField.b, b);
    if (arity > 2) this.word(record, RecordField.c, c);
  }

  private address(to: number, distance: number): void {
    const record = this.record(Handler.address);
    this.field(record, RecordField.result, to);
    this.word(record, RecordField.c, distance);
  }

  private copy(handler: number, to: number, from: number): void {
    const record = this.record(handler);
    this.field(record, RecordField.result, to);
    this.field(record, RecordField.a, from);
  }

  // State.

  private set(node: number): void {
    if (this.dead[node] !== 0) return;
    const { immediate, x, slots } = this.region;
    const slot = immediate[node];
    const value = x[node];
    const { offset } = slots[slot];
    this.release(slot, value);
    // The slot's own value put back.
    if (this.place[value] === offset) {
      this.uses[value]--;
      return;
    }
    if (this.place[value] === NOWHERE) {
      this.uses[value]--;
      if (this.region.op[value] === Op.regionBase) this.address(offset, 0);
      else this.constant(value, offset);
    } else {
      this.copySlot(slot, offset, this.operand(value));
    }
  }

  private copySlot(slot: number, to: number, from: number): void {
    const { type } = this.region.slots[slot];
    this.copy(type === "i32" ? Handler.copy32 : type === "v128" ? Handler.copy128 : Handler.copy64, to, from);
  }

  /** Moves values that are in the slot and still needed to cells: the slot is about to change, unless to `but` itself. */
  private release(slot: number, but: number): void {
    const list = this.residents[slot];
    if (list.length === 0) return;
    const { offset } = this.region.slots[slot];
    if (this.place[but] === offset) return;
    for (const node of list) {
      if (this.uses[node] === 0) continue;
      const cell = this.cell(CELL_SIZE[this.region.op[node]]);
      this.copySlot(slot, cell, offset);
      this.place[node] = cell;
    }
    list.length = 0;
  }

  private releaseFor(set: StateSet): void {
    if (set === "none") return;
    if (set === "all") for (let slot = 0; slot < this.region.slots.length; slot++) this.release(slot, NOWHERE);
    else for (const slot of set) this.release(slot, NOWHERE);
  }

  // Effects.

  private access(node: number, offset: number): void {
    const { op, x, y, immediate } = this.region;
    const { handler, constant, size } = ACCESSES[op[node]];
    const info = (offset << 8) | size;
    const address = this.operand(x[node]);
    if (op[node] < Op.store8) {
      const to = this.cell(CELL_SIZE[op[node]]);
      const record = this.record(handler + this.narrow);
      this.field(record, RecordField.result, to);
      this.field(record, RecordField.a, address);
      this.word(record, RecordField.c, info);
      this.place[node] = to;
      return;
    }
    if (constant >= 0 && this.isShort(y[node])) {
      const record = this.record(constant + this.narrow);
      this.field(record, RecordField.a, address);
      this.word(record, RecordField.c, info);
      this.word(record, RecordField.c + 4, immediate[y[node]]);
      this.uses[y[node]]--;
      return;
    }
    const value = this.operand(y[node]);
    const record = this.record(handler + this.narrow);
    this.field(record, RecordField.a, address);
    this.field(record, RecordField.b, value);
    this.word(record, RecordField.c, info);
  }

  private exitIf(node: number, offset: number): void {
    const { x, y, immediate } = this.region;
    const condition = this.operand(x[node]);
    const record = this.record(Handler.exitIf + this.narrow);
    this.field(record, RecordField.a, condition);
    this.word(record, RecordField.c, immediate[node]);
    this.word(record, RecordField.c + 4, y[node]);
    this.word(record, RecordField.c + 8, offset);
  }

  private guardTest(offset: number): void {
    const { c } = RecordField;
    for (const guard of this.guards) {
      const record = this.record(Handler.guardTest + this.narrow);
      this.word(record, c, guard.offset);
      this.word(record, c + 4, guard.low);
      this.word(record, c + 8, guard.high);
      this.word(record, c + 12, offset);
    }
  }

  private callHelper(node: number, offset: number): void {
    const { x, y, immediate, callArguments, helpers } = this.region;
    const { writes, exits, result } = helpers[immediate[node]];
    this.releaseFor(writes);
    const places: number[] = [];
    for (let index = 0; index < y[node]; index++) places.push(this.operand(callArguments[x[node] + index]));
    const record = this.record(Handler.helper + this.narrow);
    const bytes = (HelperField.arguments + 2 * places.length + 3) & ~3;
    this.length = record + bytes;
    if (!exits && result !== undefined) {
      const to = this.cell(VALUE_BYTES);
      this.place[node + 1] = to;
      this.field(record, HelperField.result, to);
    }
    this.field(record, HelperField.helper, immediate[node]);
    this.field(record, HelperField.count, places.length);
    this.word(record, HelperField.offset, offset);
    this.field(record, HelperField.bytes, bytes);
    places.forEach((place, index) => this.field(record, HelperField.arguments + 2 * index, place));
  }

  // Control.

  private terminate(index: number, block: Block): void {
    const { c } = RecordField;
    switch (block.terminator) {
      case Terminator.jump:
        this.edge(index, block.target);
        break;
      case Terminator.branch: {
        const condition = this.operand(block.value);
        const record = this.record(Handler.branch);
        this.field(record, RecordField.a, condition);
        this.branchEdge(index, block.target, record, c);
        this.branchEdge(index, block.next, record, c + 4);
        break;
      }
      case Terminator.jumpIndirect:
        this.field(this.operandFirst(block.value, Handler.jumpIndirect), RecordField.a, this.place[block.value]);
        break;
      case Terminator.return:
        this.field(this.operandFirst(block.value, Handler.return), RecordField.a, this.place[block.value]);
        break;
      case Terminator.call: {
        const offset = keyOffset(block.target);
        const record = this.record((leadsBack(offset) ? Handler.callBack : Handler.call) + this.narrow);
        this.word(record, c, offset);
        this.word(record, c + 4, this.link.slotFor(offset));
        this.word(record, c + 8, keyOffset(block.next));
        this.edge(index, block.next);
        break;
      }
      case Terminator.callIndirect: {
        const record = this.operandFirst(block.value, Handler.callIndirect + this.narrow);
        this.field(record, RecordField.a, this.place[block.value]);
        this.word(record, c, keyOffset(block.next));
        this.edge(index, block.next);
        break;
      }
      case Terminator.service: {
        const record = this.record(Handler.service + this.narrow);
        this.word(record, c, block.target);
        this.word(record, c + 4, keyOffset(block.next));
        this.edge(index, block.next);
        break;
      }
      case Terminator.exit: {
        const record = this.record(Handler.exit + this.narrow);
        this.word(record, c, block.target);
        this.word(record, c + 4, block.payload);
        this.word(record, c + 8, keyOffset(block.next));
        break;
      }
      default:
        throw new Error(`block ${block.key} does not end`);
    }
  }

  /** A record behind whatever puts `node` somewhere. */
  private operandFirst(node: number, handler: number): number {
    this.operand(node);
    return this.record(handler);
  }

  /** Fills in the distance from `record` to where the edge leads: the block, or records made here that go there. */
  private branchEdge(from: number, key: number, record: number, field: number): void {
    const to = blockOfKey(this.region, key);
    if (to > from) {
      this.fixups.push(record + field, record, to);
      return;
    }
    this.word(record, field, this.length - record);
    this.edge(from, key);
  }

  private edge(from: number, key: number): void {
    const { c } = RecordField;
    const to = blockOfKey(this.region, key);
    const offset = keyOffset(key);
    if (to < 0) {
      const record = this.record((leadsBack(offset) ? Handler.transferBack : Handler.transfer) + this.narrow);
      this.word(record, c, offset);
      this.word(record, c + 4, this.link.slotFor(offset));
    } else if (to > from) {
      if (to === from + 1) return;
      const record = this.record(Handler.jump);
      this.fixups.push(record + c, record, to);
    } else {
      const whole = key % 4 === 0;
      const record = this.record((whole ? Handler.loop : Handler.loopUncounted) + this.narrow);
      this.word(record, c, this.starts[to] - record);
      this.word(record, c + 4, offset);
      this.word(record, c + 8, whole ? this.link.slotFor(offset) : 0);
      this.word(record, c + 12, this.count);
    }
  }
}
