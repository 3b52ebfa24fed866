/**
 * Code of somebody's own ahead of the guest's at some address: what a native twin of a guest function is called by.
 *
 * A region that has it begins there. It may go on with the guest's code (`GUEST_CODE`), or end by itself; it may be
 * the place, too, where a guest function returns to that was called from outside the translator. It is part of the
 * region: found in the code heap by the address, linked like any other, discarded when its source bytes change.
 */
import { blockKey, keyOffset, type RegionBuilder } from "./ir/region.ts";

export interface EntryCode {
  /** Guest bytes from the entry on that it stands for; they are guarded like those that were decoded. */
  readonly sourceBytes: number;
  /** It saves little at each use: threaded code does without. */
  readonly onceCompiled?: boolean;
  /**
   * 24 bits that tell it from all other entry code, in this run and in others: threaded code that begins with it may be kept and
   * found by these. Absent: it is not kept.
   */
  readonly identity?: number;
  /**
   * Appends blocks to an empty region: the first is where it begins. Their keys are `entryBlock(n)`, or part 3 of an
   * instruction, which no guest instruction has.
   */
  lift(builder: RegionBuilder): void;
}

/**
 * Places that regions end in front of although nothing jumps there, so that there can be entry code for them: breakpoints.
 *
 * Code is shared between all that have it mapped, and places are virtual. So code from pages near enough to one of them to
 * be in a region with it is kept apart, in a *zone*: a number other than 0 for each page and set of places it is near to.
 * Whoever changes the places makes contexts forget where their jumps led (`Context.invalidateAll`).
 */
export interface CodeCuts {
  isAt(virtualAddress: number): boolean;
  /** Below `MAXIMUM_ZONES`. */
  zoneOf(virtualPage: number): number;
}

export const MAXIMUM_ZONES: number = 2 ** 20;

/** How far from a region's entry its code may be, in pages. */
export const REGION_REACH = { pagesBefore: 8, pagesBehind: 15 } as const;

/** Key of the guest's own first block. */
export const GUEST_CODE: number = blockKey(0);

/** Further than any region reaches. */
const OUT_OF_REACH = -(2 ** 28);

/** Key of the nth block of entry code. */
export function entryBlock(index: number): number {
  return blockKey(OUT_OF_REACH + index);
}

function isEntryBlock(key: number): boolean {
  return key < blockKey(OUT_OF_REACH / 2);
}

/**
 * The guest offset at which a block can be entered from outside a region that begins with block `first`: a block of whole instructions,
 * not a later part of one; and of entry code its beginning, in place of the guest's own.
 */
export function offsetOfEntry(key: number, first: number): number | undefined {
  if (key === first) return isEntryBlock(key) ? 0 : keyOffset(key);
  const isAhead = isEntryBlock(first) || first % 4 !== 0;
  const isWhole = key % 4 === 0 && !isEntryBlock(key) && !(isAhead && key === GUEST_CODE);
  return isWhole ? keyOffset(key) : undefined;
}
