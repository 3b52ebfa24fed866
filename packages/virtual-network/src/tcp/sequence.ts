/** Sequence numbers of TCP: 32 bits that run on modulo 2^32 (RFC 9293, 3.4). */

export function sequenceAdd(sequence: number, count: number): number {
  return (sequence + count) >>> 0;
}

/** How far `a` is after `b`; negative when it is before. */
export function sequenceDifference(a: number, b: number): number {
  return (a - b) | 0;
}

export function laterOf(a: number, b: number): number {
  return sequenceDifference(a, b) > 0 ? a : b;
}
