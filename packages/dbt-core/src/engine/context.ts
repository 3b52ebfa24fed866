/** What an engine is made of, and what it gives: contexts, one per guest processor. */
import type { CodeCuts, EntryCode } from "../port-entry-code.ts";
import type { Frontend } from "../port-frontend.ts";
import type { FragmentPort, HeapPort, MemoryPort, TablePort, TlbFactory } from "./ports.ts";
import type { TranslatorOptions } from "./translator.ts";

/** Asked when translated code wants a service; returns whether to leave the region (the processor's state is exact). */
export type ServiceHandler = (context: Context, code: number) => boolean;

/** Asked for what to put ahead of the guest's code at a guest-virtual address, which is on the physical page given. */
export type EntryCodeAt = (context: Context, page: number, virtualAddress: number) => EntryCode | undefined;

/** What the code at a guest-virtual address is called. */
export type CodeName = (context: Context, virtualAddress: number, hot: boolean) => string;

export interface EngineOptions<F extends FragmentPort> {
  readonly memory: MemoryPort;
  readonly tlb: TlbFactory;
  readonly heap: HeapPort<F>;
  readonly createTable: () => TablePort<F>;
  readonly frontend: Frontend;
  /** JavaScript implementations of the frontend's helpers, by name. */
  readonly helpers: Readonly<Record<string, CallableFunction>>;
  readonly granuleShift: number;
  readonly translator?: Partial<TranslatorOptions>;
  readonly service?: ServiceHandler;
  readonly entryCode?: EntryCodeAt;
  /** Given when a profile is taken: names for the functions that regions become. */
  readonly codeName?: CodeName;
  readonly cuts?: CodeCuts;
  /**
   * Modes with different rights to memory see it through views of their own, each with a soft TLB and a jump cache:
   * how many there are, and which of them code of a mode goes by. Absent: one.
   */
  readonly views?: { readonly count: number; of(mode: number): number };
  /**
   * What one translation takes from the budget, default 0: so that code which keeps changing cannot hold up timers,
   * signals and other processes for as long as a budget of finished code would never last.
   */
  readonly translationBudget?: number;
}

/** What happened while translated code ran, in all contexts. */
export interface EngineStatistics {
  /** Jumps that found a trap, or nothing in the jump cache. */
  resolves: number;
  /** Slots led to fragments. */
  links: number;
  /** Loads and stores whose inline check of the soft TLB failed. */
  tlbMisses: number;
  slowStores: number;
  /** Writes to bytes that code was translated from, and the fragments that were discarded for it. */
  guardFaults: number;
  discards: number;
  /** Those of them that were found stale when they were about to be used. */
  staleOnUse: number;
  instantiateMs: number;
}

/** Before anything has happened. */
export const noStatistics = (): EngineStatistics => ({
  resolves: 0,
  links: 0,
  tlbMisses: 0,
  slowStores: 0,
  guardFaults: 0,
  discards: 0,
  staleOnUse: 0,
  instantiateMs: 0,
});

/** What one context had of the code heap that all share. */
export interface CodeUse {
  /** Slots led to fragments, */
  linked: number;
  /** after running into this many traps. */
  traps: number;
  /** Fragments translated for this context, and those that it found ready, made for another. */
  translated: number;
  ready: number;
}

/** One guest processor: its state block, soft TLB, jump cache, and the table of the address space it runs in. */
export interface Context {
  /** Byte offset of the context block in the engine's memory. */
  readonly pointer: number;
  mode: number;
  narrow: boolean;
  /** Runs from the header's instruction pointer; returns the exit code. */
  run(budget: number): number;
  /** `drop` while it runs makes it leave soon. */
  readonly slices: { drop(): void };
  /**
   * Host offset of `length` bytes on one page that may be read (written) at the guest-virtual address, entered into
   * the TLB; 0 where an ordinary access has to find out.
   */
  hostRange(low: number, high: number, length: number, write: boolean): number;
  /**
   * The same for a write that is to go through even where code was translated from those bytes, which is discarded:
   * a helper that did so leaves afterwards if `codeChanged` says that something was.
   */
  storeRange(low: number, high: number, length: number): number;
  /** For a helper that leaves: a page fault at the address (access 0 read, 1 write), its instruction to be repeated. */
  fault(low: number, high: number, access: 0 | 1): void;
  /** For a helper that leaves: goes on at a guest address. */
  goTo(low: number, high: number): void;
  /** For a helper that works long: takes from the budget, once the region has left. Returns whether it should leave now. */
  spend(units: number): boolean;
  readonly codeUse: Readonly<CodeUse>;
  /** Translations went away, or links to them, since somebody last set this to false. */
  codeChanged: boolean;
  /** Mappings of this range change or lose rights. */
  invalidate(start: number, length: number): void;
  /** Data on this page may not be read or written without asking any more; code there is what it was. */
  invalidateData(start: number): void;
  /** Any page may have lost the right to be written. */
  invalidateWrites(): void;
  invalidateAll(): void;
  /** Another address space: what is not global in it goes. */
  invalidateLocal(): void;
  /** Runs the one instruction at the header's instruction pointer; answers as `run`, EngineExit.stepped when it is done. */
  step(): number;
  dispose(): void;
}
