/**
 * How often each cluster of a qcow2 image is referred to: the refcount table, its blocks, and who gets which cluster.
 *
 * All of it is in memory while an image is open for writing (2 bytes for a cluster of 64 KiB), so that allocation never
 * waits. What is freed stays taken until `releaseFreed`: nobody may write to a cluster that a table on disk refers to.
 */

import { DiskImageError } from "../disk-file.ts";
import type { DiskFile } from "../disk-file.ts";
import type { Qcow2Header } from "./header.ts";

/** Most refcount blocks' bytes that are held: enough for 8 TiB in clusters of 64 KiB. */
const maximumBytes = 256 << 20;

interface Block {
  readonly offset: number;
  readonly counts: DataView;
  dirty: boolean;
}

/** Bytes of the file that are to be written. */
export interface PendingWrite {
  readonly offset: number;
  readonly data: Uint8Array;
}

export interface TablePlacement {
  readonly offset: number;
  readonly clusters: number;
}

export class Refcounts {
  readonly #clusterBytes: number;
  readonly #order: number;
  readonly #perBlock: number;
  /** By index in the refcount table. */
  readonly #blocks: (Block | undefined)[];
  #placement: TablePlacement;
  #tableDirty = false;
  #placementDirty = false;
  /** No cluster before this one is free, and no run of several before that one. */
  #firstFree = 0;
  #firstRun = 0;
  #freed: number[] = [];

  private constructor(header: Qcow2Header, blocks: (Block | undefined)[]) {
    this.#clusterBytes = header.clusterBytes;
    this.#order = header.refcountOrder;
    this.#perBlock = (header.clusterBytes * 8) / 2 ** header.refcountOrder;
    this.#blocks = blocks;
    this.#placement = { offset: header.refcountTableOffset, clusters: header.refcountTableClusters };
  }

  /** @throws DiskImageError */
  static async load(file: DiskFile, header: Qcow2Header): Promise<Refcounts> {
    const { clusterBytes, refcountTableOffset, refcountTableClusters } = header;
    if (
      refcountTableOffset === 0 ||
      refcountTableOffset + refcountTableClusters * clusterBytes > fileEnd(file, header)
    ) {
      throw new DiskImageError("corrupt", "the refcount table is not in the file");
    }
    const table = await file.read(refcountTableOffset, refcountTableClusters * clusterBytes);
    const view = new DataView(table.buffer);
    const blocks: (Block | undefined)[] = [];
    let bytes = 0;
    for (let index = 0; index < table.length / 8; index++) {
      const offset = Number(view.getBigUint64(8 * index));
      if (offset === 0) continue;
      bytes += clusterBytes;
      if (offset % clusterBytes !== 0 || offset + clusterBytes > fileEnd(file, header) || bytes > maximumBytes) {
        throw new DiskImageError("corrupt", `refcount block ${index} is at 0x${offset.toString(16)}`);
      }
      blocks[index] = { offset, counts: new DataView((await file.read(offset, clusterBytes)).buffer), dirty: false };
    }
    return new Refcounts(header, blocks);
  }

  get placement(): TablePlacement {
    return this.#placement;
  }

  /** Offsets of the refcount blocks. */
  *blockOffsets(): Generator<number> {
    for (const block of this.#blocks) if (block !== undefined) yield block.offset;
  }

  get maximum(): number {
    return Math.min(2 ** (2 ** this.#order) - 1, Number.MAX_SAFE_INTEGER);
  }

  get(cluster: number): number {
    const block = this.#blocks[Math.floor(cluster / this.#perBlock)];
    return block === undefined ? 0 : readCount(block.counts, cluster % this.#perBlock, this.#order);
  }

  /** Sets a refcount, making room for it where there is none. */
  set(cluster: number, count: number): void {
    const index = Math.floor(cluster / this.#perBlock);
    if (this.#blocks[index] === undefined && count === 0) return;
    const block = this.#blocks[index] ?? this.#addBlock(index);
    writeCount(block.counts, cluster % this.#perBlock, this.#order, count);
    block.dirty = true;
    if (count > 0) return;
    this.#firstFree = Math.min(this.#firstFree, cluster);
    this.#firstRun = Math.min(this.#firstRun, cluster);
  }

  /** While counts are set anew: nothing below `cluster` is taken for free, whatever its count still says. */
  reserveBelow(cluster: number): void {
    this.#firstFree = cluster;
    this.#firstRun = cluster;
  }

  /** The first of `count` free clusters one after the other, which now have a refcount of one. */
  allocate(count: number): number {
    for (;;) {
      const first = this.#findFree(count);
      const blockIndexes = [...this.#indexes(first, count)];
      const missing = blockIndexes.find((index) => this.#blocks[index] === undefined);
      if (missing !== undefined) {
        this.#addBlock(missing);
        continue;
      }
      for (let cluster = first; cluster < first + count; cluster++) this.set(cluster, 1);
      this.#firstRun = Math.max(this.#firstRun, first + count);
      return first;
    }
  }

  /** Takes back what `allocate` gave and nothing has referred to yet. */
  unallocate(first: number, count: number): void {
    for (let cluster = first; cluster < first + count; cluster++) this.set(cluster, 0);
  }

  /** One reference less, once the tables on disk say so: with the next `releaseFreed`. */
  free(cluster: number): void {
    this.#freed.push(cluster);
  }

  /** What has been freed so far, and takes effect with `releaseFreed`. */
  takeFreed(): number[] {
    return this.#freed.splice(0);
  }

  releaseFreed(clusters: readonly number[]): void {
    for (const cluster of clusters) this.set(cluster, Math.max(0, this.get(cluster) - 1));
  }

  get dirty(): boolean {
    return this.#tableDirty || this.#placementDirty || this.#blocks.some((block) => block?.dirty === true);
  }

  /**
   * What has to be written, in steps each of which must be on the medium before the next: blocks, the table that refers to
   * them, and, if it moved, the header that refers to the table. The caller marks it dirty again when it cannot.
   */
  takeDirty(): {
    readonly blocks: PendingWrite[];
    readonly table: PendingWrite[];
    readonly moved: TablePlacement | undefined;
  } {
    this.#placeTable();
    const blocks: PendingWrite[] = [];
    for (const block of this.#blocks) {
      if (block?.dirty !== true) continue;
      block.dirty = false;
      blocks.push({ offset: block.offset, data: new Uint8Array(block.counts.buffer.slice(0)) });
    }
    const table = this.#tableDirty ? [{ offset: this.#placement.offset, data: this.#tableBytes() }] : [];
    const moved = this.#placementDirty ? this.#placement : undefined;
    this.#tableDirty = false;
    this.#placementDirty = false;
    return { blocks, table, moved };
  }

  /** After a write that failed: everything is to be written again. */
  markDirty(): void {
    this.#tableDirty = true;
    this.#placementDirty = true;
    for (const block of this.#blocks) if (block !== undefined) block.dirty = true;
  }

  *#indexes(first: number, count: number): Generator<number> {
    const last = Math.floor((first + count - 1) / this.#perBlock);
    for (let index = Math.floor(first / this.#perBlock); index <= last; index++) yield index;
  }

  #findFree(count: number): number {
    while (this.get(this.#firstFree) !== 0) this.#firstFree++;
    let first = count === 1 ? this.#firstFree : Math.max(this.#firstFree, this.#firstRun);
    for (let length = 0; length < count;) {
      if (this.get(first + length) === 0) {
        length++;
      } else {
        first += length + 1;
        length = 0;
      }
    }
    return first;
  }

  /** A block for counts that none holds yet. Where nothing else counts its own cluster, it does so itself. */
  #addBlock(index: number): Block {
    let cluster = this.#findFree(1);
    const counting = Math.floor(cluster / this.#perBlock);
    if (counting !== index && this.#blocks[counting] === undefined) {
      this.#addBlock(counting);
      cluster = this.#findFree(1);
    }
    const block = {
      offset: cluster * this.#clusterBytes,
      counts: new DataView(new ArrayBuffer(this.#clusterBytes)),
      dirty: true,
    };
    this.#blocks[index] = block;
    this.#tableDirty = true;
    this.set(cluster, 1);
    return block;
  }

  /** Finds the table a place with room for all blocks. */
  #placeTable(): void {
    const entriesPerCluster = this.#clusterBytes / 8;
    while (this.#blocks.length > this.#placement.clusters * entriesPerCluster) {
      const clusters = Math.ceil((this.#blocks.length * 1.5) / entriesPerCluster);
      const old = this.#placement;
      const first = this.allocate(clusters);
      this.#placement = { offset: first * this.#clusterBytes, clusters };
      this.#placementDirty = true;
      this.#tableDirty = true;
      for (let at = 0; at < old.clusters; at++) this.free(old.offset / this.#clusterBytes + at);
    }
  }

  #tableBytes(): Uint8Array {
    const view = new DataView(new ArrayBuffer(this.#placement.clusters * this.#clusterBytes));
    for (const [index, block] of this.#blocks.entries()) {
      if (block !== undefined) view.setBigUint64(8 * index, BigInt(block.offset));
    }
    return new Uint8Array(view.buffer);
  }
}

/** Where the file's last cluster ends, whether or not all of it was written. */
export function fileEnd(file: DiskFile, header: Qcow2Header): number {
  return Math.ceil(file.length / header.clusterBytes) * header.clusterBytes;
}

/** Counts narrower than a byte begin with its lowest bits. */
function readCount(counts: DataView, index: number, order: number): number {
  switch (order) {
    case 4:
      return counts.getUint16(2 * index);
    case 3:
      return counts.getUint8(index);
    case 5:
      return counts.getUint32(4 * index);
    case 6:
      return Math.min(Number(counts.getBigUint64(8 * index)), Number.MAX_SAFE_INTEGER);
    default: {
      const bits = 2 ** order;
      const perByte = 8 / bits;
      return (counts.getUint8(Math.floor(index / perByte)) >>> ((index % perByte) * bits)) & (2 ** bits - 1);
    }
  }
}

function writeCount(counts: DataView, index: number, order: number, count: number): void {
  switch (order) {
    case 4:
      return counts.setUint16(2 * index, count);
    case 3:
      return counts.setUint8(index, count);
    case 5:
      return counts.setUint32(4 * index, count);
    case 6:
      return counts.setBigUint64(8 * index, BigInt(count));
    default: {
      const bits = 2 ** order;
      const perByte = 8 / bits;
      const at = Math.floor(index / perByte);
      const shift = (index % perByte) * bits;
      return counts.setUint8(at, (counts.getUint8(at) & ~((2 ** bits - 1) << shift)) | (count << shift));
    }
  }
}
