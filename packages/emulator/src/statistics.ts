/**
 * What a run came to: how much was translated, how the techniques did, what was asked of the kernel, where the time
 * went. The names are stable; `statistics-schema.ts` is the same as a schema.
 */
import { PAGE_BYTES } from "@doppel/guard-memory";
import type { LinuxKernel } from "@doppel/linux-user";
import type { ProcessCodeUse, UsageObserver } from "./observers.ts";
import type { UserEngine } from "./user-engine.ts";

export interface EmulatorStatistics {
  readonly translation: {
    /** Regions in threaded code, which is not WebAssembly, and its bytes. */
    readonly threadedRegions: number;
    readonly threadedBytes: number;
    /** Those of them that had been made before, by an earlier run as a rule. */
    readonly keptRegions: number;
    /** Modules that an earlier run compiled with care, taken over. */
    readonly keptModules: number;
    /** Regions compiled. */
    readonly regions: number;
    /** Those of them that were translated again, with care, since they ran often. */
    readonly hotRegions: number;
    /** Guest instructions translated; those in several regions count in each. */
    readonly guestInstructions: number;
    readonly modules: number;
    readonly wasmBytes: number;
  };
  readonly slots: {
    /** Direct jumps bound to a region, in any process. */
    readonly linked: number;
    /** Times that translated code asked where to go on: traps run into, and jumps that no cache knew. */
    readonly resolves: number;
  };
  readonly flags: {
    /** Places in translated code that record flags; */
    readonly recorded: number;
    /** that use them as an expression of the recorded operands; */
    readonly fused: number;
    /** and that work them out from a record known only at run time, or all at once. */
    readonly materialised: number;
    /** Times a record was resolved by the helper while code ran. */
    readonly resolved: number;
  };
  readonly guards: {
    /** Writes to bytes that code was translated from, on pages whose policy is to stop them; */
    readonly faults: number;
    /** and on pages whose policy is to check translations when they are used. */
    readonly unprotected: number;
    /** Translated regions discarded, */
    readonly discards: number;
    /** those of them that were found stale when they were about to be used. */
    readonly staleOnUse: number;
    /** Times that a page went over to checking on use, and back. */
    readonly toCheckOnUse: number;
    readonly toFaultOnStore: number;
  };
  /** Calls of native twins by name; those declined went to the guest's own function. Bindings never called are absent. */
  readonly bindings: Readonly<
    Record<string, { readonly calls: number; readonly declined: number; readonly callbacks: number }>
  >;
  /** Accesses to guest memory whose inline check failed: absent, forbidden, guarded or across two pages. */
  readonly tlb: { readonly loadMisses: number; readonly storeMisses: number };
  readonly systemCalls: { readonly total: number; readonly byName: Readonly<Record<string, number>> };
  readonly timeMs: {
    /** From the start of the emulator until now. */
    readonly total: number;
    readonly decodeAndLift: number;
    readonly emit: number;
    /** What V8 does at once; it compiles functions again, and better, on threads of its own. */
    readonly compile: number;
    readonly instantiate: number;
    /** In translated code and its helpers. */
    readonly run: number;
    readonly systemCalls: number;
    /** Loading, scheduling, waiting. */
    readonly other: number;
  };
  readonly memory: {
    readonly guestBytes: number;
    /** Of the largest process. */
    readonly residentPeakBytes: number;
    /** Of the process that emulates, where the host says. */
    readonly hostPeakBytes?: number;
  };
  /** What is in use now; when all processes have ended, that is what they leave to the next. */
  readonly inUse: {
    /** Tables of trampolines: one for each process. */
    readonly tables: number;
    readonly slots: number;
    readonly modules: number;
    readonly fragments: number;
    /** Pages of guest memory: of processes, of cached files, and of the engine itself. */
    readonly guestPages: number;
  };
  /** Processes that ended. */
  readonly processes: number;
  /** The first of them, in the order they ended: what each had of the translations that all share. */
  readonly codeUse: readonly ProcessCodeUse[];
}

export interface StatisticsSources {
  readonly engine: UserEngine;
  readonly kernel: LinuxKernel;
  readonly usage: UsageObserver;
  /** performance.now() when the emulator was made. */
  readonly startedMs: number;
}

/** Times are kept to the microsecond. */
function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

/** The numbers as they are now; of processes that still run, only what they asked and had translated. */
export function collectStatistics({ engine, kernel, usage, startedMs }: StatisticsSources): EmulatorStatistics {
  const translated = engine.translator.translator.statistics;
  const ran = engine.translator.statistics;
  const flags = engine.frontend.flagStatistics;
  const calls = [...kernel.syscalls.counts()].sort(([, left], [, right]) => right - left);
  const total = performance.now() - startedMs;
  const translating = translated.discoverMs + translated.emitMs + translated.compileMs + ran.instantiateMs;
  const run = Math.max(0, usage.userNs / 1e6 - translating);
  const systemCalls = usage.systemNs / 1e6;
  return {
    translation: {
      threadedRegions: translated.threadedRegions,
      threadedBytes: translated.threadedBytes,
      keptRegions: translated.keptRegions,
      keptModules: translated.keptModules,
      regions: translated.regions,
      hotRegions: translated.hotRegions,
      guestInstructions: translated.instructions,
      modules: translated.modules,
      wasmBytes: translated.wasmBytes,
    },
    slots: { linked: engine.translator.statistics.links, resolves: ran.resolves },
    flags: { ...flags, resolved: engine.flagsResolved },
    guards: { ...engine.memory.guardStatistics, discards: ran.discards, staleOnUse: ran.staleOnUse },
    bindings: Object.fromEntries(
      Object.entries(engine.native.allStatistics()).filter(([, count]) => count.calls + count.declined > 0),
    ),
    tlb: { loadMisses: ran.tlbMisses, storeMisses: ran.slowStores },
    systemCalls: { total: calls.reduce((sum, [, count]) => sum + count, 0), byName: Object.fromEntries(calls) },
    timeMs: {
      total: round(total),
      decodeAndLift: round(translated.discoverMs),
      emit: round(translated.emitMs),
      compile: round(translated.compileMs),
      instantiate: round(ran.instantiateMs),
      run: round(run),
      systemCalls: round(systemCalls),
      other: round(Math.max(0, total - translating - run - systemCalls)),
    },
    memory: {
      guestBytes: engine.memory.totalPages * PAGE_BYTES,
      residentPeakBytes: usage.peakResidentPages * PAGE_BYTES,
    },
    inUse: {
      tables: engine.heap.tableCount,
      slots: engine.heap.slotCount - engine.heap.freeSlots,
      modules: engine.heap.moduleCount,
      fragments: engine.heap.statistics.fragments - engine.heap.statistics.discarded,
      guestPages: engine.memory.totalPages - engine.memory.freePages,
    },
    processes: usage.processes,
    codeUse: usage.codeUse,
  };
}
