/**
 * Where a region leaves when something in it faults: one exit for each distinct set of state slots that may be dirty then,
 * which puts them into the context block.
 */
import { type RegionBuilder, Terminator } from "../ir/region.ts";
import type { FlowGraph } from "./flow-graph.ts";
import type { SlotSets } from "./slot-sets.ts";
import { clear } from "../clear.ts";

/** Above this many distinct sets, faulting blocks share one exit that spills them all. */
const MAX_FAULT_EXITS = 12;

export interface FaultExit {
  low: number;
  high: number;
}

export class FaultExits {
  readonly list: FaultExit[] = [];
  ofBlock: Int32Array = new Int32Array(256);

  plan(region: RegionBuilder, graph: FlowGraph, sets: SlotSets, cold: boolean): void {
    const { list } = this;
    clear(list);
    if (this.ofBlock.length < region.blocks.length) this.ofBlock = new Int32Array(region.blocks.length * 2);
    if (cold) {
      // Nothing is dirty, ever: one exit serves all.
      list.push({ low: 0, high: 0 });
      this.ofBlock.fill(0, 0, region.blocks.length);
      return;
    }
    for (const block of graph.order) {
      if (!leavesByFault(region, graph, sets, block)) continue;
      const low = (sets.dirtyIn.low[block] | sets.writes.low[block]) >>> 0;
      const high = (sets.dirtyIn.high[block] | sets.writes.high[block]) >>> 0;
      let exit = list.findIndex((candidate) => candidate.low === low && candidate.high === high);
      if (exit < 0) exit = list.push({ low, high }) - 1;
      this.ofBlock[block] = exit;
    }
    if (list.length > MAX_FAULT_EXITS) this.merge(region, graph, sets);
  }

  /** One exit for all: every slot any block may have dirty, which then must be valid from each such block's start. */
  private merge(region: RegionBuilder, graph: FlowGraph, sets: SlotSets): void {
    let low = 0;
    let high = 0;
    for (const exit of this.list) {
      low |= exit.low;
      high |= exit.high;
    }
    clear(this.list);
    this.list.push({ low: low >>> 0, high: high >>> 0 });
    for (const block of graph.order) this.ofBlock[block] = 0;
    sets.requireEverywhere(region, graph, low, high);
  }
}

/** Something in it faults, or it goes back, which may leave on the budget by the same exit. */
function leavesByFault(region: RegionBuilder, graph: FlowGraph, sets: SlotSets, index: number): boolean {
  if (sets.faults[index] === 1) return true;
  const block = region.blocks[index];
  // It leaves on the budget by itself.
  if (block.terminator === Terminator.jumpIndirect) return false;
  for (let edge = 0; ; edge++) {
    const key = graph.successor(block, edge);
    if (key === undefined) return false;
    const to = graph.inside(index, key);
    if (to >= 0 && graph.isBackEdge(index, to)) return true;
  }
}
