/** Names: unlink, rename, link, symlink, mknod. */
import { EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, EXDEV } from "../kernel/errno.ts";
import type { SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "./constants.ts";
import { anyFileOf, contextOf, find, findName, findNew, pathAt } from "./handler-tools.ts";
import type { Inode } from "./inode.ts";
import { removeDirectory } from "./sys-directory.ts";
import type { Walked } from "./walk.ts";

function unlink(task: Task, fd: number, path: string): number {
  const { directory, name, inode, trailingSlash } = findName(task, fd, path);
  if (inode === undefined) return -ENOENT;
  if (inode.isDirectory || name === "." || name === "..") return -EISDIR;
  if (trailingSlash) return -ENOTDIR;
  if (directory.mounts?.has(name) === true) return -EBUSY;
  return directory.unlink(name, task);
}

const sysUnlink: SyscallHandler = (task, args) => unlink(task, AT_FDCWD, pathAt(task, args.address(0)));

const sysUnlinkat: SyscallHandler = (task, args) => {
  const flags = args.i32(2);
  if ((flags & ~AT_REMOVEDIR) !== 0) return -EINVAL;
  const path = pathAt(task, args.address(1));
  return flags === 0 ? unlink(task, args.i32(0), path) : removeDirectory(task, args.i32(0), path);
};

/** A name that rename may not touch: ".", "..", a root, a mount point. */
function isFixed({ directory, name }: Walked): boolean {
  return name === "." || name === ".." || name === "" || directory.mounts?.has(name) === true;
}

function rename(task: Task, fromFd: number, fromPath: string, toFd: number, toPath: string, flags: number): number {
  if ((flags & ~(RENAME_EXCHANGE | RENAME_NOREPLACE)) !== 0 || flags === 3) return -EINVAL;
  const from = findName(task, fromFd, fromPath);
  const to = findName(task, toFd, toPath);
  if (from.inode === undefined) return -ENOENT;
  if (isFixed(from) || isFixed(to)) return to.name === ".." && flags !== RENAME_NOREPLACE ? -ENOTEMPTY : -EBUSY;
  if (from.directory.filesystem !== to.directory.filesystem) return -EXDEV;
  if (!from.inode.isDirectory && (from.trailingSlash || to.trailingSlash)) return -ENOTDIR;
  if ((flags & RENAME_NOREPLACE) !== 0 && to.inode !== undefined) return -EEXIST;
  return from.directory.rename(from.name, to.directory, to.name, flags, task);
}

const sysRename: SyscallHandler = (task, args) =>
  rename(task, AT_FDCWD, pathAt(task, args.address(0)), AT_FDCWD, pathAt(task, args.address(1)), 0);
const sysRenameat: SyscallHandler = (task, args) =>
  rename(task, args.i32(0), pathAt(task, args.address(1)), args.i32(2), pathAt(task, args.address(3)), 0);
const sysRenameat2: SyscallHandler = (task, args) =>
  rename(task, args.i32(0), pathAt(task, args.address(1)), args.i32(2), pathAt(task, args.address(3)), args.u32(4));

function linkTo(task: Task, target: Inode | undefined, fd: number, path: string): number {
  if (target === undefined) return -ENOENT;
  const { directory, name, trailingSlash } = findNew(task, fd, path);
  if (target.isDirectory) return -EPERM;
  if (trailingSlash) return -ENOENT;
  return target.filesystem === directory.filesystem ? directory.link(name, target, task) : -EXDEV;
}

const sysLink: SyscallHandler = (task, args) =>
  linkTo(
    task,
    find(task, AT_FDCWD, pathAt(task, args.address(0)), false).inode,
    AT_FDCWD,
    pathAt(task, args.address(1)),
  );

const sysLinkat: SyscallHandler = (task, args) => {
  const flags = args.i32(4);
  if ((flags & ~(AT_EMPTY_PATH | AT_SYMLINK_FOLLOW)) !== 0) return -EINVAL;
  const from = pathAt(task, args.address(1));
  const target =
    from === "" && (flags & AT_EMPTY_PATH) !== 0
      ? anyFileOf(task, args.i32(0)).inode
      : find(task, args.i32(0), from, (flags & AT_SYMLINK_FOLLOW) !== 0).inode;
  return linkTo(task, target, args.i32(2), pathAt(task, args.address(3)));
};

function symlink(task: Task, target: string, fd: number, path: string): number {
  if (target === "") return -ENOENT;
  const { directory, name, trailingSlash } = findNew(task, fd, path);
  return trailingSlash ? -ENOENT : directory.symlink(name, target, task);
}

const sysSymlink: SyscallHandler = (task, args) =>
  symlink(task, pathAt(task, args.address(0)), AT_FDCWD, pathAt(task, args.address(1)));
const sysSymlinkat: SyscallHandler = (task, args) =>
  symlink(task, pathAt(task, args.address(0)), args.i32(1), pathAt(task, args.address(2)));

function makeNode(task: Task, fd: number, path: string, mode: number, device: number): number {
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return -EPERM;
  if (type !== 0 && type !== S_IFREG && type !== S_IFIFO && type !== S_IFSOCK) return -EPERM;
  const { directory, name, trailingSlash } = findNew(task, fd, path);
  return trailingSlash
    ? -ENOENT
    : directory.makeNode(name, (mode & S_IFMT) | (mode & 0o7777 & ~contextOf(task).umask), device, task);
}

const sysMknod: SyscallHandler = (task, args) =>
  makeNode(task, AT_FDCWD, pathAt(task, args.address(0)), args.u32(1), args.u32(2));
const sysMknodat: SyscallHandler = (task, args) =>
  makeNode(task, args.i32(0), pathAt(task, args.address(1)), args.u32(2), args.u32(3));

const noDevices = { partial: "regular files, FIFOs and sockets; devices are EPERM" };
const path = "string" as const;

export const nameSyscalls: readonly SyscallDefinition[] = [
  { name: "unlink", x64: 87, i386: 10, honesty: "supported", handler: sysUnlink, arguments: [path] },
  { name: "unlinkat", x64: 263, i386: 301, honesty: "supported", handler: sysUnlinkat, arguments: ["fd", path, "hex"] },
  { name: "rename", x64: 82, i386: 38, honesty: "supported", handler: sysRename, arguments: [path, path] },
  {
    name: "renameat",
    x64: 264,
    i386: 302,
    honesty: "supported",
    handler: sysRenameat,
    arguments: ["fd", path, "fd", path],
  },
  {
    name: "renameat2",
    x64: 316,
    i386: 353,
    honesty: { partial: "RENAME_EXCHANGE on host files is three renames; no RENAME_WHITEOUT" },
    handler: sysRenameat2,
    arguments: ["fd", path, "fd", path, "hex"],
  },
  { name: "link", x64: 86, i386: 9, honesty: "supported", handler: sysLink, arguments: [path, path] },
  {
    name: "linkat",
    x64: 265,
    i386: 303,
    honesty: { partial: "no AT_EMPTY_PATH of an O_TMPFILE on the host" },
    handler: sysLinkat,
    arguments: ["fd", path, "fd", path, "hex"],
  },
  { name: "symlink", x64: 88, i386: 83, honesty: "supported", handler: sysSymlink, arguments: [path, path] },
  {
    name: "symlinkat",
    x64: 266,
    i386: 304,
    honesty: "supported",
    handler: sysSymlinkat,
    arguments: [path, "fd", path],
  },
  { name: "mknod", x64: 133, i386: 14, honesty: noDevices, handler: sysMknod, arguments: [path, "octal", "hex"] },
  {
    name: "mknodat",
    x64: 259,
    i386: 297,
    honesty: noDevices,
    handler: sysMknodat,
    arguments: ["fd", path, "octal", "hex"],
  },
];
