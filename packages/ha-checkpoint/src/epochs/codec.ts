// Compression of what crosses the wire, injected: platforms differ in what they have, and it may run on another thread.

export interface Codec {
  /** Both sides must have the same one. */
  readonly name: string;
  /** The bytes belong to the codec until `done`, which may be called before this returns. */
  compress(bytes: Uint8Array, done: (compressed: Uint8Array) => void): void;
  /** `undefined`: these bytes do not make exactly `rawBytes` bytes. Never makes more than that. */
  decompress(bytes: Uint8Array, rawBytes: number, done: (raw: Uint8Array | undefined) => void): void;
}

/** No compression. */
export const plainCodec: Codec = {
  name: "none",
  compress: (bytes, done) => done(bytes),
  decompress: (bytes, rawBytes, done) => done(bytes.length === rawBytes ? bytes : undefined),
};
