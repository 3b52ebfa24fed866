// Frames in order, with their bytes counted; taking one costs the same however many there are.

export class FrameQueue {
  #frames: Uint8Array[] = [];
  #first = 0;
  bytes = 0;

  get length(): number {
    return this.#frames.length - this.#first;
  }

  push(frame: Uint8Array): void {
    this.#frames.push(frame);
    this.bytes += frame.length;
  }

  shift(): Uint8Array | undefined {
    if (this.length === 0) return undefined;
    const frame = this.#frames[this.#first++];
    this.bytes -= frame.length;
    if (this.#first * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#first);
      this.#first = 0;
    }
    return frame;
  }

  /** All frames of another queue, which is not used any more. */
  append(other: FrameQueue): void {
    for (let frame = other.shift(); frame !== undefined; frame = other.shift()) this.push(frame);
  }

  clear(): void {
    this.#frames = [];
    this.#first = 0;
    this.bytes = 0;
  }
}
