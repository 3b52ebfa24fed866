import { MemoryDevice } from "@doppel/mirror-storage";
import type { BlockDevice, Result } from "@doppel/mirror-storage";
import { Random, submitted } from "@doppel/mirror-storage/testing";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DiskFileError, DiskImageError, MemoryFile } from "../disk-file.ts";
import { FaultyFile } from "../testing/faulty-file.ts";
import { createQcow2 } from "./create.ts";
import { Qcow2Disk } from "./image.ts";

const sectors = 512;
const size = sectors * 512;

const write = (disk: BlockDevice, sector: number, count: number, value: number): Promise<Result<void>> =>
  submitted((done) => disk.write(sector, new Uint8Array(count * 512).fill(value), {}, done));
const discard = (disk: BlockDevice, sector: number, count: number): Promise<Result<void>> =>
  submitted((done) => disk.discard(sector, count, {}, done));
const flush = (disk: BlockDevice): Promise<Result<void>> => submitted((done) => disk.flush(done));

function expectOk<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

/** The first byte of each sector. */
async function firsts(disk: BlockDevice): Promise<number[]> {
  const bytes = expectOk(await submitted<Uint8Array>((done) => disk.read(0, disk.geometry.sectorCount, done)));
  return Array.from({ length: disk.geometry.sectorCount }, (_, sector) => bytes[sector * 512]);
}

/** Opens an image; undefined when it is refused with an error that says why. */
async function openOrRefuse(file: MemoryFile, readOnly: boolean): Promise<Qcow2Disk | undefined> {
  try {
    return await Qcow2Disk.open(file, { readOnly });
  } catch (error) {
    if (error instanceof DiskImageError || error instanceof DiskFileError) return undefined;
    throw error;
  }
}

describe("a qcow2 image that loses power", () => {
  it("is sound, and has in each sector what was flushed or something newer", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.constantFrom(9, 10, 12), fc.boolean(), async (seed, clusterBits, lazy) => {
        const random = new Random(seed);
        let file = new FaultyFile();
        await createQcow2(file, { size, clusterBits, lazyRefcounts: lazy });
        /** By sector: what it may hold, the oldest first. */
        const possible = Array.from({ length: sectors }, () => [0]);
        let value = 0;
        for (let life = 0; life < 3; life++) {
          const disk = await Qcow2Disk.open(file);
          const held = await firsts(disk);
          for (const [sector, byte] of held.entries()) {
            expect(possible[sector]).toContain(byte);
            possible[sector] = [byte];
          }
          for (let step = 0; step < 30; step++) {
            const first = random.below(sectors);
            const count = Math.min(1 + random.below(20), sectors - first);
            const kind = random.below(6);
            if (kind === 0) {
              const before = possible.map((values) => values.length);
              expectOk(await flush(disk));
              for (const [sector, values] of possible.entries()) values.splice(0, before[sector] - 1);
            } else {
              const content = kind === 1 ? 0 : (value = (value + 1) % 250) + 1;
              for (let sector = first; sector < first + count; sector++) possible[sector].push(content);
              const request = kind === 1 ? discard(disk, first, count) : write(disk, first, count, content);
              expectOk(await request);
            }
          }
          // The last requests are still in flight when power goes.
          const pending = [flush(disk), write(disk, 3, 7, 251)];
          for (let sector = 3; sector < 10; sector++) possible[sector].push(251);
          for (let turn = random.below(120); turn > 0; turn--) await Promise.resolve();
          file = await file.afterPowerLoss(() => random.chance(0.5));
          await Promise.all(pending);
        }
        const disk = await Qcow2Disk.open(file);
        await disk.close();
      }),
      { numRuns: 25 },
    );
  });
});

describe("a qcow2 image on a disk that fails", () => {
  it("reports what went wrong, goes on afterwards, and stays sound", async () => {
    const file = new FaultyFile();
    await createQcow2(file, { size, clusterBits: 10 });
    const disk = await Qcow2Disk.open(file);
    expect((await write(disk, 0, 100, 1)).ok).toBe(true);
    expect((await flush(disk)).ok).toBe(true);
    file.capacity = file.length + 4096;
    const full = await write(disk, 200, 100, 2);
    expect(full.ok ? "" : full.error.kind).toBe("no-space");
    file.capacity = Infinity;
    for (let writes = 0; writes < 6; writes++) {
      file.writesLeft = writes;
      await write(disk, 300, 10, 3);
      await flush(disk);
    }
    file.writesLeft = Infinity;
    expect((await write(disk, 300, 10, 4)).ok).toBe(true);
    expect((await flush(disk)).ok).toBe(true);
    await disk.close();
    const again = await Qcow2Disk.open(file);
    const held = await firsts(again);
    expect([held[0], held[99], held[100], held[300]]).toEqual([1, 1, 0, 4]);
  });
});

describe("a qcow2 image", () => {
  it("reads zeros past the end of a smaller image below", async () => {
    const below = new MemoryDevice({ sectorSize: 512, sectorCount: 3 });
    below.bytes.fill(9);
    const file = new MemoryFile();
    await createQcow2(file, { size, clusterBits: 12, backing: { name: "below", format: "raw" } });
    const openBacking = () => Promise.resolve({ disk: below, close: () => Promise.resolve() });
    const disk = await Qcow2Disk.open(file, { openBacking });
    expect((await firsts(disk)).slice(0, 5)).toEqual([9, 9, 9, 0, 0]);
    expect((await write(disk, 1, 1, 4)).ok).toBe(true);
    expect((await firsts(disk)).slice(0, 5)).toEqual([9, 4, 9, 0, 0]);
  });

  it("writes nothing when it is open for reading", async () => {
    const file = new MemoryFile();
    await createQcow2(file, { size });
    const before = await file.read(0, file.length);
    const disk = await Qcow2Disk.open(file, { readOnly: true });
    const written = await write(disk, 0, 1, 1);
    expect(written.ok).toBe(false);
    await disk.close();
    expect(await file.read(0, file.length)).toEqual(before);
  });

  it("refuses one that is damaged, and leaves it as it is", async () => {
    const file = new MemoryFile();
    await createQcow2(file, { size, clusterBits: 9 });
    const disk = await Qcow2Disk.open(file);
    await write(disk, 0, 64, 1);
    await disk.close();
    // The first refcount block says that nothing is in use.
    await file.write(1024, new Uint8Array(512));
    const before = await file.read(0, file.length);
    await expect(Qcow2Disk.open(file)).rejects.toThrow(/refcount of 0 and 1 references/);
    expect(await file.read(0, file.length)).toEqual(before);
    const readable = await Qcow2Disk.open(file, { readOnly: true });
    expect((await firsts(readable))[0]).toBe(1);
  });

  it("gives data or a typed error for any mutated image", async () => {
    const valid = new MemoryFile();
    await createQcow2(valid, { size, clusterBits: 9 });
    const disk = await Qcow2Disk.open(valid);
    await write(disk, 10, 40, 1);
    await discard(disk, 20, 3);
    await disk.close();
    const image = await valid.read(0, valid.length);
    const interesting = fc.oneof(
      fc.integer({ min: 0, max: 128 }),
      fc.integer({ min: 0, max: Math.min(image.length, 6144) - 1 }),
    );
    const mutation = fc.tuple(
      interesting,
      fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 0x80, 0xff)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(mutation, { minLength: 1, maxLength: 6 }),
        fc.nat(image.length * 2),
        fc.boolean(),
        async (mutations, length, readOnly) => {
          const mutated = image.slice(0, length);
          for (const [at, value] of mutations) if (at < mutated.length) mutated[at] = value;
          const file = new MemoryFile(mutated);
          const opened = await openOrRefuse(file, readOnly);
          if (opened === undefined) return;
          const count = Math.min(opened.geometry.sectorCount, sectors);
          if (count === 0) return;
          for (const request of [
            await submitted((done) => opened.read(0, count, done)),
            await write(opened, 0, Math.min(60, count), 5),
            await discard(opened, 0, Math.min(30, count)),
            await flush(opened),
          ]) {
            expect(["ok", "io", "out-of-range"]).toContain(request.ok ? "ok" : request.error.kind);
          }
          await opened.close();
          // What could be opened for writing is sound after it was written.
          if (!readOnly) await (await Qcow2Disk.open(file)).close();
        },
      ),
      { numRuns: 400 },
    );
  });
});
