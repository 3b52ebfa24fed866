import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import { promisify } from "node:util";
import type { Compression } from "../snapshot/compression.ts";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Quick above all: a machine stands still while it is saved. */
const level = 1;

/** Zstandard (RFC 8878) by Node's zlib, on threads of its own. */
export const zstd: Compression = {
  name: "zstd",
  compress: (bytes) => compress(bytes, { params: { [constants.ZSTD_c_compressionLevel]: level } }),
  // In one piece: Node's own are of 16 KiB, each a buffer, put together in the end.
  decompress: (bytes, most) => decompress(bytes, { maxOutputLength: most, chunkSize: Math.max(most, 1024) }),
};
