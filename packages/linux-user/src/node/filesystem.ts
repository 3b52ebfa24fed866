/** The host's files through `node:fs`, synchronously. Names are bytes: a path that is not ASCII goes as a Buffer. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { EEXIST, EIO, ENOENT, EOPNOTSUPP } from "../kernel/errno.ts";
import {
  failed,
  O_APPEND,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
  type Failure,
} from "../vfs/constants.ts";
import type { HostDirectoryEntry, HostFile, HostFilesystem, HostFilesystemStatus, HostStatus } from "../vfs/host.ts";
import { attempt, failureOf } from "./errors.ts";

// oxlint-disable-next-line no-control-regex -- the range is the point
const ascii = /^[\x01-\x7f]*$/;

function hostPath(path: string): fs.PathLike {
  return ascii.test(path) ? path : Buffer.from(path, "latin1");
}

function statusOf(stats: fs.BigIntStats): HostStatus {
  return {
    dev: stats.dev,
    ino: stats.ino,
    mode: Number(stats.mode),
    nlink: Number(stats.nlink),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    rdev: Number(stats.rdev),
    size: Number(stats.size),
    blksize: Number(stats.blksize),
    blocks: Number(stats.blocks),
    atimeNs: stats.atimeNs,
    mtimeNs: stats.mtimeNs,
    ctimeNs: stats.ctimeNs,
    birthtimeNs: stats.birthtimeNs,
  };
}

/** 0 or the failure of a call whose result does not matter. */
function perform(call: () => unknown): 0 | Failure {
  try {
    call();
    return 0;
  } catch (error) {
    return failureOf(error);
  }
}

/**
 * Node takes times as seconds in a double, which is exact to about 0.2 microseconds today. A file that is "as new as"
 * another must not become older than it: where the double says another time, touch(1) of the host says it exactly.
 */
function seconds(timeNs: bigint): number {
  return Number(timeNs / BILLION) + Number(timeNs % BILLION) / 1e9;
}

const BILLION = 1_000_000_000n;

/** What libuv makes of the double. */
function isExact(timeNs: bigint): boolean {
  const time = seconds(timeNs);
  const whole = Math.trunc(time);
  return BigInt(whole) * BILLION + BigInt(Math.trunc((time - whole) * 1e9)) === timeNs;
}

function touch(which: "-a" | "-m", timeNs: bigint, path: string, follow: boolean): boolean {
  if (timeNs < 0n) return false;
  const date = `@${timeNs / BILLION}.${String(timeNs % BILLION).padStart(9, "0")}`;
  const flags = follow ? ["-c", which] : ["-c", "-h", which];
  const target = Buffer.from(path, "latin1").toString();
  return spawnSync("touch", [...flags, "-d", date, "--", target], { stdio: "ignore" }).status === 0;
}

/** Corrects what the double lost; a host without GNU touch keeps it. */
function refineTimes(path: string, atimeNs: bigint, mtimeNs: bigint, follow: boolean): void {
  if (!isExact(atimeNs)) touch("-a", atimeNs, path, follow);
  if (!isExact(mtimeNs)) touch("-m", mtimeNs, path, follow);
}

function typeOf(entry: fs.Dirent): number {
  if (entry.isFile()) return S_IFREG;
  if (entry.isDirectory()) return S_IFDIR;
  if (entry.isSymbolicLink()) return S_IFLNK;
  if (entry.isFIFO()) return S_IFIFO;
  if (entry.isSocket()) return S_IFSOCK;
  if (entry.isCharacterDevice()) return S_IFCHR;
  return entry.isBlockDevice() ? S_IFBLK : 0;
}

/** An open descriptor of the host. */
export class NodeFile implements HostFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  read(into: Uint8Array, position: number): number | Failure {
    try {
      return fs.readSync(this.#fd, into, 0, into.length, position);
    } catch (error) {
      return failureOf(error);
    }
  }

  write(from: Uint8Array, position: number): number | Failure {
    try {
      return fs.writeSync(this.#fd, from, 0, from.length, position);
    } catch (error) {
      return failureOf(error);
    }
  }

  size(): number | Failure {
    try {
      return fs.fstatSync(this.#fd).size;
    } catch (error) {
      return failureOf(error);
    }
  }

  status(): HostStatus | Failure {
    return attempt(() => statusOf(fs.fstatSync(this.#fd, { bigint: true })));
  }

  truncate(size: number): 0 | Failure {
    return perform(() => fs.ftruncateSync(this.#fd, size));
  }

  sync(dataOnly: boolean): 0 | Failure {
    return perform(() => (dataOnly ? fs.fdatasyncSync(this.#fd) : fs.fsyncSync(this.#fd)));
  }

  setMode(mode: number): 0 | Failure {
    return perform(() => fs.fchmodSync(this.#fd, mode));
  }

  setOwner(uid: number, gid: number): 0 | Failure {
    return perform(() => fs.fchownSync(this.#fd, uid, gid));
  }

  setTimes(atimeNs: bigint, mtimeNs: bigint): 0 | Failure {
    return perform(() => {
      fs.futimesSync(this.#fd, seconds(atimeNs), seconds(mtimeNs));
      refineTimes(`/proc/${process.pid}/fd/${this.#fd}`, atimeNs, mtimeNs, true);
    });
  }

  close(): void {
    perform(() => fs.closeSync(this.#fd));
  }
}

// What open(2) of the host is given of the guest's flags; the host is Linux or has its own numbers for the same names.
const { O_CREAT: HOST_CREAT, O_EXCL: HOST_EXCL, O_TRUNC: HOST_TRUNC, O_APPEND: HOST_APPEND } = fs.constants;

function hostFlags(flags: number): number {
  let result = (flags & 3) | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
  if ((flags & 0o100) !== 0) result |= HOST_CREAT;
  if ((flags & 0o200) !== 0) result |= HOST_EXCL;
  if ((flags & 0o1000) !== 0) result |= HOST_TRUNC;
  if ((flags & O_APPEND) !== 0) result |= HOST_APPEND;
  if ((flags & 0o4010000) === 0o4010000) result |= fs.constants.O_SYNC;
  else if ((flags & 0o10000) !== 0) result |= fs.constants.O_DSYNC;
  return result;
}

/** Node applies the process's umask, which is not the guest's: the guest's has been applied already. */
function withoutUmask<T>(call: () => T): T {
  const saved = process.umask(0);
  try {
    return call();
  } finally {
    process.umask(saved);
  }
}

export class NodeFilesystem implements HostFilesystem {
  status(path: string): HostStatus | Failure {
    const stats = attempt(() => fs.lstatSync(hostPath(path), { bigint: true, throwIfNoEntry: false }));
    if (stats === undefined) return -ENOENT;
    return failed(stats) ? stats : statusOf(stats);
  }

  readlink(path: string): string | Failure {
    return attempt(() => fs.readlinkSync(hostPath(path), "latin1"));
  }

  list(path: string): HostDirectoryEntry[] | Failure {
    return attempt(() => {
      // Not readdirSync, which sorts: what comes in the host's own order stays so.
      const directory = fs.opendirSync(hostPath(path), { encoding: "latin1", bufferSize: 256 });
      const entries: HostDirectoryEntry[] = [];
      try {
        for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
          entries.push({ name: entry.name, type: typeOf(entry) });
        }
      } finally {
        directory.closeSync();
      }
      return entries;
    });
  }

  open(path: string, flags: number, mode: number): HostFile | Failure {
    const open = (): HostFile => new NodeFile(fs.openSync(hostPath(path), hostFlags(flags), mode));
    return (flags & 0o100) !== 0 ? attempt(() => withoutUmask(open)) : attempt(open);
  }

  access(path: string, mode: number): 0 | Failure {
    return perform(() => fs.accessSync(hostPath(path), mode));
  }

  makeDirectory(path: string, mode: number): 0 | Failure {
    return perform(() => withoutUmask(() => fs.mkdirSync(hostPath(path), { mode })));
  }

  /** Node has no mkfifo(3); the program of that name has. */
  makeFifo(path: string, mode: number): 0 | Failure {
    const existing = this.status(path);
    if (!failed(existing)) return -EEXIST;
    const result = spawnSync("mkfifo", ["-m", mode.toString(8), "--", Buffer.from(path, "latin1").toString()]);
    if (result.error !== undefined) return -EOPNOTSUPP;
    return result.status === 0 ? 0 : -EIO;
  }

  removeDirectory(path: string): 0 | Failure {
    return perform(() => fs.rmdirSync(hostPath(path)));
  }

  unlink(path: string): 0 | Failure {
    return perform(() => fs.unlinkSync(hostPath(path)));
  }

  rename(from: string, to: string): 0 | Failure {
    return perform(() => fs.renameSync(hostPath(from), hostPath(to)));
  }

  link(from: string, to: string): 0 | Failure {
    return perform(() => fs.linkSync(hostPath(from), hostPath(to)));
  }

  symlink(target: string, path: string): 0 | Failure {
    return perform(() => fs.symlinkSync(hostPath(target), hostPath(path)));
  }

  setMode(path: string, mode: number): 0 | Failure {
    return perform(() => fs.chmodSync(hostPath(path), mode));
  }

  setOwner(path: string, uid: number, gid: number): 0 | Failure {
    return perform(() => fs.lchownSync(hostPath(path), uid, gid));
  }

  setTimes(path: string, atimeNs: bigint, mtimeNs: bigint): 0 | Failure {
    return perform(() => {
      fs.lutimesSync(hostPath(path), seconds(atimeNs), seconds(mtimeNs));
      refineTimes(path, atimeNs, mtimeNs, false);
    });
  }

  truncate(path: string, size: number): 0 | Failure {
    return perform(() => fs.truncateSync(hostPath(path), size));
  }

  filesystemStatus(path: string): HostFilesystemStatus | Failure {
    return attempt(() => {
      const stats = fs.statfsSync(hostPath(path));
      return {
        type: stats.type,
        blockSize: stats.bsize,
        blocks: stats.blocks,
        freeBlocks: stats.bfree,
        availableBlocks: stats.bavail,
        files: stats.files,
        freeFiles: stats.ffree,
      };
    });
  }

  realPath(path: string): string | Failure {
    return attempt(() => fs.realpathSync.native(hostPath(path) as string, "latin1"));
  }
}
