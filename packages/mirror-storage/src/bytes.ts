// Reading and writing of packed, little-endian fields. The reader trusts nothing: what is not there, or does not fit,
// makes it fail, and a failed reader gives zeros until somebody looks at `failed`.

export class ByteWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  #room(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  /** A whole number up to 2^53 - 1, in eight bytes. */
  u64(value: number): this {
    const at = this.#room(8);
    this.#view.setUint32(at, value >>> 0, true);
    this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
    return this;
  }

  /** Bytes, after their number. */
  blob(bytes: Uint8Array): this {
    this.u32(bytes.length);
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  text(value: string): this {
    return this.blob(new TextEncoder().encode(value));
  }

  list(values: readonly number[]): this {
    this.u32(values.length);
    for (const value of values) this.u64(value);
    return this;
  }

  /** What was written; the writer must not be used afterwards. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return !this.failed && this.#at === this.#bytes.length;
  }

  #take(count: number): number | undefined {
    if (this.failed || this.#at + count > this.#bytes.length) {
      this.failed = true;
      return undefined;
    }
    const at = this.#at;
    this.#at += count;
    return at;
  }

  u8(): number {
    const at = this.#take(1);
    return at === undefined ? 0 : this.#view.getUint8(at);
  }

  boolean(): boolean {
    const value = this.u8();
    if (value > 1) this.failed = true;
    return value === 1;
  }

  u32(): number {
    const at = this.#take(4);
    return at === undefined ? 0 : this.#view.getUint32(at, true);
  }

  u64(): number {
    const at = this.#take(8);
    if (at === undefined) return 0;
    const value = this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
    if (Number.isSafeInteger(value)) return value;
    this.failed = true;
    return 0;
  }

  /** A copy, so that what holds it does not hold the message as well. */
  blob(maximum: number): Uint8Array<ArrayBuffer> {
    const length = this.u32();
    if (length > maximum) this.failed = true;
    const at = this.#take(length);
    // Not `slice`, which copies nothing when these are a Buffer of Node's.
    return at === undefined ? new Uint8Array() : new Uint8Array(this.#bytes.subarray(at, at + length));
  }

  text(maximumBytes: number): string {
    const bytes = this.blob(maximumBytes);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      this.failed = true;
      return "";
    }
  }

  list(maximum: number): number[] {
    const length = this.u32();
    if (length > maximum) this.failed = true;
    const values: number[] = [];
    for (let i = 0; i < length && !this.failed; i++) values.push(this.u64());
    return values;
  }
}

/** Whether all of them are zero. */
export function isZero(bytes: Uint8Array): boolean {
  const { buffer, byteOffset, length } = bytes;
  // Four at a time, where they lie so.
  const words = byteOffset % 4 === 0 ? new Int32Array(buffer, byteOffset, length >> 2) : new Int32Array(0);
  for (let at = 0; at < words.length; at++) if (words[at] !== 0) return false;
  for (let at = words.length * 4; at < length; at++) if (bytes[at] !== 0) return false;
  return true;
}

export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  const isAligned = a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0;
  const words = isAligned ? a.length >> 2 : 0;
  const [x, y] = [a, b].map(({ buffer, byteOffset }) => new Int32Array(buffer, isAligned ? byteOffset : 0, words));
  for (let at = 0; at < words; at++) if (x[at] !== y[at]) return false;
  for (let at = words * 4; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}
