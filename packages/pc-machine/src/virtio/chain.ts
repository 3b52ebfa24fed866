/**
 * A chain of buffers that the driver handed over: first what the device may read, then what it may write (virtio 1.2,
 * 2.7.4.2). Both are streams of bytes here; how a driver cuts them into buffers means nothing (2.6.4).
 */

import type { GuestMemory } from "../ports.ts";

/** A buffer in guest-physical memory. */
export interface Segment {
  readonly address: number;
  readonly length: number;
}

export class Chain {
  /** Index of its first descriptor, by which the driver knows it. */
  readonly head: number;
  readonly readableBytes: number;
  readonly writableBytes: number;
  readonly #memory: GuestMemory;
  readonly #readable: readonly Segment[];
  readonly #writable: readonly Segment[];

  /** Every segment lies in memory. */
  constructor(memory: GuestMemory, head: number, readable: readonly Segment[], writable: readonly Segment[]) {
    this.head = head;
    this.#memory = memory;
    this.#readable = readable;
    this.#writable = writable;
    this.readableBytes = totalBytes(readable);
    this.writableBytes = totalBytes(writable);
  }

  /** A copy of bytes that the device may read; undefined where there are not as many. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer> | undefined {
    if (offset + length > this.readableBytes) return undefined;
    const bytes = new Uint8Array(length);
    let done = 0;
    for (const { address, length: count } of slice(this.#readable, offset, length)) {
      const part = this.#memory.view(address, count);
      if (part === undefined) return undefined;
      bytes.set(part, done);
      done += count;
    }
    return bytes;
  }

  /** Writes to where the device may; false, perhaps with a part written, where there is not room for all. */
  write(offset: number, data: Uint8Array): boolean {
    if (offset + data.length > this.writableBytes) return false;
    let done = 0;
    for (const { address, length } of slice(this.#writable, offset, data.length)) {
      if (!this.#memory.write(address, data.subarray(done, done + length))) return false;
      done += length;
    }
    return true;
  }

  /** The buffers themselves, for a device to which addresses matter. */
  get readable(): readonly Segment[] {
    return this.#readable;
  }

  get writable(): readonly Segment[] {
    return this.#writable;
  }
}

function totalBytes(segments: readonly Segment[]): number {
  return segments.reduce((sum, { length }) => sum + length, 0);
}

function* slice(segments: readonly Segment[], offset: number, length: number): Generator<Segment> {
  let skip = offset;
  let left = length;
  for (const segment of segments) {
    if (left === 0) return;
    if (skip >= segment.length) {
      skip -= segment.length;
      continue;
    }
    const count = Math.min(segment.length - skip, left);
    yield { address: segment.address + skip, length: count };
    left -= count;
    skip = 0;
  }
}
