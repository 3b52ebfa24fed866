/** A first-in, first-out queue of bytes: what pipes, sockets and terminals hold. */
import type { Transfer } from "./transfer.ts";

/** Small writes are gathered into chunks of this size, so that 1-byte writes do not make 1-byte chunks. */
const CHUNK_BYTES = 4096;

/** Invariant: `length` is the sum of the chunks, less what was read of the first and is unused in the last. */
export class ByteQueue {
  #chunks: Uint8Array[] = [];
  #head = 0;
  /** Bytes used in the last chunk. */
  #tail = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Copies the bytes in. */
  push(bytes: Uint8Array): void {
    let at = 0;
    const last = this.#chunks.at(-1);
    if (last !== undefined && this.#tail < last.length) {
      at = Math.min(bytes.length, last.length - this.#tail);
      last.set(bytes.subarray(0, at), this.#tail);
      this.#tail += at;
    }
    if (at < bytes.length) {
      const rest = bytes.length - at;
      const chunk = new Uint8Array(Math.max(rest, CHUNK_BYTES));
      chunk.set(bytes.subarray(at));
      this.#chunks.push(chunk);
      this.#tail = rest;
    }
    this.#length += bytes.length;
  }

  #firstChunk(): Uint8Array {
    const end = this.#chunks.length === 1 ? this.#tail : this.#chunks[0].length;
    return this.#chunks[0].subarray(this.#head, end);
  }

  /** Takes at most `limit` bytes as one copy. */
  take(limit: number): Uint8Array {
    const bytes = this.peek(limit);
    this.skip(bytes.length);
    return bytes;
  }

  /** The first bytes, `from` bytes in, without taking them. */
  peek(limit: number, from = 0): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(limit, this.#length - from)));
    let done = 0;
    let skip = from;
    for (const [index, chunk] of this.#chunks.entries()) {
      const start = index === 0 ? this.#head : 0;
      const end = index === this.#chunks.length - 1 ? this.#tail : chunk.length;
      const piece = chunk.subarray(Math.min(end, start + skip), end);
      skip = Math.max(0, skip - (end - start));
      bytes.set(piece.subarray(0, bytes.length - done), done);
      done = Math.min(bytes.length, done + piece.length);
      if (done === bytes.length) break;
    }
    return bytes;
  }

  skip(count: number): void {
    let left = Math.min(count, this.#length);
    this.#length -= left;
    while (left > 0) {
      const first = this.#firstChunk();
      const step = Math.min(left, first.length);
      left -= step;
      this.#head += step;
      if (step === first.length) this.#dropFirst();
    }
  }

  #dropFirst(): void {
    this.#chunks.shift();
    this.#head = 0;
    if (this.#chunks.length === 0) this.#tail = 0;
  }

  /** Moves at most `limit` bytes into the transfer; returns how many. */
  moveTo(into: Transfer, limit: number = Infinity): number {
    let done = 0;
    let left = Math.min(limit, this.#length, into.remaining);
    while (left > 0) {
      const first = this.#firstChunk();
      const pieces = into.next(Math.min(left, first.length));
      let used = 0;
      for (const piece of pieces) {
        piece.set(first.subarray(used, used + piece.length));
        used += piece.length;
      }
      if (used === 0) break;
      this.skip(used);
      left -= used;
      done += used;
    }
    return done;
  }

  clear(): void {
    this.#chunks = [];
    this.#head = this.#tail = this.#length = 0;
  }
}
