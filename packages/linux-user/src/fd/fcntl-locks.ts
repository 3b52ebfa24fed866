/** Record locks of fcntl(2): struct flock to ranges, for processes and (F_OFD_) for open file descriptions. */
import { EAGAIN, EBADF, EINVAL, EOVERFLOW } from "../kernel/errno.ts";
import type { SyscallArguments } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { failed } from "../vfs/constants.ts";
import { filesOf, guestOf } from "../vfs/handler-tools.ts";
import type { FileLocks, RangeLock } from "./locks.ts";
import type { OpenFile } from "./open-file.ts";

const F_GETLK = 5;
const F_SETLKW = 7;
const F_GETLK64 = 12;
const F_SETLKW64 = 14;
const F_OFD_GETLK = 36;
const F_OFD_SETLKW = 38;

const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;

/** The name of a file among all locks; undefined for what has no inode. */
export function lockKeyOf(file: OpenFile): string | undefined {
  const status = file.status();
  return failed(status) ? undefined : `${status.dev}:${status.ino}`;
}

/** Where the fields of struct flock are: type and whence are 16 bits at 0 and 2. */
interface FlockLayout {
  readonly start: number;
  readonly length: number;
  readonly pid: number;
  readonly wide: boolean;
}

const WIDE: FlockLayout = { start: 8, length: 16, pid: 24, wide: true };
const NARROW_I386: FlockLayout = { start: 4, length: 8, pid: 12, wide: false };
const WIDE_I386: FlockLayout = { start: 4, length: 12, pid: 20, wide: true };

function layoutOf(args: SyscallArguments, command: number): FlockLayout {
  if (args.abi === "x86-64") return WIDE;
  return command <= F_SETLKW ? NARROW_I386 : WIDE_I386;
}

interface FlockRequest {
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

function readFlock(task: Task, file: OpenFile, at: number, layout: FlockLayout): FlockRequest | number {
  const { memory } = task;
  const type = memory.readU16(at);
  const whence = memory.readU16(at + 2);
  const start = layout.wide ? memory.readI64(at + layout.start) : memory.readI32(at + layout.start);
  const length = layout.wide ? memory.readI64(at + layout.length) : memory.readI32(at + layout.length);
  if (type > F_UNLCK || whence > 2) return -EINVAL;
  let base = 0;
  if (whence === 1) base = file.offset;
  if (whence === 2) {
    const status = file.status();
    if (failed(status)) return status;
    base = status.size;
  }
  const from = base + start + Math.min(length, 0);
  if (from < 0) return -EINVAL;
  return { type, start: from, end: length === 0 ? Infinity : from + Math.abs(length) };
}

function answerGetlk(task: Task, locks: FileLocks, wanted: RangeLock, at: number, layout: FlockLayout): number {
  const found = locks.conflict(wanted);
  const { memory } = task;
  if (found === undefined) {
    memory.writeU16(at, F_UNLCK);
    return 0;
  }
  const length = found.end === Infinity ? 0 : found.end - found.start;
  if (!layout.wide && found.start > 0x7fffffff) return -EOVERFLOW;
  memory.writeU16(at, found.exclusive ? F_WRLCK : F_RDLCK);
  memory.writeU16(at + 2, 0);
  memory.writeWord(at + layout.start, found.start, layout.wide ? 8 : 4);
  memory.writeWord(at + layout.length, length, layout.wide ? 8 : 4);
  memory.writeU32(at + layout.pid, found.pid);
  return 0;
}

/** A process loses its record locks on a file with any close of it, by whatever descriptor (fcntl(2)). */
function dropAtClose(task: Task): void {
  const files = filesOf(task);
  const { locks } = guestOf(task);
  files.onClose ??= (file) => {
    const key = locks.isEmpty ? undefined : lockKeyOf(file);
    if (key !== undefined) locks.drop(key, files);
  };
}

/** F_GETLK, F_SETLK, F_SETLKW, their 64-bit names on i386, and their F_OFD_ forms. */
export function fcntlLock(task: Task, file: OpenFile, command: number, args: SyscallArguments): SyscallResult {
  const ofFile = command >= F_OFD_GETLK;
  const layout = layoutOf(args, command);
  const at = args.address(2);
  const request = readFlock(task, file, at, layout);
  if (typeof request === "number") return request;
  const key = lockKeyOf(file);
  if (key === undefined) return -EBADF;
  const owner: object = ofFile ? file : task.files;
  const wanted: RangeLock = {
    owner,
    exclusive: request.type === F_WRLCK,
    start: request.start,
    end: request.end,
    pid: ofFile ? -1 : task.process.pid,
  };
  const table = guestOf(task).locks;
  if (command === F_GETLK || command === F_GETLK64 || command === F_OFD_GETLK) {
    return request.type === F_UNLCK ? -EINVAL : answerGetlk(task, table.of(key), wanted, at, layout);
  }
  if (request.type === F_UNLCK) {
    table.of(key).set(wanted, true);
    return 0;
  }
  if (request.type === F_RDLCK && !file.readable) return -EBADF;
  if (request.type === F_WRLCK && !file.writable) return -EBADF;
  const waits = command === F_SETLKW || command === F_SETLKW64 || command === F_OFD_SETLKW;
  const attempt = (): SyscallResult => {
    const locks = table.of(key);
    if (locks.conflict(wanted) !== undefined) {
      return waits ? task.block({ on: [locks.queue], retry: attempt }) : -EAGAIN;
    }
    locks.set(wanted, false);
    if (ofFile) file.closeHooks.set(owner, () => table.drop(key, owner));
    else dropAtClose(task);
    return 0;
  };
  return attempt();
}
