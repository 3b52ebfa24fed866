/**
 * Accesses to places at fixed distances from one another: one look-up in the soft TLB serves all, when they are
 * on one page, as the fields of a structure or what a function saves on its stack are.
 *
 * A group's look-up is made with its first access and covers all bytes from its lowest to its highest. It holds until
 * something might change what pages are mapped to: any slow path, which takes it back, or a helper, which ends the group.
 *
 * A group has members in one block, or in the rounds of an unrolled loop, which come one after the other: there it goes on in a
 * block that has one way in.
 *
 * Addresses that are truncated to 32 bits have groups of their own: within a page, distances are the same behind that.
 */
import { Op } from "../ir/op.ts";
import type { RegionBuilder } from "../ir/region.ts";
import type { FlowGraph } from "./flow-graph.ts";
import { LinearForms, type SlotForms } from "./linear-forms.ts";
import { accessSize } from "./memory-shapes.ts";

/** Bytes from the lowest to the highest: the longer, the more often they are on two pages. */
const LONGEST = 512;
/** The same for a group of several blocks, which would do better without than a block of its own would. */
const LONGEST_OF_ROUNDS = 128;

export interface AccessGroup {
  /** Distance of the lowest byte from what the members' addresses have in common, and of the byte behind the highest. */
  low: number;
  high: number;
  writes: boolean;
  /** Addresses have 32 bits. */
  readonly truncated: boolean;
  /** Members in order; the first makes the look-up. */
  readonly nodes: number[];
  /** The block of the first member, and whether others have some. */
  readonly block: number;
  goesOn: boolean;
  /** The local with the host offset of the lowest byte, 0 when it is not known; set by whoever emits. */
  host: number;
}

/** What is so at the end of a block. */
interface BlockEnd {
  readonly open: ReadonlyMap<string, AccessGroup>;
  readonly slots: SlotForms;
}

export class AccessGroups {
  private readonly groupOf: Map<number, AccessGroup> = new Map();
  private readonly distances: Map<number, number> = new Map();
  private readonly forms: LinearForms = new LinearForms();
  private readonly ends: (BlockEnd | undefined)[] = [];
  private region!: RegionBuilder;

  plan(region: RegionBuilder, graph: FlowGraph): void {
    this.region = region;
    this.groupOf.clear();
    this.distances.clear();
    this.ends.length = 0;
    this.forms.begin(region);
    for (const index of graph.order) this.planBlock(index, this.before(graph, index));
    for (const [node, group] of this.groupOf) if (group.nodes.length < 2) this.groupOf.delete(node);
  }

  /** The end of the block that a round's block goes on from. */
  private before(graph: FlowGraph, index: number): BlockEnd | undefined {
    if (this.region.blocks[index].round < 0) return undefined;
    const { position, predecessors } = graph;
    const [only, ...others] = predecessors[index];
    return only !== undefined && others.length === 0 && position[only] < position[index] ? this.ends[only] : undefined;
  }

  private planBlock(index: number, before: BlockEnd | undefined): void {
    const { region, forms } = this;
    const { op, x, blocks } = region;
    const { firstNode, endNode } = blocks[index];
    const open = new Map<string, AccessGroup>(before?.open);
    forms.beginBlock(before?.slots, blocks[index].round >= 0);
    for (let node = firstNode; node < endNode; node++) {
      const code = op[node];
      forms.note(node, index);
      if (code === Op.callHelper) open.clear();
      if (code < Op.load8U || code > Op.storeV128) continue;
      const truncated = op[x[node]] === Op.i64ExtendI32U;
      const form = forms.of(x[node]);
      const { name, distance } = truncated ? form.low : form;
      this.distances.set(node, distance);
      this.join(open, `${truncated ? "t" : ""}${name}`, index, node, distance, truncated);
    }
    this.ends[index] = { open, slots: forms.slotForms };
  }

  of(node: number): AccessGroup | undefined {
    return this.groupOf.get(node);
  }

  /** Distance of a member from the group's lowest byte. */
  offsetIn(group: AccessGroup, node: number): number {
    return this.distances.get(node)! - group.low;
  }

  /** Groups of other blocks that go on in this one. */
  comingTo(graph: FlowGraph, index: number): AccessGroup[] {
    const before = this.before(graph, index);
    return before === undefined ? [] : [...before.open.values()].filter(({ goesOn }) => goesOn);
  }

  private join(
    open: Map<string, AccessGroup>,
    key: string,
    block: number,
    node: number,
    low: number,
    truncated: boolean,
  ): void {
    const code = this.region.op[node];
    const high = low + accessSize(code);
    const known = open.get(key);
    const span = known === undefined ? 0 : Math.max(known.high, high) - Math.min(known.low, low);
    let group = known;
    if (group === undefined || span > (group.block === block ? LONGEST : LONGEST_OF_ROUNDS)) {
      group = { low, high, writes: false, truncated, nodes: [], block, goesOn: false, host: -1 };
      open.set(key, group);
    }
    group.low = Math.min(group.low, low);
    group.high = Math.max(group.high, high);
    group.writes ||= code >= Op.store8;
    group.goesOn ||= block !== group.block;
    group.nodes.push(node);
    this.groupOf.set(node, group);
  }
}
