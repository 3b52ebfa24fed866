/**
 * The engine: contexts (one per guest processor), their slow paths, and the loop that runs them.
 *
 * Translated code never returns for a translation: a trap stub or a jump-cache miss calls `resolve`, which answers
 * with a table slot. It returns only with a reason in the context header.
 */
import { ImportModule } from "../emit/module-emitter.ts";
import { type SupportExports, supportModule } from "../emit/support-module.ts";
import { type CodeLayout, EngineExit, Header } from "../layout.ts";
import type { Frontend } from "../port-frontend.ts";
import {
  FAULT_NON_CANONICAL,
  type FragmentPort,
  type HeapPort,
  type MemoryPort,
  SPACE_PAGE_SHIFT,
  SPACE_WRITABLE,
  type SpacePort,
  type TablePort,
  type TlbFactory,
  type TlbPort,
} from "./ports.ts";
import { type CodeView, Translator, type TranslatorOptions } from "./translator.ts";

const PAGE_SHIFT = 12;
const PAGE_BYTES = 1 << PAGE_SHIFT;
const PAGE_MASK = PAGE_BYTES - 1;
const TWO_32 = 2 ** 32;
/** Virtual addresses are JavaScript numbers below this; above lies what no mapping of a user process has. */
const ADDRESS_LIMIT_HIGH = 0x10000;
const JUMP_CACHE_BITS = 12;
const JUMP_CACHE_ENTRY = 16;
/** Table slots of the stubs. Slot 0 is nobody's: it means "by the jump cache" to the resolver. */
const TRAP_SLOT = 1;
const LEAVE_SLOT = 2;
/** Holds an instruction that runs alone. */
const STEP_SLOT = 3;
export const RESERVED_SLOTS = 8;
/** Guest calls nested as wasm calls. V8's stack is about a megabyte, a baseline frame some hundreds of bytes. */
const CALL_DEPTH = 400;

export const defaultTranslatorOptions: TranslatorOptions = {
  cold: { batchRegions: 2, regionInstructions: 50 },
  hot: { batchRegions: 1, regionInstructions: 300 },
  promoteAfter: 2000,
};

/** Asked when translated code wants a service; returns whether to leave the region (the processor's state is exact). */
export type ServiceHandler = (context: Context, code: number) => boolean;

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
  /** Loads and stores whose inline check of the soft TLB failed. */
  tlbMisses: number;
  slowStores: number;
  /** Writes to bytes that code was translated from, and the fragments that were discarded for it. */
  guardFaults: number;
  discards: number;
  instantiateMs: number;
}

/** One guest processor: its state block, soft TLB, jump cache, and the table of the address space it runs in. */
export interface Context {
  /** Byte offset of the context block in the engine's memory. */
  readonly pointer: number;
  mode: number;
  narrow: boolean;
  /** Runs from the header's instruction pointer; returns the exit code. */
  run(budget: number): number;
  /**
   * Host offset of `length` bytes on one page that may be read (written) at the guest-virtual address, entered into
   * the TLB; 0 where an ordinary access has to find out.
   */
  hostRange(low: number, high: number, length: number, write: boolean): number;
  /** Mappings of this range change or lose rights. */
  invalidate(start: number, length: number): void;
  /** Any page may have lost the right to be written. */
  invalidateWrites(): void;
  invalidateAll(): void;
  dispose(): void;
}

export class Engine<F extends FragmentPort = FragmentPort> {
  readonly layout: CodeLayout;
  readonly translator: Translator<F>;
  readonly statistics: EngineStatistics = {
    resolves: 0,
    tlbMisses: 0,
    slowStores: 0,
    guardFaults: 0,
    discards: 0,
    instantiateMs: 0,
  };
  readonly options: EngineOptions<F>;
  readonly blockPages: number;
  readonly support: WebAssembly.Module;
  private readonly contexts: Map<number, EngineContext<F>> = new Map();

  constructor(options: EngineOptions<F>) {
    this.options = options;
    const { shape } = options.tlb;
    const jumpCacheOffset = Header.guestStateEnd + shape.bytes;
    this.layout = {
      tlb: { ...shape, offset: Header.guestStateEnd },
      jumpCache: { offset: jumpCacheOffset, indexBits: JUMP_CACHE_BITS },
    };
    this.blockPages = Math.ceil((jumpCacheOffset + (JUMP_CACHE_ENTRY << JUMP_CACHE_BITS)) / PAGE_BYTES);
    const { memory, heap, frontend } = options;
    this.translator = new Translator(frontend, this.layout, memory, heap, {
      ...defaultTranslatorOptions,
      ...options.translator,
    });
    this.support = new WebAssembly.Module(supportModule(this.layout, memory.bytes.length / 65536));
    memory.setGuardHit((page, offset, length) => this.discardMadeFrom(page, offset, length));
    memory.onPageGuarded((host) => {
      for (const context of this.contexts.values()) context.tlb.dropWrites(host);
    });
  }

  /** A new processor in the address space, or undefined when guest memory has no room for its block. */
  createContext(space: SpacePort): Context | undefined {
    const pointer = this.options.memory.allocateBlock(this.blockPages);
    if (pointer === 0) return undefined;
    const context = new EngineContext(this, space, pointer);
    this.contexts.set(pointer, context);
    return context;
  }

  /** The context a helper was called with. */
  contextAt(pointer: number): Context | undefined {
    return this.contexts.get(pointer >>> 0);
  }

  removeContext(context: EngineContext<F>): void {
    this.contexts.delete(context.pointer);
    this.options.memory.freeBlock(context.pointer, this.blockPages);
  }

  private discardMadeFrom(page: number, offset: number, length: number): void {
    const { heap, granuleShift } = this.options;
    this.statistics.guardFaults++;
    for (const fragment of heap.madeFrom(page, offset, length, granuleShift)) {
      heap.discard(fragment);
      this.statistics.discards++;
      for (const context of this.contexts.values()) context.forget(fragment.homeSlot);
    }
    for (const context of this.contexts.values()) context.codeChanged = true;
  }
}

class EngineContext<F extends FragmentPort> implements Context, CodeView {
  readonly pointer: number;
  readonly tlb: TlbPort;
  mode = 0;
  narrow = false;
  private readonly engine: Engine<F>;
  private readonly space: SpacePort;
  private readonly table: TablePort<F>;
  private readonly exports: SupportExports;
  private readonly imports: WebAssembly.Imports;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  /** Virtual pages that code was linked from, to know which remaps concern links. */
  private readonly codePages: Set<number> = new Set();
  /** Where physical code pages are seen in this address space: their aliases get translations of their own. */
  private readonly seenAt: Map<number, number[]> = new Map();
  private jumpCacheUsed = false;
  private lastMode = -1;
  /** Translations went away since the last service began. */
  codeChanged = false;

  constructor(engine: Engine<F>, space: SpacePort, pointer: number) {
    this.engine = engine;
    this.space = space;
    this.pointer = pointer;
    const { memory, tlb, createTable, helpers, service } = engine.options;
    this.view = memory.view;
    this.bytes = memory.bytes;
    this.tlb = tlb.create(pointer + engine.layout.tlb.offset);
    this.table = createTable();
    const environment = { memory: memory.memory, table: this.table.table };
    const instance = new WebAssembly.Instance(engine.support, {
      e: environment,
      j: {
        resolve: (_context: number, low: number, high: number, slot: number) => this.resolve(low, high, slot, 0),
        promote: (_context: number, low: number, high: number, slot: number) => this.resolve(low, high, slot, 1),
        slowLoad: (_context: number, low: number, high: number, info: number) => this.slowLoad(low, high, info),
        slowStore: (_context: number, low: number, high: number, valueLow: number, valueHigh: number, info: number) =>
          this.slowStore(low, high, valueLow, valueHigh, info),
        slowStoreVector: (_context: number, low: number, high: number, info: number) =>
          this.slowStoreVector(low, high, info),
      },
    });
    this.exports = instance.exports as unknown as SupportExports;
    this.table.table.set(TRAP_SLOT, this.exports.trap);
    this.table.table.set(LEAVE_SLOT, this.exports.leave);
    this.table.setTrap(TRAP_SLOT, RESERVED_SLOTS, this.exports.copySlot);
    this.imports = {
      [ImportModule.engine]: {
        ...environment,
        jump: this.exports.jump,
        slowLoad: this.exports.slowLoad,
        slowStore: this.exports.slowStore,
        slowStoreVector: this.exports.slowStoreVector,
        promote: this.exports.promote,
        load: this.exports.load,
        store1: this.exports.store1,
        store2: this.exports.store2,
        store4: this.exports.store4,
        store8: this.exports.store8,
        store16: this.exports.store16,
        service: (_context: number, code: number) => this.service(code, service),
      },
      [ImportModule.helpers]: helpers,
    };
    this.flushJumpCache(true);
  }

  run(budget: number): number {
    const { view, pointer } = this;
    if (this.mode !== this.lastMode) {
      this.flushJumpCache();
      this.lastMode = this.mode;
    }
    view.setInt32(pointer + Header.budget, budget, true);
    let stepped = false;
    for (;;) {
      view.setInt32(pointer + Header.exitCode, 0, true);
      const low = view.getInt32(pointer + Header.instructionPointer, true);
      const high = view.getInt32(pointer + Header.instructionPointer + 4, true);
      this.exports.run(pointer, low, high, CALL_DEPTH);
      if (stepped) {
        this.forget(STEP_SLOT);
        stepped = false;
      }
      const code = view.getInt32(pointer + Header.exitCode, true);
      if (code === EngineExit.retry) {
        stepped = this.prepareStep();
        continue;
      }
      if (code === EngineExit.stepped) continue;
      // -1 came back as a guest address: there is no code.
      if (code === 0) {
        view.setInt32(pointer + Header.instructionPointer, -1, true);
        view.setInt32(pointer + Header.instructionPointer + 4, -1, true);
        this.fail(0, -1, -1, 2, FAULT_NON_CANONICAL);
        return EngineExit.pageFault;
      }
      return code;
    }
  }

  /**
   * The instruction at the instruction pointer is to run alone next: retried in a region, it would guard the very bytes
   * it writes again, when they are close to its own.
   */
  private prepareStep(): boolean {
    const low = this.view.getInt32(this.pointer + Header.instructionPointer, true);
    const high = this.view.getInt32(this.pointer + Header.instructionPointer + 4, true);
    const module = this.engine.translator.translateOne((high >>> 0) * TWO_32 + (low >>> 0), this, STEP_SLOT);
    if (module === undefined) return false;
    this.spendTranslation();
    this.table.growTo(this.engine.options.heap.slotCount);
    void new WebAssembly.Instance(module, this.imports);
    this.cacheJump(low, high, STEP_SLOT);
    return true;
  }

  private spendTranslation(): void {
    const at = this.pointer + Header.budget;
    const cost = this.engine.options.translationBudget ?? 0;
    if (cost > 0) this.view.setInt32(at, this.view.getInt32(at, true) - cost, true);
  }

  private service(code: number, handler: ServiceHandler | undefined): number {
    this.codeChanged = false;
    // Regions on the stack may be about code that is not there any more: then leave, whatever the handler says.
    if (handler !== undefined && !handler(this, code) && !this.codeChanged) return 0;
    this.view.setInt32(this.pointer + Header.exitCode, EngineExit.service, true);
    this.view.setInt32(this.pointer + Header.exitPayload, code, true);
    return 1;
  }

  // Code.

  fetch = (virtualAddress: number): number => {
    const answer = this.space.translate(virtualAddress, 2);
    return answer < 0 ? answer : answer >>> SPACE_PAGE_SHIFT;
  };

  heapMode(page: number, virtualAddress: number): number {
    const virtualPage = Math.floor(virtualAddress / PAGE_BYTES);
    let places = this.seenAt.get(page);
    if (places === undefined) this.seenAt.set(page, (places = []));
    let alias = places.indexOf(virtualPage);
    if (alias < 0) alias = places.push(virtualPage) - 1;
    return this.mode + alias * 64;
  }

  /** The home slot of a fragment for the address, of at least the given tier; links `slot`, or the jump cache, to it. */
  private resolve(low: number, high: number, slot: number, tier: number): number {
    const { engine } = this;
    engine.statistics.resolves++;
    const address = (high >>> 0) * TWO_32 + (low >>> 0);
    const page = high >>> 0 >= ADDRESS_LIMIT_HIGH ? FAULT_NON_CANONICAL : this.fetch(address);
    if (page < 0) return this.cannotFetch(low, high, low, high, page);
    const heapMode = this.heapMode(page, address);
    let fragment: F | undefined;
    for (const candidate of engine.options.heap.at(page, low & PAGE_MASK)) {
      if (candidate.tier >= tier && candidate.mode === heapMode && this.mapsAlike(candidate, address)) {
        fragment = candidate;
        break;
      }
    }
    if (fragment === undefined) {
      this.spendTranslation();
      fragment = engine.translator.translate(address, this, tier);
    }
    if (fragment === undefined) {
      const at = engine.translator.faultAddress;
      const fault = this.fetch(at);
      return this.cannotFetch(low, high, at | 0, Math.floor(at / TWO_32) | 0, fault < 0 ? fault : FAULT_NON_CANONICAL);
    }
    this.table.ensure(fragment.container, (module) => {
      const started = performance.now();
      void new WebAssembly.Instance(module, this.imports);
      engine.statistics.instantiateMs += performance.now() - started;
    });
    this.codePages.add(Math.floor(address / PAGE_BYTES));
    for (const { distance } of fragment.otherPages) this.codePages.add(Math.floor(address / PAGE_BYTES) + distance);
    if (slot > 0) this.table.link(slot, fragment);
    else this.cacheJump(low, high, fragment.homeSlot);
    return fragment.homeSlot;
  }

  private mapsAlike(fragment: F, address: number): boolean {
    return fragment.otherPages.every(({ distance, page }) => this.fetch(address + distance * PAGE_BYTES) === page);
  }

  private cannotFetch(low: number, high: number, faultLow: number, faultHigh: number, fault: number): number {
    const { view, pointer } = this;
    view.setInt32(pointer + Header.instructionPointer, low, true);
    view.setInt32(pointer + Header.instructionPointer + 4, high, true);
    this.fail(0, faultLow, faultHigh, 2, fault);
    return LEAVE_SLOT;
  }

  private jumpCacheEntry(low: number, high: number): number {
    const shifted = (low >>> 12) | (high << 20);
    const index = (low ^ shifted) & ((1 << JUMP_CACHE_BITS) - 1);
    return this.pointer + this.engine.layout.jumpCache.offset + index * JUMP_CACHE_ENTRY;
  }

  private cacheJump(low: number, high: number, slot: number): void {
    const entry = this.jumpCacheEntry(low, high);
    this.view.setInt32(entry, low, true);
    this.view.setInt32(entry + 4, high, true);
    this.view.setInt32(entry + 8, slot, true);
    this.jumpCacheUsed = true;
  }

  /** Every entry empty: an address that hashes elsewhere. */
  private flushJumpCache(force = false): void {
    if (!this.jumpCacheUsed && !force) return;
    const start = this.pointer + this.engine.layout.jumpCache.offset;
    for (let index = 0; index < 1 << JUMP_CACHE_BITS; index++) {
      this.view.setInt32(start + index * JUMP_CACHE_ENTRY, index ^ 1, true);
      this.view.setInt32(start + index * JUMP_CACHE_ENTRY + 4, 0, true);
    }
    this.jumpCacheUsed = false;
  }

  /** A fragment is gone: its link slots are the table's business, the jump cache is ours. */
  forget(homeSlot: number): void {
    if (!this.jumpCacheUsed) return;
    const start = this.pointer + this.engine.layout.jumpCache.offset;
    for (let index = 0; index < 1 << JUMP_CACHE_BITS; index++) {
      const entry = start + index * JUMP_CACHE_ENTRY;
      if (this.view.getInt32(entry + 8, true) !== homeSlot) continue;
      this.view.setInt32(entry, index ^ 1, true);
      this.view.setInt32(entry + 4, 0, true);
    }
  }

  // Memory.

  private fail(offset: number, low: number, high: number, access: number, fault: number): void {
    const { view, pointer } = this;
    view.setInt32(pointer + Header.exitCode, EngineExit.pageFault, true);
    view.setInt32(pointer + Header.exitOffset, offset, true);
    view.setInt32(pointer + Header.exitPayload, fault, true);
    view.setInt32(pointer + Header.faultAddress, low, true);
    view.setInt32(pointer + Header.faultAddress + 4, high, true);
    view.setInt32(pointer + Header.faultAccess, access, true);
  }

  /** Physical page and rights for the page at (low, high), entered into the TLB; or a negative fault. */
  private look(low: number, high: number, access: 0 | 1): number {
    if (high >>> 0 >= ADDRESS_LIMIT_HIGH) return FAULT_NON_CANONICAL;
    const answer = this.space.translate((high >>> 0) * TWO_32 + (low >>> 0), access);
    if (answer < 0) return answer;
    const page = answer >>> SPACE_PAGE_SHIFT;
    const writable = (answer & SPACE_WRITABLE) !== 0 && !this.engine.options.memory.isGuarded(page);
    this.tlb.fill(low, high, page * PAGE_BYTES, true, writable);
    return page;
  }

  hostRange(low: number, high: number, length: number, write: boolean): number {
    if ((low & PAGE_MASK) + length > PAGE_BYTES) return 0;
    const page = this.look(low, high, write ? 1 : 0);
    if (page < 0) return 0;
    if (write && this.engine.options.memory.isGuarded(page)) return 0;
    return page * PAGE_BYTES + (low & PAGE_MASK);
  }

  private slowLoad(low: number, high: number, info: number): number {
    this.engine.statistics.tlbMisses++;
    const size = info & 0xff;
    const page = this.look(low, high, 0);
    if (page < 0) {
      this.fail(info >> 8, low, high, 0, page);
      return 0;
    }
    const inPage = low & PAGE_MASK;
    if (inPage + size <= PAGE_BYTES) return page * PAGE_BYTES + inPage;
    const nextLow = (low | PAGE_MASK) + 1;
    const nextHigh = nextLow === 0 ? (high + 1) | 0 : high;
    const next = this.look(nextLow, nextHigh, 0);
    if (next < 0) {
      this.fail(info >> 8, nextLow, nextHigh, 0, next);
      return 0;
    }
    const first = PAGE_BYTES - inPage;
    const bounce = this.pointer + Header.bounce;
    this.bytes.copyWithin(bounce, page * PAGE_BYTES + inPage, (page + 1) * PAGE_BYTES);
    this.bytes.copyWithin(bounce + first, next * PAGE_BYTES, next * PAGE_BYTES + size - first);
    return bounce;
  }

  private slowStore(low: number, high: number, valueLow: number, valueHigh: number, info: number): number {
    const at = this.pointer + Header.storeValue;
    this.view.setInt32(at, valueLow, true);
    this.view.setInt32(at + 4, valueHigh, true);
    return this.slowStoreVector(low, high, info);
  }

  /** Writes the bytes at the header's store value. 0: done; 1: leave (fault, or translated code was in the way). */
  private slowStoreVector(low: number, high: number, info: number): number {
    this.engine.statistics.slowStores++;
    const size = info & 0xff;
    const inPage = low & PAGE_MASK;
    const first = Math.min(size, PAGE_BYTES - inPage);
    const page = this.look(low, high, 1);
    if (page < 0) {
      this.fail(info >> 8, low, high, 1, page);
      return 1;
    }
    let next = 0;
    if (first < size) {
      const nextLow = (low | PAGE_MASK) + 1;
      const nextHigh = nextLow === 0 ? (high + 1) | 0 : high;
      next = this.look(nextLow, nextHigh, 1);
      if (next < 0) {
        this.fail(info >> 8, nextLow, nextHigh, 1, next);
        return 1;
      }
    }
    const { memory } = this.engine.options;
    let dropped = memory.isGuarded(page) && memory.checkStore(page, inPage, first);
    if (first < size && memory.isGuarded(next)) dropped = memory.checkStore(next, 0, size - first) || dropped;
    if (dropped) {
      this.view.setInt32(this.pointer + Header.exitCode, EngineExit.retry, true);
      this.view.setInt32(this.pointer + Header.exitOffset, info >> 8, true);
      return 1;
    }
    const at = this.pointer + Header.storeValue;
    this.bytes.copyWithin(page * PAGE_BYTES + inPage, at, at + first);
    if (first < size) this.bytes.copyWithin(next * PAGE_BYTES, at + first, at + size);
    return 0;
  }

  // Changes of the address space.

  invalidate(start: number, length: number): void {
    const firstPage = Math.floor(start / PAGE_BYTES);
    const pages = Math.ceil((start + length) / PAGE_BYTES) - firstPage;
    this.tlb.flushRange(start | 0, Math.floor(start / TWO_32) | 0, pages);
    if (this.concernsCode(firstPage, pages)) this.dropLinks();
  }

  private concernsCode(firstPage: number, pages: number): boolean {
    if (pages < this.codePages.size) {
      for (let page = firstPage; page < firstPage + pages; page++) if (this.codePages.has(page)) return true;
      return false;
    }
    for (const page of this.codePages) if (page >= firstPage && page < firstPage + pages) return true;
    return false;
  }

  invalidateWrites(): void {
    this.tlb.flush();
  }

  invalidateAll(): void {
    this.tlb.flush();
    this.dropLinks();
  }

  private dropLinks(): void {
    this.codeChanged = true;
    this.table.unlinkAll();
    this.flushJumpCache();
    this.codePages.clear();
    this.seenAt.clear();
  }

  dispose(): void {
    this.table.dispose();
    this.engine.removeContext(this);
  }
}
