/**
 * The engine: contexts (one per guest processor), their slow paths, and the loop that runs them.
 *
 * Translated code never returns for a translation: a trap stub or a jump-cache miss calls `resolve`, which answers
 * with a table slot. It returns only with a reason in the context header.
 */
import type { SupportExports } from "../emit/support-module.ts";
import { type CodeLayout, EngineExit, Header, type TlbLayout } from "../layout.ts";
import { isCanonical, isCanonicalHigh } from "./addresses.ts";
import type { EntryCode } from "../port-entry-code.ts";
import {
  FAULT_NON_CANONICAL,
  type FragmentPort,
  isForMode,
  SPACE_DEVICE,
  SPACE_GLOBAL,
  SPACE_PAGE_MASK,
  SPACE_PAGE_SHIFT,
  SPACE_WRITABLE,
  type SpacePort,
  type TablePort,
} from "./ports.ts";
import {
  type CodeTable,
  CodeTables,
  codeModules,
  LEAVE_SLOT,
  STEP_SLOT,
  type TableOwner,
  type ViewCode,
} from "./code-table.ts";
import { type CodeUse, type Context, type EngineOptions, type EngineStatistics, noStatistics } from "./context.ts";
import { Slices } from "./slices.ts";
import { JUMP_CACHE_BITS, JUMP_CACHE_BYTES } from "./jump-cache.ts";
import { View } from "./view.ts";
import { CELL_BYTES } from "../threaded/record.ts";
import { entryAt, SlotEntries } from "../threaded/slot-entries.ts";
import { TierNumber } from "./tier.ts";
import { type CodeView, type LoneInstruction, Translator, defaultTranslatorOptions } from "./translator.ts";

const PAGE_SHIFT = 12;
const PAGE_BYTES = 1 << PAGE_SHIFT;
const PAGE_MASK = PAGE_BYTES - 1;
const TWO_32 = 2 ** 32;
/** Bytes of the host's stack for guest calls nested as wasm calls. V8's is about a megabyte, and helpers need some. */
const CALL_STACK_BYTES = 600_000;
/** Frontends' modes have 7 bits. */
export const MODES = 128;
/** Units of budget that helpers may spend before their region leaves. */
const LARGEST_DEBT = 1000;

export class Engine<F extends FragmentPort = FragmentPort> {
  /** Of each view. */
  readonly layouts: readonly CodeLayout[];
  readonly translator: Translator<F>;
  readonly statistics: EngineStatistics = noStatistics();
  readonly options: EngineOptions<F>;
  readonly blockPages: number;
  readonly optionalModeBits: number;
  readonly tables: CodeTables<F>;
  private readonly contexts: Map<number, EngineContext<F>> = new Map();

  constructor(options: EngineOptions<F>) {
    this.options = options;
    const { shape } = options.tlb;
    const viewBytes = shape.bytes + JUMP_CACHE_BYTES;
    this.layouts = Array.from({ length: options.views?.count ?? 1 }, (_, view) => {
      const offset = Header.guestStateEnd + CELL_BYTES + view * viewBytes;
      return {
        cells: Header.guestStateEnd,
        tlb: { ...shape, offset },
        jumpCache: { offset: offset + shape.bytes, indexBits: JUMP_CACHE_BITS },
        guardWords: options.memory.guardWordOffset(0),
      };
    });
    this.blockPages = Math.ceil((Header.guestStateEnd + CELL_BYTES + this.layouts.length * viewBytes) / PAGE_BYTES);
    const { memory, heap, frontend } = options;
    this.optionalModeBits = frontend.optionalModeBits ?? 0;
    const translatorOptions = { ...defaultTranslatorOptions, ...options.translator };
    translatorOptions.modules?.begin(JSON.stringify([this.layouts, memory.bytes.length]));
    this.translator = new Translator(frontend, this.layouts[0], memory, heap, translatorOptions);
    const memoryPages = memory.bytes.length / 65536;
    const { compileAfter, modules } = translatorOptions;
    this.tables = new CodeTables(codeModules(this.layouts, memoryPages, compileAfter > 0, modules), options);
    memory.setGuardHit((page, offset, length, store) => this.discardMadeFrom(page, offset, length, store));
    memory.onPageGuarded((host) => {
      for (const context of this.contexts.values()) context.dropWrites(host);
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

  /** Discards what was translated from this entry on: somebody has entry code for it now. */
  discardAt(page: number, offset: number): void {
    for (const fragment of [...this.options.heap.at(page, offset)]) this.discard(fragment);
  }

  /** Translated code that is running, in any context: nested runs. */
  running = 0;

  /** Where no translated code is running: keeps the heap within its bound, and gives slots back. */
  collectGarbage(): void {
    const { heap } = this.options;
    if (this.running > 0) return;
    // Threaded code, which jump caches lead to without a slot of its own, is not to be found there any more.
    const evicted = heap.evict() > 0;
    if (heap.hasGarbage) for (const counter of heap.reclaim()) this.translator.releaseCounter(counter);
    else if (!evicted) return;
    for (const context of this.contexts.values()) context.flushJumpCaches();
  }

  private discardMadeFrom(page: number, offset: number, length: number, store: boolean): void {
    const { heap, granuleShift } = this.options;
    if (store) this.statistics.guardFaults++;
    for (const fragment of heap.madeFrom(page, offset, length, granuleShift)) this.discard(fragment);
    for (const context of this.contexts.values()) context.codeChanged = true;
  }

  private discard(fragment: F): void {
    this.translator.discard(fragment);
    this.statistics.discards++;
  }

  /** Whether the bytes it was made from are what they were then; if not, it is discarded. */
  isCoherent(fragment: F): boolean {
    if (!fragment.checked) return true;
    const { memory } = this.options;
    for (const { page, start, end } of fragment.sources) {
      if (!memory.isCheckedOnUse(page) || memory.isCoherent(page, start, end - start)) continue;
      this.statistics.staleOnUse++;
      this.discard(fragment);
      return false;
    }
    return true;
  }

  /** The code at a physical place was found stale by itself. */
  discardStale(page: number, offset: number): void {
    for (const fragment of this.options.heap.at(page, offset)) this.isCoherent(fragment);
  }
}

class EngineContext<F extends FragmentPort> implements Context, CodeView, TableOwner {
  readonly pointer: number;
  mode = 0;
  narrow = false;
  readonly codeUse: CodeUse = { linked: 0, traps: 0, translated: 0, ready: 0 };
  private readonly engine: Engine<F>;
  private readonly space: SpacePort;
  private readonly code: CodeTable<F>;
  private readonly table: TablePort<F>;
  private readonly views: readonly View[];
  /** The view of the code that runs, or ran last. */
  private current: View;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  /** Budget that helpers have spent, which regions know nothing of. */
  private debt = 0;
  private readonly slotEntries: SlotEntries;
  readonly slices: Slices;
  codeChanged = false;

  constructor(engine: Engine<F>, space: SpacePort, pointer: number) {
    this.engine = engine;
    this.space = space;
    this.pointer = pointer;
    const { memory } = engine.options;
    this.view = memory.view;
    this.bytes = memory.bytes;
    this.code = engine.tables.take(this);
    this.table = this.code.table;
    this.slotEntries = new SlotEntries(memory, pointer);
    this.slices = new Slices(memory.view, pointer);
    this.views = engine.layouts.map((layout, index) => this.createView(layout, this.code.views[index]));
    this.current = this.views[0];
  }

  private createView(layout: CodeLayout, code: ViewCode): View {
    const { memory, tlb } = this.engine.options;
    const ownTlb = tlb.create(this.pointer + layout.tlb.offset);
    return new View({ memory, pointer: this.pointer, tlb: ownTlb, layout, code });
  }

  get tlb(): TlbLayout {
    return this.current.layout.tlb;
  }

  get threadedSlot(): number {
    return this.current.code.threadedSlot;
  }

  dropWrites(host: number): void {
    for (const { tlb } of this.views) tlb.dropWrites(host);
  }

  private selectView(): View {
    const { views } = this.engine.options;
    const view = this.views[views === undefined ? 0 : views.of(this.mode)];
    this.current = view;
    const stale = view.enterMode(this.mode, this.engine.optionalModeBits);
    if (stale.length > 0) this.table.unlink(stale);
    return view;
  }

  run(budget: number): number {
    const { exports } = this.selectView().code;
    this.slices.begin(budget);
    for (let alone = false; ;) {
      this.engine.collectGarbage();
      if (alone) this.prepareStep(); // Behind that, which empties the jump caches.
      const code = this.enter(exports);
      alone = code === EngineExit.retry;
      if (alone) continue;
      if (code === EngineExit.stale) {
        this.dropStale();
        // Code that is found stale again and again is translated as often, and may not hold up others.
        if (this.slices.isOverspent && !this.slices.next()) return this.slices.end(EngineExit.budget);
      } else if (code === EngineExit.goTo) this.takeJump();
      else if (code !== EngineExit.stepped && !this.slices.goOn(code)) return this.slices.end(code);
    }
  }

  step(): number {
    const { exports } = this.selectView().code;
    for (;;) {
      // What cannot be fetched faults when it runs.
      this.prepareStep();
      this.slices.beginStep();
      const code = this.enter(exports);
      // An indirect jump comes to the end of its budget.
      if (code !== EngineExit.retry) return code === EngineExit.budget ? EngineExit.stepped : code;
    }
  }

  private enter(exports: SupportExports): number {
    const { view, pointer } = this;
    view.setInt32(pointer + Header.exitCode, 0, true);
    const low = view.getInt32(pointer + Header.instructionPointer, true);
    const high = view.getInt32(pointer + Header.instructionPointer + 4, true);
    this.engine.running++;
    try {
      exports.run(pointer, low, high, CALL_STACK_BYTES);
    } finally {
      this.engine.running--;
    }
    this.forgetStep();
    if (this.debt > 0) {
      view.setInt32(pointer + Header.budget, view.getInt32(pointer + Header.budget, true) - this.debt, true);
      this.debt = 0;
    }
    const code = view.getInt32(pointer + Header.exitCode, true);
    if (code !== 0) return code;
    // -1 came back as a guest address: there is no code.
    view.setInt32(pointer + Header.instructionPointer, -1, true);
    view.setInt32(pointer + Header.instructionPointer + 4, -1, true);
    this.fail(0, -1, -1, 2, FAULT_NON_CANONICAL);
    return EngineExit.pageFault;
  }

  /**
   * The instruction at the instruction pointer is to run alone next: retried in a region, it would guard the very bytes
   * it writes again, when they are close to its own.
   */
  private prepareStep(): void {
    const low = this.view.getInt32(this.pointer + Header.instructionPointer, true);
    const high = this.view.getInt32(this.pointer + Header.instructionPointer + 4, true);
    const lone = this.engine.translator.translateOne(high * TWO_32 + (low >>> 0), this, STEP_SLOT);
    if (lone === undefined) return;
    this.spendTranslation();
    this.slices.allowStep();
    const { module, entry, linkSlots } = lone;
    this.engine.options.heap.holdLinks(linkSlots);
    this.table.growTo(this.engine.options.heap.slotCount);
    if (module !== undefined) void new WebAssembly.Instance(module, this.current.code.imports);
    this.lone = { ...lone, low, high };
    this.current.jumps.add(low, high, module === undefined ? this.threadedSlot : STEP_SLOT, entry, 0);
  }

  /** An instruction that is to run alone, and its address. */
  private lone: (LoneInstruction & { readonly low: number; readonly high: number }) | undefined;

  private forgetStep(): void {
    if (this.lone === undefined) return;
    this.current.jumps.remove(this.lone.low, this.lone.high);
    this.engine.options.heap.releaseLinks(this.lone.linkSlots);
    this.engine.translator.releaseOne(this.lone);
    this.lone = undefined;
  }

  /** Home slots that it remembers may be others' from now on. */
  flushJumpCaches(): void {
    for (const view of this.views) view.jumps.flush();
  }

  /** Goes on where a helper said. */
  private takeJump(): void {
    const from = this.pointer + Header.exitPayload;
    this.bytes.copyWithin(this.pointer + Header.instructionPointer, from, from + 8);
  }

  /** What is translated at the instruction pointer may have lost its protection. */
  private dropStale(): void {
    const low = this.view.getInt32(this.pointer + Header.instructionPointer, true);
    const high = this.view.getInt32(this.pointer + Header.instructionPointer + 4, true);
    const page = this.fetch(high * TWO_32 + (low >>> 0));
    if (page >= 0) this.engine.discardStale(page, low & PAGE_MASK);
  }

  private spendTranslation(): void {
    const at = this.pointer + Header.budget;
    const cost = this.engine.options.translationBudget ?? 0;
    if (cost > 0) this.view.setInt32(at, this.view.getInt32(at, true) - cost, true);
  }

  service(code: number): number {
    const handler = this.engine.options.service;
    this.codeChanged = false;
    // Regions on the stack may be about code that is not there any more: then leave, whatever the handler says.
    if (handler !== undefined && !handler(this, code) && !this.codeChanged) return 0;
    this.view.setInt32(this.pointer + Header.exitCode, EngineExit.service, true);
    this.view.setInt32(this.pointer + Header.exitPayload, code, true);
    return 1;
  }

  // Code.

  fetch = (virtualAddress: number): number => {
    if (!isCanonical(virtualAddress)) return FAULT_NON_CANONICAL;
    const answer = this.space.translate(virtualAddress, 2);
    if (answer < 0) return answer;
    if ((answer & SPACE_GLOBAL) === 0) this.current.hasLocalCode = true;
    return (answer >>> SPACE_PAGE_SHIFT) & SPACE_PAGE_MASK;
  };

  heapMode(page: number, virtualAddress: number): number {
    const virtualPage = Math.floor(virtualAddress / PAGE_BYTES);
    const zone = this.engine.options.cuts?.zoneOf(virtualPage) ?? 0;
    // Places of a zone are virtual: it has no aliases.
    return this.mode + MODES * (zone > 0 ? TWO_32 / MODES - zone : this.current.aliasOf(page, virtualPage));
  }

  isCut = (address: number): boolean => this.engine.options.cuts?.isAt(address) === true;

  entryCode(page: number, virtualAddress: number): EntryCode | undefined {
    return this.engine.options.entryCode?.(this, page, virtualAddress);
  }

  codeName: CodeView["codeName"] = (address, hot) => this.engine.options.codeName?.(this, address, hot);

  /** The home slot of a fragment for the address, of at least the given tier; links `slot`, or the jump cache, to it. */
  resolve(low: number, high: number, slot: number, tier: number): number {
    const { engine } = this;
    engine.statistics.resolves++;
    const address = high * TWO_32 + (low >>> 0);
    const page = this.fetch(address);
    if (page < 0) return this.cannotFetch(low, high, low, high, page);
    const heapMode = this.heapMode(page, address);
    const isUsable = (candidate: F): boolean =>
      candidate.tier >= tier &&
      isForMode(candidate, heapMode) &&
      this.mapsAlike(candidate, address) &&
      engine.isCoherent(candidate);
    let fragment = engine.options.heap.at(page, low & PAGE_MASK).find(isUsable);
    const found = fragment !== undefined;
    if (fragment === undefined) {
      this.spendTranslation();
      const brief = tier === TierNumber.hot && !this.slices.promote();
      fragment = engine.translator.translate(address, this, tier, brief);
    }
    if (fragment === undefined) {
      const at = engine.translator.faultAddress;
      const fault = this.fetch(at);
      return this.cannotFetch(low, high, at | 0, Math.floor(at / TWO_32) | 0, fault < 0 ? fault : FAULT_NON_CANONICAL);
    }
    const { codeUse } = this;
    const hadIt = this.table.ensure(fragment.container, (module, slots) => {
      const started = performance.now();
      void new WebAssembly.Instance(module, this.current.importsWith(slots));
      engine.statistics.instantiateMs += performance.now() - started;
    });
    if (!found) codeUse.translated += fragment.container.count;
    else if (!hadIt) codeUse.ready += fragment.container.count;
    const { current } = this;
    current.noteCode(Math.floor(address / PAGE_BYTES), fragment);
    if (slot > 0) {
      this.table.link(slot, fragment);
      if (tier === TierNumber.threaded) codeUse.traps++;
      codeUse.linked++;
      engine.statistics.links++;
      if (fragment.otherPages.length > 0 || engine.options.heap.leavesPage(slot)) current.mappedLinks.add(slot);
    }
    const entry = entryAt(fragment, low & PAGE_MASK);
    const optionalBits = engine.optionalModeBits & ~fragment.ignoredMode;
    const bySlot = slot > 0 && (entry === 0 || this.slotEntries.set(slot, entry));
    if (!bySlot) current.jumps.add(low, high, fragment.homeSlot, entry, optionalBits);
    if (slot > 0) current.noteModal(slot, optionalBits);
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
    if (!isCanonicalHigh(high)) return FAULT_NON_CANONICAL;
    const answer = this.space.translate(high * TWO_32 + (low >>> 0), access);
    if (answer < 0) return answer;
    const page = (answer >>> SPACE_PAGE_SHIFT) & SPACE_PAGE_MASK;
    const writable = (answer & SPACE_WRITABLE) !== 0;
    const guarded = this.engine.options.memory.isGuarded(page);
    this.current.tlb.fill(low, high, page * PAGE_BYTES, true, writable, (answer & SPACE_GLOBAL) !== 0, guarded);
    return page;
  }

  hostRange(low: number, high: number, length: number, write: boolean): number {
    if ((low & PAGE_MASK) + length > PAGE_BYTES) return 0;
    const known = this.current.tlb.find(low, high | 0, write);
    if (known !== 0) return (known >>> 0) + (low & PAGE_MASK);
    const { linkDrops } = this;
    const page = this.look(low, high | 0, write ? 1 : 0);
    if (page < 0) return 0;
    if (this.linkDrops !== linkDrops) {
      // The page that runs may have got a copy of its own: an ordinary store is to find that out, and to leave.
      this.copied = true;
      this.invalidateData(high * TWO_32 + (low >>> 0));
      return 0;
    }
    if (write && this.engine.options.memory.isGuarded(page)) return 0;
    return page * PAGE_BYTES + (low & PAGE_MASK);
  }

  storeRange(low: number, high: number, length: number): number {
    const inPage = low & PAGE_MASK;
    if (inPage + length > PAGE_BYTES) return 0;
    const page = this.look(low, high, 1);
    if (page < 0) return 0;
    this.dropsCode(page, inPage, length);
    return page * PAGE_BYTES + inPage;
  }

  fault(low: number, high: number, access: 0 | 1): void {
    const { view, pointer } = this;
    const fault = this.look(low, high, access);
    // Nothing is wrong there any more: the instruction is simply tried again.
    if (fault >= 0) view.setInt32(pointer + Header.exitCode, EngineExit.stepped, true);
    else this.fail(view.getInt32(pointer + Header.exitOffset, true), low, high, access, fault);
  }

  spend(units: number): boolean {
    this.debt += Math.ceil(units);
    return this.debt >= LARGEST_DEBT;
  }

  goTo(low: number, high: number): void {
    const { view, pointer } = this;
    view.setInt32(pointer + Header.exitCode, EngineExit.goTo, true);
    view.setInt32(pointer + Header.exitPayload, low, true);
    view.setInt32(pointer + Header.exitPayload + 4, high, true);
  }

  slowLoad(low: number, high: number, info: number): number {
    this.engine.statistics.tlbMisses++;
    const size = info & 0xff;
    const page = this.look(low, high, 0);
    const inPage = low & PAGE_MASK;
    if (page >= 0 && inPage + size <= PAGE_BYTES) return page * PAGE_BYTES + inPage;
    if (page < 0 && page !== SPACE_DEVICE) {
      this.fail(info >> 8, low, high, 0, page);
      return 0;
    }
    const bounce = this.pointer + Header.bounce;
    const first = Math.min(size, PAGE_BYTES - inPage);
    if (first === size) {
      this.space.readDevice!(size, bounce);
      return bounce;
    }
    const nextLow = (low | PAGE_MASK) + 1;
    const nextHigh = nextLow === 0 ? (high + 1) | 0 : high;
    const next = this.look(nextLow, nextHigh, 0);
    if (next < 0 && next !== SPACE_DEVICE) {
      this.fail(info >> 8, nextLow, nextHigh, 0, next);
      return 0;
    }
    // A device is asked only now that nothing can fail any more.
    this.readPart(low, high, page, first, bounce);
    this.readPart(nextLow, nextHigh, next, size - first, bounce + first);
    return bounce;
  }

  private readPart(low: number, high: number, page: number, size: number, to: number): void {
    if (page !== SPACE_DEVICE) {
      const from = page * PAGE_BYTES + (low & PAGE_MASK);
      this.bytes.copyWithin(to, from, from + size);
      return;
    }
    this.space.translate(high * TWO_32 + (low >>> 0), 0);
    this.space.readDevice!(size, to);
  }

  slowStore(low: number, high: number, valueLow: number, valueHigh: number, info: number): number {
    const at = this.pointer + Header.storeValue;
    this.view.setInt32(at, valueLow, true);
    this.view.setInt32(at + 4, valueHigh, true);
    return this.slowStoreVector(low, high, info);
  }

  /** Writes the bytes at the header's store value. 0: done; 1: leave (fault, or translated code was in the way). */
  slowStoreVector(low: number, high: number, info: number): number {
    this.engine.statistics.slowStores++;
    const size = info & 0xff;
    const inPage = low & PAGE_MASK;
    const first = Math.min(size, PAGE_BYTES - inPage);
    const { linkDrops } = this;
    const page = this.look(low, high, 1);
    if (page < 0 && page !== SPACE_DEVICE) {
      this.fail(info >> 8, low, high, 1, page);
      return 1;
    }
    let next = 0;
    const nextLow = (low | PAGE_MASK) + 1;
    const nextHigh = nextLow === 0 ? (high + 1) | 0 : high;
    if (first < size) {
      next = this.look(nextLow, nextHigh, 1);
      if (next < 0 && next !== SPACE_DEVICE) {
        this.fail(info >> 8, nextLow, nextHigh, 1, next);
        return 1;
      }
    }
    // A page that got a copy of its own for this store may be the one that runs.
    let dropped = this.linkDrops !== linkDrops || this.copied;
    this.copied = false;
    dropped = (page >= 0 && this.dropsCode(page, inPage, first)) || dropped;
    if (first < size && next >= 0) dropped = this.dropsCode(next, 0, size - first) || dropped;
    if (dropped) {
      this.view.setInt32(this.pointer + Header.exitCode, EngineExit.retry, true);
      this.view.setInt32(this.pointer + Header.exitOffset, info >> 8, true);
      return 1;
    }
    const at = this.pointer + Header.storeValue;
    this.writePart(low, high, page, first, at);
    if (first < size) this.writePart(nextLow, nextHigh, next, size - first, at + first);
    return 0;
  }

  private dropsCode(page: number, offset: number, length: number): boolean {
    return this.engine.options.memory.checkStore(page, offset, length);
  }

  private writePart(low: number, high: number, page: number, size: number, from: number): void {
    if (page !== SPACE_DEVICE) {
      // Faster than a call for so few bytes.
      const { bytes } = this;
      const to = page * PAGE_BYTES + (low & PAGE_MASK);
      for (let index = 0; index < size; index++) bytes[to + index] = bytes[from + index];
      return;
    }
    this.space.translate(high * TWO_32 + (low >>> 0), 1);
    this.space.writeDevice!(size, from);
  }

  // Changes of the address space.

  invalidate(start: number, length: number): void {
    const firstPage = Math.floor(start / PAGE_BYTES);
    const pages = Math.ceil((start + length) / PAGE_BYTES) - firstPage;
    for (const view of this.views) {
      view.tlb.flushRange(start | 0, Math.floor(start / TWO_32) | 0, pages);
      if (view.concernsCode(firstPage, pages)) this.dropLinks(view);
    }
  }

  invalidateData(start: number): void {
    for (const { tlb } of this.views) tlb.flushRange(start | 0, Math.floor(start / TWO_32) | 0, 1);
  }

  invalidateWrites(): void {
    for (const { tlb } of this.views) tlb.flushWrites();
  }

  invalidateAll(): void {
    for (const view of this.views) {
      view.tlb.flush();
      this.dropLinks(view);
    }
  }

  invalidateLocal(): void {
    for (const view of this.views) {
      view.tlb.flushLocal();
      if (view.hasLocalCode) this.dropLinks(view);
    }
  }

  /** How often code that this context was linked to has moved. */
  private linkDrops = 0;

  /** It did for a helper, which may not leave; so the next store does. */
  private copied = false;

  private dropLinks(view: View): void {
    this.codeChanged = true;
    this.linkDrops++;
    this.table.unlink([...view.mappedLinks]);
    view.forgetCode();
  }

  dispose(): void {
    this.engine.tables.release(this.code, this.engine.running > 0);
    this.slotEntries.dispose();
    this.engine.removeContext(this);
  }
}
