import { describe, expect, it } from "vitest";
import { Cluster, Violation } from "./cluster.ts";
import type { ClusterOptions } from "./cluster.ts";
import { enumerateCrashes } from "./enumerate.ts";
import { runSchedule } from "./schedule.ts";

/** Schedules until a checker finds something; undefined if none did. */
async function firstViolation(
  schedules: number,
  options: Partial<ClusterOptions> = {},
): Promise<Violation | undefined> {
  for (let seed = 1; seed <= schedules; seed++) {
    try {
      await runSchedule({ ...options, seed });
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      return error;
    }
  }
  return undefined;
}

/** A primary that is cut off while its writes to the shared disk are slow. */
async function staleWriter(seed: number, without?: "fencing"): Promise<"violation" | "promoted" | "solo"> {
  const cluster = new Cluster({ seed, topology: "shared", ...(without && { without }) });
  const [first, second] = cluster.hosts;
  cluster.start();
  cluster.tick(30);
  await cluster.runUntil(() => cluster.isProtected);
  for (let i = 0; i < 20; i++) {
    cluster.write();
    await cluster.runUntil(() => false, 10);
  }
  first.disk.latency = 600;
  for (let i = 0; i < 6; i++) cluster.write();
  await cluster.runUntil(() => false, 5);
  // Those stay slow; the restore is not.
  first.disk.latency = 5;
  cluster.cutConnection();
  try {
    await cluster.runUntil(() => cluster.leader === second || first.primary?.mode === "solo");
    await cluster.runUntil(() => cluster.clock.now > 4000);
    cluster.checkNow();
  } catch (error) {
    if (error instanceof Violation) return "violation";
    throw error;
  }
  return cluster.counts.has("promoted") ? "promoted" : "solo";
}

describe("the simulated pair", () => {
  it("S6 S7 S9 random schedules of crashes, partitions and disk errors lose nothing", async () => {
    expect(await firstViolation(120)).toBeUndefined();
  });

  it("S8 a block that could not be retired, since a flush failed, is retired by a later checkpoint", async () => {
    await expect(runSchedule({ seed: 1_048_942 })).resolves.toBeDefined();
  });

  it("S10 every crash point of every history of up to three operations loses nothing", async () => {
    const { histories, crashes } = await enumerateCrashes(3);
    expect(histories).toBe(78);
    expect(crashes).toBeGreaterThan(1000);
  });
});

describe("negative controls", () => {
  it.each(["rollback", "write-buffer", "journal-checksum"] as const)(
    "C4 without the %s, the checkers fail",
    async (without) => {
      expect(await firstViolation(1000, { without })).toBeInstanceOf(Violation);
    },
  );

  it("C4 without the fencing, the checkers fail; S9 with it, and nothing else different, they do not", async () => {
    const outcomes: string[] = [];
    const fenced: string[] = [];
    for (let seed = 1; seed <= 40; seed++) {
      outcomes.push(await staleWriter(seed, "fencing"));
      fenced.push(await staleWriter(seed));
    }
    expect(outcomes).toContain("violation");
    expect(fenced).not.toContain("violation");
    expect(fenced).toContain("promoted");
  });
});
