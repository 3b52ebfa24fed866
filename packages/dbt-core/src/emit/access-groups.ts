/**
 * Accesses of a block to places at fixed distances from one another: one look-up in the soft TLB serves all, when they are
 * on one page, as the fields of a structure or what a function saves on its stack are.
 *
 * A group's look-up is made with its first access and covers all bytes from its lowest to its highest. It holds until
 * something might change what pages are mapped to: any slow path of the block, which takes it back, or a helper,
 * which ends the group.
 *
 * Addresses that are truncated to 32 bits have groups of their own: within a page, distances are the same behind that.
 */
import { Op } from "../ir/op.ts";
import { operations } from "../ir/operations.ts";
import type { Block, RegionBuilder } from "../ir/region.ts";
import { accessSize } from "./memory-shapes.ts";

const PURE: Uint8Array = Uint8Array.from(operations, (operation) => (operation.pure ? 1 : 0));
const ARITY: Uint8Array = Uint8Array.from(operations, (operation) => operation.operands.length);
/** Bytes from the lowest to the highest: the longer, the more often they are on two pages. */
const LONGEST = 512;
/** How deep two addresses are compared. */
const DEEPEST = 4;

export interface AccessGroup {
  /** Distance of the lowest byte from what the members' addresses have in common, and of the byte behind the highest. */
  low: number;
  high: number;
  writes: boolean;
  /** Addresses have 32 bits. */
  readonly truncated: boolean;
  /** Members in order; the first makes the look-up. */
  readonly nodes: number[];
  /** The local with the host offset of the lowest byte, 0 when it is not known; set by whoever emits. */
  host: number;
}

export class AccessGroups {
  private readonly groupOf: Map<number, AccessGroup> = new Map();
  private region!: RegionBuilder;

  plan(region: RegionBuilder, block: Block): void {
    this.region = region;
    this.groupOf.clear();
    const { op, x } = region;
    const open = new Map<string, AccessGroup>();
    for (let node = block.firstNode; node < block.endNode; node++) {
      const code = op[node];
      if (code === Op.callHelper) open.clear();
      if (code < Op.load8U || code > Op.storeV128) continue;
      const distance = this.distance(x[node]);
      const sum = this.sum(x[node]);
      const truncated = sum !== x[node];
      const key = `${truncated ? "t" : ""}${this.key(distance === 0 ? sum : x[sum], DEEPEST)}`;
      this.join(open, key, node, distance, distance + accessSize(code), code >= Op.store8, truncated);
    }
    for (const [node, group] of this.groupOf) if (group.nodes.length < 2) this.groupOf.delete(node);
  }

  of(node: number): AccessGroup | undefined {
    return this.groupOf.get(node);
  }

  /** Distance of a member from the group's lowest byte. */
  offsetIn(group: AccessGroup, node: number): number {
    return this.distance(this.region.x[node]) - group.low;
  }

  private join(
    open: Map<string, AccessGroup>,
    key: string,
    node: number,
    low: number,
    high: number,
    writes: boolean,
    truncated: boolean,
  ): void {
    let group = open.get(key);
    if (group === undefined || Math.max(group.high, high) - Math.min(group.low, low) > LONGEST) {
      group = { low, high, writes, truncated, nodes: [], host: -1 };
      open.set(key, group);
    }
    group.low = Math.min(group.low, low);
    group.high = Math.max(group.high, high);
    group.writes ||= writes;
    group.nodes.push(node);
    this.groupOf.set(node, group);
  }

  /** The address before it was truncated, if it was. */
  private sum(address: number): number {
    const { op, x } = this.region;
    const isTruncated = op[address] === Op.i64ExtendI32U && op[x[address]] === Op.i32WrapI64;
    return isTruncated ? x[x[address]] : address;
  }

  /** The constant that an address adds to something, where it is small; else 0. */
  private distance(address: number): number {
    const { op, x, y, immediate } = this.region;
    const sum = this.sum(address);
    if (op[sum] !== Op.i64Add || op[y[sum]] !== Op.i64Const) return 0;
    const low = immediate[y[sum]];
    return x[y[sum]] === low >> 31 && Math.abs(low) < 1 << 30 ? low : 0;
  }

  /** The same for what has the same value: nodes, or pure operations on what has the same. */
  private key(node: number, depth: number): string {
    const { op, x, y, z, immediate } = this.region;
    const code = op[node];
    if (code === Op.i64Const) return `${x[node]}:${immediate[node]}`;
    const arity = ARITY[code];
    if (PURE[code] === 0 || arity === 0 || depth === 0) return `v${node}`;
    const operands = [x[node], y[node], z[node]].slice(0, arity).map((operand) => this.key(operand, depth - 1));
    return `${code}/${immediate[node]}(${operands.join()})`;
  }
}
