/**
 * The code heap: every translated fragment of all emulated processes, found by where its source is in emulated
 * *physical* memory, and the table slots that direct jumps go through.
 *
 * Invariants:
 * - A fragment's *home slot* leads to it in every table that has its module, until it is discarded; to nothing else, ever.
 *   (Unless its module has no code: then to a stub that finds it.)
 * - A *link slot* stands for "from this physical page, to that distance": the same number in all processes, leading
 *   where this process's mappings say. It begins as a trap in every table.
 * - A discarded fragment is in no index, and no link slot of any table leads to it.
 * - Slots of what was discarded are used again only after `reclaim`, which is called where no fragment is running: until
 *   then code that refers to them may still be on some stack.
 */

/** A batch of fragments compiled together. `module` is whatever the composer instantiates per process. */
export interface HeapModule<Module> {
  readonly id: number;
  /** Undefined for what needs no instance: its home slot is one of the composer's stubs, which finds it. */
  readonly module: Module | undefined;
  /** The home slots of its fragments: `count` from `firstSlot` on. */
  readonly firstSlot: number;
  readonly count: number;
  /** Size, in whatever unit the heap's bound is in. */
  readonly size: number;
  /** The slots that it asks for by name: its own first one, then links; undefined where it has their numbers in it. */
  readonly slots: readonly number[] | undefined;
  /** Its fragments that are not discarded. */
  readonly live: Fragment<Module>[];
}

export interface FragmentEntry {
  readonly offset: number;
  readonly data: number;
}

export interface Fragment<Module> {
  readonly id: number;
  readonly homeSlot: number;
  readonly container: HeapModule<Module>;
  /** The composer's own. */
  readonly data?: number;
  /**
   * All places on its page where it can be entered, and for each what the composer wants to find there; absent: only at
   * `offset`.
   */
  readonly entries?: readonly FragmentEntry[];
  /** Emulated physical page and offset in it of the first source byte executed. */
  readonly page: number;
  readonly offset: number;
  readonly mode: number;
  /** Bits of the mode that it does not go by. */
  readonly ignoredMode: number;
  /** Of several fragments for one place and mode, the one of the highest tier is used. */
  readonly tier: number;
  /** Other physical pages it was made from: distance in virtual pages from the entry's page, and physical page. */
  readonly otherPages: readonly { readonly distance: number; readonly page: number }[];
  /** Source bytes as pairs (page, start, end) for the guards. */
  readonly sources: readonly SourceRange[];
  /** It tests its guard bits whenever it is used, and may be stale. */
  readonly checked: boolean;
  /** The link slots that its code goes through. */
  readonly linkSlots: readonly number[];
  /** The composer's own mark, handed back by `reclaim` when nothing runs the fragment any more. */
  readonly counter: number;
  discarded: boolean;
}

export interface SourceRange {
  readonly page: number;
  readonly start: number;
  readonly end: number;
}

/** What a table tells the heap it can do: put a trap back. */
export interface TableOfProcess<Module> {
  unlinkFragment(fragment: Fragment<Module>): void;
  /** The module is gone for good. */
  forget(container: HeapModule<Module>): void;
  /** Puts traps into link slots that nobody refers to any more. */
  unlink(slots: readonly number[]): void;
}

export interface CodeHeapOptions {
  /** Modules are evicted, the oldest first, when those that live are together larger than this. Default: no bound. */
  readonly maximumSize?: number;
}

/** Once it is over its bound, the heap makes this much room. */
const EVICTED_SHARE = 0.25;

interface LinkSlot {
  readonly from: number;
  readonly distance: number;
  /** Fragments whose code goes through it. */
  users: number;
}

const PAGE_SHIFT = 12;
/** Reclaiming costs a flush of every jump cache: so much garbage is worth it, in slots and fragments without a module. */
const GARBAGE_WORTH_COLLECTING = 1024;
/** For how many of these a module counts, which holds machine code. */
const MODULE_WORTH = 16;
const NONE: readonly never[] = [];

export interface HeapStatistics {
  fragments: number;
  discarded: number;
  /** Those of them that had to make room. */
  evicted: number;
  modules: number;
  linkSlots: number;
  slotsReclaimed: number;
}

export class CodeHeap<Module> {
  private readonly fragments: Map<number, Fragment<Module>[]> = new Map();
  private readonly bySourcePage: Map<number, Fragment<Module>[]> = new Map();
  private readonly linkSlots: Map<number, Map<number, number>> = new Map();
  /** Where the last link slot asked for was from, and those from there: a region asks for all of its own at once. */
  private askedFrom = -1;
  private askedSlots: Map<number, number> = new Map();
  /** By slot. */
  private readonly linkSlotOf: (LinkSlot | undefined)[] = [];
  private readonly tables: Set<TableOfProcess<Module>> = new Set();
  /** Those of them that are no process's for now. */
  private readonly idle: Set<TableOfProcess<Module>> = new Set();
  private readonly modules: Map<number, HeapModule<Module>> = new Map();
  /** Discarded since the last `reclaim`. */
  private readonly discardedModules: HeapModule<Module>[] = [];
  /** What they count for. */
  private garbage = 0;
  private readonly discardedCounters: number[] = [];
  private unusedLinkSlots: number[] = [];
  /** First home slots of ranges that are free, by length; free link slots. */
  private readonly freeRanges: Map<number, number[]> = new Map();
  private readonly freeLinkSlots: number[] = [];
  private readonly maximumSize: number;
  private size = 0;
  private nextSlot: number;
  private nextFragment = 1;
  private nextModule = 1;
  readonly statistics: HeapStatistics = {
    fragments: 0,
    discarded: 0,
    evicted: 0,
    modules: 0,
    linkSlots: 0,
    slotsReclaimed: 0,
  };

  /** @param reservedSlots slots 0..n-1 belong to the composer in every table (stubs) */
  constructor(reservedSlots: number, options: CodeHeapOptions = {}) {
    this.nextSlot = reservedSlots;
    this.maximumSize = options.maximumSize ?? Infinity;
  }

  get slotCount(): number {
    return this.nextSlot;
  }

  get moduleCount(): number {
    return this.modules.size;
  }

  /** Slots that nobody has: the others are in use, or reserved. */
  get freeSlots(): number {
    let free = this.freeLinkSlots.length;
    for (const [length, ranges] of this.freeRanges) free += length * ranges.length;
    return free;
  }

  /** Tables of processes. */
  get tableCount(): number {
    return this.tables.size - this.idle.size;
  }

  attach(table: TableOfProcess<Module>): void {
    this.tables.add(table);
  }
  detach(table: TableOfProcess<Module>): void {
    this.tables.delete(table);
    this.idle.delete(table);
  }
  setIdle(table: TableOfProcess<Module>, idle: boolean): void {
    if (idle) this.idle.add(table);
    else this.idle.delete(table);
  }

  private static entryKey(page: number, offset: number): number {
    return page * (1 << PAGE_SHIFT) + offset;
  }

  /**
   * Fragments with an entry at this physical place, the highest tier first: several when they reach into differing
   * pages, run in differing modes, or were translated again with more care.
   */
  at(page: number, offset: number): readonly Fragment<Module>[] {
    return this.fragments.get(CodeHeap.entryKey(page, offset)) ?? NONE;
  }

  /** The modules that are there, numbered above `id`; the oldest first. */
  *modulesAfter(id: number): Generator<HeapModule<Module>> {
    // Their numbers follow one another, and most times few are new; those that are gone leave gaps.
    if (this.nextModule - id > this.modules.size) {
      for (const container of this.modules.values()) if (container.id > id) yield container;
      return;
    }
    for (let next = id + 1; next < this.nextModule; next++) {
      const container = this.modules.get(next);
      if (container !== undefined) yield container;
    }
  }

  /** Consecutive home slots for a batch about to be compiled; they go back with the module made for them. */
  reserveHomeSlots(count: number): number {
    const recycled = this.freeRanges.get(count)?.pop();
    if (recycled !== undefined) return recycled;
    const first = this.nextSlot;
    this.nextSlot += count;
    return first;
  }

  addModule(
    module: Module | undefined,
    firstSlot: number,
    count: number,
    size = 0,
    slots?: readonly number[],
  ): HeapModule<Module> {
    this.statistics.modules++;
    const container: HeapModule<Module> = { id: this.nextModule++, module, firstSlot, count, size, slots, live: [] };
    this.modules.set(container.id, container);
    this.size += size;
    return container;
  }

  add(description: Omit<Fragment<Module>, "id" | "discarded">): Fragment<Module> {
    const fragment: Fragment<Module> = { ...description, id: this.nextFragment++, discarded: false };
    if (fragment.entries === undefined) this.enter(fragment, fragment.offset);
    else for (const { offset } of fragment.entries) this.enter(fragment, offset);
    for (const source of fragment.sources) {
      const list = this.bySourcePage.get(source.page);
      if (list === undefined) this.bySourcePage.set(source.page, [fragment]);
      else if (list[list.length - 1] !== fragment) list.push(fragment);
    }
    fragment.container.live.push(fragment);
    this.holdLinks(fragment.linkSlots);
    this.statistics.fragments++;
    return fragment;
  }

  private enter(fragment: Fragment<Module>, offset: number): void {
    const key = CodeHeap.entryKey(fragment.page, offset);
    const list = this.fragments.get(key);
    if (list === undefined) this.fragments.set(key, [fragment]);
    else list.splice(list.findIndex((other) => other.tier <= fragment.tier) >>> 0, 0, fragment);
  }

  private leave(fragment: Fragment<Module>, offset: number): void {
    const key = CodeHeap.entryKey(fragment.page, offset);
    const list = this.fragments.get(key)!.filter((other) => other !== fragment);
    if (list.length === 0) this.fragments.delete(key);
    else this.fragments.set(key, list);
  }

  /**
   * The slot for direct transfers from code on `page` (in `mode`) to `distance` bytes from that page's start.
   * Jumps within one page, and from one page to one target, share it.
   */
  linkSlot(page: number, mode: number, distance: number): number {
    // Modes are of 32 bits, pages of 20: no two share a key.
    const from = page * 2 ** 32 + mode;
    if (from !== this.askedFrom) {
      let known = this.linkSlots.get(from);
      if (known === undefined) this.linkSlots.set(from, (known = new Map()));
      this.askedFrom = from;
      this.askedSlots = known;
    }
    const slots = this.askedSlots;
    let slot = slots.get(distance);
    if (slot === undefined) {
      slot = this.freeLinkSlots.pop() ?? this.nextSlot++;
      slots.set(distance, slot);
      while (this.linkSlotOf.length < slot) this.linkSlotOf.push(undefined);
      this.linkSlotOf[slot] = { from, distance, users: 0 };
      this.statistics.linkSlots++;
    }
    return slot;
  }

  /** Code that is no fragment goes through these link slots. */
  holdLinks(slots: readonly number[]): void {
    for (const slot of slots) this.linkSlotOf[slot]!.users++;
  }

  /** It is gone. */
  releaseLinks(slots: readonly number[]): void {
    for (const slot of slots) if (--this.linkSlotOf[slot]!.users === 0) this.unusedLinkSlots.push(slot);
  }

  /** Whether a link slot leads out of the page it is of: the same distance may then mean another place. */
  leavesPage(slot: number): boolean {
    const { distance = 0 } = this.linkSlotOf[slot] ?? {};
    return distance < 0 || distance >> PAGE_SHIFT !== 0;
  }

  /** Fragments made from any granule that these bytes touch. */
  madeFrom(page: number, offset: number, length: number, granuleShift: number): Fragment<Module>[] {
    const list = this.bySourcePage.get(page);
    if (list === undefined) return [];
    const first = offset >> granuleShift;
    const last = (offset + length - 1) >> granuleShift;
    return list.filter((fragment) =>
      fragment.sources.some(
        (source) =>
          source.page === page && source.start >> granuleShift <= last && (source.end - 1) >> granuleShift >= first,
      ),
    );
  }

  discard(fragment: Fragment<Module>): void {
    if (fragment.discarded) return;
    fragment.discarded = true;
    this.statistics.discarded++;
    if (fragment.entries === undefined) this.leave(fragment, fragment.offset);
    else for (const { offset } of fragment.entries) this.leave(fragment, offset);
    for (const source of fragment.sources) {
      const list = this.bySourcePage.get(source.page);
      const index = list?.indexOf(fragment) ?? -1;
      if (list === undefined || index < 0) continue;
      if (list.length === 1) this.bySourcePage.delete(source.page);
      else list.splice(index, 1);
    }
    for (const table of this.tables) table.unlinkFragment(fragment);
    this.release(fragment);
  }

  private release(fragment: Fragment<Module>): void {
    const { container, linkSlots, counter } = fragment;
    if (counter !== 0) this.discardedCounters.push(counter);
    this.releaseLinks(linkSlots);
    const { live } = container;
    live.splice(live.indexOf(fragment), 1);
    // The others of its batch keep the module, whose instances put all of its fragments into tables.
    if (live.length > 0) return;
    this.modules.delete(container.id);
    this.size -= container.size;
    this.discardedModules.push(container);
    this.garbage += container.module === undefined ? 1 : MODULE_WORTH;
  }

  /**
   * Discards the oldest modules when the heap is over its bound; code translated with care is the last to go. Returns how many
   * fragments went.
   */
  evict(): number {
    const before = this.statistics.evicted;
    if (this.size > this.maximumSize) this.makeRoom();
    return this.statistics.evicted - before;
  }

  private makeRoom(): void {
    const target = this.maximumSize * (1 - EVICTED_SHARE);
    for (const highest of [0, 1, Infinity]) {
      for (const container of this.modules.values()) {
        if (this.size <= target) return;
        const fragments = [...container.live];
        if (fragments.some(({ tier }) => tier > highest)) continue;
        for (const fragment of fragments) this.discard(fragment);
        this.statistics.evicted += fragments.length;
      }
    }
  }

  /** Whether `reclaim` has anything to do worth its while. */
  get hasGarbage(): boolean {
    return this.garbage + this.unusedLinkSlots.length >= GARBAGE_WORTH_COLLECTING;
  }

  /**
   * Makes the slots of what was discarded free for new code. To be called where no fragment of any process is running;
   * whoever remembers home slots (jump caches) has to forget them now.
   * @returns the counters of the fragments that are gone
   */
  reclaim(): readonly number[] {
    for (const container of this.discardedModules) {
      for (const table of this.tables) table.forget(container);
      if (container.module === undefined) continue;
      let ranges = this.freeRanges.get(container.count);
      if (ranges === undefined) this.freeRanges.set(container.count, (ranges = []));
      ranges.push(container.firstSlot);
      this.statistics.slotsReclaimed += container.count;
    }
    this.discardedModules.length = 0;
    this.garbage = 0;
    this.askedFrom = -1;
    const unused = this.unusedLinkSlots.filter((slot) => this.linkSlotOf[slot]?.users === 0);
    this.unusedLinkSlots = [];
    for (const slot of new Set(unused)) {
      const { from, distance } = this.linkSlotOf[slot]!;
      const slots = this.linkSlots.get(from)!;
      slots.delete(distance);
      if (slots.size === 0) this.linkSlots.delete(from);
      this.linkSlotOf[slot] = undefined;
      this.freeLinkSlots.push(slot);
      this.statistics.slotsReclaimed++;
    }
    for (const table of this.tables) table.unlink(unused);
    return this.discardedCounters.splice(0);
  }
}
