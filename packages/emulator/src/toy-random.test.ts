/**
 * The engine against the interpreter of the invented instruction set, on random programs.
 *
 * `PROGRAMS=100000 pnpm vitest run packages/emulator/src/toy-random.test.ts` runs a long campaign.
 */
import { ModuleArchive, RegionBuilder, UnitArchive } from "@doppel/dbt-core";
import { PhysicalMemory, SoftTlb } from "@doppel/guard-memory";
import { CodeHeap } from "@doppel/trampolines";
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { MemoryStore } from "./testing/memory-store.ts";
import { tiers } from "./testing/tiers.ts";
import { play } from "./testing/toy-programs.ts";

const programs = Number(process.env["PROGRAMS"] ?? 120);

test.each(tiers)(
  "random programs do what their instructions say: %s",
  { timeout: 60_000 + programs * 50 },
  (_tier, translator) => {
    let stops = 0;
    fc.assert(
      fc.property(fc.integer(), (seed) => void (stops += play(seed, translator))),
      { numRuns: programs, endOnFailure: true },
    );
    expect(stops).toBeGreaterThan(programs * 5);
  },
);

test(
  "random programs do what their instructions say in threaded code that earlier ones left",
  { timeout: 60_000 + programs * 50 },
  () => {
    const archive = new UnitArchive();
    const translator = { compileAfter: 1_000_000, promoteAfter: 1_000_000, archive };
    let [used, added] = [0, 0];
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        play(seed, translator);
        const later = new UnitArchive();
        later.load(archive.contents().slice());
        play(seed, { ...translator, archive: later });
        used += later.used;
        added += later.added;
      }),
      { numRuns: Math.ceil(programs / 4), endOnFailure: true },
    );
    // Nearly all: where pages change their policy, it may be at another time.
    expect(used).toBeGreaterThan(10 * added);
    expect(used).toBeGreaterThan(programs);
  },
);

test(
  "random programs do what their instructions say in modules that earlier ones left",
  { timeout: 60_000 + programs * 50 },
  () => {
    let [used, added] = [0, 0];
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const store = new MemoryStore();
        const modules = new ModuleArchive(store);
        play(seed, { compileAfter: 0, promoteAfter: 0, modules });
        const later = new ModuleArchive(store);
        later.load(modules.contents());
        play(seed, { compileAfter: 2, promoteAfter: 2, keptAfter: 1, modules: later });
        added += modules.added;
        used += later.used;
      }),
      { numRuns: Math.ceil(programs / 4), endOnFailure: true },
    );
    expect(added).toBeGreaterThan(programs / 4);
    // Programs change their code: what is there at the end of a run need not be what the next one begins with.
    expect(used).toBeGreaterThan(programs / 4);
  },
);

/** Without any one of these, random programs go wrong: so the test above would show it. */
const mechanisms: Readonly<Record<string, () => unknown>> = {
  "the check of stores to guarded granules": () =>
    vi.spyOn(PhysicalMemory.prototype, "checkStore").mockReturnValue(false),
  "the check of writes by other means": () => vi.spyOn(PhysicalMemory.prototype, "noteWrite").mockReturnValue(),
  "telling soft TLBs of guarded pages": () => vi.spyOn(SoftTlb.prototype, "dropWrites").mockReturnValue(),
  "telling soft TLBs of remapped pages": () => vi.spyOn(SoftTlb.prototype, "flushRange").mockReturnValue(),
  "the discarding of what was made from a granule": () => vi.spyOn(CodeHeap.prototype, "madeFrom").mockReturnValue([]),
  "the test of guard bits on use, in translated code": () =>
    vi.spyOn(RegionBuilder.prototype, "guardTest").mockReturnValue(),
  "that a bit set anew is not that of older translations": () =>
    vi.spyOn(PhysicalMemory.prototype as unknown as { dropUnguarded(): void }, "dropUnguarded").mockReturnValue(),
};

describe("random programs notice the lack of", () => {
  afterEach(() => vi.restoreAllMocks());

  test.each(Object.entries(mechanisms))("%s", { timeout: 60_000 }, (_name, sabotage) => {
    sabotage();
    const isNoticed = (seed: number): boolean => {
      try {
        play(seed, { compileAfter: 0, promoteAfter: 1_000_000 });
        return false;
      } catch {
        return true;
      }
    };
    expect(Array.from({ length: 600 }, (_, seed) => seed).some(isNoticed)).toBe(true);
  });
});
