/**
 * Assembles a region of IR into threaded code (see `record.ts`), in one pass over its nodes behind one that counts uses.
 *
 * A value that a block reads from a state slot stays where it is until the slot gets another value; whoever still needs
 * it then has it moved to a cell first. Pure values are worked out when they are first needed: in the slot that is to
 * have them, or within the record that uses them where a handler does that (constants, displacements, conditions).
 */
import { Op } from "../ir/op.ts";
import { operations } from "../ir/operations.ts";
import { offsetOfEntry } from "../port-entry-code.ts";
import { type Block, keyOffset, type RegionBuilder, type StateSet, Terminator } from "../ir/region.ts";
import type { GuardMask } from "../emit/region-emitter.ts";
import { leadsBack, type LinkTarget } from "../emit/region-frame.ts";
import {
  branchConstantHandler,
  branchHandler,
  constantHandler,
  Handler,
  plainHandler,
  recordBytes,
} from "./handlers.ts";
import {
  ACCESSES,
  ARITY,
  CELL_SIZE,
  EXTRACT,
  HAS_EFFECT,
  IS_EXTENDED,
  MAY_FAULT,
  REPLACE,
  VALUE_BYTES,
  VECTOR_BYTES,
} from "./operation-traits.ts";
import { AccessField, CELL_BYTES, EntryField, HelperField, RecordField, UNIT_HEADER, UnitField } from "./record.ts";
import { clear } from "../clear.ts";

const CAPACITY = 1 << 16;
/** No record is longer. */
const LONGEST_RECORD = 64;
const NOWHERE = -1;
const NO_SLOT = -1;

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
  /** By node: how often it is used yet, where its value is, and the slot that is in, or `NO_SLOT`. */
  private uses: Uint16Array = new Uint16Array(4096);
  private place: Int32Array = new Int32Array(4096);
  private home: Int8Array = new Int8Array(4096);
  /** By node that sets a slot: not zero when nobody can see it. */
  private dead: Uint8Array = new Uint8Array(4096);
  /** Nodes whose value is in a slot, by slot. */
  private readonly residents: number[][] = [];
  private readonly occupied: number[] = [];
  /** By block: where its first record is. Distances to blocks that are not assembled yet: place, record, block. */
  private readonly starts: number[] = [];
  private readonly fixups: number[] = [];
  /** The record made last in this block, or -1. */
  private last = -1;
  /** The node that is added to an address within its record, or `NOWHERE`. */
  private displacement = NOWHERE;
  /** Records or cells did not suffice. */
  private full = false;

  /** @param cells offset of the cells from the context pointer */
  constructor(cells: number) {
    this.cells = cells;
  }

  /** Pairs: guest offset of a block that can be entered, and where in the unit its entry is. The first is the region's. */
  readonly entries: number[] = [];
  /** Pairs: the place in the unit of a word that names a link slot, and the guest offset where that leads. */
  readonly relocations: number[] = [];
  /** Pairs: the place in the unit of a word that a field of the guest's code holds, and the field's guest offset. */
  readonly fields: number[] = [];

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
    this.full = false;
    clear(this.entries);
    clear(this.relocations);
    clear(this.fields);
    clear(this.starts);
    clear(this.fixups);
    for (let index = 0; index < region.blocks.length; index++) this.block(index);
    for (let index = 0; index < region.blocks.length; index++) this.entry(index);
    if (this.full) return false;
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
      this.home = new Int8Array(region.op.length);
      this.dead = new Uint8Array(region.op.length);
    }
    this.uses.fill(0, 0, region.nodeCount);
    this.place.fill(NOWHERE, 0, region.nodeCount);
    this.home.fill(NO_SLOT, 0, region.nodeCount);
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

  private entry(block: number): void {
    const { blocks } = this.region;
    const offset = offsetOfEntry(blocks[block].key, blocks[0].key);
    if (offset === undefined) return;
    const record = this.record(Handler.entry + this.narrow);
    this.word(record, EntryField.offset, offset);
    this.fixups.push(record + EntryField.block, record, block);
    this.word(record, EntryField.count, this.count);
    this.entries.push(offset, record);
  }

  // Records.

  /** Begins a record; its fields are zero unless set. */
  private record(handler: number): number {
    if (this.length + LONGEST_RECORD > CAPACITY) {
      this.full = true;
      this.length = UNIT_HEADER;
    }
    const at = this.length;
    this.last = at;
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

  /** The low half of a constant, or 0 for `NOWHERE`. */
  private constantWord(record: number, offset: number, node: number): void {
    const { region } = this;
    if (node !== NOWHERE && region.isField(node)) this.fields.push(record + offset, region.z[node]);
    this.word(record, offset, node === NOWHERE ? 0 : region.immediate[node]);
  }

  private slotWord(record: number, offset: number, target: number): void {
    this.relocations.push(record + offset, target);
    this.word(record, offset, this.link.slotFor(target));
  }

  private cell(bytes: number): number {
    if (this.nextCell + bytes > CELL_BYTES) {
      this.full = true;
      this.nextCell = 0;
    }
    const at = this.nextCell;
    this.nextCell += bytes;
    return this.cells + at;
  }

  // Values.

  /** Where the value is that a node needs of another, once more. */
  private operand(node: number): number {
    const place = this.at(node);
    this.uses[node]--;
    return place;
  }

  /** Where the value is, which is worked out here if it is nowhere yet. */
  private at(node: number): number {
    if (this.place[node] === NOWHERE) this.evaluate(node, NO_SLOT);
    return this.place[node];
  }

  /** A use that needs no value; if it was the last, what it would be made of is not needed either. */
  private drop(node: number): void {
    if (--this.uses[node] > 0 || this.place[node] !== NOWHERE) return;
    const { op, x, y, z } = this.region;
    const arity = ARITY[op[node]];
    if (arity > 0) this.drop(x[node]);
    if (arity > 1) this.drop(y[node]);
    if (arity > 2) this.drop(z[node]);
  }

  /** The node's value is in a slot, or, if that is `NO_SLOT`, in a cell. */
  private settle(node: number, place: number, slot: number): void {
    this.place[node] = place;
    this.home[node] = slot;
    if (slot === NO_SLOT) return;
    this.residents[slot].push(node);
    this.occupied.push(slot);
  }

  /** Where a value goes whose operands are known: to the slot, whose old value is saved if need be, or to a cell. */
  private destination(node: number, slot: number): number {
    if (slot === NO_SLOT) return this.cell(CELL_SIZE[this.region.op[node]]);
    this.release(slot);
    return this.region.slots[slot].offset;
  }

  /** Works out a pure value, in the slot if that is not `NO_SLOT`. */
  private evaluate(node: number, slot: number): void {
    const { op, x, y, immediate, wide } = this.region;
    const code = op[node];
    if (this.isPart(node)) {
      const whole = x[node];
      if (slot !== NO_SLOT && this.place[whole] === NOWHERE) this.evaluate(whole, slot);
      this.settle(node, this.operand(whole), this.home[whole]);
      return;
    }
    let to: number;
    if (code === Op.i32Const || code === Op.i64Const) {
      to = this.destination(node, slot);
      this.constant(node, to);
    } else if (code === Op.regionBase) {
      to = this.destination(node, slot);
      this.address(to, NOWHERE);
    } else if (code === Op.v128Const) {
      to = this.destination(node, slot);
      const record = this.record(Handler.constant128);
      this.field(record, RecordField.result, to);
      this.bytes.set(wide.subarray(immediate[node], immediate[node] + VECTOR_BYTES), record + RecordField.c);
    } else if (code === Op.i8x16Shuffle) {
      const a = this.operand(x[node]);
      const b = this.operand(y[node]);
      to = this.destination(node, slot);
      const record = this.record(Handler.shuffle);
      this.field(record, RecordField.result, to);
      this.field(record, RecordField.a, a);
      this.field(record, RecordField.b, b);
      this.bytes.set(wide.subarray(immediate[node], immediate[node] + VECTOR_BYTES), record + RecordField.c);
    } else if (EXTRACT[code] !== undefined) {
      const [handler, bytes] = EXTRACT[code];
      const from = this.operand(x[node]) + bytes * immediate[node];
      to = this.destination(node, slot);
      this.copy(handler, to, from);
    } else if (REPLACE[code] !== undefined) {
      const [handler, bytes] = REPLACE[code];
      const vector = this.operand(x[node]);
      const lane = this.operand(y[node]);
      to = this.destination(node, slot);
      this.copy(Handler.copy128, to, vector);
      this.copy(handler, to + bytes * immediate[node], lane);
    } else if (code === Op.i64Add && op[x[node]] === Op.regionBase && this.region.isShort(y[node])) {
      this.drop(x[node]);
      this.drop(y[node]);
      to = this.destination(node, slot);
      this.address(to, y[node]);
    } else {
      to = this.operation(node, slot);
    }
    this.settle(node, to, slot);
  }

  /** Whether the value is where that of its operand is: its low half, or the whole of what is zero above. */
  private isPart(node: number): boolean {
    const { op, x } = this.region;
    return op[node] === Op.i32WrapI64 || (op[node] === Op.i64ExtendI32U && IS_EXTENDED[op[x[node]]] === 1);
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
    this.constantWord(record, RecordField.c, node);
    if (!short) this.word(record, RecordField.c + 4, x[node]);
  }

  // Blocks.

  private block(index: number): void {
    const block = this.region.blocks[index];
    const { op, immediate } = this.region;
    for (const slot of this.occupied) clear(this.residents[slot]);
    clear(this.occupied);
    this.nextCell = 0;
    this.last = -1;
    this.starts.push(this.length);
    let offset = keyOffset(block.key);
    for (let node = block.firstNode; node < block.endNode; node++) {
      const code = op[node];
      if (code === Op.instruction) offset = immediate[node];
      else if (code === Op.setState) this.set(node);
      else if (code >= Op.load8U && code <= Op.storeV128) this.access(node, offset);
      else if (code === Op.exitIf) this.exitIf(node, offset);
      else if (code === Op.callHelper) this.callHelper(node, offset);
      else if (code === Op.guardTest) this.guardTest(offset);
      else if (code >= Op.getStateI32 && code <= Op.getStateV128 && this.uses[node] > 0) {
        const slot = immediate[node];
        this.settle(node, this.region.slots[slot].offset, slot);
      }
    }
    this.terminate(index, block);
  }

  /** The record of an operation; returns where the result goes. */
  private operation(node: number, slot: number): number {
    const { op, x, y, z } = this.region;
    const code = op[node];
    const arity = ARITY[code];
    const a = this.operand(x[node]);
    const isShort = arity === 2 && constantHandler[code] >= 0 && this.region.isShort(y[node]);
    if (isShort) this.drop(y[node]);
    const b = arity > 1 && !isShort ? this.operand(y[node]) : 0;
    const c = arity > 2 ? this.operand(z[node]) : 0;
    const to = this.destination(node, slot);
    const record = this.record(isShort ? constantHandler[code] : plainHandler[code]);
    this.field(record, RecordField.result, to);
    this.field(record, RecordField.a, a);
    if (isShort) this.constantWord(record, RecordField.c, y[node]);
    else if (arity > 1) this.field(record, RecordField.b, b);
    if (arity > 2) this.word(record, RecordField.c, c);
    return to;
  }

  /** The region's base, plus a constant if `distance` is not `NOWHERE`. */
  private address(to: number, distance: number): void {
    const record = this.record(Handler.address);
    this.field(record, RecordField.result, to);
    this.constantWord(record, RecordField.c, distance);
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
    if (this.place[value] === NOWHERE && this.fills(value, slot)) this.evaluate(value, slot);
    if (this.place[value] === NOWHERE) this.evaluate(value, NO_SLOT);
    const isThere = this.place[value] === offset || this.retarget(value, slot);
    this.uses[value]--;
    if (isThere) return;
    this.release(slot);
    this.copySlot(slot, offset, this.place[value]);
  }

  /** Whether one record can put the value, which is nowhere yet, into the slot. */
  private fills(value: number, slot: number): boolean {
    const { op, slots } = this.region;
    const code = op[value];
    if (REPLACE[code] !== undefined) return false;
    if (this.isPart(value)) return code === Op.i64ExtendI32U;
    // An i32 comes with four zero bytes, but for which there is room in a wider slot only.
    return IS_EXTENDED[code] === 0 || slots[slot].type !== "i32";
  }

  /** Has the record just made, a load, put its value into the slot instead of a cell. */
  private retarget(value: number, slot: number): boolean {
    const { op, x, slots } = this.region;
    const load = this.isPart(value) ? x[value] : value;
    const { last } = this;
    if (last < 0 || op[load] < Op.load8U || op[load] > Op.loadV128Zero64 || this.home[load] !== NO_SLOT) return false;
    if (this.place[load] !== this.halves[(last + RecordField.result) >> 1] || !this.isLoad(last)) return false;
    if (IS_EXTENDED[op[load]] === 1 && (load === value || op[value] !== Op.i64ExtendI32U)) return false;
    for (const resident of this.residents[slot]) if (this.uses[resident] > 0) return false;
    this.release(slot);
    const { offset } = slots[slot];
    this.field(last, RecordField.result, offset);
    this.settle(load, offset, slot);
    if (load !== value) this.settle(value, offset, slot);
    return true;
  }

  private isLoad(record: number): boolean {
    const handler = this.halves[record >> 1];
    return handler >= Handler.load8U && handler < Handler.store8;
  }

  private copySlot(slot: number, to: number, from: number): void {
    const { type } = this.region.slots[slot];
    this.copy(type === "i32" ? Handler.copy32 : type === "v128" ? Handler.copy128 : Handler.copy64, to, from);
  }

  /** Moves values that are in the slot and still needed to cells: the slot is about to change. */
  private release(slot: number): void {
    const list = this.residents[slot];
    if (list.length === 0) return;
    const { offset, type } = this.region.slots[slot];
    let cell = NOWHERE;
    for (const node of list) {
      this.home[node] = NO_SLOT;
      if (this.uses[node] === 0) continue;
      if (cell === NOWHERE) {
        cell = this.cell(type === "v128" ? VECTOR_BYTES : VALUE_BYTES);
        this.copySlot(slot, cell, offset);
      }
      this.place[node] = cell;
    }
    clear(list);
  }

  private releaseFor(set: StateSet): void {
    if (set === "none") return;
    if (set === "all") for (let slot = 0; slot < this.region.slots.length; slot++) this.release(slot);
    else for (const slot of set) this.release(slot);
  }

  // Effects.

  private access(node: number, offset: number): void {
    const { op, x, y } = this.region;
    const { handler, constant, size } = ACCESSES[op[node]];
    const info = (offset << 8) | size;
    const address = this.addressOperand(x[node]);
    const { displacement } = this;
    if (op[node] < Op.store8) {
      const to = this.cell(CELL_SIZE[op[node]]);
      this.accessRecord(handler, address, info, displacement);
      this.field(this.last, RecordField.result, to);
      this.settle(node, to, NO_SLOT);
    } else if (constant >= 0 && this.region.isShort(y[node])) {
      this.drop(y[node]);
      this.accessRecord(constant, address, info, displacement);
      this.constantWord(this.last, AccessField.value, y[node]);
    } else {
      const value = this.operand(y[node]);
      this.accessRecord(handler, address, info, displacement);
      this.field(this.last, RecordField.b, value);
    }
  }

  private accessRecord(handler: number, address: number, info: number, displacement: number): void {
    const record = this.record(handler + this.narrow);
    this.field(record, RecordField.a, address);
    this.word(record, AccessField.info, info);
    this.constantWord(record, AccessField.displacement, displacement);
  }

  /** Where an address is but for `displacement`. */
  private addressOperand(node: number): number {
    const { op, x, y } = this.region;
    this.displacement = NOWHERE;
    if (this.place[node] !== NOWHERE || op[node] !== Op.i64Add) return this.operand(node);
    if (op[x[node]] === Op.regionBase || !this.region.isShort(y[node])) return this.operand(node);
    const base = this.at(x[node]);
    this.displacement = y[node];
    this.drop(node);
    return base;
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
      case Terminator.branch:
        this.branch(index, block);
        break;
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
        this.slotWord(record, c + 4, offset);
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

  /** A branch, and the comparison it goes by if nobody else needs that. */
  private branch(index: number, { value, target, next }: Block): void {
    const { c } = RecordField;
    const { op, x, y } = this.region;
    let condition = value;
    let [taken, other] = [target, next];
    const isOwn = (): boolean => this.place[condition] === NOWHERE && this.uses[condition] === 1;
    while (op[condition] === Op.i32Eqz && isOwn()) {
      condition = x[condition];
      [taken, other] = [other, taken];
    }
    const code = op[condition];
    let record: number;
    if (branchHandler[code] < 0 || !isOwn()) {
      record = this.operandFirst(condition, Handler.branch);
      this.field(record, RecordField.a, this.place[condition]);
    } else {
      const a = this.operand(x[condition]);
      const isShort = branchConstantHandler[code] >= 0 && this.region.isShort(y[condition]);
      const b = ARITY[code] > 1 && !isShort ? this.operand(y[condition]) : 0;
      record = this.record(isShort ? branchConstantHandler[code] : branchHandler[code]);
      this.field(record, RecordField.a, a);
      if (isShort) this.constantWord(record, c + 8, y[condition]);
      else this.field(record, RecordField.b, b);
    }
    this.branchEdge(index, taken, record, c);
    this.branchEdge(index, other, record, c + 4);
  }

  /** A record behind whatever puts `node` somewhere. */
  private operandFirst(node: number, handler: number): number {
    this.operand(node);
    return this.record(handler);
  }

  /** Fills in the distance from `record` to where the edge leads: the block, or records made here that go there. */
  private branchEdge(from: number, key: number, record: number, field: number): void {
    const to = this.region.blockOfKey(key);
    if (to > from) {
      this.fixups.push(record + field, record, to);
      return;
    }
    this.word(record, field, this.length - record);
    this.edge(from, key);
  }

  private edge(from: number, key: number): void {
    const { c } = RecordField;
    const to = this.region.blockOfKey(key);
    const offset = keyOffset(key);
    if (to < 0) {
      const record = this.record((leadsBack(offset) ? Handler.transferBack : Handler.transfer) + this.narrow);
      this.word(record, c, offset);
      this.slotWord(record, c + 4, offset);
    } else if (to > from) {
      if (to === from + 1) return;
      const record = this.record(Handler.jump);
      this.fixups.push(record + c, record, to);
    } else {
      const whole = key % 4 === 0;
      const record = this.record((whole ? Handler.loop : Handler.loopUncounted) + this.narrow);
      this.word(record, c, this.starts[to] - record);
      this.word(record, c + 4, offset);
      if (whole) this.slotWord(record, c + 8, offset);
      else this.word(record, c + 8, 0);
      this.word(record, c + 12, this.count);
    }
  }
}
