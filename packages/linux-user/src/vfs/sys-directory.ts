/** Directories: reading them, making them, being in them. */
import { EBUSY, EINVAL, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, ERANGE } from "../kernel/errno.ts";
import type { SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import { toBytes } from "./byte-string.ts";
import { AT_FDCWD, failed, S_IFMT, X_OK, type Failure } from "./constants.ts";
import { anyFileOf, contextOf, fileOf, find, findName, findNew, must, pathAt } from "./handler-tools.ts";
import type { DirectoryEntry, Inode } from "./inode.ts";
import { childOf, parentOf, pathOfDirectory } from "./walk.ts";

interface EntryLayout {
  /** Bytes before the name. */
  readonly header: number;
  /** Where the type byte stands: before the name (getdents64) or in the last byte (getdents). */
  readonly typeLast: boolean;
  readonly align: number;
  readonly wordBytes: 8 | 4;
}

/** struct linux_dirent64: ino 8, off 8, reclen 2, type 1, name. */
const DIRENT64: EntryLayout = { header: 19, typeLast: false, align: 8, wordBytes: 8 };
/** struct linux_dirent: ino, off of a word, reclen 2, name, type in the last byte (getdents(2)). */
const DIRENT: EntryLayout = { header: 18, typeLast: true, align: 8, wordBytes: 8 };
const DIRENT_I386: EntryLayout = { header: 10, typeLast: true, align: 4, wordBytes: 4 };

/** One entry, or undefined when it does not fit into `room` bytes. */
function encodeEntry(
  entry: DirectoryEntry,
  ino: bigint,
  next: number,
  layout: EntryLayout,
  room: number,
): Uint8Array | undefined {
  const name = toBytes(entry.name);
  const plain = layout.header + name.length + 1 + (layout.typeLast ? 1 : 0);
  const length = Math.ceil(plain / layout.align) * layout.align;
  if (length > room) return undefined;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  if (layout.wordBytes === 8) {
    view.setBigUint64(0, ino, true);
    view.setBigInt64(8, BigInt(next), true);
  } else {
    view.setUint32(0, Number(BigInt.asUintN(32, ino)), true);
    view.setInt32(4, next, true);
  }
  view.setUint16(layout.wordBytes * 2, length, true);
  bytes.set(name, layout.header);
  const type = (entry.type & S_IFMT) >> 12;
  bytes[layout.typeLast ? length - 1 : 18] = type;
  return bytes;
}

function inodeNumber(inode: Inode | Failure): bigint {
  const status = failed(inode) ? inode : inode.status();
  return failed(status) ? 1n : status.ino;
}

function readEntries(task: Task, fd: number, address: number, size: number, layout: EntryLayout): number {
  const file = fileOf(task, fd);
  if (file.inode?.isDirectory !== true) return -ENOTDIR;
  const entries = must(file.entries(task));
  const type = file.inode.type;
  let done = 0;
  for (;;) {
    const index = file.offset;
    let entry = entries[index - 2];
    if (index === 0) entry = { name: ".", type, ino: inodeNumber(file.inode) };
    else if (index === 1) entry = { name: "..", type, ino: inodeNumber(parentOf(file.inode)) };
    if (entry === undefined) return done;
    const ino = entry.ino ?? inodeNumber(childOf(file.inode, entry.name, task));
    const bytes = encodeEntry(entry, ino, index + 1, layout, size - done);
    if (bytes === undefined) return done > 0 ? done : -EINVAL;
    task.memory.writeBytes(address + done, bytes);
    done += bytes.length;
    file.offset++;
  }
}

const sysGetdents: SyscallHandler = (task, args) =>
  readEntries(task, args.i32(0), args.address(1), args.u32(2), args.wordBytes === 8 ? DIRENT : DIRENT_I386);
const sysGetdents64: SyscallHandler = (task, args) =>
  readEntries(task, args.i32(0), args.address(1), args.u32(2), DIRENT64);

function makeDirectory(task: Task, fd: number, pathAddress: number, mode: number): number {
  const { directory, name } = findNew(task, fd, pathAt(task, pathAddress));
  return directory.makeDirectory(name, mode & 0o1777 & ~contextOf(task).umask, task);
}

const sysMkdir: SyscallHandler = (task, args) => makeDirectory(task, AT_FDCWD, args.address(0), args.u32(1));
const sysMkdirat: SyscallHandler = (task, args) => makeDirectory(task, args.i32(0), args.address(1), args.u32(2));

/** rmdir(2), also for unlinkat with AT_REMOVEDIR. */
export function removeDirectory(task: Task, fd: number, path: string): number {
  const { directory, name, inode } = findName(task, fd, path);
  if (inode === undefined) return -ENOENT;
  if (!inode.isDirectory) return -ENOTDIR;
  if (name === ".") return -EINVAL;
  if (name === "..") return -ENOTEMPTY;
  if (name === "" || directory.mounts?.has(name) === true || inode === contextOf(task).root) return -EBUSY;
  return directory.removeDirectory(name, task);
}

const sysRmdir: SyscallHandler = (task, args) => removeDirectory(task, AT_FDCWD, pathAt(task, args.address(0)));

/** A directory that one may enter. */
function enterable(inode: Inode, task: Task): Inode {
  if (!inode.isDirectory) return must<Inode>(-ENOTDIR);
  must(inode.access(X_OK, task));
  return inode;
}

const sysChdir: SyscallHandler = (task, args) => {
  contextOf(task).cwd = enterable(find(task, AT_FDCWD, pathAt(task, args.address(0)), true).inode, task);
  return 0;
};

const sysFchdir: SyscallHandler = (task, args) => {
  const { inode } = anyFileOf(task, args.i32(0));
  if (inode === undefined) return -ENOTDIR;
  contextOf(task).cwd = enterable(inode, task);
  return 0;
};

const sysChroot: SyscallHandler = (task, args) => {
  const inode = enterable(find(task, AT_FDCWD, pathAt(task, args.address(0)), true).inode, task);
  if (task.credentials.euid !== 0) return -EPERM;
  contextOf(task).root = inode;
  return 0;
};

/** Returns the length with the NUL, as the kernel's own call does (getcwd(2)). */
const sysGetcwd: SyscallHandler = (task, args) => {
  const { cwd, root } = contextOf(task);
  if (cwd.removed) return -ENOENT;
  const path = pathOfDirectory(cwd, root) ?? `(unreachable)${pathOfDirectory(cwd, cwd.filesystem.root) ?? "/"}`;
  const bytes = toBytes(`${path}\0`);
  if (bytes.length > args.address(1)) return -ERANGE;
  task.memory.writeBytes(args.address(0), bytes);
  return bytes.length;
};

export const directorySyscalls: readonly SyscallDefinition[] = [
  {
    name: "getdents",
    x64: 78,
    i386: 141,
    honesty: "supported",
    handler: sysGetdents,
    arguments: ["fd", "pointer", "size"],
  },
  {
    name: "getdents64",
    x64: 217,
    i386: 220,
    honesty: "supported",
    handler: sysGetdents64,
    arguments: ["fd", "pointer", "size"],
  },
  { name: "mkdir", x64: 83, i386: 39, honesty: "supported", handler: sysMkdir, arguments: ["string", "octal"] },
  {
    name: "mkdirat",
    x64: 258,
    i386: 296,
    honesty: "supported",
    handler: sysMkdirat,
    arguments: ["fd", "string", "octal"],
  },
  { name: "rmdir", x64: 84, i386: 40, honesty: "supported", handler: sysRmdir, arguments: ["string"] },
  { name: "chdir", x64: 80, i386: 12, honesty: "supported", handler: sysChdir, arguments: ["string"] },
  { name: "fchdir", x64: 81, i386: 133, honesty: "supported", handler: sysFchdir, arguments: ["fd"] },
  { name: "chroot", x64: 161, i386: 61, honesty: "supported", handler: sysChroot, arguments: ["string"] },
  { name: "getcwd", x64: 79, i386: 183, honesty: "supported", handler: sysGetcwd, arguments: ["pointer", "size"] },
];
