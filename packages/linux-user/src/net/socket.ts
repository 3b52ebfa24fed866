/** What all sockets share: the operations of socket(7) with their refusals, options, and the way through read(2). */
import { ENOPROTOOPT, ENOTCONN, EOPNOTSUPP } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { OpenFile } from "../fd/open-file.ts";
import type { Transfer } from "../fd/transfer.ts";
import { anonymousInode } from "../vfs/anonymous.ts";
import { O_NONBLOCK, O_RDWR, S_IFSOCK, type Failure } from "../vfs/constants.ts";
import type { SocketAddress } from "./address.ts";
import { interfaceIoctl, isInterfaceRequest } from "./interface-ioctl.ts";

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK: number = O_NONBLOCK;
export const SOCK_CLOEXEC = 0o2000000;

export const MSG_PEEK = 2;
export const MSG_CTRUNC = 8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_WAITALL = 0x100;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;

/** struct ucred. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Ancillary data of a protocol's own level: IP_PKTINFO, IPV6_HOPLIMIT (ip(7), RFC 3542). */
export interface ControlMessage {
  readonly level: number;
  readonly type: number;
  readonly data: Uint8Array;
}

/** Ancillary data. The files (unix(7)) are held once each by the message. */
export interface Ancillary {
  readonly files: readonly OpenFile[];
  readonly credentials: PeerCredentials | undefined;
  readonly messages?: readonly ControlMessage[];
}

export interface SendRequest {
  readonly flags: number;
  readonly address: SocketAddress | undefined;
  readonly ancillary: Ancillary | undefined;
}

export interface Received {
  /** Bytes moved, or of the whole datagram with MSG_TRUNC. */
  readonly count: number;
  readonly address?: SocketAddress | undefined;
  readonly ancillary?: Ancillary | undefined;
  /** MSG_TRUNC, MSG_EOR … */
  readonly flags: number;
}

/** The result of something that the host finishes later: asked again after every wake of the queue. */
export type Eventually = number | (() => number | undefined);

export interface SocketOptions {
  /** As SO_RCVBUF reports: twice what was set. */
  receiveBufferBytes: number;
  sendBufferBytes: number;
  reuseAddress: boolean;
  reusePort: boolean;
  keepAlive: boolean;
  broadcast: boolean;
  /** Nanoseconds; 0 is none. */
  receiveTimeoutNs: number;
  sendTimeoutNs: number;
  passCredentials: boolean;
  /** SO_LINGER: seconds, undefined when off. */
  lingerSeconds: number | undefined;
}

const DEFAULT_BUFFER_BYTES = 212_992;

export function credentialsOf(task: Task): PeerCredentials {
  return { pid: task.process.pid, uid: task.credentials.euid, gid: task.credentials.egid };
}

export abstract class Socket extends OpenFile {
  abstract readonly family: number;
  readonly type: number;
  readonly protocol: number;
  readonly options: SocketOptions = {
    receiveBufferBytes: DEFAULT_BUFFER_BYTES,
    sendBufferBytes: DEFAULT_BUFFER_BYTES,
    reuseAddress: false,
    reusePort: false,
    keepAlive: false,
    broadcast: false,
    receiveTimeoutNs: 0,
    sendTimeoutNs: 0,
    passCredentials: false,
    lingerSeconds: undefined,
  };
  /** SO_ERROR: a positive errno that is reported once. */
  protected pendingError = 0;

  constructor(type: number, protocol: number, flags: number) {
    super(O_RDWR | (flags & O_NONBLOCK));
    this.type = type;
    this.protocol = protocol;
    this.inode = anonymousInode(S_IFSOCK | 0o777);
    this.name = `socket:[${(this.inode.status() as { ino: bigint }).ino}]`;
  }

  get isConnectionOriented(): boolean {
    return this.type === SOCK_STREAM || this.type === SOCK_SEQPACKET;
  }

  override get isStream(): boolean {
    return this.type === SOCK_STREAM;
  }

  abstract bind(address: SocketAddress, task: Task): Eventually;

  listen(_backlog: number, _task: Task): Eventually {
    return -EOPNOTSUPP;
  }

  /** 0, an error, or EINPROGRESS while it goes on; the end of that is `connectResult`. */
  abstract connect(address: SocketAddress, task: Task): Eventually;

  accept(_task: Task, _flags: number): Socket | Failure {
    return -EOPNOTSUPP;
  }

  get isListening(): boolean {
    return false;
  }

  abstract send(from: Transfer, request: SendRequest, task: Task): number;

  abstract receive(into: Transfer, flags: number, task: Task): Received | Failure;

  shutdown(_read: boolean, _write: boolean): number {
    return -ENOTCONN;
  }

  abstract localAddress(): SocketAddress | Failure;

  remoteAddress(): SocketAddress | Failure {
    return -ENOTCONN;
  }

  peerCredentials(): PeerCredentials | undefined {
    return undefined;
  }

  /** SO_ERROR: reads and clears. */
  takeError(): number {
    const error = this.pendingError;
    this.pendingError = 0;
    return error;
  }

  /** Options of the protocol's own level; the value's bytes. */
  getOption(_level: number, _name: number, _task: Task): Uint8Array | Failure {
    return -ENOPROTOOPT;
  }

  setOption(_level: number, _name: number, _value: Uint8Array): number {
    return -ENOPROTOOPT;
  }

  /** A SOL_SOCKET option was changed. */
  optionsChanged(): void {}

  override read(into: Transfer, task: Task): number {
    const received = this.receive(into, 0, task);
    return typeof received === "number" ? received : received.count;
  }

  override write(from: Transfer, task: Task): number {
    return this.send(from, { flags: 0, address: undefined, ancillary: undefined }, task);
  }

  override readDeadlineNs(task: Task): number | undefined {
    const { receiveTimeoutNs } = this.options;
    return receiveTimeoutNs === 0 ? undefined : task.kernel.clock.monotonicNs() + receiveTimeoutNs;
  }

  /** Bytes that a read would give: FIONREAD. */
  get availableBytes(): number {
    return 0;
  }

  override ioctl(task: Task, request: number, argument: number): SyscallResult {
    const FIONREAD = 0x541b;
    const SIOCOUTQ = 0x5411;
    if (request === FIONREAD || request === SIOCOUTQ) {
      task.memory.writeU32(argument, request === FIONREAD ? this.availableBytes : 0);
      return 0;
    }
    if (isInterfaceRequest(request)) return interfaceIoctl(task, request, argument);
    return super.ioctl(task, request, argument);
  }

  override describe(): string {
    return this.name;
  }
}
