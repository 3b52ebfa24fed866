/**
 * The tables of a qcow2 image that say where each cluster of the disk is: L1 in memory, L2 in a cache whose changes go to
 * the file when they are taken from it.
 */

import { DiskImageError } from "../disk-file.ts";
import type { DiskFile } from "../disk-file.ts";
import { mappingOf, setEntry, tableOffset } from "./entries.ts";
import type { Mapping } from "./entries.ts";
import type { Qcow2Header } from "./header.ts";
import { fileEnd } from "./refcounts.ts";
import type { PendingWrite, Refcounts } from "./refcounts.ts";

/** Bytes of L2 tables that are kept; in clusters of 64 KiB they cover 64 GiB of the disk. */
const cacheBytes = 8 << 20;
/** L1 is written in pieces of this size, which no loss of power tears. */
const sectorBytes = 512;

const unallocated: Mapping = { kind: "unallocated", offset: 0 };

interface Table {
  readonly offset: number;
  readonly entries: DataView;
  dirty: boolean;
  /** Being written: what the file holds may be older. */
  writing: boolean;
}

export class MappingTables {
  readonly #file: DiskFile;
  readonly #header: Qcow2Header;
  readonly #l1: DataView;
  readonly #dirtyL1 = new Set<number>();
  /** By index in L1; the least recently used first. */
  readonly #cache = new Map<number, Table>();
  readonly #loading = new Map<number, Promise<void>>();
  readonly #capacity: number;
  #dirtyTables = 0;

  private constructor(file: DiskFile, header: Qcow2Header, l1: DataView) {
    this.#file = file;
    this.#header = header;
    this.#l1 = l1;
    this.#capacity = Math.max(8, cacheBytes / header.clusterBytes);
  }

  static async load(file: DiskFile, header: Qcow2Header): Promise<MappingTables> {
    const length = header.l1Entries * 8;
    if (header.l1Offset + length > fileEnd(file, header)) {
      throw new DiskImageError("corrupt", "the L1 table is not in the file");
    }
    return new MappingTables(file, header, new DataView((await file.read(header.l1Offset, length)).buffer));
  }

  /** Where a cluster of the disk is. */
  async find(cluster: number): Promise<Mapping> {
    const perTable = this.#header.clusterBytes / 8;
    const index = Math.floor(cluster / perTable);
    if (tableOffset(this.#l1, index) === 0) return unallocated;
    const table = this.#cached(index) ?? (await this.#load(index));
    return this.#checked(mappingOf(table.entries, cluster % perTable, this.#header.clusterBits));
  }

  /** Whether `set` for these clusters finds its tables in memory; otherwise `prepare` them. */
  isPrepared(first: number, last: number, refcounts: Refcounts): boolean {
    for (const index of this.#indexes(first, last)) {
      const offset = tableOffset(this.#l1, index);
      if (offset === 0 || !this.#cache.has(index) || !this.#isOwn(offset, refcounts)) return false;
    }
    return true;
  }

  /** Gets the tables that map these clusters, makes those that are missing, and copies those that snapshots share. */
  async prepare(first: number, last: number, refcounts: Refcounts): Promise<void> {
    for (const index of this.#indexes(first, last)) {
      const offset = tableOffset(this.#l1, index);
      const { clusterBytes } = this.#header;
      if (offset !== 0) await this.#load(index);
      // Nothing between here and the entry in L1 waits: two that prepare the same table do not both make it.
      const now = tableOffset(this.#l1, index);
      if (now !== 0 && this.#isOwn(now, refcounts)) continue;
      const old = this.#cache.get(index);
      if (now !== 0 && old === undefined) continue;
      const entries = new DataView(old === undefined ? new ArrayBuffer(clusterBytes) : old.entries.buffer.slice(0));
      const table: Table = { offset: refcounts.allocate(1) * clusterBytes, entries, dirty: true, writing: false };
      this.#cache.set(index, table);
      this.#dirtyTables++;
      setEntry(this.#l1, index, table.offset);
      this.#dirtyL1.add(Math.floor((index * 8) / sectorBytes));
      if (now !== 0) refcounts.free(now / clusterBytes);
    }
  }

  /** Maps a cluster whose table is prepared. An offset of 0 with `zero` is a cluster of zeros that takes no room. */
  set(cluster: number, offset: number, zero: boolean): void {
    const perTable = this.#header.clusterBytes / 8;
    const table = this.#cache.get(Math.floor(cluster / perTable));
    if (table === undefined) throw new Error("qcow2: a table that was not prepared");
    setEntry(table.entries, cluster % perTable, offset, zero);
    if (!table.dirty) this.#dirtyTables++;
    table.dirty = true;
  }

  /** The mapping, if its table is in memory. */
  peek(cluster: number): Mapping | undefined {
    const perTable = this.#header.clusterBytes / 8;
    const table = this.#cache.get(Math.floor(cluster / perTable));
    return table === undefined ? undefined : mappingOf(table.entries, cluster % perTable, this.#header.clusterBits);
  }

  /** Whether so much has changed that it should be written. */
  get isFull(): boolean {
    return this.#dirtyTables >= this.#capacity;
  }

  get dirty(): boolean {
    return this.#dirtyTables > 0 || this.#dirtyL1.size > 0;
  }

  /** What has to be written; L2 before L1. The caller says when it is `written`, and marks it dirty when it cannot be. */
  takeDirty(): { readonly l2: PendingWrite[]; readonly l1: PendingWrite[] } {
    const l2: PendingWrite[] = [];
    for (const table of this.#cache.values()) {
      if (!table.dirty) continue;
      table.dirty = false;
      table.writing = true;
      l2.push({ offset: table.offset, data: new Uint8Array(table.entries.buffer.slice(0)) });
    }
    this.#dirtyTables = 0;
    const l1 = [...this.#dirtyL1].map((sector) => {
      const at = sector * sectorBytes;
      const data = new Uint8Array(this.#l1.buffer.slice(at, Math.min(at + sectorBytes, this.#l1.byteLength)));
      return { offset: this.#header.l1Offset + at, data };
    });
    this.#dirtyL1.clear();
    return { l2, l1 };
  }

  written(): void {
    for (const table of this.#cache.values()) table.writing = false;
  }

  /** After a write that failed: all that may not be in the file. */
  markDirty(): void {
    for (const table of this.#cache.values()) table.dirty = true;
    this.#dirtyTables = this.#cache.size;
    for (let at = 0; at < this.#l1.byteLength; at += sectorBytes) this.#dirtyL1.add(at / sectorBytes);
  }

  *#indexes(first: number, last: number): Generator<number> {
    const perTable = this.#header.clusterBytes / 8;
    const end = Math.floor(last / perTable);
    for (let index = Math.floor(first / perTable); index <= end; index++) yield index;
  }

  #isOwn(offset: number, refcounts: Refcounts): boolean {
    return refcounts.get(offset / this.#header.clusterBytes) === 1;
  }

  #cached(index: number): Table | undefined {
    const table = this.#cache.get(index);
    if (table === undefined) return undefined;
    this.#cache.delete(index);
    this.#cache.set(index, table);
    return table;
  }

  async #load(index: number): Promise<Table> {
    for (;;) {
      const table = this.#cached(index);
      if (table !== undefined) return table;
      let loading = this.#loading.get(index);
      if (loading === undefined) {
        loading = this.#read(index).finally(() => this.#loading.delete(index));
        this.#loading.set(index, loading);
      }
      await loading;
    }
  }

  async #read(index: number): Promise<void> {
    const offset = tableOffset(this.#l1, index);
    const { clusterBytes } = this.#header;
    if (offset % clusterBytes !== 0 || offset >= this.#file.length) {
      throw new DiskImageError("corrupt", `an L2 table at 0x${offset.toString(16)}`);
    }
    const bytes = await this.#file.read(offset, clusterBytes);
    for (const [other, table] of this.#cache) {
      if (this.#cache.size < this.#capacity) break;
      if (!table.dirty && !table.writing) this.#cache.delete(other);
    }
    this.#cache.set(index, { offset, entries: new DataView(bytes.buffer), dirty: false, writing: false });
  }

  #checked(mapping: Mapping): Mapping {
    const misplaced = mapping.kind !== "compressed" && mapping.offset % this.#header.clusterBytes !== 0;
    if (misplaced || mapping.offset >= fileEnd(this.#file, this.#header)) {
      throw new DiskImageError("corrupt", `a cluster at 0x${mapping.offset.toString(16)}`);
    }
    return mapping;
  }
}
