/**
 * Where threaded code is entered through the slots of one table: an array in memory by slot, whose place is in the context
 * header. A slot's element means something only while the slot leads to threaded code.
 */
import { Header } from "../layout.ts";
import type { FragmentPort } from "../engine/ports.ts";
import type { UnitMemory } from "./unit-store.ts";

const PAGE_BYTES = 4096;
const ENTRY_BYTES = 4;
const FIRST_PAGES = 4;

/** The part of the engine's memory port that is needed here. */
export interface SlotEntryMemory extends UnitMemory {
  freeBlock(offset: number, pages: number): void;
}

export class SlotEntries {
  private readonly memory: SlotEntryMemory;
  private readonly context: number;
  private pages = 0;
  private place = 0;
  /** There was no room: threaded code is found by the jump cache alone. */
  private full = false;

  constructor(memory: SlotEntryMemory, context: number) {
    this.memory = memory;
    this.context = context;
  }

  /** From now on the slot leads to `entry`. Returns false when that has to be said by the jump cache. */
  set(slot: number, entry: number): boolean {
    if (ENTRY_BYTES * slot >= this.pages * PAGE_BYTES && !this.full) this.grow(slot);
    if (this.full) return false;
    this.memory.view.setInt32(this.place + ENTRY_BYTES * slot, entry, true);
    return true;
  }

  private grow(slot: number): void {
    const { memory } = this;
    let pages = Math.max(FIRST_PAGES, this.pages);
    while (pages * PAGE_BYTES <= ENTRY_BYTES * slot) pages *= 2;
    const place = memory.allocateBlock(pages);
    if (place !== 0) memory.bytes.copyWithin(place, this.place, this.place + this.pages * PAGE_BYTES);
    this.dispose();
    this.full = place === 0;
    this.pages = this.full ? 0 : pages;
    this.place = place;
    memory.view.setInt32(this.context + Header.slotEntries, place, true);
  }

  dispose(): void {
    if (this.place !== 0) this.memory.freeBlock(this.place, this.pages);
    this.place = 0;
  }
}

/** Where in memory threaded code is entered at an offset in its page; 0 of a fragment that is compiled. */
export function entryAt({ entries = [] }: FragmentPort, place: number): number {
  for (const { offset, data } of entries) if (offset === place) return data;
  return 0;
}
