/** The inherited descriptors 0, 1 and 2 through Node. Files and devices synchronously, pipes and sockets by events. */
import * as fs from "node:fs";
import * as net from "node:net";
import * as tty from "node:tty";
import { EAGAIN, EBADF } from "../kernel/errno.ts";
import { O_RDONLY, O_RDWR, O_WRONLY, type Failure } from "../vfs/constants.ts";
import type { HostStatus, HostStream } from "../vfs/host.ts";
import { failureOf } from "./errors.ts";
import { NodeFile } from "./filesystem.ts";

/** How long to wait before trying again to write to a pipe that is full; ms. Doubles up to the second. */
const RETRY_FIRST_MS = 1;
const RETRY_LAST_MS = 16;

/** `/proc/self/fdinfo/N` of the host, where there is one: flags and offset. */
function descriptorInfo(fd: number): { flags: number | undefined; position: number } {
  try {
    const text = fs.readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
    const position = /^pos:\s*(\d+)/m.exec(text)?.[1];
    const flags = /^flags:\s*(\d+)/m.exec(text)?.[1];
    return { flags: flags === undefined ? undefined : Number.parseInt(flags, 8), position: Number(position ?? 0) };
  } catch {
    return { flags: undefined, position: 0 };
  }
}

function kindOf(fd: number): HostStream["kind"] {
  try {
    const stats = fs.fstatSync(fd);
    if (stats.isFile()) return "file";
    if (stats.isFIFO()) return "pipe";
    if (stats.isSocket()) return "socket";
    if (tty.isatty(fd)) return "terminal";
    return "character";
  } catch {
    return "closed";
  }
}

/** Writing, which all kinds do alike: synchronously, with patience for a full pipe. */
export abstract class NodeStream implements HostStream {
  abstract readonly kind: HostStream["kind"];
  readonly flags: number;
  protected readonly fd: number;
  readonly #handle: NodeFile;
  #retryMs = RETRY_FIRST_MS;

  constructor(fd: number) {
    this.fd = fd;
    this.#handle = new NodeFile(fd);
    this.flags = descriptorInfo(fd).flags ?? (fd === 0 ? O_RDONLY : O_WRONLY);
  }

  status(): HostStatus | Failure {
    return this.#handle.status();
  }

  write(from: Uint8Array): number | Failure {
    try {
      const count = fs.writeSync(this.fd, from);
      this.#retryMs = RETRY_FIRST_MS;
      return count;
    } catch (error) {
      return failureOf(error);
    }
  }

  onWritable(callback: () => void): void {
    setTimeout(callback, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LAST_MS);
  }

  abstract read(into: Uint8Array): number | Failure;
  abstract available(): number;
  abstract onReadable(callback: () => void): void;
  abstract close(): void;
}

/** Pipes and sockets. Nothing is read from the host before the guest asks. */
export class NodeEventStream extends NodeStream {
  readonly kind: HostStream["kind"];
  #socket: net.Socket | undefined = undefined;
  #rest: Uint8Array = new Uint8Array(0);
  #ended = false;
  #callbacks: (() => void)[] = [];

  constructor(fd: number, kind: HostStream["kind"]) {
    super(fd);
    this.kind = kind;
  }

  #open(): net.Socket {
    const socket =
      this.kind === "terminal"
        ? new tty.ReadStream(this.fd)
        : new net.Socket({ fd: this.fd, readable: true, writable: false, allowHalfOpen: true });
    socket.on("readable", () => this.#arrived());
    socket.on("end", () => this.#finish());
    socket.on("close", () => this.#finish());
    socket.on("error", () => this.#finish());
    return socket;
  }

  /** The Node stream of a terminal. */
  protected readStream(): tty.ReadStream | undefined {
    this.#socket ??= this.#open();
    return this.#socket instanceof tty.ReadStream ? this.#socket : undefined;
  }

  #arrived(): void {
    this.#pull();
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    for (const callback of callbacks) callback();
  }

  #finish(): void {
    this.#pull();
    this.#ended = true;
    this.#arrived();
  }

  #pull(): void {
    if (this.#rest.length > 0) return;
    const bytes = this.#socket?.read() as Uint8Array | null | undefined;
    if (bytes !== null && bytes !== undefined) this.#rest = bytes;
  }

  read(into: Uint8Array): number | Failure {
    this.#pull();
    if (this.#rest.length === 0) return this.#ended ? 0 : -EAGAIN;
    const count = Math.min(into.length, this.#rest.length);
    into.set(this.#rest.subarray(0, count));
    this.#rest = this.#rest.subarray(count);
    return count;
  }

  available(): number {
    this.#pull();
    return this.#rest.length > 0 ? this.#rest.length : this.#ended ? -1 : 0;
  }

  onReadable(callback: () => void): void {
    this.#callbacks.push(callback);
    if (this.#ended) return;
    this.#socket ??= this.#open();
    this.#socket.read(0);
  }

  close(): void {
    this.#callbacks = [];
    this.#socket?.destroy();
  }
}

/** The guest may close its descriptor; ours stays open for the emulator's own messages, and so that no other file gets its number. */
class InheritedNodeFile extends NodeFile {
  override close(): void {}
}

/** Regular files and devices that answer at once (/dev/null): plain synchronous calls at the host's own offset. */
class NodeSynchronousStream extends NodeStream {
  readonly kind: HostStream["kind"];
  readonly file: NodeFile;

  constructor(fd: number, kind: HostStream["kind"]) {
    super(fd);
    this.kind = kind;
    this.file = new InheritedNodeFile(fd);
  }

  tell(): number {
    return descriptorInfo(this.fd).position;
  }

  read(into: Uint8Array): number | Failure {
    try {
      return fs.readSync(this.fd, into, 0, into.length, null);
    } catch (error) {
      return failureOf(error);
    }
  }

  available(): number {
    return this.kind === "file" || this.kind === "character" ? 65536 : 0;
  }

  onReadable(callback: () => void): void {
    setImmediate(callback);
  }

  close(): void {}
}

/** A descriptor that the parent had closed. */
class ClosedStream implements HostStream {
  readonly kind = "closed";
  readonly flags: number = O_RDWR;

  status(): Failure {
    return -EBADF;
  }

  read(): Failure {
    return -EBADF;
  }

  write(): Failure {
    return -EBADF;
  }

  available(): number {
    return -1;
  }

  onReadable(): void {}

  onWritable(): void {}

  close(): void {}
}

/** The host's descriptor `fd` (0, 1 or 2) as a stream; terminals are read by `node/terminal.ts`. */
export function nodeStream(fd: number): HostStream {
  const kind = kindOf(fd);
  if (kind === "closed") return new ClosedStream();
  if (kind === "file" || kind === "character") return new NodeSynchronousStream(fd, kind);
  return new NodeEventStream(fd, kind);
}
