/**
 * Translation ahead of time: of places that another engine, with the same memory, has found worth it. What is there has to be
 * right whatever is asked for, since it is translated from the bytes here and found by them; a wrong place is wasted, no more.
 */
import { threadedSlotOf } from "./code-table.ts";
import { type Engine, MODES } from "./engine.ts";
import { type FragmentPort, isForMode } from "./ports.ts";
import { TierNumber } from "./tier.ts";
import type { CodeView } from "./translator.ts";

const PAGE_BYTES = 4096;
/** Any page will do: translations know distances, not addresses. */
const SOMEWHERE = 1 << 20;

/** Where a fragment was made from, in physical pages. */
export interface CodePlace {
  readonly page: number;
  /** In that page, of the entry. */
  readonly offset: number;
  readonly mode: number;
  /** Addresses have 32 bits. */
  readonly narrow: boolean;
  readonly tier: number;
  /** Other pages that it reaches into, by their distance in virtual pages. */
  readonly otherPages: readonly { readonly distance: number; readonly page: number }[];
}

type PlacedFragment = FragmentPort & { readonly page: number; readonly offset: number };

/** The place of a fragment; undefined of one that is good for one mapping of its page only. */
export function placeOf(
  { page, offset, mode, tier, otherPages }: PlacedFragment,
  isNarrow: (mode: number) => boolean,
): CodePlace | undefined {
  return mode >= MODES ? undefined : { page, offset, mode, tier, otherPages, narrow: isNarrow(mode) };
}

/**
 * Translates what is at the place, unless a fragment begins there: no further than in haste. Nothing may be running. Fragments that
 * have the place in their middle may end before the other engine's do.
 */
export function prepareCode<F extends PlacedFragment>(engine: Engine<F>, place: CodePlace): boolean {
  const { heap, views } = engine.options;
  const { page, offset, mode, narrow } = place;
  const tier = Math.min(place.tier, TierNumber.cold);
  const isThere = (known: F): boolean => known.offset === offset && known.tier >= tier && isForMode(known, mode);
  if (heap.at(page, offset).some(isThere)) return false;
  const index = views?.of(mode) ?? 0;
  const layout = engine.layouts[index];
  const pages = new Map([[SOMEWHERE, page]]);
  for (const other of place.otherPages) pages.set(SOMEWHERE + other.distance, other.page);
  const view: CodeView = {
    mode,
    narrow,
    tlb: layout.tlb,
    threadedSlot: threadedSlotOf(engine.tables.modules.threaded, index),
    fetch: (address) => pages.get(Math.floor(address / PAGE_BYTES)) ?? -1,
    heapMode: () => mode,
    entryCode: () => undefined,
    codeName: () => undefined,
    isCut: () => false,
  };
  return engine.translator.translate(SOMEWHERE * PAGE_BYTES + offset, view, tier) !== undefined;
}
