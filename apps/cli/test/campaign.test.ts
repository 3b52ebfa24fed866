// A slice of `pnpm campaign`: real processes, real signals, clients outside, and the checkers of the campaign.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { runCampaign } from "../campaign/campaign.ts";
import { guests } from "../campaign/guests.ts";

let folder: string | undefined;
afterEach(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

describe("a campaign", () => {
  it("C3 S9 N7 P4 loses nothing, takes nothing back, resets nobody, and is protected again after each fault", async () => {
    folder = mkdtempSync(join(tmpdir(), "doppel-campaign-"));
    const result = await runCampaign({
      folder,
      hosts: ["a", "b", "c"],
      arbiter: "edge",
      timing: {},
      failovers: 5,
      seed: 4,
      clients: 4,
      only: "leader",
      print: () => undefined,
      ...guests["model"].make(undefined),
    });
    expect(result.violations).toEqual([]);
    expect(result.rounds.reduce((sum, { failovers }) => sum + failovers, 0)).toBeGreaterThanOrEqual(5);
    expect(result.answered).toBeGreaterThan(100);
    expect(result.framesSeen).toBeGreaterThan(100);
  });
});
