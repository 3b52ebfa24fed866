/** A raw image: the file's bytes are the disk's. */

import { failure, rangeError, succeeded, writeError } from "@doppel/mirror-storage";
import type { BlockDevice, Done, Geometry, WriteOptions } from "@doppel/mirror-storage";
import { perform } from "./disk-file.ts";
import type { DiskFile } from "./disk-file.ts";

const sectorSize = 512;

export class RawDisk implements BlockDevice {
  readonly geometry: Geometry;
  readonly #file: DiskFile;

  /** A last sector that the file holds only a part of reads as zeros past the end. */
  constructor(file: DiskFile) {
    this.#file = file;
    this.geometry = { sectorSize, sectorCount: Math.ceil(file.length / sectorSize) };
  }

  read(sector: number, count: number, done: Done<Uint8Array>): void {
    perform(done, async () => {
      const error = rangeError(this.geometry, sector, count);
      if (error) return { ok: false, error };
      return { ok: true, value: await this.#file.read(sector * sectorSize, count * sectorSize) };
    });
  }

  write(sector: number, data: Uint8Array, options: WriteOptions, done: Done): void {
    perform(done, async () => {
      const error = writeError(this.geometry, sector, data);
      if (error) return failure(error.kind, error.message);
      await this.#file.write(sector * sectorSize, data);
      if (options.fua === true) await this.#file.sync();
      return succeeded;
    });
  }

  flush(done: Done): void {
    perform(done, async () => {
      await this.#file.sync();
      return succeeded;
    });
  }

  discard(sector: number, count: number, options: WriteOptions, done: Done): void {
    perform(done, async () => {
      const error = rangeError(this.geometry, sector, count);
      if (error) return failure(error.kind, error.message);
      await this.#file.zero(sector * sectorSize, count * sectorSize);
      if (options.fua === true) await this.#file.sync();
      return succeeded;
    });
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
