/** A growing byte buffer with WebAssembly's variable-length integers (core specification, 5.2). */
export class ByteWriter {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacity: number = 1 << 16) {
    this.bytes = new Uint8Array(capacity);
  }

  reset(): void {
    this.length = 0;
  }

  private reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count));
    larger.set(this.bytes);
    this.bytes = larger;
  }

  u8(value: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length++] = value;
  }

  u32(value: number): void {
    this.reserve(5);
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  s32(value: number): void {
    this.reserve(5);
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>= 7;
    }
    this.bytes[this.length++] = rest & 0x7f;
  }

  /** Room for an integer of 20 bits that is known later (`setLater`); returns where it is. */
  later(): number {
    this.reserve(3);
    this.length += 3;
    return this.length - 3;
  }

  setLater(at: number, value: number): void {
    this.bytes[at] = (value & 0x7f) | 0x80;
    this.bytes[at + 1] = ((value >> 7) & 0x7f) | 0x80;
    this.bytes[at + 2] = (value >> 14) & 0x3f;
  }

  /** A signed 64-bit integer from its i32 halves. */
  s64(low: number, high: number): void {
    if (high === low >> 31) return this.s32(low);
    this.reserve(10);
    let lo = low | 0;
    let hi = high | 0;
    for (;;) {
      const group = lo & 0x7f;
      lo = (lo >>> 7) | (hi << 25);
      hi >>= 7;
      const done =
        (hi === 0 && lo >>> 0 < 0x80000000 && lo === 0 && (group & 0x40) === 0) ||
        (hi === -1 && lo === -1 && (group & 0x40) !== 0);
      this.bytes[this.length++] = done ? group : group | 0x80;
      if (done) return;
    }
  }

  raw(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    this.reserve(end - start);
    this.bytes.set(bytes.subarray(start, end), this.length);
    this.length += end - start;
  }

  name(text: string): void {
    this.u32(text.length);
    this.reserve(text.length);
    for (let index = 0; index < text.length; index++) this.bytes[this.length++] = text.charCodeAt(index);
  }

  /** An opcode as `operations.ts` writes it: one byte, or a prefix byte and a number. */
  opcode(code: number): void {
    if (code < 0x100) {
      this.u8(code);
    } else {
      this.u8(code >> 8);
      this.u32(code & 0xff);
    }
  }

  /** Sections and bodies carry their size in front: writes what `write` writes, preceded by its length. */
  sized(scratch: ByteWriter, write: (writer: ByteWriter) => void): void {
    scratch.reset();
    write(scratch);
    this.u32(scratch.length);
    this.raw(scratch.bytes, 0, scratch.length);
  }

  toBytes(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.length);
  }
}
