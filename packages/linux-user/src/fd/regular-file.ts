/**
 * Open regular files: the offset logic over a {@link FileContent}, which a file system supplies. Read and write meet
 * memory mappings here: pages that are mapped are the truth, so dirty ones are flushed before a read and written
 * through by a write (kernel/memory.ts, PageCache).
 */
import { EFBIG, EINVAL, EISDIR, ENXIO, EOPNOTSUPP } from "../kernel/errno.ts";
import type { PageCache, PageSource } from "../kernel/memory.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { failed, O_APPEND, SEEK_DATA, SEEK_HOLE, type Failure } from "../vfs/constants.ts";
import type { DirectoryEntry, FileStatus, Inode } from "../vfs/inode.ts";
import { OpenFile, seekWithin } from "./open-file.ts";
import { drain, gather, HOST_CALL_BYTES, readInto, type Transfer } from "./transfer.ts";

/** The bytes of one open regular file. */
export interface FileContent {
  /** The bytes live in the page cache alone. */
  readonly inMemory: boolean;
  size(): number | Failure;
  read(into: Uint8Array, offset: number): number | Failure;
  write(from: Uint8Array, offset: number): number | Failure;
  truncate(size: number): 0 | Failure;
  sync(dataOnly: boolean): 0 | Failure;
  status(): FileStatus | Failure;
  setMode(mode: number): 0 | Failure;
  setOwner(uid: number, gid: number): 0 | Failure;
  setTimes(atimeNs: bigint, mtimeNs: bigint): 0 | Failure;
  /** The one object that names this file in the page cache; `create` false asks only whether somebody mapped it. */
  pageSource(create: boolean): PageSource | undefined;
  /** fallocate(2) beyond plain extension; absent: EOPNOTSUPP. */
  allocate?(mode: number, offset: number, length: number): 0 | Failure;
  close(): void;
}

/** The largest offset: what a JavaScript number holds exactly. */
const MAX_OFFSET = Number.MAX_SAFE_INTEGER;
const SMALL_READ_BYTES = 65536;
const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;
const FALLOC_ZERO_RANGE = 16;

export class RegularFile extends OpenFile {
  readonly content: FileContent;
  readonly #cache: PageCache | undefined;

  constructor(inode: Inode, content: FileContent, flags: number, cache: PageCache | undefined) {
    super(flags);
    this.inode = inode;
    this.content = content;
    this.#cache = cache;
  }

  override get seekable(): boolean {
    return true;
  }

  protected override closed(): void {
    this.content.close();
  }

  /** The page source, if pages of it are cached. */
  #cached(): PageSource | undefined {
    const source = this.content.pageSource(false);
    return source !== undefined && this.#cache?.isCached(source) === true ? source : undefined;
  }

  override read(into: Transfer, _task: Task): number {
    const count = this.readAt(into, this.offset);
    if (count > 0) this.offset += count;
    return count;
  }

  override readAt(into: Transfer, offset: number): number {
    const source = this.#cached();
    if (source !== undefined && source.memoryOnly !== true) this.#cache!.flush(source);
    const limit = this.#readLimit(into.remaining, offset);
    if (limit <= 0) return limit;
    return readInto(into, limit, (bytes, done) => this.content.read(bytes, offset + done));
  }

  /** A large buffer is touched only as far as the file goes; for a small one it is cheaper not to ask. */
  #readLimit(wanted: number, offset: number): number {
    if (wanted <= SMALL_READ_BYTES) return wanted;
    const size = this.content.size();
    if (failed(size)) return size;
    // A size of 0 proves nothing: files under a passed-through /sys or /proc have none.
    return size === 0 ? SMALL_READ_BYTES : Math.max(0, size - offset);
  }

  override write(from: Transfer, _task: Task): number {
    if ((this.flags & O_APPEND) !== 0) {
      const size = this.content.size();
      if (failed(size)) return size;
      this.offset = size;
    }
    const count = this.writeAt(from, this.offset);
    if (count > 0) this.offset += count;
    return count;
  }

  override writeAt(from: Transfer, offset: number): number {
    if (offset + from.remaining > MAX_OFFSET) return -EFBIG;
    const source = this.#cached();
    let done = 0;
    while (from.remaining > 0) {
      // In-memory files may grow the guest's memory while they take the bytes: those are copied first.
      const bytes = (this.content.inMemory ? drain : gather)(from, HOST_CALL_BYTES);
      const count = this.content.write(bytes, offset + done);
      if (failed(count)) return done > 0 ? done : count;
      if (source !== undefined && source.memoryOnly !== true) {
        this.#cache!.write(source, offset + done, bytes.subarray(0, count));
      }
      done += count;
      if (count < bytes.length) break;
    }
    return done;
  }

  override seek(offset: number, whence: number): number {
    const size = this.content.size();
    if (failed(size)) return size;
    if (whence === SEEK_DATA || whence === SEEK_HOLE) {
      if (offset < 0 || offset >= size) return -ENXIO;
      return (this.offset = whence === SEEK_DATA ? offset : size);
    }
    const target = seekWithin(this.offset, size, offset, whence);
    if (target >= 0) this.offset = target;
    return target;
  }

  override status(): FileStatus | Failure {
    return this.content.status();
  }

  override truncate(size: number): 0 | Failure {
    if (!this.writable) return -EINVAL;
    return this.#resize(size);
  }

  #resize(size: number): 0 | Failure {
    const source = this.#cached();
    if (source !== undefined && source.memoryOnly !== true) this.#cache!.flush(source);
    const result = this.content.truncate(size);
    if (result === 0 && source !== undefined) this.#cache!.truncate(source, size);
    return result;
  }

  override allocate(mode: number, offset: number, length: number): 0 | Failure {
    if (offset < 0 || length <= 0) return -EINVAL;
    const size = this.content.size();
    if (failed(size)) return size;
    const zeroes = mode === FALLOC_ZERO_RANGE || mode === (FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE);
    if (zeroes || mode === (FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE)) {
      return this.#zero(offset, length, mode === FALLOC_ZERO_RANGE ? Infinity : size);
    }
    if (mode === FALLOC_KEEP_SIZE) return 0;
    if (mode !== 0) return -EOPNOTSUPP;
    return offset + length > size ? this.#resize(offset + length) : 0;
  }

  #zero(offset: number, length: number, limit: number): 0 | Failure {
    const end = Math.min(offset + length, limit);
    const zeroes = new Uint8Array(65536);
    const source = this.#cached();
    for (let at = offset; at < end;) {
      const count = this.content.write(zeroes.subarray(0, Math.min(zeroes.length, end - at)), at);
      if (failed(count)) return count;
      if (source !== undefined && source.memoryOnly !== true) this.#cache!.write(source, at, zeroes.subarray(0, count));
      at += count;
    }
    return 0;
  }

  override sync(dataOnly: boolean): 0 | Failure {
    const source = this.#cached();
    if (source !== undefined && source.memoryOnly !== true) this.#cache!.flush(source);
    return this.content.sync(dataOnly);
  }

  override setMode(mode: number): 0 | Failure {
    return this.content.setMode(mode);
  }

  override setOwner(uid: number, gid: number): 0 | Failure {
    return this.content.setOwner(uid, gid);
  }

  override setTimes(atimeNs: bigint, mtimeNs: bigint): 0 | Failure {
    return this.content.setTimes(atimeNs, mtimeNs);
  }

  override mappable(): PageSource | number {
    return this.content.pageSource(true) ?? -EINVAL;
  }

  override ioctl(task: Task, request: number, argument: number): SyscallResult {
    const FIONREAD = 0x541b;
    if (request !== FIONREAD) return super.ioctl(task, request, argument);
    const size = this.content.size();
    if (failed(size)) return size;
    task.memory.writeU32(argument, Math.max(0, size - this.offset));
    return 0;
  }
}

/** An open directory. The offset counts entries; the list is read when the offset is 0, as rewinddir(3) expects. */
export class DirectoryFile extends OpenFile {
  readonly #inode: Inode;
  #entries: DirectoryEntry[] | Failure = [];
  #loaded = false;

  constructor(inode: Inode, flags: number) {
    super(flags);
    this.#inode = inode;
    this.inode = inode;
  }

  override get seekable(): boolean {
    return true;
  }

  override read(): number {
    return -EISDIR;
  }

  override readAt(): number {
    return -EISDIR;
  }

  override write(): number {
    return -EISDIR;
  }

  override seek(offset: number, whence: number): number {
    const target = seekWithin(this.offset, MAX_OFFSET, offset, whence);
    if (target >= 0) this.offset = target;
    return target;
  }

  override entries(task: Task): DirectoryEntry[] | Failure {
    if (this.offset === 0 || !this.#loaded) {
      this.#loaded = true;
      this.#entries = this.#withMounts(this.#inode.list(task));
    }
    return this.#entries;
  }

  /** Mount points that the file system below does not have are listed too. */
  #withMounts(entries: DirectoryEntry[] | Failure): DirectoryEntry[] | Failure {
    const { mounts } = this.#inode;
    if (failed(entries) || mounts === undefined) return entries;
    const names = new Set(entries.map((entry) => entry.name));
    const covers = [...mounts].filter(([name]) => !names.has(name));
    return [...entries, ...covers.map(([name, { root }]) => ({ name, type: root.type, ino: 1n }))];
  }

  override sync(): 0 {
    return 0;
  }
}
