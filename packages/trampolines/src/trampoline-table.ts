/**
 * A process's private trampolines: a WebAssembly table whose slots start as traps.
 *
 * Running into a trap asks the resolver, which links the slot to a fragment for this process only. Everything a
 * process can undo (a remap, a discard) is putting traps back.
 */
import type { CodeHeap, Fragment, HeapModule, TableOfProcess } from "./code-heap.ts";

/** Copies one table element onto another; WebAssembly's table.copy, which needs no function object in JavaScript. */
export type CopySlot = (to: number, from: number) => void;

const GROWTH = 4096;

export interface TableStatistics {
  /** Times that a slot was led to a fragment. */
  linked: number;
  /** Modules instantiated for this table. */
  instances: number;
}

export class TrampolineTable<Module> implements TableOfProcess<Module> {
  readonly table: WebAssembly.Table;
  private copySlot: CopySlot = () => {
    throw new Error("the table has no trap stub yet");
  };
  private trapSlot = -1;
  private readonly heap: CodeHeap<Module>;
  private readonly instantiated: Set<number> = new Set();
  /** Those that the process which has the table now has asked for. */
  private readonly used: Set<number> = new Set();
  /**
   * The fragment that each linked slot leads to. The slots of one fragment are a ring: `next` and `before` of each, and one
   * of them by the fragment's number.
   */
  private readonly fragmentAt: (Fragment<Module> | undefined)[] = [];
  private readonly slotOf: Map<number, number> = new Map();
  private next: Int32Array = new Int32Array(GROWTH);
  private before: Int32Array = new Int32Array(GROWTH);
  readonly statistics: TableStatistics = { linked: 0, instances: 0 };

  constructor(heap: CodeHeap<Module>) {
    this.heap = heap;
    this.table = new WebAssembly.Table({ initial: GROWTH, element: "anyfunc" });
    heap.attach(this);
  }

  /** A process begins to run through it. */
  occupy(): void {
    this.heap.setIdle(this, false);
  }

  /**
   * That process has ended: all link slots hold traps. Home slots keep what was instantiated, for the process that takes the table
   * next.
   */
  vacate(): void {
    this.unlinkAll();
    this.used.clear();
    this.heap.setIdle(this, true);
  }

  /** Fills every slot from `firstFree` with the stub at `trapSlot`. */
  setTrap(trapSlot: number, firstFree: number, copySlot: CopySlot): void {
    this.trapSlot = trapSlot;
    this.copySlot = copySlot;
    const stub: unknown = this.table.get(trapSlot);
    for (let slot = firstFree; slot < this.table.length; slot++) this.table.set(slot, stub);
  }

  growTo(slots: number): void {
    if (slots <= this.table.length) return;
    const wanted = Math.max(slots, Math.min(this.table.length * 2, this.table.length + 65536));
    this.table.grow(wanted - this.table.length, this.table.get(this.trapSlot));
  }

  /** Whether the process has had the module before. If not, its fragments are in the table now: by `instantiate`, if need be. */
  ensure(
    container: HeapModule<Module>,
    instantiate: (module: Module, slots: readonly number[] | undefined) => void,
  ): boolean {
    if (this.used.has(container.id)) return true;
    this.used.add(container.id);
    this.growTo(this.heap.slotCount);
    if (container.module === undefined || this.instantiated.has(container.id)) return false;
    this.instantiated.add(container.id);
    instantiate(container.module, container.slots);
    // Those of the batch that were discarded since must not be reached by their slots.
    if (container.live.length < container.count) this.trapDiscarded(container);
    this.statistics.instances++;
    return false;
  }

  private trapDiscarded(container: HeapModule<Module>): void {
    const live = new Set<number>();
    for (const { homeSlot } of container.live) live.add(homeSlot);
    for (let slot = container.firstSlot; slot < container.firstSlot + container.count; slot++)
      if (!live.has(slot)) this.copySlot(slot, this.trapSlot);
  }

  link(slot: number, fragment: Fragment<Module>): void {
    this.copySlot(slot, fragment.homeSlot);
    this.forgetSlot(slot);
    this.enter(slot, fragment);
    this.statistics.linked++;
  }

  private enter(slot: number, fragment: Fragment<Module>): void {
    if (slot >= this.next.length) this.growRings(slot);
    const { next, before, fragmentAt } = this;
    while (fragmentAt.length < slot) fragmentAt.push(undefined);
    fragmentAt[slot] = fragment;
    const other = this.slotOf.get(fragment.id);
    if (other === undefined) {
      this.slotOf.set(fragment.id, slot);
      next[slot] = before[slot] = slot;
      return;
    }
    next[slot] = next[other];
    before[slot] = other;
    before[next[slot]] = next[other] = slot;
  }

  private growRings(slot: number): void {
    const length = Math.max(this.next.length * 2, slot + 1);
    const { next, before } = this;
    this.next = new Int32Array(length);
    this.next.set(next);
    this.before = new Int32Array(length);
    this.before.set(before);
  }

  /** Traps in a discarded fragment's slots. Its home slot, too: nobody goes there, and its code can be collected. */
  unlinkFragment(fragment: Fragment<Module>): void {
    const { container } = fragment;
    const hasHome = container.module !== undefined && this.instantiated.has(container.id);
    if (hasHome) this.copySlot(fragment.homeSlot, this.trapSlot);
    const first = this.slotOf.get(fragment.id);
    if (first === undefined) return;
    let slot = first;
    do {
      this.copySlot(slot, this.trapSlot);
      this.fragmentAt[slot] = undefined;
      slot = this.next[slot];
    } while (slot !== first);
    this.slotOf.delete(fragment.id);
  }

  forget(container: HeapModule<Module>): void {
    this.instantiated.delete(container.id);
    this.used.delete(container.id);
  }

  private forgetSlot(slot: number): void {
    const fragment = this.fragmentAt[slot];
    if (fragment === undefined) return;
    this.fragmentAt[slot] = undefined;
    const { next, before } = this;
    const other = next[slot];
    if (other === slot) {
      this.slotOf.delete(fragment.id);
      return;
    }
    before[other] = before[slot];
    next[before[slot]] = other;
    if (this.slotOf.get(fragment.id) === slot) this.slotOf.set(fragment.id, other);
  }

  /** Traps in these link slots again. */
  unlink(slots: readonly number[]): void {
    for (const slot of slots) {
      if (slot < this.table.length) this.copySlot(slot, this.trapSlot);
      this.forgetSlot(slot);
    }
  }

  /** Traps in all link slots again. */
  unlinkAll(): void {
    const { fragmentAt } = this;
    for (let slot = 0; slot < fragmentAt.length; slot++) {
      if (fragmentAt[slot] === undefined) continue;
      this.copySlot(slot, this.trapSlot);
      fragmentAt[slot] = undefined;
    }
    this.slotOf.clear();
  }

  dispose(): void {
    this.heap.detach(this);
    this.used.clear();
    this.slotOf.clear();
    this.fragmentAt.length = 0;
  }
}
