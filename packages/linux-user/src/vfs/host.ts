/**
 * What the emulated kernel asks of its host: narrow ports, so that everything above them also runs in a browser or
 * against a simulated host. `src/node/` implements them. All paths and names are byte strings (byte-string.ts).
 *
 * File calls are synchronous and give a negative errno instead of throwing: a guest's `stat` is one host call, with
 * no turn of the event loop between. What can wait (terminals, pipes, sockets) is event driven and never blocks.
 */
import type { Failure } from "./constants.ts";

/** stat(2), with times in nanoseconds since the epoch. */
export interface HostStatus {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly birthtimeNs: bigint;
}

export interface HostDirectoryEntry {
  readonly name: string;
  /** The S_IFMT bits, 0 when the host does not say. */
  readonly type: number;
}

/** statfs(2). */
export interface HostFilesystemStatus {
  readonly type: number;
  readonly blockSize: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly availableBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
}

/** An open host file. Positions are byte offsets; the host's own file offset is never used. */
export interface HostFile {
  /** Bytes read, 0 at the end. */
  read(into: Uint8Array, position: number): number | Failure;
  write(from: Uint8Array, position: number): number | Failure;
  status(): HostStatus | Failure;
  /** Cheaper than `status`. */
  size(): number | Failure;
  truncate(size: number): 0 | Failure;
  sync(dataOnly: boolean): 0 | Failure;
  setMode(mode: number): 0 | Failure;
  setOwner(uid: number, gid: number): 0 | Failure;
  setTimes(atimeNs: bigint, mtimeNs: bigint): 0 | Failure;
  close(): void;
}

/** No call follows a symbolic link in the last component: the walk in walk.ts resolves links against the guest's root. */
export interface HostFilesystem {
  status(path: string): HostStatus | Failure;
  readlink(path: string): string | Failure;
  list(path: string): HostDirectoryEntry[] | Failure;
  /** `flags` are the guest's O_ flags; O_NOFOLLOW is implied. */
  open(path: string, flags: number, mode: number): HostFile | Failure;
  /** `mode` of R_OK, W_OK, X_OK. */
  access(path: string, mode: number): 0 | Failure;
  makeDirectory(path: string, mode: number): 0 | Failure;
  makeFifo(path: string, mode: number): 0 | Failure;
  removeDirectory(path: string): 0 | Failure;
  unlink(path: string): 0 | Failure;
  rename(from: string, to: string): 0 | Failure;
  link(from: string, to: string): 0 | Failure;
  symlink(target: string, path: string): 0 | Failure;
  setMode(path: string, mode: number): 0 | Failure;
  setOwner(path: string, uid: number, gid: number): 0 | Failure;
  setTimes(path: string, atimeNs: bigint, mtimeNs: bigint): 0 | Failure;
  truncate(path: string, size: number): 0 | Failure;
  filesystemStatus(path: string): HostFilesystemStatus | Failure;
  /** The path with all links resolved, for mount sources. */
  realPath(path: string): string | Failure;
}

/** Wall and monotonic time in nanoseconds. */
export interface HostClock {
  realtimeNs(): bigint;
  monotonicNs(): bigint;
}

/** Fills `into` with random bytes. */
export type HostRandom = (into: Uint8Array) => void;

/** One of the three inherited streams, as the host gave it to us. */
export interface HostStream {
  readonly kind: "terminal" | "pipe" | "socket" | "file" | "character" | "closed";
  /** What fstat(2) of the host says of it. */
  status(): HostStatus | Failure;
  /** The host's own O_ flags of it, as far as they are known. */
  readonly flags: number;
  /** For `file`: positioned access beside the stream's own offset. */
  readonly file?: HostFile;
  /** For `file`: where the inherited descriptor stands; others may move it too. */
  tell?(): number;
  /**
   * Bytes, at the descriptor's own offset for `file`; 0 at the end of input; -EAGAIN when nothing is there yet: then
   * `onReadable` calls back.
   */
  read(into: Uint8Array): number | Failure;
  /** Bytes written now; -EAGAIN when the reader is slow (then `onWritable` calls back), -EPIPE. */
  write(from: Uint8Array): number | Failure;
  /** Bytes that `read` would give now; -1 at the end of input. */
  available(): number;
  /** Called back once, when `available` has changed. Asking is what starts reading from the host. */
  onReadable(callback: () => void): void;
  onWritable(callback: () => void): void;
  /** Stops reading from the host, so that its event loop may end. */
  close(): void;
}

/** The terminal doppel was started from. Its line discipline is ours once `takeOver` was called. */
export interface HostTerminal extends HostStream {
  /** Puts the host terminal into raw mode, once; our line discipline does the rest. Undone by `release`. */
  takeOver(): void;
  /** Gives the terminal back as it was found. Also done at exit and on a crash. */
  release(): void;
  /** Whether the host leaves output alone after `takeOver`; if not, it turns a newline into return and newline. */
  readonly rawOutput: boolean;
  size(): { readonly rows: number; readonly columns: number };
  onResize(callback: () => void): void;
  /** Stops the emulator itself as Ctrl-Z would, with the terminal as it was found; returns when it is continued. */
  suspend(): void;
}
