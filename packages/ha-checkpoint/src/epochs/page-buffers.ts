/** Buffers of one page each, used again: thousands a second, as buffers of their own, keep a host's garbage collector busy. */
export class PageBuffers {
  readonly #pageBytes: number;
  readonly #most: number;
  readonly #spare: Uint8Array[] = [];

  /** `pageBytes`: of a buffer. `most`: spare buffers that are kept. */
  constructor(pageBytes: number, most: number) {
    this.#pageBytes = pageBytes;
    this.#most = most;
  }

  /** A buffer with anything in it. */
  take(): Uint8Array {
    if (this.#spare.length === 0) {
      const slab = new Uint8Array(PAGES_PER_SLAB * this.#pageBytes);
      for (let at = 0; at < slab.length; at += this.#pageBytes)
        this.#spare.push(slab.subarray(at, at + this.#pageBytes));
    }
    return this.#spare.pop()!;
  }

  /** Nobody looks at the buffer any more. */
  give(buffer: Uint8Array): void {
    if (this.#spare.length < this.#most) this.#spare.push(buffer);
  }
}

const PAGES_PER_SLAB = 64;
