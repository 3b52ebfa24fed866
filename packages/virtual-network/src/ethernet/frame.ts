/** Ethernet II frames (IEEE 802.3, 3.1.1), without the check sequence. */
import { type MacAddress, macAt, writeMac } from "./addresses.ts";

export const FRAME_HEADER_BYTES = 14;
/** The largest payload without jumbo frames. */
export const ETHERNET_MTU = 1500;

export const EtherType = { ipv4: 0x0800, arp: 0x0806 } as const;

export interface EthernetFrame {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  /** From 1536 on the protocol of the payload, below it the payload's length. */
  readonly type: number;
  readonly payload: Uint8Array;
}

/** Undefined where the frame is too short to be one. */
export function parseFrame(bytes: Uint8Array): EthernetFrame | undefined {
  if (bytes.length < FRAME_HEADER_BYTES) return undefined;
  return {
    destination: macAt(bytes, 0),
    source: macAt(bytes, 6),
    type: (bytes[12] << 8) | bytes[13],
    payload: bytes.subarray(FRAME_HEADER_BYTES),
  };
}

export function buildFrame({ destination, source, type, payload }: EthernetFrame): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  writeMac(bytes, 0, destination);
  writeMac(bytes, 6, source);
  bytes[12] = type >> 8;
  bytes[13] = type;
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}
