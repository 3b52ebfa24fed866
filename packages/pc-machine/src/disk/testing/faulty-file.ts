/** A file on a medium with a cache, for tests: loses power, fails, runs full. */

import { DiskFileError, MemoryFile } from "../disk-file.ts";
import type { DiskFile } from "../disk-file.ts";

interface Write {
  readonly position: number;
  readonly data: Uint8Array;
}

const sectorBytes = 512;

export class FaultyFile implements DiskFile {
  readonly #now = new MemoryFile();
  /** What a loss of power leaves for certain. */
  readonly #durable = new MemoryFile();
  readonly #cached: Write[] = [];
  /** Writes past this are refused: the host's disk is full. */
  capacity: number = Infinity;
  /** Writes from now on until they fail. */
  writesLeft: number = Infinity;
  syncs = 0;

  get length(): number {
    return this.#now.length;
  }

  read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#now.read(position, length);
  }

  async write(position: number, data: Uint8Array): Promise<void> {
    if (position + data.length > this.capacity) throw new DiskFileError("no-space", "simulated: full");
    if (this.writesLeft-- <= 0) throw new DiskFileError("io", "simulated: write error");
    // The order in which writes take effect is nobody's to rely on.
    await Promise.resolve();
    this.#cached.push({ position, data: data.slice() });
    await this.#now.write(position, data);
  }

  async zero(position: number, length: number): Promise<void> {
    await this.write(position, new Uint8Array(length));
  }

  async sync(): Promise<void> {
    this.syncs++;
    // All at one moment: memory takes what it is given at once.
    await Promise.all(this.#cached.splice(0).map(({ position, data }) => this.#durable.write(position, data)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** What is there after a loss of power: of what was not synced, any sectors. */
  async afterPowerLoss(chance: () => boolean): Promise<FaultyFile> {
    // Both as they are now, before whoever uses this file goes on.
    const cached = [...this.#cached];
    const bytes = this.#durable.read(0, this.#durable.length);
    const after = new FaultyFile();
    await after.write(0, await bytes);
    for (const { position, data } of cached) {
      for (let at = 0; at < data.length; at += sectorBytes - ((position + at) % sectorBytes)) {
        const end = Math.min(data.length, at + sectorBytes - ((position + at) % sectorBytes));
        if (chance()) await after.write(position + at, data.subarray(at, end));
      }
    }
    await after.sync();
    after.syncs = 0;
    return after;
  }
}
