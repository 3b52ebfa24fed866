/**
 * What a file system driver gives the walk: inodes. A directory inode is also its own dentry: a directory has one
 * parent and one name, so the way up ("..", getcwd) needs nothing else, and a rename moves the object.
 * Every method of {@link Inode} has the answer of a file that cannot do it; drivers override what they can.
 */
import {
  EACCES,
  EINVAL,
  EISDIR,
  ENODATA,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  EOPNOTSUPP,
  EPERM,
  EXDEV,
} from "../kernel/errno.ts";
import type { OpenFile } from "../fd/open-file.ts";
import type { Task } from "../kernel/task.ts";
import type { Failure } from "./constants.ts";
import { S_IFDIR, S_IFLNK, S_IFMT } from "./constants.ts";
import type { HostFilesystemStatus, HostStatus } from "./host.ts";

export type FileStatus = HostStatus;
export type FilesystemStatus = HostFilesystemStatus;

export interface DirectoryEntry {
  readonly name: string;
  /** The S_IFMT bits. */
  readonly type: number;
  /** Undefined when only a stat of the name would tell. */
  readonly ino: bigint | undefined;
}

/** Who asks: procfs answers /proc/self by it, terminals and FIFOs look at its process. */
export type Caller = Task;

/** One mounted file system: its root, and where it hangs. */
export interface Filesystem {
  /** As in /proc/mounts: "tmpfs", "proc". */
  readonly name: string;
  /** The first field in /proc/mounts. */
  readonly source: string;
  readonly readOnly: boolean;
  readonly root: Inode;
  status(inode: Inode): FilesystemStatus | Failure;
  /** Where it is mounted; the mount table sets it. */
  mountedOn: { directory: Inode; name: string } | undefined;
}

/** Where a link leads that is not a path: /proc/self/fd/3, /proc/self/exe. */
export interface MagicTarget {
  readonly inode: Inode;
  readonly directory: Inode | undefined;
  readonly name: string;
  /** For /proc/PID/fd of a pipe, memfd or terminal: opening gives this description's file again. */
  readonly file?: OpenFile;
}

export abstract class Inode {
  abstract readonly filesystem: Filesystem;
  /** The S_IFMT bits. */
  readonly type: number;
  /** Directories only: the way up inside this file system, undefined at its root. */
  parent: Inode | undefined = undefined;
  /** Directories only: the name in `parent`. */
  name = "";
  /** Directories only: file systems mounted on names in this directory. */
  mounts: Map<string, Filesystem> | undefined = undefined;
  /** A directory that was removed while somebody stood in it. */
  removed = false;

  constructor(type: number) {
    this.type = type & S_IFMT;
  }

  get isDirectory(): boolean {
    return this.type === S_IFDIR;
  }

  get isSymlink(): boolean {
    return this.type === S_IFLNK;
  }

  abstract status(): FileStatus | Failure;

  /** A new open file description; `flags` are the guest's, creation flags included but already acted on. */
  abstract open(flags: number, caller: Caller): OpenFile | Failure;

  lookup(_name: string, _caller: Caller): Inode | Failure {
    return this.isDirectory ? -ENOENT : -ENOTDIR;
  }

  /** As `lookup`, for a component that is not the last: may answer from a cache that is a moment old. */
  step(name: string, caller: Caller): Inode | Failure {
    return this.lookup(name, caller);
  }

  /** The entries, without "." and "..". */
  list(_caller: Caller): DirectoryEntry[] | Failure {
    return -ENOTDIR;
  }

  /** A new regular file; it is known not to exist. `open` follows. */
  create(_name: string, _mode: number, _caller: Caller): Inode | Failure {
    return -EACCES;
  }

  /** An unnamed file (O_TMPFILE). */
  createUnnamed(_mode: number, _caller: Caller): Inode | Failure {
    return -EOPNOTSUPP;
  }

  makeDirectory(_name: string, _mode: number, _caller: Caller): 0 | Failure {
    return -EPERM;
  }

  makeNode(_name: string, _mode: number, _device: number, _caller: Caller): 0 | Failure {
    return -EPERM;
  }

  symlink(_name: string, _target: string, _caller: Caller): 0 | Failure {
    return -EPERM;
  }

  link(_name: string, _target: Inode, _caller: Caller): 0 | Failure {
    return -EPERM;
  }

  unlink(_name: string, _caller: Caller): 0 | Failure {
    return -EPERM;
  }

  removeDirectory(_name: string, _caller: Caller): 0 | Failure {
    return -EPERM;
  }

  /** rename(2) inside one file system; both directories belong to it. */
  rename(_name: string, _to: Inode, _toName: string, _flags: number, _caller: Caller): 0 | Failure {
    return -EXDEV;
  }

  readlink(_caller: Caller): string | Failure {
    return -EINVAL;
  }

  /** For links that lead to an object, not to a path. */
  magic(_caller: Caller): MagicTarget | Failure | undefined {
    return undefined;
  }

  /** access(2): R_OK, W_OK, X_OK bits, 0 for existence. */
  access(_mode: number, _caller: Caller): 0 | Failure {
    return 0;
  }

  setMode(_mode: number): 0 | Failure {
    return -EPERM;
  }

  setOwner(_uid: number, _gid: number): 0 | Failure {
    return -EPERM;
  }

  setTimes(_atimeNs: bigint, _mtimeNs: bigint): 0 | Failure {
    return -EPERM;
  }

  truncate(_size: number): 0 | Failure {
    return -EINVAL;
  }

  getAttribute(_name: string): Uint8Array | Failure {
    return -ENODATA;
  }

  setAttribute(_name: string, _value: Uint8Array, _flags: number): 0 | Failure {
    return -EOPNOTSUPP;
  }

  listAttributes(): string[] | Failure {
    return [];
  }

  removeAttribute(_name: string): 0 | Failure {
    return -ENODATA;
  }
}

/** Whether a rename of `directory` to below `to` would make a loop (EINVAL in rename(2)). */
export function isAncestor(directory: Inode, to: Inode): boolean {
  for (let at: Inode | undefined = to; at !== undefined; at = at.parent) {
    if (at === directory) return true;
  }
  return false;
}

/** The errors of replacing `existing` by `moving`, 0 when rename(2) allows it. */
export function replaceError(moving: Inode, existing: Inode, existingIsEmpty: boolean): 0 | Failure {
  if (moving.isDirectory && !existing.isDirectory) return -ENOTDIR;
  if (!moving.isDirectory && existing.isDirectory) return -EISDIR;
  if (existing.isDirectory && !existingIsEmpty) return -ENOTEMPTY;
  return 0;
}
