/**
 * Everything about files that one kernel has once: the mount table, the tmpfs behind memfd, the host ports. The core
 * sees it as its `FilesystemPort`.
 */
import { EACCES, EBADF, ELOOP } from "../kernel/errno.ts";
import type { ExecutableFile, FilesystemPort } from "../kernel/files.ts";
import type { PageCache } from "../kernel/memory.ts";
import type { Task } from "../kernel/task.ts";
import type { FileTable } from "../fd/file-table.ts";
import { LockTable } from "../fd/locks.ts";
import { MemoryFile } from "../fd/memory-file.ts";
import { RegularFile } from "../fd/regular-file.ts";
import type { OpenFile } from "../fd/open-file.ts";
import type { GuestNetwork } from "../net/network.ts";
import { fromText } from "./byte-string.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  failed,
  O_RDONLY,
  S_IFREG,
  X_OK,
  type Failure,
} from "./constants.ts";
import type { Inode } from "./inode.ts";
import type { MountTable } from "./mount.ts";
import { Tmpfs, TmpfsInode } from "./tmpfs.ts";
import { FilesystemContext, pathOfFile, walkExisting } from "./walk.ts";

const S_ISUID = 0o4000;
const S_ISGID = 0o2000;

export interface GuestFilesystemOptions {
  readonly mounts: MountTable;
  readonly pageCache: PageCache;
  readonly nowNs: () => bigint;
  readonly network: GuestNetwork;
}

export class GuestFilesystem implements FilesystemPort {
  readonly mounts: MountTable;
  readonly pageCache: PageCache;
  /** Unnamed files of memfd_create(2); mounted nowhere. */
  readonly memoryFiles: Tmpfs;
  readonly locks: LockTable = new LockTable();
  readonly network: GuestNetwork;

  constructor(options: GuestFilesystemOptions) {
    this.mounts = options.mounts;
    this.pageCache = options.pageCache;
    this.network = options.network;
    this.memoryFiles = new Tmpfs({ pageCache: options.pageCache, nowNs: options.nowNs });
  }

  /** Root and working directory of the first process; `cwd` is a guest path. */
  initialContext(cwd: string, umask: number, caller: Task): FilesystemContext | Failure {
    const root = this.mounts.root.root;
    const context = new FilesystemContext(root, root, umask);
    const walked = walkExisting(context, fromText(cwd), { start: root, caller, follow: true });
    if (failed(walked)) return walked;
    context.cwd = walked.inode;
    return context;
  }

  openExecutable(task: Task, directory: number, path: string, flags: number): ExecutableFile | number {
    const context = task.filesystem as FilesystemContext;
    if (path === "" && (flags & AT_EMPTY_PATH) !== 0) return this.#executableOfDescriptor(task, directory);
    let start = context.cwd;
    if (directory !== AT_FDCWD && !path.startsWith("/")) {
      const base = (task.files as FileTable).get(directory)?.inode;
      if (base === undefined) return -EBADF;
      start = base;
    }
    const follow = (flags & AT_SYMLINK_NOFOLLOW) === 0;
    const walked = walkExisting(context, path, { start, caller: task, follow });
    if (failed(walked)) return walked;
    if (walked.inode.isSymlink) return -ELOOP;
    const at = walked.magic ?? walked;
    const guestPath =
      at.directory === undefined ? at.name : (pathOfFile(at.directory, at.name, context.root) ?? at.name);
    if (walked.magic?.file !== undefined && walked.magic.file instanceof RegularFile) {
      walked.magic.file.retain();
      return this.#executable(walked.magic.file, guestPath);
    }
    return this.#openExecutableInode(walked.inode, guestPath, task);
  }

  #executableOfDescriptor(task: Task, fd: number): ExecutableFile | number {
    const file = (task.files as FileTable).get(fd);
    if (file === undefined) return -EBADF;
    const path = file.describe((task.filesystem as FilesystemContext).root);
    if (file instanceof RegularFile) {
      file.retain();
      return this.#executable(file, path);
    }
    return file.inode === undefined ? -EACCES : this.#openExecutableInode(file.inode, path, task);
  }

  #openExecutableInode(inode: Inode, path: string, task: Task): ExecutableFile | number {
    if (inode.isDirectory) return -EACCES;
    if (inode.type !== S_IFREG) return -EACCES;
    const allowed = inode.access(X_OK, task);
    if (failed(allowed)) return allowed;
    const file = inode.open(O_RDONLY, task);
    return failed(file) ? file : this.#executable(file, path);
  }

  #executable(file: OpenFile, path: string): ExecutableFile | number {
    const source = file.mappable();
    const status = file.status();
    if (typeof source !== "object" || failed(status)) {
      file.release();
      return -EACCES;
    }
    let released = false;
    return {
      path,
      source,
      setUserId: (status.mode & S_ISUID) !== 0 ? status.uid : null,
      setGroupId: (status.mode & (S_ISGID | 0o010)) === (S_ISGID | 0o010) ? status.gid : null,
      release: () => {
        if (!released) file.release();
        released = true;
      },
    };
  }

  createMemoryFile(task: Task, name: string, flags: number): OpenFile | number {
    const { fsuid, fsgid } = task.credentials;
    const inode = new TmpfsInode(this.memoryFiles, S_IFREG | 0o777, fsuid, fsgid);
    const file = new MemoryFile(inode, flags, this.pageCache);
    file.name = `/memfd:${name} (deleted)`;
    return file;
  }
}
