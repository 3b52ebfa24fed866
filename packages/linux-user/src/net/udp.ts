/**
 * UDP sockets (udp(7)) over the host network. A datagram from one guest to another on the loopback goes straight to
 * the other's queue, with its ancillary data, which the host's interface could not carry.
 */
import { EACCES, EAFNOSUPPORT, EAGAIN, EDESTADDRREQ, EINVAL, EMSGSIZE, ENOTCONN, EPIPE } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import { POLLERR, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM } from "../fd/open-file.ts";
import { drain, fill, type Transfer } from "../fd/transfer.ts";
import type { Failure } from "../vfs/constants.ts";
import {
  addressOf,
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  asFamily,
  endpointOf,
  formatV4,
  formatV6,
  inet,
  type SocketAddress,
} from "./address.ts";
import { packetFields, receivedControl, type PacketFields } from "./datagram-control.ts";
import type { Endpoint, HostDatagramSocket, HostNetwork } from "./host-network.ts";
import { inetOption, setInetOption } from "./inet-options.ts";
import { MSG_PEEK, MSG_TRUNC, SOCK_DGRAM, Socket, type Eventually, type Received, type SendRequest } from "./socket.ts";

interface Datagram {
  readonly bytes: Uint8Array;
  readonly from: Endpoint;
  readonly fields: PacketFields;
}

/** Sockets of this kernel, to find the receiver on the loopback. */
export type DatagramTable = Set<UdpSocket>;

/** Of a datagram from outside. */
const USUAL_FIELDS: PacketFields = { hopLimit: 64, trafficClass: 0 };

function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}

function sameAddress(one: string, other: string): boolean {
  return one.replace(/^::ffff:/, "") === other.replace(/^::ffff:/, "");
}

const MAX_DATAGRAM_BYTES = 65507;
/** What a datagram costs in the buffer beside its bytes, so that empty ones are bounded too. */
const OVERHEAD_BYTES = 256;
const SOL_IP = 0;
const SOL_IPV6 = 41;

export class UdpSocket extends Socket {
  override readonly family: number;
  readonly #network: HostNetwork;
  readonly #table: DatagramTable;
  /** Sent to other guests before the local address was known. */
  #waiting: (() => void)[] = [];
  #host: HostDatagramSocket | undefined = undefined;
  #local: Endpoint | undefined = undefined;
  #remote: Endpoint | undefined = undefined;
  #connecting = false;
  #bindResult: number | undefined = undefined;
  #binding = false;
  readonly #input: Datagram[] = [];
  #queuedBytes = 0;
  #readShut = false;
  #writeShut = false;
  readonly #stored: Map<string, Uint8Array> = new Map();
  #ipv6Only = false;

  constructor(family: number, protocol: number, flags: number, network: HostNetwork, table: DatagramTable) {
    super(SOCK_DGRAM, protocol, flags);
    this.family = family;
    this.#network = network;
    this.#table = table;
    table.add(this);
  }

  get #ipFamily(): 4 | 6 {
    return this.family === AF_INET6 ? 6 : 4;
  }

  override get availableBytes(): number {
    return this.#input[0]?.bytes.length ?? 0;
  }

  #open(): HostDatagramSocket {
    const { reuseAddress, reusePort } = this.options;
    this.#host ??= this.#network.datagram(
      { family: this.#ipFamily, reuseAddress, reusePort, ipv6Only: this.#ipv6Only },
      {
        bound: (local) => {
          this.#local = asFamily(local, this.#ipFamily);
          this.#bindResult = 0;
          this.optionsChanged();
          for (const deliver of this.#waiting.splice(0)) deliver();
          if (this.isClosed) this.#host?.close();
          this.queue.wakeAll();
        },
        connected: () => {
          this.#connecting = false;
          this.queue.wakeAll();
        },
        failed: (failure) => this.#failed(failure),
        message: (bytes, from) => this.#received(bytes, from, USUAL_FIELDS),
      },
    );
    return this.#host;
  }

  #failed(failure: Failure): void {
    if (this.#binding && this.#bindResult === undefined) this.#bindResult = failure;
    else this.pendingError = -failure;
    this.#connecting = false;
    this.queue.wakeAll();
  }

  #received(bytes: Uint8Array, from: Endpoint, fields: PacketFields): void {
    const cost = bytes.length + OVERHEAD_BYTES;
    if (this.#readShut || this.#queuedBytes + cost > this.options.receiveBufferBytes) return;
    this.#queuedBytes += cost;
    this.#input.push({ bytes, from: asFamily(from, this.#ipFamily), fields });
    this.queue.wakeAll();
  }

  bind(address: SocketAddress, _task: Task): Eventually {
    if (address.family !== AF_INET && address.family !== AF_INET6) return -EAFNOSUPPORT;
    if (address.family !== this.family) return -EAFNOSUPPORT;
    if (this.#binding) return -EINVAL;
    this.#binding = true;
    this.#open().bind(endpointOf(address));
    return () => {
      const result = this.#bindResult;
      if (result !== undefined && result < 0) {
        this.#binding = false;
        this.#bindResult = undefined;
        this.#host?.close();
        this.#host = undefined;
      }
      return result;
    };
  }

  /** Binds to any port when nobody has: connect and send do. */
  #autobind(): void {
    if (this.#binding) return;
    this.#binding = true;
    this.#open().bind({ family: this.#ipFamily, address: this.#ipFamily === 4 ? "0.0.0.0" : "::", port: 0 });
  }

  connect(address: SocketAddress, _task: Task): Eventually {
    if (address.family === AF_UNSPEC) {
      if (this.#remote !== undefined) this.#host?.disconnect();
      this.#remote = undefined;
      return 0;
    }
    if (address.family !== this.family) return -EAFNOSUPPORT;
    const endpoint = endpointOf(address as ReturnType<typeof inet>);
    if (this.#remote !== undefined) this.#host?.disconnect();
    this.#autobind();
    return () => {
      if (this.#bindResult === undefined) return undefined;
      if (this.#bindResult < 0) return this.#bindResult;
      if (this.#remote !== endpoint) {
        this.#remote = endpoint;
        this.#connecting = true;
        this.#host!.connect(endpoint.port === 0 ? { ...endpoint, port: 9 } : endpoint);
      }
      if (this.#connecting) return undefined;
      if (this.pendingError === 0) return 0;
      this.#remote = undefined;
      return -this.takeError();
    };
  }

  send(from: Transfer, request: SendRequest): number {
    if (this.pendingError !== 0) return -this.takeError();
    if (this.#writeShut) return -EPIPE;
    const { address } = request;
    if (address !== undefined && address.family !== this.family)
      return address.family === AF_UNSPEC ? -EINVAL : -EAFNOSUPPORT;
    if (address === undefined && this.#remote === undefined) return -EDESTADDRREQ;
    if (from.remaining > MAX_DATAGRAM_BYTES) return -EMSGSIZE;
    const to = address === undefined ? undefined : endpointOf(address as ReturnType<typeof inet>);
    if (to?.address === "255.255.255.255" && !this.options.broadcast) return -EACCES;
    const fields = packetFields(this.#ipFamily, this.#option, request.ancillary?.messages ?? []);
    if (typeof fields === "number") return fields;
    this.#autobind();
    const bytes = drain(from, MAX_DATAGRAM_BYTES);
    const receiver = this.#receiverAt(to ?? this.#remote!);
    if (receiver === undefined) this.#host!.send(bytes, to);
    else this.#deliver(receiver, bytes, fields, to ?? this.#remote!);
    return bytes.length;
  }

  readonly #option = (level: number, name: number): number => {
    const value = this.#stored.get(`${level}:${name}`);
    return value === undefined ? 0 : new DataView(value.buffer, value.byteOffset).getInt32(0, true);
  };

  /** The guest's socket that would get a datagram on the loopback; undefined leaves it to the host. */
  #receiverAt(to: Endpoint): UdpSocket | undefined {
    if (!isLoopback(to.address)) return undefined;
    const found = [...this.#table].filter((socket) => socket.#hears(to));
    // Several may hear (SO_REUSEPORT, multicast): the host knows who does.
    return found.length === 1 ? found[0] : undefined;
  }

  #hears(to: Endpoint): boolean {
    const local = this.#local;
    if (local === undefined || local.port !== to.port || this.#bindResult !== 0) return false;
    const any = local.address === "0.0.0.0" || (local.address === "::" && (!this.#ipv6Only || to.family === 6));
    return any || sameAddress(local.address, to.address);
  }

  #deliver(receiver: UdpSocket, bytes: Uint8Array, fields: PacketFields, to: Endpoint): void {
    if (this.#local === undefined) {
      this.#waiting.push(() => this.#deliver(receiver, bytes, fields, to));
      return;
    }
    const local = this.#local;
    const any = local.address === "0.0.0.0" || local.address === "::";
    const source = any ? { ...local, family: to.family, address: to.address } : local;
    const { remote } = receiver;
    if (remote !== undefined && (remote.port !== source.port || !sameAddress(remote.address, source.address))) return;
    receiver.#received(bytes, source, fields);
  }

  /** Whom it is connected to. */
  get remote(): Endpoint | undefined {
    return this.#remote;
  }

  receive(into: Transfer, flags: number): Received | Failure {
    const first = this.#input[0];
    if (first === undefined) {
      if (this.pendingError !== 0) return -this.takeError();
      return this.#readShut ? { count: 0, flags: 0 } : -EAGAIN;
    }
    const count = fill(into, first.bytes);
    if ((flags & MSG_PEEK) === 0) {
      this.#input.shift();
      this.#queuedBytes -= first.bytes.length + OVERHEAD_BYTES;
    }
    const truncated = count < first.bytes.length;
    const whole = (flags & MSG_TRUNC) !== 0 ? first.bytes.length : count;
    const local = this.#local ?? first.from;
    const at =
      local.address === "0.0.0.0" || local.address === "::" ? { ...local, address: first.from.address } : local;
    const messages = receivedControl(this.#ipFamily, this.#option, first.fields, at);
    const ancillary = messages.length === 0 ? undefined : { files: [], credentials: undefined, messages };
    return { count: whole, address: addressOf(first.from), ancillary, flags: truncated ? MSG_TRUNC : 0 };
  }

  override shutdown(read: boolean, write: boolean): number {
    if (this.#remote === undefined) return -ENOTCONN;
    this.#readShut ||= read;
    this.#writeShut ||= write;
    this.queue.wakeAll();
    return 0;
  }

  /** Whether the local address is being found out: getsockname waits for it. */
  get isBinding(): boolean {
    return this.#binding && this.#bindResult === undefined;
  }

  localAddress(): SocketAddress {
    if (this.#local !== undefined) return addressOf(this.#local);
    return inet(this.#ipFamily, this.#ipFamily === 4 ? "0.0.0.0" : "::", 0);
  }

  override remoteAddress(): SocketAddress | Failure {
    return this.#remote === undefined ? -ENOTCONN : addressOf(this.#remote);
  }

  override poll(): number {
    let mask = POLLOUT | POLLWRNORM;
    if (this.#input.length > 0 || this.#readShut) mask |= POLLIN | POLLRDNORM;
    if (this.#readShut) mask |= POLLRDHUP;
    if (this.pendingError !== 0) mask |= POLLERR | POLLIN;
    return mask;
  }

  override getOption(level: number, name: number): Uint8Array | Failure {
    return inetOption(this.#stored, level, name, this.#ipv6Only);
  }

  override setOption(level: number, name: number, value: Uint8Array): number {
    const membership = this.#membership(level, name, value);
    if (membership !== undefined) return membership;
    const result = setInetOption(this.#stored, level, name, value);
    if (result < 0) return result;
    if (level === SOL_IPV6 && name === 26) this.#ipv6Only = value[0] !== 0;
    if (level === SOL_IP && this.#bindResult === 0) this.#applyIpOption(name, value[0]);
    return 0;
  }

  #applyIpOption(name: number, value: number): void {
    if (name === 2 || name === 33) this.#host?.setTtl(value, name === 33);
    if (name === 34) this.#host?.setMulticastLoop(value !== 0);
  }

  /** IP_ADD_MEMBERSHIP and its IPv6 form; undefined when it is another option. */
  #membership(level: number, name: number, value: Uint8Array): number | undefined {
    const v4 = level === SOL_IP && (name === 35 || name === 36);
    const v6 = level === SOL_IPV6 && (name === 20 || name === 21);
    if (!v4 && !v6) return undefined;
    if (value.length < (v4 ? 8 : 20)) return -EINVAL;
    const group = v4 ? formatV4(value.subarray(0, 4)) : formatV6(value.subarray(0, 16));
    const on = v4 ? formatV4(value.subarray(4, 8)) : undefined;
    const where = on === "0.0.0.0" ? undefined : on;
    const join = name === 35 || name === 20;
    return join ? this.#open().joinGroup(group, where) : this.#open().leaveGroup(group, where);
  }

  override optionsChanged(): void {
    if (this.#bindResult !== 0) return;
    if (this.options.broadcast) this.#host?.setBroadcast(true);
    for (const name of [2, 33, 34]) {
      const value = this.#stored.get(`${SOL_IP}:${name}`);
      if (value !== undefined) this.#applyIpOption(name, value[0]);
    }
  }

  protected override closed(): void {
    this.#table.delete(this);
    // What was sent still goes, once the host has said from which port.
    if (this.#waiting.length === 0) this.#host?.close();
  }
}
