/** SOL_SOCKET (socket(7)): reading and writing the options that all sockets have. */
import { EDOM, EINVAL, ENOPROTOOPT } from "../kernel/errno.ts";
import type { SyscallArguments } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { Failure } from "../vfs/constants.ts";
import type { Socket } from "./socket.ts";

const SO_DEBUG = 1;
const SO_REUSEADDR = 2;
const SO_TYPE = 3;
const SO_ERROR = 4;
const SO_DONTROUTE = 5;
const SO_BROADCAST = 6;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_KEEPALIVE = 9;
const SO_OOBINLINE = 10;
const SO_PRIORITY = 12;
const SO_LINGER = 13;
const SO_REUSEPORT = 15;
const SO_PASSCRED = 16;
const SO_PEERCRED = 17;
const SO_RCVLOWAT = 18;
const SO_SNDLOWAT = 19;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const SO_ACCEPTCONN = 30;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SO_PROTOCOL = 38;
const SO_DOMAIN = 39;
const SO_RCVTIMEO_NEW = 66;
const SO_SNDTIMEO_NEW = 67;

/** net.core.rmem_max and wmem_max. */
const MAX_BUFFER_BYTES = 212_992;
const MIN_BUFFER_BYTES = 2304;

/** Taken and given back as 0: timestamps, marks, filters that change nothing here. */
const IGNORED: ReadonlySet<number> = new Set([
  SO_DEBUG,
  SO_DONTROUTE,
  SO_OOBINLINE,
  SO_PRIORITY,
  SO_RCVLOWAT,
  11,
  14,
  29,
  34,
  35,
  36,
  37,
  40,
  41,
  44,
  46,
  47,
  49,
  60,
]);

function integer(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) view.setInt32(index * 4, value, true);
  return bytes;
}

function timeval(ns: number, wordBytes: 8 | 4): Uint8Array {
  const bytes = new Uint8Array(wordBytes * 2);
  const view = new DataView(bytes.buffer);
  const seconds = Math.floor(ns / 1e9);
  const microseconds = Math.floor((ns % 1e9) / 1000);
  view.setUint32(0, seconds, true);
  view.setUint32(wordBytes, microseconds, true);
  return bytes;
}

function truth(value: boolean): Uint8Array {
  return integer(value ? 1 : 0);
}

/** getsockopt(SOL_SOCKET). */
export function socketOption(socket: Socket, name: number, args: SyscallArguments): Uint8Array | Failure {
  const { options } = socket;
  switch (name) {
    case SO_TYPE:
      return integer(socket.type);
    case SO_DOMAIN:
      return integer(socket.family);
    case SO_PROTOCOL:
      return integer(socket.protocol);
    case SO_ERROR:
      return integer(socket.takeError());
    case SO_ACCEPTCONN:
      return truth(socket.isListening);
    case SO_REUSEADDR:
      return truth(options.reuseAddress);
    case SO_REUSEPORT:
      return truth(options.reusePort);
    case SO_KEEPALIVE:
      return truth(options.keepAlive);
    case SO_BROADCAST:
      return truth(options.broadcast);
    case SO_PASSCRED:
      return truth(options.passCredentials);
    case SO_SNDBUF:
      return integer(options.sendBufferBytes);
    case SO_RCVBUF:
      return integer(options.receiveBufferBytes);
    case SO_SNDLOWAT:
      return integer(1);
    case SO_RCVLOWAT:
      return integer(1);
    case SO_LINGER:
      return words(options.lingerSeconds === undefined ? 0 : 1, options.lingerSeconds ?? 0);
    case SO_PEERCRED: {
      const peer = socket.peerCredentials();
      return words(peer?.pid ?? 0, peer?.uid ?? -1, peer?.gid ?? -1);
    }
    case SO_RCVTIMEO:
    case SO_SNDTIMEO:
      return timeval(name === SO_RCVTIMEO ? options.receiveTimeoutNs : options.sendTimeoutNs, args.wordBytes);
    case SO_RCVTIMEO_NEW:
    case SO_SNDTIMEO_NEW:
      return timeval(name === SO_RCVTIMEO_NEW ? options.receiveTimeoutNs : options.sendTimeoutNs, 8);
    default:
      return IGNORED.has(name) ? integer(0) : -ENOPROTOOPT;
  }
}

function readTimeval(task: Task, at: number, wordBytes: 8 | 4): number | Failure {
  const { memory } = task;
  const seconds = wordBytes === 8 ? memory.readI64(at) : memory.readI32(at);
  const microseconds = wordBytes === 8 ? memory.readI64(at + 8) : memory.readI32(at + 4);
  if (microseconds < 0 || microseconds >= 1e6) return -EDOM;
  return seconds < 0 ? 0 : seconds * 1e9 + microseconds * 1000;
}

function setTimeout(socket: Socket, task: Task, name: number, at: number, length: number, wordBytes: 8 | 4): number {
  if (length < wordBytes * 2) return -EINVAL;
  const ns = readTimeval(task, at, wordBytes);
  if (ns < 0) return ns;
  if (name === SO_RCVTIMEO || name === SO_RCVTIMEO_NEW) socket.options.receiveTimeoutNs = ns;
  else socket.options.sendTimeoutNs = ns;
  return 0;
}

/** The kernel doubles what it is given, for its own bookkeeping (socket(7)). */
function bufferSize(value: number, limited: boolean): number {
  const wanted = limited ? Math.min(value >>> 0, MAX_BUFFER_BYTES) : value;
  return Math.max(wanted * 2, MIN_BUFFER_BYTES);
}

/** setsockopt(SOL_SOCKET). */
export function setSocketOption(
  socket: Socket,
  task: Task,
  name: number,
  at: number,
  length: number,
  args: SyscallArguments,
): number {
  if (name === SO_RCVTIMEO || name === SO_SNDTIMEO) return setTimeout(socket, task, name, at, length, args.wordBytes);
  if (name === SO_RCVTIMEO_NEW || name === SO_SNDTIMEO_NEW) return setTimeout(socket, task, name, at, length, 8);
  if (length < 4) return -EINVAL;
  const { options } = socket;
  const value = task.memory.readI32(at);
  const on = value !== 0;
  switch (name) {
    case SO_REUSEADDR:
      options.reuseAddress = on;
      break;
    case SO_REUSEPORT:
      options.reusePort = on;
      break;
    case SO_KEEPALIVE:
      options.keepAlive = on;
      break;
    case SO_BROADCAST:
      options.broadcast = on;
      break;
    case SO_PASSCRED:
      options.passCredentials = on;
      break;
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
      options.sendBufferBytes = bufferSize(value, name === SO_SNDBUF);
      break;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
      options.receiveBufferBytes = bufferSize(value, name === SO_RCVBUF);
      break;
    case SO_LINGER:
      if (length < 8) return -EINVAL;
      options.lingerSeconds = on ? task.memory.readI32(at + 4) : undefined;
      break;
    default:
      return IGNORED.has(name) ? 0 : -ENOPROTOOPT;
  }
  socket.optionsChanged();
  return 0;
}
