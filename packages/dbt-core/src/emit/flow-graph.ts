/**
 * The control flow of a region: successors, reverse postorder, dominators, and which edges stay inside.
 *
 * Structured code needs a reducible graph; an edge that would enter a loop elsewhere than at its header is made an
 * exit instead (it goes through a slot, to a region of its own), or goes by way of the dispatch block when that knows its
 * target.
 */
import { findDominators, isDominator } from "../region/dominators.ts";
import { type Block, DISPATCH, NOWHERE, type RegionBuilder, Terminator } from "../ir/region.ts";
import { clear, clearAll } from "../clear.ts";

export class FlowGraph {
  /** Block indices in reverse postorder; unreachable blocks are absent. */
  order: number[] = [];
  /** Position in `order`, or -1. */
  position: Int32Array = new Int32Array(256);
  immediateDominator: Int32Array = new Int32Array(256);
  /** Children in the dominator tree, by block index, in reverse postorder. */
  children: number[][] = [];
  isLoopHeader: Uint8Array = new Uint8Array(256);
  /** Needs a label of its own: reached by a forward edge other than from its dominator alone. */
  isMerge: Uint8Array = new Uint8Array(256);
  predecessors: number[][] = [];
  private readonly blockOfKey: Map<number, number> = new Map();
  private readonly stackBlock: number[] = [];
  private readonly stackEdge: number[] = [];

  /** Index of the block that `key` names, or -1 when it is outside the region. */
  blockAt(key: number): number {
    return this.blockOfKey.get(key) ?? -1;
  }

  private dispatchTargets: readonly number[] = [];
  /** Edges that go by way of the dispatch block, each as source * `edgeSpan` + target. */
  private readonly redirected: Set<number> = new Set();
  private edgeSpan = 0;

  /** The nth successor key of a block, or undefined. */
  successor(block: Block, edge: number): number | undefined {
    switch (block.terminator) {
      case Terminator.jumpIndirect:
        return edge === 0 && block.target === DISPATCH ? DISPATCH : undefined;
      case Terminator.dispatch:
        return this.dispatchTargets[edge];
      case Terminator.jump:
        return edge === 0 ? block.target : undefined;
      case Terminator.branch:
        return edge === 0 ? block.target : edge === 1 ? block.next : undefined;
      case Terminator.call:
      case Terminator.service:
        return edge === 0 ? block.next : undefined;
      case Terminator.callIndirect:
        return edge === 0 ? block.next : edge === 1 && block.target !== NOWHERE ? block.target : undefined;
      case Terminator.return:
        return edge === 0 && block.target !== NOWHERE ? block.target : undefined;
      default:
        return undefined;
    }
  }

  build(region: RegionBuilder): void {
    const { blocks } = region;
    const count = blocks.length;
    if (this.position.length < count) {
      this.position = new Int32Array(count * 2);
      this.immediateDominator = new Int32Array(count * 2);
      this.isLoopHeader = new Uint8Array(count * 2);
      this.isMerge = new Uint8Array(count * 2);
    }
    this.blockOfKey.clear();
    for (let index = 0; index < count; index++) this.blockOfKey.set(blocks[index].key, index);
    this.isLoopHeader.fill(0, 0, count);
    this.isMerge.fill(0, 0, count);
    this.dispatchTargets = region.dispatchTargets;
    clearAll(this.redirected);
    this.edgeSpan = count;
    do {
      this.position.fill(-1, 0, count);
      for (let index = 0; index < count; index++) {
        this.children[index] = [];
        this.predecessors[index] = [];
      }
      this.number(blocks);
      this.dominate();
    } while (this.redirect(blocks));
    this.classify(blocks);
  }

  /** Has edges into loops go by way of the dispatch block where it can; whether there were any. */
  private redirect(blocks: readonly Block[]): boolean {
    if (this.dispatchTargets.length === 0) return false;
    const before = this.redirected.size;
    for (const from of this.order) {
      for (let edge = 0; ; edge++) {
        const key = this.successor(blocks[from], edge);
        if (key === undefined) break;
        const to = this.target(from, key);
        if (to < 0 || this.position[to] > this.position[from] || this.dominates(to, from)) continue;
        if (this.dispatchTargets.includes(key)) this.redirected.add(from * this.edgeSpan + to);
      }
    }
    return this.redirected.size > before;
  }

  /** The block that an edge goes to first, or -1 when that is outside the region. */
  private target(from: number, key: number): number {
    const to = this.blockAt(key);
    return to >= 0 && this.redirected.has(from * this.edgeSpan + to) ? this.blockAt(DISPATCH) : to;
  }

  private number(blocks: readonly Block[]): void {
    const { stackBlock, stackEdge, position } = this;
    const postorder: number[] = [];
    clear(stackBlock);
    clear(stackEdge);
    stackBlock.push(0);
    stackEdge.push(0);
    position[0] = -2;
    while (stackBlock.length > 0) {
      const top = stackBlock.length - 1;
      const block = stackBlock[top];
      const key = this.successor(blocks[block], stackEdge[top]++);
      if (key === undefined) {
        postorder.push(block);
        stackBlock.pop();
        stackEdge.pop();
        continue;
      }
      const next = this.target(block, key);
      if (next < 0) continue;
      this.predecessors[next].push(block);
      if (position[next] !== -1) continue;
      position[next] = -2;
      stackBlock.push(next);
      stackEdge.push(0);
    }
    this.order = postorder.reverse();
    for (let index = 0; index < this.order.length; index++) position[this.order[index]] = index;
  }

  private dominate(): void {
    const { order, immediateDominator } = this;
    findDominators(order, this.position, this.predecessors, immediateDominator);
    for (let index = 1; index < order.length; index++) {
      const block = order[index];
      this.children[immediateDominator[block]].push(block);
    }
  }

  private classify(blocks: readonly Block[]): void {
    for (const block of this.order) {
      let forward = 0;
      for (const predecessor of this.predecessors[block]) {
        if (this.position[predecessor] >= this.position[block]) {
          if (this.dominates(block, predecessor)) this.isLoopHeader[block] = 1;
          continue;
        }
        forward++;
        if (predecessor !== this.immediateDominator[block]) this.isMerge[block] = 1;
      }
      if (forward > 1) this.isMerge[block] = 1;
      // A branch with equal targets is two edges from one block.
      const source = blocks[this.immediateDominator[block]];
      if (source.terminator === Terminator.branch && source.target === source.next) this.isMerge[block] = 1;
    }
  }

  dominates(above: number, below: number): boolean {
    return isDominator(above, below, this.position, this.immediateDominator);
  }

  /** The block an edge goes to (first) inside the region, or -1 where it must leave through a slot. */
  inside(from: number, key: number): number {
    const to = this.target(from, key);
    if (to < 0) return -1;
    if (this.position[to] <= this.position[from] && !this.dominates(to, from)) return -1;
    return to;
  }

  isBackEdge(from: number, to: number): boolean {
    return this.position[to] <= this.position[from];
  }
}
