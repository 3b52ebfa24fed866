/**
 * TCP sockets (tcp(7)) over the host network; also the stream of a unix socket of the host, which differs only in its
 * addresses. Received bytes wait in a bounded queue, sent ones in the host's: both directions push back.
 *
 *   new ─ bind ─> bound ─ listen ─> listening
 *    └─ connect ─> connecting ─> connected ─> closed
 */
import {
  EAFNOSUPPORT,
  EAGAIN,
  EALREADY,
  ECONNREFUSED,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENOTCONN,
  EPIPE,
} from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import { ByteQueue } from "../fd/byte-queue.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM } from "../fd/open-file.ts";
import { drain, fill, type Transfer } from "../fd/transfer.ts";
import type { Failure } from "../vfs/constants.ts";
import {
  addressOf,
  AF_INET,
  AF_INET6,
  AF_UNIX,
  AF_UNSPEC,
  asFamily,
  endpointOf,
  inet,
  type SocketAddress,
} from "./address.ts";
import type { Endpoint, HostConnection, HostListener, HostNetwork } from "./host-network.ts";
import { inetOption, setInetOption } from "./inet-options.ts";
import {
  MSG_PEEK,
  MSG_TRUNC,
  SOCK_STREAM,
  Socket,
  type Eventually,
  type Received,
  type SendRequest,
} from "./socket.ts";

const SOL_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const MAX_BACKLOG = 4096;
const SECONDS_2_HOURS = 7200;
const LOOPBACK_PATIENCE_MS = 20;

type State = "new" | "bound" | "listening" | "connecting" | "connected" | "closed";

export class TcpSocket extends Socket {
  override readonly family: number;
  readonly #network: HostNetwork;
  #state: State = "new";
  #local: Endpoint | undefined = undefined;
  #remote: Endpoint | undefined = undefined;
  /** Held from bind on, so that the port is ours; connections before listen are refused. */
  #listener: HostListener | undefined = undefined;
  #connection: HostConnection | undefined = undefined;
  readonly #accepted: HostConnection[] = [];
  #backlog = 0;
  readonly #input: ByteQueue = new ByteQueue();
  #paused = false;
  #inputEnded = false;
  #readShut = false;
  #writeShut = false;
  ipv6Only = false;
  readonly #stored: Map<string, Uint8Array> = new Map();
  #noDelay = false;
  #keepIdleSeconds: number = SECONDS_2_HOURS;

  constructor(family: number, protocol: number, flags: number, network: HostNetwork) {
    super(SOCK_STREAM, protocol, flags);
    this.family = family;
    this.#network = network;
  }

  /** The socket of a connection that is there already: accepted, or to a unix socket of the host. */
  static connected(family: number, connection: HostConnection, network: HostNetwork): TcpSocket {
    const socket = new TcpSocket(family, 0, 0, network);
    socket.#adopt(connection);
    socket.#state = "connected";
    return socket;
  }

  get #ipFamily(): 4 | 6 {
    return this.family === AF_INET6 ? 6 : 4;
  }

  override get isListening(): boolean {
    return this.#state === "listening";
  }

  override get availableBytes(): number {
    return this.#input.length;
  }

  bind(address: SocketAddress, _task: Task): Eventually {
    if (address.family !== this.family || address.family === AF_UNIX) return -EAFNOSUPPORT;
    if (this.#state !== "new" || this.#listener !== undefined) return -EINVAL;
    return this.#bindTo(endpointOf(address as ReturnType<typeof inet>));
  }

  #bindTo(endpoint: Endpoint): Eventually {
    let result: number | undefined;
    const options = { backlog: 511, reusePort: this.options.reusePort, ipv6Only: this.ipv6Only };
    this.#listener = this.#network.listen(endpoint, options, {
      listening: (local) => {
        this.#local = asFamily(local, this.#ipFamily);
        this.#state = "bound";
        result = 0;
        this.queue.wakeAll();
      },
      failed: (failure) => {
        this.#listener = undefined;
        result = failure;
        this.queue.wakeAll();
      },
      connection: (connection) => this.#incoming(connection),
    });
    return () => result;
  }

  #incoming(connection: HostConnection): void {
    if (this.#state !== "listening" || this.#accepted.length >= this.#backlog) {
      connection.close(true);
      return;
    }
    this.#accepted.push(connection);
    this.queue.wakeAll();
  }

  override listen(backlog: number, _task: Task): Eventually {
    if (this.#state === "connected" || this.#state === "connecting") return -EINVAL;
    this.#backlog = Math.max(1, Math.min(backlog < 0 ? MAX_BACKLOG : backlog, MAX_BACKLOG));
    if (this.#listener !== undefined) {
      this.#state = "listening";
      return 0;
    }
    const bound = this.#bindTo({ family: this.#ipFamily, address: this.#ipFamily === 4 ? "0.0.0.0" : "::", port: 0 });
    if (typeof bound === "number") return bound;
    return () => {
      const result = bound();
      if (result === 0) this.#state = "listening";
      return result;
    };
  }

  override accept(_task: Task, flags: number): Socket | Failure {
    if (this.#state !== "listening") return -EINVAL;
    const connection = this.#accepted.shift();
    if (connection === undefined) return -EAGAIN;
    const socket = TcpSocket.connected(this.family, connection, this.#network);
    socket.flags |= flags;
    return socket;
  }

  connect(address: SocketAddress, _task: Task): Eventually {
    if (address.family === AF_UNSPEC) return 0;
    if (address.family !== AF_INET && address.family !== AF_INET6) return -EAFNOSUPPORT;
    if (address.family !== this.family) return -EAFNOSUPPORT;
    if (this.#state === "connecting") return -EALREADY;
    if (this.#state === "connected") return -EISCONN;
    if (this.#state === "listening") return -EISCONN;
    if (this.pendingError !== 0) return -this.takeError();
    if (address.port === 0) return -ECONNREFUSED;
    // The port that bind held is given to the connection.
    this.#listener?.close();
    this.#listener = undefined;
    const endpoint = anyIsLoopback(endpointOf(address));
    this.#remote = endpoint;
    this.start(this.#network.connect(endpoint, this.#local));
    if (!this.nonblocking) return () => this.#connectResult();
    return isLoopback(endpoint.address) ? this.#nearlyInstant() : -EINPROGRESS;
  }

  /**
   * On the loopback the handshake is over before connect(2) returns EINPROGRESS, and programs come to rely on it: the
   * host is given a moment.
   */
  #nearlyInstant(): () => number | undefined {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.queue.wakeAll();
    }, LOOPBACK_PATIENCE_MS);
    return () => {
      if (this.#state === "connecting" && !late) return undefined;
      clearTimeout(timer);
      return -EINPROGRESS;
    };
  }

  /** Begins to wait for a connection that the network is making. */
  start(connection: HostConnection): void {
    this.#state = "connecting";
    this.#adopt(connection);
  }

  /** The end of a blocking connect; undefined while it goes on. */
  connectResult(): number | undefined {
    return this.#connectResult();
  }

  #connectResult(): number | undefined {
    if (this.#state === "connecting") return undefined;
    return this.pendingError !== 0 ? -this.takeError() : 0;
  }

  #adopt(connection: HostConnection): void {
    this.#connection = connection;
    connection.attach({
      connected: () => {
        this.#state = "connected";
        this.optionsChanged();
        this.queue.wakeAll();
      },
      failed: (failure) => this.#broken(failure),
      data: (bytes) => this.#received(bytes),
      ended: () => {
        this.#inputEnded = true;
        this.queue.wakeAll();
      },
      drained: () => this.queue.wakeAll(),
    });
  }

  #broken(failure: Failure): void {
    this.pendingError = -failure;
    if (this.#state === "connecting") {
      this.#state = "new";
      this.#connection = undefined;
    } else {
      this.#state = "closed";
      this.#inputEnded = true;
    }
    this.queue.wakeAll();
  }

  #received(bytes: Uint8Array): void {
    if (this.#readShut) return;
    this.#input.push(bytes);
    if (this.#input.length >= this.options.receiveBufferBytes && !this.#paused) {
      this.#paused = true;
      this.#connection?.pause();
    }
    this.queue.wakeAll();
  }

  get #isEstablished(): boolean {
    return this.#state === "connected";
  }

  get #room(): number {
    return this.options.sendBufferBytes - (this.#connection?.queuedBytes ?? 0);
  }

  send(from: Transfer, request: SendRequest): number {
    void request;
    if (this.pendingError !== 0 && this.#state !== "connecting") return -this.takeError();
    if (this.#state === "connecting") return -EAGAIN;
    if (this.#writeShut || this.#state === "closed") return -EPIPE;
    if (!this.#isEstablished) return this.#state === "new" ? -EPIPE : -ENOTCONN;
    if (from.remaining === 0) return 0;
    const room = this.#room;
    if (room <= 0) return -EAGAIN;
    const bytes = drain(from, room);
    this.#connection!.write(bytes);
    return bytes.length;
  }

  receive(into: Transfer, flags: number): Received | Failure {
    if (this.#input.length > 0) return this.#take(into, flags);
    if (this.pendingError !== 0 && this.#state !== "connecting") return -this.takeError();
    if (this.#state === "connecting") return -EAGAIN;
    if (this.#inputEnded || this.#readShut) return { count: 0, flags: 0 };
    return this.#isEstablished ? -EAGAIN : -ENOTCONN;
  }

  #take(into: Transfer, flags: number): Received {
    if ((flags & MSG_PEEK) !== 0) return { count: fill(into, this.#input.peek(into.remaining)), flags: 0 };
    let count: number;
    if ((flags & MSG_TRUNC) !== 0) {
      // tcp(7): the bytes are thrown away.
      count = Math.min(into.remaining, this.#input.length);
      this.#input.skip(count);
    } else {
      count = this.#input.moveTo(into);
    }
    if (this.#paused && this.#input.length < this.options.receiveBufferBytes / 2) {
      this.#paused = false;
      this.#connection?.resume();
    }
    return { count, flags: 0 };
  }

  override shutdown(read: boolean, write: boolean): number {
    if (this.#state === "listening" && read) {
      this.#listener?.close();
      this.#listener = undefined;
      this.#state = "new";
      this.queue.wakeAll();
      return 0;
    }
    if (!this.#isEstablished) return -ENOTCONN;
    if (read) this.#readShut = true;
    if (write && !this.#writeShut) {
      this.#writeShut = true;
      this.#connection?.end();
    }
    this.queue.wakeAll();
    return 0;
  }

  localAddress(): SocketAddress {
    if (this.family === AF_UNIX) return { family: AF_UNIX, path: "" };
    const local = this.#connection?.local ?? this.#local;
    if (local !== undefined) return addressOf(asFamily(local, this.#ipFamily));
    return inet(this.#ipFamily, this.#ipFamily === 4 ? "0.0.0.0" : "::", 0);
  }

  override remoteAddress(): SocketAddress | Failure {
    // Both directions have ended: the connection is gone, as getpeername(2) says.
    if (!this.#isEstablished || (this.#inputEnded && this.#writeShut)) return -ENOTCONN;
    if (this.family === AF_UNIX) return { family: AF_UNIX, path: "" };
    const remote = this.#connection?.remote ?? this.#remote;
    return remote === undefined ? -ENOTCONN : addressOf(asFamily(remote, this.#ipFamily));
  }

  override poll(): number {
    if (this.#state === "listening") return this.#accepted.length > 0 ? POLLIN | POLLRDNORM : 0;
    if (this.#state === "connecting") return 0;
    let mask = 0;
    if (this.pendingError !== 0) mask |= POLLERR | POLLIN | POLLOUT;
    if (this.#state === "new" || this.#state === "bound") return mask | POLLOUT | POLLHUP | POLLWRNORM;
    if (this.#input.length > 0 || this.#inputEnded || this.#readShut) mask |= POLLIN | POLLRDNORM;
    if (this.#inputEnded || this.#readShut) mask |= POLLRDHUP;
    if (this.#state === "closed" || (this.#inputEnded && this.#writeShut)) mask |= POLLHUP;
    if (this.#writeShut || this.#state === "closed" || this.#room > 0) mask |= POLLOUT | POLLWRNORM;
    return mask;
  }

  override getOption(level: number, name: number): Uint8Array | Failure {
    if (level === SOL_TCP && name === TCP_NODELAY) return Uint8Array.of(this.#noDelay ? 1 : 0, 0, 0, 0);
    return inetOption(this.#stored, level, name, this.#ipFamily === 6 && this.ipv6Only);
  }

  override setOption(level: number, name: number, value: Uint8Array): number {
    const result = setInetOption(this.#stored, level, name, value);
    if (result < 0) return result;
    const on = value.some((byte) => byte !== 0);
    if (level === SOL_TCP && name === TCP_NODELAY) this.#noDelay = on;
    if (level === SOL_TCP && name === TCP_KEEPIDLE) this.#keepIdleSeconds = value[0] | (value[1] << 8);
    if (level === 41 && name === 26) this.ipv6Only = on;
    this.optionsChanged();
    return 0;
  }

  override optionsChanged(): void {
    if (this.family === AF_UNIX) return;
    this.#connection?.setNoDelay(this.#noDelay);
    if (this.options.keepAlive) this.#connection?.setKeepAlive(true, this.#keepIdleSeconds);
  }

  protected override closed(): void {
    this.#listener?.close();
    for (const connection of this.#accepted) connection.close(true);
    // RST for "linger 0 seconds" and for bytes that nobody read (RFC 2525, 2.17).
    this.#connection?.close(this.options.lingerSeconds === 0 || this.#state === "connecting");
    this.#state = "closed";
  }
}

function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}

/** connect to 0.0.0.0 or :: means this host (as Linux does). */
function anyIsLoopback(endpoint: Endpoint): Endpoint {
  if (endpoint.address === "0.0.0.0") return { ...endpoint, address: "127.0.0.1" };
  return endpoint.address === "::" ? { ...endpoint, address: "::1" } : endpoint;
}
