/** Descriptors as such: close, dup, fcntl, flock, ioctl. */
import { EAGAIN, EBADF, EINVAL, ENOTDIR } from "../kernel/errno.ts";
import type { SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { failed, O_CLOEXEC, O_LARGEFILE, O_NONBLOCK } from "../vfs/constants.ts";
import { anyFileOf, fileOf, filesOf, guestOf } from "../vfs/handler-tools.ts";
import { descriptorLimit } from "../vfs/sys-open.ts";
import { fcntlLock, lockKeyOf } from "./fcntl-locks.ts";
import type { OpenFile } from "./open-file.ts";
import { PipeFile } from "./pipe.ts";

const sysClose: SyscallHandler = (task, args) => filesOf(task).close(args.i32(0));

const CLOSE_RANGE_UNSHARE = 2;
const CLOSE_RANGE_CLOEXEC = 4;

const sysCloseRange: SyscallHandler = (task, args) => {
  const flags = args.u32(2);
  if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) !== 0) return -EINVAL;
  if ((flags & CLOSE_RANGE_UNSHARE) !== 0) {
    const shared = filesOf(task);
    task.files = shared.clone();
    shared.release();
  }
  return filesOf(task).closeRange(args.u32(0), args.u32(1), (flags & CLOSE_RANGE_CLOEXEC) !== 0);
};

function duplicate(task: Task, file: OpenFile, from: number, closeOnExec: boolean): number {
  file.retain();
  const fd = filesOf(task).install(file, { closeOnExec, from, limit: descriptorLimit(task) });
  if (fd < 0) file.release();
  return fd;
}

const sysDup: SyscallHandler = (task, args) => duplicate(task, anyFileOf(task, args.i32(0)), 0, false);

function duplicateTo(task: Task, from: number, to: number, closeOnExec: boolean): number {
  const file = anyFileOf(task, from);
  if (from === to) return to;
  file.retain();
  const result = filesOf(task).replace(to, file, closeOnExec, descriptorLimit(task));
  if (result < 0) file.release();
  return result;
}

const sysDup2: SyscallHandler = (task, args) => duplicateTo(task, args.i32(0), args.i32(1), false);

const sysDup3: SyscallHandler = (task, args) => {
  const flags = args.i32(2);
  if ((flags & ~O_CLOEXEC) !== 0 || args.i32(0) === args.i32(1)) return -EINVAL;
  return duplicateTo(task, args.i32(0), args.i32(1), flags !== 0);
};

const F_DUPFD = 0;
const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_SETOWN = 8;
const F_GETOWN = 9;
const F_SETSIG = 10;
const F_GETSIG = 11;
const F_SETOWN_EX = 15;
const F_GETOWN_EX = 16;
const F_OWNER_PID = 1;
const F_OWNER_PGRP = 2;
const F_GETLEASE = 1025;
const F_UNLCK = 2;
const F_NOTIFY = 1026;
const F_DUPFD_CLOEXEC = 1030;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
/** Record and open file description locks: GETLK, SETLK, SETLKW in three families. */
const LOCK_COMMANDS: ReadonlySet<number> = new Set([5, 6, 7, 12, 13, 14, 36, 37, 38]);

function fcntlPipe(task: Task, file: OpenFile, command: number, argument: number): number {
  if (!(file instanceof PipeFile)) return -EBADF;
  return command === F_GETPIPE_SZ ? file.pipe.capacity : file.pipe.resize(argument, task.credentials.euid === 0);
}

function fcntlFlags(task: Task, fd: number, file: OpenFile, command: number, argument: number): number {
  switch (command) {
    case F_GETFD:
      return filesOf(task).isCloseOnExec(fd) ? 1 : 0;
    case F_SETFD:
      filesOf(task).setCloseOnExec(fd, (argument & 1) !== 0);
      return 0;
    case F_GETFL:
      return file.flags | (file.seekable ? O_LARGEFILE : 0);
    default:
      return file.isPathOnly ? -EBADF : file.setFlags(argument);
  }
}

/** struct f_owner_ex: a type (thread, process, group) and an id. */
function ownerEx(task: Task, file: OpenFile, command: number, at: number): number {
  if (command === F_SETOWN_EX) {
    const group = task.memory.readI32(at) === F_OWNER_PGRP;
    const id = task.memory.readI32(at + 4);
    file.owner = group ? -id : id;
    return 0;
  }
  task.memory.writeU32(at, file.owner < 0 ? F_OWNER_PGRP : F_OWNER_PID);
  task.memory.writeU32(at + 4, Math.abs(file.owner));
  return 0;
}

/** Commands that even an O_PATH descriptor answers (open(2)). */
const PATH_COMMANDS: ReadonlySet<number> = new Set([F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL]);

const sysFcntl: SyscallHandler = (task, args): SyscallResult => {
  const fd = args.i32(0);
  const command = args.i32(1);
  const argument = args.address(2);
  const file = PATH_COMMANDS.has(command) ? anyFileOf(task, fd) : fileOf(task, fd);
  if (LOCK_COMMANDS.has(command)) return fcntlLock(task, file, command, args);
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      if (args.i32(2) < 0 || args.i32(2) >= descriptorLimit(task)) return -EINVAL;
      return duplicate(task, file, args.i32(2), command === F_DUPFD_CLOEXEC);
    case F_GETFD:
    case F_SETFD:
    case F_GETFL:
    case F_SETFL:
      return fcntlFlags(task, fd, file, command, args.i32(2));
    case F_SETOWN:
      file.owner = args.i32(2);
      return 0;
    case F_GETOWN:
      return file.owner;
    case F_SETSIG:
      file.ownerSignal = args.i32(2);
      return 0;
    case F_GETSIG:
      return file.ownerSignal;
    case F_SETPIPE_SZ:
    case F_GETPIPE_SZ:
      return fcntlPipe(task, file, command, argument);
    case F_SETOWN_EX:
    case F_GETOWN_EX:
      return ownerEx(task, file, command, argument);
    case F_GETLEASE:
      return F_UNLCK;
    case F_NOTIFY:
      // Accepted, as where nothing ever changes: no directory is watched.
      return file.inode?.isDirectory === true ? 0 : -ENOTDIR;
    case F_ADD_SEALS:
      return file.addSeals(args.u32(2));
    case F_GET_SEALS:
      return file.seals();
    default:
      return -EINVAL;
  }
};

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

const sysFlock: SyscallHandler = (task, args) => {
  const file = fileOf(task, args.i32(0));
  const operation = args.i32(1);
  const kind = operation & ~LOCK_NB;
  if (kind !== LOCK_SH && kind !== LOCK_EX && kind !== LOCK_UN) return -EINVAL;
  const key = lockKeyOf(file);
  if (key === undefined) return -EBADF;
  const { locks } = guestOf(task);
  if (kind === LOCK_UN) {
    locks.drop(key, file);
    return 0;
  }
  const attempt = (): SyscallResult => {
    const fileLocks = locks.of(key);
    if (fileLocks.tryFlock(file, kind === LOCK_EX ? "exclusive" : "shared")) {
      file.closeHooks.set(file, () => locks.drop(key, file));
      return 0;
    }
    if ((operation & LOCK_NB) !== 0) return -EAGAIN;
    return task.block({ on: [fileLocks.queue], retry: attempt });
  };
  return attempt();
};

const FIONCLEX = 0x5450;
const FIOCLEX = 0x5451;
const FIONBIO = 0x5421;
const FIOASYNC = 0x5452;
const FIGETBSZ = 2;

const sysIoctl: SyscallHandler = (task, args) => {
  const fd = args.i32(0);
  const file = fileOf(task, fd);
  const request = args.u32(1);
  const argument = args.address(2);
  switch (request) {
    case FIOCLEX:
    case FIONCLEX:
      filesOf(task).setCloseOnExec(fd, request === FIOCLEX);
      return 0;
    case FIONBIO:
      return file.setFlags((file.flags & ~O_NONBLOCK) | (task.memory.readU32(argument) !== 0 ? O_NONBLOCK : 0));
    case FIOASYNC:
      return 0;
    case FIGETBSZ: {
      const status = file.status();
      if (failed(status)) return status;
      task.memory.writeU32(argument, status.blksize);
      return 0;
    }
    default:
      return file.ioctl(task, request, argument);
  }
};

export const descriptorSyscalls: readonly SyscallDefinition[] = [
  { name: "close", x64: 3, i386: 6, honesty: "supported", handler: sysClose, arguments: ["fd"] },
  {
    name: "close_range",
    x64: 436,
    i386: 436,
    honesty: "supported",
    handler: sysCloseRange,
    arguments: ["fd", "fd", "hex"],
  },
  { name: "dup", x64: 32, i386: 41, honesty: "supported", handler: sysDup, arguments: ["fd"] },
  { name: "dup2", x64: 33, i386: 63, honesty: "supported", handler: sysDup2, arguments: ["fd", "fd"] },
  { name: "dup3", x64: 292, i386: 330, honesty: "supported", handler: sysDup3, arguments: ["fd", "fd", "hex"] },
  {
    name: "fcntl",
    x64: 72,
    i386: 55,
    honesty: { partial: "no leases, no F_NOTIFY, no SIGIO; locks hold between guest processes only" },
    handler: sysFcntl,
    arguments: ["fd", "int", "hex"],
  },
  {
    name: "fcntl64",
    x64: -1,
    i386: 221,
    honesty: { partial: "as fcntl" },
    handler: sysFcntl,
    arguments: ["fd", "int", "hex"],
  },
  {
    name: "flock",
    x64: 73,
    i386: 143,
    honesty: { partial: "between guest processes only" },
    handler: sysFlock,
    arguments: ["fd", "int"],
  },
  {
    name: "ioctl",
    x64: 16,
    i386: 54,
    honesty: { partial: "terminals, FIONREAD, FIONBIO, FIOCLEX, sockets' interface queries" },
    handler: sysIoctl,
    arguments: ["fd", "hex", "hex"],
  },
];
