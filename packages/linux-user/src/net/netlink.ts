/** NETLINK_ROUTE (rtnetlink(7)), as much as getaddrinfo, if_nameindex and getifaddrs ask: dumps of links and addresses. */
import { EAGAIN, EINVAL, EOPNOTSUPP } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../fd/open-file.ts";
import { drain, fill, type Transfer } from "../fd/transfer.ts";
import type { Failure } from "../vfs/constants.ts";
import { AF_INET, AF_INET6, AF_NETLINK, parseV4, parseV6, type SocketAddress } from "./address.ts";
import type { HostNetwork, NetworkInterface } from "./host-network.ts";
import { MSG_PEEK, MSG_TRUNC, SOCK_RAW, Socket, type Received, type SendRequest } from "./socket.ts";

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_MULTI = 2;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const RTM_GETROUTE = 26;
const HEADER_BYTES = 16;

const IFF_UP = 1;
const IFF_BROADCAST = 2;
const IFF_LOOPBACK = 8;
const IFF_RUNNING = 0x40;
const IFF_MULTICAST = 0x1000;
const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;
const RT_SCOPE_HOST = 254;

function align(length: number): number {
  return (length + 3) & ~3;
}

function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(align(4 + value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + value.length, true);
  view.setUint16(2, type, true);
  bytes.set(value, 4);
  return bytes;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function message(type: number, flags: number, sequence: number, port: number, body: Uint8Array): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, HEADER_BYTES + body.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, sequence, true);
  view.setUint32(12, port, true);
  return concat([header, body, new Uint8Array(align(body.length) - body.length)]);
}

/** struct ifinfomsg and attributes. */
function linkBody(link: NetworkInterface): Uint8Array {
  const info = new Uint8Array(16);
  const view = new DataView(info.buffer);
  const flags = IFF_UP | IFF_RUNNING | (link.loopback ? IFF_LOOPBACK : IFF_BROADCAST | IFF_MULTICAST);
  view.setUint16(2, link.loopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER, true);
  view.setInt32(4, link.index, true);
  view.setUint32(8, flags, true);
  const hardware = Uint8Array.from(link.hardwareAddress.split(":").map((part) => Number.parseInt(part, 16)));
  const mtu = u32(link.loopback ? 65536 : 1500);
  return concat([
    info,
    attribute(3, text(link.name)),
    attribute(1, hardware),
    attribute(2, new Uint8Array(6).fill(link.loopback ? 0 : 255)),
    attribute(4, mtu),
    attribute(13, u32(1000)),
    attribute(16, Uint8Array.of(link.loopback ? 0 : 6)),
  ]);
}

/** struct ifaddrmsg and attributes. */
function addressBody(link: NetworkInterface, address: NetworkInterface["addresses"][number]): Uint8Array {
  const v4 = address.family === 4;
  const bytes = v4 ? parseV4(address.address) : parseV6(address.address);
  const linkLocal = address.address.startsWith("fe80:");
  const info = new Uint8Array(8);
  info[0] = v4 ? AF_INET : AF_INET6;
  info[1] = address.prefixLength;
  info[2] = 0x80;
  info[3] = link.loopback ? RT_SCOPE_HOST : linkLocal ? 253 : 0;
  new DataView(info.buffer).setUint32(4, link.index, true);
  const parts = [info, attribute(1, bytes)];
  if (v4) parts.push(attribute(2, bytes), attribute(3, text(link.name)));
  return concat(parts);
}

export class NetlinkSocket extends Socket {
  override readonly family: number = AF_NETLINK;
  readonly #network: HostNetwork;
  /** Answers, one read each. */
  readonly #answers: Uint8Array[] = [];
  #port = 0;
  #groups = 0;

  constructor(type: number, protocol: number, flags: number, network: HostNetwork) {
    super(type === 0 ? SOCK_RAW : type, protocol, flags);
    this.#network = network;
  }

  override get isStream(): boolean {
    return false;
  }

  bind(address: SocketAddress, task: Task): number {
    if (address.family !== AF_NETLINK) return -EINVAL;
    this.#port = address.port === 0 ? task.process.pid : address.port;
    this.#groups = address.groups;
    return 0;
  }

  connect(address: SocketAddress): number {
    return address.family === AF_NETLINK ? 0 : -EINVAL;
  }

  send(from: Transfer, _request: SendRequest, task: Task): number {
    if (this.#port === 0) this.#port = task.process.pid;
    const bytes = drain(from, 65536);
    for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
      const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0, true);
      if (length < HEADER_BYTES || at + length > bytes.length) break;
      this.#answer(bytes.subarray(at, at + length));
      at += align(length);
    }
    this.queue.wakeAll();
    return bytes.length;
  }

  #answer(request: Uint8Array): void {
    const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
    const type = view.getUint16(4, true);
    const flags = view.getUint16(6, true);
    const sequence = view.getUint32(8, true);
    const family = request[HEADER_BYTES] ?? 0;
    const bodies = this.#bodies(type, family);
    if (bodies === undefined) {
      this.#error(request, sequence, -EOPNOTSUPP);
      return;
    }
    const reply = type === RTM_GETLINK ? RTM_NEWLINK : type === RTM_GETADDR ? RTM_NEWADDR : 24;
    const dump = (flags & NLM_F_DUMP) === NLM_F_DUMP;
    const parts = bodies.map((body) => message(reply, dump ? NLM_F_MULTI : 0, sequence, this.#port, body));
    if (dump) {
      if (parts.length > 0) this.#answers.push(concat(parts));
      this.#answers.push(message(NLMSG_DONE, NLM_F_MULTI, sequence, this.#port, u32(0)));
      return;
    }
    if (parts[0] !== undefined) this.#answers.push(parts[0]);
    if ((flags & NLM_F_ACK) !== 0) this.#error(request, sequence, 0);
  }

  #bodies(type: number, family: number): Uint8Array[] | undefined {
    const links = this.#network.interfaces();
    if (type === RTM_GETLINK) return links.map(linkBody);
    if (type === RTM_GETROUTE) return [];
    if (type !== RTM_GETADDR) return undefined;
    const bodies: Uint8Array[] = [];
    for (const link of links) {
      for (const address of link.addresses) {
        const own = address.family === 4 ? AF_INET : AF_INET6;
        if (family === 0 || family === own) bodies.push(addressBody(link, address));
      }
    }
    return bodies;
  }

  #error(request: Uint8Array, sequence: number, code: number): void {
    this.#answers.push(
      message(NLMSG_ERROR, 0, sequence, this.#port, concat([u32(code), request.slice(0, HEADER_BYTES)])),
    );
  }

  receive(into: Transfer, flags: number): Received | Failure {
    const first = this.#answers[0];
    if (first === undefined) return -EAGAIN;
    const count = fill(into, first);
    if ((flags & MSG_PEEK) === 0) this.#answers.shift();
    const whole = (flags & MSG_TRUNC) !== 0 ? first.length : count;
    const address = { family: AF_NETLINK, port: 0, groups: 0 } as const;
    return { count: whole, address, flags: count < first.length ? MSG_TRUNC : 0 };
  }

  localAddress(): SocketAddress {
    return { family: AF_NETLINK, port: this.#port, groups: this.#groups };
  }

  override remoteAddress(): SocketAddress {
    return { family: AF_NETLINK, port: 0, groups: 0 };
  }

  override setOption(): number {
    return 0;
  }

  override poll(): number {
    return POLLOUT | POLLWRNORM | (this.#answers.length > 0 ? POLLIN | POLLRDNORM : 0);
  }
}
