/** Inherited descriptors that are not terminals: the host's pipes, sockets and files as the guest's 0, 1 and 2. */
import { EAGAIN, EBADF } from "../kernel/errno.ts";
import type { PageCache } from "../kernel/memory.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { anonymousInode } from "../vfs/anonymous.ts";
import { failed, O_APPEND, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK, type Failure } from "../vfs/constants.ts";
import type { HostStream } from "../vfs/host.ts";
import { Inode, type FileStatus, type Filesystem } from "../vfs/inode.ts";
import { OpenFile, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "./open-file.ts";
import { RegularFile, type FileContent } from "./regular-file.ts";
import { gather, HOST_CALL_BYTES, readInto, type Transfer } from "./transfer.ts";

/** A pipe, socket or character device of the host. */
export class HostStreamFile extends OpenFile {
  readonly #stream: HostStream;
  #listening = false;
  #full = false;
  #broken = false;

  constructor(stream: HostStream, flags: number, name: string) {
    super(flags);
    this.#stream = stream;
    // A socket of the host's is a pipe, too: bytes go through it, calls for sockets do not.
    this.inode = anonymousInode(S_IFIFO | 0o600);
    this.name = name;
  }

  override status(): FileStatus | Failure {
    const status = this.#stream.status();
    if (failed(status) || (status.mode & S_IFMT) !== S_IFSOCK) return status;
    return { ...status, mode: (status.mode & ~S_IFMT) | S_IFIFO };
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#stream.onReadable(() => {
      this.#listening = false;
      this.queue.wakeAll();
    });
  }

  override read(into: Transfer): number {
    const available = this.#stream.available();
    if (available < 0) return 0;
    if (available === 0) {
      this.#listen();
      // Asking may have brought something at once (a character device).
      if (this.#stream.available() === 0) return -EAGAIN;
    }
    return readInto(into, Math.max(this.#stream.available(), 0), (bytes) => this.#stream.read(bytes));
  }

  override write(from: Transfer): number {
    if (this.#full) return -EAGAIN;
    let done = 0;
    while (from.remaining > 0) {
      const bytes = gather(from, HOST_CALL_BYTES);
      const count = this.#stream.write(bytes);
      if (count !== bytes.length) return this.#short(from, bytes.length, count, done);
      done += count;
    }
    return done;
  }

  /** The host took less than offered, or nothing. */
  #short(from: Transfer, offered: number, count: number, done: number): number {
    if (failed(count) && count !== -EAGAIN) {
      this.#broken = true;
      return done > 0 ? done : count;
    }
    const taken = Math.max(count, 0);
    from.giveBack(offered - taken);
    this.#full = true;
    this.#stream.onWritable(() => {
      this.#full = false;
      this.queue.wakeAll();
    });
    return done + taken > 0 ? done + taken : -EAGAIN;
  }

  override poll(): number {
    let mask = 0;
    if (this.readable) {
      const available = this.#stream.available();
      if (available !== 0) mask |= POLLIN | POLLRDNORM;
      if (available < 0) mask |= POLLHUP;
      if (available === 0) this.#listen();
    }
    if (this.writable) {
      if (!this.#full) mask |= POLLOUT | POLLWRNORM;
      if (this.#broken) mask |= POLLERR;
    }
    return mask;
  }

  override ioctl(task: Task, request: number, argument: number): SyscallResult {
    const FIONREAD = 0x541b;
    if (request !== FIONREAD) return super.ioctl(task, request, argument);
    task.memory.writeU32(argument, Math.max(0, this.#stream.available()));
    return 0;
  }

  override reopen(): OpenFile {
    this.retain();
    return this;
  }
}

/** The inode of an inherited file: it has no place in the guest's tree. */
class InheritedInode extends Inode {
  readonly filesystem: Filesystem = anonymousInode(0o600).filesystem;
  readonly #stream: HostStream;

  constructor(stream: HostStream) {
    super(S_IFREG);
    this.#stream = stream;
  }

  override status(): FileStatus | Failure {
    const status = this.#stream.status();
    if (failed(status) || (status.mode & S_IFMT) !== S_IFSOCK) return status;
    return { ...status, mode: (status.mode & ~S_IFMT) | S_IFIFO };
  }

  override open(): Failure {
    return -EBADF;
  }
}

/**
 * An inherited regular file. While the guest goes straight through it, the host's own offset is used, which the
 * parent and the other inherited descriptors share; the first seek elsewhere cuts it loose.
 */
export class InheritedFile extends RegularFile {
  readonly #stream: HostStream;
  #detached = false;

  constructor(stream: HostStream, flags: number, name: string, content: FileContent, cache: PageCache | undefined) {
    super(new InheritedInode(stream), content, flags, cache);
    this.#stream = stream;
    this.name = name;
  }

  #synchronize(): void {
    if (!this.#detached) this.offset = this.#stream.tell?.() ?? this.offset;
  }

  override read(into: Transfer, task: Task): number {
    if (this.#detached) return super.read(into, task);
    const size = this.content.size();
    if (failed(size)) return size;
    const limit = Math.max(size - this.offset, 4096);
    const done = readInto(into, limit, (bytes) => this.#stream.read(bytes));
    if (done > 0) this.offset += done;
    return done;
  }

  override write(from: Transfer, task: Task): number {
    if (this.#detached && (this.flags & O_APPEND) === 0) return super.write(from, task);
    let done = 0;
    while (from.remaining > 0) {
      const bytes = gather(from, HOST_CALL_BYTES);
      const count = this.#stream.write(bytes);
      if (count < 0) return done > 0 ? done : count;
      done += count;
      if (count < bytes.length) break;
    }
    this.offset += done;
    return done;
  }

  override seek(offset: number, whence: number): number {
    this.#synchronize();
    const before = this.offset;
    const target = super.seek(offset, whence);
    if (target >= 0 && target !== before) this.#detached = true;
    return target;
  }

  override reopen(): OpenFile {
    this.retain();
    return this;
  }
}

/** The guest's descriptor `fd` (0, 1 or 2) as its host has it; undefined where the host has it closed. */
export function openInherited(stream: HostStream, fd: number): OpenFile | undefined {
  if (stream.kind === "closed") return undefined;
  return new HostStreamFile(stream, stream.flags, ["stdin", "stdout", "stderr"][fd] ?? `fd ${fd}`);
}
