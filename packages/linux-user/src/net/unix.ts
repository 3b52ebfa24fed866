/**
 * AF_UNIX sockets between guest processes (unix(7)): queues of messages with their ancillary data. A stream socket
 * is the same queue read without regard to message borders. Sockets of the host are met through `host-unix.ts`.
 */
import {
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EDESTADDRREQ,
  EINVAL,
  EISCONN,
  EMSGSIZE,
  ENOTCONN,
  EOPNOTSUPP,
  EPIPE,
  EPROTOTYPE,
} from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import type { OpenFile } from "../fd/open-file.ts";
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM } from "../fd/open-file.ts";
import { drain, fill, type Transfer } from "../fd/transfer.ts";
import { failed, type Failure } from "../vfs/constants.ts";
import { AF_UNIX, AF_UNSPEC, type SocketAddress, type UnixAddress } from "./address.ts";
import {
  credentialsOf,
  MSG_PEEK,
  MSG_TRUNC,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  Socket,
  type Ancillary,
  type Eventually,
  type PeerCredentials,
  type Received,
  type SendRequest,
} from "./socket.ts";
import type { TcpSocket } from "./tcp.ts";
import type { UnixNames } from "./unix-names.ts";

interface Message {
  bytes: Uint8Array;
  readonly from: UnixAddress;
  readonly files: readonly OpenFile[];
  readonly credentials: PeerCredentials;
}

/** net.unix.max_dgram_qlen: datagrams that wait at a socket. */
const MAX_DATAGRAMS = 512;
/** SOMAXCONN. */
const MAX_BACKLOG = 4096;

const UNNAMED: UnixAddress = { family: AF_UNIX, path: "" };

export class UnixSocket extends Socket {
  override readonly family: number = AF_UNIX;
  readonly #names: UnixNames;
  address: UnixAddress = UNNAMED;
  /** Undoes the binding at close. */
  #unbind: (() => void) | undefined = undefined;
  peer: UnixSocket | undefined = undefined;
  /** The connection, when the peer is a program of the host. */
  #host: TcpSocket | undefined = undefined;
  #peerCredentials: PeerCredentials | undefined = undefined;
  readonly #messages: Message[] = [];
  #queuedBytes = 0;
  #backlog = 0;
  #pendingConnections: Socket[] = [];
  #listening = false;
  #readShut = false;
  #writeShut = false;
  /** A connection-oriented socket that once had a peer. */
  #wasConnected = false;

  constructor(type: number, flags: number, names: UnixNames) {
    super(type, 0, flags);
    this.#names = names;
  }

  override get isListening(): boolean {
    return this.#listening;
  }

  override get availableBytes(): number {
    return this.type === SOCK_STREAM ? this.#queuedBytes : (this.#messages[0]?.bytes.length ?? 0);
  }

  bind(address: SocketAddress, task: Task): number {
    if (address.family !== AF_UNIX) return -EINVAL;
    if (this.address.path !== "") return -EINVAL;
    const bound = this.#names.bind(address.path, this, task);
    if (failed(bound)) return bound;
    this.address = { family: AF_UNIX, path: bound.path };
    this.#unbind = () => bound.release();
    return 0;
  }

  override listen(backlog: number, task: Task): number {
    if (this.type === SOCK_DGRAM) return -EOPNOTSUPP;
    if (this.address.path === "" || this.peer !== undefined) return -EINVAL;
    this.#listening = true;
    this.#backlog = Math.max(1, Math.min(backlog < 0 ? MAX_BACKLOG : backlog + 1, MAX_BACKLOG));
    this.#peerCredentials = credentialsOf(task);
    return 0;
  }

  connect(address: SocketAddress, task: Task): Eventually {
    if (address.family === AF_UNSPEC && this.type === SOCK_DGRAM) {
      this.peer = undefined;
      return 0;
    }
    if (address.family !== AF_UNIX) return -EINVAL;
    if (this.type !== SOCK_DGRAM && (this.peer !== undefined || this.#wasConnected)) return -EISCONN;
    if (this.#listening) return -EINVAL;
    const target = this.#names.find(address.path, task);
    if (failed(target)) return target;
    if (!(target instanceof UnixSocket)) {
      return this.type === SOCK_STREAM ? this.#connectHost(target.hostPath) : -EPROTOTYPE;
    }
    if (target.type !== this.type) return -EPROTOTYPE;
    if (this.type === SOCK_DGRAM) {
      this.peer = target;
      this.#names.noteDatagram(this);
      return 0;
    }
    return this.#connectStream(target, task);
  }

  /** A socket of the host: from here on this one is only its front. */
  #connectHost(hostPath: string): Eventually {
    const host = this.#names.connectHost(hostPath);
    this.#host = host;
    this.#wasConnected = true;
    host.queue.add({ wake: () => this.queue.wakeAll() });
    return () => {
      const result = host.connectResult();
      if (result !== undefined && result < 0) {
        this.#host = undefined;
        this.#wasConnected = false;
      }
      return result;
    };
  }

  #connectStream(listener: UnixSocket, task: Task): number {
    if (!listener.#listening) return -ECONNREFUSED;
    if (listener.#pendingConnections.length >= listener.#backlog) return -EAGAIN;
    const server = new UnixSocket(this.type, 0, this.#names);
    server.address = listener.address;
    pair(this, server);
    server.#peerCredentials = credentialsOf(task);
    this.#peerCredentials = listener.#peerCredentials;
    listener.enqueueConnection(server);
    return 0;
  }

  /** A connection that waits for accept; also from programs of the host. */
  enqueueConnection(socket: Socket): boolean {
    if (!this.#listening || this.#pendingConnections.length >= this.#backlog) return false;
    this.#pendingConnections.push(socket);
    this.queue.wakeAll();
    return true;
  }

  override accept(_task: Task, flags: number): Socket | Failure {
    if (this.type === SOCK_DGRAM) return -EOPNOTSUPP;
    if (!this.#listening) return -EINVAL;
    const socket = this.#pendingConnections.shift();
    if (socket === undefined) return -EAGAIN;
    socket.flags |= flags;
    // A connect that found the backlog full may go on.
    this.queue.wakeAll();
    return socket;
  }

  /** Whether the socket takes a message of that size now. */
  #hasRoom(bytes: number): boolean {
    if (this.type === SOCK_DGRAM && this.#messages.length >= MAX_DATAGRAMS) return false;
    return this.#queuedBytes === 0 || this.#queuedBytes + bytes <= this.options.receiveBufferBytes;
  }

  #target(request: SendRequest, task: Task): UnixSocket | Failure {
    if (request.address !== undefined && this.type === SOCK_DGRAM) {
      if (request.address.family !== AF_UNIX) return -EINVAL;
      const found = this.#names.find(request.address.path, task);
      if (failed(found)) return found;
      if (!(found instanceof UnixSocket) || found.type !== SOCK_DGRAM) return -EPROTOTYPE;
      return found;
    }
    if (request.address !== undefined && this.type === SOCK_STREAM)
      return this.peer === undefined ? -EOPNOTSUPP : -EISCONN;
    if (this.peer !== undefined) return this.peer;
    if (this.#wasConnected) return -EPIPE;
    return this.type === SOCK_DGRAM ? -EDESTADDRREQ : -ENOTCONN;
  }

  send(from: Transfer, request: SendRequest, task: Task): number {
    if (this.#host !== undefined) return this.#host.send(from, request);
    if (this.pendingError !== 0) return -this.takeError();
    if (this.#writeShut) return -EPIPE;
    const target = this.#target(request, task);
    if (failed(target)) return target;
    if (target.isClosed) return this.type === SOCK_DGRAM ? -ECONNREFUSED : -EPIPE;
    if (target.#readShut) return -EPIPE;
    return this.type === SOCK_STREAM
      ? this.#sendStream(target, from, request, task)
      : this.#sendMessage(target, from, request, task);
  }

  #sendStream(target: UnixSocket, from: Transfer, request: SendRequest, task: Task): number {
    if (from.remaining === 0) return 0;
    const room = target.options.receiveBufferBytes - target.#queuedBytes;
    if (room <= 0) return -EAGAIN;
    const bytes = drain(from, room);
    target.#deliver(this.#message(bytes, request.ancillary, task));
    return bytes.length;
  }

  #sendMessage(target: UnixSocket, from: Transfer, request: SendRequest, task: Task): number {
    const size = from.remaining;
    if (size > this.options.sendBufferBytes) return -EMSGSIZE;
    if (!target.#hasRoom(size)) return -EAGAIN;
    const bytes = drain(from, size);
    target.#deliver(this.#message(bytes, request.ancillary, task));
    return bytes.length;
  }

  #message(bytes: Uint8Array, ancillary: Ancillary | undefined, task: Task): Message {
    const credentials = ancillary?.credentials ?? credentialsOf(task);
    return { bytes, from: this.address, files: ancillary?.files ?? [], credentials };
  }

  #deliver(message: Message): void {
    this.#messages.push(message);
    this.#queuedBytes += message.bytes.length;
    this.queue.wakeAll();
  }

  receive(into: Transfer, flags: number, _task: Task): Received | Failure {
    if (this.#host !== undefined) return this.#host.receive(into, flags);
    if (this.type !== SOCK_DGRAM && this.peer === undefined && !this.#wasConnected)
      return this.#listening ? -EINVAL : -ENOTCONN;
    const first = this.#messages[0];
    if (first === undefined) return this.#emptyResult();
    return this.type === SOCK_STREAM ? this.#receiveStream(into, flags) : this.#receiveMessage(first, into, flags);
  }

  #emptyResult(): Received | Failure {
    if (this.pendingError !== 0) return -this.takeError();
    if (this.#readShut) return { count: 0, flags: 0 };
    if (this.type !== SOCK_DGRAM && this.#peerIsDone) return { count: 0, flags: 0 };
    return -EAGAIN;
  }

  /** The peer will send no more. */
  get #peerIsDone(): boolean {
    return this.peer === undefined || this.peer.isClosed || this.peer.#writeShut;
  }

  #ancillaryOf(message: Message, flags: number): Ancillary | undefined {
    const credentials = this.options.passCredentials ? message.credentials : undefined;
    const { files } = message;
    if (files.length === 0 && credentials === undefined) return undefined;
    // Peeked files are given as well: one more hold for each.
    if ((flags & MSG_PEEK) !== 0) for (const file of files) file.retain();
    return { files, credentials };
  }

  #receiveMessage(message: Message, into: Transfer, flags: number): Received {
    const count = fill(into, message.bytes);
    const truncated = count < message.bytes.length;
    const ancillary = this.#ancillaryOf(message, flags);
    if ((flags & MSG_PEEK) === 0) {
      this.#messages.shift();
      this.#queuedBytes -= message.bytes.length;
      this.#madeRoom();
    }
    const whole = (flags & MSG_TRUNC) !== 0 ? message.bytes.length : count;
    return { count: whole, address: message.from, ancillary, flags: truncated ? MSG_TRUNC : 0 };
  }

  /** Bytes across messages, but never beyond one that carries files or other credentials. */
  #receiveStream(into: Transfer, flags: number): Received {
    const first = this.#messages[0];
    const ancillary = this.#ancillaryOf(first, flags);
    const peek = (flags & MSG_PEEK) !== 0;
    let done = 0;
    for (let index = 0; index < this.#messages.length && into.remaining > 0;) {
      const message = this.#messages[index];
      if (index > 0 || message !== first) {
        if (
          message.files.length > 0 ||
          (this.options.passCredentials && message.credentials.pid !== first.credentials.pid)
        )
          break;
      }
      const count = fill(into, message.bytes);
      done += count;
      if (peek) {
        index++;
        continue;
      }
      this.#queuedBytes -= count;
      if (count < message.bytes.length) {
        this.#messages[index] = { ...message, bytes: message.bytes.subarray(count), files: [] };
        break;
      }
      this.#messages.shift();
      if (first.files.length > 0) break;
    }
    if (!peek && done > 0) this.#madeRoom();
    return { count: done, address: first.from, ancillary, flags: 0 };
  }

  #madeRoom(): void {
    this.queue.wakeAll();
    this.peer?.queue.wakeAll();
    for (const queue of this.#senders) queue.wakeAll();
  }

  /** Datagram sockets that are connected to this one: they wait for room here. */
  get #senders(): Iterable<OpenFile["queue"]> {
    return this.type === SOCK_DGRAM ? this.#names.senderQueues(this) : [];
  }

  override shutdown(read: boolean, write: boolean): number {
    if (this.#host !== undefined) return this.#host.shutdown(read, write);
    if (this.type !== SOCK_DGRAM && this.peer === undefined) return -ENOTCONN;
    if (read) this.#readShut = true;
    if (write) this.#writeShut = true;
    this.queue.wakeAll();
    this.peer?.queue.wakeAll();
    return 0;
  }

  localAddress(): SocketAddress {
    return this.address;
  }

  override remoteAddress(): SocketAddress | Failure {
    if (this.#host !== undefined) return UNNAMED;
    return this.peer === undefined ? -ENOTCONN : this.peer.address;
  }

  override peerCredentials(): PeerCredentials | undefined {
    return this.#peerCredentials;
  }

  set pairCredentials(credentials: PeerCredentials) {
    this.#peerCredentials = credentials;
  }

  override poll(): number {
    if (this.#host !== undefined) return this.#host.poll();
    let mask = 0;
    if (this.#listening) return this.#pendingConnections.length > 0 ? POLLIN | POLLRDNORM : 0;
    if (this.#messages.length > 0 || this.#readShut) mask |= POLLIN | POLLRDNORM;
    if (this.pendingError !== 0) mask |= POLLERR;
    if (this.type === SOCK_DGRAM) {
      if (this.peer === undefined || this.peer.isClosed || this.peer.#hasRoom(1)) mask |= POLLOUT | POLLWRNORM;
      return mask;
    }
    if (!this.#wasConnected) return mask | POLLOUT | POLLHUP;
    if (this.#peerIsDone) mask |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (this.peer === undefined || this.peer.isClosed || (this.#writeShut && this.#peerIsDone)) mask |= POLLHUP;
    if (this.peer === undefined || this.peer.isClosed || this.peer.#hasRoom(1)) mask |= POLLOUT | POLLWRNORM;
    return mask;
  }

  protected override closed(): void {
    this.#unbind?.();
    this.#host?.release();
    for (const message of this.#messages) for (const file of message.files) file.release();
    const unread = this.#messages.length > 0;
    this.#messages.length = 0;
    for (const socket of this.#pendingConnections) socket.release();
    this.#pendingConnections = [];
    this.#listening = false;
    const { peer } = this;
    if (peer !== undefined && this.type !== SOCK_DGRAM) {
      // Data that nobody read makes the peer see a reset (unix(7) follows TCP here).
      if (unread && peer.peer === this) peer.pendingError = ECONNRESET;
      peer.queue.wakeAll();
    }
    this.queue.wakeAll();
  }

  /** Joins two fresh sockets; `socketpair` and connect. */
  static join(one: UnixSocket, other: UnixSocket): void {
    one.peer = other;
    other.peer = one;
    one.#wasConnected = other.#wasConnected = true;
  }
}

function pair(one: UnixSocket, other: UnixSocket): void {
  UnixSocket.join(one, other);
}

export function isUnixType(type: number): boolean {
  return type === SOCK_STREAM || type === SOCK_DGRAM || type === SOCK_SEQPACKET;
}
