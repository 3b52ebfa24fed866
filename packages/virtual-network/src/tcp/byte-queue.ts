/** Bytes that wait: appended at the end, dropped at the beginning, copied from anywhere between. A ring that grows. */

const INITIAL_BYTES = 4096;

export class ByteQueue {
  #ring: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #first = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#ring.length) this.#grow(this.#length + bytes.length);
    const start = (this.#first + this.#length) % this.#ring.length;
    const untilEnd = Math.min(bytes.length, this.#ring.length - start);
    this.#ring.set(bytes.subarray(0, untilEnd), start);
    this.#ring.set(bytes.subarray(untilEnd), 0);
    this.#length += bytes.length;
  }

  /** A copy of `count` bytes that are there. */
  copy(offset: number, count: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(count);
    if (count === 0) return bytes;
    const start = (this.#first + offset) % this.#ring.length;
    const untilEnd = Math.min(count, this.#ring.length - start);
    bytes.set(this.#ring.subarray(start, start + untilEnd));
    bytes.set(this.#ring.subarray(0, count - untilEnd), untilEnd);
    return bytes;
  }

  drop(count: number): void {
    if (count === 0) return;
    this.#length -= count;
    this.#first = (this.#first + count) % this.#ring.length;
  }

  clear(): void {
    this.#ring = new Uint8Array(0);
    this.#first = 0;
    this.#length = 0;
  }

  #grow(needed: number): void {
    let size = Math.max(INITIAL_BYTES, this.#ring.length);
    while (size < needed) size *= 2;
    const ring = new Uint8Array(size);
    ring.set(this.copy(0, this.#length));
    this.#ring = ring;
    this.#first = 0;
  }
}
