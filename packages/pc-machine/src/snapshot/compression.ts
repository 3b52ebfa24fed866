/** A way to make pages smaller. The name is in the snapshot, and for ever means the same. */
export interface Compression {
  readonly name: string;
  compress(bytes: Uint8Array): Promise<Uint8Array>;
  /** Rejects when the bytes are none that `compress` makes, or become more than `most`. */
  decompress(bytes: Uint8Array, most: number): Promise<Uint8Array>;
}

/** DEFLATE (RFC 1951) by the platform's streams: slower than what Node has, and there in every browser. */
export const deflate: Compression = {
  name: "deflate",
  compress: (bytes) => collected(bytes, new CompressionStream("deflate-raw"), Number.POSITIVE_INFINITY),
  decompress: (bytes, most) => collected(bytes, new DecompressionStream("deflate-raw"), most),
};

async function collected(
  bytes: Uint8Array,
  transform: ReadableWritablePair<Uint8Array, BufferSource>,
  most: number,
): Promise<Uint8Array> {
  // A copy: shared memory may not enter a stream.
  const stream = new Blob([bytes.slice()]).stream().pipeThrough(transform);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (const reader = stream.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > most) {
      await reader.cancel();
      throw new RangeError(`more than ${most} bytes`);
    }
    pieces.push(value);
  }
  const result = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    result.set(piece, at);
    at += piece.length;
  }
  return result;
}
