/** open, openat, openat2, creat. */
import { E2BIG, EINVAL } from "../kernel/errno.ts";
import type { SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import type { OpenFile } from "../fd/open-file.ts";
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_PATH, O_TMPFILE_BIT, O_TRUNC, O_WRONLY } from "./constants.ts";
import { contextOf, filesOf, must, pathAt, startOf } from "./handler-tools.ts";
import { openPath } from "./open.ts";

const RLIMIT_NOFILE = 7;
/** All O_ bits that mean something; openat2(2) refuses others. */
const KNOWN_FLAGS = 0o37777703;
const KNOWN_RESOLVE = 0x3f;

/** RLIMIT_NOFILE of the task: descriptors stay below it. */
export function descriptorLimit(task: Task): number {
  return task.process.limit(RLIMIT_NOFILE).soft;
}

/** Gives a new file a descriptor; on EMFILE it is closed again. */
export function installFile(task: Task, file: OpenFile, closeOnExec: boolean): number {
  const fd = filesOf(task).install(file, { closeOnExec, limit: descriptorLimit(task) });
  if (fd < 0) file.release();
  return fd;
}

/** Waits for the other end of a FIFO, then gives the descriptor. */
function finishOpen(task: Task, file: OpenFile, closeOnExec: boolean): SyscallResult {
  if (!file.openPending) return installFile(task, file, closeOnExec);
  return task.block({
    on: [file.queue],
    retry: () => finishOpen(task, file, closeOnExec),
    onInterrupt: () => {
      file.release();
      return undefined;
    },
  });
}

function open(task: Task, fd: number, pathAddress: number, flags: number, mode: number, resolve = 0): SyscallResult {
  const path = pathAt(task, pathAddress);
  const start = startOf(task, fd, path);
  if ((flags & O_TMPFILE_BIT) !== 0 && (flags & O_DIRECTORY) === 0) return -EINVAL;
  const file = must(openPath({ context: contextOf(task), start, path, flags, mode, task, resolve }));
  return finishOpen(task, file, (flags & O_CLOEXEC) !== 0);
}

const sysOpen: SyscallHandler = (task, args) => open(task, AT_FDCWD, args.address(0), args.i32(1), args.u32(2));

const sysOpenat: SyscallHandler = (task, args) => open(task, args.i32(0), args.address(1), args.i32(2), args.u32(3));

const sysCreat: SyscallHandler = (task, args) =>
  open(task, AT_FDCWD, args.address(0), O_CREAT | O_WRONLY | O_TRUNC, args.u32(1));

/** struct open_how: flags, mode, resolve, 8 bytes each (openat2(2)). */
const sysOpenat2: SyscallHandler = (task, args) => {
  const how = args.address(2);
  const size = args.address(3);
  if (size < 24) return -EINVAL;
  if (size > 4096) return -E2BIG;
  const extra = task.memory.readBytes(how + 24, size - 24);
  if (extra.some((byte) => byte !== 0)) return -E2BIG;
  const flags = task.memory.readU64(how);
  const mode = task.memory.readU64(how + 8);
  const resolve = task.memory.readU64(how + 16);
  if (flags > 0x7fffffff || (flags & ~KNOWN_FLAGS & ~O_CLOEXEC) !== 0) return -EINVAL;
  if (resolve > KNOWN_RESOLVE || (resolve & 24) === 24) return -EINVAL;
  if (mode !== 0 && (flags & (O_CREAT | O_TMPFILE_BIT)) === 0) return -EINVAL;
  if ((flags & O_PATH) !== 0 && (flags & ~(O_PATH | O_DIRECTORY | O_CLOEXEC | 0o400000)) !== 0) return -EINVAL;
  return open(task, args.i32(0), args.address(1), flags, mode, resolve);
};

export const openSyscalls: readonly SyscallDefinition[] = [
  { name: "open", x64: 2, i386: 5, honesty: "supported", handler: sysOpen, arguments: ["string", "hex", "octal"] },
  { name: "creat", x64: 85, i386: 8, honesty: "supported", handler: sysCreat, arguments: ["string", "octal"] },
  {
    name: "openat",
    x64: 257,
    i386: 295,
    honesty: "supported",
    handler: sysOpenat,
    arguments: ["fd", "string", "hex", "octal"],
  },
  {
    name: "openat2",
    x64: 437,
    i386: 437,
    honesty: { partial: "RESOLVE_CACHED is ignored" },
    handler: sysOpenat2,
    arguments: ["fd", "string", "pointer", "size"],
  },
];
