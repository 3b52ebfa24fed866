/**
 * Where indirect jumps and calls went lately: code translated in haste notes their targets, so that code translated with care can
 * take the usual ones into its region, or expect them.
 *
 * ```text
 * site (260 bytes of guest memory that no guest sees)
 *     0   place of the last note, in bytes behind 4
 *     4   the last 64 targets, their low halves: a ring
 * ```
 */
import type { MemoryPort } from "./ports.ts";

const PAGE_BYTES = 4096;
const RING_BYTES = 0x100;
const SITE_BYTES = 4 + RING_BYTES;

/** What noting code needs to know: `next = (next + step) & mask`. */
export const JumpRing = { first: 4, step: 4, mask: 0xff } as const;

export class JumpProfile {
  private readonly memory: MemoryPort;
  /** By physical address of the jump. */
  private readonly sites: Map<number, number> = new Map();
  private fresh = 0;
  private freshBytes = 0;

  constructor(memory: MemoryPort) {
    this.memory = memory;
  }

  /** Byte offset of the site for the jump at this physical place; 0 when guest memory is full. */
  site(page: number, offset: number): number {
    const place = page * PAGE_BYTES + offset;
    let site = this.sites.get(place);
    if (site !== undefined) return site;
    if (this.freshBytes < SITE_BYTES) {
      this.fresh = this.memory.allocateBlock(1);
      if (this.fresh === 0) return 0;
      this.freshBytes = PAGE_BYTES;
    }
    site = this.fresh;
    this.fresh += SITE_BYTES;
    this.freshBytes -= SITE_BYTES;
    this.sites.set(place, site);
    return site;
  }

  /** Distances from the jump at this physical place and virtual address to its targets lately, frequent ones first. */
  distances(page: number, offset: number, address: number): number[] {
    return this.counted(page, offset, address).map(([distance]) => distance);
  }

  /** The distance that most of the notes have, if any. */
  usual(page: number, offset: number, address: number): number | undefined {
    const counts = this.counted(page, offset, address);
    const all = counts.reduce((sum, [, count]) => sum + count, 0);
    return counts.length > 0 && 2 * counts[0][1] > all ? counts[0][0] : undefined;
  }

  private counted(page: number, offset: number, address: number): [number, number][] {
    const site = this.sites.get(page * PAGE_BYTES + offset);
    if (site === undefined) return [];
    const counts = new Map<number, number>();
    for (let at = site + JumpRing.first; at < site + SITE_BYTES; at += JumpRing.step) {
      const low = this.memory.view.getInt32(at, true);
      if (low === 0) continue;
      const distance = (low - (address | 0)) | 0;
      counts.set(distance, (counts.get(distance) ?? 0) + 1);
    }
    return [...counts].sort((left, right) => right[1] - left[1]);
  }
}
