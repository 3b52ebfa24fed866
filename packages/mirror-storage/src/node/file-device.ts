// A disk in a file, through Node's asynchronous calls.
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { failure, rangeError, succeeded, writeError } from "../block-device.ts";
import type { BlockDevice, Done, Geometry, Result, WriteOptions } from "../block-device.ts";

export interface FileDeviceOptions {
  /** Bytes; a power of two. Default: 512. */
  readonly sectorSize?: number;
  /** Size of the file, made this long if it is shorter. Default: as long as it is. */
  readonly sectorCount?: number;
}

export class FileDevice implements BlockDevice {
  readonly geometry: Geometry;
  readonly #file: FileHandle;

  private constructor(file: FileHandle, geometry: Geometry) {
    this.#file = file;
    this.geometry = geometry;
  }

  /** Opens the file, or makes it if a size is given. Rejects as `fs.open` does. */
  static async open(path: string, options: FileDeviceOptions = {}): Promise<FileDevice> {
    const { sectorSize = 512 } = options;
    const file = await open(path, "r+").catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT" || options.sectorCount === undefined) throw error;
      return open(path, "wx+");
    });
    try {
      const { size } = await file.stat();
      const sectorCount = options.sectorCount ?? Math.floor(size / sectorSize);
      if (size < sectorCount * sectorSize) await file.truncate(sectorCount * sectorSize);
      return new FileDevice(file, { sectorSize, sectorCount });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Nothing may be in flight. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  read(sector: number, count: number, done: Done<Uint8Array>): void {
    this.#perform(done, async () => {
      const error = rangeError(this.geometry, sector, count);
      if (error) return { ok: false, error };
      const { sectorSize } = this.geometry;
      const bytes = new Uint8Array(count * sectorSize);
      for (let at = 0; at < bytes.length;) {
        const { bytesRead } = await this.#file.read(bytes, at, bytes.length - at, sector * sectorSize + at);
        if (bytesRead === 0) return failure("io", "the file is shorter than the disk");
        at += bytesRead;
      }
      return { ok: true, value: bytes };
    });
  }

  write(sector: number, data: Uint8Array, options: WriteOptions, done: Done): void {
    this.#perform(done, async () => {
      const error = writeError(this.geometry, sector, data);
      if (error) return { ok: false, error };
      for (let at = 0; at < data.length;) {
        const position = sector * this.geometry.sectorSize + at;
        at += (await this.#file.write(data, at, data.length - at, position)).bytesWritten;
      }
      if (options.fua === true) await this.#file.datasync();
      return succeeded;
    });
  }

  flush(done: Done): void {
    this.#perform(done, async () => {
      await this.#file.datasync();
      return succeeded;
    });
  }

  /** Writes zeros: Node cannot punch holes. */
  discard(sector: number, count: number, options: WriteOptions, done: Done): void {
    const error = rangeError(this.geometry, sector, count);
    const length = error ? 0 : count * this.geometry.sectorSize;
    if (error) this.#perform(done, () => Promise.resolve({ ok: false, error }));
    else this.write(sector, new Uint8Array(length), options, done);
  }

  #perform<T>(done: Done<T>, work: () => Promise<Result<T>>): void {
    void this.#settle(done, work);
  }

  async #settle<T>(done: Done<T>, work: () => Promise<Result<T>>): Promise<void> {
    let result: Result<T>;
    try {
      await Promise.resolve();
      result = await work();
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      result = failure(code === "ENOSPC" || code === "EDQUOT" ? "no-space" : "io", message);
    }
    done(result);
  }
}
