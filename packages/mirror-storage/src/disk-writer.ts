// Writes many runs of sectors to a disk with a bounded number in flight, then flushes.
import { succeeded } from "./block-device.ts";
import type { BlockDevice, Done, Result, WriteOptions } from "./block-device.ts";
import { isEqual } from "./bytes.ts";

/** Writes in flight at once: what keeps a disk busy without filling its queue. */
const maximumInFlight = 16;

export class DiskWriter {
  readonly #disk: BlockDevice;
  #inFlight = 0;
  #idle: (() => void)[] = [];

  constructor(disk: BlockDevice) {
    this.#disk = disk;
  }

  write(sector: number, data: Uint8Array, options: WriteOptions, done: Done): void {
    this.#inFlight++;
    this.#disk.write(sector, data, options, (result) => this.#ended(result, done));
  }

  /**
   * Makes sectors what they are to be, with a write only if they are not that already: a disk that comes back, or a new one, is
   * mostly what it should be.
   */
  settle(sector: number, data: Uint8Array, options: WriteOptions, done: Done): void {
    this.#inFlight++;
    this.#disk.read(sector, data.length / this.#disk.geometry.sectorSize, (result) => {
      // What cannot be read may still be written.
      if (result.ok && isEqual(result.value, data)) this.#ended(succeeded, done);
      else this.#disk.write(sector, data, options, (end) => this.#ended(end, done));
    });
  }

  #ended(result: Result<void>, done: Done): void {
    this.#inFlight--;
    done(result);
    if (this.#inFlight > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const call of idle) call();
  }

  /** Calls when no write is in flight. */
  whenIdle(call: () => void): void {
    if (this.#inFlight === 0) call();
    else this.#idle.push(call);
  }

  /** All of them, then a flush. The first error ends it. Runs must not touch each other's sectors. */
  writeAll(runs: Iterable<{ sector: number; data: Uint8Array }>, options: WriteOptions, done: Done): void {
    const source = runs[Symbol.iterator]();
    let inFlight = 0;
    let exhausted = false;
    const errors: Result<void>[] = [];
    const step = (): void => {
      while (!exhausted && errors.length === 0 && inFlight < maximumInFlight) {
        const next = source.next();
        if (next.done) exhausted = true;
        else {
          inFlight++;
          this.write(next.value.sector, next.value.data, options, (result) => {
            inFlight--;
            if (!result.ok) errors.push(result);
            step();
          });
        }
      }
      if (inFlight > 0) return;
      if (errors.length > 0) done(errors[0]);
      else this.#disk.flush((result) => done(result.ok ? succeeded : result));
    };
    step();
  }
}
