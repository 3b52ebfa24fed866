/** Makes new qcow2 images, version 3. */

import { DiskImageError } from "../disk-file.ts";
import type { DiskFile } from "../disk-file.ts";
import { buildHeader } from "./header.ts";

export interface NewImage {
  /** Of the disk, in bytes; a multiple of 512. */
  readonly size: number;
  /** Clusters have 2 to this many bytes: 9 to 21. Default: 16. */
  readonly clusterBits?: number;
  /** Refcounts are written only when the image is closed: faster, and checked anew after a crash. */
  readonly lazyRefcounts?: boolean;
  /** The image below, by its name as seen from this one, and its format. */
  readonly backing?: { readonly name: string; readonly format: "raw" | "qcow2" };
}

const refcountBytes = 2;
const maximumSize = 2 ** 46;

/**
 * Writes an empty image to an empty file.
 *
 * @throws DiskImageError, DiskFileError
 */
export async function createQcow2(file: DiskFile, image: NewImage): Promise<void> {
  const { size, clusterBits = 16, lazyRefcounts = false, backing } = image;
  if (!Number.isInteger(size / 512) || size < 0 || size > maximumSize || clusterBits < 9 || clusterBits > 21) {
    throw new DiskImageError("unsupported", `no image of ${size} bytes in clusters of 2^${clusterBits}`);
  }
  const clusterBytes = 2 ** clusterBits;
  const perBlock = clusterBytes / refcountBytes;
  const l1Entries = Math.max(1, Math.ceil(size / (clusterBytes * (clusterBytes / 8))));
  const l1Clusters = Math.ceil((l1Entries * 8) / clusterBytes);
  // Header, refcount table, refcount blocks that count all of these, L1.
  let blocks = 1;
  let table = 1;
  while (blocks * perBlock < 1 + table + blocks + l1Clusters) {
    blocks++;
    table = Math.ceil((blocks * 8) / clusterBytes);
  }
  const clusters = 1 + table + blocks + l1Clusters;
  const bytes = new Uint8Array((1 + table + blocks) * clusterBytes);
  const view = new DataView(bytes.buffer);
  const firstBlock = (1 + table) * clusterBytes;
  for (let index = 0; index < blocks; index++) {
    view.setBigUint64(clusterBytes + 8 * index, BigInt(firstBlock + index * clusterBytes));
  }
  for (let cluster = 0; cluster < clusters; cluster++) view.setUint16(firstBlock + refcountBytes * cluster, 1);
  const header = {
    clusterBits,
    size,
    l1Entries,
    l1Offset: (clusters - l1Clusters) * clusterBytes,
    refcountTableOffset: clusterBytes,
    refcountTableClusters: table,
    lazyRefcounts,
    backing,
  };
  bytes.set(buildHeader(header));
  await file.write(0, bytes);
  await file.zero(header.l1Offset, l1Clusters * clusterBytes);
  await file.sync();
}
