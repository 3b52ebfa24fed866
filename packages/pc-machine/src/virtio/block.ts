/**
 * The block device (virtio 1.2, 5.2) over any disk that keeps the contract of `@doppel/mirror-storage`.
 *
 * Requests are started as they come and complete in any order. A driver that negotiated no write cache, or turned it
 * off, gets every write forced to the medium; otherwise a completed flush means what the disk's means.
 */

import type { BlockDevice, Result } from "@doppel/mirror-storage";
import type { RecordReader } from "../snapshot/record-reader.ts";
import type { StateRecord } from "../ports.ts";
import type { Chain } from "./chain.ts";
import { VirtioDevice } from "./virtio-device.ts";
import type { VirtioOptions } from "./virtio-device.ts";

export interface BlockOptions extends VirtioOptions {
  readonly disk: BlockDevice;
  /** What the driver reads as the disk's serial number: at most 20 ASCII characters. */
  readonly serial?: string;
  readonly readOnly?: boolean;
  /** Told, for a log, why a request failed; the driver only learns that it did. */
  readonly onError?: (message: string) => void;
}

/** Feature bits (5.2.3). */
const Feature = {
  segmentsMaximum: 2,
  readOnly: 5,
  blockSize: 6,
  flush: 9,
  topology: 10,
  configurableWriteCache: 11,
  discard: 13,
  writeZeroes: 14,
} as const;

/** Types of request (5.2.6). */
const Request = { read: 0, write: 1, flush: 4, identify: 8, discard: 11, writeZeroes: 13 } as const;

const statusOk = 0;
const statusError = 1;
const statusUnsupported = 2;
type RequestStatus = typeof statusOk | typeof statusError | typeof statusUnsupported;

/** The unit of the protocol, whatever the sectors of the disk are. */
const protocolSectorBytes = 512;
const headerBytes = 16;
const identifierBytes = 20;
const rangeBytes = 16;
const flagUnmap = 1;

const queueSize = 256;
/** A chain has two buffers beside the data's. */
const maximumSegments = queueSize - 2;
/** Longer requests go to the disk in pieces, so that one request holds no more of the host's memory. */
const pieceBytes = 1 << 20;
const maximumRanges = 64;
const maximumRangeSectors = 1 << 22;
const configurationBytes = 60;
const writebackOffset = 32;

/** A request while it is under way. */
interface Running {
  readonly chain: Chain;
  /** Whether the driver still waits for it. */
  readonly isWanted: () => boolean;
  /** To be called once, with how it ended. */
  readonly end: (status: RequestStatus) => void;
}

export class VirtioBlock extends VirtioDevice {
  readonly version = 1;
  readonly #disk: BlockDevice;
  readonly #serial: Uint8Array;
  readonly #readOnly: boolean;
  readonly #onError: (message: string) => void;
  readonly #configuration = new DataView(new ArrayBuffer(configurationBytes));
  readonly #sectors: number;

  constructor(options: BlockOptions) {
    const { disk, serial = "", readOnly = false } = options;
    const features: number[] = [
      Feature.segmentsMaximum,
      Feature.blockSize,
      Feature.flush,
      Feature.topology,
      Feature.configurableWriteCache,
    ];
    if (readOnly) features.push(Feature.readOnly);
    else features.push(Feature.discard, Feature.writeZeroes);
    super({ type: 2, features, queueSizes: [queueSize] }, options);
    this.#disk = disk;
    this.#readOnly = readOnly;
    this.#onError = options.onError ?? ((): void => undefined);
    this.#serial = new Uint8Array(identifierBytes);
    this.#serial.set(new TextEncoder().encode(serial).subarray(0, identifierBytes));
    this.#sectors = disk.geometry.sectorCount * (disk.geometry.sectorSize / protocolSectorBytes);
    this.#layOut();
  }

  get configuration(): Uint8Array {
    return new Uint8Array(this.#configuration.buffer);
  }

  override writeConfiguration(offset: number, data: Uint8Array): void {
    if (offset === writebackOffset && this.has(Feature.configurableWriteCache)) {
      this.#configuration.setUint8(writebackOffset, data[0] & 1);
    }
  }

  protected override stopped(): void {
    this.#configuration.setUint8(writebackOffset, 1);
  }

  protected override saveDevice(): StateRecord {
    return { writeback: this.#configuration.getUint8(writebackOffset) === 1, sectors: this.#sectors };
  }

  protected override loadDevice(reader: RecordReader): void {
    reader.integer("sectors", this.#sectors, this.#sectors);
    this.#configuration.setUint8(writebackOffset, reader.boolean("writeback") ? 1 : 0);
  }

  protected override notified(index: number): void {
    const queue = this.queue(index);
    for (let chain = queue?.pop(); chain !== undefined; chain = queue?.pop()) this.#start(index, chain);
  }

  #layOut(): void {
    const view = this.#configuration;
    const { sectorSize } = this.#disk.geometry;
    const alignment = sectorSize / protocolSectorBytes;
    view.setBigUint64(0, BigInt(this.#sectors), true);
    view.setUint32(12, maximumSegments, true);
    view.setUint32(20, sectorSize, true);
    // Topology: physical blocks are logical ones; the best size is a page.
    view.setUint16(26, 1, true);
    view.setUint32(28, Math.max(1, 4096 / sectorSize), true);
    view.setUint8(writebackOffset, 1);
    view.setUint16(34, 1, true);
    view.setUint32(36, maximumRangeSectors, true);
    view.setUint32(40, maximumRanges, true);
    view.setUint32(44, alignment, true);
    view.setUint32(48, maximumRangeSectors, true);
    view.setUint32(52, maximumRanges, true);
    view.setUint8(56, 1);
  }

  #start(index: number, chain: Chain): void {
    const header = chain.read(0, headerBytes);
    if (header === undefined || chain.writableBytes < 1) return this.fail("a request without header or status");
    const operation = this.begin();
    const end = (status: RequestStatus): void =>
      operation.complete(() => {
        const written = chain.write(chain.writableBytes - 1, Uint8Array.of(status));
        this.use(index, chain, written ? chain.writableBytes : 0);
      });
    const view = new DataView(header.buffer);
    const request = { chain, isWanted: () => operation.isWanted(), end };
    return this.#perform(view.getUint32(0, true), Number(view.getBigUint64(8, true)), request);
  }

  #perform(type: number, sector: number, request: Running): void {
    const { chain, isWanted, end } = request;
    switch (type) {
      case Request.read:
        return this.#transfer(sector, chain.writableBytes - 1, request, (at, first, count, next) =>
          this.#disk.read(first, count, (result) =>
            this.whenReleased(() => {
              if (result.ok && isWanted() && !chain.write(at, result.value)) end(statusError);
              else next(result);
            }),
          ),
        );
      case Request.write:
        if (this.#readOnly) return end(statusError);
        return this.#transfer(sector, chain.readableBytes - headerBytes, request, (at, first, count, next) => {
          const data = chain.read(headerBytes + at, count * this.#disk.geometry.sectorSize);
          if (data === undefined) return end(statusError);
          return this.#disk.write(first, data, { fua: this.#writeThrough }, next);
        });
      case Request.flush:
        return this.#disk.flush((result) => this.#settle(result, request));
      case Request.identify:
        return end(
          chain.write(0, this.#serial.subarray(0, Math.min(identifierBytes, chain.writableBytes - 1)))
            ? statusOk
            : statusError,
        );
      case Request.discard:
      case Request.writeZeroes:
        return this.#ranges(type, request);
      default:
        return end(statusUnsupported);
    }
  }

  /** Without a cache to flush, a completed write has to be on the medium (5.2.6.2). */
  get #writeThrough(): boolean {
    if (!this.has(Feature.flush)) return true;
    return this.has(Feature.configurableWriteCache) && this.#configuration.getUint8(writebackOffset) === 0;
  }

  /**
   * Goes over `length` bytes from a sector of the protocol in pieces, in the disk's sectors. `piece` is given the offset
   * in the data, and calls `next` when done.
   */
  #transfer(
    sector: number,
    length: number,
    request: Running,
    piece: (at: number, first: number, count: number, next: (result: Result<unknown>) => void) => void,
  ): void {
    const { sectorSize } = this.#disk.geometry;
    const start = sector * protocolSectorBytes;
    if (length < 1 || start % sectorSize !== 0 || length % sectorSize !== 0 || !this.#isOnDisk(start, length)) {
      return request.end(statusError);
    }
    const from = (at: number): void => {
      // What nobody waits for need not go on either.
      if (at === length || !request.isWanted()) return request.end(statusOk);
      const bytes = Math.min(pieceBytes, length - at);
      return piece(at, (start + at) / sectorSize, bytes / sectorSize, (result) => {
        if (result.ok) from(at + bytes);
        else this.#settle(result, request);
      });
    };
    return from(0);
  }

  #isOnDisk(start: number, length: number): boolean {
    return start + length <= this.#sectors * protocolSectorBytes;
  }

  #settle(result: Result<unknown>, { end }: Running): void {
    if (!result.ok) this.#onError(`${this.id}: ${result.error.message}`);
    end(result.ok ? statusOk : statusError);
  }

  /** Discard and write-zeroes: each of their ranges after the other (5.2.6: struct virtio_blk_discard_write_zeroes). */
  #ranges(type: typeof Request.discard | typeof Request.writeZeroes, request: Running): void {
    const { chain, end } = request;
    const length = chain.readableBytes - headerBytes;
    const bytes = length <= maximumRanges * rangeBytes ? chain.read(headerBytes, length) : undefined;
    if (this.#readOnly || bytes === undefined || length < rangeBytes || length % rangeBytes !== 0) {
      return end(statusError);
    }
    const view = new DataView(bytes.buffer);
    const from = (at: number): void => {
      if (at === length) return end(statusOk);
      const sector = Number(view.getBigUint64(at, true));
      const count = view.getUint32(at + 8, true);
      const flags = view.getUint32(at + 12, true);
      const allowed = type === Request.discard ? 0 : flagUnmap;
      if ((flags & ~allowed) !== 0) return end(statusUnsupported);
      if (count > maximumRangeSectors) return end(statusError);
      const next: Running = {
        ...request,
        end: (status) => (status === statusOk ? from(at + rangeBytes) : end(status)),
      };
      if (type === Request.writeZeroes && flags === 0) return this.#writeZeroes(sector, count, next);
      return this.#discard(sector, count, next);
    };
    return from(0);
  }

  /** The disk reads as zeros where it was discarded, so that this also zeroes where room may be given up. */
  #discard(sector: number, count: number, request: Running): void {
    this.#transfer(sector, count * protocolSectorBytes, request, (_, first, sectors, next) =>
      this.#disk.discard(first, sectors, { fua: this.#writeThrough }, next),
    );
  }

  #writeZeroes(sector: number, count: number, request: Running): void {
    this.#transfer(sector, count * protocolSectorBytes, request, (_, first, sectors, next) =>
      this.#disk.write(
        first,
        new Uint8Array(sectors * this.#disk.geometry.sectorSize),
        { fua: this.#writeThrough },
        next,
      ),
    );
  }
}
