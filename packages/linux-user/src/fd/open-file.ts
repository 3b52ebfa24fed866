/**
 * The open file description (open(2)): offset, status flags and the file itself, shared by every descriptor that dup,
 * fork or SCM_RIGHTS made of it. No method waits: what cannot be done now is -EAGAIN, and `queue` is woken whenever
 * that may have changed. Blocking is the business of the system call handlers (blocking.ts).
 */
import { EAGAIN, EBADF, EINVAL, ENODEV, ENOTDIR, ENOTTY, ESPIPE } from "../kernel/errno.ts";
import type { OpenFile as MappableFile } from "../kernel/files.ts";
import type { PageSource } from "../kernel/memory.ts";
import type { Task } from "../kernel/task.ts";
import { WaitQueue, type SyscallResult } from "../kernel/wait.ts";
import {
  O_ACCMODE,
  O_APPEND,
  O_ASYNC,
  O_CREAT,
  O_DIRECT,
  O_EXCL,
  O_NOATIME,
  O_NOCTTY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  SEEK_CUR,
  SEEK_SET,
  type Failure,
} from "../vfs/constants.ts";
import type { DirectoryEntry, FileStatus, Inode } from "../vfs/inode.ts";
import { pathOfDirectory, pathOfFile } from "../vfs/walk.ts";
import type { Transfer } from "./transfer.ts";

// poll(2), epoll_ctl(2): the same numbers.
export const POLLIN = 1;
export const POLLPRI = 2;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 0x10;
export const POLLNVAL = 0x20;
export const POLLRDNORM = 0x40;
export const POLLRDBAND = 0x80;
export const POLLWRNORM = 0x100;
export const POLLWRBAND = 0x200;
export const POLLRDHUP = 0x2000;

/** What open(2) acts on and fcntl(F_GETFL) does not show. */
const CREATION_FLAGS = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | 0o2000000;
/** What fcntl(F_SETFL) may change. */
const SETTABLE_FLAGS = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;

let nextIdentity = 1;

export abstract class OpenFile implements MappableFile {
  /** Status flags as F_GETFL gives them. */
  flags: number;
  offset = 0;
  /** Woken when `poll()` may have changed; the two ends of a pipe share one. */
  readonly queue: WaitQueue;
  /** Where it was opened, for /proc/PID/fd and fchdir. */
  inode: Inode | undefined = undefined;
  directory: Inode | undefined = undefined;
  name = "";
  /** Names the description among all: lock owners, epoll, kcmp. */
  readonly identity: number = nextIdentity++;
  /** Run once at the last close: epoll sets, locks. By whoever set it, so that it is set once. */
  readonly closeHooks: Map<object, () => void> = new Map();
  /** fcntl F_SETOWN, F_SETSIG. */
  owner = 0;
  ownerSignal = 0;
  #holders = 1;

  constructor(flags: number, queue: WaitQueue = new WaitQueue()) {
    this.flags = flags & ~CREATION_FLAGS;
    this.queue = queue;
  }

  get readable(): boolean {
    const mode = this.flags & O_ACCMODE;
    return (mode === O_RDONLY || mode === O_RDWR) && !this.isPathOnly;
  }

  get writable(): boolean {
    const mode = this.flags & O_ACCMODE;
    return (mode === O_WRONLY || mode === O_RDWR) && !this.isPathOnly;
  }

  get isPathOnly(): boolean {
    return (this.flags & O_PATH) !== 0;
  }

  get nonblocking(): boolean {
    return (this.flags & O_NONBLOCK) !== 0;
  }

  /** Whether it has an offset: lseek, pread and pwrite work. */
  get seekable(): boolean {
    return false;
  }

  /** Whether a blocking write goes on until all is written (pipes, sockets, terminals). */
  get isStream(): boolean {
    return !this.seekable;
  }

  setFlags(flags: number): 0 | Failure {
    this.flags = (this.flags & ~SETTABLE_FLAGS) | (flags & SETTABLE_FLAGS);
    return 0;
  }

  retain(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders !== 0) return;
    for (const hook of this.closeHooks.values()) hook();
    this.closeHooks.clear();
    this.closed();
  }

  get isClosed(): boolean {
    return this.#holders <= 0;
  }

  /** The last holder let go. */
  protected closed(): void {}

  /** A descriptor was closed; pipes and sockets do not care, a file flushes (close(2) may report the error). */
  flushed(): 0 | Failure {
    return 0;
  }

  read(_into: Transfer, _task: Task): number {
    return -EINVAL;
  }

  write(_from: Transfer, _task: Task): number {
    return -EINVAL;
  }

  /** When a blocking read gives up (SO_RCVTIMEO, VTIME), on the monotonic clock; none by default. */
  readDeadlineNs(_task: Task): number | undefined {
    return undefined;
  }

  /** What a read that ran out of time returns. */
  get readTimeoutResult(): number {
    return -EAGAIN;
  }

  readAt(_into: Transfer, _offset: number, _task?: Task): number {
    return -ESPIPE;
  }

  writeAt(_from: Transfer, _offset: number, _task?: Task): number {
    return -ESPIPE;
  }

  seek(_offset: number, _whence: number): number {
    return -ESPIPE;
  }

  /** Events that are true now; never POLLNVAL. */
  poll(_task: Task | undefined): number {
    return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
  }

  /** The queues whose wake may change `poll(task)`. */
  queues(_task: Task): readonly WaitQueue[] {
    return [this.queue];
  }

  ioctl(_task: Task, _request: number, _argument: number): SyscallResult {
    return -ENOTTY;
  }

  status(): FileStatus | Failure {
    return this.inode?.status() ?? -EBADF;
  }

  /** Entries after the caller's position; directories only. */
  entries(_task: Task): DirectoryEntry[] | Failure {
    return -ENOTDIR;
  }

  truncate(_size: number): 0 | Failure {
    return -EINVAL;
  }

  allocate(_mode: number, _offset: number, _length: number): 0 | Failure {
    return -ENODEV;
  }

  sync(_dataOnly: boolean): 0 | Failure {
    return -EINVAL;
  }

  setMode(mode: number): 0 | Failure {
    return this.inode?.setMode(mode) ?? -EINVAL;
  }

  setOwner(uid: number, gid: number): 0 | Failure {
    return this.inode?.setOwner(uid, gid) ?? -EINVAL;
  }

  setTimes(atimeNs: bigint, mtimeNs: bigint): 0 | Failure {
    return this.inode?.setTimes(atimeNs, mtimeNs) ?? -EINVAL;
  }

  /** fcntl F_ADD_SEALS and F_GET_SEALS of a memfd. */
  addSeals(_seals: number): number {
    return -EINVAL;
  }

  seals(): number {
    return -EINVAL;
  }

  mappable(): PageSource | "anonymous" | number {
    return -ENODEV;
  }

  /**
   * Opening /proc/PID/fd/N of it: a new description of the same pipe, terminal or memory file; undefined when opening
   * the inode again does it.
   */
  reopen(_flags: number, _task: Task): OpenFile | Failure | undefined {
    return undefined;
  }

  /** An open(2) that still waits: the other end of a FIFO is missing. */
  get openPending(): boolean {
    return false;
  }

  /** What readlink(/proc/PID/fd/N) says. */
  describe(root: Inode): string {
    if (this.directory === undefined) return this.name;
    const directory = this.inode !== undefined && this.inode.isDirectory ? this.inode : undefined;
    const path =
      directory === undefined ? pathOfFile(this.directory, this.name, root) : pathOfDirectory(directory, root);
    return path ?? `(unreachable)/${this.name}`;
  }

  /** Lines of /proc/PID/fdinfo/N after pos, flags and mnt_id. */
  describeDetails(): string {
    return "";
  }
}

/** An O_PATH descriptor: a place, not an open file (open(2)). */
export class PathFile extends OpenFile {
  constructor(inode: Inode) {
    super(O_PATH);
    this.inode = inode;
  }

  override read(): number {
    return -EBADF;
  }

  override write(): number {
    return -EBADF;
  }

  override poll(): number {
    return 0;
  }

  override seek(): number {
    return -EBADF;
  }

  override readAt(): number {
    return -EBADF;
  }

  override writeAt(): number {
    return -EBADF;
  }

  override ioctl(): number {
    return -EBADF;
  }

  override mappable(): number {
    return -EBADF;
  }
}

/** lseek for things whose size is `size`; the new offset or -EINVAL. */
export function seekWithin(current: number, size: number, offset: number, whence: number): number {
  const base = whence === SEEK_SET ? 0 : whence === SEEK_CUR ? current : size;
  const target = base + offset;
  return target < 0 || whence > 2 || whence < 0 ? -EINVAL : target;
}
