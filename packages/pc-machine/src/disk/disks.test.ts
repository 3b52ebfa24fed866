// The contract of a block device, on every disk there is here.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BlockDevice } from "@doppel/mirror-storage";
import { contractSectors, deviceContract, submitted } from "@doppel/mirror-storage/testing";
import { afterEach, describe, expect, it } from "vitest";
import { HostFile } from "../node/disk-file.ts";
import { openDisk } from "../node/open-disk.ts";
import { MemoryFile } from "./disk-file.ts";
import { overlayDisk } from "./overlay.ts";
import { createQcow2 } from "./qcow2/create.ts";
import type { NewImage } from "./qcow2/create.ts";
import { Qcow2Disk } from "./qcow2/image.ts";
import { RawDisk } from "./raw.ts";

const size = contractSectors * 512;
const cleanUp: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "disks-"));
  cleanUp.push(() => rm(path, { recursive: true }));
  return path;
}

async function hostFile(): Promise<HostFile> {
  return HostFile.open(join(await folder(), "disk"), { create: true });
}

async function qcow2(image: Partial<NewImage> = {}): Promise<BlockDevice> {
  const file = new MemoryFile();
  await createQcow2(file, { size, ...image });
  return Qcow2Disk.open(file);
}

const makers: Record<string, () => Promise<BlockDevice>> = {
  raw: () => Promise.resolve(new RawDisk(new MemoryFile(new Uint8Array(size)))),
  "raw file": async () => {
    const file = await hostFile();
    await file.zero(0, size);
    const disk = new RawDisk(file);
    cleanUp.push(() => disk.close());
    return disk;
  },
  "qcow2 file": async () => {
    const path = join(await folder(), "disk");
    const file = await HostFile.open(path, { create: true });
    await createQcow2(file, { size });
    await file.close();
    const { disk, close } = await openDisk(path, { format: "qcow2" });
    cleanUp.push(close);
    return disk;
  },
  "qcow2 of small clusters": () => qcow2({ clusterBits: 9 }),
  "qcow2 of large clusters": () => qcow2({ clusterBits: 15 }),
  "qcow2 with lazy refcounts": () => qcow2({ clusterBits: 10, lazyRefcounts: true }),
  "overlay in memory": () => overlayDisk(new RawDisk(new MemoryFile(new Uint8Array(size))), new MemoryFile()),
  "overlay of a file": async () => {
    const path = join(await folder(), "disk");
    const file = await HostFile.open(path, { create: true });
    await file.zero(0, size);
    await file.close();
    const { disk, close } = await openDisk(path, { format: "raw", snapshot: true });
    cleanUp.push(close);
    return disk;
  },
};

describe.each(Object.entries(makers))("a disk: %s", (_, make) => {
  it.each(deviceContract)("$title", async ({ check }) => {
    await check(await make());
  });
});

describe("an overlay", () => {
  it("shows what is below until it is written or discarded, and leaves that alone", async () => {
    const below = new MemoryFile(new Uint8Array(size).fill(1));
    const disk = await overlayDisk(new RawDisk(below), new MemoryFile());
    await submitted((done) => disk.write(1, new Uint8Array(512).fill(2), {}, done));
    await submitted((done) => disk.discard(2, 1, {}, done));
    const read = await submitted<Uint8Array>((done) => disk.read(0, 4, done));
    expect(read.ok && [0, 512, 1024, 1536].map((at) => read.value[at])).toEqual([1, 2, 0, 1]);
    expect((await below.read(0, size)).every((byte) => byte === 1)).toBe(true);
  });
});

describe("a raw file", () => {
  it("gives room back for what is discarded", async () => {
    const path = join(await folder(), "disk");
    const file = await HostFile.open(path, { create: true });
    cleanUp.push(() => file.close());
    await file.write(0, new Uint8Array(4 << 20).fill(1));
    await file.zero(1 << 20, 2 << 20);
    const bytes = await file.read(0, 4 << 20);
    expect([0, 1, 2, 3].map((at) => bytes[at << 20])).toEqual([1, 0, 0, 1]);
    expect(bytes.subarray(1 << 20, 3 << 20).every((byte) => byte === 0)).toBe(true);
  });

  it("reads a last sector that is cut off", async () => {
    const disk = new RawDisk(new MemoryFile(new Uint8Array(700).fill(5)));
    expect(disk.geometry.sectorCount).toBe(2);
    const read = await submitted<Uint8Array>((done) => disk.read(1, 1, done));
    expect(read.ok && [read.value[187], read.value[188]]).toEqual([5, 0]);
  });
});
