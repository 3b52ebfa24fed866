/**
 * Looks through all tables of a qcow2 image before it is written to: counts who refers to which cluster, and refuses an
 * image where a write could do harm: tables outside the file or on top of something else, and clusters that are referred
 * to more often than their refcount says.
 */

import { DiskImageError } from "../disk-file.ts";
import type { DiskFile } from "../disk-file.ts";
import { mappingOf, tableOffset } from "./entries.ts";
import type { Qcow2Header } from "./header.ts";
import { fileEnd } from "./refcounts.ts";
import type { Refcounts } from "./refcounts.ts";

/** More references than these are not told apart. */
const manyReferences = 0xffff;
/** Largest file that can be checked, in clusters: 8 TiB of 64 KiB each. */
const maximumClusters = 2 ** 27;
/** Most bytes of one entry of the snapshot table that are looked at: its fields, and the longest names. */
const snapshotFixedBytes = 40;
const maximumSnapshotExtra = 1024;

/**
 * Checks an image, and sets the refcounts of what has leaked to what they should be. Of an image that was not closed with
 * lazy refcounts (`rebuild`) all refcounts are set.
 *
 * @throws DiskImageError of kind "corrupt"
 */
export async function checkImage(
  file: DiskFile,
  header: Qcow2Header,
  refcounts: Refcounts,
  rebuild: boolean,
): Promise<void> {
  const references = new References(file, header);
  const { clusterBytes } = header;
  const clustersOf = (bytes: number): number => Math.ceil(bytes / clusterBytes);
  references.addTable("header", 0, 1);
  references.addTable("refcount table", header.refcountTableOffset, header.refcountTableClusters);
  for (const offset of refcounts.blockOffsets()) references.addTable("refcount block", offset, 1);
  references.addTable("L1 table", header.l1Offset, clustersOf(header.l1Entries * 8));
  // An L2 table of several snapshots is read once, and counts several times.
  const l2Tables = new Map<number, number>();
  await collectTables(file, header, l2Tables, header.l1Offset, header.l1Entries);
  let at = header.snapshotsOffset;
  for (let index = 0; index < header.snapshots; index++) {
    const snapshot = await readSnapshot(file, at);
    at += snapshot.length;
    references.addTable("snapshot's L1 table", snapshot.l1Offset, clustersOf(snapshot.l1Entries * 8));
    await collectTables(file, header, l2Tables, snapshot.l1Offset, snapshot.l1Entries);
  }
  if (header.snapshots > 0) {
    references.addTable("snapshot table", header.snapshotsOffset, clustersOf(at - header.snapshotsOffset));
  }
  for (const [offset, times] of l2Tables) await countMappings(file, header, references, offset, times);
  references.settle(refcounts, rebuild);
}

class References {
  readonly #header: Qcow2Header;
  readonly #counts: Uint16Array;
  readonly #tables: { readonly what: string; readonly first: number; readonly count: number }[] = [];

  constructor(file: DiskFile, header: Qcow2Header) {
    this.#header = header;
    const clusters = fileEnd(file, header) / header.clusterBytes;
    if (clusters > maximumClusters) throw new DiskImageError("unsupported", `a file of ${clusters} clusters`);
    this.#counts = new Uint16Array(clusters);
  }

  /** A reference to clusters that nothing else may refer to. */
  addTable(what: string, offset: number, count: number): void {
    const { clusterBytes } = this.#header;
    if (offset % clusterBytes !== 0) throw misplaced(what, offset);
    for (let at = 0; at < count; at++) {
      this.add(what, offset + at * clusterBytes, 1);
      if (this.#counts[offset / clusterBytes + at] > 1) throw overlapping(what);
    }
    this.#tables.push({ what, first: offset / clusterBytes, count });
  }

  /** So many references to the cluster at an offset. */
  add(what: string, offset: number, times: number): void {
    const cluster = Math.floor(offset / this.#header.clusterBytes);
    if (cluster >= this.#counts.length) throw misplaced(what, offset);
    this.#counts[cluster] = Math.min(manyReferences, this.#counts[cluster] + times);
  }

  settle(refcounts: Refcounts, rebuild: boolean): void {
    for (const { what, first, count } of this.#tables) {
      if (this.#counts.subarray(first, first + count).some((references) => references > 1)) throw overlapping(what);
    }
    refcounts.reserveBelow(this.#counts.length);
    for (const [cluster, references] of this.#counts.entries()) {
      const refcount = refcounts.get(cluster);
      if (references <= refcount) continue;
      if (!rebuild || references > refcounts.maximum) {
        throw new DiskImageError(
          "corrupt",
          `cluster ${cluster} has a refcount of ${refcount} and ${references} references; try qemu-img check -r all`,
        );
      }
      refcounts.set(cluster, references);
    }
    refcounts.reserveBelow(0);
    for (const [cluster, references] of this.#counts.entries()) {
      if (references < refcounts.get(cluster) && references < manyReferences) refcounts.set(cluster, references);
    }
  }
}

const overlapping = (what: string): DiskImageError =>
  new DiskImageError("corrupt", `the ${what} overlaps something else; try qemu-img check -r all`);

const misplaced = (what: string, offset: number): DiskImageError =>
  new DiskImageError("corrupt", `a ${what} at 0x${offset.toString(16)}`);

/** Adds the L2 tables of an L1 table, each of which it may refer to once. */
async function collectTables(
  file: DiskFile,
  header: Qcow2Header,
  l2Tables: Map<number, number>,
  l1Offset: number,
  l1Entries: number,
): Promise<void> {
  const l1 = new DataView((await file.read(l1Offset, l1Entries * 8)).buffer);
  const own = new Set<number>();
  for (let index = 0; index < l1Entries; index++) {
    const offset = tableOffset(l1, index);
    if (offset === 0) continue;
    if (offset % header.clusterBytes !== 0 || offset >= file.length || own.has(offset)) {
      throw misplaced("L2 table", offset);
    }
    own.add(offset);
    l2Tables.set(offset, (l2Tables.get(offset) ?? 0) + 1);
  }
}

/** Counts what an L2 table refers to, and the table itself. */
async function countMappings(
  file: DiskFile,
  header: Qcow2Header,
  references: References,
  offset: number,
  times: number,
): Promise<void> {
  const { clusterBytes, clusterBits } = header;
  references.add("L2 table", offset, times);
  const l2 = new DataView((await file.read(offset, clusterBytes)).buffer);
  for (let entry = 0; entry < clusterBytes / 8; entry++) {
    const mapping = mappingOf(l2, entry, clusterBits);
    if (mapping.offset === 0) continue;
    if (mapping.kind === "compressed") {
      for (const cluster of compressedClusters(mapping, clusterBytes)) {
        references.add("compressed cluster", cluster * clusterBytes, times);
      }
    } else {
      if (mapping.offset % clusterBytes !== 0) throw misplaced("cluster", mapping.offset);
      references.add("cluster", mapping.offset, times);
    }
  }
}

/** The clusters of the file that a compressed one lies in. */
export function* compressedClusters(
  mapping: { readonly offset: number; readonly length: number },
  clusterBytes: number,
): Generator<number> {
  const last = Math.floor((mapping.offset + mapping.length - 1) / clusterBytes);
  for (let cluster = Math.floor(mapping.offset / clusterBytes); cluster <= last; cluster++) yield cluster;
}

interface Snapshot {
  readonly l1Offset: number;
  readonly l1Entries: number;
  /** Bytes of its entry in the snapshot table. */
  readonly length: number;
}

async function readSnapshot(file: DiskFile, offset: number): Promise<Snapshot> {
  const view = new DataView((await file.read(offset, snapshotFixedBytes)).buffer);
  const l1Offset = Number(view.getBigUint64(0));
  const l1Entries = view.getUint32(8);
  const extra = view.getUint32(36);
  if (offset + snapshotFixedBytes > file.length || extra > maximumSnapshotExtra || l1Entries > file.length / 8) {
    throw new DiskImageError("corrupt", "the snapshot table is damaged");
  }
  const length = snapshotFixedBytes + extra + view.getUint16(12) + view.getUint16(14);
  return { l1Offset, l1Entries, length: Math.ceil(length / 8) * 8 };
}
