// qcow2 images made here are read by QEMU's tools, and theirs here; `qemu-img check` finds nothing after either wrote.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random, submitted } from "@doppel/mirror-storage/testing";
import type { BlockDevice, Result } from "@doppel/mirror-storage";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createQcow2 } from "../disk/qcow2/create.ts";
import { Qcow2Disk } from "../disk/qcow2/image.ts";
import { HostFile } from "./disk-file.ts";
import { openDisk } from "./open-disk.ts";

const isMissing = spawnSync("qemu-img", ["--version"]).error !== undefined;
const why = isMissing ? " (skipped: qemu-img is not installed)" : "";

const size = 3 << 20;
const sectors = size / 512;
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "qemu-img-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const qemu = (...args: readonly string[]): string =>
  execFileSync("qemu-img", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const path = (name: string): string => join(folder, name);

/** The disk as QEMU reads it. */
function contentOf(name: string): Buffer {
  qemu("convert", "-O", "raw", name, "content.raw");
  return readFileSync(path("content.raw"));
}

function expectOk<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

/** Random requests, several at a time and apart from each other, on the disk and on a copy of its content. */
async function work(disk: BlockDevice, model: Uint8Array, random: Random, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const requests: Promise<unknown>[] = [];
    for (let first = random.below(300); first < sectors;) {
      const count = Math.min(1 + random.below(random.chance(0.2) ? 400 : 24), sectors - first);
      const [from, end] = [first * 512, (first + count) * 512];
      const kind = random.below(5);
      if (kind === 0) {
        model.fill(0, from, end);
        requests.push(submitted((done) => disk.discard(first, count, {}, done)).then(expectOk));
      } else if (kind < 4) {
        const data = new Uint8Array(end - from).map((_, at) => (at + round + first) % 251);
        model.set(data, from);
        requests.push(submitted((done) => disk.write(first, data, {}, done)).then(expectOk));
      }
      first += count + random.below(1500);
    }
    if (random.chance(0.3)) requests.push(submitted((done) => disk.flush(done)).then(expectOk));
    await Promise.all(requests);
  }
}

async function readAll(disk: BlockDevice): Promise<Uint8Array> {
  return expectOk(await submitted<Uint8Array>((done) => disk.read(0, disk.geometry.sectorCount, done)));
}

/** A raw image with something in it, and holes. */
function pattern(name: string, seed: number): Uint8Array {
  const random = new Random(seed);
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 4096) if (random.chance(0.4)) bytes.fill(random.below(256), at, at + 4096);
  writeFileSync(path(name), bytes);
  return bytes;
}

const images: Record<string, (name: string) => void> = {
  "version 3": (name) => qemu("create", "-f", "qcow2", name, String(size)),
  "version 2": (name) => qemu("create", "-f", "qcow2", "-o", "compat=0.10", name, String(size)),
  "clusters of 512 bytes": (name) => qemu("create", "-f", "qcow2", "-o", "cluster_size=512", name, String(size)),
  "clusters of 2 MiB": (name) => qemu("create", "-f", "qcow2", "-o", "cluster_size=2M", name, String(size)),
  "refcounts of a bit": (name) =>
    qemu("create", "-f", "qcow2", "-o", "refcount_bits=1,cluster_size=1k", name, String(size)),
  "refcounts of 64 bits": (name) =>
    qemu("create", "-f", "qcow2", "-o", "refcount_bits=64,cluster_size=1k", name, String(size)),
  "lazy refcounts": (name) =>
    qemu("create", "-f", "qcow2", "-o", "lazy_refcounts=on,cluster_size=4k", name, String(size)),
  "metadata preallocated": (name) =>
    qemu("create", "-f", "qcow2", "-o", "preallocation=metadata,cluster_size=4k", name, String(size)),
  "an image below, version 2": (name) => {
    pattern(`${name}.below`, 5);
    qemu("create", "-f", "qcow2", "-F", "raw", "-b", `${name}.below`, "-o", "compat=0.10,cluster_size=4k", name);
  },
  "an image below": (name) => {
    pattern(`${name}.raw`, 6);
    qemu("convert", "-O", "qcow2", "-o", "cluster_size=8k", `${name}.raw`, `${name}.below`);
    qemu("create", "-f", "qcow2", "-F", "qcow2", "-b", `${name}.below`, "-o", "cluster_size=4k", name);
  },
  compressed: (name) => {
    pattern(`${name}.raw`, 7);
    qemu("convert", "-c", "-O", "qcow2", "-o", "cluster_size=16k", `${name}.raw`, name);
  },
  "compressed by zstd": (name) => {
    pattern(`${name}.raw`, 8);
    qemu("convert", "-c", "-O", "qcow2", "-o", "compression_type=zstd", `${name}.raw`, name);
  },
  snapshots: (name) => {
    pattern(`${name}.raw`, 9);
    qemu("convert", "-O", "qcow2", "-o", "cluster_size=4k", `${name}.raw`, name);
    qemu("snapshot", "-c", "first", name);
    qemu("snapshot", "-c", "second", name);
  },
  "a bitmap": (name) => {
    qemu("create", "-f", "qcow2", name, String(size));
    qemu("bitmap", "--add", name, "changes");
  },
};

describe.skipIf(isMissing)(`images that QEMU made${why}`, () => {
  it.each(Object.entries(images))("%s", async (kind, make) => {
    const name = kind.replaceAll(/\W/g, "-");
    make(name);
    const model = new Uint8Array(contentOf(name));
    const random = new Random(kind.length);
    for (const readOnly of [true, false]) {
      const { disk, close } = await openDisk(path(name), { format: "qcow2", readOnly });
      expect(Buffer.compare(await readAll(disk), model)).toBe(0);
      await close();
    }
    qemu("check", name);
    for (let life = 0; life < 2; life++) {
      const { disk, close } = await openDisk(path(name), { format: "qcow2" });
      await work(disk, model, random, 12);
      expect(Buffer.compare(await readAll(disk), model)).toBe(0);
      await close();
      expect(qemu("check", name)).toContain("No errors were found");
      expect(Buffer.compare(contentOf(name), model)).toBe(0);
    }
  });

  it("keeps what snapshots hold", async () => {
    const before = pattern("snapshot.raw", 10);
    qemu("convert", "-O", "qcow2", "snapshot.raw", "snapshot");
    qemu("snapshot", "-c", "before", "snapshot");
    const { disk, close } = await openDisk(path("snapshot"), { format: "qcow2" });
    await work(disk, before.slice(), new Random(1), 10);
    await close();
    qemu("snapshot", "-a", "before", "snapshot");
    expect(Buffer.compare(contentOf("snapshot"), before)).toBe(0);
    expect(qemu("check", "snapshot")).toContain("No errors were found");
  });
});

describe.skipIf(isMissing)(`images made here${why}`, () => {
  it.each([
    [9, false],
    [12, true],
    [16, false],
    [21, false],
  ])("clusters of 2^%i bytes, lazy refcounts: %s", async (clusterBits, lazyRefcounts) => {
    const name = `made-${clusterBits}`;
    const file = await HostFile.open(path(name), { create: true });
    await createQcow2(file, { size, clusterBits, lazyRefcounts });
    await file.close();
    expect(qemu("check", name)).toContain("No errors were found");
    const model = new Uint8Array(size);
    const { disk, close } = await openDisk(path(name), { format: "qcow2" });
    await work(disk, model, new Random(clusterBits), 20);
    await close();
    expect(qemu("check", name)).toContain("No errors were found");
    expect(Buffer.compare(contentOf(name), model)).toBe(0);
    execFileSync("qemu-io", ["-f", "qcow2", "-c", "write -P 77 1000k 300k", "-c", "write -z 0 512k", path(name)]);
    model.fill(77, 1_024_000, 1_331_200);
    model.fill(0, 0, 524_288);
    const again = await openDisk(path(name), { format: "qcow2" });
    expect(Buffer.compare(await readAll(again.disk), model)).toBe(0);
    await again.close();
  });

  it("names the image below so that QEMU finds it", async () => {
    const below = pattern("based-on.raw", 11);
    const file = await HostFile.open(path("based"), { create: true });
    await createQcow2(file, { size, backing: { name: "based-on.raw", format: "raw" } });
    await file.close();
    expect(Buffer.compare(contentOf("based"), below)).toBe(0);
  });

  it("is sound when the program that wrote it was killed", async () => {
    for (const [lazyRefcounts, name] of [
      [false, "killed"],
      [true, "killed-lazy"],
    ] as const) {
      const file = await HostFile.open(path(name), { create: true });
      await createQcow2(file, { size, clusterBits: 12, lazyRefcounts });
      const model = new Uint8Array(size);
      const killed = await Qcow2Disk.open(file);
      await work(killed, model, new Random(3), 10);
      expectOk(await submitted((done) => killed.flush(done)));
      // As the end of a process does, and without closing the image.
      await file.close();
      const { disk, close } = await openDisk(path(name), { format: "qcow2" });
      expect(Buffer.compare(await readAll(disk), model)).toBe(0);
      await close();
      expect(qemu("check", name)).toContain("No errors were found");
    }
  });
});
