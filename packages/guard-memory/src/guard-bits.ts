/**
 * Guard bits: one per 64-byte granule of physical memory that translated code was made from.
 *
 * A page has 64 granules, so its guard word is 64 bits, kept as two u32. Whoever translates guards the granules before
 * reading them; whoever is about to write asks first. Pages with any bit set are kept out of the soft TLB's write
 * entries, so ordinary stores to other pages never see any of this.
 */
export const GRANULE_SHIFT = 6;
export const GRANULE_BYTES: number = 1 << GRANULE_SHIFT;
export const PAGE_SHIFT = 12;
export const PAGE_BYTES: number = 1 << PAGE_SHIFT;

export class GuardBits {
  /** Two words a page: granules 0..31, granules 32..63. */
  private readonly words: Uint32Array;

  constructor(pages: number) {
    this.words = new Uint32Array(pages * 2);
  }

  /** Sets the bits of the granules that `length` bytes at `offset` of the page touch. Returns whether the page had none. */
  set(page: number, offset: number, length: number): boolean {
    const { words } = this;
    const wasFree = words[page * 2] === 0 && words[page * 2 + 1] === 0;
    const last = (offset + length - 1) >> GRANULE_SHIFT;
    for (let granule = offset >> GRANULE_SHIFT; granule <= last; granule++)
      words[page * 2 + (granule >> 5)] |= 1 << (granule & 31);
    return wasFree;
  }

  clear(page: number, offset: number, length: number): void {
    const { words } = this;
    const last = (offset + length - 1) >> GRANULE_SHIFT;
    for (let granule = offset >> GRANULE_SHIFT; granule <= last; granule++)
      words[page * 2 + (granule >> 5)] &= ~(1 << (granule & 31));
  }

  /** Whether any granule that these bytes touch is guarded. */
  test(page: number, offset: number, length: number): boolean {
    const { words } = this;
    const last = (offset + length - 1) >> GRANULE_SHIFT;
    for (let granule = offset >> GRANULE_SHIFT; granule <= last; granule++) {
      if ((words[page * 2 + (granule >> 5)] & (1 << (granule & 31))) !== 0) return true;
    }
    return false;
  }

  anyOnPage(page: number): boolean {
    return this.words[page * 2] !== 0 || this.words[page * 2 + 1] !== 0;
  }
}
