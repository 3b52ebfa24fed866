/**
 * From an entry address to a region's blocks: decode what direct control flow reaches, cut it at leaders, lift it.
 *
 * The code is seen through a window of consecutive virtual pages around the entry, fetched as they are reached; a
 * region therefore may span pages, and says which physical pages it was made from. Everything found is kept in arrays
 * indexed by place in the window (stamped with the region's number, so that nothing is cleared) or by block.
 */
import { clear, clearAll } from "../clear.ts";
import { type Block, blockKey, DISPATCH, type RegionBuilder, Terminator } from "../ir/region.ts";
import { EngineExit } from "../layout.ts";
import { type EntryCode, REGION_REACH } from "../port-entry-code.ts";
import { Flow, type Frontend } from "../port-frontend.ts";
import type { FetchPage, IsEntry, JumpDistances, RegionExtent } from "./extent.ts";
import { CALLEE_INSTRUCTIONS, type DecodedCode, Inlining } from "./inlining.ts";
import { loopJoins } from "./loop-joins.ts";
import { leaveAfterOneRound } from "./one-round.ts";

const PAGE_SHIFT = 12;
const PAGE_BYTES = 1 << PAGE_SHIFT;
const PAGE_MASK: number = PAGE_BYTES - 1;
const GRANULE_SHIFT = 6;
/** Pages before the entry's page, and in all. */
const PAGES_BEFORE: number = REGION_REACH.pagesBefore;
const WINDOW_PAGES: number = PAGES_BEFORE + 1 + REGION_REACH.pagesBehind;
const WINDOW_BYTES = WINDOW_PAGES * PAGE_BYTES;
const ABSENT = -1;
const UNKNOWN = -2;

/** What discovery needs of memory. */
export interface SourceMemory {
  readonly bytes: Uint8Array;
  /** These bytes are about to be read for translation. */
  guard(page: number, offset: number, length: number): void;
  /** Whether regions made from this page are to test their guard bits whenever they are used. */
  isCheckedOnUse(page: number): boolean;
}

/** By granule of the window: not there; copied for a look; guarded, then copied. */
const Granule = { absent: 0, seen: 1, guarded: 2 } as const;
/** Each may make further loops ones that are entered in several places. */
const JOIN_ROUNDS = 3;
/** How many times as many instructions a region may have that dispatches: as an interpreter's loop, it is many in one. */
const DISPATCH_FACTOR = 4;
const GRANULE_BYTES = 1 << GRANULE_SHIFT;
const GRANULES_PER_PAGE = PAGE_BYTES >> GRANULE_SHIFT;
/** Words that have a bit for each byte of a granule. */
const GRANULE_WORDS: number = GRANULE_BYTES / 32;
const LONGEST_INSTRUCTION = 15;

export class RegionDiscovery implements DecodedCode {
  private readonly frontend: Frontend;
  private readonly memory: SourceMemory;
  private readonly window: Uint8Array = new Uint8Array(WINDOW_BYTES);
  private readonly pages: Int32Array = new Int32Array(WINDOW_PAGES);
  private readonly granuleState: Uint8Array = new Uint8Array(WINDOW_PAGES * GRANULES_PER_PAGE);
  /** By place: the region that decoded an instruction there, and its record. */
  private readonly decodedBy: Int32Array = new Int32Array(WINDOW_BYTES);
  private readonly recordAt: Uint16Array = new Uint16Array(WINDOW_BYTES);
  /** By place: the region for which a block begins there, and the block. */
  private readonly leaderFor: Int32Array = new Int32Array(WINDOW_BYTES);
  private readonly blockAt: Uint16Array = new Uint16Array(WINDOW_BYTES);
  private region = 0;
  /** By record. */
  private readonly places: number[] = [];
  private readonly lengths: number[] = [];
  private recordCount = 0;
  /** By block: first and last instruction's place, and the builder's block index once lifted (-1 before). */
  private readonly firstPlace: number[] = [];
  private readonly lastPlace: number[] = [];
  private readonly liftedAs: number[] = [];
  /** By block: the inlined call that it belongs to, or 0, and the inlined call that it ends with, or 0. */
  private readonly copyOf: number[] = [];
  private readonly calleeOf: number[] = [];
  private readonly inlining: Inlining = new Inlining(this);
  /** As `blockAt`, for blocks of inlined calls: by copy and place. */
  private readonly copiedBlocks: Map<number, number> = new Map();
  /** By block: blocks that may come here, -1 for one only the lifter knows. */
  private readonly predecessors: number[][] = [];
  private blockCount = 0;
  private readonly pending: number[] = [];
  private readonly order: number[] = [];
  private readonly stack: number[] = [];
  /** Direct transfers out of the region (guest offsets): calls and jumps that may be worth translating beside it. */
  readonly exits: number[] = [];
  private entryPlace = 0;
  private entryAddress = 0;
  private instructionLimit = 0;
  private transferCost = 0;
  private stepping = false;
  private threaded = false;
  private isEntry: IsEntry | undefined = undefined;
  private entryCode: EntryCode | undefined = undefined;
  private isCut: RegionExtent["isCut"];
  private distances: JumpDistances | undefined = undefined;
  private inlined = 0;
  private usualCallee: RegionExtent["usualCallee"];
  /** Places that the region's indirect jumps went to. */
  private readonly dispatched: number[] = [];
  /** Places of those indirect jumps. */
  private readonly dispatching: Set<number> = new Set();
  /** Guest offsets of the region's other entries: the targets of its dispatch block but for its own entry. */
  readonly entries: number[] = [];
  private fetch: FetchPage = () => ABSENT;
  /** Set when the entry's own instruction cannot be fetched: the address that faults. */
  faultAddress = -1;

  /** Whether the last region tests its guard bits. */
  checksGuards = false;

  constructor(frontend: Frontend, memory: SourceMemory) {
    this.frontend = frontend;
    this.memory = memory;
  }

  /** Lifts the region at `address` into `builder`. Returns false when its first instruction cannot be fetched. */
  discover(address: number, mode: number, fetch: FetchPage, builder: RegionBuilder, extent: RegionExtent): boolean {
    this.begin(extent);
    return this.lift(address, mode, fetch, builder);
  }

  /** Lifts the one instruction at `address`; behind it the region leaves with `EngineExit.stepped`. */
  discoverOne(address: number, mode: number, fetch: FetchPage, builder: RegionBuilder): boolean {
    this.begin({ limit: 1 });
    this.stepping = true;
    return this.lift(address, mode, fetch, builder);
  }

  private begin(extent: RegionExtent): void {
    this.instructionLimit = extent.limit;
    this.transferCost = extent.transferCost ?? 0;
    this.inlined = extent.inlined ?? 0;
    this.threaded = extent.threaded ?? false;
    this.isEntry = extent.isEntry;
    this.isCut = extent.isCut;
    this.entryCode = extent.entryCode;
    this.distances = extent.entryCode === undefined ? extent.distances : undefined;
    this.usualCallee = extent.usualCallee;
    this.stepping = false;
  }

  private lift(address: number, mode: number, fetch: FetchPage, builder: RegionBuilder): boolean {
    this.region++;
    this.entryAddress = address;
    this.entryPlace = PAGES_BEFORE * PAGE_BYTES + (address & PAGE_MASK);
    this.fetch = fetch;
    this.pages.fill(UNKNOWN);
    this.granuleState.fill(Granule.absent);
    this.recordCount = 0;
    clear(this.exits);
    clear(this.dispatched);
    clearAll(this.dispatching);
    clear(this.entries);
    this.faultAddress = -1;
    this.inlining.begin(this.inlined);
    clear(this.callees);
    clearAll(this.calledFrom);
    this.decodeAll(this.entryPlace, mode);
    if (this.recordCount === 0) return false;
    this.decodeCallees(mode);
    this.checksGuards = !this.stepping && this.pages.some((page) => page >= 0 && this.memory.isCheckedOnUse(page));
    builder.reset();
    this.frontend.beginRegion(builder, mode);
    this.entryCode?.lift(builder);
    this.orderBlocks();
    if (this.dispatched.length > 0) this.joinLoops();
    this.beginDispatch(builder);
    for (const block of this.order) this.liftedAs[block] = this.liftBlock(block, builder);
    if (this.stepping) leaveAfterOneRound(builder);
    return true;
  }

  /** Physical pages the last region was made from: distance in pages from the entry's page, and the page. */
  sourcePages(): { distance: number; page: number }[] {
    const result: { distance: number; page: number }[] = [];
    let seen = 0;
    for (let record = 0; record < this.recordCount; record++) {
      const place = this.places[record];
      seen |= 1 << (place >> PAGE_SHIFT);
      seen |= 1 << ((place + this.lengths[record] - 1) >> PAGE_SHIFT);
    }
    const entryCodeEnd = this.entryCodeEnd();
    for (let place = this.entryPlace; place < entryCodeEnd; place += PAGE_BYTES - (place % PAGE_BYTES))
      seen |= 1 << (place >> PAGE_SHIFT);
    for (let index = 0; index < WINDOW_PAGES; index++) {
      if ((seen & (1 << index)) !== 0) result.push({ distance: index - PAGES_BEFORE, page: this.pages[index] });
    }
    return result;
  }

  private readonly bits: Uint32Array = new Uint32Array(WINDOW_BYTES / 32);
  private readonly granules: Uint32Array = new Uint32Array(WINDOW_PAGES * 2);

  /** Source bytes by physical page, rounded out to the granules that guards have. */
  sourceRanges(): { page: number; start: number; end: number }[] {
    const { granules } = this;
    granules.fill(0);
    for (let record = 0; record < this.recordCount; record++) {
      const first = this.places[record] >> GRANULE_SHIFT;
      const last = (this.places[record] + this.lengths[record] - 1) >> GRANULE_SHIFT;
      granules[first >> 5] |= 1 << (first & 31);
      granules[last >> 5] |= 1 << (last & 31);
    }
    const entryCodeEnd = this.entryCodeEnd();
    for (let granule = this.entryPlace >> GRANULE_SHIFT; granule << GRANULE_SHIFT < entryCodeEnd; granule++)
      granules[granule >> 5] |= 1 << (granule & 31);
    const ranges: { page: number; start: number; end: number }[] = [];
    const perPage = PAGE_BYTES >> GRANULE_SHIFT;
    for (let granule = 0; granule < WINDOW_PAGES * perPage; granule++) {
      if (granules[granule >> 5] === 0) {
        granule |= 31;
        continue;
      }
      if ((granules[granule >> 5] & (1 << (granule & 31))) === 0) continue;
      const page = this.pages[Math.floor(granule / perPage)];
      const start = (granule % perPage) << GRANULE_SHIFT;
      const end = start + (1 << GRANULE_SHIFT);
      const last = ranges[ranges.length - 1];
      if (last !== undefined && last.page === page && last.end === start) last.end = end;
      else ranges.push({ page, start, end });
    }
    return ranges;
  }

  /**
   * Until it is called again: a bit for each byte from `pagesBefore` on that the region was made from, but for these fields'. Words of
   * granules that it was not made from may say anything.
   */
  sourceBits(fields: readonly number[]): Uint32Array {
    const { bits } = this;
    const entryCodeEnd = this.entryCodeEnd();
    let first = this.entryPlace;
    let last = Math.max(this.entryPlace, entryCodeEnd - 1);
    for (let record = 0; record < this.recordCount; record++) {
      first = Math.min(first, this.places[record]);
      last = Math.max(last, this.places[record] + this.lengths[record] - 1);
    }
    bits.fill(0, (first >> GRANULE_SHIFT) * GRANULE_WORDS, ((last >> GRANULE_SHIFT) + 1) * GRANULE_WORDS);
    for (let record = 0; record < this.recordCount; record++) {
      // What is no instruction is given out as one byte that stops, whatever it took to find out.
      const isNone = this.lengths[record] === 1 && this.frontend.flow(record) === Flow.stop;
      const end = this.places[record] + (isNone ? LONGEST_INSTRUCTION : this.lengths[record]);
      for (let place = this.places[record]; place < end; place++) bits[place >> 5] |= 1 << (place & 31);
    }
    for (const offset of fields) {
      const field = this.entryPlace + offset;
      for (let place = field; place < field + 4; place++) bits[place >> 5] &= ~(1 << (place & 31));
    }
    for (let place = this.entryPlace; place < entryCodeEnd; place++) bits[place >> 5] |= 1 << (place & 31);
    return bits;
  }

  /** Place behind the source bytes of the entry code, as far as their pages are there; `entryPlace` without any. */
  private entryCodeEnd(): number {
    const end = this.entryPlace + (this.entryCode?.sourceBytes ?? 0);
    let reached = this.entryPlace;
    while (reached < end && this.pageReady(reached >> PAGE_SHIFT)) reached += PAGE_BYTES - (reached % PAGE_BYTES);
    return Math.min(reached, end);
  }

  // Decoding.

  private pageReady(index: number): boolean {
    if (index < 0 || index >= WINDOW_PAGES) return false;
    if (this.pages[index] === UNKNOWN) {
      const virtual = this.entryAddress - (this.entryAddress & PAGE_MASK) + (index - PAGES_BEFORE) * PAGE_BYTES;
      const page = this.fetch(virtual);
      this.pages[index] = page < 0 ? ABSENT : page;
    }
    return this.pages[index] !== ABSENT;
  }

  /**
   * Brings a granule of a page that is ready into the window. Bits are set before the bytes are read that translations
   * are made from, so that no store in between is missed.
   */
  private bring(granule: number, state: number): void {
    if (this.granuleState[granule] >= state) return;
    this.granuleState[granule] = state;
    const page = this.pages[Math.floor(granule / GRANULES_PER_PAGE)];
    const offset = (granule % GRANULES_PER_PAGE) * GRANULE_BYTES;
    if (state === Granule.guarded && !this.stepping) this.memory.guard(page, offset, GRANULE_BYTES);
    const { window } = this;
    const { bytes } = this.memory;
    const from = page * PAGE_BYTES + offset;
    const to = granule * GRANULE_BYTES;
    for (let index = 0; index < GRANULE_BYTES; index++) window[to + index] = bytes[from + index];
  }

  isDecoded(place: number): boolean {
    return place >= 0 && place < WINDOW_BYTES && this.decodedBy[place] === this.region;
  }

  private isLeader(place: number): boolean {
    return place >= 0 && place < WINDOW_BYTES && this.leaderFor[place] === this.region;
  }

  private markLeader(place: number): void {
    if (place >= 0 && place < WINDOW_BYTES) this.leaderFor[place] = this.region;
  }

  /** Decodes the instruction at a place; returns its record or -1. */
  private decodeAt(place: number, mode: number): number {
    const index = place >> PAGE_SHIFT;
    if (!this.pageReady(index)) return -1;
    let end = (index + 1) * PAGE_BYTES;
    if (end - place < LONGEST_INSTRUCTION && this.pageReady(index + 1)) end += PAGE_BYTES;
    const granule = place >> GRANULE_SHIFT;
    this.bring(granule, Granule.guarded);
    // How far the instruction goes is known when it has been looked at.
    const mayReach = (place + LONGEST_INSTRUCTION - 1) >> GRANULE_SHIFT;
    if (mayReach > granule && mayReach << GRANULE_SHIFT < end) this.bring(mayReach, Granule.seen);
    const record = this.recordCount;
    let length = this.frontend.decode(record, this.window, place, end, mode);
    if (length > 0 && this.granuleState[(place + length - 1) >> GRANULE_SHIFT] !== Granule.guarded) {
      this.bring((place + length - 1) >> GRANULE_SHIFT, Granule.guarded);
      length = this.frontend.decode(record, this.window, place, end, mode);
    }
    if (length === 0) {
      if (place === this.entryPlace)
        this.faultAddress = this.entryAddress - (this.entryAddress & PAGE_MASK) + PAGE_BYTES;
      return -1;
    }
    this.places[record] = place;
    this.lengths[record] = length;
    this.recordCount++;
    this.decodedBy[place] = this.region;
    this.recordAt[place] = record;
    return record;
  }

  private endsBefore(place: number, blockStart: boolean): boolean {
    const address = this.entryAddress + place - this.entryPlace;
    if (this.isCut?.(address) === true) return true;
    if (!blockStart || this.isEntry === undefined) return false;
    const index = place >> PAGE_SHIFT;
    return this.pageReady(index) && this.isEntry(address, this.pages[index]);
  }

  /** Places of functions called, to be decoded for inlining. */
  private readonly callees: number[] = [];
  /** By place of a call, that of the function called. */
  private readonly calledFrom: Map<number, number> = new Map();

  /** Decodes functions that are called as far as they may be inlined. */
  private decodeCallees(mode: number): void {
    const { callees } = this;
    this.transferCost = 0;
    for (let next = 0; next < callees.length; next++) {
      const place = callees[next];
      if (this.isDecoded(place)) continue;
      const before = this.recordCount;
      const calls = callees.length;
      const dispatched = this.dispatched.length;
      this.instructionLimit = before + CALLEE_INSTRUCTIONS;
      this.decodeAll(place, mode);
      if (this.inlining.sizeOf(place) > 0) continue;
      for (let record = before; record < this.recordCount; record++) this.decodedBy[this.places[record]] = 0;
      this.recordCount = before;
      callees.length = calls;
      this.dispatched.length = dispatched;
    }
  }

  /** Notes where the call at `place` goes, or usually does. What begins a region of its own is left to it. */
  private noteCall(place: number, target: number): void {
    if (target < 0 || target >= WINDOW_BYTES) return;
    if (this.endsBefore(target, true)) return;
    this.markLeader(target);
    this.calledFrom.set(place, target);
    if (!this.callees.includes(target)) this.callees.push(target);
  }

  lengthAt(place: number): number {
    return this.lengths[this.recordAt[place]];
  }

  flowAt(place: number): number {
    return this.frontend.flow(this.recordAt[place]);
  }

  targetAt(place: number): number {
    return place + this.lengthAt(place) + this.frontend.displacement(this.recordAt[place]);
  }

  /** Decodes what direct control flow reaches from `first`. */
  private decodeAll(first: number, mode: number): void {
    const { frontend, pending } = this;
    clear(pending);
    pending.push(first);
    this.markLeader(first);
    while (pending.length > 0) {
      let place = pending.pop()!;
      let blockStart = true;
      for (;;) {
        if (this.isDecoded(place)) {
          this.markLeader(place);
          break;
        }
        if (this.recordCount >= this.instructionLimit) break;
        // What begins a region of its own is left to it.
        if (place !== first && this.endsBefore(place, blockStart)) break;
        blockStart = false;
        const record = this.decodeAt(place, mode);
        if (record < 0) break;
        const next = place + this.lengths[record];
        const flow = frontend.flow(record);
        if (frontend.parts(record) > 1) {
          this.markLeader(place);
          this.markLeader(next);
        }
        if (flow === Flow.next) {
          place = next;
          continue;
        }
        this.instructionLimit -= this.transferCost;
        const target = next + frontend.displacement(record);
        if (flow === Flow.jump || flow === Flow.branch) {
          this.markLeader(target);
          // Threaded code goes straight on: what never runs costs most of its translation.
          if (!this.isDecoded(target) && (flow === Flow.jump || !this.threaded)) pending.push(target);
        }
        if (flow === Flow.call) this.exits.push(target - this.entryPlace);
        if (this.inlined > 0) {
          if (flow === Flow.call) this.noteCall(place, target);
          if (flow === Flow.indirectCall) {
            const distance = this.usualCallee?.(this.entryAddress + place - this.entryPlace);
            if (distance !== undefined) this.noteCall(place, place + distance);
          }
        }
        if (flow === Flow.indirectJump) this.followIndirect(place);
        if (flow === Flow.jump || flow === Flow.return || flow === Flow.indirectJump || flow === Flow.stop) break;
        this.markLeader(next);
        place = next;
        blockStart = true;
      }
    }
  }

  /** Takes where an indirect jump went lately into the region, the most frequent place to be decoded next. */
  private followIndirect(place: number): void {
    const distances = this.distances?.(this.entryAddress + place - this.entryPlace) ?? [];
    for (const distance of distances.toReversed()) {
      const target = place + distance;
      if (target < 0 || target >= WINDOW_BYTES) continue;
      this.dispatching.add(place);
      if (this.dispatched.length === 0) this.instructionLimit *= DISPATCH_FACTOR;
      if (!this.dispatched.includes(target)) this.dispatched.push(target);
      this.markLeader(target);
      if (!this.isDecoded(target)) this.pending.push(target);
    }
  }

  /** When there are places that indirect jumps go to, the region is entered through a block that dispatches to them. */
  private beginDispatch(builder: RegionBuilder): void {
    for (const place of this.dispatched) {
      if (place !== this.entryPlace && this.isDecoded(place)) this.entries.push(place - this.entryPlace);
    }
    if (this.dispatched.some((place) => this.isDecoded(place))) {
      builder.dispatch([0, ...this.entries].map((offset) => blockKey(offset)));
    }
  }

  // Blocks, in reverse postorder.

  private enterBlock(place: number, copy = 0): number {
    const block = this.blockCount++;
    if (copy === 0) this.blockAt[place] = block;
    else this.copiedBlocks.set(copy * WINDOW_BYTES + place, block);
    this.copyOf[block] = copy;
    this.firstPlace[block] = place;
    this.liftedAs[block] = -1;
    const list = this.predecessors[block];
    if (list === undefined) this.predecessors[block] = [];
    else clear(list);
    let last = place;
    for (;;) {
      const record = this.recordAt[last];
      const next = last + this.lengths[record];
      if (this.frontend.flow(record) !== Flow.next || this.isLeader(next) || !this.isDecoded(next)) break;
      last = next;
    }
    this.lastPlace[block] = last;
    const callee = this.calledFrom.get(last);
    this.calleeOf[block] = callee === undefined ? 0 : this.inlining.inline(copy, callee, last + this.lengthAt(last));
    return block;
  }

  /** The copy that the place which `successor` found is in. */
  private successorCopy = 0;

  /** Place of the block's nth successor, or -1. What the lifter decides by itself is taken to go on behind. */
  private successor(block: number, edge: number): number {
    const copy = this.copyOf[block];
    const callee = this.calleeOf[block];
    this.successorCopy = copy;
    if (callee > 0) {
      const direct = this.flowAt(this.lastPlace[block]) === Flow.call;
      if (edge === (direct ? 0 : 1)) {
        this.successorCopy = callee;
        return this.calledFrom.get(this.lastPlace[block])!;
      }
      if (direct) return -1;
    }
    const { frontend } = this;
    const record = this.recordAt[this.lastPlace[block]];
    const next = this.lastPlace[block] + this.lengths[record];
    if (frontend.parts(record) > 1) return edge === 0 ? next : -1;
    switch (frontend.flow(record)) {
      case Flow.next:
      case Flow.call:
      case Flow.indirectCall:
      case Flow.service:
        return edge === 0 ? next : -1;
      case Flow.jump:
        return edge === 0 ? next + frontend.displacement(record) : -1;
      case Flow.branch:
        return edge === 0 ? next + frontend.displacement(record) : edge === 1 ? next : -1;
      case Flow.return:
        if (edge > 0 || copy === 0) return -1;
        this.successorCopy = this.inlining.copy(copy).caller;
        return this.inlining.copy(copy).returnPlace;
      default:
        return -1;
    }
  }

  private orderBlocks(): void {
    const { stack, order } = this;
    this.blockCount = 0;
    clearAll(this.copiedBlocks);
    this.inlining.begin(this.inlined);
    clear(order);
    clear(stack);
    const first = this.enterBlock(this.entryPlace);
    stack.push(first, 0);
    this.walk();
    for (const place of this.dispatched) {
      if (!this.isDecoded(place)) continue;
      let block = this.blockOf(place);
      if (block < 0) {
        block = this.enterBlock(place);
        stack.push(block, 0);
        this.walk();
      }
      this.predecessors[block].push(-1);
    }
    order.reverse();
    for (const block of order) this.liftedAs[block] = -1;
  }

  /**
   * Has a region that dispatches do so to where its loops are entered elsewhere than at their headers. Others are left there, for a
   * region that begins at the better place.
   */
  private joinLoops(): void {
    for (let round = 0; round < JOIN_ROUNDS; round++) {
      const roots = [0];
      for (const place of this.dispatched) if (this.isDecoded(place)) roots.push(this.blockOf(place));
      const before = this.dispatched.length;
      for (const block of loopJoins(this.order, this.predecessors, roots)) {
        const place = this.firstPlace[block];
        if (this.copyOf[block] === 0 && !this.dispatched.includes(place)) this.dispatched.push(place);
      }
      if (this.dispatched.length === before) return;
      this.orderBlocks();
    }
  }

  /** The block that begins at a place, or -1. */
  private blockOf(place: number, copy = 0): number {
    if (copy > 0) return this.copiedBlocks.get(copy * WINDOW_BYTES + place) ?? -1;
    const block = this.blockAt[place];
    if (block >= this.blockCount || this.firstPlace[block] !== place || this.copyOf[block] !== 0) return -1;
    return this.leaderFor[place] === this.region ? block : -1;
  }

  /** Enters what is reached from the blocks on the stack; each goes into `order` behind what comes after it. */
  private walk(): void {
    const { stack, order } = this;
    while (stack.length > 0) {
      const edge = stack[stack.length - 1];
      const block = stack[stack.length - 2];
      stack[stack.length - 1] = edge + 1;
      const place = this.successor(block, edge);
      if (place === -1) {
        order.push(block);
        stack.length -= 2;
        continue;
      }
      if (!this.isDecoded(place)) {
        this.exits.push(place - this.entryPlace);
        continue;
      }
      const copy = this.successorCopy;
      const known = this.blockOf(place, copy);
      const exists = known >= 0;
      const next = exists ? known : this.enterBlock(place, copy);
      const inParts = this.frontend.parts(this.recordAt[this.lastPlace[block]]) > 1;
      this.predecessors[next].push(inParts ? -1 : block);
      if (inParts) this.predecessors[block].push(-1);
      if (!exists) stack.push(next, 0);
    }
  }

  private readonly known: number[] = [];

  /** The builder's blocks that come to this one, or undefined unless all are lifted already. */
  private liftedPredecessors(block: number): readonly number[] | undefined {
    const { known } = this;
    clear(known);
    if (this.threaded || (this.firstPlace[block] === this.entryPlace && this.copyOf[block] === 0)) return undefined;
    for (const predecessor of this.predecessors[block]) {
      const index = predecessor < 0 ? -1 : this.liftedAs[predecessor];
      if (index < 0) return undefined;
      known.push(index);
    }
    return known;
  }

  private liftBlock(block: number, builder: RegionBuilder): number {
    const { frontend, entryPlace } = this;
    const first = this.firstPlace[block];
    const last = this.lastPlace[block];
    const copy = this.copyOf[block];
    let index = builder.blocks.length;
    builder.beginBlock(blockKey(first - entryPlace, 0, copy));
    frontend.beginBlock(builder, this.liftedPredecessors(block));
    if (this.checksGuards) builder.guardTest(first - entryPlace);
    for (let place = first; ;) {
      const record = this.recordAt[place];
      const length = this.lengths[record];
      const parts = frontend.parts(record);
      for (let part = 0; part < parts; part++) {
        if (part > 0) {
          if (!builder.ended) builder.jump(blockKey(place - entryPlace, part));
          frontend.endBlock(builder);
          index = builder.blocks.length;
          builder.beginBlock(blockKey(place - entryPlace, part, copy));
          frontend.beginBlock(builder, undefined);
        }
        builder.beginInstruction(place - entryPlace, length);
        const firstNode = builder.nodeCount;
        frontend.lift(record, part, builder);
        if (builder.ended) continue;
        builder.endInstruction();
        // Behind the last part only: what an instruction does in parts it does once.
        if (this.checksGuards && part === parts - 1 && builder.mayStore(firstNode))
          builder.guardTest(place - entryPlace + length);
      }
      if (place === last || builder.ended) break;
      place += length;
    }
    if (!builder.ended) {
      const next = blockKey(last + this.lengths[this.recordAt[last]] - entryPlace);
      if (this.stepping) builder.exit(EngineExit.stepped, 0, next);
      else builder.jump(next);
    }
    const ended = builder.blocks[index];
    if (
      ended.terminator === Terminator.jumpIndirect &&
      this.dispatching.has(last) &&
      builder.dispatchTargets.length > 0
    ) {
      ended.target = DISPATCH;
    }
    this.linkInlined(block, ended);
    frontend.endBlock(builder);
    return index;
  }

  /** Leads an inlined call to its copy, and a return there back. */
  private linkInlined(block: number, lifted: Block): void {
    const { inlining, entryPlace } = this;
    const copy = this.copyOf[block];
    const callee = this.calleeOf[block];
    if (lifted.terminator === Terminator.return && copy > 0) {
      const { caller, returnPlace } = inlining.copy(copy);
      lifted.target = blockKey(returnPlace - entryPlace, 0, caller);
    } else if (callee > 0 && (lifted.terminator === Terminator.call || lifted.terminator === Terminator.callIndirect)) {
      lifted.target = blockKey(this.calledFrom.get(this.lastPlace[block])! - entryPlace, 0, callee);
      if (lifted.terminator === Terminator.call) lifted.terminator = Terminator.jump;
    }
  }
}
