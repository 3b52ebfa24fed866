/** The check sum of the Internet protocols (RFC 1071): one's complement of the one's complement sum of 16-bit words. */
import type { IPv4Address } from "./addresses.ts";

/** The sum so far, not complemented; an odd last byte counts as if a zero followed. */
export function addToSum(sum: number, bytes: Uint8Array): number {
  let total = sum;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) total += (bytes[i] << 8) | bytes[i + 1];
  if (even !== bytes.length) total += bytes[even] << 8;
  return total;
}

/** The sum folded to 16 bits and complemented: what goes into the header, or 0 where a correct one was summed up too. */
export function finishSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return ~folded & 0xffff;
}

export function checksum(bytes: Uint8Array): number {
  return finishSum(addToSum(0, bytes));
}

/** The sum over the pseudo header of UDP and TCP (RFC 768, RFC 9293 3.1). */
export function pseudoHeaderSum(
  source: IPv4Address,
  destination: IPv4Address,
  protocol: number,
  length: number,
): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length;
}
