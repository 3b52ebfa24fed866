/** MAC and IPv4 addresses, as numbers: quick to compare, and keys of a map. */

declare const brand: unique symbol;

/** 48 bits, the first byte on the wire highest. */
export type MacAddress = number & { readonly [brand]: "MacAddress" };

/** 32 bits, unsigned. */
export type IPv4Address = number & { readonly [brand]: "IPv4Address" };

export const BROADCAST_MAC: MacAddress = 0xffff_ffff_ffff as MacAddress;
export const ANY_ADDRESS: IPv4Address = 0 as IPv4Address;
export const BROADCAST_ADDRESS: IPv4Address = 0xffff_ffff as IPv4Address;

/** Group addresses, broadcast among them, have the lowest bit of their first byte set (IEEE 802, 8.2). */
export function isGroupMac(mac: MacAddress): boolean {
  return (Math.floor(mac / 2 ** 40) & 1) === 1;
}

/** Reads six bytes that are there. */
export function macAt(bytes: Uint8Array, offset: number): MacAddress {
  const high = (bytes[offset] << 8) | bytes[offset + 1];
  const low =
    ((bytes[offset + 2] << 24) | (bytes[offset + 3] << 16) | (bytes[offset + 4] << 8) | bytes[offset + 5]) >>> 0;
  return (high * 2 ** 32 + low) as MacAddress;
}

export function writeMac(bytes: Uint8Array, offset: number, mac: MacAddress): void {
  const high = Math.floor(mac / 2 ** 32);
  bytes[offset] = high >> 8;
  bytes[offset + 1] = high;
  writeAddress(bytes, offset + 2, (mac % 2 ** 32) as IPv4Address);
}

/** Reads four bytes that are there. */
export function addressAt(bytes: Uint8Array, offset: number): IPv4Address {
  return (((bytes[offset] << 24) | (bytes[offset + 1] << 16) | (bytes[offset + 2] << 8) | bytes[offset + 3]) >>>
    0) as IPv4Address;
}

export function writeAddress(bytes: Uint8Array, offset: number, address: IPv4Address): void {
  bytes[offset] = address >>> 24;
  bytes[offset + 1] = address >>> 16;
  bytes[offset + 2] = address >>> 8;
  bytes[offset + 3] = address;
}

/** "52:54:00:12:34:56"; undefined for anything else. */
export function parseMac(text: string): MacAddress | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return undefined;
  return Number.parseInt(text.replaceAll(":", ""), 16) as MacAddress;
}

export function formatMac(mac: MacAddress): string {
  return mac
    .toString(16)
    .padStart(12, "0")
    .replaceAll(/..(?!$)/g, "$&:");
}

/** "10.0.2.15"; undefined for anything else. */
export function parseAddress(text: string): IPv4Address | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let address = 0;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined;
    address = address * 256 + Number(part);
  }
  return address as IPv4Address;
}

export function formatAddress(address: IPv4Address): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

/** A port of an address, as one number: 48 bits. */
export function endpointKey(address: IPv4Address, port: number): number {
  return address * 0x1_0000 + port;
}
