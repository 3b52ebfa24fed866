/**
 * A region under construction: straight-line blocks of IR nodes, each ended by a terminator.
 *
 * Nodes live in parallel typed arrays and are named by index; a builder is reused for region after region, so
 * translating allocates nothing per instruction. Values never cross a block: what does is a *state slot* (a guest
 * register or a part of the flags record), read with `get` and written with `set`.
 *
 * The rule that gives precise faults: a guest instruction's `set`s take effect at its end. Until then only its own
 * `get`s see them, so whatever faults in the middle leaves the state of the instruction's start.
 */
import { Op } from "./op.ts";
import { operations, type ValueType } from "./operations.ts";
import { clear } from "../clear.ts";

/** A piece of guest state that regions keep in a wasm local: `offset` bytes into the context block. */
export interface StateSlot {
  readonly name: string;
  readonly offset: number;
  readonly type: "i32" | "i64" | "f64" | "v128";
  /** The address space goes by it when an access misses the soft TLB: it has no local, and stays in the context block. */
  readonly inContext?: true;
}

/** Which state slots a helper touches in the context block: none, all of them, or those listed. */
export type StateSet = "none" | "all" | readonly number[];

/**
 * A function imported into translated code. `exits`: its i32 result says whether to leave the region (not zero: leave,
 * with the exit code and payload the helper left in the context block), and is not a value.
 */
export interface HelperDeclaration {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly result?: "i32" | "i64" | "f64";
  readonly reads: StateSet;
  readonly writes: StateSet;
  readonly exits: boolean;
}

/** How a block ends. Targets are guest offsets relative to the region's entry, refined by a part number (`key`). */
export const Terminator = {
  none: 0,
  jump: 1,
  branch: 2,
  jumpIndirect: 3,
  call: 4,
  callIndirect: 5,
  return: 6,
  /** Asks the supervisor for a service (a system call, say) and, unless it says to leave, goes on at the target. */
  service: 7,
  /** Leaves the region with an exit code. */
  exit: 8,
  /** Goes to the block of the region that is at a guest address known only at run time, or leaves when none is. */
  dispatch: 9,
} as const;

/** Between the keys of a block and of its next copy. */
const COPY_SPAN = 2 ** 46;

/**
 * A block's name: the guest offset of its first instruction and, within an instruction lifted in parts, the part. A guest
 * function that is inlined where it is called has its blocks once more, as copy 1 and on; so have rounds of a loop.
 */
export function blockKey(offset: number, part = 0, copy = 0): number {
  return copy * COPY_SPAN + offset * 4 + part;
}
/** The key of the same block in another copy. */
export function inCopy(key: number, copy: number): number {
  return key + (copy - keyCopy(key)) * COPY_SPAN;
}
export function keyOffset(key: number): number {
  return Math.floor((key - keyCopy(key) * COPY_SPAN) / 4);
}
export function keyCopy(key: number): number {
  return Math.round(key / COPY_SPAN);
}

/**
 * The block that hands out indirect jumps within a region, always its first: entered by indirect jumps whose `target` it
 * is, and from outside. So that a region with many of them, an interpreter's loop, has one loop header, not as many as
 * there are ways through it.
 */
export const DISPATCH: number = blockKey(-(2 ** 40));

/** The key of no block. */
export const NOWHERE: number = blockKey(-(2 ** 41));

/**
 * Whether a field of guest code that holds this value, sign-extended, may hold the address of something which lies elsewhere
 * the next time: in the top 2 GiB, but for the last 16 MiB, where the kernel code model has all symbols (System V ABI,
 * AMD64 supplement, 3.5.1).
 */
export function isRelocatable(value: number): boolean {
  return value < -(2 ** 24);
}

export interface Block {
  readonly key: number;
  firstNode: number;
  endNode: number;
  terminator: number;
  /** The condition, indirect target or returned-to address. */
  value: number;
  /**
   * Key of the jump's, call's or branch-taken target; exit code of an exit; service code of a service; DISPATCH for an
   * indirect jump that may stay in the region. For a return and an indirect call: the block to go to when its address is
   * the one that the value turns out to be, or NOWHERE.
   */
  target: number;
  /** Key of the branch-not-taken target, or of where a call or service goes on. */
  next: number;
  /** Guest offset of the terminating instruction, and an exit's payload. */
  offset: number;
  payload: number;
  /** Which round of an unrolled loop it belongs to, counted from 0; -1: none. */
  round: number;
}

/** Immediate of a select whose first operand is seldom wanted, so that only what works it out bears the cost. */
export const SELDOM = 1;

const NO_NODE = -1;

/** How many of an operation's `x`, `y` and `z` are nodes. */
const OPERAND_NODES: Uint8Array = Uint8Array.from(operations, ({ name, operands }) =>
  name === "setState" || name.startsWith("helperResult") ? 1 : operands.length,
);

export class RegionBuilder {
  op: Uint16Array = new Uint16Array(4096);
  /** Operand nodes; for constants `x` is the high half. For those of a field (`field`) `z` says where it is, and `y` is 0. */
  x: Int32Array = new Int32Array(4096);
  y: Int32Array = new Int32Array(4096);
  z: Int32Array = new Int32Array(4096);
  /** Constant (low half), lane, state slot, helper, exit code or guest offset. */
  immediate: Int32Array = new Int32Array(4096);
  nodeCount = 0;
  /** Sixteen-byte immediates: vector constants and shuffles. */
  wide: Uint8Array = new Uint8Array(1024);
  wideLength = 0;
  /** Arguments of helper calls. */
  callArguments: number[] = [];
  blocks: Block[] = [];
  /** Guest offsets of fields whose value decided what the region looks like. */
  readonly decisive: number[] = [];
  /** Keys of the blocks that the dispatch block knows. */
  readonly dispatchTargets: number[] = [];
  readonly slots: readonly StateSlot[];
  readonly helpers: readonly HelperDeclaration[];

  /** Guest offset and length of the current instruction. */
  instructionOffset = 0;
  instructionLength = 0;
  /** Guest instructions lifted into this region. */
  instructionCount = 0;

  private readonly getOperation: Uint16Array;
  private readonly current: Int32Array;
  private readonly pendingSlot: Int32Array = new Int32Array(64);
  private readonly pendingValue: Int32Array = new Int32Array(64);
  private pendingCount = 0;
  private block: Block | undefined;

  constructor(slots: readonly StateSlot[], helpers: readonly HelperDeclaration[]) {
    this.slots = slots;
    this.helpers = helpers;
    this.current = new Int32Array(slots.length).fill(NO_NODE);
    const byType = { i32: Op.getStateI32, i64: Op.getStateI64, f64: Op.getStateF64, v128: Op.getStateV128 };
    this.getOperation = Uint16Array.from(slots, (slot) => byType[slot.type]);
  }

  reset(): void {
    this.nodeCount = 0;
    this.wideLength = 0;
    clear(this.callArguments);
    clear(this.blocks);
    clear(this.dispatchTargets);
    clear(this.decisive);
    this.block = undefined;
    this.instructionCount = 0;
  }

  // Blocks and instructions.

  beginBlock(key: number): void {
    this.current.fill(NO_NODE);
    this.pendingCount = 0;
    this.block = {
      key,
      firstNode: this.nodeCount,
      endNode: this.nodeCount,
      terminator: Terminator.none,
      value: NO_NODE,
      target: 0,
      next: 0,
      offset: keyOffset(key),
      payload: 0,
      round: -1,
    };
    this.blocks.push(this.block);
  }

  beginInstruction(offset: number, length: number): void {
    this.instructionOffset = offset;
    this.instructionLength = length;
    this.instructionCount++;
    this.push(Op.instruction, NO_NODE, NO_NODE, NO_NODE, offset);
  }

  /** Makes the instruction's register writes take effect. A terminator does so by itself. */
  endInstruction(): void {
    for (let index = 0; index < this.pendingCount; index++) {
      this.push(Op.setState, this.pendingValue[index], NO_NODE, NO_NODE, this.pendingSlot[index]);
    }
    this.pendingCount = 0;
  }

  /** Whether the current block has been ended by a terminator. */
  get ended(): boolean {
    return this.block === undefined || this.block.terminator !== Terminator.none;
  }

  /** Guest offset just behind the current instruction. */
  get nextOffset(): number {
    return this.instructionOffset + this.instructionLength;
  }

  // Terminators. Targets within an inlined function are named as in the function itself.

  jump(target: number): void {
    this.end(Terminator.jump, NO_NODE, target, 0, 0);
  }
  branch(condition: number, taken: number, notTaken: number): void {
    this.end(Terminator.branch, condition, taken, notTaken, 0);
  }
  /** `dispatched`: the target may well be one that the region's dispatch block knows. */
  jumpIndirect(address: number, dispatched = false): void {
    this.end(Terminator.jumpIndirect, address, dispatched ? DISPATCH : 0, 0, 0);
  }
  /** Makes the region's first block one that dispatches to these keys; the first is where the region is entered. */
  dispatch(targets: readonly number[]): void {
    this.beginBlock(DISPATCH);
    this.dispatchTargets.push(...targets);
    this.end(Terminator.dispatch, NO_NODE, 0, 0, 0);
  }
  /** A guest call: the pushed return address (guest offset `next`) is where a matching `return` comes back to. */
  call(target: number, next: number): void {
    this.end(Terminator.call, NO_NODE, target, next, 0);
  }
  callIndirect(address: number, next: number): void {
    this.end(Terminator.callIndirect, address, NOWHERE, next, 0);
  }
  return(address: number): void {
    this.end(Terminator.return, address, NOWHERE, 0, 0);
  }
  service(code: number, next: number): void {
    this.end(Terminator.service, NO_NODE, code, next, 0);
  }
  /** Leaves with `code`; the guest's instruction pointer is `resume` (a key; default: the current instruction). */
  exit(code: number, payload = 0, resume: number = blockKey(this.instructionOffset)): void {
    this.end(Terminator.exit, NO_NODE, code, resume, payload);
  }

  private end(kind: number, value: number, target: number, next: number, payload: number): void {
    this.endInstruction();
    const block = this.block;
    if (block === undefined || block.terminator !== Terminator.none) throw new Error("the block has ended already");
    const copy = keyCopy(block.key) * COPY_SPAN;
    block.terminator = kind;
    block.value = value;
    block.target = kind === Terminator.jump || kind === Terminator.branch ? target + copy : target;
    block.next = kind === Terminator.exit ? next : next + copy;
    block.payload = payload;
    block.offset = this.instructionOffset;
    block.endNode = this.nodeCount;
  }

  // State.

  get(slot: number): number {
    const known = this.current[slot];
    if (known !== NO_NODE) return known;
    const node = this.push(this.getOperation[slot], NO_NODE, NO_NODE, NO_NODE, slot);
    this.current[slot] = node;
    return node;
  }

  set(slot: number, value: number): void {
    this.current[slot] = value;
    for (let index = 0; index < this.pendingCount; index++) {
      if (this.pendingSlot[index] === slot) {
        this.pendingValue[index] = value;
        return;
      }
    }
    if (this.pendingCount === this.pendingSlot.length) throw new Error("an instruction sets too many state slots");
    this.pendingSlot[this.pendingCount] = slot;
    this.pendingValue[this.pendingCount++] = value;
  }

  /** The same block once more, by another key; it leads where the block leads. */
  copyBlock(block: Block, key: number): Block {
    const shift = this.nodeCount - block.firstNode;
    for (let node = block.firstNode; node < block.endNode; node++) {
      const op = this.op[node];
      const operands = OPERAND_NODES[op];
      let x = this.x[node];
      if (op === Op.callHelper) {
        const { callArguments } = this;
        const first = callArguments.length;
        for (let index = 0; index < this.y[node]; index++) callArguments.push(callArguments[x + index] + shift);
        x = first;
      } else if (operands > 0) {
        x += shift;
      }
      const y = operands > 1 ? this.y[node] + shift : this.y[node];
      const z = operands > 2 ? this.z[node] + shift : this.z[node];
      this.push(op, x, y, z, this.immediate[node]);
    }
    const value = block.value === NO_NODE ? NO_NODE : block.value + shift;
    const copy = { ...block, key, value, firstNode: block.firstNode + shift, endNode: this.nodeCount };
    this.blocks.push(copy);
    return copy;
  }

  // Values.

  i32(value: number): number {
    return this.push(Op.i32Const, NO_NODE, NO_NODE, NO_NODE, value | 0);
  }
  /** A 64-bit constant from its halves; one argument is sign-extended. */
  i64(low: number, high: number = low >> 31): number {
    return this.push(Op.i64Const, high | 0, NO_NODE, NO_NODE, low | 0);
  }
  /**
   * The 32-bit field of the code at a guest offset, sign-extended. Where the value may be an address, the region is the same for
   * others of its kind (`isRelocatable`), but for the constant itself: who makes anything of the value calls `decideBy`.
   */
  field(value: number, offset: number): number {
    if (!isRelocatable(value)) return this.i64(value);
    return this.push(Op.i64Const, -1, 0, offset, value);
  }
  /** Whether a node is a constant of a field, which is at `z`. */
  isField(node: number): boolean {
    return this.op[node] === Op.i64Const && this.y[node] === 0;
  }
  /** Something is decided by the value of this constant. */
  decideBy(node: number): void {
    if (this.isField(node)) this.decisive.push(this.z[node]);
  }
  v128(bytes: ArrayLike<number>): number {
    return this.push(Op.v128Const, NO_NODE, NO_NODE, NO_NODE, this.addWide(bytes));
  }
  /** The guest-virtual address of a guest offset in this region. */
  address(offset: number): number {
    const base = this.push(Op.regionBase, NO_NODE, NO_NODE, NO_NODE, 0);
    return this.binary(Op.i64Add, base, this.i64(offset));
  }

  unary(op: number, a: number): number {
    const folded = this.foldUnary(op, a);
    return folded === NO_NODE ? this.push(op, a, NO_NODE, NO_NODE, 0) : folded;
  }
  binary(op: number, a: number, b: number): number {
    const folded = this.foldBinary(op, a, b);
    return folded === NO_NODE ? this.push(op, a, b, NO_NODE, 0) : folded;
  }
  ternary(op: number, a: number, b: number, c: number): number {
    return this.push(op, a, b, c, 0);
  }
  /** `condition ? a : b`, for the type of `a`; `likelihood`: `SELDOM` when `a` is. */
  select(a: number, b: number, condition: number, likelihood = 0): number {
    const constant = this.constantI32(condition);
    if (constant !== undefined) return constant !== 0 ? a : b;
    const type = this.typeOf(a);
    const op =
      type === "i32"
        ? Op.select32
        : type === "i64"
          ? Op.select64
          : type === "f32"
            ? Op.selectF32
            : type === "f64"
              ? Op.selectF64
              : Op.selectV128;
    return this.push(op, a, b, condition, likelihood);
  }
  extractLane(op: number, vector: number, lane: number): number {
    return this.push(op, vector, NO_NODE, NO_NODE, lane);
  }
  replaceLane(op: number, vector: number, scalar: number, lane: number): number {
    return this.push(op, vector, scalar, NO_NODE, lane);
  }
  /** Lanes 0..15 take bytes of `a`, 16..31 bytes of `b`. */
  shuffle(a: number, b: number, lanes: ArrayLike<number>): number {
    return this.push(Op.i8x16Shuffle, a, b, NO_NODE, this.addWide(lanes));
  }

  // Effects.

  /** `op` is one of Op.load*; `address` an i64 guest-virtual address. */
  load(op: number, address: number): number {
    return this.push(op, address, NO_NODE, NO_NODE, 0);
  }
  /** `op` is one of Op.store*. */
  store(op: number, address: number, value: number): void {
    this.push(op, address, value, NO_NODE, 0);
  }
  /** Leaves the region, state as of the instruction's start, when `condition` is not zero. */
  exitIf(condition: number, code: number, payload = 0): void {
    const constant = this.constantI32(condition);
    if (constant === 0) return;
    this.push(Op.exitIf, condition, payload, NO_NODE, code);
  }
  /**
   * Leaves the region, to go on at `offset` in whatever is translated from there then, unless every granule it was made
   * from still has its guard bit. Between instructions only.
   */
  guardTest(offset: number): void {
    this.push(Op.instruction, NO_NODE, NO_NODE, NO_NODE, offset);
    this.push(Op.guardTest, NO_NODE, NO_NODE, NO_NODE, 0);
  }
  /**
   * Calls a helper. The context pointer is passed first by itself. What it reads of the state is in the context block
   * as of the instruction's start (after `endInstruction` if that was called); what it writes is seen by later `get`s.
   * Returns the result's node, or -1.
   */
  callHelper(helper: number, args: readonly number[]): number {
    const declaration = this.helpers[helper];
    if (declaration === undefined) throw new Error(`no helper has index ${helper}`);
    const start = this.callArguments.length;
    for (const argument of args) this.callArguments.push(argument);
    const call = this.push(Op.callHelper, start, args.length, NO_NODE, helper);
    if (declaration.writes === "all") this.current.fill(NO_NODE);
    else if (declaration.writes !== "none") for (const slot of declaration.writes) this.current[slot] = NO_NODE;
    if (declaration.exits || declaration.result === undefined) return NO_NODE;
    const op =
      declaration.result === "i32"
        ? Op.helperResultI32
        : declaration.result === "i64"
          ? Op.helperResultI64
          : Op.helperResultF64;
    return this.push(op, call, NO_NODE, NO_NODE, 0);
  }

  // Questions.

  /** Whether a node is a constant that fits a sign-extended word of 32 bits. */
  isShort(node: number): boolean {
    return this.op[node] === Op.i32Const || (this.isConstantI64(node) && this.x[node] === this.immediate[node] >> 31);
  }
  /** The index of the block that `key` names, or -1 where an edge leaves. What goes back in the blocks' order is a loop. */
  blockOfKey(key: number): number {
    const { blocks } = this;
    for (let index = 0; index < blocks.length; index++) if (blocks[index].key === key) return index;
    return -1;
  }

  /** Whether a node from `first` on may write guest memory. */
  mayStore(first: number): boolean {
    for (let node = first; node < this.nodeCount; node++) {
      const code = this.op[node];
      if ((code >= Op.store8 && code <= Op.storeV128) || code === Op.callHelper) return true;
    }
    return false;
  }

  typeOf(node: number): ValueType {
    const type = operations[this.op[node]].result;
    if (type === undefined) throw new Error(`node ${node} (${operations[this.op[node]].name}) has no value`);
    return type;
  }
  constantI32(node: number): number | undefined {
    return this.op[node] === Op.i32Const ? this.immediate[node] : undefined;
  }
  isConstantI64(node: number): boolean {
    return this.op[node] === Op.i64Const;
  }

  // Inside.

  private push(op: number, x: number, y: number, z: number, immediate: number): number {
    const node = this.nodeCount;
    if (node === this.op.length) this.grow();
    this.op[node] = op;
    this.x[node] = x;
    this.y[node] = y;
    this.z[node] = z;
    this.immediate[node] = immediate;
    this.nodeCount = node + 1;
    return node;
  }

  private grow(): void {
    const enlarge = <T extends Int32Array | Uint16Array>(array: T, make: (length: number) => T): T => {
      const larger = make(array.length * 2);
      larger.set(array);
      return larger;
    };
    this.op = enlarge(this.op, (length) => new Uint16Array(length));
    this.x = enlarge(this.x, (length) => new Int32Array(length));
    this.y = enlarge(this.y, (length) => new Int32Array(length));
    this.z = enlarge(this.z, (length) => new Int32Array(length));
    this.immediate = enlarge(this.immediate, (length) => new Int32Array(length));
  }

  private addWide(bytes: ArrayLike<number>): number {
    if (this.wideLength + 16 > this.wide.length) {
      const larger = new Uint8Array(this.wide.length * 2);
      larger.set(this.wide);
      this.wide = larger;
    }
    const at = this.wideLength;
    for (let index = 0; index < 16; index++) this.wide[at + index] = bytes[index]!;
    this.wideLength += 16;
    return at;
  }

  private foldUnary(op: number, a: number): number {
    const inner = this.op[a];
    switch (op) {
      case Op.i32WrapI64:
        // wrap(extend(x)) == x
        if (inner === Op.i64ExtendI32U || inner === Op.i64ExtendI32S) return this.x[a];
        if (inner === Op.i64Const) {
          this.decideBy(a);
          return this.i32(this.immediate[a]);
        }
        // wrap(extend(wrap(x)) + c) == wrap(x + c)
        if (inner === Op.i64Add && this.op[this.y[a]] === Op.i64Const && this.isTruncated(this.x[a]))
          return this.unary(Op.i32WrapI64, this.binary(Op.i64Add, this.x[this.x[this.x[a]]], this.y[a]));
        return NO_NODE;
      case Op.i64ExtendI32U:
        if (inner === Op.i32Const) return this.i64(this.immediate[a], 0);
        return NO_NODE;
      case Op.i64ExtendI32S:
        if (inner === Op.i32Const) return this.i64(this.immediate[a]);
        return NO_NODE;
      case Op.i32Eqz:
        if (inner === Op.i32Const) return this.i32(this.immediate[a] === 0 ? 1 : 0);
        return NO_NODE;
      default:
        return NO_NODE;
    }
  }

  private isTruncated(node: number): boolean {
    return this.op[node] === Op.i64ExtendI32U && this.op[this.x[node]] === Op.i32WrapI64;
  }

  private foldBinary(op: number, a: number, b: number): number {
    const constantB = this.op[b];
    if (constantB === Op.i32Const) {
      const value = this.immediate[b];
      if (this.op[a] === Op.i32Const) {
        const left = this.immediate[a];
        switch (op) {
          case Op.i32Add:
            return this.i32(left + value);
          case Op.i32Sub:
            return this.i32(left - value);
          case Op.i32And:
            return this.i32(left & value);
          case Op.i32Or:
            return this.i32(left | value);
          case Op.i32Xor:
            return this.i32(left ^ value);
          case Op.i32Shl:
            return this.i32(left << value);
          case Op.i32ShrU:
            return this.i32(left >>> value);
          case Op.i32ShrS:
            return this.i32(left >> value);
        }
      }
      if (value === 0) {
        // x + 0, x - 0, x | 0, x ^ 0, x << 0, x >> 0 == x
        switch (op) {
          case Op.i32Add:
          case Op.i32Sub:
          case Op.i32Or:
          case Op.i32Xor:
          case Op.i32Shl:
          case Op.i32ShrU:
          case Op.i32ShrS:
            return a;
          // x & 0 == 0
          case Op.i32And:
            return b;
        }
      }
      // x & -1 == x
      if (op === Op.i32And && value === -1) return a;
    } else if (constantB === Op.i64Const) {
      const low = this.immediate[b];
      const high = this.x[b];
      if (low === 0 && high === 0) {
        switch (op) {
          case Op.i64Add:
          case Op.i64Sub:
          case Op.i64Or:
          case Op.i64Xor:
          case Op.i64Shl:
          case Op.i64ShrU:
          case Op.i64ShrS:
            return a;
        }
      }
      if (op === Op.i64Add) {
        // (x + c) + d == x + (c + d)
        if (this.op[a] === Op.i64Add && this.op[this.y[a]] === Op.i64Const) {
          return this.binary(Op.i64Add, this.x[a], this.addConstants(this.y[a], b));
        }
        if (this.op[a] === Op.i64Const) return this.addConstants(a, b);
      }
    }
    return NO_NODE;
  }

  private addConstants(a: number, b: number): number {
    this.decideBy(a);
    this.decideBy(b);
    const low = (this.immediate[a] >>> 0) + (this.immediate[b] >>> 0);
    return this.i64(low | 0, (this.x[a] + this.x[b] + (low > 0xffffffff ? 1 : 0)) | 0);
  }
}
