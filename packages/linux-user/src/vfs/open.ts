/** open(2) after its arguments are read: from a path and flags to an open file description. */
import { EACCES, EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, EOPNOTSUPP, EROFS } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import { PathFile, type OpenFile } from "../fd/open-file.ts";
import {
  failed,
  O_ACCMODE,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_TMPFILE_BIT,
  O_TRUNC,
  type Failure,
} from "./constants.ts";
import { HostInode } from "./host-filesystem.ts";
import type { Inode } from "./inode.ts";
import { TmpfsInode } from "./tmpfs.ts";
import { walk, type FilesystemContext, type Walked } from "./walk.ts";

export interface OpenRequest {
  readonly context: FilesystemContext;
  readonly start: Inode;
  readonly path: string;
  readonly flags: number;
  readonly mode: number;
  readonly task: Task;
  /** RESOLVE_ bits of openat2(2). */
  readonly resolve?: number;
}

/** The description, with one hold; nothing waits here (a FIFO without a peer says so by `openPending`). */
export function openPath(request: OpenRequest): OpenFile | Failure {
  const { context, start, path, task } = request;
  const flags = (request.flags & O_PATH) !== 0 ? request.flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW) : request.flags;
  const exclusive = (flags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL);
  const follow = (flags & O_NOFOLLOW) === 0 && !exclusive;
  const walked = walk(context, path, { start, caller: task, follow, resolve: request.resolve ?? 0 });
  if (failed(walked)) return walked;
  if ((flags & O_TMPFILE_BIT) !== 0) return openUnnamed(walked, flags, request);
  if (walked.inode === undefined) return createAndOpen(walked, flags, request);
  if (exclusive) return -EEXIST;
  return openExisting(walked, walked.inode, flags, task);
}

function placed(file: OpenFile, walked: Walked, inode: Inode | undefined): OpenFile {
  file.inode ??= inode;
  file.directory ??= walked.magic?.directory ?? walked.directory;
  if (file.name === "") file.name = walked.magic?.name ?? walked.name;
  return file;
}

function openExisting(walked: Walked, inode: Inode, flags: number, task: Task): OpenFile | Failure {
  if ((flags & O_DIRECTORY) !== 0 && !inode.isDirectory) return -ENOTDIR;
  if ((flags & O_PATH) !== 0) return placed(new PathFile(inode), walked, inode);
  if (inode.isSymlink) return -ELOOP;
  if (inode.isDirectory && ((flags & O_CREAT) !== 0 || (flags & O_ACCMODE) !== O_RDONLY)) return -EISDIR;
  if (walked.magic?.file !== undefined) {
    const again = walked.magic.file.reopen(flags, task);
    if (again !== undefined) return failed(again) ? again : placed(again, walked, inode);
  }
  const file = inode.open(flags, task);
  return failed(file) ? file : placed(file, walked, inode);
}

function createAndOpen(walked: Walked, flags: number, request: OpenRequest): OpenFile | Failure {
  if ((flags & O_CREAT) === 0 || (flags & O_PATH) !== 0) return -ENOENT;
  if (walked.trailingSlash) return -EISDIR;
  if ((flags & O_DIRECTORY) !== 0) return -EINVAL;
  const { directory, name } = walked;
  const mode = request.mode & 0o7777 & ~request.context.umask;
  // On the host, one call makes and opens: a mode such as 0400 must not keep its creator from writing.
  if (directory instanceof HostInode) {
    const file = directory.createAndOpen(name, flags, mode);
    if (file === -EEXIST) return openPath({ ...request, flags: flags & ~O_EXCL });
    return failed(file) ? file : placed(file, walked, undefined);
  }
  const inode = directory.create(name, mode, request.task);
  if (failed(inode)) return inode;
  const file = inode instanceof TmpfsInode ? inode.openFile(flags) : inode.open(flags & ~O_TRUNC, request.task);
  return failed(file) ? file : placed(file, walked, inode);
}

function openUnnamed(walked: Walked, flags: number, request: OpenRequest): OpenFile | Failure {
  const { inode } = walked;
  if (inode === undefined) return -ENOENT;
  if (!inode.isDirectory) return -ENOTDIR;
  if ((flags & O_ACCMODE) === O_RDONLY) return -EINVAL;
  if (inode.filesystem.readOnly) return -EROFS;
  if (inode.filesystem.name === "proc") return -EACCES;
  const made = inode.createUnnamed(request.mode & 0o7777 & ~request.context.umask, request.task);
  if (failed(made)) return made === -EOPNOTSUPP ? -EOPNOTSUPP : made;
  const file = made instanceof TmpfsInode ? made.openFile(flags) : made.open(flags, request.task);
  if (failed(file)) return file;
  file.directory = inode;
  file.name = `#${made instanceof TmpfsInode ? made.ino : 0} (deleted)`;
  return file;
}
