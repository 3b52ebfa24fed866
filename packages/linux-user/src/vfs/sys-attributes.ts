/** What an inode says of itself: mode, owner, times, size, extended attributes; and the umask. */
import { EFBIG, EINVAL, EISDIR, EOPNOTSUPP, ERANGE, EROFS } from "../kernel/errno.ts";
import type { SyscallArguments, SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import { fromBytes, toBytes } from "./byte-string.ts";
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, failed, S_IFREG, W_OK, type Failure } from "./constants.ts";
import { anyFileOf, contextOf, fileOf, find, findAt, must, nowNs, pathAt } from "./handler-tools.ts";
import type { FileStatus, Inode } from "./inode.ts";

/** The part of an inode and of an open file that these calls need. */
interface Attributes {
  status(): FileStatus | Failure;
  setMode(mode: number): 0 | Failure;
  setOwner(uid: number, gid: number): 0 | Failure;
  setTimes(atimeNs: bigint, mtimeNs: bigint): 0 | Failure;
}

function attributesAt(task: Task, fd: number, path: number, flags: number): Attributes {
  const found = findAt(task, fd, path, flags);
  if (!("file" in found)) return found.inode;
  return found.file.isPathOnly && found.file.inode !== undefined ? found.file.inode : found.file;
}

const sysChmod: SyscallHandler = (task, args) =>
  attributesAt(task, AT_FDCWD, args.address(0), 0).setMode(args.u32(1) & 0o7777);
const sysFchmod: SyscallHandler = (task, args) => fileOf(task, args.i32(0)).setMode(args.u32(1) & 0o7777);
const sysFchmodat: SyscallHandler = (task, args) =>
  attributesAt(task, args.i32(0), args.address(1), 0).setMode(args.u32(2) & 0o7777);

const sysFchmodat2: SyscallHandler = (task, args) => {
  const flags = args.i32(3);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  const found = findAt(task, args.i32(0), args.address(1), flags);
  if ("inode" in found && found.inode.isSymlink) return -EOPNOTSUPP;
  return attributesAt(task, args.i32(0), args.address(1), flags).setMode(args.u32(2) & 0o7777);
};

/** -1 keeps the id (chown(2)); the host wants both. */
function chown(target: Attributes, uid: number, gid: number): number {
  if (uid === -1 && gid === -1) return 0;
  const status = must(target.status());
  return target.setOwner(uid === -1 ? status.uid : uid >>> 0, gid === -1 ? status.gid : gid >>> 0);
}

const sysChown: SyscallHandler = (task, args) =>
  chown(attributesAt(task, AT_FDCWD, args.address(0), 0), args.i32(1), args.i32(2));
const sysLchown: SyscallHandler = (task, args) =>
  chown(attributesAt(task, AT_FDCWD, args.address(0), AT_SYMLINK_NOFOLLOW), args.i32(1), args.i32(2));
const sysFchown: SyscallHandler = (task, args) => chown(fileOf(task, args.i32(0)), args.i32(1), args.i32(2));

const sysFchownat: SyscallHandler = (task, args) => {
  const flags = args.i32(4);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
  return chown(attributesAt(task, args.i32(0), args.address(1), flags), args.i32(2), args.i32(3));
};

/** i386's first chown calls take 16-bit ids. */
function widen16(id: number): number {
  return (id & 0xffff) === 0xffff ? -1 : id & 0xffff;
}

const sysChown16: SyscallHandler = (task, args) =>
  chown(attributesAt(task, AT_FDCWD, args.address(0), 0), widen16(args.i32(1)), widen16(args.i32(2)));
const sysLchown16: SyscallHandler = (task, args) =>
  chown(attributesAt(task, AT_FDCWD, args.address(0), AT_SYMLINK_NOFOLLOW), widen16(args.i32(1)), widen16(args.i32(2)));
const sysFchown16: SyscallHandler = (task, args) =>
  chown(fileOf(task, args.i32(0)), widen16(args.i32(1)), widen16(args.i32(2)));

const UTIME_NOW = 0x3fffffff;
const UTIME_OMIT = 0x3ffffffe;
const BILLION = 1_000_000_000n;

/** One time of the utime family: nanoseconds, or what stays. */
type NewTime = bigint | "keep";

function readTimespec(task: Task, address: number, wordBytes: 8 | 4): NewTime {
  const seconds = wordBytes === 8 ? task.memory.readI64(address) : task.memory.readI32(address);
  const nanoseconds = task.memory.readU32(address + wordBytes);
  if (nanoseconds === UTIME_OMIT) return "keep";
  if (nanoseconds === UTIME_NOW) return nowNs(task);
  if (nanoseconds > 999_999_999) return must<bigint>(-EINVAL);
  return BigInt(seconds) * BILLION + BigInt(nanoseconds);
}

function setTimes(target: Attributes, atime: NewTime, mtime: NewTime): number {
  if (atime === "keep" && mtime === "keep") return 0;
  if (atime !== "keep" && mtime !== "keep") return target.setTimes(atime, mtime);
  const status = must(target.status());
  return target.setTimes(atime === "keep" ? status.atimeNs : atime, mtime === "keep" ? status.mtimeNs : mtime);
}

function utimens(wordBytes: 8 | 4): SyscallHandler {
  return (task, args) => {
    const flags = args.i32(3);
    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL;
    const times = args.address(2);
    const path = args.address(1);
    const target = path === 0 ? anyFileOf(task, args.i32(0)) : attributesAt(task, args.i32(0), path, flags);
    if (times === 0) return setTimes(target, nowNs(task), nowNs(task));
    const mtimeAt = times + 2 * wordBytes;
    return setTimes(target, readTimespec(task, times, wordBytes), readTimespec(task, mtimeAt, wordBytes));
  };
}

function readTimeval(task: Task, address: number, wordBytes: 8 | 4): bigint {
  const seconds = wordBytes === 8 ? task.memory.readI64(address) : task.memory.readI32(address);
  const microseconds = task.memory.readU32(address + wordBytes);
  if (microseconds > 999_999) return must<bigint>(-EINVAL);
  return BigInt(seconds) * BILLION + BigInt(microseconds) * 1000n;
}

function utimes(task: Task, args: SyscallArguments, fd: number, path: number, times: number): number {
  const target = attributesAt(task, fd, path, 0);
  if (times === 0) return setTimes(target, nowNs(task), nowNs(task));
  const mtimeAt = times + 2 * args.wordBytes;
  return setTimes(target, readTimeval(task, times, args.wordBytes), readTimeval(task, mtimeAt, args.wordBytes));
}

const sysUtimes: SyscallHandler = (task, args) => utimes(task, args, AT_FDCWD, args.address(0), args.address(1));
const sysFutimesat: SyscallHandler = (task, args) => utimes(task, args, args.i32(0), args.address(1), args.address(2));

const sysUtime: SyscallHandler = (task, args) => {
  const target = attributesAt(task, AT_FDCWD, args.address(0), 0);
  const times = args.address(1);
  if (times === 0) return setTimes(target, nowNs(task), nowNs(task));
  const second = (at: number): bigint =>
    BigInt(args.wordBytes === 8 ? task.memory.readI64(at) : task.memory.readI32(at)) * BILLION;
  return setTimes(target, second(times), second(times + args.wordBytes));
};

function truncate(task: Task, path: number, size: number): number {
  if (size < 0) return -EINVAL;
  if (!Number.isSafeInteger(size)) return -EFBIG;
  const { inode } = find(task, AT_FDCWD, pathAt(task, path), true);
  if (inode.isDirectory) return -EISDIR;
  if (inode.type !== S_IFREG) return -EINVAL;
  if (inode.filesystem.readOnly) return -EROFS;
  return inode.access(W_OK, task) || inode.truncate(size);
}

function ftruncate(task: Task, fd: number, size: number): number {
  if (size < 0) return -EINVAL;
  if (!Number.isSafeInteger(size)) return -EFBIG;
  return fileOf(task, fd).truncate(size);
}

/** A 64-bit argument of i386: two registers, low half first. */
export function pair(args: SyscallArguments, index: number): number {
  return args.i32(index + 1) * 0x100000000 + args.u32(index);
}

const sysTruncate: SyscallHandler = (task, args) => truncate(task, args.address(0), args.number(1));
const sysFtruncate: SyscallHandler = (task, args) => ftruncate(task, args.i32(0), args.number(1));
const sysTruncate64: SyscallHandler = (task, args) => truncate(task, args.address(0), pair(args, 1));
const sysFtruncate64: SyscallHandler = (task, args) => ftruncate(task, args.i32(0), pair(args, 1));

const sysUmask: SyscallHandler = (task, args) => {
  const context = contextOf(task);
  const previous = context.umask;
  context.umask = args.u32(0) & 0o777;
  return previous;
};

type Locate = (task: Task, args: SyscallArguments) => Inode;

const byPath: Locate = (task, args) => find(task, AT_FDCWD, pathAt(task, args.address(0)), true).inode;
const byLink: Locate = (task, args) => find(task, AT_FDCWD, pathAt(task, args.address(0)), false).inode;
const byDescriptor: Locate = (task, args) => fileOf(task, args.i32(0)).inode ?? must<Inode>(-EOPNOTSUPP);

function attributeName(task: Task, address: number): string {
  const name = fromBytes(task.memory.readCStringBytes(address, 256));
  return name === "" ? must<string>(-ERANGE) : name;
}

/** Gives bytes to a caller who may ask for the size alone with a size of 0. */
function answer(task: Task, bytes: Uint8Array, address: number, size: number): number {
  if (size === 0) return bytes.length;
  if (size < bytes.length) return -ERANGE;
  task.memory.writeBytes(address, bytes);
  return bytes.length;
}

function getAttribute(locate: Locate): SyscallHandler {
  return (task, args) => {
    const value = locate(task, args).getAttribute(attributeName(task, args.address(1)));
    return failed(value) ? value : answer(task, value, args.address(2), args.address(3));
  };
}

function setAttribute(locate: Locate): SyscallHandler {
  return (task, args) => {
    const name = attributeName(task, args.address(1));
    const inode = locate(task, args);
    if (args.address(3) > 65536) return -ERANGE;
    return inode.setAttribute(name, task.memory.readBytes(args.address(2), args.address(3)), args.i32(4));
  };
}

function listAttributes(locate: Locate): SyscallHandler {
  return (task, args) => {
    const names = locate(task, args).listAttributes();
    if (failed(names)) return names;
    return answer(task, toBytes(names.map((name) => `${name}\0`).join("")), args.address(1), args.address(2));
  };
}

function removeAttribute(locate: Locate): SyscallHandler {
  return (task, args) => locate(task, args).removeAttribute(attributeName(task, args.address(1)));
}

const path = "string" as const;
const noHostAttributes = { partial: "tmpfs keeps them; host files have none (ENODATA, EOPNOTSUPP)" };
const coarse = { partial: "where the host has no GNU touch, times are exact to 0.2 microseconds" };

export const attributeSyscalls: readonly SyscallDefinition[] = [
  { name: "chmod", x64: 90, i386: 15, honesty: "supported", handler: sysChmod, arguments: [path, "octal"] },
  { name: "fchmod", x64: 91, i386: 94, honesty: "supported", handler: sysFchmod, arguments: ["fd", "octal"] },
  {
    name: "fchmodat",
    x64: 268,
    i386: 306,
    honesty: "supported",
    handler: sysFchmodat,
    arguments: ["fd", path, "octal"],
  },
  {
    name: "fchmodat2",
    x64: 452,
    i386: 452,
    honesty: "supported",
    handler: sysFchmodat2,
    arguments: ["fd", path, "octal", "hex"],
  },
  { name: "chown", x64: 92, i386: 212, honesty: "supported", handler: sysChown, arguments: [path, "int", "int"] },
  { name: "fchown", x64: 93, i386: 207, honesty: "supported", handler: sysFchown, arguments: ["fd", "int", "int"] },
  { name: "lchown", x64: 94, i386: 198, honesty: "supported", handler: sysLchown, arguments: [path, "int", "int"] },
  { name: "chown16", x64: -1, i386: 182, honesty: "supported", handler: sysChown16, arguments: [path, "int", "int"] },
  { name: "fchown16", x64: -1, i386: 95, honesty: "supported", handler: sysFchown16, arguments: ["fd", "int", "int"] },
  { name: "lchown16", x64: -1, i386: 16, honesty: "supported", handler: sysLchown16, arguments: [path, "int", "int"] },
  {
    name: "fchownat",
    x64: 260,
    i386: 298,
    honesty: "supported",
    handler: sysFchownat,
    arguments: ["fd", path, "int", "int", "hex"],
  },
  { name: "utime", x64: 132, i386: 30, honesty: coarse, handler: sysUtime, arguments: [path, "pointer"] },
  { name: "utimes", x64: 235, i386: 271, honesty: coarse, handler: sysUtimes, arguments: [path, "pointer"] },
  {
    name: "futimesat",
    x64: 261,
    i386: 299,
    honesty: coarse,
    handler: sysFutimesat,
    arguments: ["fd", path, "pointer"],
  },
  {
    name: "utimensat",
    x64: 280,
    i386: 320,
    honesty: coarse,
    handler: utimens(8),
    handler32: utimens(4),
    arguments: ["fd", path, "pointer", "hex"],
  },
  {
    name: "utimensat_time64",
    x64: -1,
    i386: 412,
    honesty: coarse,
    handler: utimens(8),
    arguments: ["fd", path, "pointer", "hex"],
  },
  { name: "truncate", x64: 76, i386: 92, honesty: "supported", handler: sysTruncate, arguments: [path, "int"] },
  { name: "ftruncate", x64: 77, i386: 93, honesty: "supported", handler: sysFtruncate, arguments: ["fd", "int"] },
  {
    name: "truncate64",
    x64: -1,
    i386: 193,
    honesty: "supported",
    handler: sysTruncate64,
    arguments: [path, "int", "int"],
  },
  {
    name: "ftruncate64",
    x64: -1,
    i386: 194,
    honesty: "supported",
    handler: sysFtruncate64,
    arguments: ["fd", "int", "int"],
  },
  { name: "umask", x64: 95, i386: 60, honesty: "supported", handler: sysUmask, arguments: ["octal"] },
  {
    name: "setxattr",
    x64: 188,
    i386: 226,
    honesty: noHostAttributes,
    handler: setAttribute(byPath),
    arguments: [path, "string", "pointer", "size", "int"],
  },
  {
    name: "lsetxattr",
    x64: 189,
    i386: 227,
    honesty: noHostAttributes,
    handler: setAttribute(byLink),
    arguments: [path, "string", "pointer", "size", "int"],
  },
  {
    name: "fsetxattr",
    x64: 190,
    i386: 228,
    honesty: noHostAttributes,
    handler: setAttribute(byDescriptor),
    arguments: ["fd", "string", "pointer", "size", "int"],
  },
  {
    name: "getxattr",
    x64: 191,
    i386: 229,
    honesty: noHostAttributes,
    handler: getAttribute(byPath),
    arguments: [path, "string", "pointer", "size"],
  },
  {
    name: "lgetxattr",
    x64: 192,
    i386: 230,
    honesty: noHostAttributes,
    handler: getAttribute(byLink),
    arguments: [path, "string", "pointer", "size"],
  },
  {
    name: "fgetxattr",
    x64: 193,
    i386: 231,
    honesty: noHostAttributes,
    handler: getAttribute(byDescriptor),
    arguments: ["fd", "string", "pointer", "size"],
  },
  {
    name: "listxattr",
    x64: 194,
    i386: 232,
    honesty: noHostAttributes,
    handler: listAttributes(byPath),
    arguments: [path, "pointer", "size"],
  },
  {
    name: "llistxattr",
    x64: 195,
    i386: 233,
    honesty: noHostAttributes,
    handler: listAttributes(byLink),
    arguments: [path, "pointer", "size"],
  },
  {
    name: "flistxattr",
    x64: 196,
    i386: 234,
    honesty: noHostAttributes,
    handler: listAttributes(byDescriptor),
    arguments: ["fd", "pointer", "size"],
  },
  {
    name: "removexattr",
    x64: 197,
    i386: 235,
    honesty: noHostAttributes,
    handler: removeAttribute(byPath),
    arguments: [path, "string"],
  },
  {
    name: "lremovexattr",
    x64: 198,
    i386: 236,
    honesty: noHostAttributes,
    handler: removeAttribute(byLink),
    arguments: [path, "string"],
  },
  {
    name: "fremovexattr",
    x64: 199,
    i386: 237,
    honesty: noHostAttributes,
    handler: removeAttribute(byDescriptor),
    arguments: ["fd", "string"],
  },
];
