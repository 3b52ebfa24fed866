/**
 * A table and the instances that fill it: of the support functions and the handlers, for each view of memory, and of compiled
 * modules as they are used.
 *
 * Instances are bound to a table, and only by way of it to a process. To make them costs some 20 us each, and a shell has
 * hundreds; so a process that begins takes over the table of one that has ended: with traps wherever that was led, but with what
 * was instantiated for it.
 */
import { ImportModule } from "../emit/module-emitter.ts";
import { type SupportExports, supportModule } from "../emit/support-module.ts";
import type { CodeLayout } from "../layout.ts";
import { enterThreaded } from "../threaded/instance.ts";
import { threadedModule } from "../threaded/threaded-module.ts";
import type { EngineOptions } from "./context.ts";
import type { ModuleArchive } from "./module-archive.ts";
import type { FragmentPort, TablePort } from "./ports.ts";
import { TierNumber } from "./tier.ts";

/** Table slots of the stubs. Slot 0 is nobody's: it means "by the jump cache" to the resolver. */
const TRAP_SLOT = 1;
export const LEAVE_SLOT = 2;
/** Holds an instruction that runs alone. */
export const STEP_SLOT = 3;
/** Holds what enters threaded code; of the next view, in the next slot. */
export const THREADED_SLOT = 4;
export const RESERVED_SLOTS = 8;
/** Tables kept for processes to come: as many as a shell's pipelines keep busy, some megabytes each. */
const IDLE_TABLES = 4;

/** The processor that runs through a table: what translated code calls. */
export interface TableOwner {
  resolve(low: number, high: number, slot: number, tier: number): number;
  slowLoad(low: number, high: number, info: number): number;
  slowStore(low: number, high: number, valueLow: number, valueHigh: number, info: number): number;
  slowStoreVector(low: number, high: number, info: number): number;
  service(code: number): number;
}

/** What regions of one view are instantiated with. */
export interface ViewCode {
  readonly exports: SupportExports;
  readonly imports: WebAssembly.Imports;
  /** The table slot where its threaded code is entered, or 0. */
  readonly threadedSlot: number;
}

export class CodeTable<F extends FragmentPort> {
  readonly table: TablePort<F>;
  readonly views: readonly ViewCode[];
  private owner: TableOwner;

  constructor(modules: CodeModules, options: EngineOptions<F>, owner: TableOwner) {
    this.owner = owner;
    this.table = options.createTable();
    this.views = modules.support.map((_, index) => this.createView(modules, options, index));
    const { trap, leave, copySlot } = this.views[0].exports;
    this.table.table.set(TRAP_SLOT, trap);
    this.table.table.set(LEAVE_SLOT, leave);
    this.table.setTrap(TRAP_SLOT, RESERVED_SLOTS, copySlot);
    this.table.occupy();
  }

  private createView({ support, threaded }: CodeModules, options: EngineOptions<F>, index: number): ViewCode {
    const { memory, helpers, frontend } = options;
    const environment = { memory: memory.memory, table: this.table.table };
    const instance = new WebAssembly.Instance(support[index], {
      e: environment,
      j: {
        resolve: (_context: number, low: number, high: number, slot: number) =>
          this.owner.resolve(low, high, slot, TierNumber.threaded),
        compile: (_context: number, low: number, high: number, slot: number) =>
          this.owner.resolve(low, high, slot, TierNumber.cold),
        promote: (_context: number, low: number, high: number, slot: number) =>
          this.owner.resolve(low, high, slot, TierNumber.hot),
        slowLoad: (_context: number, low: number, high: number, info: number) => this.owner.slowLoad(low, high, info),
        slowStore: (_context: number, low: number, high: number, valueLow: number, valueHigh: number, info: number) =>
          this.owner.slowStore(low, high, valueLow, valueHigh, info),
        slowStoreVector: (_context: number, low: number, high: number, info: number) =>
          this.owner.slowStoreVector(low, high, info),
      },
    });
    const exports = instance.exports as unknown as SupportExports;
    const service = (_context: number, code: number): number => this.owner.service(code);
    const imports = {
      [ImportModule.engine]: { ...environment, ...exports, service },
      [ImportModule.helpers]: helpers,
    };
    const threadedSlot = threadedSlotOf(threaded, index);
    if (threadedSlot > 0) {
      const surroundings = { view: memory.view, helpers: frontend.helpers, imports, support: exports };
      this.table.table.set(threadedSlot, enterThreaded(threaded[index], surroundings));
    }
    return { exports, imports, threadedSlot };
  }

  occupy(owner: TableOwner): void {
    this.owner = owner;
    this.table.occupy();
  }
}

/** The modules that every table has an instance of, for each view; no handlers when nothing is threaded. */
export interface CodeModules {
  readonly support: readonly WebAssembly.Module[];
  readonly threaded: readonly WebAssembly.Module[];
}

/** Numbers of these modules in an archive. */
export const OwnModule = { support: 0, threaded: 1, count: 2 } as const;

/** @param archive where they are kept from run to run */
export function codeModules(
  layouts: readonly CodeLayout[],
  memoryPages: number,
  withThreaded: boolean,
  archive: ModuleArchive | undefined,
): CodeModules {
  const isThreaded = withThreaded && layouts.length <= RESERVED_SLOTS - THREADED_SLOT;
  const open = (number: number, make: () => Uint8Array<ArrayBuffer>): WebAssembly.Module =>
    archive?.openOwn(number, make) ?? new WebAssembly.Module(make());
  const support = layouts.map((layout, view) =>
    open(view * OwnModule.count + OwnModule.support, () => supportModule(layout, memoryPages)),
  );
  const threaded = (isThreaded ? layouts : []).map((layout, view) =>
    open(view * OwnModule.count + OwnModule.threaded, () => threadedModule(layout, memoryPages)),
  );
  return { support, threaded };
}

export function threadedSlotOf(threaded: CodeModules["threaded"], view: number): number {
  return view < threaded.length ? THREADED_SLOT + view : 0;
}

/** All tables, those of no process among them. */
export class CodeTables<F extends FragmentPort> {
  readonly modules: CodeModules;
  private readonly options: EngineOptions<F>;
  private readonly idle: CodeTable<F>[] = [];

  constructor(modules: CodeModules, options: EngineOptions<F>) {
    this.modules = modules;
    this.options = options;
  }

  /** One that leads nowhere. */
  take(owner: TableOwner): CodeTable<F> {
    const table = this.idle.pop();
    if (table === undefined) return new CodeTable(this.modules, this.options, owner);
    table.occupy(owner);
    return table;
  }

  /** Its process is gone, of which nothing is running any more: if it may be, it still is as it was for that. */
  release(code: CodeTable<F>, isRunning: boolean): void {
    if (isRunning || this.idle.length >= IDLE_TABLES) {
      code.table.dispose();
      return;
    }
    code.table.vacate();
    this.idle.push(code);
  }
}
