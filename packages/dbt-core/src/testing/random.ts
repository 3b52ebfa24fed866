/** Reproducible random choices: everything a seed decides is decided here (mulberry32). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0;
  }

  /** 32 random bits, as a signed integer. */
  i32(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return mixed ^ (mixed >>> 14);
  }

  i64(): bigint {
    return (BigInt(this.i32()) << 32n) | BigInt(this.i32() >>> 0);
  }

  /** 0 .. limit - 1 */
  below(limit: number): number {
    return (this.i32() >>> 0) % limit;
  }

  chance(probability: number): boolean {
    return this.i32() >>> 0 < probability * 2 ** 32;
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error("nothing to pick from");
    return list[this.below(list.length)];
  }
}
