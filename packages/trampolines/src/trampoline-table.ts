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
  private readonly slotsOf: Map<Fragment<Module>, Set<number>> = new Map();
  private readonly fragmentAt: Map<number, Fragment<Module>> = new Map();
  readonly statistics: TableStatistics = { linked: 0, instances: 0 };

  constructor(heap: CodeHeap<Module>) {
    this.heap = heap;
    this.table = new WebAssembly.Table({ initial: GROWTH, element: "anyfunc" });
    heap.attach(this);
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

  /** Whether the module's fragments were in this table already; `instantiate` puts them there if not. */
  ensure(container: HeapModule<Module>, instantiate: (module: Module) => void): boolean {
    if (this.instantiated.has(container.id)) return true;
    this.growTo(this.heap.slotCount);
    this.instantiated.add(container.id);
    if (container.module === undefined) return false;
    instantiate(container.module);
    // Those of the batch that were discarded since must not be reached by their slots.
    if (container.live.size < container.count) this.trapDiscarded(container);
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
    this.fragmentAt.set(slot, fragment);
    let slots = this.slotsOf.get(fragment);
    if (slots === undefined) this.slotsOf.set(fragment, (slots = new Set()));
    slots.add(slot);
    this.statistics.linked++;
  }

  /** Traps in a discarded fragment's slots. Its home slot, too: nobody goes there, and its code can be collected. */
  unlinkFragment(fragment: Fragment<Module>): void {
    const { container } = fragment;
    const hasHome = container.module !== undefined && this.instantiated.has(container.id);
    if (hasHome) this.copySlot(fragment.homeSlot, this.trapSlot);
    const slots = this.slotsOf.get(fragment);
    if (slots === undefined) return;
    for (const slot of slots) {
      this.copySlot(slot, this.trapSlot);
      this.fragmentAt.delete(slot);
    }
    this.slotsOf.delete(fragment);
  }

  forget(container: HeapModule<Module>): void {
    this.instantiated.delete(container.id);
  }

  private forgetSlot(slot: number): void {
    const fragment = this.fragmentAt.get(slot);
    if (fragment === undefined) return;
    this.fragmentAt.delete(slot);
    const slots = this.slotsOf.get(fragment)!;
    slots.delete(slot);
    if (slots.size === 0) this.slotsOf.delete(fragment);
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
    for (const slot of this.fragmentAt.keys()) this.copySlot(slot, this.trapSlot);
    this.fragmentAt.clear();
    this.slotsOf.clear();
  }

  dispose(): void {
    this.heap.detach(this);
    this.slotsOf.clear();
    this.fragmentAt.clear();
  }
}
