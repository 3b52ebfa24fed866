/** Regions as a translator hands them to the code heap. */
import { ENTRY_BYTES, EntryField, UnitField } from "../threaded/record.ts";
import type { GuardMask } from "../emit/region-emitter.ts";
import type { EntryPort, MemoryPort, SourceRange } from "./ports.ts";

const PAGE_BYTES = 4096;
const GRANULE_SHIFT = 6;

/** A physical page, so many virtual pages from that of an entry. */
export interface PlacedPage {
  readonly distance: number;
  readonly page: number;
}

/** A function of a module, or a unit of threaded code, before it is in the heap. */
export interface Emitted {
  readonly page: number;
  readonly offset: number;
  readonly mode: number;
  readonly ignoredMode: number;
  readonly tier: number;
  readonly otherPages: readonly PlacedPage[];
  readonly sources: readonly SourceRange[];
  readonly checked: boolean;
  readonly linkSlots: readonly number[];
  readonly counter: number;
  /** Of a further way into a region: its guest offset there. */
  readonly entry?: number;
}

/** Pairs: the guest offset of a block that can be entered, and where in the unit its entry is. */
export function entryPairs(bytes: Uint8Array, unit: number, length: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset + unit, length);
  const pairs: number[] = [];
  const count = view.getInt32(UnitField.entries, true);
  for (let entry = length - count * ENTRY_BYTES; entry < length; entry += ENTRY_BYTES)
    pairs.push(view.getInt32(entry + EntryField.offset, true), entry);
  return pairs;
}

/** Those on the page of the region's own entry, which is the first. */
export function entriesOf(entries: readonly number[], unit: number, offset: number): EntryPort[] {
  const list: EntryPort[] = [];
  for (let index = 0; index < entries.length; index += 2) {
    const place = offset + entries[index];
    if (place >= 0 && place < PAGE_BYTES) list.push({ offset: place, data: unit + entries[index + 1] });
  }
  return list;
}

/** The pages other than the entry's, each once. */
export function pagesBeyond(sources: readonly PlacedPage[]): PlacedPage[] {
  const others: PlacedPage[] = [];
  for (const { distance, page } of sources)
    if (distance !== 0 && !others.some((other) => other.distance === distance)) others.push({ distance, page });
  return others;
}

/** The guard bits of the sources that are checked on use, by page. */
export function guardMasks(sources: readonly SourceRange[], memory: MemoryPort): GuardMask[] {
  const masks = new Map<number, { offset: number; low: number; high: number }>();
  for (const { page, start, end } of sources) {
    if (!memory.isCheckedOnUse(page)) continue;
    let mask = masks.get(page);
    if (mask === undefined) masks.set(page, (mask = { offset: memory.guardWordOffset(page), low: 0, high: 0 }));
    for (let granule = start >> GRANULE_SHIFT; granule << GRANULE_SHIFT < end; granule++) {
      if (granule < 32) mask.low |= 1 << granule;
      else mask.high |= 1 << (granule - 32);
    }
  }
  return [...masks.values()];
}
