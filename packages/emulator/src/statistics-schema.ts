/** `EmulatorStatistics` as `doppel run --stats=json` prints it, for programs that read it back. */
import { z } from "zod";
import type { EmulatorStatistics } from "./statistics.ts";

const count = z.int().nonnegative();
const milliseconds = z.number().nonnegative();

export const statisticsSchema: z.ZodType<EmulatorStatistics> = z.strictObject({
  translation: z.strictObject({
    threadedRegions: count,
    threadedBytes: count,
    keptRegions: count,
    keptModules: count,
    regions: count,
    hotRegions: count,
    guestInstructions: count,
    modules: count,
    wasmBytes: count,
  }),
  slots: z.strictObject({ linked: count, resolves: count }),
  flags: z.strictObject({ recorded: count, fused: count, materialised: count, resolved: count }),
  guards: z.strictObject({
    faults: count,
    unprotected: count,
    discards: count,
    staleOnUse: count,
    toCheckOnUse: count,
    toFaultOnStore: count,
  }),
  bindings: z.record(z.string(), z.strictObject({ calls: count, declined: count, callbacks: count })),
  tlb: z.strictObject({ loadMisses: count, storeMisses: count }),
  systemCalls: z.strictObject({ total: count, byName: z.record(z.string(), count) }),
  timeMs: z.strictObject({
    total: milliseconds,
    decodeAndLift: milliseconds,
    emit: milliseconds,
    compile: milliseconds,
    instantiate: milliseconds,
    run: milliseconds,
    systemCalls: milliseconds,
    other: milliseconds,
  }),
  memory: z.strictObject({ guestBytes: count, residentPeakBytes: count, hostPeakBytes: count.exactOptional() }),
  inUse: z.strictObject({ tables: count, slots: count, modules: count, fragments: count, guestPages: count }),
  processes: count,
  codeUse: z.array(
    z.strictObject({
      pid: count,
      program: z.string(),
      linked: count,
      traps: count,
      translated: count,
      ready: count,
    }),
  ),
});
