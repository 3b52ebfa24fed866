/** What every file system call handler does first: find the file of a descriptor, read a path, walk it. */
import { EBADF, ENOTDIR, SyscallError } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import type { FileTable } from "../fd/file-table.ts";
import type { OpenFile } from "../fd/open-file.ts";
import { fromBytes } from "./byte-string.ts";
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, failed, type Failure } from "./constants.ts";
import type { GuestFilesystem } from "./guest-filesystem.ts";
import type { Inode } from "./inode.ts";
import type { FilesystemContext } from "./walk.ts";
import { walk, walkExisting, walkNew, type Walked } from "./walk.ts";

export function filesOf(task: Task): FileTable {
  return task.files as FileTable;
}

export function contextOf(task: Task): FilesystemContext {
  return task.filesystem as FilesystemContext;
}

export function guestOf(task: Task): GuestFilesystem {
  return task.kernel.filesystem as GuestFilesystem;
}

/** The value, or its failure thrown as the result of the system call. */
export function must<T>(value: T | Failure): T {
  if (failed(value)) throw new SyscallError(-value);
  return value;
}

/** The file of a descriptor that is open for I/O; EBADF for none or O_PATH. */
export function fileOf(task: Task, fd: number): OpenFile {
  const file = filesOf(task).get(fd);
  if (file === undefined || file.isPathOnly) throw new SyscallError(EBADF);
  return file;
}

/** The same, O_PATH included. */
export function anyFileOf(task: Task, fd: number): OpenFile {
  const file = filesOf(task).get(fd);
  if (file === undefined) throw new SyscallError(EBADF);
  return file;
}

/** A path argument as a byte string. */
export function pathAt(task: Task, address: number): string {
  return fromBytes(task.memory.readCStringBytes(address));
}

/** Where a relative path starts: the working directory or an open directory. */
export function startOf(task: Task, fd: number, path: string): Inode {
  if (fd === AT_FDCWD || path.startsWith("/")) return contextOf(task).cwd;
  const { inode } = anyFileOf(task, fd);
  if (inode === undefined || !inode.isDirectory) throw new SyscallError(ENOTDIR);
  return inode;
}

/** Walks to something that must exist. */
export function find(task: Task, fd: number, path: string, follow: boolean): Walked & { inode: Inode } {
  return must(walkExisting(contextOf(task), path, { start: startOf(task, fd, path), caller: task, follow }));
}

/** Walks to a name that may exist; the last link is not followed. */
export function findName(task: Task, fd: number, path: string): Walked {
  return must(walk(contextOf(task), path, { start: startOf(task, fd, path), caller: task, follow: false }));
}

/** Walks to a name that must not exist. */
export function findNew(task: Task, fd: number, path: string): Walked {
  return must(walkNew(contextOf(task), path, { start: startOf(task, fd, path), caller: task, follow: false }));
}

/** The object of an `…at` call: by path, or with AT_EMPTY_PATH the descriptor's own file. */
export function findAt(
  task: Task,
  fd: number,
  pathAddress: number,
  flags: number,
): { readonly file: OpenFile } | { readonly inode: Inode } {
  const path = pathAddress === 0 && (flags & AT_EMPTY_PATH) !== 0 ? "" : pathAt(task, pathAddress);
  if (path === "" && (flags & AT_EMPTY_PATH) !== 0) {
    return fd === AT_FDCWD ? { inode: contextOf(task).cwd } : { file: anyFileOf(task, fd) };
  }
  const walked = find(task, fd, path, (flags & AT_SYMLINK_NOFOLLOW) === 0);
  return walked.magic?.file === undefined ? { inode: walked.inode } : { file: walked.magic.file };
}

/** Wall-clock time in nanoseconds since the epoch. */
export function nowNs(task: Task): bigint {
  const { seconds, nanoseconds } = task.kernel.clock.realtime();
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}
