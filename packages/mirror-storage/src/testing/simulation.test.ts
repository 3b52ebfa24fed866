import { describe, expect, it } from "vitest";
import { Violation } from "./cluster.ts";
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

describe("the simulated pair", () => {
  it("S6 S7 S9 random schedules of crashes, partitions and disk errors lose nothing", async () => {
    expect(await firstViolation(120)).toBeUndefined();
  });

  it("S10 every crash point of every history of up to three operations loses nothing", async () => {
    const { histories, crashes } = await enumerateCrashes(3);
    expect(histories).toBe(78);
    expect(crashes).toBeGreaterThan(1000);
  });
});

describe("negative controls", () => {
  it.each(["rollback", "write-buffer", "fencing", "journal-checksum"] as const)(
    "C4 without the %s, the checkers fail",
    async (without) => {
      expect(await firstViolation(1000, { without })).toBeInstanceOf(Violation);
    },
  );
});
