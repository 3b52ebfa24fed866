// The requirements S1 to S9 on a simulated pair, one by one.
import { describe, expect, it } from "vitest";
import type { Topology } from "./messages.ts";
import { Cluster } from "./testing/cluster.ts";
import type { ClusterOptions } from "./testing/cluster.ts";

const both: Topology[] = ["shared", "mirrored"];

/** A protected pair: the machine on A, its standby on B. */
async function pair(topology: Topology, options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  const cluster = new Cluster({ seed: 1, topology, ...options });
  cluster.start();
  let asked = false;
  const ready = await cluster.runUntil(() => {
    if (!asked && cluster.counts.has("synchronised")) asked = cluster.checkpoint();
    return cluster.isProtected;
  });
  expect(ready).toBe(true);
  return cluster;
}

/** Writes and waits for the completion. */
async function write(cluster: Cluster, sector: number, count: number): Promise<void> {
  let completed = false;
  cluster.write(sector, count, false, () => (completed = true));
  expect(await cluster.runUntil(() => completed)).toBe(true);
}

async function commit(cluster: Cluster): Promise<void> {
  const before = cluster.released;
  expect(cluster.checkpoint()).toBe(true);
  expect(await cluster.runUntil(() => cluster.released > before)).toBe(true);
}

/** Kills the machine's host and waits for the other to run it. */
async function failOver(cluster: Cluster): Promise<void> {
  const [, second] = cluster.hosts;
  cluster.crash(cluster.hosts[0]);
  expect(await cluster.runUntil(() => cluster.leader === second)).toBe(true);
}

const sectorOf = (cluster: Cluster, host: 0 | 1, sector: number): number | undefined => {
  const { bytes, geometry } = cluster.hosts[host].disk;
  return cluster.model.observe(
    sector,
    bytes.subarray(sector * geometry.sectorSize, (sector + 1) * geometry.sectorSize),
  );
};

describe.each(both)("%s disks", (topology) => {
  it("S1 a write goes to the primary's disk and, at the same time, to the secondary's write buffer", async () => {
    const cluster = await pair(topology);
    await write(cluster, 8, 4);
    const { secondary } = cluster.hosts[1];
    expect(sectorOf(cluster, 0, 8)).toBe(1);
    expect(await cluster.runUntil(() => secondary?.writeBufferBlocks === 1)).toBe(true);
    expect(cluster.released).toBe(secondary?.epoch);
  });

  it("S3 a checkpoint merges the write buffer into the rollback buffer, newest wins, and leaves it empty", async () => {
    const cluster = await pair(topology);
    const { secondary } = cluster.hosts[1];
    await write(cluster, 8, 4);
    await write(cluster, 9, 1);
    await commit(cluster);
    expect(secondary?.writeBufferBlocks).toBe(0);
    expect(secondary?.rollbackBlocks).toBe(1);
    await write(cluster, 8, 4);
    await failOver(cluster);
    expect([8, 9, 10].map((sector) => sectorOf(cluster, 1, sector))).toEqual([1, 2, 1]);
  });

  it("S4 failover writes the rollback buffer to the disk, which then is that of the last checkpoint; the machine goes on", async () => {
    const cluster = await pair(topology);
    await write(cluster, 0, 4);
    await commit(cluster);
    const epoch = cluster.released;
    await write(cluster, 0, 4);
    await write(cluster, 20, 2);
    await failOver(cluster);
    expect(sectorOf(cluster, 1, 0)).toBe(1);
    expect(sectorOf(cluster, 1, 20)).toBe(0);
    expect(cluster.leader?.primary?.epoch).toBe(epoch + 1);
    await write(cluster, 20, 2);
    expect(sectorOf(cluster, 1, 20)).toBe(4);
    cluster.checkNow();
  });

  it("S6 torn and partial-block writes are restored bytewise", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      // Buffers that do not fill: no checkpoint is taken but the one below.
      const cluster = await pair(topology, { seed, rollbackBlocks: 16, writeBufferBlocks: 32 });
      await write(cluster, 4, 4);
      await write(cluster, 6, 1);
      await commit(cluster);
      // Dies with these in flight: the checker in the cluster compares every sector.
      cluster.write(5, 6);
      cluster.write(2, 5);
      await cluster.runUntil(() => false, seed % 7);
      await failOver(cluster);
      expect([4, 5, 6, 7].map((sector) => sectorOf(cluster, 1, sector))).toEqual([1, 1, 2, 1]);
    }
  });
});

it("S1 a joining standby is sent runs of blocks, those that are zero without their content", async () => {
  const cluster = new Cluster({ seed: 1, topology: "mirrored" });
  cluster.start();
  await write(cluster, 8, 4);
  cluster.hosts[1].disk.bytes.fill(7);
  const synchronised = await cluster.runUntil(() => cluster.counts.has("synchronised"));
  expect(synchronised).toBe(true);
  expect(cluster.hosts[1].disk.bytes).toEqual(cluster.hosts[0].disk.bytes);
});

it("S2 the existing content of a block is in the rollback buffer before the block is written", async () => {
  const cluster = await pair("shared");
  await write(cluster, 8, 4);
  await commit(cluster);
  const { secondary } = cluster.hosts[1];
  expect(secondary?.rollbackBlocks).toBe(1);
  await write(cluster, 0, 1);
  expect(secondary?.rollbackBlocks).toBe(2);
  await failOver(cluster);
  expect([0, 8].map((sector) => sectorOf(cluster, 1, sector))).toEqual([0, 1]);
});

it("S5 shared disk: no block is overwritten before its old content is safe on the secondary", async () => {
  const cluster = await pair("shared");
  const primary = cluster.leader?.primary;
  cluster.hosts[1].journal.latency = 300;
  cluster.write(8, 4);
  // Until the secondary has acknowledged the old content, the disk is as it was.
  while (primary?.isTracked(2) === false) {
    expect(sectorOf(cluster, 0, 8)).toBe(0);
    await cluster.runUntil(() => false, 1);
  }
  expect(await cluster.runUntil(() => sectorOf(cluster, 0, 8) === 1)).toBe(true);
});

it("S5 mirrored disks: the secondary's own disk is written with committed content alone", async () => {
  const cluster = await pair("mirrored", { rollbackBlocks: 8 });
  for (let block = 0; block < 8; block++) {
    await write(cluster, block * 4, 4);
    // A write that is not committed is nowhere on that disk.
    const dirty = [...Array(48).keys()].some((sector) => sectorOf(cluster, 1, sector) === block + 1);
    expect(dirty).toBe(false);
    if (block % 2 === 1) await commit(cluster);
  }
  // More is held than the buffer's high water mark: committed blocks went to the disk, journalled before.
  expect(await cluster.runUntil(() => sectorOf(cluster, 1, 0) === 1)).toBe(true);
  await failOver(cluster);
  expect(sectorOf(cluster, 1, 0)).toBe(1);
});

it("S7 what was flushed, or written with FUA, is there after a restart of a machine without a standby", async () => {
  for (const topology of both) {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = await pair(topology, { seed });
      const [first, second] = cluster.hosts;
      cluster.crash(second);
      expect(await cluster.runUntil(() => cluster.leader?.primary?.mode === "solo")).toBe(true);
      await write(cluster, 0, 6);
      let flushed = false;
      cluster.flush(() => (flushed = true));
      expect(await cluster.runUntil(() => flushed)).toBe(true);
      let forced = false;
      cluster.write(12, 4, true, () => (forced = true));
      expect(await cluster.runUntil(() => forced)).toBe(true);
      cluster.write(2, 2);
      cluster.crash(first, 10, true);
      expect(await cluster.runUntil(() => cluster.leader === first)).toBe(true);
      expect([0, 5, 12, 15].map((sector) => sectorOf(cluster, 0, sector))).toEqual([1, 1, 2, 2]);
    }
  }
});

it("S7 what was flushed before the last released output is there after failover", async () => {
  for (const topology of both) {
    const cluster = await pair(topology);
    await write(cluster, 0, 6);
    let flushed = false;
    cluster.flush(() => (flushed = true));
    expect(await cluster.runUntil(() => flushed)).toBe(true);
    await commit(cluster);
    await failOver(cluster);
    expect([0, 5].map((sector) => sectorOf(cluster, 1, sector))).toEqual([1, 1]);
  }
});

it("S8 the secondary elects victims, which from the next checkpoint on are written the ordinary way", async () => {
  const cluster = await pair("shared", { rollbackBlocks: 8, writeBufferBlocks: 40 });
  const primary = cluster.leader?.primary;
  const { secondary } = cluster.hosts[1];
  for (let block = 0; block < 5; block++) await write(cluster, block * 4, 4);
  await commit(cluster);
  // Over the high water mark: the oldest are elected. Until the next checkpoint they are written at once.
  await cluster.runUntil(() => false, 20);
  expect(primary?.isTracked(0)).toBe(true);
  expect(cluster.checkpoint()).toBe(true);
  expect(primary?.isTracked(0)).toBe(false);
  expect(primary?.isTracked(4)).toBe(true);
  // Forgotten on the secondary once they are safe on the disk; written again, their old content goes first.
  expect(await cluster.runUntil(() => (secondary?.rollbackBlocks ?? 8) <= 2)).toBe(true);
  await write(cluster, 0, 2);
  expect(primary?.isTracked(0)).toBe(true);
  await failOver(cluster);
  expect([0, 1, 4, 16].map((sector) => sectorOf(cluster, 1, sector))).toEqual([1, 1, 2, 5]);
});

it("S8 the buffers stay within their bounds, and the guest gets on, however much it writes", async () => {
  for (const topology of both) {
    const cluster = await pair(topology, { rollbackBlocks: 8, writeBufferBlocks: 6 });
    const { secondary } = cluster.hosts[1];
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 4; i++) cluster.write();
      await cluster.runUntil(() => {
        expect(secondary?.rollbackBlocks).toBeLessThanOrEqual(8);
        expect(secondary?.writeBufferBlocks).toBeLessThanOrEqual(6);
        return cluster.outstanding < 8;
      });
    }
    expect(await cluster.runUntil(() => cluster.outstanding === 0)).toBe(true);
    cluster.checkNow();
  }
});

it.each([0.5, 1])(
  "S8 after a disk that failed at %d of all requests no block keeps its place for ever",
  async (errorRate) => {
    const cluster = await pair("shared");
    const { disk } = cluster.hosts[0];
    disk.errorRate = errorRate;
    for (let round = 0; round < 30; round++) {
      for (let block = 0; block < 12; block++) cluster.write(block * 4, 4);
      await cluster.runUntil(() => false, 40);
      cluster.checkpoint();
      await cluster.runUntil(() => false, 40);
    }
    disk.errorRate = 0;
    cluster.tick(20);
    expect(await cluster.runUntil(() => cluster.outstanding === 0)).toBe(true);
    for (let block = 0; block < 12; block++) await write(cluster, block * 4, 4);
    expect(cluster.isProtected).toBe(true);
  },
);

it("S9 the old primary is fenced before the restore: its late writes reach nothing", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const cluster = await pair("shared", { seed });
    const [first, second] = cluster.hosts;
    await write(cluster, 0, 6);
    await commit(cluster);
    const old = first.primary;
    first.disk.latency = 400;
    cluster.write(0, 6);
    cluster.cutConnection();
    expect(await cluster.runUntil(() => cluster.leader === second || old?.mode === "solo")).toBe(true);
    await cluster.runUntil(() => cluster.outstanding === 0);
    await cluster.runUntil(() => false, 100);
    cluster.checkNow();
  }
});

it("S9 both hosts down and back up: the last committed epoch", async () => {
  for (const topology of both) {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = await pair(topology, { seed });
      await write(cluster, 0, 6);
      await commit(cluster);
      cluster.checkpointing = false;
      cluster.write(0, 6);
      cluster.write(13, 4);
      await cluster.runUntil(() => false, seed);
      const [first, second] = cluster.hosts;
      cluster.crash(first, 20, true);
      cluster.crash(second, 60, true);
      expect(await cluster.runUntil(() => cluster.leader === second)).toBe(true);
      expect([0, 5].map((sector) => sectorOf(cluster, 1, sector))).toEqual([1, 1]);
    }
  }
});

it("C2 one commit record: an epoch is released if, and only if, it is the one to go back to", async () => {
  const cluster = await pair("shared");
  await write(cluster, 0, 6);
  const before = cluster.released;
  expect(cluster.checkpoint()).toBe(true);
  while (cluster.released === before) {
    await cluster.runUntil(() => false, 1);
    // Output leaves after the record, never before.
    expect(cluster.hosts[1].secondary?.epoch).toBeGreaterThanOrEqual(cluster.released);
  }
  expect(cluster.hosts[1].secondary?.epoch).toBe(before + 1);
});

it("S6 restoring twice is the same as once: every interruption of a restore, then another one", async () => {
  for (const topology of both) {
    for (let steps = 0; steps < 40; steps++) {
      const cluster = await pair(topology);
      await write(cluster, 0, 6);
      await write(cluster, 12, 6);
      await commit(cluster);
      await write(cluster, 0, 6);
      const [first, second] = cluster.hosts;
      cluster.crash(first);
      await cluster.runUntil(() => cluster.counts.has("promote"));
      await cluster.runUntil(() => false, steps);
      cluster.crash(second, 5);
      expect(await cluster.runUntil(() => cluster.leader === second)).toBe(true);
      expect([0, 5, 12, 17].map((sector) => sectorOf(cluster, 1, sector))).toEqual([1, 1, 2, 2]);
    }
  }
});
