/** TCP segments on the wire (RFC 9293, 3.1), with the options that this endpoint knows. */
import type { IPv4Address } from "./addresses.ts";
import { addToSum, finishSum, pseudoHeaderSum } from "./checksum.ts";
import { IpProtocol } from "./ipv4.ts";

export const TCP_HEADER_BYTES = 20;
const MAXIMUM_SCALE = 14;

export const TcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;
const FLAG_MASK = 0x3f;

const OptionKind = { end: 0, noOperation: 1, maximumSegmentSize: 2, windowScale: 3 } as const;

export interface TcpSegment {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** 32 bits, unsigned. */
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  /** As in the header, not scaled. */
  readonly window: number;
  readonly maximumSegmentSize?: number;
  /** A shift, at most 14 (RFC 7323, 2.3). */
  readonly windowScale?: number;
  readonly payload: Uint8Array;
}

/** Undefined where lengths, options or check sum are wrong. */
export function parseTcp(bytes: Uint8Array, source: IPv4Address, destination: IPv4Address): TcpSegment | undefined {
  if (bytes.length < TCP_HEADER_BYTES) return undefined;
  const headerBytes = (bytes[12] >> 4) * 4;
  if (headerBytes < TCP_HEADER_BYTES || headerBytes > bytes.length) return undefined;
  const sum = pseudoHeaderSum(source, destination, IpProtocol.tcp, bytes.length);
  if (finishSum(addToSum(sum, bytes)) !== 0) return undefined;
  const options = parseOptions(bytes.subarray(TCP_HEADER_BYTES, headerBytes));
  if (options === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    sequence: view.getUint32(4),
    acknowledgement: view.getUint32(8),
    flags: bytes[13] & FLAG_MASK,
    window: view.getUint16(14),
    ...options,
    payload: bytes.subarray(headerBytes),
  };
}

type Options = Pick<TcpSegment, "maximumSegmentSize" | "windowScale">;

function parseOptions(bytes: Uint8Array): Options | undefined {
  const options: { maximumSegmentSize?: number; windowScale?: number } = {};
  for (let offset = 0; offset < bytes.length;) {
    const kind = bytes[offset];
    if (kind === OptionKind.end) break;
    if (kind === OptionKind.noOperation) {
      offset++;
      continue;
    }
    const length = bytes[offset + 1] ?? 0;
    if (length < 2 || offset + length > bytes.length) return undefined;
    if (kind === OptionKind.maximumSegmentSize && length === 4) {
      options.maximumSegmentSize = (bytes[offset + 2] << 8) | bytes[offset + 3];
    } else if (kind === OptionKind.windowScale && length === 3) {
      options.windowScale = Math.min(bytes[offset + 2], MAXIMUM_SCALE);
    }
    offset += length;
  }
  return options;
}

export function buildTcp(segment: TcpSegment, source: IPv4Address, destination: IPv4Address): Uint8Array<ArrayBuffer> {
  const { maximumSegmentSize, windowScale, payload } = segment;
  const optionBytes = (maximumSegmentSize === undefined ? 0 : 4) + (windowScale === undefined ? 0 : 4);
  const headerBytes = TCP_HEADER_BYTES + optionBytes;
  const bytes = new Uint8Array(headerBytes + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, segment.sourcePort);
  view.setUint16(2, segment.destinationPort);
  view.setUint32(4, segment.sequence);
  view.setUint32(8, segment.acknowledgement);
  bytes[12] = (headerBytes / 4) << 4;
  bytes[13] = segment.flags;
  view.setUint16(14, segment.window);
  let offset = TCP_HEADER_BYTES;
  if (maximumSegmentSize !== undefined) {
    view.setUint32(offset, (OptionKind.maximumSegmentSize << 24) | (4 << 16) | maximumSegmentSize);
    offset += 4;
  }
  if (windowScale !== undefined) {
    view.setUint32(offset, (OptionKind.noOperation << 24) | (OptionKind.windowScale << 16) | (3 << 8) | windowScale);
  }
  bytes.set(payload, headerBytes);
  const sum = pseudoHeaderSum(source, destination, IpProtocol.tcp, bytes.length);
  view.setUint16(16, finishSum(addToSum(sum, bytes)));
  return bytes;
}
