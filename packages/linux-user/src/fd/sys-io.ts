/** read, write and their vectored and positioned forms; lseek, sendfile, copy_file_range, sync. */
import {
  EAGAIN,
  EBADF,
  EINVAL,
  EISDIR,
  EOPNOTSUPP,
  EOVERFLOW,
  EPIPE,
  ESPIPE,
  EXDEV,
  SyscallError,
} from "../kernel/errno.ts";
import type { SyscallArguments, SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { S_IFREG } from "../vfs/constants.ts";
import { fileOf, filesOf } from "../vfs/handler-tools.ts";
import { pair } from "../vfs/sys-attributes.ts";
import { brokenPipe, readFrom, writeTo } from "./blocking.ts";
import type { OpenFile } from "./open-file.ts";
import { BytesTransfer, UserTransfer, type UserRange } from "./transfer.ts";

/** UIO_MAXIOV (readv(2)). */
const MAX_VECTORS = 1024;

export function readVectors(task: Task, args: SyscallArguments, address: number, count: number): UserRange[] {
  if (count < 0 || count > MAX_VECTORS) throw new SyscallError(EINVAL);
  const { wordBytes } = args;
  const ranges: UserRange[] = [];
  for (let index = 0; index < count; index++) {
    const at = address + index * wordBytes * 2;
    const length = task.memory.readWord(at + wordBytes, wordBytes);
    if (length > Number.MAX_SAFE_INTEGER || (wordBytes === 4 && length > 0x7fffffff)) throw new SyscallError(EINVAL);
    ranges.push({ address: task.memory.readWord(at, wordBytes), length });
  }
  return ranges;
}

function forReading(task: Task, fd: number): OpenFile {
  const file = fileOf(task, fd);
  if (!file.readable) throw new SyscallError(EBADF);
  return file;
}

function forWriting(task: Task, fd: number): OpenFile {
  const file = fileOf(task, fd);
  if (!file.writable) throw new SyscallError(EBADF);
  return file;
}

function into(task: Task, ranges: readonly UserRange[]): UserTransfer {
  return new UserTransfer(task.memory, ranges, "write");
}

function from(task: Task, ranges: readonly UserRange[]): UserTransfer {
  return new UserTransfer(task.memory, ranges, "read");
}

function buffer(args: SyscallArguments): UserRange[] {
  return [{ address: args.address(1), length: args.address(2) }];
}

const sysRead: SyscallHandler = (task, args) => {
  const file = forReading(task, args.i32(0));
  return readFrom(task, file, into(task, buffer(args)));
};

const sysWrite: SyscallHandler = (task, args) => {
  const file = forWriting(task, args.i32(0));
  return writeTo(task, file, from(task, buffer(args)));
};

const sysReadv: SyscallHandler = (task, args) => {
  const file = forReading(task, args.i32(0));
  return readFrom(task, file, into(task, readVectors(task, args, args.address(1), args.i32(2))));
};

const sysWritev: SyscallHandler = (task, args) => {
  const file = forWriting(task, args.i32(0));
  return writeTo(task, file, from(task, readVectors(task, args, args.address(1), args.i32(2))));
};

type Offset = (args: SyscallArguments) => number;
type Ranges = (task: Task, args: SyscallArguments) => UserRange[];
const vectors: Ranges = (task, args) => readVectors(task, args, args.address(1), args.i32(2));
const plain: Ranges = (_task, args) => buffer(args);
const offset64: Offset = (args) => args.number(3);
const offset32: Offset = (args) => pair(args, 3);

function positionedRead(ranges: Ranges, offsetOf: Offset): SyscallHandler {
  return (task, args) => {
    const file = forReading(task, args.i32(0));
    const offset = offsetOf(args);
    if (offset < 0) return -EINVAL;
    return file.readAt(into(task, ranges(task, args)), offset, task);
  };
}

function positionedWrite(ranges: Ranges, offsetOf: Offset): SyscallHandler {
  return (task, args) => {
    const file = forWriting(task, args.i32(0));
    const offset = offsetOf(args);
    if (offset < 0) return -EINVAL;
    return file.writeAt(from(task, ranges(task, args)), offset, task);
  };
}

/** RWF_NOWAIT, RWF_APPEND and the hints change nothing that a caller could see here, except RWF_APPEND. */
const RWF_SUPPORTED = 0xf;

function vectored2(write: boolean): SyscallHandler {
  return (task, args) => {
    const offset = args.abi === "x86-64" ? args.number(3) : pair(args, 3);
    const flags = args.i32(5);
    if ((flags & ~RWF_SUPPORTED) !== 0) return -EOPNOTSUPP;
    const ranges = vectors(task, args);
    if (write) {
      const file = forWriting(task, args.i32(0));
      return offset === -1 ? writeTo(task, file, from(task, ranges)) : file.writeAt(from(task, ranges), offset, task);
    }
    const file = forReading(task, args.i32(0));
    return offset === -1 ? readFrom(task, file, into(task, ranges)) : file.readAt(into(task, ranges), offset, task);
  };
}

const sysLseek: SyscallHandler = (task, args) => {
  const offset = args.number(1);
  const result = fileOf(task, args.i32(0)).seek(offset, args.i32(2));
  return args.abi === "i386" && result > 0x7fffffff ? -EOVERFLOW : result;
};

/** _llseek(2): the offset comes high half first and the result goes to memory. */
const sysLlseek: SyscallHandler = (task, args) => {
  const offset = args.i32(1) * 0x100000000 + args.u32(2);
  const result = fileOf(task, args.i32(0)).seek(offset, args.i32(4));
  if (result < 0) return result;
  task.memory.writeU64(args.address(3), result);
  return 0;
};

const CHUNK_BYTES = 65536;

/** Copies from one file to another, in chunks, until `count`, the end, or the sink has no room. */
function copy(task: Task, source: OpenFile, at: number | undefined, sink: OpenFile, count: number): number {
  let done = 0;
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, count));
  while (done < count) {
    const room = new BytesTransfer(chunk.subarray(0, Math.min(chunk.length, count - done)));
    const before = source.offset;
    const got = at === undefined ? source.read(room, task) : source.readAt(room, at + done, task);
    if (got <= 0) return done > 0 ? done : got;
    const put = sink.write(new BytesTransfer(chunk.subarray(0, got)), task);
    // What the sink did not take is not consumed.
    if (at === undefined && source.seekable) source.offset = before + Math.max(put, 0);
    if (put < 0) return done > 0 ? done : put;
    done += put;
    if (put < got) return done;
  }
  return done;
}

function sendfile(task: Task, args: SyscallArguments, offsetBytes: 8 | 4): SyscallResult {
  const sink = forWriting(task, args.i32(0));
  const source = forReading(task, args.i32(1));
  const count = Math.min(args.address(3), 0x7ffff000);
  const offsetAt = args.address(2);
  if (!source.seekable) return -EINVAL;
  const start = offsetAt === 0 ? undefined : task.memory.readWord(offsetAt, offsetBytes);
  const attempt = (): SyscallResult => {
    const done = copy(task, source, start, sink, count);
    if (done === -EPIPE) return brokenPipe(task);
    if (done === -EAGAIN && !sink.nonblocking) return task.block({ on: [sink.queue], retry: attempt });
    if (done > 0 && start !== undefined) task.memory.writeWord(offsetAt, start + done, offsetBytes);
    return done;
  };
  return attempt();
}

const sysSendfile: SyscallHandler = (task, args) => sendfile(task, args, args.wordBytes);
const sysSendfile64: SyscallHandler = (task, args) => sendfile(task, args, 8);

const sysCopyFileRange: SyscallHandler = (task, args) => {
  const source = forReading(task, args.i32(0));
  const sink = forWriting(task, args.i32(2));
  if (args.u32(5) !== 0) return -EINVAL;
  for (const file of [source, sink]) {
    if (file.inode?.isDirectory === true) return -EISDIR;
    if (file.inode?.type !== S_IFREG) return -EINVAL;
  }
  if (source.inode?.filesystem.name !== sink.inode?.filesystem.name) return -EXDEV;
  const inAt = args.address(1);
  const outAt = args.address(3);
  const start = inAt === 0 ? source.offset : task.memory.readU64(inAt);
  const target = outAt === 0 ? sink.offset : task.memory.readU64(outAt);
  const done = copyRange(source, start, sink, target, Math.min(args.address(4), 0x7ffff000));
  if (done <= 0) return done;
  if (inAt === 0) source.offset += done;
  else task.memory.writeU64(inAt, start + done);
  if (outAt === 0) sink.offset += done;
  else task.memory.writeU64(outAt, target + done);
  return done;
};

function copyRange(source: OpenFile, start: number, sink: OpenFile, to: number, count: number): number {
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, count));
  let done = 0;
  while (done < count) {
    const got = source.readAt(new BytesTransfer(chunk.subarray(0, Math.min(chunk.length, count - done))), start + done);
    if (got <= 0) return done > 0 ? done : got;
    const put = sink.writeAt(new BytesTransfer(chunk.subarray(0, got)), to + done);
    if (put <= 0) return done > 0 ? done : put;
    done += put;
  }
  return done;
}

const sysFsync: SyscallHandler = (task, args) => fileOf(task, args.i32(0)).sync(false);
const sysFdatasync: SyscallHandler = (task, args) => fileOf(task, args.i32(0)).sync(true);

/** The host's page cache has everything that was written: nothing is kept back here but dirty mapped pages. */
const sysSync: SyscallHandler = (task) => {
  for (const fd of filesOf(task).descriptors()) filesOf(task).get(fd)?.sync(false);
  return 0;
};

const sysSyncfs: SyscallHandler = (task, args) => {
  fileOf(task, args.i32(0)).sync(false);
  return 0;
};

const sysFallocate: SyscallHandler = (task, args) => {
  const file = forWriting(task, args.i32(0));
  const wide = args.abi === "x86-64";
  const offset = wide ? args.number(2) : pair(args, 2);
  const length = wide ? args.number(3) : pair(args, 4);
  if (offset < 0 || length <= 0) return -EINVAL;
  return file.isStream ? -ESPIPE : file.allocate(args.i32(1), offset, length);
};

/** posix_fadvise, readahead: hints. The descriptor is checked, as programs rely on ESPIPE. */
const sysFadvise: SyscallHandler = (task, args) => (fileOf(task, args.i32(0)).isStream ? -ESPIPE : 0);
const sysReadahead: SyscallHandler = (task, args) => (fileOf(task, args.i32(0)).seekable ? 0 : -EINVAL);

const io = ["fd", "pointer", "size"] as const;
const ioAt = ["fd", "pointer", "size", "int"] as const;

export const ioSyscalls: readonly SyscallDefinition[] = [
  { name: "read", x64: 0, i386: 3, honesty: "supported", handler: sysRead, arguments: io },
  { name: "write", x64: 1, i386: 4, honesty: "supported", handler: sysWrite, arguments: io },
  { name: "readv", x64: 19, i386: 145, honesty: "supported", handler: sysReadv, arguments: io },
  { name: "writev", x64: 20, i386: 146, honesty: "supported", handler: sysWritev, arguments: io },
  {
    name: "pread64",
    x64: 17,
    i386: 180,
    honesty: "supported",
    handler: positionedRead(plain, offset64),
    handler32: positionedRead(plain, offset32),
    arguments: ioAt,
  },
  {
    name: "pwrite64",
    x64: 18,
    i386: 181,
    honesty: "supported",
    handler: positionedWrite(plain, offset64),
    handler32: positionedWrite(plain, offset32),
    arguments: ioAt,
  },
  {
    name: "preadv",
    x64: 295,
    i386: 333,
    honesty: "supported",
    handler: positionedRead(vectors, offset64),
    handler32: positionedRead(vectors, offset32),
    arguments: ioAt,
  },
  {
    name: "pwritev",
    x64: 296,
    i386: 334,
    honesty: "supported",
    handler: positionedWrite(vectors, offset64),
    handler32: positionedWrite(vectors, offset32),
    arguments: ioAt,
  },
  {
    name: "preadv2",
    x64: 327,
    i386: 378,
    honesty: { partial: "RWF_ hints are accepted and ignored" },
    handler: vectored2(false),
    arguments: ioAt,
  },
  {
    name: "pwritev2",
    x64: 328,
    i386: 379,
    honesty: { partial: "RWF_ hints are accepted and ignored" },
    handler: vectored2(true),
    arguments: ioAt,
  },
  {
    name: "lseek",
    x64: 8,
    i386: 19,
    honesty: { partial: "SEEK_HOLE sees no holes" },
    handler: sysLseek,
    arguments: ["fd", "int", "int"],
  },
  {
    name: "_llseek",
    x64: -1,
    i386: 140,
    honesty: "supported",
    handler: sysLlseek,
    arguments: ["fd", "int", "int", "pointer", "int"],
  },
  {
    name: "sendfile",
    x64: 40,
    i386: 187,
    honesty: "supported",
    handler: sysSendfile,
    arguments: ["fd", "fd", "pointer", "size"],
  },
  {
    name: "sendfile64",
    x64: -1,
    i386: 239,
    honesty: "supported",
    handler: sysSendfile64,
    arguments: ["fd", "fd", "pointer", "size"],
  },
  {
    name: "copy_file_range",
    x64: 326,
    i386: 377,
    honesty: { partial: "copies; never shares extents" },
    handler: sysCopyFileRange,
    arguments: ["fd", "pointer", "fd", "pointer", "size", "hex"],
  },
  { name: "fsync", x64: 74, i386: 118, honesty: "supported", handler: sysFsync, arguments: ["fd"] },
  { name: "fdatasync", x64: 75, i386: 148, honesty: "supported", handler: sysFdatasync, arguments: ["fd"] },
  {
    name: "sync",
    x64: 162,
    i386: 36,
    honesty: { partial: "syncs the files that the caller has open" },
    handler: sysSync,
  },
  {
    name: "syncfs",
    x64: 306,
    i386: 344,
    honesty: { partial: "syncs the file itself" },
    handler: sysSyncfs,
    arguments: ["fd"],
  },
  {
    name: "sync_file_range",
    x64: 277,
    i386: 314,
    honesty: { partial: "as fdatasync" },
    handler: sysFdatasync,
    arguments: ["fd", "int", "int", "hex"],
  },
  {
    name: "fallocate",
    x64: 285,
    i386: 324,
    honesty: { partial: "extends, punches and zeroes by writing; no collapse or insert" },
    handler: sysFallocate,
    arguments: ["fd", "hex", "int", "int"],
  },
  {
    name: "fadvise64",
    x64: 221,
    i386: 250,
    honesty: { partial: "a hint, ignored" },
    handler: sysFadvise,
    arguments: ["fd", "int", "int", "int"],
  },
  {
    name: "fadvise64_64",
    x64: -1,
    i386: 272,
    honesty: { partial: "a hint, ignored" },
    handler: sysFadvise,
    arguments: ["fd", "int", "int", "int"],
  },
  {
    name: "readahead",
    x64: 187,
    i386: 225,
    honesty: { partial: "a hint, ignored" },
    handler: sysReadahead,
    arguments: ["fd", "int", "size"],
  },
];
