/** Socket addresses: struct sockaddr_un, sockaddr_in, sockaddr_in6, sockaddr_nl, and numeric addresses as text. */
import { EAFNOSUPPORT, EINVAL } from "../kernel/errno.ts";
import { fromBytes, toBytes } from "../vfs/byte-string.ts";
import type { Failure } from "../vfs/constants.ts";
import type { Endpoint } from "./host-network.ts";

export const AF_UNSPEC = 0;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;

export interface UnixAddress {
  readonly family: typeof AF_UNIX;
  /** A path, or a name that begins with NUL in the abstract namespace; "" is unnamed. Byte string. */
  readonly path: string;
}

export interface InetAddress {
  readonly family: typeof AF_INET | typeof AF_INET6;
  readonly address: string;
  readonly port: number;
  readonly flow: number;
  readonly scope: number;
}

export interface NetlinkAddress {
  readonly family: typeof AF_NETLINK;
  readonly port: number;
  readonly groups: number;
}

/** connect(2) with it dissolves an association. */
export interface NoAddress {
  readonly family: typeof AF_UNSPEC;
}

export type SocketAddress = UnixAddress | InetAddress | NetlinkAddress | NoAddress;

export function inet(family: 4 | 6, address: string, port: number, scope = 0): InetAddress {
  return { family: family === 4 ? AF_INET : AF_INET6, address, port, flow: 0, scope };
}

export function endpointOf(address: InetAddress): Endpoint {
  const { port, scope } = address;
  return { family: address.family === AF_INET ? 4 : 6, address: address.address, port, scope };
}

export function addressOf({ family, address, port, scope }: Endpoint): InetAddress {
  return inet(family, address, port, scope ?? 0);
}

export function formatV4(bytes: Uint8Array): string {
  return bytes.join(".");
}

export function parseV4(text: string): Uint8Array {
  return Uint8Array.from(text.split(".").map(Number));
}

/** The canonical form (RFC 5952). */
export function formatV6(bytes: Uint8Array): string {
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (mapped) return `::ffff:${formatV4(bytes.subarray(12, 16))}`;
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) groups.push((bytes[index] << 8) | bytes[index + 1]);
  const [start, length] = longestZeroRun(groups);
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

function longestZeroRun(groups: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > best[1]) best = [start, end - start];
  }
  return best;
}

export function parseV6(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  const plain = text.split("%")[0];
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(plain);
  let source = plain;
  if (dotted !== null) {
    const [a, b, c, d] = parseV4(dotted[2]);
    source = `${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head, tail] = source.split("::");
  const groupsOf = (part: string | undefined): number[] =>
    part === undefined || part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const before = groupsOf(head);
  const after = groupsOf(tail);
  const put = (group: number, at: number): void => {
    bytes[at * 2] = group >> 8;
    bytes[at * 2 + 1] = group & 0xff;
  };
  for (const [index, group] of before.entries()) put(group, index);
  for (const [index, group] of after.entries()) put(group, 8 - after.length + index);
  return bytes;
}

function decodeUnix(bytes: Uint8Array): UnixAddress {
  const path = bytes.subarray(2);
  if (path.length === 0) return { family: AF_UNIX, path: "" };
  // Abstract names are all their bytes; paths end at their NUL, if they have one.
  if (path[0] === 0) return { family: AF_UNIX, path: fromBytes(path) };
  const end = path.indexOf(0);
  return { family: AF_UNIX, path: fromBytes(end < 0 ? path : path.subarray(0, end)) };
}

/** A sockaddr of `bytes.length` bytes as it came from the guest. */
export function decodeAddress(bytes: Uint8Array): SocketAddress | Failure {
  if (bytes.length < 2) return -EINVAL;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint16(0, true);
  switch (family) {
    case AF_UNSPEC:
      return { family: AF_UNSPEC };
    case AF_UNIX:
      return bytes.length > 110 ? -EINVAL : decodeUnix(bytes);
    case AF_INET:
      if (bytes.length < 16) return -EINVAL;
      return { family: AF_INET, port: view.getUint16(2), address: formatV4(bytes.subarray(4, 8)), flow: 0, scope: 0 };
    case AF_INET6:
      if (bytes.length < 24) return -EINVAL;
      return {
        family: AF_INET6,
        port: view.getUint16(2),
        flow: view.getUint32(4),
        address: formatV6(bytes.subarray(8, 24)),
        scope: bytes.length >= 28 ? view.getUint32(24, true) : 0,
      };
    case AF_NETLINK:
      if (bytes.length < 12) return -EINVAL;
      return { family: AF_NETLINK, port: view.getUint32(4, true), groups: view.getUint32(8, true) };
    default:
      return -EAFNOSUPPORT;
  }
}

function encodeUnix(path: string): Uint8Array {
  const name = toBytes(path);
  if (name.length === 0) return Uint8Array.of(AF_UNIX, 0);
  // A path goes back with its NUL, an abstract name without.
  const bytes = new Uint8Array(2 + name.length + (name[0] === 0 ? 0 : 1));
  bytes[0] = AF_UNIX;
  bytes.set(name, 2);
  return bytes;
}

export function encodeAddress(address: SocketAddress): Uint8Array {
  if (address.family === AF_UNIX) return encodeUnix(address.path);
  const sizes = { [AF_INET]: 16, [AF_INET6]: 28, [AF_NETLINK]: 12, [AF_UNSPEC]: 2 };
  const bytes = new Uint8Array(sizes[address.family]);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, address.family, true);
  if (address.family === AF_INET) {
    view.setUint16(2, address.port);
    bytes.set(parseV4(address.address), 4);
  } else if (address.family === AF_INET6) {
    view.setUint16(2, address.port);
    view.setUint32(4, address.flow);
    bytes.set(parseV6(address.address), 8);
    view.setUint32(24, address.scope, true);
  } else if (address.family === AF_NETLINK) {
    view.setUint32(4, address.port, true);
    view.setUint32(8, address.groups, true);
  }
  return bytes;
}

/** "::ffff:1.2.3.4" and "1.2.3.4" are the same peer; a v6 socket shows the first, a v4 socket the second. */
export function asFamily(endpoint: Endpoint, family: 4 | 6): Endpoint {
  if (endpoint.family === family) return endpoint;
  if (family === 6) return { ...endpoint, family: 6, address: `::ffff:${endpoint.address}` };
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(endpoint.address);
  return mapped === null ? endpoint : { ...endpoint, family: 4, address: mapped[1] };
}
