/** Ancillary data of sendmsg and recvmsg: struct cmsghdr to files and credentials, and back (cmsg(3), unix(7)). */
import { EBADF, EINVAL, EPERM, SyscallError } from "../kernel/errno.ts";
import type { SyscallArguments } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { OpenFile } from "../fd/open-file.ts";
import { filesOf } from "../vfs/handler-tools.ts";
import { descriptorLimit } from "../vfs/sys-open.ts";
import { MSG_CMSG_CLOEXEC, MSG_CTRUNC, type Ancillary, type PeerCredentials } from "./socket.ts";

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
  let credentials: PeerCredentials | undefined;
  const header = headerBytes(args);
  for (let offset = 0; offset + header <= length; ) {
    const size = task.memory.readWord(at + offset, args.wordBytes);
    if (size < header || offset + size > length) throw new SyscallError(EINVAL);
    const level = task.memory.readI32(at + offset + args.wordBytes);
    const type = task.memory.readI32(at + offset + args.wordBytes + 4);
    const data = at + offset + header;
    if (level === SOL_SOCKET && type === SCM_RIGHTS) files.push(...filesAt(task, data, (size - header) >> 2));
    else if (level === SOL_SOCKET && type === SCM_CREDENTIALS) credentials = credentialsAt(task, data);
    else if (level === SOL_SOCKET) throw new SyscallError(EINVAL);
    offset += align(size, args);
  }
  if (files.length > MAX_FILES) throw new SyscallError(EINVAL);
  for (const file of files) file.retain();
  return { files, credentials };
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

/** Writes what came with a message and installs its files; what does not fit is dropped. */
export function writeAncillary(
  task: Task,
  args: SyscallArguments,
  ancillary: Ancillary,
  at: number,
  room: number,
  flags: number,
): WrittenAncillary {
  const header = headerBytes(args);
  let offset = 0;
  let result = 0;
  const put = (type: number, size: number): number => {
    task.memory.writeWord(at + offset, header + size, args.wordBytes);
    task.memory.writeU32(at + offset + args.wordBytes, SOL_SOCKET);
    task.memory.writeU32(at + offset + args.wordBytes + 4, type);
    const data = at + offset + header;
    offset = Math.min(room, offset + align(header + size, args));
    return data;
  };
  const { credentials, files } = ancillary;
  if (credentials !== undefined) {
    if (room - offset < header + 12) result = MSG_CTRUNC;
    else {
      const data = put(SCM_CREDENTIALS, 12);
      task.memory.writeU32(data, credentials.pid);
      task.memory.writeU32(data + 4, credentials.uid);
      task.memory.writeU32(data + 8, credentials.gid);
    }
  }
  const fitting = Math.max(0, Math.min(files.length, Math.floor((room - offset - header) / 4)));
  const descriptors: number[] = [];
  for (const [index, file] of files.entries()) {
    const options = { closeOnExec: (flags & MSG_CMSG_CLOEXEC) !== 0, limit: descriptorLimit(task) };
    const fd = index < fitting ? filesOf(task).install(file, options) : -1;
    if (fd >= 0) descriptors.push(fd);
    else file.release();
  }
  if (descriptors.length < files.length) result = MSG_CTRUNC;
  if (descriptors.length > 0) {
    const data = put(SCM_RIGHTS, descriptors.length * 4);
    for (const [index, fd] of descriptors.entries()) task.memory.writeU32(data + index * 4, fd);
  }
  return { length: offset, flags: result };
}
