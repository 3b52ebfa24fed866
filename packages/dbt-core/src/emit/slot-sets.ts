/**
 * What each block does to the state slots, as bit sets: which writes are dead, which slots must be in their locals at
 * a block's start, and which may differ from the context block (are dirty) there.
 *
 * The rule everywhere: whatever may leave the region makes every slot observable.
 */
import { Op } from "../ir/op.ts";
import { operations } from "../ir/operations.ts";
import { type Block, type RegionBuilder, Terminator } from "../ir/region.ts";
import type { FlowGraph } from "./flow-graph.ts";

const MAY_FAULT: Uint8Array = Uint8Array.from(operations, (operation) => (operation.mayFault ? 1 : 0));
const IS_GET: Uint8Array = Uint8Array.from(operations, (operation) => (operation.name.startsWith("getState") ? 1 : 0));

/** Whether the successor that `key` names gets the state in locals, rather than in the context block as after calls. */
function handsOn({ terminator, target }: Block, key: number): boolean {
  return (
    terminator === Terminator.jump ||
    terminator === Terminator.branch ||
    terminator === Terminator.jumpIndirect ||
    terminator === Terminator.dispatch ||
    terminator === Terminator.return ||
    (terminator === Terminator.callIndirect && key === target)
  );
}

/** Sets of up to 64 slots, one per block, as two words. */
class SetArray {
  low: Uint32Array = new Uint32Array(256);
  high: Uint32Array = new Uint32Array(256);
  clear(count: number): void {
    if (this.low.length < count) {
      this.low = new Uint32Array(count * 2);
      this.high = new Uint32Array(count * 2);
    } else {
      this.low.fill(0, 0, count);
      this.high.fill(0, 0, count);
    }
  }
  has(block: number, slot: number): boolean {
    return slot < 32 ? (this.low[block] & (1 << slot)) !== 0 : (this.high[block] & (1 << (slot - 32))) !== 0;
  }
  add(block: number, slot: number): void {
    if (slot < 32) this.low[block] |= 1 << slot;
    else this.high[block] |= 1 << (slot - 32);
  }
}

export class SlotSets {
  /** Not zero for `setState` nodes whose value nobody can see. */
  deadSet: Uint8Array = new Uint8Array(4096);
  /** Slots the block gives new values in its locals. */
  readonly writes: SetArray = new SetArray();
  /** Slots whose locals may differ from the context block at the block's start. */
  readonly dirtyIn: SetArray = new SetArray();
  /** Slots whose locals are needed from the block's start on. */
  readonly liveIn: SetArray = new SetArray();
  /** Not zero where the block contains something that may fault. */
  faults: Uint8Array = new Uint8Array(256);
  private readonly uses: SetArray = new SetArray();
  private readonly observable: SetArray = new SetArray();

  /** `deadSetsOnly`: for cold code, which keeps no slot in a local. */
  compute(region: RegionBuilder, graph: FlowGraph, deadSetsOnly: boolean): void {
    const count = region.blocks.length;
    for (const set of [this.writes, this.dirtyIn, this.liveIn, this.uses, this.observable]) set.clear(count);
    if (this.deadSet.length < region.nodeCount) this.deadSet = new Uint8Array(region.op.length);
    else this.deadSet.fill(0, 0, region.nodeCount);
    if (this.faults.length < count) this.faults = new Uint8Array(count * 2);
    else this.faults.fill(0, 0, count);
    this.removeDeadSets(region, graph);
    if (deadSetsOnly) return;
    this.gatherBlocks(region, graph);
    this.spreadDirty(region, graph);
    this.spreadLive(region, graph);
  }

  /** Whether a block's end hands the state on inside the region only. */
  private staysInside(region: RegionBuilder, graph: FlowGraph, index: number): boolean {
    const block = region.blocks[index];
    if (block.terminator === Terminator.jump) return this.freeEdge(graph, index, block.target);
    if (block.terminator === Terminator.branch) {
      return this.freeEdge(graph, index, block.target) && this.freeEdge(graph, index, block.next);
    }
    return false;
  }

  /** An edge on which nothing can be observed: inside, and no back edge (those may leave on the budget). */
  private freeEdge(graph: FlowGraph, from: number, key: number): boolean {
    const to = graph.inside(from, key);
    return to >= 0 && !graph.isBackEdge(from, to);
  }

  /** `observable`: slots whose value at the block's start somebody may see. One backward sweep, back edges see all. */
  private removeDeadSets(region: RegionBuilder, graph: FlowGraph): void {
    const { op, immediate } = region;
    for (let position = graph.order.length - 1; position >= 0; position--) {
      const index = graph.order[position];
      const block = region.blocks[index];
      let low = 0xffffffff | 0;
      let high = 0xffffffff | 0;
      if (this.staysInside(region, graph, index)) {
        const first = graph.blockAt(block.target);
        low = this.observable.low[first] | 0;
        high = this.observable.high[first] | 0;
        if (block.terminator === Terminator.branch) {
          const second = graph.blockAt(block.next);
          low |= this.observable.low[second];
          high |= this.observable.high[second];
        }
      }
      for (let node = block.endNode - 1; node >= block.firstNode; node--) {
        const code = op[node];
        if (code === Op.setState) {
          const slot = immediate[node];
          const bit = 1 << (slot & 31);
          if (((slot < 32 ? low : high) & bit) === 0) this.deadSet[node] = 1;
          else if (slot < 32) low &= ~bit;
          else high &= ~bit;
        } else if (IS_GET[code] === 1) {
          const slot = immediate[node];
          if (slot < 32) low |= 1 << slot;
          else high |= 1 << (slot - 32);
        } else if (code === Op.callHelper) {
          const declaration = region.helpers[immediate[node]];
          if (declaration.exits || declaration.reads === "all") {
            low = high = 0xffffffff | 0;
          } else if (declaration.reads !== "none") {
            for (const slot of declaration.reads) {
              if (slot < 32) low |= 1 << slot;
              else high |= 1 << (slot - 32);
            }
          }
        } else if (MAY_FAULT[code] === 1) {
          low = high = 0xffffffff | 0;
        }
      }
      this.observable.low[index] = low;
      this.observable.high[index] = high;
    }
  }

  private gatherBlocks(region: RegionBuilder, graph: FlowGraph): void {
    const { op, immediate, slots } = region;
    for (const index of graph.order) {
      const block = region.blocks[index];
      for (let node = block.firstNode; node < block.endNode; node++) {
        const code = op[node];
        if (code === Op.setState || IS_GET[code] === 1) {
          const slot = immediate[node];
          if (slots[slot].inContext === true) continue;
          if (code === Op.setState) {
            if (this.deadSet[node] === 0) this.writes.add(index, slot);
          } else if (!this.writes.has(index, slot)) this.uses.add(index, slot);
        } else if (code === Op.callHelper) {
          const declaration = region.helpers[immediate[node]];
          if (declaration.exits) this.faults[index] = 1;
        } else if (MAY_FAULT[code] === 1) {
          this.faults[index] = 1;
        }
      }
    }
  }

  private spreadDirty(region: RegionBuilder, graph: FlowGraph): void {
    const { dirtyIn, writes } = this;
    for (let changed = true; changed;) {
      changed = false;
      for (const index of graph.order) {
        let low = 0;
        let high = 0;
        for (const predecessor of graph.predecessors[index]) {
          if (!handsOn(region.blocks[predecessor], region.blocks[index].key)) continue;
          low |= dirtyIn.low[predecessor] | writes.low[predecessor];
          high |= dirtyIn.high[predecessor] | writes.high[predecessor];
        }
        low >>>= 0;
        high >>>= 0;
        if (low !== dirtyIn.low[index] || high !== dirtyIn.high[index]) {
          dirtyIn.low[index] = low;
          dirtyIn.high[index] = high;
          changed = true;
        }
      }
    }
  }

  /** A block that may fault, call, or leave needs whatever is dirty in it: it may have to spill it. */
  private spreadLive(region: RegionBuilder, graph: FlowGraph): void {
    const { dirtyIn, writes, uses } = this;
    for (const index of graph.order) {
      let low = dirtyIn.low[index] | uses.low[index];
      let high = dirtyIn.high[index] | uses.high[index];
      if (this.faults[index] === 1) {
        low |= writes.low[index];
        high |= writes.high[index];
      }
      uses.low[index] = low;
      uses.high[index] = high;
    }
    this.solveLive(region, graph);
  }

  /** Makes the given slots' locals needed in every block: for an exit that spills them from anywhere. */
  requireEverywhere(region: RegionBuilder, graph: FlowGraph, low: number, high: number): void {
    for (const index of graph.order) {
      this.uses.low[index] |= low;
      this.uses.high[index] |= high;
    }
    this.solveLive(region, graph);
  }

  private solveLive(region: RegionBuilder, graph: FlowGraph): void {
    const { writes, uses, liveIn } = this;
    for (let changed = true; changed;) {
      changed = false;
      for (let position = graph.order.length - 1; position >= 0; position--) {
        const index = graph.order[position];
        const block = region.blocks[index];
        let low = 0;
        let high = 0;
        for (let edge = 0; ; edge++) {
          const key = graph.successor(block, edge);
          if (key === undefined) break;
          const successor = graph.inside(index, key);
          if (successor < 0 || !handsOn(block, key)) continue;
          low |= liveIn.low[successor];
          high |= liveIn.high[successor];
        }
        low = ((low & ~writes.low[index]) | uses.low[index]) >>> 0;
        high = ((high & ~writes.high[index]) | uses.high[index]) >>> 0;
        if (low !== liveIn.low[index] || high !== liveIn.high[index]) {
          liveIn.low[index] = low;
          liveIn.high[index] = high;
          changed = true;
        }
      }
    }
  }
}
