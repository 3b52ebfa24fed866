/**
 * What a region means, node by node: the reference that emitted code is compared with.
 *
 * Every node is evaluated where it stands, state is read from and written to the context block at once, and control
 * goes where the terminators say. Only two questions are left to the flow graph: which edges leave the region (those
 * that would make it irreducible), and which go back (those are what the budget and the promotion counter count).
 */
import { Op } from "../ir/op.ts";
import { operations } from "../ir/operations.ts";
import { type Block, DISPATCH, keyOffset, type RegionBuilder, Terminator } from "../ir/region.ts";
import { OTHER_ENTRY } from "../emit/region-frame.ts";
import { EngineExit, Header } from "../layout.ts";
import { evaluatePure, type Value } from "./pure-evaluator.ts";

/** What lies around a region. Each method may change the context block, as code elsewhere would. */
export interface Surroundings {
  readonly view: DataView;
  readonly context: number;
  /** Runs code elsewhere. `returnsTo`: where the caller goes on, when it is one. Answers where to go on. */
  transfer(address: bigint, slot: number, depth: number, returnsTo: bigint | undefined): bigint;
  promote(address: bigint, slot: number, depth: number): bigint;
  /** Whether to leave. */
  service(code: number): boolean;
  helper(index: number, values: readonly Value[]): Value;
  /** The bytes, or undefined after the reason was put into the header. */
  load(address: bigint, size: number): bigint | undefined;
  store(address: bigint, size: number, value: bigint): boolean;
}

/** Which edges stay inside the region, and which of those are loops: `FlowGraph` says it for emitted code. */
export interface Edges {
  blockAt(key: number): number;
  inside(from: number, key: number): number;
  isBackEdge(from: number, to: number): boolean;
}

export interface RunOptions {
  readonly address: bigint;
  readonly slot: number;
  readonly depth: number;
  readonly narrow: boolean;
  readonly slotFor: (offset: number) => number;
  /** Entries and loops until promotion; undefined for hot code. */
  readonly counter: number | undefined;
  /** Whether the entry and each loop have a counter of their own. */
  readonly countsEach?: boolean;
}

const LEFT = -1n;
const SIZES: Readonly<Record<number, number>> = {
  [Op.load8U]: 1,
  [Op.load8S]: 1,
  [Op.load16U]: 2,
  [Op.load16S]: 2,
  [Op.load32]: 4,
  [Op.load64]: 8,
  [Op.loadF32]: 4,
  [Op.loadF64]: 8,
  [Op.loadV128]: 16,
  [Op.loadV128Zero32]: 4,
  [Op.loadV128Zero64]: 8,
  [Op.store8]: 1,
  [Op.store16]: 2,
  [Op.store32]: 4,
  [Op.store64]: 8,
  [Op.storeF32]: 4,
  [Op.storeF64]: 8,
  [Op.storeV128]: 16,
};

/** Runs the region from its entry; the result is what its function would return. */
export function interpret(region: RegionBuilder, graph: Edges, around: Surroundings, options: RunOptions): bigint {
  return new Interpreter(region, graph, around, options).run();
}

class Interpreter {
  private readonly region: RegionBuilder;
  private readonly graph: Edges;
  private readonly around: Surroundings;
  private readonly options: RunOptions;
  private readonly values: Value[] = [];
  /** What is left of each count: there is one, or one for each place that counts. */
  private readonly counts: Map<string, number> = new Map();
  /** Where the dispatch block is to go. */
  private target: bigint;

  constructor(region: RegionBuilder, graph: Edges, around: Surroundings, options: RunOptions) {
    this.region = region;
    this.graph = graph;
    this.around = around;
    this.options = options;
    this.target = options.slot < 0 ? this.at(options.slot - OTHER_ENTRY) : options.address;
  }

  run(): bigint {
    const { address, slot, depth } = this.options;
    if (this.countsOut("entry")) return this.around.promote(address, slot, depth);
    let index = 0;
    for (;;) {
      const block = this.region.blocks[index];
      if (!this.body(block)) return LEFT;
      const next = this.terminate(index, block);
      if (typeof next === "bigint") return next;
      index = next;
    }
  }

  // Small things.

  private at(offset: number): bigint {
    const sum = BigInt.asIntN(64, this.options.address + BigInt(offset));
    return offset !== 0 && this.options.narrow ? BigInt.asUintN(32, sum) : sum;
  }

  private put(offset: number, value: number): void {
    this.around.view.setInt32(this.around.context + offset, value, true);
  }

  private instructionPointer(value: bigint): void {
    this.around.view.setBigInt64(this.around.context + Header.instructionPointer, value, true);
  }

  /** Leaves with the state as it is, at the guest offset. */
  private leaveAt(offset: number): bigint {
    const sum = this.options.address + BigInt(offset);
    this.instructionPointer(this.options.narrow ? BigInt.asUintN(32, sum) : BigInt.asIntN(64, sum));
    return LEFT;
  }

  private countsOut(place: string): boolean {
    const { counter, countsEach } = this.options;
    if (counter === undefined) return false;
    const name = countsEach === true ? place : "";
    const left = (this.counts.get(name) ?? counter) - 1;
    this.counts.set(name, left);
    return left < 0;
  }

  /** Takes one from the budget; whether it is used up. */
  private spends(): boolean {
    const { view, context } = this.around;
    const budget = (view.getInt32(context + Header.budget, true) - 1) | 0;
    this.put(Header.budget, budget);
    return budget < 0;
  }

  private readSlot(slot: number): Value {
    const { view, context } = this.around;
    const { offset, type } = this.region.slots[slot];
    if (type === "i32") return view.getInt32(context + offset, true);
    const low = view.getBigInt64(context + offset, true);
    if (type !== "v128") return low;
    return (view.getBigUint64(context + offset + 8, true) << 64n) | BigInt.asUintN(64, low);
  }

  private writeSlot(slot: number, value: Value): void {
    const { view, context } = this.around;
    const { offset, type } = this.region.slots[slot];
    if (type === "i32") return view.setInt32(context + offset, value as number, true);
    view.setBigInt64(context + offset, BigInt.asIntN(64, value as bigint), true);
    if (type === "v128") view.setBigUint64(context + offset + 8, (value as bigint) >> 64n, true);
  }

  // Nodes.

  /** Whether control reaches the terminator. */
  private body(block: Block): boolean {
    const { op, x, y, immediate } = this.region;
    const { values } = this;
    let offset = keyOffset(block.key);
    for (let node = block.firstNode; node < block.endNode; node++) {
      const code = op[node];
      if (code === Op.instruction) offset = immediate[node];
      // Nothing changes the code of a region alone.
      else if (code === Op.guardTest) continue;
      else if (code === Op.setState) this.writeSlot(immediate[node], values[x[node]]);
      else if (code >= Op.getStateI32 && code <= Op.getStateV128) values[node] = this.readSlot(immediate[node]);
      else if (code === Op.exitIf) {
        if (values[x[node]] === 0) continue;
        this.put(Header.exitCode, immediate[node]);
        this.put(Header.exitPayload, y[node]);
        this.put(Header.exitOffset, offset);
        this.leaveAt(offset);
        return false;
      } else if (SIZES[code] !== undefined) {
        if (this.access(node, SIZES[code])) continue;
        this.put(Header.exitOffset, offset);
        this.leaveAt(offset);
        return false;
      } else if (code === Op.callHelper) {
        if (this.callHelper(node)) continue;
        this.put(Header.exitOffset, offset);
        this.leaveAt(offset);
        return false;
      } else if (code < Op.helperResultI32 || code > Op.helperResultF64) values[node] = this.pure(node);
    }
    return true;
  }

  private pure(node: number): Value {
    const { op, x, y, z, immediate, wide } = this.region;
    const code = op[node];
    const bytes = (): number[] => [...wide.subarray(immediate[node], immediate[node] + 16)];
    if (code === Op.i32Const) return immediate[node];
    if (code === Op.i64Const) return (BigInt(x[node]) << 32n) | BigInt(immediate[node] >>> 0);
    if (code === Op.v128Const) return bytes().reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    if (code === Op.regionBase) return this.options.address;
    const operation = operations[code];
    const operands = [x[node], y[node], z[node]]
      .slice(0, operation.operands.length)
      .map((operand) => this.values[operand]);
    const immediates =
      operation.immediate === "lane" ? [immediate[node]] : operation.immediate === "shuffle" ? bytes() : [];
    return evaluatePure(code, operands, immediates);
  }

  /** Whether the access succeeded. */
  private access(node: number, size: number): boolean {
    const { op, x, y } = this.region;
    const code = op[node];
    const address = BigInt.asUintN(64, this.values[x[node]] as bigint);
    if (code >= Op.store8)
      return this.around.store(address, size, BigInt.asUintN(8 * size, BigInt(this.values[y[node]])));
    const loaded = this.around.load(address, size);
    if (loaded === undefined) return false;
    const type = operations[code].result;
    const signed = code === Op.load8S || code === Op.load16S;
    if (type === "v128") this.values[node] = loaded;
    else if (type === "i32" || type === "f32")
      this.values[node] = Number(signed ? BigInt.asIntN(8 * size, loaded) : loaded) | 0;
    else this.values[node] = BigInt.asIntN(64, loaded);
    return true;
  }

  /** Whether to go on. */
  private callHelper(node: number): boolean {
    const { x, y, immediate, callArguments, helpers } = this.region;
    const values = callArguments.slice(x[node], x[node] + y[node]).map((argument) => this.values[argument]);
    const result = this.around.helper(immediate[node], values);
    const declaration = helpers[immediate[node]];
    if (declaration.exits) return result === 0;
    if (declaration.result !== undefined) this.values[node + 1] = result;
    return true;
  }

  // Control.

  /** Index of the next block, or what to return. */
  private terminate(index: number, block: Block): number | bigint {
    const { depth } = this.options;
    switch (block.terminator) {
      case Terminator.jump:
        return this.edge(index, block.target);
      case Terminator.branch:
        return this.values[block.value] !== 0 ? this.edge(index, block.target) : this.edge(index, block.next, "other");
      case Terminator.dispatch:
        return this.dispatch();
      case Terminator.jumpIndirect:
        if (block.target === DISPATCH) {
          this.target = this.values[block.value] as bigint;
          if (this.spends()) return this.budgetExit(this.target);
          return this.graph.blockAt(DISPATCH);
        }
        return this.jump(this.values[block.value] as bigint, depth, undefined);
      case Terminator.call:
      case Terminator.callIndirect:
        return this.call(index, block);
      case Terminator.return:
        return this.values[block.value];
      case Terminator.service:
        this.instructionPointer(this.at(keyOffset(block.next)));
        return this.around.service(block.target) ? LEFT : this.edge(index, block.next);
      case Terminator.exit:
        this.put(Header.exitCode, block.target);
        this.put(Header.exitPayload, block.payload);
        this.instructionPointer(this.at(keyOffset(block.next)));
        return LEFT;
      default:
        throw new Error(`block ${block.key} does not end`);
    }
  }

  private dispatch(): number | bigint {
    const key = this.region.dispatchTargets.find((candidate) => this.at(keyOffset(candidate)) === this.target);
    return key === undefined ? this.jump(this.target, this.options.depth, undefined) : this.graph.blockAt(key);
  }

  private edge(from: number, key: number, name = "edge"): number | bigint {
    const offset = keyOffset(key);
    const to = this.graph.inside(from, key);
    if (to < 0) {
      if (leadsBack(offset) && this.spends()) return this.budgetExit(this.at(offset));
      return this.around.transfer(this.at(offset), this.options.slotFor(offset), this.options.depth, undefined);
    }
    if (!this.graph.isBackEdge(from, to)) return to;
    if (to === this.graph.blockAt(DISPATCH)) this.target = this.at(offset);
    if (key % 4 === 0 && this.countsOut(`${name} of ${from}`)) {
      return this.around.promote(this.at(offset), this.options.slotFor(offset), this.options.depth);
    }
    if (!this.spends()) return to;
    this.put(Header.exitCode, EngineExit.budget);
    this.put(Header.exitOffset, offset);
    return this.leaveAt(offset);
  }

  private budgetExit(at: bigint): bigint {
    this.put(Header.exitCode, EngineExit.budget);
    this.instructionPointer(at);
    return LEFT;
  }

  /** To an address known at run time, by way of the support module. */
  private jump(target: bigint, depth: number, returnsTo: bigint | undefined): bigint {
    if (this.spends()) return this.budgetExit(target);
    return this.around.transfer(target, 0, depth, returnsTo);
  }

  private call(index: number, block: Block): number | bigint {
    const { depth, slotFor } = this.options;
    const offset = keyOffset(block.target);
    const indirect = block.terminator === Terminator.callIndirect;
    const target = indirect ? (this.values[block.value] as bigint) : this.at(offset);
    const spends = !indirect && (depth === 0 || leadsBack(offset));
    if (spends && this.spends()) return this.budgetExit(target);
    if (depth === 0) {
      if (indirect) return this.jump(target, 0, undefined);
      return this.around.transfer(target, slotFor(offset), 0, undefined);
    }
    const next = this.at(keyOffset(block.next));
    const result = indirect
      ? this.jump(target, depth - 1, next)
      : this.around.transfer(target, slotFor(offset), depth - 1, next);
    return result === next ? this.edge(index, block.next) : result;
  }
}

/** What costs budget among direct transfers out of the region: those that may be part of a circle of regions. */
function leadsBack(offset: number): boolean {
  return offset <= 0 || offset >= 2 ** 28;
}
