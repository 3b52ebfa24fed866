/** What is said about repeated measurements. */

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

export interface Ratio {
  /** Of the medians. */
  readonly value: number;
  /** The smallest and the largest of the rounds: contenders that took turns met the same disturbances. */
  readonly low: number;
  readonly high: number;
}

/** How many times longer `theirs` took than `ours`; entry n of both is of the same round. */
export function ratio(theirs: readonly number[], ours: readonly number[]): Ratio {
  const rounds = theirs.map((value, round) => value / ours[round]);
  return { value: median(theirs) / median(ours), low: Math.min(...rounds), high: Math.max(...rounds) };
}
