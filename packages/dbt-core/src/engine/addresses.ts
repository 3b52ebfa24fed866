/** Guest-virtual addresses: signed JavaScript numbers of 48 bits, or their (low, high) halves. */
const ADDRESS_HALF: number = 2 ** 47;
const HIGH_HALF = 0x8000;
const HIGH_LIMIT = 0x10000;

export function isCanonical(address: number): boolean {
  return address >= -ADDRESS_HALF && address < ADDRESS_HALF;
}

/** The same, from the high half. */
export function isCanonicalHigh(high: number): boolean {
  return (high + HIGH_HALF) >>> 0 < HIGH_LIMIT;
}
