/** Address resolution (RFC 826) for IPv4 over Ethernet. */
import { addressAt, type IPv4Address, type MacAddress, macAt, writeAddress, writeMac } from "./addresses.ts";

const PACKET_BYTES = 28;
const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;

export const ArpOperation = { request: 1, reply: 2 } as const;

export interface ArpPacket {
  readonly operation: number;
  readonly senderMac: MacAddress;
  readonly senderAddress: IPv4Address;
  readonly targetMac: MacAddress;
  readonly targetAddress: IPv4Address;
}

/** Undefined where it is too short, or about other hardware or another protocol. Padding may follow. */
export function parseArp(bytes: Uint8Array): ArpPacket | undefined {
  if (bytes.length < PACKET_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(0) !== HARDWARE_ETHERNET || view.getUint16(2) !== PROTOCOL_IPV4) return undefined;
  if (bytes[4] !== 6 || bytes[5] !== 4) return undefined;
  return {
    operation: view.getUint16(6),
    senderMac: macAt(bytes, 8),
    senderAddress: addressAt(bytes, 14),
    targetMac: macAt(bytes, 18),
    targetAddress: addressAt(bytes, 24),
  };
}

export function buildArp(packet: ArpPacket): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PACKET_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, HARDWARE_ETHERNET);
  view.setUint16(2, PROTOCOL_IPV4);
  bytes[4] = 6;
  bytes[5] = 4;
  view.setUint16(6, packet.operation);
  writeMac(bytes, 8, packet.senderMac);
  writeAddress(bytes, 14, packet.senderAddress);
  writeMac(bytes, 18, packet.targetMac);
  writeAddress(bytes, 24, packet.targetAddress);
  return bytes;
}
