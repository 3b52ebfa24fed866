// A disk in memory, for tests, for scratch disks and for whoever wants to see the interface at its smallest.
import { failure, rangeError, succeeded, writeError } from "./block-device.ts";
import type { Done, FencedDevice, Geometry, Result, WriteOptions } from "./block-device.ts";

export class MemoryDevice implements FencedDevice {
  readonly geometry: Geometry;
  /** The disk's content. */
  readonly bytes: Uint8Array;
  #fence = 0;

  constructor(geometry: Geometry) {
    this.geometry = geometry;
    this.bytes = new Uint8Array(geometry.sectorSize * geometry.sectorCount);
  }

  read(sector: number, count: number, done: Done<Uint8Array>): void {
    const error = rangeError(this.geometry, sector, count);
    const { sectorSize } = this.geometry;
    complete(
      done,
      error
        ? { ok: false, error }
        : { ok: true, value: this.bytes.slice(sector * sectorSize, (sector + count) * sectorSize) },
    );
  }

  write(sector: number, data: Uint8Array, options: WriteOptions, done: Done): void {
    const error = writeError(this.geometry, sector, data);
    if (error) return complete(done, { ok: false, error });
    if (this.#isFenced(options)) return complete(done, failure("fenced", `token ${options.token} is too old`));
    this.bytes.set(data, sector * this.geometry.sectorSize);
    complete(done, succeeded);
  }

  flush(done: Done): void {
    complete(done, succeeded);
  }

  discard(sector: number, count: number, options: WriteOptions, done: Done): void {
    const error = rangeError(this.geometry, sector, count);
    if (error) return complete(done, { ok: false, error });
    if (this.#isFenced(options)) return complete(done, failure("fenced", `token ${options.token} is too old`));
    const { sectorSize } = this.geometry;
    this.bytes.fill(0, sector * sectorSize, (sector + count) * sectorSize);
    complete(done, succeeded);
  }

  fence(token: number, done: Done): void {
    if (token < this.#fence) return complete(done, failure("fenced", `the fence is at ${this.#fence} already`));
    this.#fence = token;
    complete(done, succeeded);
  }

  #isFenced(options: WriteOptions): boolean {
    return options.token !== undefined && options.token < this.#fence;
  }
}

function complete<T>(done: Done<T>, result: Result<T>): void {
  queueMicrotask(() => done(result));
}
