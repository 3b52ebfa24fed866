/** What disk images are kept in: a file of bytes. `node/` has one over real files; here is one in memory. */

import { failure } from "@doppel/mirror-storage";
import type { Done, Result } from "@doppel/mirror-storage";

/**
 * Positions and lengths are bytes. Whoever opens a file owns it: nobody else changes its length.
 * Methods reject with `DiskFileError`, or `DiskImageError` from what builds on files, and with nothing else.
 */
export interface DiskFile {
  readonly length: number;
  /** Reads zeros past the end. */
  read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Makes the file longer where it writes past the end; what is between reads as zeros. */
  write(position: number, data: Uint8Array): Promise<void>;
  /** What is written reads as zeros afterwards and takes no room, where the host can do that. */
  zero(position: number, length: number): Promise<void>;
  /** What was written before survives a loss of power. Once this has failed it fails for ever. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export class DiskFileError extends Error {
  override name = "DiskFileError";
  readonly kind: "io" | "no-space";

  constructor(kind: "io" | "no-space", message: string) {
    super(message);
    this.kind = kind;
  }
}

/** An image is not one, cannot be handled, or is damaged. */
export class DiskImageError extends Error {
  override name = "DiskImageError";
  readonly kind: "format" | "unsupported" | "corrupt";

  constructor(kind: "format" | "unsupported" | "corrupt", message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Runs `work` as a request of a block device: its failure of a file or an image becomes the request's. */
export function perform<T>(done: Done<T>, work: () => Promise<Result<T>>): void {
  void complete(done, work);
}

async function complete<T>(done: Done<T>, work: () => Promise<Result<T>>): Promise<void> {
  done(await outcome(work));
}

async function outcome<T>(work: () => Promise<Result<T>>): Promise<Result<T>> {
  try {
    // The contract of block devices: never before the call has returned.
    await Promise.resolve();
    return await work();
  } catch (error) {
    if (error instanceof DiskFileError) return failure(error.kind, error.message);
    if (error instanceof DiskImageError) return failure("io", error.message);
    throw error;
  }
}

const chunkBytes = 65536;

/** A file in memory that takes room only where something other than zeros was written. */
export class MemoryFile implements DiskFile {
  readonly #chunks = new Map<number, Uint8Array>();
  #length: number;

  constructor(content: Uint8Array = new Uint8Array(0)) {
    this.#length = 0;
    this.#store(0, content);
  }

  get length(): number {
    return this.#length;
  }

  read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const within = (position + at) % chunkBytes;
      const count = Math.min(chunkBytes - within, length - at);
      const chunk = this.#chunks.get((position + at - within) / chunkBytes);
      if (chunk !== undefined) bytes.set(chunk.subarray(within, within + count), at);
      at += count;
    }
    return Promise.resolve(bytes);
  }

  write(position: number, data: Uint8Array): Promise<void> {
    this.#store(position, data);
    return Promise.resolve();
  }

  zero(position: number, length: number): Promise<void> {
    for (let at = 0; at < length;) {
      const within = (position + at) % chunkBytes;
      const count = Math.min(chunkBytes - within, length - at);
      const index = (position + at - within) / chunkBytes;
      if (count === chunkBytes) this.#chunks.delete(index);
      else this.#chunks.get(index)?.fill(0, within, within + count);
      at += count;
    }
    this.#length = Math.max(this.#length, position + length);
    return Promise.resolve();
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #store(position: number, data: Uint8Array): void {
    for (let at = 0; at < data.length;) {
      const within = (position + at) % chunkBytes;
      const count = Math.min(chunkBytes - within, data.length - at);
      const index = (position + at - within) / chunkBytes;
      let chunk = this.#chunks.get(index);
      if (chunk === undefined) {
        chunk = new Uint8Array(chunkBytes);
        this.#chunks.set(index, chunk);
      }
      chunk.set(data.subarray(at, at + count), within);
      at += count;
    }
    this.#length = Math.max(this.#length, position + data.length);
  }
}
