/**
 * The header of a qcow2 image (QEMU, docs/interop/qcow2). All numbers are big-endian.
 *
 * ```text
 *   0 magic        24 size (u64)            48 refcount table (u64)     72 incompatible features (u64)
 *   4 version      32 encryption            56 its clusters             80 compatible features (u64)
 *   8 backing file 36 entries of L1         60 snapshots                88 autoclear features (u64)
 *  16 its length   40 L1 table (u64)        64 snapshot table (u64)     96 refcount order
 *  20 cluster bits                                                     100 header length, 104 compression
 * ```
 *
 * Version 2 ends at 72. Extensions follow the header: type, length, content padded to 8 bytes.
 */

import { DiskImageError } from "../disk-file.ts";

const magic = 0x5146_49fb;
const version2Length = 72;
const version3Length = 104;
export const headerOffset = {
  refcountTable: 48,
  incompatible: 72,
  autoclear: 88,
} as const;

/** Incompatible features: an image with one that is not known must not be opened. */
export const Incompatible = { dirty: 1n, corrupt: 2n, externalData: 4n, compression: 8n, extendedL2: 16n } as const;
/** Compatible features. */
const lazyRefcounts = 1n;

const extensionEnd = 0;
const extensionBackingFormat = 0xe279_2aca;

/** Limits as QEMU has them. */
const clusterBitsRange = { least: 9, most: 21 };
const maximumL1Bytes = 32 << 20;
const maximumRefcountTableBytes = 8 << 20;
const maximumSnapshots = 65_536;
const maximumBackingName = 1023;
/** Sizes are used as exact numbers. */
const maximumSize = 2 ** 53;

export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly clusterBytes: number;
  /** Of the disk, in bytes. */
  readonly size: number;
  readonly backing: { readonly name: string; readonly format: string | undefined } | undefined;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  /** A refcount has 1 << order bits. */
  readonly refcountOrder: number;
  readonly snapshots: number;
  readonly snapshotsOffset: number;
  readonly incompatible: bigint;
  readonly compatible: bigint;
  readonly autoclear: bigint;
  readonly compression: "deflate" | "zstd";
  readonly lazyRefcounts: boolean;
}

const corrupt = (message: string): DiskImageError => new DiskImageError("corrupt", message);
const unsupported = (message: string): DiskImageError => new DiskImageError("unsupported", message);

/** Most bytes at the beginning of a file that `parseHeader` looks at. */
export const maximumHeaderBytes: number = 1 << clusterBitsRange.most;

/**
 * Reads the header.
 *
 * @param bytes the beginning of the file, as long as it is or `maximumHeaderBytes`
 * @throws DiskImageError
 */
export function parseHeader(bytes: Uint8Array): Qcow2Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < version2Length || view.getUint32(0) !== magic) {
    throw new DiskImageError("format", "not a qcow2 image");
  }
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) throw unsupported(`qcow2 version ${version}; 2 and 3 are known`);
  if (version === 3 && bytes.length < version3Length) throw corrupt("the header is cut off");
  const features = featuresOf(view, version);
  const clusterBits = view.getUint32(20);
  if (clusterBits < clusterBitsRange.least || clusterBits > clusterBitsRange.most) {
    throw unsupported(
      `clusters of 2^${clusterBits} bytes; 2^${clusterBitsRange.least} to 2^${clusterBitsRange.most} are known`,
    );
  }
  const clusterBytes = 2 ** clusterBits;
  if (view.getUint32(32) !== 0) throw unsupported("the image is encrypted");
  if (features.headerLength > clusterBytes) throw corrupt(`a header of ${features.headerLength} bytes`);

  const size = word(view, 24, "size of the disk");
  const l1Entries = view.getUint32(36);
  const l1Offset = word(view, 40, "offset of the L1 table");
  const l1Needed = Math.ceil(size / (clusterBytes * (clusterBytes / 8)));
  if (l1Entries * 8 > maximumL1Bytes) throw unsupported(`an L1 table of ${l1Entries} entries`);
  if (l1Entries < l1Needed) throw corrupt(`the L1 table has ${l1Entries} entries, the disk needs ${l1Needed}`);
  const refcountTableOffset = word(view, 48, "offset of the refcount table");
  const refcountTableClusters = view.getUint32(56);
  if (refcountTableClusters < 1) throw corrupt("there is no refcount table");
  if (refcountTableClusters * clusterBytes > maximumRefcountTableBytes) {
    throw unsupported(`a refcount table of ${refcountTableClusters} clusters`);
  }
  const snapshots = view.getUint32(60);
  const snapshotsOffset = word(view, 64, "offset of the snapshot table");
  if (snapshots > maximumSnapshots) throw corrupt(`${snapshots} snapshots`);
  for (const [name, offset] of [
    ["L1 table", l1Offset],
    ["refcount table", refcountTableOffset],
    ["snapshot table", snapshotsOffset],
  ] as const) {
    if (offset % clusterBytes !== 0) throw corrupt(`the ${name} does not begin with a cluster`);
  }
  return {
    version,
    clusterBits,
    clusterBytes,
    size,
    backing: backingOf(view, bytes, features.headerLength, clusterBytes),
    l1Entries,
    l1Offset,
    refcountTableOffset,
    refcountTableClusters,
    snapshots,
    snapshotsOffset,
    ...features,
  };
}

interface Features {
  readonly incompatible: bigint;
  readonly compatible: bigint;
  readonly autoclear: bigint;
  readonly refcountOrder: number;
  readonly headerLength: number;
  readonly compression: "deflate" | "zstd";
  readonly lazyRefcounts: boolean;
}

function featuresOf(view: DataView, version: 2 | 3): Features {
  if (version === 2) {
    const none = { incompatible: 0n, compatible: 0n, autoclear: 0n } as const;
    return { ...none, refcountOrder: 4, headerLength: version2Length, compression: "deflate", lazyRefcounts: false };
  }
  const incompatible = view.getBigUint64(headerOffset.incompatible);
  const compatible = view.getBigUint64(80);
  if ((incompatible & Incompatible.externalData) !== 0n) throw unsupported("the data is in another file");
  if ((incompatible & Incompatible.extendedL2) !== 0n) throw unsupported("extended L2 entries");
  const known = Incompatible.dirty | Incompatible.corrupt | Incompatible.compression;
  if ((incompatible & ~known) !== 0n) throw unsupported(`feature bits 0x${(incompatible & ~known).toString(16)}`);
  const refcountOrder = view.getUint32(96);
  if (refcountOrder > 6) throw corrupt(`refcounts of 2^${refcountOrder} bits`);
  const headerLength = view.getUint32(100);
  if (headerLength < version3Length || headerLength % 8 !== 0) throw corrupt(`a header of ${headerLength} bytes`);
  const type = headerLength > version3Length && view.byteLength > version3Length ? view.getUint8(version3Length) : 0;
  if (type > 1) throw unsupported(`compression type ${type}`);
  if ((type !== 0) !== ((incompatible & Incompatible.compression) !== 0n)) {
    throw corrupt("the compression type contradicts the features");
  }
  return {
    incompatible,
    compatible,
    autoclear: view.getBigUint64(headerOffset.autoclear),
    refcountOrder,
    headerLength,
    compression: type === 0 ? "deflate" : "zstd",
    lazyRefcounts: (compatible & lazyRefcounts) !== 0n,
  };
}

function backingOf(
  view: DataView,
  bytes: Uint8Array,
  headerLength: number,
  clusterBytes: number,
): Qcow2Header["backing"] {
  const offset = word(view, 8, "offset of the backing file's name");
  const length = view.getUint32(16);
  // Where the name begins, the extensions end at the latest.
  const format = backingFormat(view, headerLength, offset === 0 ? clusterBytes : Math.min(offset, clusterBytes));
  if (offset === 0) return undefined;
  if (length < 1 || length > maximumBackingName || offset + length > Math.min(clusterBytes, bytes.length)) {
    throw corrupt("the backing file's name is not in the first cluster");
  }
  return { name: text(bytes.subarray(offset, offset + length)), format };
}

function backingFormat(view: DataView, from: number, end: number): string | undefined {
  const limit = Math.min(end, view.byteLength);
  let at = from;
  while (at + 8 <= limit) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === extensionEnd) return undefined;
    if (length > limit - at - 8) throw corrupt("a header extension that is cut off");
    if (type === extensionBackingFormat) {
      return text(new Uint8Array(view.buffer, view.byteOffset + at + 8, length));
    }
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return undefined;
}

function text(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw corrupt("a name that is not UTF-8");
  }
}

function word(view: DataView, at: number, what: string): number {
  const value = Number(view.getBigUint64(at));
  if (value > maximumSize) throw corrupt(`the ${what} is 0x${view.getBigUint64(at).toString(16)}`);
  return value;
}

/** What `buildHeader` needs to know. Offsets are bytes. */
export interface NewHeader {
  readonly clusterBits: number;
  readonly size: number;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  readonly lazyRefcounts: boolean;
  readonly backing: { readonly name: string; readonly format: string } | undefined;
}

/** The first cluster of a new image, version 3. */
export function buildHeader(header: NewHeader): Uint8Array {
  const bytes = new Uint8Array(2 ** header.clusterBits);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic);
  view.setUint32(4, 3);
  view.setUint32(20, header.clusterBits);
  view.setBigUint64(24, BigInt(header.size));
  view.setUint32(36, header.l1Entries);
  view.setBigUint64(40, BigInt(header.l1Offset));
  view.setBigUint64(headerOffset.refcountTable, BigInt(header.refcountTableOffset));
  view.setUint32(56, header.refcountTableClusters);
  if (header.lazyRefcounts) view.setBigUint64(80, lazyRefcounts);
  view.setUint32(96, 4);
  view.setUint32(100, version3Length);
  if (header.backing === undefined) return bytes;
  const encoder = new TextEncoder();
  const format = encoder.encode(header.backing.format);
  const name = encoder.encode(header.backing.name);
  const nameOffset = version3Length + 8 + Math.ceil(format.length / 8) * 8 + 8;
  if (name.length > maximumBackingName || nameOffset + name.length > bytes.length) {
    throw unsupported(`a backing file name of ${name.length} bytes`);
  }
  view.setUint32(version3Length, extensionBackingFormat);
  view.setUint32(version3Length + 4, format.length);
  bytes.set(format, version3Length + 8);
  bytes.set(name, nameOffset);
  view.setBigUint64(8, BigInt(nameOffset));
  view.setUint32(16, name.length);
  return bytes;
}
