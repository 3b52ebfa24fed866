/**
 * A qcow2 image, read and written (QEMU, docs/interop/qcow2).
 *
 * Data goes to the file at once, tables when the guest flushes or many have changed. They go in an order that leaves, wherever it
 * breaks off, an image that is right but for leaked clusters: refcounts before the tables that refer to the clusters, tables
 * before those above them, and a cluster is used anew only when nothing on the medium refers to it. Then what has not
 * been flushed is lost, as with any disk that has a cache.
 *
 * An image is checked as a whole before it is written to; one that is damaged is refused.
 */

import { failure, rangeError, succeeded, writeError } from "@doppel/mirror-storage";
import type { BlockDevice, Done, Geometry, WriteOptions } from "@doppel/mirror-storage";
import { DiskImageError, perform } from "../disk-file.ts";
import type { DiskFile } from "../disk-file.ts";
import { RangeLocks } from "../range-locks.ts";
import { checkImage, compressedClusters } from "./check.ts";
import type { Mapping } from "./entries.ts";
import { headerOffset, Incompatible, maximumHeaderBytes, parseHeader } from "./header.ts";
import type { Qcow2Header } from "./header.ts";
import { MappingTables } from "./mapping-tables.ts";
import { Refcounts } from "./refcounts.ts";
import type { PendingWrite } from "./refcounts.ts";

/** Expands a compressed cluster; rejects or throws what it likes when that cannot be done. */
export type Decompress = (
  data: Uint8Array,
  method: "deflate" | "zstd",
  length: number,
) => Uint8Array | Promise<Uint8Array>;

export interface Qcow2Options {
  readonly readOnly?: boolean;
  readonly decompress?: Decompress;
  /** Opens the image that this one is based on; the format is what this one says it is. */
  readonly openBacking?: (name: string, format: string) => Promise<BackingDisk>;
}

/** The disk below, of which an image holds only the differences. Nobody writes to it. */
export interface BackingDisk {
  readonly disk: BlockDevice;
  readonly close: () => Promise<void>;
}

const sectorSize = 512;

export class Qcow2Disk implements BlockDevice {
  readonly geometry: Geometry;
  readonly #file: DiskFile;
  readonly #header: Qcow2Header;
  readonly #tables: MappingTables;
  /** Undefined while the image is only read. */
  readonly #refcounts: Refcounts | undefined;
  readonly #backing: BackingDisk | undefined;
  readonly #decompress: Decompress | undefined;
  readonly #locks = new RangeLocks();
  /** Whether the file says that its refcounts are not to be relied on. */
  #markedDirty: boolean;
  /** The writing of tables that is under way, and the one that begins after it. */
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  private constructor(parts: {
    readonly file: DiskFile;
    readonly header: Qcow2Header;
    readonly tables: MappingTables;
    readonly refcounts: Refcounts | undefined;
    readonly backing: BackingDisk | undefined;
    readonly decompress: Decompress | undefined;
  }) {
    const { file, header } = parts;
    this.#file = file;
    this.#header = header;
    this.#tables = parts.tables;
    this.#refcounts = parts.refcounts;
    this.#backing = parts.backing;
    this.#decompress = parts.decompress;
    this.#markedDirty = (header.incompatible & Incompatible.dirty) !== 0n;
    this.geometry = { sectorSize, sectorCount: Math.floor(header.size / sectorSize) };
  }

  /**
   * Opens an image, which from then on owns `file`, even when this rejects.
   *
   * @throws DiskImageError, DiskFileError, and what `openBacking` throws
   */
  static async open(file: DiskFile, options: Qcow2Options = {}): Promise<Qcow2Disk> {
    let backing: BackingDisk | undefined;
    try {
      const header = parseHeader(await file.read(0, Math.min(file.length, maximumHeaderBytes)));
      const refcounts = options.readOnly === true ? undefined : await loadForWriting(file, header);
      const tables = await MappingTables.load(file, header);
      if (header.backing !== undefined) backing = await openBacking(header.backing, options);
      const disk = new Qcow2Disk({ file, header, tables, refcounts, backing, decompress: options.decompress });
      // What the check repaired is in the file before anything else is.
      if (refcounts?.dirty === true) await disk.#writeTables();
      return disk;
    } catch (error) {
      await backing?.close();
      await file.close();
      throw error;
    }
  }

  read(sector: number, count: number, done: Done<Uint8Array>): void {
    perform(done, async () => {
      const error = rangeError(this.geometry, sector, count);
      if (error) return { ok: false, error };
      return { ok: true, value: await this.#read(sector * sectorSize, count * sectorSize) };
    });
  }

  write(sector: number, data: Uint8Array, options: WriteOptions, done: Done): void {
    perform(done, async () => {
      const error = writeError(this.geometry, sector, data);
      if (error) return failure(error.kind, error.message);
      await this.#write(sector * sectorSize, data);
      if (options.fua === true) await this.#flush();
      return succeeded;
    });
  }

  flush(done: Done): void {
    perform(done, async () => {
      await this.#flush();
      return succeeded;
    });
  }

  discard(sector: number, count: number, options: WriteOptions, done: Done): void {
    perform(done, async () => {
      const error = rangeError(this.geometry, sector, count);
      if (error) return failure(error.kind, error.message);
      await this.#discard(sector * sectorSize, count * sectorSize);
      if (options.fua === true) await this.#flush();
      return succeeded;
    });
  }

  /** Writes what is left to write, and closes the file and those below. Nothing may be in flight. */
  async close(): Promise<void> {
    try {
      if (this.#refcounts !== undefined) {
        await this.#flush();
        // What the first flush freed is free only now.
        if (this.#refcounts.dirty || this.#markedDirty) await this.#writeRefcounts(this.#refcounts);
        if (this.#markedDirty) await this.#markDirty(false);
      }
    } finally {
      await this.#file.close();
      await this.#backing?.close();
    }
  }

  // --- Reading ----------------------------------------------------------------------------------------------------------

  async #read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const release = await this.#locks.acquire(this.#cluster(position), this.#cluster(position + length - 1), false);
    try {
      return await this.#readLocked(position, length);
    } finally {
      release();
    }
  }

  /** Neighbours on the disk that are neighbours in the file are read together. */
  async #readLocked(position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    const reads: Promise<void>[] = [];
    let run: Run | undefined;
    const finish = (): void => {
      if (run !== undefined) reads.push(this.#readRun(run, bytes, position));
      run = undefined;
    };
    for (const part of this.#parts(position, length)) {
      const mapping = await this.#tables.find(part.cluster);
      const extended: Run | undefined = run === undefined ? undefined : extend(run, mapping, part);
      if (extended === undefined) finish();
      run = extended ?? { mapping, from: part.within, at: part.at, length: part.length };
    }
    finish();
    // All of them end before the clusters are let go.
    const results = await Promise.allSettled(reads);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return bytes;
  }

  async #readRun({ mapping, from, at, length }: Run, bytes: Uint8Array, position: number): Promise<void> {
    switch (mapping.kind) {
      case "zero":
        return;
      case "data":
        bytes.set(await this.#file.read(mapping.offset + from, length), at);
        return;
      case "unallocated":
        if (this.#backing !== undefined) await this.#readBacking(bytes.subarray(at, at + length), position + at);
        return;
      case "compressed": {
        const cluster = await this.#expand(mapping);
        bytes.set(cluster.subarray(from, from + length), at);
      }
    }
  }

  /** Past its end the disk below reads as zeros. */
  async #readBacking(bytes: Uint8Array, position: number): Promise<void> {
    const { disk } = this.#backing!;
    const { sectorSize: unit, sectorCount } = disk.geometry;
    const first = Math.floor(position / unit);
    const last = Math.min(Math.ceil((position + bytes.length) / unit), sectorCount);
    if (first >= last) return;
    const read = await new Promise<Uint8Array>((resolve, reject) => {
      disk.read(first, last - first, (result) => {
        if (result.ok) resolve(result.value);
        else reject(new DiskImageError("corrupt", `the image below: ${result.error.message}`));
      });
    });
    const skip = position - first * unit;
    bytes.set(read.subarray(skip, skip + bytes.length));
  }

  async #expand(mapping: { readonly offset: number; readonly length: number }): Promise<Uint8Array> {
    const { clusterBytes, compression } = this.#header;
    if (this.#decompress === undefined) throw new DiskImageError("unsupported", "the image is compressed");
    const data = await this.#file.read(mapping.offset, mapping.length);
    let cluster: Uint8Array;
    try {
      cluster = await this.#decompress(data, compression, clusterBytes);
    } catch (error) {
      throw new DiskImageError("corrupt", `a compressed cluster: ${(error as Error).message}`);
    }
    if (cluster.length !== clusterBytes) throw new DiskImageError("corrupt", "a compressed cluster is too short");
    return cluster;
  }

  // --- Writing ----------------------------------------------------------------------------------------------------------

  async #write(position: number, data: Uint8Array): Promise<void> {
    const refcounts = this.#writable();
    const first = this.#cluster(position);
    const last = this.#cluster(position + data.length - 1);
    const inPlace = await this.#locked(first, last, false, () => this.#writeInPlace(position, data, refcounts));
    if (inPlace) return;
    await this.#locked(first, last, true, () => this.#writeAllocating(position, data, refcounts));
    if (this.#tables.isFull) await this.#writeTables();
  }

  /** Where every cluster is the image's own already, others may write to it, or read, at the same time. */
  async #writeInPlace(position: number, data: Uint8Array, refcounts: Refcounts): Promise<boolean> {
    const writes: PendingWrite[] = [];
    for (const part of this.#parts(position, data.length)) {
      const mapping = await this.#tables.find(part.cluster);
      if (!this.#isOwn(mapping, refcounts)) return false;
      append(writes, mapping.offset + part.within, data, part);
    }
    await this.#writeAll(writes);
    return true;
  }

  async #writeAllocating(position: number, data: Uint8Array, refcounts: Refcounts): Promise<void> {
    const { clusterBytes } = this.#header;
    const parts = [...this.#parts(position, data.length)];
    const mappings: Mapping[] = [];
    for (const { cluster } of parts) mappings.push(await this.#tables.find(cluster));
    const first = parts[0].cluster;
    const last = parts.at(-1)!.cluster;
    await this.#tables.prepare(first, last, refcounts);
    const writes: PendingWrite[] = [];
    /** Index in `parts` and new cluster. */
    const moved: { readonly index: number; readonly to: number }[] = [];
    try {
      for (let index = 0; index < parts.length;) {
        if (this.#isOwn(mappings[index], refcounts)) {
          append(writes, mappings[index].offset + parts[index].within, data, parts[index]);
          index++;
          continue;
        }
        let count = 1;
        while (index + count < parts.length && !this.#isOwn(mappings[index + count], refcounts)) count++;
        const to = refcounts.allocate(count);
        for (let at = 0; at < count; at++) moved.push({ index: index + at, to: to + at });
        index += count;
      }
      for (const { index, to } of moved) {
        const part = parts[index];
        const isWhole = part.length === clusterBytes;
        // Past the end of the file nothing has ever been written: what this leaves out reads as zeros.
        const isNew = to * clusterBytes >= this.#file.length;
        if (isWhole || (isNew && this.#isBlank(mappings[index]))) {
          append(writes, to * clusterBytes + part.within, data, part);
        } else {
          const cluster = await this.#readLocked(part.cluster * clusterBytes, clusterBytes);
          cluster.set(data.subarray(part.at, part.at + part.length), part.within);
          writes.push({ offset: to * clusterBytes, data: cluster });
        }
      }
      await this.#writeAll(writes);
    } catch (error) {
      for (const { to } of moved) refcounts.unallocate(to, 1);
      throw error;
    }
    while (!this.#tables.isPrepared(first, last, refcounts)) await this.#tables.prepare(first, last, refcounts);
    for (const { index, to } of moved) {
      this.#tables.set(parts[index].cluster, to * clusterBytes, false);
      this.#free(mappings[index], refcounts);
    }
  }

  async #discard(position: number, length: number): Promise<void> {
    const refcounts = this.#writable();
    const { clusterBytes } = this.#header;
    const end = position + length;
    const diskEnd = this.geometry.sectorCount * sectorSize;
    const first = Math.ceil(position / clusterBytes);
    // The disk's last cluster is whole when all there is of it is.
    const last = end === diskEnd ? Math.ceil(end / clusterBytes) : Math.floor(end / clusterBytes);
    if (first >= last) return this.#zero(position, length);
    if (position < first * clusterBytes) await this.#zero(position, first * clusterBytes - position);
    if (end > last * clusterBytes) await this.#zero(last * clusterBytes, end - last * clusterBytes);
    const perTable = clusterBytes / 8;
    for (let from = first; from < last;) {
      const until = Math.min(last, (Math.floor(from / perTable) + 1) * perTable);
      const begin = from;
      await this.#locked(begin, until - 1, true, () => this.#discardClusters(begin, until, refcounts));
      if (this.#tables.isFull) await this.#writeTables();
      from = until;
    }
    return undefined;
  }

  /** Clusters of one L2 table. */
  async #discardClusters(first: number, end: number, refcounts: Refcounts): Promise<void> {
    const { clusterBytes, version } = this.#header;
    const changing: number[] = [];
    for (let cluster = first; cluster < end; cluster++) {
      const mapping = await this.#tables.find(cluster);
      if (!this.#isBlank(mapping) || mapping.offset !== 0) changing.push(cluster);
    }
    if (changing.length === 0) return;
    if (version === 2 && this.#backing !== undefined) {
      // This version cannot say that a cluster reads as zeros.
      for (const cluster of changing) {
        const length = Math.min(clusterBytes, this.geometry.sectorCount * sectorSize - cluster * clusterBytes);
        await this.#writeAllocating(cluster * clusterBytes, new Uint8Array(length), refcounts);
      }
      return;
    }
    while (!this.#tables.isPrepared(first, end - 1, refcounts)) await this.#tables.prepare(first, end - 1, refcounts);
    for (const cluster of changing) {
      const mapping = this.#tables.peek(cluster)!;
      this.#tables.set(cluster, 0, this.#backing !== undefined);
      this.#free(mapping, refcounts);
    }
  }

  /** Part of a cluster. */
  async #zero(position: number, length: number): Promise<void> {
    for (const part of this.#parts(position, length)) {
      const mapping = await this.#locked(part.cluster, part.cluster, false, () => this.#tables.find(part.cluster));
      if (!this.#isBlank(mapping)) await this.#write(position + part.at, new Uint8Array(part.length));
    }
  }

  #writable(): Refcounts {
    if (this.#refcounts === undefined) throw new DiskImageError("unsupported", "the image is open for reading only");
    return this.#refcounts;
  }

  /** Whether a cluster is in the file for this disk alone, and can be written to where it is. */
  #isOwn(mapping: Mapping, refcounts: Refcounts): boolean {
    return mapping.kind === "data" && refcounts.get(mapping.offset / this.#header.clusterBytes) === 1;
  }

  /** Whether a cluster reads as zeros. */
  #isBlank(mapping: Mapping): boolean {
    return mapping.kind === "zero" || (mapping.kind === "unallocated" && this.#backing === undefined);
  }

  #free(mapping: Mapping, refcounts: Refcounts): void {
    const { clusterBytes } = this.#header;
    if (mapping.kind === "compressed") {
      for (const cluster of compressedClusters(mapping, clusterBytes)) refcounts.free(cluster);
    } else if (mapping.offset !== 0) {
      refcounts.free(mapping.offset / clusterBytes);
    }
  }

  // --- Tables -----------------------------------------------------------------------------------------------------------

  /** Makes what was completed before survive a loss of power. */
  async #flush(): Promise<void> {
    // What is being written now may not arrive, and is dirty again then.
    await this.#writing.catch(() => undefined);
    if (this.#refcounts !== undefined && (this.#tables.dirty || this.#refcounts.dirty)) return this.#writeTables();
    return this.#file.sync();
  }

  /** Writes all that has changed; whoever comes while that goes on shares the next one. */
  #writeTables(): Promise<void> {
    this.#next ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#writing = this.#next!;
        this.#next = undefined;
        return this.#writeTablesNow();
      });
    return this.#next;
  }

  async #writeTablesNow(): Promise<void> {
    const refcounts = this.#writable();
    const lazy = this.#header.lazyRefcounts;
    if (lazy && !this.#markedDirty) await this.#markDirty(true);
    // All at one moment; what is changed from here on belongs to the next time.
    const counts = lazy ? undefined : refcounts.takeDirty();
    const freed = refcounts.takeFreed();
    const { l2, l1 } = this.#tables.takeDirty();
    try {
      // Data comes before what refers to it: what a cluster held before must not be lost to what is not there yet.
      const synced = counts !== undefined && (await this.#writeCounts(counts));
      if (!synced && l2.length > 0) await this.#file.sync();
      await this.#writeAll(l2);
      await this.#file.sync();
      if (l1.length > 0) {
        await this.#writeAll(l1);
        await this.#file.sync();
      }
    } catch (error) {
      refcounts.markDirty();
      this.#tables.markDirty();
      for (const cluster of freed) refcounts.free(cluster);
      throw error;
    } finally {
      this.#tables.written();
    }
    refcounts.releaseFreed(freed);
  }

  async #writeRefcounts(refcounts: Refcounts): Promise<void> {
    await this.#writeCounts(refcounts.takeDirty());
    const freed = refcounts.takeFreed();
    if (freed.length === 0) return;
    // The refcount table moved: its old place is free.
    refcounts.releaseFreed(freed);
    await this.#writeCounts(refcounts.takeDirty());
  }

  /** Returns whether there was anything to write, and so everything written before is safe. */
  async #writeCounts({ blocks, table, moved }: ReturnType<Refcounts["takeDirty"]>): Promise<boolean> {
    await this.#writeStep(blocks);
    await this.#writeStep(table);
    if (moved !== undefined) {
      const view = new DataView(new ArrayBuffer(12));
      view.setBigUint64(0, BigInt(moved.offset));
      view.setUint32(8, moved.clusters);
      await this.#writeStep([{ offset: headerOffset.refcountTable, data: new Uint8Array(view.buffer) }]);
    }
    return blocks.length + table.length > 0 || moved !== undefined;
  }

  async #writeStep(writes: readonly PendingWrite[]): Promise<void> {
    if (writes.length === 0) return;
    await this.#writeAll(writes);
    await this.#file.sync();
  }

  async #markDirty(dirty: boolean): Promise<void> {
    const { incompatible } = this.#header;
    await setFeatures(
      this.#file,
      headerOffset.incompatible,
      dirty ? incompatible | Incompatible.dirty : incompatible & ~Incompatible.dirty,
    );
    this.#markedDirty = dirty;
  }

  // --- Odds and ends ----------------------------------------------------------------------------------------------------

  async #writeAll(writes: readonly PendingWrite[]): Promise<void> {
    const results = await Promise.allSettled(writes.map(({ offset, data }) => this.#file.write(offset, data)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  async #locked<T>(first: number, last: number, exclusive: boolean, work: () => Promise<T>): Promise<T> {
    const release = await this.#locks.acquire(first, last, exclusive);
    try {
      return await work();
    } finally {
      release();
    }
  }

  #cluster(position: number): number {
    return Math.floor(position / this.#header.clusterBytes);
  }

  /** A range of the disk, cut at the ends of clusters. */
  *#parts(position: number, length: number): Generator<Part> {
    const { clusterBytes } = this.#header;
    for (let at = 0; at < length;) {
      const within = (position + at) % clusterBytes;
      const count = Math.min(clusterBytes - within, length - at);
      yield { cluster: (position + at - within) / clusterBytes, within, at, length: count };
      at += count;
    }
  }
}

/** A part of a request that lies in one cluster. */
interface Part {
  readonly cluster: number;
  /** Offset in the cluster. */
  readonly within: number;
  /** Offset in the request. */
  readonly at: number;
  readonly length: number;
}

/** Parts of a request that are read together: from `from` bytes after where the first one's cluster is. */
interface Run {
  readonly mapping: Mapping;
  readonly from: number;
  readonly at: number;
  readonly length: number;
}

/** The run with another part, if that comes next. */
function extend(run: Run, mapping: Mapping, part: Part): Run | undefined {
  if (mapping.kind !== run.mapping.kind || mapping.kind === "compressed") return undefined;
  const isNext = mapping.kind !== "data" || mapping.offset === run.mapping.offset + run.from + run.length;
  return isNext ? { ...run, length: run.length + part.length } : undefined;
}

/** Adds a part of the data to the writes, to the last one if it comes next. */
function append(writes: PendingWrite[], offset: number, data: Uint8Array, part: Part): void {
  const last = writes.at(-1);
  if (last !== undefined && last.offset + last.data.length === offset && last.data.buffer === data.buffer) {
    const begin = last.data.byteOffset - data.byteOffset;
    if (begin + last.data.length === part.at) {
      writes[writes.length - 1] = { offset: last.offset, data: data.subarray(begin, part.at + part.length) };
      return;
    }
  }
  writes.push({ offset, data: data.subarray(part.at, part.at + part.length) });
}

/** Loads the refcounts, having checked the image. */
async function loadForWriting(file: DiskFile, header: Qcow2Header): Promise<Refcounts> {
  if ((header.incompatible & Incompatible.corrupt) !== 0n) {
    throw new DiskImageError("corrupt", "the image is marked as corrupt; try qemu-img check -r all");
  }
  const refcounts = await Refcounts.load(file, header);
  await checkImage(file, header, refcounts, (header.incompatible & Incompatible.dirty) !== 0n);
  // What this does not know stays right only if nobody writes: it says so before anything is written.
  if (header.autoclear !== 0n) await setFeatures(file, headerOffset.autoclear, 0n);
  return refcounts;
}

async function openBacking(
  backing: { name: string; format: string | undefined },
  options: Qcow2Options,
): Promise<BackingDisk> {
  if (backing.format === undefined) {
    throw new DiskImageError(
      "unsupported",
      `the image does not say of what format "${backing.name}" below it is; qemu-img rebase -u -F does`,
    );
  }
  if (options.openBacking === undefined) throw new DiskImageError("unsupported", "the image is based on another one");
  return options.openBacking(backing.name, backing.format);
}

async function setFeatures(file: DiskFile, offset: number, features: bigint): Promise<void> {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, features);
  await file.write(offset, new Uint8Array(view.buffer));
  await file.sync();
}
