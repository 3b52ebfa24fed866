/** ICMP messages (RFC 792). */
import { addToSum, checksum, finishSum } from "./checksum.ts";
import { IPV4_HEADER_BYTES } from "./ipv4.ts";

const HEADER_BYTES = 8;

export const IcmpType = { echoReply: 0, unreachable: 3, echoRequest: 8 } as const;
/** Codes of `unreachable` (RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1). */
export const UnreachableCode = { host: 1, port: 3, prohibited: 13 } as const;

export interface IcmpMessage {
  readonly type: number;
  readonly code: number;
  /** The second word of the header: identifier and sequence number of an echo. */
  readonly rest: number;
  readonly payload: Uint8Array;
}

/** Undefined where it is too short or its check sum is wrong. */
export function parseIcmp(bytes: Uint8Array): IcmpMessage | undefined {
  if (bytes.length < HEADER_BYTES || checksum(bytes) !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { type: bytes[0], code: bytes[1], rest: view.getUint32(4), payload: bytes.subarray(HEADER_BYTES) };
}

export function buildIcmp({ type, code, rest, payload }: IcmpMessage): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = type;
  bytes[1] = code;
  view.setUint32(4, rest);
  bytes.set(payload, HEADER_BYTES);
  view.setUint16(2, finishSum(addToSum(0, bytes)));
  return bytes;
}

/** Tells the sender of a packet that it does not get through: header and first 8 bytes of it are sent back. */
export function buildUnreachable(code: number, packet: Uint8Array): Uint8Array<ArrayBuffer> {
  const headerBytes = Math.max(IPV4_HEADER_BYTES, (packet[0] & 0xf) * 4);
  return buildIcmp({ type: IcmpType.unreachable, code, rest: 0, payload: packet.subarray(0, headerBytes + 8) });
}
