/**
 * What a driver leaves to the device when it sends (virtio 1.2, 5.1.6.2): checksums of which only the pseudo-header's part is
 * there, and TCP segments that are longer than the network carries. A guest that hands over 64 KiB at a time goes through
 * its network stack once for them, and the cutting costs the device little.
 */

/** struct virtio_net_hdr, little-endian: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers. */
export const networkHeaderBytes = 12;
const flagNeedsChecksum = 1;
const Segmentation = { none: 0, tcp4: 1, tcp6: 4 } as const;
/** Beside the type: the congestion flags belong to the first segment alone, which they do here in any case. */
const segmentationEcn = 0x80;

const ethernetBytes = 14;
const etherTypeOffset = 12;
const etherTypeIPv4 = 0x0800;
const etherTypeIPv6 = 0x86dd;
const protocolTcp = 6;
const TcpFlag = { fin: 0x01, push: 0x08, congestionReduced: 0x80 } as const;
/** The shortest segment that is worth a frame; a driver that asks for less means nothing good. */
const minimumSegmentBytes = 64;

/**
 * The frames that go out for one that the driver hands over: itself, or what it is cut into. Undefined where header and
 * frame contradict each other.
 *
 * @param frame may be changed
 */
export function outgoingFrames(header: Uint8Array, frame: Uint8Array): Uint8Array[] | undefined {
  const view = new DataView(header.buffer, header.byteOffset, networkHeaderBytes);
  const needsChecksum = (view.getUint8(0) & flagNeedsChecksum) !== 0;
  const type = view.getUint8(1) & ~segmentationEcn;
  const [segmentBytes, start, offset] = [4, 6, 8].map((at) => view.getUint16(at, true));
  switch (type) {
    case Segmentation.none:
      return !needsChecksum || completeChecksum(frame, start, start + offset) ? [frame] : undefined;
    case Segmentation.tcp4:
      return needsChecksum ? cut(frame, start, segmentBytes, etherTypeIPv4) : undefined;
    case Segmentation.tcp6:
      return needsChecksum ? cut(frame, start, segmentBytes, etherTypeIPv6) : undefined;
    default:
      return undefined;
  }
}

/** The field holds the pseudo-header's sum, and goes into the sum as it is. */
function completeChecksum(frame: Uint8Array, start: number, at: number): boolean {
  if (at + 2 > frame.length) return false;
  const sum = fold(sumOf(frame, start, frame.length));
  // Zero would mean, with UDP, that there is no checksum; all ones are the same number.
  store16(frame, at, sum === 0xffff ? 0xffff : ~sum & 0xffff);
  return true;
}

/** One TCP segment as several of `segmentBytes`, the last one shorter. */
function cut(frame: Uint8Array, tcp: number, segmentBytes: number, etherType: number): Uint8Array[] | undefined {
  const isIPv4 = etherType === etherTypeIPv4;
  const addresses = ethernetBytes + (isIPv4 ? 12 : 8);
  const smallest = ethernetBytes + (isIPv4 ? 20 : 40);
  if (tcp < smallest || tcp + 20 > frame.length || load16(frame, etherTypeOffset) !== etherType) return undefined;
  const payload = tcp + (frame[tcp + 12] >>> 4) * 4;
  if (payload < tcp + 20 || payload >= frame.length || segmentBytes < minimumSegmentBytes) return undefined;
  if (isIPv4 && ethernetBytes + (frame[ethernetBytes] & 15) * 4 !== tcp) return undefined;

  const pseudoHeader = sumOf(frame, addresses, addresses + (isIPv4 ? 8 : 32)) + protocolTcp;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const sequence = view.getUint32(tcp + 4);
  const segments: Uint8Array[] = [];
  for (let at = payload; at < frame.length; at += segmentBytes) {
    const end = Math.min(at + segmentBytes, frame.length);
    const segment = new Uint8Array(payload + end - at);
    segment.set(frame.subarray(0, payload));
    segment.set(frame.subarray(at, end), payload);
    if (isIPv4) {
      store16(segment, ethernetBytes + 2, segment.length - ethernetBytes);
      store16(segment, ethernetBytes + 4, (load16(frame, ethernetBytes + 4) + segments.length) & 0xffff);
      store16(segment, ethernetBytes + 10, 0);
      store16(segment, ethernetBytes + 10, ~fold(sumOf(segment, ethernetBytes, tcp)) & 0xffff);
    } else {
      store16(segment, ethernetBytes + 4, segment.length - smallest);
    }
    new DataView(segment.buffer).setUint32(tcp + 4, (sequence + at - payload) >>> 0);
    if (at > payload) segment[tcp + 13] &= ~TcpFlag.congestionReduced;
    if (end < frame.length) segment[tcp + 13] &= ~(TcpFlag.fin | TcpFlag.push);
    store16(segment, tcp + 16, 0);
    const sum = fold(pseudoHeader + segment.length - tcp + sumOf(segment, tcp, segment.length));
    store16(segment, tcp + 16, ~sum & 0xffff);
    segments.push(segment);
  }
  return segments;
}

/** Sum of 16-bit words in network order (RFC 1071); a last odd byte counts as if a zero followed. Below 2^53. */
function sumOf(bytes: Uint8Array, start: number, end: number): number {
  let sum = 0;
  let at = start;
  for (; at + 1 < end; at += 2) sum += (bytes[at] << 8) | bytes[at + 1];
  return at < end ? sum + (bytes[at] << 8) : sum;
}

function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

function load16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

function store16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 0xff;
}
