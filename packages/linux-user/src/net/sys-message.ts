/** send, recv and their forms: to, from, msg, mmsg. */
import { EAGAIN, EINVAL, EMSGSIZE, EOPNOTSUPP, EPIPE, SyscallError } from "../kernel/errno.ts";
import type { SyscallArguments, SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { brokenPipe } from "../fd/blocking.ts";
import { readVectors } from "../fd/sys-io.ts";
import { readTimeout } from "../fd/sys-poll.ts";
import { UserTransfer, type UserRange } from "../fd/transfer.ts";
import { failed } from "../vfs/constants.ts";
import { encodeAddress, type SocketAddress } from "./address.ts";
import { readAncillary, writeAncillary } from "./control.ts";
import type { Socket } from "./socket.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, MSG_WAITALL, type Received, type SendRequest } from "./socket.ts";
import { addressAt, socketOf, writeAddress } from "./sys-socket.ts";

const MSG_OOB = 1;
const MSG_ERRQUEUE = 0x2000;

function sendDeadline(task: Task, socket: Socket): number | undefined {
  const { sendTimeoutNs } = socket.options;
  return sendTimeoutNs === 0 ? undefined : task.kernel.clock.monotonicNs() + sendTimeoutNs;
}

/** Sends all of a stream's bytes, or one message; waits unless told not to. */
export function send(task: Task, socket: Socket, from: UserTransfer, request: SendRequest): SyscallResult {
  if ((request.flags & MSG_OOB) !== 0) return -EOPNOTSUPP;
  const dontWait = socket.nonblocking || (request.flags & MSG_DONTWAIT) !== 0;
  const deadlineNs = dontWait ? undefined : sendDeadline(task, socket);
  const attempt = (done: number, current: SendRequest): SyscallResult => {
    let total = done;
    for (let asked = current; ; asked = { ...asked, ancillary: undefined }) {
      const count = socket.send(from, asked, task);
      if (count >= 0) {
        total += count;
        if (from.remaining === 0 || !socket.isStream) return total;
        continue;
      }
      if (count === -EAGAIN && !dontWait) {
        return task.block({
          on: [socket.queue, ...peerQueue(socket)],
          retry: (reason) => (reason === "timeout" ? (total > 0 ? total : -EAGAIN) : attempt(total, asked)),
          onInterrupt: () => (total > 0 ? total : undefined),
          ...(deadlineNs === undefined ? {} : { deadlineNs }),
        });
      }
      if (total > 0) return total;
      if (count === -EPIPE && socket.isConnectionOriented && (asked.flags & MSG_NOSIGNAL) === 0)
        return brokenPipe(task);
      return count;
    }
  };
  return attempt(0, request);
}

/** Room for a datagram to somebody else appears on the other's queue; unix sockets hear of it by themselves. */
function peerQueue(_socket: Socket): [] {
  return [];
}

interface ReceiveDone {
  (received: Received, total: number): number;
}

/** Receives once, or with MSG_WAITALL until the buffer is full; `done` writes addresses and control data. */
function receive(task: Task, socket: Socket, into: UserTransfer, flags: number, done: ReceiveDone): SyscallResult {
  if ((flags & (MSG_OOB | MSG_ERRQUEUE)) !== 0) return (flags & MSG_OOB) !== 0 ? -EINVAL : -EAGAIN;
  const dontWait = socket.nonblocking || (flags & MSG_DONTWAIT) !== 0;
  const deadlineNs = dontWait ? undefined : socket.readDeadlineNs(task);
  const waitsForAll = (flags & MSG_WAITALL) !== 0 && socket.isStream && (flags & MSG_PEEK) === 0;
  const attempt = (total: number): SyscallResult => {
    const received = socket.receive(into, flags, task);
    if (received === -EAGAIN && !dontWait) {
      return task.block({
        on: [socket.queue],
        retry: (reason) => (reason === "timeout" ? (total > 0 ? total : -EAGAIN) : attempt(total)),
        onInterrupt: () => (total > 0 ? total : undefined),
        ...(deadlineNs === undefined ? {} : { deadlineNs }),
      });
    }
    if (failed(received)) return total > 0 ? total : received;
    const sum = total + received.count;
    if (waitsForAll && received.count > 0 && into.remaining > 0 && !dontWait && received.ancillary === undefined)
      return attempt(sum);
    return done(received, sum);
  };
  return attempt(0);
}

/** Files that nobody took are let go. */
function dropAncillary(received: Received): void {
  for (const file of received.ancillary?.files ?? []) file.release();
}

export function sendto(task: Task, values: readonly number[]): SyscallResult {
  const [fd, at, length, flags, addressPointer, addressLength] = values as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const socket = socketOf(task, fd | 0);
  const address = addressPointer === 0 ? undefined : addressAt(task, addressPointer, addressLength | 0);
  const from = new UserTransfer(task.memory, [{ address: at, length }], "read");
  return send(task, socket, from, { flags, address, ancillary: undefined });
}

export function recvfrom(task: Task, values: readonly number[]): SyscallResult {
  const [fd, at, length, flags, addressPointer, lengthPointer] = values as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const socket = socketOf(task, fd | 0);
  const into = new UserTransfer(task.memory, [{ address: at, length }], "write");
  return receive(task, socket, into, flags, (received, total) => {
    dropAncillary(received);
    if (received.address !== undefined && addressPointer !== 0 && !socket.isStream) {
      writeAddress(task, received.address, addressPointer, lengthPointer);
    } else if (addressPointer !== 0 && lengthPointer !== 0) {
      task.memory.writeU32(lengthPointer, 0);
    }
    return total;
  });
}

/** struct msghdr: name, namelen, iov, iovlen, control, controllen, flags, in words (namelen and flags are ints). */
interface MessageHeader {
  readonly at: number;
  readonly name: number;
  readonly nameLength: number;
  readonly ranges: UserRange[];
  readonly control: number;
  readonly controlLength: number;
}

/** Size of struct msghdr. */
function headerBytes(args: SyscallArguments): number {
  return args.wordBytes * 7;
}

function readHeader(task: Task, args: SyscallArguments, at: number): MessageHeader {
  const { wordBytes } = args;
  const word = (index: number): number => task.memory.readWord(at + index * wordBytes, wordBytes);
  const count = word(3);
  if (count > 1024) throw new SyscallError(EMSGSIZE);
  return {
    at,
    name: word(0),
    nameLength: task.memory.readI32(at + wordBytes),
    ranges: readVectors(task, args, word(2), count),
    control: word(4),
    controlLength: word(5),
  };
}

export function sendmsg(task: Task, args: SyscallArguments, fd: number, at: number, flags: number): SyscallResult {
  const socket = socketOf(task, fd);
  const header = readHeader(task, args, at);
  const named = header.name !== 0 && header.nameLength > 0;
  const address: SocketAddress | undefined = named ? addressAt(task, header.name, header.nameLength) : undefined;
  const ancillary = readAncillary(task, args, header.control, header.controlLength);
  const result = send(task, socket, new UserTransfer(task.memory, header.ranges, "read"), {
    flags,
    address,
    ancillary,
  });
  if (typeof result === "number" && result < 0) for (const file of ancillary?.files ?? []) file.release();
  return result;
}

export function recvmsg(task: Task, args: SyscallArguments, fd: number, at: number, flags: number): SyscallResult {
  const socket = socketOf(task, fd);
  const header = readHeader(task, args, at);
  const { wordBytes } = args;
  return receive(task, socket, new UserTransfer(task.memory, header.ranges, "write"), flags, (received, total) => {
    let resultFlags = received.flags;
    let controlLength = 0;
    if (received.ancillary !== undefined) {
      const written = writeAncillary(
        task,
        args,
        received.ancillary,
        header.control,
        header.control === 0 ? 0 : header.controlLength,
        flags,
      );
      controlLength = written.length;
      resultFlags |= written.flags;
    }
    if (header.name !== 0) {
      const address =
        received.address === undefined || socket.isStream ? new Uint8Array(0) : encodeAddress(received.address);
      task.memory.writeBytes(header.name, address.subarray(0, Math.max(0, header.nameLength)));
      task.memory.writeU32(at + wordBytes, address.length);
    }
    task.memory.writeWord(at + 5 * wordBytes, controlLength, wordBytes);
    task.memory.writeU32(at + 6 * wordBytes, resultFlags);
    return total;
  });
}

/** struct mmsghdr: a msghdr and the length, padded to a word. */
function vectorStride(args: SyscallArguments): number {
  return headerBytes(args) + args.wordBytes;
}

export function sendmmsg(task: Task, args: SyscallArguments, values: readonly number[]): SyscallResult {
  const [fd, at, count, flags] = values as [number, number, number, number];
  const stride = vectorStride(args);
  const step = (index: number): SyscallResult => {
    for (let current = index; current < Math.min(count, 1024); current++) {
      const entry = at + current * stride;
      const result = sendmsg(task, args, fd | 0, entry, current > 0 ? flags | MSG_DONTWAIT : flags);
      if (typeof result !== "number") return continueWith(task, result, (sent) => finishOne(entry, current, sent));
      const last = finishOne(entry, current, result);
      if (last !== undefined) return last;
    }
    return Math.min(count, 1024);
  };
  const finishOne = (entry: number, index: number, result: number): number | undefined => {
    if (result < 0) return index > 0 ? index : result;
    task.memory.writeU32(entry + headerBytes(args), result);
    return undefined;
  };
  return step(0);
}

/** The first message of a vector waits; when it is done, so is the call. */
function continueWith(
  task: Task,
  blocked: Exclude<SyscallResult, number>,
  finish: (result: number) => number | undefined,
): SyscallResult {
  const { request, deadlineNs } = blocked;
  return task.block({
    ...request,
    ...(deadlineNs === Infinity ? {} : { deadlineNs }),
    retry: (reason) => {
      const result = request.retry(reason);
      return typeof result === "number" ? (finish(result) ?? 1) : continueWith(task, result, finish);
    },
  });
}

const MSG_WAITFORONE = 0x10000;

export function recvmmsg(
  task: Task,
  args: SyscallArguments,
  values: readonly number[],
  timeoutWordBytes: 8 | 4,
): SyscallResult {
  const [fd, at, count, flags, timeout] = values as [number, number, number, number, number];
  // Checked as Linux checks it; the time limit applies between messages, and later ones never wait here.
  readTimeout(task, timeout, timeoutWordBytes);
  const stride = vectorStride(args);
  const finishOne = (entry: number, index: number, result: number): number | undefined => {
    if (result < 0) return index > 0 ? index : result;
    task.memory.writeU32(entry + headerBytes(args), result);
    return undefined;
  };
  for (let index = 0; index < Math.min(count, 1024); index++) {
    const entry = at + index * stride;
    const result = recvmsg(task, args, fd | 0, entry, (index > 0 ? flags | MSG_DONTWAIT : flags) & ~MSG_WAITFORONE);
    if (typeof result !== "number") return continueWith(task, result, (got) => finishOne(entry, index, got));
    const last = finishOne(entry, index, result);
    if (last !== undefined) return last;
  }
  return Math.min(count, 1024);
}

function argumentWords(args: SyscallArguments, count: number): number[] {
  return Array.from({ length: count }, (_, index) => args.address(index));
}

const sysSendto: SyscallHandler = (task, args) => sendto(task, argumentWords(args, 6));
const sysRecvfrom: SyscallHandler = (task, args) => recvfrom(task, argumentWords(args, 6));
const sysSendmsg: SyscallHandler = (task, args) => sendmsg(task, args, args.i32(0), args.address(1), args.i32(2));
const sysRecvmsg: SyscallHandler = (task, args) => recvmsg(task, args, args.i32(0), args.address(1), args.i32(2));
const sysSendmmsg: SyscallHandler = (task, args) => sendmmsg(task, args, argumentWords(args, 4));
const sysRecvmmsg: SyscallHandler = (task, args) => recvmmsg(task, args, argumentWords(args, 5), 8);
const sysRecvmmsg32: SyscallHandler = (task, args) => recvmmsg(task, args, argumentWords(args, 5), 4);

const noOutOfBand = { partial: "no out-of-band data, no error queue" };

export const messageSyscalls: readonly SyscallDefinition[] = [
  {
    name: "sendto",
    x64: 44,
    i386: 369,
    honesty: noOutOfBand,
    handler: sysSendto,
    arguments: ["fd", "pointer", "size", "hex", "pointer", "size"],
  },
  {
    name: "sendmsg",
    x64: 46,
    i386: 370,
    honesty: noOutOfBand,
    handler: sysSendmsg,
    arguments: ["fd", "pointer", "hex"],
  },
  {
    name: "recvfrom",
    x64: 45,
    i386: 371,
    honesty: noOutOfBand,
    handler: sysRecvfrom,
    arguments: ["fd", "pointer", "size", "hex", "pointer", "pointer"],
  },
  {
    name: "recvmsg",
    x64: 47,
    i386: 372,
    honesty: { partial: "control data of unix sockets only" },
    handler: sysRecvmsg,
    arguments: ["fd", "pointer", "hex"],
  },
  {
    name: "sendmmsg",
    x64: 307,
    i386: 345,
    honesty: "supported",
    handler: sysSendmmsg,
    arguments: ["fd", "pointer", "unsigned", "hex"],
  },
  {
    name: "recvmmsg",
    x64: 299,
    i386: 337,
    honesty: { partial: "waits for the first message only; its timeout is not applied" },
    handler: sysRecvmmsg,
    handler32: sysRecvmmsg32,
    arguments: ["fd", "pointer", "unsigned", "hex", "pointer"],
  },
  {
    name: "recvmmsg_time64",
    x64: -1,
    i386: 417,
    honesty: { partial: "as recvmmsg" },
    handler: sysRecvmmsg,
    arguments: ["fd", "pointer", "unsigned", "hex", "pointer"],
  },
];
