// What one run translates and the next one finds.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { statisticsSchema } from "@doppel/emulator/statistics-schema";
import { expect, test } from "vitest";
import { doppel, temporaryDirectory } from "./harness/run.ts";

const SCRIPT = "for n in 1 2 3; do echo $n | sed s/2/two/; done; ls -d /usr/bin";

test(
  "a second run finds what the first translated; one whose file is damaged does without",
  { timeout: 120_000 },
  () => {
    using directory = temporaryDirectory();
    const cache = join(directory.path, "cache");
    const run = (): { output: string; threaded: number; kept: number } => {
      const statistics = join(directory.path, "statistics");
      const [node, ...args] = doppel(["/bin/sh", "-c", SCRIPT], ["--translations", cache, "--stats-file", statistics]);
      const { stdout, status } = spawnSync(node, args, { encoding: "utf8" });
      expect(status).toBe(0);
      const { translation } = statisticsSchema.parse(JSON.parse(readFileSync(statistics, "utf8")));
      return { output: stdout, threaded: translation.threadedRegions, kept: translation.keptRegions };
    };
    const first = run();
    expect(first.output).toBe("1\ntwo\n3\n/usr/bin\n");
    // Two libraries may have the same few bytes at the same place in their pages.
    expect(first.kept).toBeLessThan(0.01 * first.threaded);
    const second = run();
    expect(second.output).toBe(first.output);
    expect(second.kept).toBeGreaterThan(0.9 * second.threaded);
    const file = join(
      cache,
      readdirSync(cache).find((name) => name.endsWith(".units"))!,
    );
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(file, bytes);
    const third = run();
    expect(third.output).toBe(first.output);
    expect(third.kept).toBeLessThan(0.01 * third.threaded);
  },
);

// The shell's own loop; a built-in command in each round.
const LOOP = "n=0; while [ $n -lt 20000 ]; do n=$((n + 1)); done; echo $n";

test(
  "a second run finds what the first compiled with care; one whose file is damaged does without",
  { timeout: 120_000 },
  () => {
    using directory = temporaryDirectory();
    const cache = join(directory.path, "cache");
    const run = (): { hot: number; kept: number } => {
      const statistics = join(directory.path, "statistics");
      const [node, ...args] = doppel(["/bin/sh", "-c", LOOP], ["--translations", cache, "--stats-file", statistics]);
      const { stdout, status } = spawnSync(node, args, { encoding: "utf8" });
      expect({ stdout, status }).toEqual({ stdout: "20000\n", status: 0 });
      const { translation } = statisticsSchema.parse(JSON.parse(readFileSync(statistics, "utf8")));
      return { hot: translation.hotRegions, kept: translation.keptModules };
    };
    const first = run();
    expect(first.kept).toBe(0);
    expect(first.hot).toBeGreaterThan(5);
    const second = run();
    expect(second.kept).toBeGreaterThan(first.hot / 2);
    expect(second.hot).toBeLessThan(first.hot / 2);
    const file = join(
      cache,
      readdirSync(cache).find((name) => name.endsWith(".modules"))!,
    );
    const bytes = readFileSync(file);
    // Some pieces in the middle, which are missed by nobody else.
    const middle = bytes.length >> 1;
    bytes.fill(0x55, middle, middle + 100_000);
    writeFileSync(file, bytes);
    const third = run();
    expect(third.kept).toBeLessThan(second.kept);
    expect(third.kept).toBeGreaterThan(0);
    bytes[60] ^= 1;
    writeFileSync(file, bytes);
    expect(run().kept).toBe(0);
  },
);
