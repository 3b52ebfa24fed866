/** UDP datagrams (RFC 768). */
import type { IPv4Address } from "./addresses.ts";
import { addToSum, finishSum, pseudoHeaderSum } from "./checksum.ts";
import { IPV4_HEADER_BYTES, IPV4_MAXIMUM_BYTES, IpProtocol } from "./ipv4.ts";

const HEADER_BYTES = 8;
/** The most that fits into one IPv4 packet. */
export const UDP_MAXIMUM_PAYLOAD: number = IPV4_MAXIMUM_BYTES - IPV4_HEADER_BYTES - HEADER_BYTES;

export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** Undefined where lengths or check sum are wrong; a check sum of zero means that there is none. */
export function parseUdp(bytes: Uint8Array, source: IPv4Address, destination: IPv4Address): UdpDatagram | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint16(4);
  if (length < HEADER_BYTES || length > bytes.length) return undefined;
  const datagram = bytes.subarray(0, length);
  if (view.getUint16(6) !== 0) {
    const sum = pseudoHeaderSum(source, destination, IpProtocol.udp, length);
    if (finishSum(addToSum(sum, datagram)) !== 0) return undefined;
  }
  return {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    payload: datagram.subarray(HEADER_BYTES),
  };
}

/** @throws RangeError when the payload does not fit */
export function buildUdp(
  { sourcePort, destinationPort, payload }: UdpDatagram,
  source: IPv4Address,
  destination: IPv4Address,
): Uint8Array<ArrayBuffer> {
  if (payload.length > UDP_MAXIMUM_PAYLOAD) {
    throw new RangeError(`a UDP datagram cannot carry ${payload.length} bytes`);
  }
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sourcePort);
  view.setUint16(2, destinationPort);
  view.setUint16(4, bytes.length);
  bytes.set(payload, HEADER_BYTES);
  const sum = finishSum(addToSum(pseudoHeaderSum(source, destination, IpProtocol.udp, bytes.length), bytes));
  // Zero would say that there is no check sum; both are zero in one's complement.
  view.setUint16(6, sum === 0 ? 0xffff : sum);
  return bytes;
}
