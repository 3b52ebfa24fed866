// The secondary's memory on disk: an append-only log in one half of a device, compacted into the other half.
//
//   half:   | header | batch 0 | batch 1 | ...            each begins on a sector
//   header: magic u32, version u32, generation u64, salt u32, batches of the snapshot u32, checksum u32
//   batch:  magic u32, number u32, bytes u32, checksum u32, records
//
// - A batch counts whole or not at all: its checksum covers every byte, so a torn one is none. Nothing in a batch is
//   acknowledged before all of it is durable, hence a torn batch holds nothing that anybody relies on.
// - One batch is in flight at a time. One that is damaged although a later one is there was therefore durable once: that is
//   no torn write but a failed medium, and is reported instead of silently going back to an older epoch.
// - Full half: the state as it is now is written to the other half and flushed; then its header, with a higher generation,
//   makes it the journal, in one sector. Until then the full half is, and is untouched.
// - Checksums are salted: a guest writes what goes into records, and must not be able to write what looks like a batch.
import { assert, failure } from "./block-device.ts";
import type { BlockDevice, DeviceError, Result } from "./block-device.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { crc32c } from "./crc32c.ts";
import { maximumNoteBytes, readRecords, recordOverheadBytes, writeRecord } from "./journal-records.ts";
import type { JournalRecord } from "./journal-records.ts";

const headerMagic = 0x4a4d5044; // "DPMJ"
const batchMagic = 0x424d5044; // "DPMB"
const journalVersion = 1;
const headerBytes = 28;
const batchHeaderBytes = 16;

/** Bytes of records in a batch, unless one record is longer: long enough to make the flush cheap, short enough to wait for. */
const batchTargetBytes = 1 << 20;

/** Length of a batch that is believed when reading: the target and one longest record. */
const maximumBatchBytes = 4 * batchTargetBytes;

export type Checksum = (bytes: Uint8Array, seed: number) => number;

export interface JournalOptions {
  /** Any number that a guest cannot guess. It is used for new generations; the old ones bring their own. */
  readonly salt: number;
  readonly checksum?: Checksum;
  /** The state as records, for compaction. */
  readonly snapshot: () => Iterable<JournalRecord>;
  /** The device failed: nothing more will become durable. */
  readonly failed: (error: DeviceError) => void;
}

/** Sectors a journal needs for a state of at most so many blocks, in both halves together. */
export function journalSectors(blocks: number, blockBytes: number, sectorSize: number): number {
  // Each sector of a block may be a record of its own; and as much again, so that compaction is rare.
  const recordsBytes = blocks * (blockBytes + (blockBytes / sectorSize) * recordOverheadBytes) + maximumNoteBytes;
  const batches = Math.ceil(recordsBytes / batchTargetBytes) + 1;
  const halfBytes = 2 * (recordsBytes + batches * (batchHeaderBytes + sectorSize)) + 4 * batchTargetBytes;
  return 2 * (1 + Math.ceil(halfBytes / sectorSize));
}

interface Pending {
  readonly bytes: Uint8Array;
  readonly durable: (() => void) | undefined;
}

export class Journal {
  readonly #device: BlockDevice;
  readonly #options: JournalOptions;
  readonly #checksum: Checksum;
  readonly #halfSectors: number;
  #pending: Pending[] = [];
  #busy = true;
  #failed = false;
  #generation = 0;
  #half = 0;
  #salt = 0;
  /** Where the next batch goes, within the half. */
  #sector = 1;
  #batch = 0;

  constructor(device: BlockDevice, options: JournalOptions) {
    this.#device = device;
    this.#options = options;
    this.#checksum = options.checksum ?? crc32c;
    this.#halfSectors = Math.floor(device.geometry.sectorCount / 2);
  }

  /** Reads what is there. Afterwards the caller applies it and calls `begin`. */
  open(done: (result: Result<JournalRecord[]>) => void): void {
    void this.#readThen(done);
  }

  async #readThen(done: (result: Result<JournalRecord[]>) => void): Promise<void> {
    done(await this.#read());
  }

  /** Starts a generation with the snapshot, so that nothing is ever appended after a torn batch. */
  begin(durable: () => void): void {
    this.#pending.push({ bytes: new Uint8Array(), durable });
    this.#compact();
  }

  /** Appends a record; `durable` is called when it and all before it survive any crash. */
  append(record: JournalRecord, durable?: () => void): void {
    const out = new ByteWriter();
    writeRecord(record, out);
    this.#pending.push({ bytes: out.finish(), durable });
    this.#pump();
  }

  /** Calls `done` when all that was appended is durable. */
  sync(done: () => void): void {
    if (this.#failed) return;
    if (!this.#busy && this.#pending.length === 0) done();
    else this.#pending.push({ bytes: new Uint8Array(), durable: done });
  }

  #pump(): void {
    if (this.#busy || this.#failed || this.#pending.length === 0) return;
    const taken: Pending[] = [];
    let bytes = 0;
    while (taken.length < this.#pending.length && bytes < batchTargetBytes) {
      const next = this.#pending[taken.length];
      taken.push(next);
      bytes += next.bytes.length;
    }
    if (this.#sector + this.#sectorsFor(bytes) > this.#halfSectors) {
      this.#compact();
      return;
    }
    this.#pending.splice(0, taken.length);
    this.#busy = true;
    const image = this.#encodeBatch(taken.map((entry) => entry.bytes));
    const at = this.#half * this.#halfSectors + this.#sector;
    this.#sector += image.length / this.#device.geometry.sectorSize;
    this.#device.write(at, image, { fua: true }, (result) => {
      if (!result.ok) return this.#fail(result.error);
      this.#busy = false;
      for (const entry of taken) entry.durable?.();
      this.#pump();
    });
  }

  #compact(): void {
    const { sectorSize } = this.#device.geometry;
    this.#busy = true;
    // The snapshot holds what is pending too: the state is ahead of the log.
    const covered = this.#pending;
    this.#pending = [];
    this.#generation++;
    this.#half = 1 - this.#half;
    this.#salt = this.#options.salt;
    this.#sector = 1;
    this.#batch = 0;
    const base = this.#half * this.#halfSectors;
    const images: { at: number; image: Uint8Array }[] = [];
    let records: Uint8Array[] = [];
    let bytes = 0;
    const cut = (): void => {
      const image = this.#encodeBatch(records);
      images.push({ at: base + this.#sector, image });
      this.#sector += image.length / sectorSize;
      records = [];
      bytes = 0;
    };
    for (const record of this.#options.snapshot()) {
      const out = new ByteWriter();
      writeRecord(record, out);
      records.push(out.finish());
      bytes += out.length;
      if (bytes >= batchTargetBytes) cut();
    }
    if (bytes > 0) cut();
    if (this.#sector > this.#halfSectors) {
      return this.#fail(failure("no-space", "the journal is smaller than the state it has to hold").error);
    }
    const header = this.#encodeHeader(images.length);
    const next = (index: number): void => {
      if (index < images.length) {
        const { at, image } = images[index];
        this.#device.write(at, image, {}, (result) => (result.ok ? next(index + 1) : this.#fail(result.error)));
        return;
      }
      this.#device.flush((flushed) => {
        if (!flushed.ok) return this.#fail(flushed.error);
        this.#device.write(base, header, { fua: true }, (result) => {
          if (!result.ok) return this.#fail(result.error);
          this.#busy = false;
          for (const entry of covered) entry.durable?.();
          this.#pump();
        });
      });
    };
    next(0);
  }

  #fail(error: DeviceError): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#pending = [];
    this.#options.failed(error);
  }

  #sectorsFor(bytes: number): number {
    return Math.ceil((batchHeaderBytes + bytes) / this.#device.geometry.sectorSize);
  }

  #encodeBatch(records: readonly Uint8Array[]): Uint8Array {
    const { sectorSize } = this.#device.geometry;
    const length = records.reduce((sum, bytes) => sum + bytes.length, 0);
    assert(length <= maximumBatchBytes, "a batch is too long to be read back");
    const image = new Uint8Array(this.#sectorsFor(length) * sectorSize);
    const view = new DataView(image.buffer);
    let at = batchHeaderBytes;
    for (const bytes of records) {
      image.set(bytes, at);
      at += bytes.length;
    }
    view.setUint32(0, batchMagic, true);
    view.setUint32(4, this.#batch, true);
    view.setUint32(8, length, true);
    view.setUint32(12, this.#batchChecksum(image, length), true);
    this.#batch++;
    return image;
  }

  #batchChecksum(image: Uint8Array, length: number): number {
    const seed = (this.#salt ^ Math.imul(this.#generation, 0x9e3779b1)) >>> 0;
    const first = this.#checksum(image.subarray(0, 12), seed);
    return this.#checksum(image.subarray(batchHeaderBytes, batchHeaderBytes + length), first);
  }

  #encodeHeader(snapshotBatches: number): Uint8Array {
    const out = new ByteWriter()
      .u32(headerMagic)
      .u32(journalVersion)
      .u64(this.#generation)
      .u32(this.#salt >>> 0);
    out.u32(snapshotBatches).u32(0);
    const { sectorSize } = this.#device.geometry;
    const image = new Uint8Array(Math.ceil(headerBytes / sectorSize) * sectorSize);
    assert(image.length === sectorSize, "the header fits into a sector");
    image.set(out.finish());
    const checksum = crc32c(image.subarray(0, headerBytes - 4));
    new DataView(image.buffer).setUint32(headerBytes - 4, checksum, true);
    return image;
  }

  async #read(): Promise<Result<JournalRecord[]>> {
    const headers: { half: number; generation: number; salt: number; snapshotBatches: number }[] = [];
    for (const half of [0, 1]) {
      const sector = await this.#sectors(half * this.#halfSectors, 1);
      if (!sector.ok) return sector;
      const input = new ByteReader(sector.value);
      const [magic, version, generation] = [input.u32(), input.u32(), input.u64()];
      const [salt, snapshotBatches, checksum] = [input.u32(), input.u32(), input.u32()];
      if (magic !== headerMagic || checksum !== crc32c(sector.value.subarray(0, headerBytes - 4))) continue;
      if (version !== journalVersion) return failure("io", `a journal of version ${version} cannot be read`);
      headers.push({ half, generation, salt, snapshotBatches });
    }
    const newest = headers.toSorted((a, b) => b.generation - a.generation)[0];
    if (newest === undefined) {
      // `begin` goes to the other half: the first one.
      this.#half = 1;
      return { ok: true, value: [] };
    }
    this.#half = newest.half;
    this.#generation = newest.generation;
    this.#salt = newest.salt;
    const records: JournalRecord[] = [];
    let at = 1;
    for (let number = 0; ; number++) {
      const batch = await this.#batchAt(at);
      if (!batch.ok) return batch;
      if (batch.value === undefined || batch.value.number !== number) {
        if (number < newest.snapshotBatches) return failure("io", "the journal is damaged: its snapshot is incomplete");
        const later = await this.#laterBatch(at, number);
        return later.ok ? { ok: true, value: records } : later;
      }
      for (const record of batch.value.records) records.push(record);
      at += batch.value.sectors;
    }
  }

  /** Fails if there is a batch of this generation with a number higher than one that is not valid. */
  async #laterBatch(from: number, number: number): Promise<Result<void>> {
    const { sectorSize } = this.#device.geometry;
    const chunk = Math.max(1, Math.floor(batchTargetBytes / sectorSize));
    for (let at = from + 1; at < this.#halfSectors; at += chunk) {
      const sectors = await this.#sectors(this.#half * this.#halfSectors + at, Math.min(chunk, this.#halfSectors - at));
      if (!sectors.ok) return sectors;
      const view = new DataView(sectors.value.buffer, sectors.value.byteOffset, sectors.value.byteLength);
      for (let within = 0; within * sectorSize < sectors.value.length; within++) {
        if (view.getUint32(within * sectorSize, true) !== batchMagic) continue;
        const batch = await this.#batchAt(at + within);
        if (!batch.ok) return batch;
        if (batch.value !== undefined && batch.value.number > number) {
          return failure("io", `the journal is damaged: batch ${number} is not valid, but ${batch.value.number} is`);
        }
      }
    }
    return { ok: true, value: undefined };
  }

  async #batchAt(
    at: number,
  ): Promise<Result<{ number: number; sectors: number; records: JournalRecord[] } | undefined>> {
    const none = { ok: true, value: undefined } as const;
    if (at >= this.#halfSectors) return none;
    const first = await this.#sectors(this.#half * this.#halfSectors + at, 1);
    if (!first.ok) return first;
    const view = new DataView(first.value.buffer, first.value.byteOffset, first.value.byteLength);
    const [magic, number, length] = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)];
    const sectors = this.#sectorsFor(length);
    if (magic !== batchMagic || length > maximumBatchBytes || at + sectors > this.#halfSectors) return none;
    const all = await this.#sectors(this.#half * this.#halfSectors + at, sectors);
    if (!all.ok) return all;
    if (view.getUint32(12, true) !== this.#batchChecksum(all.value, length)) return none;
    const records = readRecords(all.value.subarray(batchHeaderBytes, batchHeaderBytes + length));
    return records === undefined ? none : { ok: true, value: { number, sectors, records } };
  }

  #sectors(sector: number, count: number): Promise<Result<Uint8Array>> {
    return new Promise((resolve) => {
      this.#device.read(sector, count, resolve);
    });
  }
}
