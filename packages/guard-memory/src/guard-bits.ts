/**
 * Guard bits: one per 64-byte granule of physical memory that translated code was made from.
 *
 * A page has 64 granules, so its guard word is 64 bits, kept as two u32 (granules 0..31, then 32..63). Whoever translates
 * guards the granules before reading them; whoever is about to write asks first. The words lie where translated code
 * can test them, too.
 */
export const GRANULE_SHIFT = 6;
export const GRANULE_BYTES: number = 1 << GRANULE_SHIFT;
export const PAGE_SHIFT = 12;
export const PAGE_BYTES: number = 1 << PAGE_SHIFT;
/** Bytes of a page's guard word. */
export const GUARD_WORD_BYTES = 8;

export class GuardBits {
  private readonly words: Uint32Array;

  /** @param words two for each page, zero */
  constructor(words: Uint32Array) {
    this.words = words;
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

  /** Whether all granules that these bytes touch are guarded. */
  testAll(page: number, offset: number, length: number): boolean {
    const { words } = this;
    const last = (offset + length - 1) >> GRANULE_SHIFT;
    for (let granule = offset >> GRANULE_SHIFT; granule <= last; granule++) {
      if ((words[page * 2 + (granule >> 5)] & (1 << (granule & 31))) === 0) return false;
    }
    return true;
  }

  anyOnPage(page: number): boolean {
    return this.words[page * 2] !== 0 || this.words[page * 2 + 1] !== 0;
  }

  /** How many granules of the page are guarded. */
  countOnPage(page: number): number {
    let count = 0;
    for (let word = 0; word < 2; word++)
      for (let rest = this.words[page * 2 + word]; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
    return count;
  }
}
