/**
 * Frames in a byte stream, as QEMU's `-netdev stream` and `-netdev socket` send them: the frame's length in 32 bits,
 * big-endian, then the frame.
 */

const LENGTH_BYTES = 4;
/** What QEMU takes at most: the largest IPv4 packet, and 4096 bytes around it. */
export const MAXIMUM_STREAM_FRAME_BYTES: number = 65_536 + 4096;

/** The stream is not one of frames; where it goes on cannot be known, so the connection is to be closed. */
export class FramingError extends Error {
  override name = "FramingError";
}

export function encodeStreamFrame(frame: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(LENGTH_BYTES + frame.length);
  new DataView(bytes.buffer).setUint32(0, frame.length);
  bytes.set(frame, LENGTH_BYTES);
  return bytes;
}

/** Takes a stream apart as it comes. It holds at most one frame that is not complete. */
export class StreamFrameDecoder {
  readonly #maximum: number;
  /** Of the frame being read: its length, then its bytes; allocated when its length is known and sound. */
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(LENGTH_BYTES);
  #filled = 0;
  #inFrame = false;
  #error: FramingError | undefined;

  constructor(maximumFrameBytes: number = MAXIMUM_STREAM_FRAME_BYTES) {
    this.#maximum = maximumFrameBytes;
  }

  /**
   * Delivers the frames that end within these bytes. Frames in front of a bad length are still delivered.
   * @throws FramingError at a length that is zero or too large, and ever after
   */
  push(bytes: Uint8Array, deliver: (frame: Uint8Array<ArrayBuffer>) => void): void {
    let offset = 0;
    while (offset < bytes.length) {
      if (this.#error !== undefined) throw this.#error;
      const count = Math.min(this.#buffer.length - this.#filled, bytes.length - offset);
      this.#buffer.set(bytes.subarray(offset, offset + count), this.#filled);
      this.#filled += count;
      offset += count;
      if (this.#filled < this.#buffer.length) return;
      const complete = this.#buffer;
      const wasFrame = this.#inFrame;
      this.#filled = 0;
      this.#inFrame = !wasFrame;
      this.#buffer = new Uint8Array(wasFrame ? LENGTH_BYTES : this.#frameLength(complete));
      if (wasFrame) deliver(complete);
    }
  }

  #frameLength(bytes: Uint8Array): number {
    const length = ((bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3]) >>> 0;
    if (length > 0 && length <= this.#maximum) return length;
    this.#error = new FramingError(`a frame of ${length} bytes was announced; 1 to ${this.#maximum} are allowed`);
    throw this.#error;
  }
}
