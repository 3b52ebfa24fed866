/** Ancillary data of sendmsg and recvmsg: struct cmsghdr to files and credentials, and back (cmsg(3), unix(7)). */
import { EBADF, EINVAL, EPERM, SyscallError } from "../kernel/errno.ts";
import type { SyscallArguments } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { OpenFile } from "../fd/open-file.ts";
import { filesOf } from "../vfs/handler-tools.ts";
import { descriptorLimit } from "../vfs/sys-open.ts";
import { MSG_CMSG_CLOEXEC, MSG_CTRUNC, type Ancillary, type ControlMessage, type PeerCredentials } from "./socket.ts";

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SCM_CREDENTIALS = 2;
/** SCM_MAX_FD: descriptors in one message. */
const MAX_FILES = 253;

/** struct cmsghdr: a length of word size, level and type of 4 bytes; data is aligned to a word. */
function headerBytes(args: SyscallArguments): number {
  return args.wordBytes + 8;
}

function align(length: number, args: SyscallArguments): number {
  return Math.ceil(length / args.wordBytes) * args.wordBytes;
}

function credentialsAt(task: Task, at: number): PeerCredentials {
  const { memory, credentials, process } = task;
  const wanted = { pid: memory.readI32(at), uid: memory.readU32(at + 4), gid: memory.readU32(at + 8) };
  const { ruid, euid, suid, rgid, egid, sgid } = credentials;
  const allowed =
    euid === 0 ||
    (wanted.pid === process.pid && [ruid, euid, suid].includes(wanted.uid) && [rgid, egid, sgid].includes(wanted.gid));
  if (!allowed) throw new SyscallError(EPERM);
  return wanted;
}

/** Reads what a sender attached; every file gets one more hold, which the message owns. */
export function readAncillary(task: Task, args: SyscallArguments, at: number, length: number): Ancillary | undefined {
  if (at === 0 || length === 0) return undefined;
  const files: OpenFile[] = [];
  const messages: ControlMessage[] = [];
  let credentials: PeerCredentials | undefined;
  const header = headerBytes(args);
  for (let offset = 0; offset + header <= length;) {
    const size = task.memory.readWord(at + offset, args.wordBytes);
    if (size < header || offset + size > length) throw new SyscallError(EINVAL);
    const level = task.memory.readI32(at + offset + args.wordBytes);
    const type = task.memory.readI32(at + offset + args.wordBytes + 4);
    const data = at + offset + header;
    if (level === SOL_SOCKET && type === SCM_RIGHTS) files.push(...filesAt(task, data, (size - header) >> 2));
    else if (level === SOL_SOCKET && type === SCM_CREDENTIALS) credentials = credentialsAt(task, data);
    else if (level === SOL_SOCKET) throw new SyscallError(EINVAL);
    else messages.push({ level, type, data: task.memory.readBytes(data, size - header) });
    offset += align(size, args);
  }
  if (files.length > MAX_FILES) throw new SyscallError(EINVAL);
  for (const file of files) file.retain();
  return { files, credentials, messages };
}

function filesAt(task: Task, at: number, count: number): OpenFile[] {
  const files: OpenFile[] = [];
  for (let index = 0; index < count; index++) {
    const file = filesOf(task).get(task.memory.readI32(at + index * 4));
    if (file === undefined) throw new SyscallError(EBADF);
    files.push(file);
  }
  return files;
}

/** What recvmsg tells about its control buffer. */
export interface WrittenAncillary {
  readonly length: number;
  /** MSG_CTRUNC when something did not fit. */
  readonly flags: number;
}

/** A control buffer of the guest that is being filled (put_cmsg of Linux). */
class ControlWriter {
  readonly #task: Task;
  readonly #args: SyscallArguments;
  readonly #at: number;
  readonly #room: number;
  length = 0;
  flags = 0;

  constructor(task: Task, args: SyscallArguments, at: number, room: number) {
    this.#task = task;
    this.#args = args;
    this.#at = at;
    this.#room = room;
  }

  /** Bytes of data that a message put now could have. */
  get room(): number {
    return this.#room - this.length - headerBytes(this.#args);
  }

  /** One message; cut short, with MSG_CTRUNC, when it does not fit. */
  put(level: number, type: number, data: Uint8Array): void {
    const header = headerBytes(this.#args);
    if (this.room < 0) {
      this.flags |= MSG_CTRUNC;
      return;
    }
    if (this.room < data.length) this.flags |= MSG_CTRUNC;
    const size = Math.min(data.length, this.room);
    const { memory } = this.#task;
    const at = this.#at + this.length;
    const { wordBytes } = this.#args;
    memory.writeWord(at, header + size, wordBytes);
    memory.writeU32(at + wordBytes, level);
    memory.writeU32(at + wordBytes + 4, type);
    memory.writeBytes(at + header, data.subarray(0, size));
    this.length = Math.min(this.#room, this.length + align(header + size, this.#args));
  }
}

function words(values: readonly number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}

/** Writes what came with a message and installs its files; what does not fit is dropped. */
export function writeAncillary(
  task: Task,
  args: SyscallArguments,
  ancillary: Ancillary,
  at: number,
  room: number,
  flags: number,
): WrittenAncillary {
  const writer = new ControlWriter(task, args, at, room);
  const { credentials, files } = ancillary;
  for (const { level, type, data } of ancillary.messages ?? []) writer.put(level, type, data);
  if (credentials !== undefined) {
    writer.put(SOL_SOCKET, SCM_CREDENTIALS, words([credentials.pid, credentials.uid, credentials.gid]));
  }
  if (files.length > 0) installFiles(task, files, writer, (flags & MSG_CMSG_CLOEXEC) !== 0);
  return { length: writer.length, flags: writer.flags };
}

function installFiles(task: Task, files: readonly OpenFile[], writer: ControlWriter, closeOnExec: boolean): void {
  const fitting = Math.max(0, Math.floor(writer.room / 4));
  const descriptors: number[] = [];
  for (const [index, file] of files.entries()) {
    const fd = index < fitting ? filesOf(task).install(file, { closeOnExec, limit: descriptorLimit(task) }) : -1;
    if (fd >= 0) descriptors.push(fd);
    else file.release();
  }
  if (descriptors.length < files.length) writer.flags |= MSG_CTRUNC;
  if (descriptors.length > 0) writer.put(SOL_SOCKET, SCM_RIGHTS, words(descriptors));
}
