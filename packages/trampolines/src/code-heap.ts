/**
 * The code heap: every translated fragment of all emulated processes, found by where its source is in emulated
 * *physical* memory, and the table slots that direct jumps go through.
 *
 * Invariants:
 * - A fragment's *home slot* leads to it in every table that has its module, until it is discarded; to nothing else, ever.
 * - A *link slot* stands for "from this physical page, to that distance": the same number in all processes, leading
 *   where this process's mappings say. It begins as a trap in every table.
 * - A discarded fragment is in no index, and no link slot of any table leads to it.
 */

/** A batch of fragments compiled together. `module` is whatever the composer instantiates per process. */
export interface HeapModule<Module> {
  readonly id: number;
  readonly module: Module;
}

export interface Fragment<Module> {
  readonly id: number;
  readonly homeSlot: number;
  readonly container: HeapModule<Module>;
  /** Emulated physical page and offset in it of the first source byte executed. */
  readonly page: number;
  readonly offset: number;
  readonly mode: number;
  /** Of several fragments for one place and mode, the one of the highest tier is used. */
  readonly tier: number;
  /** Other physical pages it was made from: distance in virtual pages from the entry's page, and physical page. */
  readonly otherPages: readonly { readonly distance: number; readonly page: number }[];
  /** Source bytes as pairs (page, start, end) for the guards. */
  readonly sources: readonly SourceRange[];
  /** It tests its guard bits whenever it is used, and may be stale. */
  readonly checked: boolean;
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
  growTo(slots: number): void;
}

const PAGE_SHIFT = 12;

export class CodeHeap<Module> {
  private readonly fragments: Map<number, Fragment<Module>[]> = new Map();
  private readonly bySourcePage: Map<number, Set<Fragment<Module>>> = new Map();
  private readonly linkSlots: Map<number, Map<number, number>> = new Map();
  private readonly tables: Set<TableOfProcess<Module>> = new Set();
  private readonly leaving: Set<number> = new Set();
  private nextSlot: number;
  private nextFragment = 1;
  private nextModule = 1;
  readonly statistics: { fragments: number; discarded: number; modules: number; linkSlots: number } = {
    fragments: 0,
    discarded: 0,
    modules: 0,
    linkSlots: 0,
  };

  /** @param reservedSlots slots 0..n-1 belong to the composer in every table (stubs) */
  constructor(reservedSlots: number) {
    this.nextSlot = reservedSlots;
  }

  get slotCount(): number {
    return this.nextSlot;
  }

  attach(table: TableOfProcess<Module>): void {
    this.tables.add(table);
  }
  detach(table: TableOfProcess<Module>): void {
    this.tables.delete(table);
  }

  private static entryKey(page: number, offset: number): number {
    return page * (1 << PAGE_SHIFT) + offset;
  }

  /**
   * Fragments whose entry is at this physical place, the highest tier first: several when they reach into differing
   * pages, run in differing modes, or were translated again with more care.
   */
  at(page: number, offset: number): readonly Fragment<Module>[] {
    return this.fragments.get(CodeHeap.entryKey(page, offset)) ?? [];
  }

  /** Consecutive home slots for a batch about to be compiled. */
  reserveHomeSlots(count: number): number {
    const first = this.nextSlot;
    this.nextSlot += count;
    return first;
  }

  addModule(module: Module): HeapModule<Module> {
    this.statistics.modules++;
    return { id: this.nextModule++, module };
  }

  add(description: Omit<Fragment<Module>, "id" | "discarded">): Fragment<Module> {
    const fragment: Fragment<Module> = { ...description, id: this.nextFragment++, discarded: false };
    const key = CodeHeap.entryKey(fragment.page, fragment.offset);
    const list = this.fragments.get(key);
    if (list === undefined) this.fragments.set(key, [fragment]);
    else list.splice(list.findIndex((other) => other.tier <= fragment.tier) >>> 0, 0, fragment);
    for (const source of fragment.sources) {
      let set = this.bySourcePage.get(source.page);
      if (set === undefined) this.bySourcePage.set(source.page, (set = new Set()));
      set.add(fragment);
    }
    this.statistics.fragments++;
    return fragment;
  }

  /**
   * The slot for direct transfers from code on `page` (in `mode`) to `distance` bytes from that page's start.
   * Jumps within one page, and from one page to one target, share it.
   */
  linkSlot(page: number, mode: number, distance: number): number {
    // Modes are of 32 bits, pages of 20: no two share a key.
    const from = page * 2 ** 32 + mode;
    let slots = this.linkSlots.get(from);
    if (slots === undefined) this.linkSlots.set(from, (slots = new Map()));
    let slot = slots.get(distance);
    if (slot === undefined) {
      slot = this.nextSlot++;
      slots.set(distance, slot);
      if (distance < 0 || distance >> PAGE_SHIFT !== 0) this.leaving.add(slot);
      this.statistics.linkSlots++;
    }
    return slot;
  }

  /** Whether a link slot leads out of the page it is of: the same distance may then mean another place. */
  leavesPage(slot: number): boolean {
    return this.leaving.has(slot);
  }

  /** Fragments made from any granule that these bytes touch. */
  madeFrom(page: number, offset: number, length: number, granuleShift: number): Fragment<Module>[] {
    const set = this.bySourcePage.get(page);
    if (set === undefined) return [];
    const first = offset >> granuleShift;
    const last = (offset + length - 1) >> granuleShift;
    return [...set].filter((fragment) =>
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
    const key = CodeHeap.entryKey(fragment.page, fragment.offset);
    const list = this.fragments.get(key)!.filter((other) => other !== fragment);
    if (list.length === 0) this.fragments.delete(key);
    else this.fragments.set(key, list);
    for (const source of fragment.sources) {
      const set = this.bySourcePage.get(source.page);
      set?.delete(fragment);
      if (set?.size === 0) this.bySourcePage.delete(source.page);
    }
    for (const table of this.tables) table.unlinkFragment(fragment);
  }
}
