/** IPv4 packets (RFC 791). Options are skipped when read and never written. */
import { addressAt, type IPv4Address, writeAddress } from "./addresses.ts";
import { checksum } from "./checksum.ts";

export const IPV4_HEADER_BYTES = 20;
export const IPV4_MAXIMUM_BYTES = 65_535;
const DEFAULT_TIME_TO_LIVE = 64;
const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;
/** Offsets of fragments count in these. */
const FRAGMENT_UNIT_BYTES = 8;

export const IpProtocol = { icmp: 1, tcp: 6, udp: 17 } as const;

export interface IPv4Packet {
  readonly source: IPv4Address;
  readonly destination: IPv4Address;
  readonly protocol: number;
  readonly timeToLive: number;
  readonly identification: number;
  /** Of the payload in the original packet, in bytes; 0 with no more to follow is a packet that is whole. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  readonly payload: Uint8Array;
}

/** Undefined where lengths, version or check sum are wrong. Padding behind the packet is left out. */
export function parseIPv4(bytes: Uint8Array): IPv4Packet | undefined {
  if (bytes.length < IPV4_HEADER_BYTES || bytes[0] >> 4 !== 4) return undefined;
  const headerBytes = (bytes[0] & 0xf) * 4;
  const totalBytes = (bytes[2] << 8) | bytes[3];
  if (headerBytes < IPV4_HEADER_BYTES || totalBytes < headerBytes || totalBytes > bytes.length) return undefined;
  if (checksum(bytes.subarray(0, headerBytes)) !== 0) return undefined;
  const fragment = (bytes[6] << 8) | bytes[7];
  const fragmentOffset = (fragment & OFFSET_MASK) * FRAGMENT_UNIT_BYTES;
  if (fragmentOffset + totalBytes > IPV4_MAXIMUM_BYTES) return undefined;
  return {
    source: addressAt(bytes, 12),
    destination: addressAt(bytes, 16),
    protocol: bytes[9],
    timeToLive: bytes[8],
    identification: (bytes[4] << 8) | bytes[5],
    fragmentOffset,
    moreFragments: (fragment & MORE_FRAGMENTS) !== 0,
    payload: bytes.subarray(headerBytes, totalBytes),
  };
}

export type IPv4Header = Pick<IPv4Packet, "source" | "destination" | "protocol"> &
  Partial<Pick<IPv4Packet, "timeToLive" | "identification" | "fragmentOffset" | "moreFragments">>;

/** @throws RangeError when the payload does not fit into a packet */
export function buildIPv4(header: IPv4Header, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const totalBytes = IPV4_HEADER_BYTES + payload.length;
  if (totalBytes > IPV4_MAXIMUM_BYTES) throw new RangeError(`an IPv4 packet cannot have ${totalBytes} bytes`);
  const { identification = 0, timeToLive = DEFAULT_TIME_TO_LIVE, fragmentOffset = 0, moreFragments = false } = header;
  const bytes = new Uint8Array(totalBytes);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x45;
  view.setUint16(2, totalBytes);
  view.setUint16(4, identification);
  view.setUint16(6, (moreFragments ? MORE_FRAGMENTS : 0) | (fragmentOffset / FRAGMENT_UNIT_BYTES));
  bytes[8] = timeToLive;
  bytes[9] = header.protocol;
  writeAddress(bytes, 12, header.source);
  writeAddress(bytes, 16, header.destination);
  view.setUint16(10, checksum(bytes.subarray(0, IPV4_HEADER_BYTES)));
  bytes.set(payload, IPV4_HEADER_BYTES);
  return bytes;
}

/** The packet in pieces of at most `mtu` bytes each. */
export function buildFragments(header: IPv4Header, payload: Uint8Array, mtu: number): Uint8Array<ArrayBuffer>[] {
  if (IPV4_HEADER_BYTES + payload.length <= mtu) return [buildIPv4(header, payload)];
  const room = (mtu - IPV4_HEADER_BYTES) & ~(FRAGMENT_UNIT_BYTES - 1);
  const packets: Uint8Array<ArrayBuffer>[] = [];
  for (let offset = 0; offset < payload.length; offset += room) {
    const end = Math.min(offset + room, payload.length);
    packets.push(
      buildIPv4(
        { ...header, fragmentOffset: offset, moreFragments: end < payload.length },
        payload.subarray(offset, end),
      ),
    );
  }
  return packets;
}
