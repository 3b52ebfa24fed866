// Random bytes as code, and real programs with random bytes in them: whatever they do is the guest's own affair. They
// end by themselves, or are killed after a while; doppel never throws, never hangs.
//
//     DOPPEL_FUZZ_SEED=7 DOPPEL_FUZZ_CASES=5000 pnpm vitest run apps/cli/test/fuzz.test.ts
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryDirectory } from "./harness/run.ts";

const firstSeed = Number(process.env["DOPPEL_FUZZ_SEED"] ?? 1);
const cases = Number(process.env["DOPPEL_FUZZ_CASES"] ?? 66);
const worker = join(import.meta.dirname, "harness/fuzz-worker.ts");

const kinds = [
  "random bytes",
  "few different bytes",
  "jumps and calls",
  // Guest programs with some bytes changed.
  ...["hello", "flags", "fork", "threads", "fault", "selfmod", "sha256", "hello32"],
];
const each = Math.ceil(cases / kinds.length);

it.for(kinds)("%s", { timeout: 60_000 + each * 25_000 }, async (kind) => {
  using directory = temporaryDirectory();
  const file = join(directory.path, "results");
  writeFileSync(file, "");
  const args = ["--conditions=source", worker, kind, String(firstSeed), String(each), file];
  const child = spawn(process.execPath, args, { stdio: "ignore", cwd: directory.path });
  const end = await new Promise((resolve) => void child.once("close", (code, signal) => resolve(signal ?? code)));
  const results = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { seed: number; result: number | string });
  expect(results.filter(({ result }) => typeof result === "string")).toEqual([]);
  // A process that died has done fewer than it was told to; the seed behind the last is the one.
  expect({ end, seeds: results.length, last: results.at(-1)?.seed }).toEqual({
    end: 0,
    seeds: each,
    last: firstSeed + each - 1,
  });
});
