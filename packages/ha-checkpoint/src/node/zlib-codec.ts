// Compression by zlib's relatives, on the threads that Node has for it: the guest's thread goes on meanwhile.
import { constants, deflateRaw, inflateRaw, zstdCompress, zstdDecompress } from "node:zlib";
import type { Codec } from "../epochs/codec.ts";

/** Zstandard (RFC 8878) at its fastest level; docs/decisions/0006-high-availability.md has the comparison. */
export const zstdCodec: Codec = {
  name: "zstd",
  compress: (bytes, done) =>
    zstdCompress(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }, (error, compressed) => {
      if (error !== null) throw error;
      done(compressed);
    }),
  decompress: (bytes, rawBytes, done) =>
    zstdDecompress(bytes, { maxOutputLength: Math.max(1, rawBytes) }, (error, raw) => {
      done(error === null && raw.length === rawBytes ? plain(raw) : undefined);
    }),
};

/** DEFLATE (RFC 1951) at its fastest level. */
export const deflateCodec: Codec = {
  name: "deflate",
  compress: (bytes, done) =>
    deflateRaw(bytes, { level: 1 }, (error, compressed) => {
      if (error !== null) throw error;
      done(compressed);
    }),
  decompress: (bytes, rawBytes, done) =>
    inflateRaw(bytes, { maxOutputLength: Math.max(1, rawBytes) }, (error, raw) => {
      done(error === null && raw.length === rawBytes ? plain(raw) : undefined);
    }),
};

/** A Buffer's `slice` is no copy, and whoever is given bytes may rely on one. */
const plain = (bytes: Buffer): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
