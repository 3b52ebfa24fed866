import { expect, it } from "vitest";
import { failure, succeeded } from "./block-device.ts";
import type { BlockDevice, Result } from "./block-device.ts";
import { DiskWriter } from "./disk-writer.ts";
import { MemoryDevice } from "./memory-device.ts";

/** Settles sectors 2 and 3, and returns which sectors were written. */
async function settle(disk: MemoryDevice, data: Uint8Array, isReadable = true): Promise<number[]> {
  const written: number[] = [];
  const device: BlockDevice = {
    geometry: disk.geometry,
    read: (sector, count, done) => (isReadable ? disk.read(sector, count, done) : done(failure("io", "unreadable"))),
    write: (sector, bytes, options, done) => {
      written.push(sector);
      disk.write(sector, bytes, options, done);
    },
    flush: (done) => disk.flush(done),
    discard: (sector, count, options, done) => disk.discard(sector, count, options, done),
  };
  const result = await new Promise<Result<void>>((resolve) => new DiskWriter(device).settle(2, data, {}, resolve));
  expect(result).toEqual(succeeded);
  return written;
}

it("S1 what is on the disk already is not written to it, unless it cannot be read", async () => {
  const disk = new MemoryDevice({ sectorSize: 512, sectorCount: 8 });
  const data = new Uint8Array(1024).fill(7);
  expect(await settle(disk, new Uint8Array(1024))).toEqual([]);
  expect(await settle(disk, data)).toEqual([2]);
  expect(await settle(disk, data)).toEqual([]);
  expect(await settle(disk, Uint8Array.from(data).fill(8, 1023))).toEqual([2]);
  expect(await settle(disk, data, false)).toEqual([2]);
});
