/**
 * A perfect hash of the targets of indirect jumps, to branch to one of many by a table: of a guest offset, multiplied by
 * a constant, the upper bits are the index.
 */

export interface TargetHash {
  readonly multiplier: number;
  /** How far to shift the 32-bit product right. */
  readonly shift: number;
  /** For each index the number of the target that may be meant, or -1. */
  readonly table: Int16Array;
}

/** Knuth's multiplicative hashing: 2^32 divided by the golden ratio; its odd multiples are tried in turn. */
const GOLDEN = 0x9e3779b1;
const TRIES = 256;
const LARGEST_BITS = 12;

/** Undefined when no table of 4,096 entries keeps them apart, which takes more targets than a region has. */
export function hashTargets(offsets: readonly number[]): TargetHash | undefined {
  const fewest = Math.max(1, Math.ceil(Math.log2(offsets.length)));
  for (let bits = fewest; bits <= LARGEST_BITS; bits++) {
    const shift = 32 - bits;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const multiplier = Math.imul(GOLDEN, 2 * attempt + 1);
      const table = new Int16Array(1 << bits).fill(-1);
      const apart = offsets.every((offset, number) => {
        const index = Math.imul(offset, multiplier) >>> shift;
        if (table[index] !== -1) return false;
        table[index] = number;
        return true;
      });
      if (apart) return { multiplier, shift, table };
    }
  }
  return undefined;
}
