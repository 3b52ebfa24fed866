/** socket, bind, listen, accept, connect, shutdown, names and options. */
import {
  EAGAIN,
  EAFNOSUPPORT,
  EBADF,
  EFAULT,
  EINVAL,
  ENOPROTOOPT,
  ENOTSOCK,
  EOPNOTSUPP,
  SyscallError,
} from "../kernel/errno.ts";
import type { SyscallArguments, SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { installPair } from "../fd/sys-pipe.ts";
import { failed } from "../vfs/constants.ts";
import { filesOf, guestOf, must } from "../vfs/handler-tools.ts";
import { installFile } from "../vfs/sys-open.ts";
import { AF_UNIX, decodeAddress, encodeAddress, type SocketAddress } from "./address.ts";
import { SOCK_CLOEXEC, SOCK_NONBLOCK, Socket, type Eventually } from "./socket.ts";
import { setSocketOption, socketOption } from "./socket-options.ts";
import { credentialsOf } from "./socket.ts";
import { UdpSocket } from "./udp.ts";

const SOL_SOCKET = 1;
/** sizeof(struct sockaddr_storage). */
const MAX_ADDRESS_BYTES = 128;

export function socketOf(task: Task, fd: number): Socket {
  const file = filesOf(task).get(fd);
  if (file === undefined || file.isPathOnly) throw new SyscallError(EBADF);
  if (!(file instanceof Socket)) throw new SyscallError(ENOTSOCK);
  return file;
}

export function addressAt(task: Task, at: number, length: number): SocketAddress {
  if (length < 0 || length > MAX_ADDRESS_BYTES) throw new SyscallError(EINVAL);
  return must<SocketAddress>(decodeAddress(task.memory.readBytes(at, length)));
}

/** Gives an address back: as much as fits, and its real length (accept(2)). */
export function writeAddress(task: Task, address: SocketAddress, at: number, lengthAt: number): void {
  if (at === 0) return;
  const room = task.memory.readI32(lengthAt);
  if (room < 0) throw new SyscallError(EINVAL);
  const bytes = encodeAddress(address);
  task.memory.writeBytes(at, bytes.subarray(0, room));
  task.memory.writeU32(lengthAt, bytes.length);
}

/** Waits for what the host finishes later. */
export function eventually(task: Task, socket: Socket, outcome: Eventually): SyscallResult {
  if (typeof outcome === "number") return outcome;
  const result = outcome();
  if (result !== undefined) return result;
  return task.block({ on: [socket.queue], retry: () => eventually(task, socket, outcome) });
}

function splitType(value: number): { type: number; flags: number; closeOnExec: boolean } {
  const type = value & 0xf;
  if ((value & ~(0xf | SOCK_NONBLOCK | SOCK_CLOEXEC)) !== 0) throw new SyscallError(EINVAL);
  return { type, flags: value & SOCK_NONBLOCK, closeOnExec: (value & SOCK_CLOEXEC) !== 0 };
}

export function openSocket(task: Task, family: number, typeAndFlags: number, protocol: number): SyscallResult {
  const { type, flags, closeOnExec } = splitType(typeAndFlags);
  const made = guestOf(task).network.create(family, type, protocol, flags);
  return failed(made) ? made : installFile(task, made, closeOnExec);
}

export function socketpair(task: Task, family: number, typeAndFlags: number, at: number): SyscallResult {
  const { type, flags, closeOnExec } = splitType(typeAndFlags);
  if (family !== AF_UNIX) return family === 2 || family === 10 ? -EOPNOTSUPP : -EAFNOSUPPORT;
  task.memory.views(at, 8, "write");
  const pair = guestOf(task).network.pair(type, flags);
  if (failed(pair)) return pair;
  for (const one of pair) one.pairCredentials = credentialsOf(task);
  return installPair(task, pair, at, closeOnExec);
}

export function bind(task: Task, fd: number, at: number, length: number): SyscallResult {
  const socket = socketOf(task, fd);
  return eventually(task, socket, socket.bind(addressAt(task, at, length), task));
}

export function listen(task: Task, fd: number, backlog: number): SyscallResult {
  const socket = socketOf(task, fd);
  return eventually(task, socket, socket.listen(backlog, task));
}

export function connect(task: Task, fd: number, at: number, length: number): SyscallResult {
  const socket = socketOf(task, fd);
  const address = addressAt(task, at, length);
  const attempt = (): SyscallResult => {
    const outcome = socket.connect(address, task);
    // A unix listener whose backlog is full: wait for it, unless O_NONBLOCK.
    if (outcome === -EAGAIN && !socket.nonblocking) {
      return task.block({ on: [socket.queue], timeoutNs: 1_000_000, retry: attempt });
    }
    return eventually(task, socket, outcome);
  };
  return attempt();
}

export function accept(task: Task, fd: number, at: number, lengthAt: number, flags: number): SyscallResult {
  if ((flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) !== 0) return -EINVAL;
  const listener = socketOf(task, fd);
  const deadlineNs = listener.readDeadlineNs(task);
  const attempt = (): SyscallResult => {
    const accepted = listener.accept(task, flags & SOCK_NONBLOCK);
    if (accepted === -EAGAIN && !listener.nonblocking) {
      return task.block({
        on: [listener.queue],
        retry: (reason) => (reason === "timeout" ? -EAGAIN : attempt()),
        ...(deadlineNs === undefined ? {} : { deadlineNs }),
      });
    }
    if (failed(accepted)) return accepted;
    if (at !== 0) {
      const peer = accepted.remoteAddress();
      if (!failed(peer)) writeAddress(task, peer, at, lengthAt);
    }
    return installFile(task, accepted, (flags & SOCK_CLOEXEC) !== 0);
  };
  return attempt();
}

export function getsockname(task: Task, fd: number, at: number, lengthAt: number): SyscallResult {
  const socket = socketOf(task, fd);
  if (socket instanceof UdpSocket && socket.isBinding) {
    return task.block({ on: [socket.queue], retry: () => getsockname(task, fd, at, lengthAt) });
  }
  const address = socket.localAddress();
  if (failed(address)) return address;
  if (at === 0) return -EFAULT;
  writeAddress(task, address, at, lengthAt);
  return 0;
}

export function getpeername(task: Task, fd: number, at: number, lengthAt: number): SyscallResult {
  const address = socketOf(task, fd).remoteAddress();
  if (failed(address)) return address;
  if (at === 0) return -EFAULT;
  writeAddress(task, address, at, lengthAt);
  return 0;
}

export function shutdown(task: Task, fd: number, how: number): SyscallResult {
  if (how < 0 || how > 2) return -EINVAL;
  return socketOf(task, fd).shutdown(how !== 1, how !== 0);
}

export function getsockopt(task: Task, args: SyscallArguments, values: readonly number[]): SyscallResult {
  const [fd, level, name, at, lengthAt] = values as [number, number, number, number, number];
  const socket = socketOf(task, fd | 0);
  const room = task.memory.readI32(lengthAt);
  if (room < 0) return -EINVAL;
  const value =
    (level | 0) === SOL_SOCKET ? socketOption(socket, name | 0, args) : socket.getOption(level | 0, name | 0, task);
  if (failed(value)) return value;
  const length = Math.min(room, value.length);
  task.memory.writeBytes(at, value.subarray(0, length));
  task.memory.writeU32(lengthAt, length);
  return 0;
}

export function setsockopt(task: Task, args: SyscallArguments, values: readonly number[]): SyscallResult {
  const [fd, level, name, at, length] = values as [number, number, number, number, number];
  const socket = socketOf(task, fd | 0);
  if (length > 4096) return -EINVAL;
  if ((level | 0) === SOL_SOCKET) return setSocketOption(socket, task, name | 0, at, length, args);
  if (socket.family === AF_UNIX) return -ENOPROTOOPT;
  return socket.setOption(level | 0, name | 0, task.memory.readBytes(at, length));
}

/** The first `count` arguments as addresses; small integers are cut to 32 bits where they are used. */
export function words(args: SyscallArguments, count: number): number[] {
  return Array.from({ length: count }, (_, index) => args.address(index));
}

const sysSocket: SyscallHandler = (task, args) => openSocket(task, args.i32(0), args.i32(1), args.i32(2));
const sysSocketpair: SyscallHandler = (task, args) => socketpair(task, args.i32(0), args.i32(1), args.address(3));
const sysBind: SyscallHandler = (task, args) => bind(task, args.i32(0), args.address(1), args.i32(2));
const sysListen: SyscallHandler = (task, args) => listen(task, args.i32(0), args.i32(1));
const sysConnect: SyscallHandler = (task, args) => connect(task, args.i32(0), args.address(1), args.i32(2));
const sysAccept: SyscallHandler = (task, args) => accept(task, args.i32(0), args.address(1), args.address(2), 0);
const sysAccept4: SyscallHandler = (task, args) =>
  accept(task, args.i32(0), args.address(1), args.address(2), args.i32(3));
const sysGetsockname: SyscallHandler = (task, args) => getsockname(task, args.i32(0), args.address(1), args.address(2));
const sysGetpeername: SyscallHandler = (task, args) => getpeername(task, args.i32(0), args.address(1), args.address(2));
const sysShutdown: SyscallHandler = (task, args) => shutdown(task, args.i32(0), args.i32(1));
const sysGetsockopt: SyscallHandler = (task, args) => getsockopt(task, args, words(args, 5));
const sysSetsockopt: SyscallHandler = (task, args) => setsockopt(task, args, words(args, 5));

const families = { partial: "AF_UNIX, AF_INET, AF_INET6 (stream and datagram), NETLINK_ROUTE dumps; no raw sockets" };
const named = ["fd", "pointer", "pointer"] as const;

export const socketSyscalls: readonly SyscallDefinition[] = [
  { name: "socket", x64: 41, i386: 359, honesty: families, handler: sysSocket, arguments: ["int", "hex", "int"] },
  {
    name: "socketpair",
    x64: 53,
    i386: 360,
    honesty: "supported",
    handler: sysSocketpair,
    arguments: ["int", "hex", "int", "pointer"],
  },
  {
    name: "bind",
    x64: 49,
    i386: 361,
    honesty: { partial: "TCP holds the port by listening from bind on; SO_REUSEADDR is always on" },
    handler: sysBind,
    arguments: ["fd", "pointer", "size"],
  },
  {
    name: "connect",
    x64: 42,
    i386: 362,
    honesty: "supported",
    handler: sysConnect,
    arguments: ["fd", "pointer", "size"],
  },
  { name: "listen", x64: 50, i386: 363, honesty: "supported", handler: sysListen, arguments: ["fd", "int"] },
  { name: "accept", x64: 43, i386: -1, honesty: "supported", handler: sysAccept, arguments: named },
  {
    name: "accept4",
    x64: 288,
    i386: 364,
    honesty: "supported",
    handler: sysAccept4,
    arguments: ["fd", "pointer", "pointer", "hex"],
  },
  {
    name: "getsockopt",
    x64: 55,
    i386: 365,
    honesty: { partial: "TCP_INFO is zeros; IP options are kept, most change nothing" },
    handler: sysGetsockopt,
    arguments: ["fd", "int", "int", "pointer", "pointer"],
  },
  {
    name: "setsockopt",
    x64: 54,
    i386: 366,
    honesty: { partial: "as getsockopt" },
    handler: sysSetsockopt,
    arguments: ["fd", "int", "int", "pointer", "size"],
  },
  { name: "getsockname", x64: 51, i386: 367, honesty: "supported", handler: sysGetsockname, arguments: named },
  { name: "getpeername", x64: 52, i386: 368, honesty: "supported", handler: sysGetpeername, arguments: named },
  { name: "shutdown", x64: 48, i386: 373, honesty: "supported", handler: sysShutdown, arguments: ["fd", "int"] },
];
