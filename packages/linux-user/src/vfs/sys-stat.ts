/** stat and its many forms, statfs, access, readlink. */
import { EINVAL, ENOENT, ENOTDIR } from "../kernel/errno.ts";
import type { SyscallArguments, SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import { toBytes } from "./byte-string.ts";
import { AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, failed, AT_EACCESS } from "./constants.ts";
import { anyFileOf, find, findAt, findName, guestOf, must, pathAt } from "./handler-tools.ts";
import type { FileStatus, Filesystem, Inode } from "./inode.ts";
import {
  encodeStat64Bit,
  encodeStat64I386,
  encodeStatfs64Bit,
  encodeStatfsI386,
  encodeStatI386,
  encodeStatx,
} from "./status-layout.ts";

type Encoder = (status: FileStatus) => Uint8Array;

const AT_STATX_SYNC_TYPE = 0x6000;

function statusAt(task: Task, fd: number, path: number, flags: number): FileStatus {
  const found = findAt(task, fd, path, flags);
  return must("file" in found ? found.file.status() : found.inode.status());
}

/** stat, lstat: `flags` 0 or AT_SYMLINK_NOFOLLOW. */
function statPath(encode: Encoder, flags: number): SyscallHandler {
  return (task, args) => {
    task.memory.writeBytes(args.address(1), encode(statusAt(task, AT_FDCWD, args.address(0), flags)));
    return 0;
  };
}

function statDescriptor(encode: Encoder): SyscallHandler {
  return (task, args) => {
    task.memory.writeBytes(args.address(1), encode(must(anyFileOf(task, args.i32(0)).status())));
    return 0;
  };
}

function statAt(encode: Encoder): SyscallHandler {
  return (task, args) => {
    const flags = args.i32(3);
    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)) !== 0) return -EINVAL;
    task.memory.writeBytes(args.address(2), encode(statusAt(task, args.i32(0), args.address(1), flags)));
    return 0;
  };
}

function mountIdOf(task: Task, filesystem: Filesystem | undefined): number {
  return filesystem === undefined ? 0 : guestOf(task).mounts.filesystems.indexOf(filesystem) + 1;
}

const sysStatx: SyscallHandler = (task, args) => {
  const flags = args.i32(2);
  const known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
  if ((flags & ~known) !== 0 || (args.u32(3) & 0x80000000) !== 0) return -EINVAL;
  const found = findAt(task, args.i32(0), args.address(1), flags);
  const status = must("file" in found ? found.file.status() : found.inode.status());
  const inode = "file" in found ? found.file.inode : found.inode;
  task.memory.writeBytes(args.address(4), encodeStatx(status, mountIdOf(task, inode?.filesystem)));
  return 0;
};

const ST_RDONLY = 1;
const ST_VALID = 0x20;
const PIPEFS_MAGIC = 0x50495045;

function writeStatfs(task: Task, args: SyscallArguments, inode: Inode | undefined, at: number, large: boolean): number {
  const nameless = {
    type: PIPEFS_MAGIC,
    blockSize: 4096,
    blocks: 0,
    freeBlocks: 0,
    availableBlocks: 0,
    files: 0,
    freeFiles: 0,
  };
  const status = must(inode === undefined ? nameless : inode.filesystem.status(inode));
  const flags = ST_VALID | (inode?.filesystem.readOnly === true ? ST_RDONLY : 0);
  const bytes = args.abi === "x86-64" ? encodeStatfs64Bit(status, flags) : encodeStatfsI386(status, flags, large);
  task.memory.writeBytes(at, bytes);
  return 0;
}

/** The 64-bit forms of i386 have the structure's size as their second argument. */
function statfs(large: boolean): SyscallHandler {
  return (task, args) => {
    const { inode } = find(task, AT_FDCWD, pathAt(task, args.address(0)), true);
    return writeStatfs(task, args, inode, args.address(large ? 2 : 1), large);
  };
}

function fstatfs(large: boolean): SyscallHandler {
  return (task, args) =>
    writeStatfs(task, args, anyFileOf(task, args.i32(0)).inode, args.address(large ? 2 : 1), large);
}

function access(task: Task, fd: number, path: number, mode: number, flags: number): number {
  if ((mode & ~7) !== 0) return -EINVAL;
  if ((flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const found = findAt(task, fd, path, flags);
  const inode = "file" in found ? found.file.inode : found.inode;
  return inode === undefined ? 0 : inode.access(mode, task);
}

const sysAccess: SyscallHandler = (task, args) => access(task, AT_FDCWD, args.address(0), args.u32(1), 0);
const sysFaccessat: SyscallHandler = (task, args) => access(task, args.i32(0), args.address(1), args.u32(2), 0);
const sysFaccessat2: SyscallHandler = (task, args) =>
  access(task, args.i32(0), args.address(1), args.u32(2), args.i32(3));

function readlink(task: Task, fd: number, path: string, buffer: number, size: number): number {
  if (size <= 0) return -EINVAL;
  let inode: Inode | undefined;
  if (path === "" && fd !== AT_FDCWD) {
    inode = anyFileOf(task, fd).inode;
  } else {
    const walked = findName(task, fd, path);
    inode = walked.inode;
    if (inode !== undefined && walked.trailingSlash && !inode.isSymlink) return inode.isDirectory ? -EINVAL : -ENOTDIR;
  }
  if (inode === undefined) return -ENOENT;
  const target = inode.readlink(task);
  if (failed(target)) return target;
  const bytes = toBytes(target).subarray(0, size);
  task.memory.writeBytes(buffer, bytes);
  return bytes.length;
}

const sysReadlink: SyscallHandler = (task, args) =>
  readlink(task, AT_FDCWD, pathAt(task, args.address(0)), args.address(1), args.i32(2));
const sysReadlinkat: SyscallHandler = (task, args) =>
  readlink(task, args.i32(0), pathAt(task, args.address(1)), args.address(2), args.i32(3));

const path = "string" as const;
const pointer = "pointer" as const;

export const statSyscalls: readonly SyscallDefinition[] = [
  {
    name: "stat",
    x64: 4,
    i386: 106,
    honesty: "supported",
    handler: statPath(encodeStat64Bit, 0),
    handler32: statPath(encodeStatI386, 0),
    arguments: [path, pointer],
  },
  {
    name: "fstat",
    x64: 5,
    i386: 108,
    honesty: "supported",
    handler: statDescriptor(encodeStat64Bit),
    handler32: statDescriptor(encodeStatI386),
    arguments: ["fd", pointer],
  },
  {
    name: "lstat",
    x64: 6,
    i386: 107,
    honesty: "supported",
    handler: statPath(encodeStat64Bit, AT_SYMLINK_NOFOLLOW),
    handler32: statPath(encodeStatI386, AT_SYMLINK_NOFOLLOW),
    arguments: [path, pointer],
  },
  {
    name: "stat64",
    x64: -1,
    i386: 195,
    honesty: "supported",
    handler: statPath(encodeStat64I386, 0),
    arguments: [path, pointer],
  },
  {
    name: "lstat64",
    x64: -1,
    i386: 196,
    honesty: "supported",
    handler: statPath(encodeStat64I386, AT_SYMLINK_NOFOLLOW),
    arguments: [path, pointer],
  },
  {
    name: "fstat64",
    x64: -1,
    i386: 197,
    honesty: "supported",
    handler: statDescriptor(encodeStat64I386),
    arguments: ["fd", pointer],
  },
  {
    name: "newfstatat",
    x64: 262,
    i386: -1,
    honesty: "supported",
    handler: statAt(encodeStat64Bit),
    arguments: ["fd", path, pointer, "hex"],
  },
  {
    name: "fstatat64",
    x64: -1,
    i386: 300,
    honesty: "supported",
    handler: statAt(encodeStat64I386),
    arguments: ["fd", path, pointer, "hex"],
  },
  {
    name: "statx",
    x64: 332,
    i386: 383,
    honesty: "supported",
    handler: sysStatx,
    arguments: ["fd", path, "hex", "hex", pointer],
  },
  { name: "statfs", x64: 137, i386: 99, honesty: "supported", handler: statfs(false), arguments: [path, pointer] },
  { name: "fstatfs", x64: 138, i386: 100, honesty: "supported", handler: fstatfs(false), arguments: ["fd", pointer] },
  {
    name: "statfs64",
    x64: -1,
    i386: 268,
    honesty: "supported",
    handler: statfs(true),
    arguments: [path, "size", pointer],
  },
  {
    name: "fstatfs64",
    x64: -1,
    i386: 269,
    honesty: "supported",
    handler: fstatfs(true),
    arguments: ["fd", "size", pointer],
  },
  { name: "access", x64: 21, i386: 33, honesty: "supported", handler: sysAccess, arguments: [path, "octal"] },
  {
    name: "faccessat",
    x64: 269,
    i386: 307,
    honesty: "supported",
    handler: sysFaccessat,
    arguments: ["fd", path, "octal"],
  },
  {
    name: "faccessat2",
    x64: 439,
    i386: 439,
    honesty: { partial: "AT_EACCESS and real ids are the host's" },
    handler: sysFaccessat2,
    arguments: ["fd", path, "octal", "hex"],
  },
  {
    name: "readlink",
    x64: 89,
    i386: 85,
    honesty: "supported",
    handler: sysReadlink,
    arguments: [path, pointer, "size"],
  },
  {
    name: "readlinkat",
    x64: 267,
    i386: 305,
    honesty: "supported",
    handler: sysReadlinkat,
    arguments: ["fd", path, pointer, "size"],
  },
];
