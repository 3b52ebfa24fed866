/** Loads and stores of a region, alone or in groups (`AccessGroups`). In cold code each goes by itself, its check out of line. */
import { Op } from "../ir/op.ts";
import type { RegionBuilder } from "../ir/region.ts";
import { type AccessGroup, AccessGroups } from "./access-groups.ts";
import type { FlowGraph } from "./flow-graph.ts";
import type { MemoryEmitter } from "./memory-emitter.ts";
import type { LocalPool } from "./region-frame.ts";
import type { ValueEmitter } from "./value-emitter.ts";
import { clear } from "../clear.ts";

export class AccessEmitter {
  private readonly values: ValueEmitter;
  private readonly memory: MemoryEmitter;
  private readonly locals: LocalPool;
  private readonly groups: AccessGroups = new AccessGroups();
  private region!: RegionBuilder;
  private graph!: FlowGraph;
  private cold = false;

  constructor(values: ValueEmitter, memory: MemoryEmitter, locals: LocalPool) {
    this.values = values;
    this.memory = memory;
    this.locals = locals;
  }

  begin(region: RegionBuilder, graph: FlowGraph, cold: boolean): void {
    this.region = region;
    this.graph = graph;
    this.cold = cold;
    if (!cold) this.groups.plan(region, graph);
  }

  beginBlock(index: number): void {
    const { known } = this.memory;
    clear(known);
    if (this.cold) return;
    for (const { host } of this.groups.comingTo(this.graph, index)) known.push(host);
  }

  /** The load or store `node` of the instruction at guest offset `offset`; `faultDepth` labels out is its fault exit. */
  emit(node: number, offset: number, faultDepth: number): void {
    const { values, memory } = this;
    const { op, x, y } = this.region;
    const code = op[node];
    const group = this.cold ? undefined : this.groups.of(node);
    if (group !== undefined) return this.emitInGroup(group, node, offset, faultDepth);
    const address = values.toLocal(x[node]);
    if (code <= Op.loadV128Zero64) {
      const result = values.resultLocal(node);
      if (this.cold) memory.loadCold(code, address, offset, result, faultDepth);
      else memory.load(code, address, offset, result, faultDepth);
    } else {
      const value = values.toLocal(y[node]);
      if (this.cold) memory.storeCold(code, address, offset, value, faultDepth);
      else memory.store(code, address, offset, value, faultDepth);
    }
  }

  private emitInGroup(group: AccessGroup, node: number, offset: number, faultDepth: number): void {
    const { values, memory } = this;
    const { op, x, y } = this.region;
    const distance = this.groups.offsetIn(group, node);
    const isLoad = op[node] <= Op.loadV128Zero64;
    const first = node === group.nodes[0];
    let pushAddress = (): void => values.push(x[node]);
    let address = -1;
    if (first) {
      address = values.toLocal(x[node]);
      pushAddress = () => memory.get(address);
      group.host = group.goesOn ? this.locals.permanent("i32") : this.locals.temporary("i32");
      memory.known.push(group.host);
    } else {
      // Needed on the slow path only.
      values.settle(x[node]);
    }
    const value = isLoad ? -1 : values.toLocal(y[node]);
    if (first) memory.lookUpGroup(address, distance, group);
    const place = { host: group.host, distance };
    if (isLoad) {
      const result = values.resultLocal(node);
      memory.loadKnown(op[node], place, offset, result, faultDepth, pushAddress, first);
    } else {
      memory.storeKnown(op[node], place, offset, value, faultDepth, pushAddress, first);
    }
    if (!group.goesOn && node === group.nodes.at(-1)) memory.known.splice(memory.known.indexOf(group.host), 1);
  }
}
