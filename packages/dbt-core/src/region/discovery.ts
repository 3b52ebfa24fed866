/**
 * From an entry address to a region's blocks: decode what direct control flow reaches, cut it at leaders, lift it.
 *
 * The code is seen through a window of consecutive virtual pages around the entry, fetched as they are reached; a
 * region therefore may span pages, and says which physical pages it was made from.
 */
import { blockKey, type RegionBuilder } from "../ir/region.ts";
import { EngineExit } from "../layout.ts";
import { Flow, type Frontend } from "../port-frontend.ts";

const PAGE_SHIFT = 12;
const PAGE_BYTES = 1 << PAGE_SHIFT;
/** Pages before the entry's page, and in all. */
const PAGES_BEFORE = 4;
const WINDOW_PAGES = 12;
const WINDOW_START = -PAGES_BEFORE * PAGE_BYTES;
const ABSENT = -1;
const UNKNOWN = -2;

/** Gives the physical page a guest-virtual page's code is fetched from, or a negative fault. */
export type FetchPage = (virtualAddress: number) => number;

export interface DiscoveryLimits {
  /** A larger region costs V8 more to compile and shares less. */
  readonly instructions: number;
}

export class RegionDiscovery {
  private readonly frontend: Frontend;
  private readonly limits: DiscoveryLimits;
  private instructionLimit = 0;
  private stepping = false;
  private readonly memory: Uint8Array;
  private readonly window: Uint8Array = new Uint8Array(WINDOW_PAGES * PAGE_BYTES);
  private readonly pages: Int32Array = new Int32Array(WINDOW_PAGES);
  /** Guest offset minus WINDOW start -> record + 1. */
  private readonly recordAt: Map<number, number> = new Map();
  private readonly lengths: number[] = [];
  private readonly leaders: Set<number> = new Set();
  private readonly pending: number[] = [];
  /** Direct transfers out of the region (guest offsets): calls and jumps worth translating beside it. */
  readonly exits: Set<number> = new Set();
  private entryInPage = 0;
  private entryAddress = 0;
  private fetch: FetchPage = () => ABSENT;
  /** Set when the entry's own instruction cannot be fetched: the address that faults. */
  faultAddress = -1;

  constructor(frontend: Frontend, limits: DiscoveryLimits, memory: Uint8Array) {
    this.frontend = frontend;
    this.limits = limits;
    this.memory = memory;
  }

  /** Lifts the region at `address` into `builder`. Returns false when its first instruction cannot be fetched. */
  discover(address: number, mode: number, fetch: FetchPage, builder: RegionBuilder): boolean {
    this.instructionLimit = this.limits.instructions;
    this.stepping = false;
    return this.lift(address, mode, fetch, builder);
  }

  /** Lifts the one instruction at `address`; behind it the region leaves with `EngineExit.stepped`. */
  discoverOne(address: number, mode: number, fetch: FetchPage, builder: RegionBuilder): boolean {
    this.instructionLimit = 1;
    this.stepping = true;
    return this.lift(address, mode, fetch, builder);
  }

  private lift(address: number, mode: number, fetch: FetchPage, builder: RegionBuilder): boolean {
    this.entryAddress = address;
    this.entryInPage = address % PAGE_BYTES;
    this.fetch = fetch;
    this.pages.fill(UNKNOWN);
    this.recordAt.clear();
    this.lengths.length = 0;
    this.leaders.clear();
    this.exits.clear();
    this.faultAddress = -1;
    this.decodeAll(mode);
    if (this.recordAt.size === 0) return false;
    builder.reset();
    this.frontend.beginRegion(builder, mode);
    this.liftAll(builder);
    return true;
  }

  /** Physical pages the last region was made from: distance in pages from the entry's page, and the page. */
  sourcePages(): { distance: number; page: number }[] {
    const touched = new Set<number>();
    for (const [offset, record] of this.recordAt) {
      const position = offset + this.entryInPage;
      touched.add(position >> PAGE_SHIFT);
      touched.add((position + this.lengths[record]! - 1) >> PAGE_SHIFT);
    }
    return [...touched].map((distance) => ({ distance, page: this.pages[distance + PAGES_BEFORE]! }));
  }

  /** Source bytes by physical page, merged where they touch. */
  sourceRanges(): { page: number; start: number; end: number }[] {
    const ranges: { page: number; start: number; end: number }[] = [];
    const offsets = [...this.recordAt.keys()].sort((a, b) => a - b);
    for (const offset of offsets) {
      let position = offset + this.entryInPage;
      let rest = this.lengths[this.recordAt.get(offset)!]!;
      while (rest > 0) {
        const page = this.pages[(position >> PAGE_SHIFT) + PAGES_BEFORE]!;
        const start = position & (PAGE_BYTES - 1);
        const count = Math.min(rest, PAGE_BYTES - start);
        const last = ranges[ranges.length - 1];
        if (last !== undefined && last.page === page && last.end >= start && last.start <= start) last.end = Math.max(last.end, start + count);
        else ranges.push({ page, start, end: start + count });
        position += count;
        rest -= count;
      }
    }
    return ranges;
  }

  // Decoding.

  private pageReady(index: number): boolean {
    if (index < 0 || index >= WINDOW_PAGES) return false;
    if (this.pages[index] === UNKNOWN) {
      const virtual = this.entryAddress - this.entryInPage + (index - PAGES_BEFORE) * PAGE_BYTES;
      const page = virtual < 0 ? ABSENT : this.fetch(virtual);
      this.pages[index] = page < 0 ? ABSENT : page;
      if (page >= 0) this.window.set(this.memory.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES), index * PAGE_BYTES);
    }
    return this.pages[index] !== ABSENT;
  }

  /** Decodes the instruction at a guest offset; returns its record or -1. */
  private decodeAt(offset: number, mode: number): number {
    const position = offset + this.entryInPage - WINDOW_START;
    const index = position >> PAGE_SHIFT;
    if (!this.pageReady(index)) return -1;
    let end = (index + 1) * PAGE_BYTES;
    if (end - position < 15 && this.pageReady(index + 1)) end += PAGE_BYTES;
    const record = this.lengths.length;
    const length = this.frontend.decode(record, this.window, position, end, mode);
    if (length === 0) {
      if (offset === 0) this.faultAddress = this.entryAddress - this.entryInPage + PAGE_BYTES;
      return -1;
    }
    this.lengths.push(length);
    return record;
  }

  private decodeAll(mode: number): void {
    const { frontend, pending, recordAt, leaders } = this;
    pending.length = 0;
    pending.push(0);
    leaders.add(0);
    while (pending.length > 0) {
      let offset = pending.pop()!;
      for (;;) {
        if (recordAt.has(offset)) {
          leaders.add(offset);
          break;
        }
        if (this.lengths.length >= this.instructionLimit) break;
        const record = this.decodeAt(offset, mode);
        if (record < 0) break;
        recordAt.set(offset, record);
        const next = offset + this.lengths[record]!;
        const flow = frontend.flow(record);
        if (frontend.parts(record) > 1) {
          leaders.add(offset);
          leaders.add(next);
        }
        if (flow === Flow.next) {
          offset = next;
          continue;
        }
        const target = next + frontend.displacement(record);
        if (flow === Flow.jump || flow === Flow.branch) {
          leaders.add(target);
          if (!recordAt.has(target)) pending.push(target);
        }
        if (flow === Flow.call) this.exits.add(target);
        if (flow === Flow.jump || flow === Flow.return || flow === Flow.indirectJump || flow === Flow.stop) break;
        leaders.add(next);
        offset = next;
      }
    }
  }

  // Blocks.

  /** Guest offsets of the block's successors; undefined where the lifter alone knows. */
  private successors(last: number): number[] | undefined {
    const { frontend } = this;
    const record = this.recordAt.get(last)!;
    if (frontend.parts(record) > 1) return undefined;
    const next = last + this.lengths[record]!;
    const target = next + frontend.displacement(record);
    switch (frontend.flow(record)) {
      case Flow.next:
      case Flow.call:
      case Flow.indirectCall:
      case Flow.service:
        return [next];
      case Flow.jump:
        return [target];
      case Flow.branch:
        return [target, next];
      default:
        return [];
    }
  }

  /** Offset of the last instruction of the block that begins at `leader`. */
  private lastOf(leader: number): number {
    let offset = leader;
    for (;;) {
      const record = this.recordAt.get(offset)!;
      const next = offset + this.lengths[record]!;
      if (this.frontend.flow(record) !== Flow.next || this.leaders.has(next) || !this.recordAt.has(next)) return offset;
      offset = next;
    }
  }

  private liftAll(builder: RegionBuilder): void {
    const order: number[] = [];
    const lastOf = new Map<number, number>();
    const predecessors = new Map<number, number[]>();
    const visit = (start: number): void => {
      const stack: { leader: number; successors: readonly number[]; at: number }[] = [];
      const enter = (leader: number): void => {
        const last = this.lastOf(leader);
        lastOf.set(leader, last);
        const known = this.successors(last);
        const next = last + this.lengths[this.recordAt.get(last)!]!;
        const successors = known ?? [next];
        stack.push({ leader, successors, at: 0 });
        for (const successor of successors) {
          // What the lifter decides by itself may come from anywhere: such a block inherits nothing.
          const list = predecessors.get(successor) ?? [];
          list.push(known === undefined ? Number.NaN : leader);
          predecessors.set(successor, list);
          if (known === undefined) predecessors.set(leader, [...(predecessors.get(leader) ?? []), Number.NaN]);
        }
      };
      enter(start);
      while (stack.length > 0) {
        const top = stack[stack.length - 1]!;
        const successor = top.successors[top.at++];
        if (successor === undefined) {
          order.push(top.leader);
          stack.pop();
        } else if (this.recordAt.has(successor)) {
          if (!lastOf.has(successor)) enter(successor);
        } else {
          this.exits.add(successor);
        }
      }
    };
    visit(0);
    order.reverse();
    const blockOf = new Map<number, number>();
    for (const leader of order) {
      const from = leader === 0 ? undefined : predecessors.get(leader)?.map((offset) => blockOf.get(offset) ?? -1);
      const complete = from !== undefined && from.length > 0 && !from.includes(-1);
      const index = this.liftBlock(leader, lastOf.get(leader)!, complete ? from : undefined, builder);
      blockOf.set(leader, index);
    }
  }

  private liftBlock(leader: number, last: number, predecessors: readonly number[] | undefined, builder: RegionBuilder): number {
    const { frontend } = this;
    let index = builder.blocks.length;
    builder.beginBlock(blockKey(leader));
    frontend.beginBlock(builder, predecessors);
    for (let offset = leader; ; ) {
      const record = this.recordAt.get(offset)!;
      const length = this.lengths[record]!;
      const parts = frontend.parts(record);
      for (let part = 0; part < parts; part++) {
        if (part > 0) {
          if (!builder.ended) builder.jump(blockKey(offset, part));
          frontend.endBlock(builder);
          index = builder.blocks.length;
          builder.beginBlock(blockKey(offset, part));
          frontend.beginBlock(builder, undefined);
        }
        builder.beginInstruction(offset, length);
        frontend.lift(record, part, builder);
        if (!builder.ended) builder.endInstruction();
      }
      if (offset === last || builder.ended) break;
      offset += length;
    }
    const next = blockKey(last + this.lengths[this.recordAt.get(last)!]!);
    if (!builder.ended) {
      if (this.stepping) builder.exit(EngineExit.stepped, 0, next);
      else builder.jump(next);
    }
    frontend.endBlock(builder);
    return index;
  }
}
