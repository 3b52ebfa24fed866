/** Pipes and FIFOs (pipe(7)): a bounded queue of bytes between descriptions that read and descriptions that write. */
import { EAGAIN, EBUSY, EINVAL, ENXIO, EPERM, EPIPE, ESPIPE } from "../kernel/errno.ts";
import type { Task } from "../kernel/task.ts";
import { WaitQueue, type SyscallResult } from "../kernel/wait.ts";
import { anonymousInode } from "../vfs/anonymous.ts";
import { failed, O_ACCMODE, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, S_IFIFO, type Failure } from "../vfs/constants.ts";
import type { FileStatus, Inode } from "../vfs/inode.ts";
import { ByteQueue } from "./byte-queue.ts";
import { OpenFile, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "./open-file.ts";
import type { Transfer } from "./transfer.ts";

/** Writes up to this are not interleaved with others (pipe(7)). */
export const PIPE_BUF = 4096;
export const DEFAULT_PIPE_BYTES = 65536;
/** /proc/sys/fs/pipe-max-size. */
export const MAX_PIPE_BYTES = 1048576;

export class Pipe {
  readonly bytes: ByteQueue = new ByteQueue();
  readonly queue: WaitQueue = new WaitQueue();
  readonly inode: Inode;
  capacity: number = DEFAULT_PIPE_BYTES;
  readers = 0;
  writers = 0;
  /** How often either side was opened: what a waiting FIFO open watches. */
  readerOpens = 0;
  writerOpens = 0;

  constructor(inode: Inode = anonymousInode(S_IFIFO | 0o600)) {
    this.inode = inode;
  }

  get room(): number {
    return this.capacity - this.bytes.length;
  }

  read(into: Transfer): number {
    if (this.bytes.length === 0) return this.writers > 0 ? -EAGAIN : 0;
    const count = this.bytes.moveTo(into);
    if (count > 0) this.queue.wakeAll();
    return count;
  }

  write(from: Transfer): number {
    if (this.readers === 0) return -EPIPE;
    const wanted = from.remaining;
    if (wanted === 0) return 0;
    const { room } = this;
    if (room <= 0 || (wanted <= PIPE_BUF && room < wanted)) return -EAGAIN;
    let done = 0;
    for (const piece of from.next(room)) {
      this.bytes.push(piece);
      done += piece.length;
    }
    this.queue.wakeAll();
    return done;
  }

  /** fcntl(F_SETPIPE_SZ): the capacity it has then, a power of two of pages. */
  resize(bytes: number, privileged: boolean): number {
    if (bytes <= 0 || bytes > 0x7fffffff) return -EINVAL;
    if (bytes > MAX_PIPE_BYTES && !privileged) return -EPERM;
    const capacity = Math.max(4096, 2 ** Math.ceil(Math.log2(bytes)));
    if (capacity < this.bytes.length) return -EBUSY;
    this.capacity = capacity;
    this.queue.wakeAll();
    return capacity;
  }
}

/** One description of a pipe or FIFO. */
export class PipeFile extends OpenFile {
  readonly pipe: Pipe;
  readonly #anonymous: boolean;
  readonly #peerOpens: number;

  constructor(pipe: Pipe, flags: number, anonymous = true) {
    super(flags, pipe.queue);
    this.pipe = pipe;
    this.#anonymous = anonymous;
    this.inode = pipe.inode;
    if (anonymous) this.name = `pipe:[${(pipe.inode.status() as FileStatus).ino}]`;
    this.#peerOpens = this.readable ? pipe.writerOpens : pipe.readerOpens;
    if (this.readable) {
      pipe.readers++;
      pipe.readerOpens++;
    }
    if (this.writable) {
      pipe.writers++;
      pipe.writerOpens++;
    }
    pipe.queue.wakeAll();
  }

  protected override closed(): void {
    if (this.readable) this.pipe.readers--;
    if (this.writable) this.pipe.writers--;
    if (this.pipe.readers === 0 && this.pipe.writers === 0) this.pipe.bytes.clear();
    this.pipe.queue.wakeAll();
  }

  override get isStream(): boolean {
    return true;
  }

  /** fifo(7): opening one end waits for the other, unless both are opened or O_NONBLOCK is given. */
  override get openPending(): boolean {
    if (this.#anonymous || this.nonblocking || (this.flags & O_ACCMODE) === O_RDWR) return false;
    const { pipe } = this;
    if (this.readable) return pipe.writers === 0 && pipe.writerOpens === this.#peerOpens;
    return pipe.readers === 0 && pipe.readerOpens === this.#peerOpens;
  }

  override read(into: Transfer): number {
    return this.pipe.read(into);
  }

  override write(from: Transfer): number {
    return this.pipe.write(from);
  }

  override poll(): number {
    const { pipe } = this;
    let mask = 0;
    if (this.readable) {
      if (pipe.bytes.length > 0) mask |= POLLIN | POLLRDNORM;
      const hadWriter = this.#anonymous || pipe.writerOpens !== this.#peerOpens;
      if (pipe.writers === 0 && hadWriter) mask |= POLLHUP;
    }
    if (this.writable) {
      if (pipe.room >= PIPE_BUF) mask |= POLLOUT | POLLWRNORM;
      if (pipe.readers === 0) mask |= POLLERR;
    }
    return mask;
  }

  override ioctl(task: Task, request: number, argument: number): SyscallResult {
    const FIONREAD = 0x541b;
    if (request !== FIONREAD) return super.ioctl(task, request, argument);
    task.memory.writeU32(argument, this.pipe.bytes.length);
    return 0;
  }

  override reopen(flags: number): OpenFile | Failure {
    return openPipe(this.pipe, flags, this.#anonymous);
  }

  override truncate(): Failure {
    return -EINVAL;
  }

  override allocate(): Failure {
    return -ESPIPE;
  }
}

function openPipe(pipe: Pipe, flags: number, anonymous: boolean): OpenFile | Failure {
  const mode = flags & O_ACCMODE;
  if (mode === O_WRONLY && (flags & O_NONBLOCK) !== 0 && pipe.readers === 0) return -ENXIO;
  return new PipeFile(pipe, flags, anonymous);
}

/** The two ends of a new pipe: read, write. */
export function makePipe(flags: number): [PipeFile, PipeFile] {
  const pipe = new Pipe();
  return [new PipeFile(pipe, O_RDONLY | flags), new PipeFile(pipe, O_WRONLY | flags)];
}

/** FIFOs by device and inode: the pipes that named inodes stand for while somebody has them open. */
export class FifoTable {
  readonly #pipes: Map<string, Pipe> = new Map();

  open(inode: Inode, flags: number): OpenFile | Failure {
    const status = inode.status();
    if (failed(status)) return status;
    const key = `${status.dev}:${status.ino}`;
    const pipe = this.#pipes.get(key) ?? new Pipe(inode);
    this.#pipes.set(key, pipe);
    const file = openPipe(pipe, flags, false);
    if (!failed(file)) {
      file.closeHooks.set(this, () => {
        if (pipe.readers + pipe.writers <= 1) this.#pipes.delete(key);
      });
    }
    return file;
  }
}

/** Moves bytes between pipes without a copy through the guest (splice(2), tee(2)). */
export function takeFrom(pipe: Pipe, limit: number): Uint8Array {
  const bytes = pipe.bytes.take(limit);
  if (bytes.length > 0) pipe.queue.wakeAll();
  return bytes;
}
