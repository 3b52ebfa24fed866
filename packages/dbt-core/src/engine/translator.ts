/**
 * Translates regions: to threaded code the first time, which needs no compiler; to WebAssembly what has run some times.
 *
 * A module can hold a batch: the region asked for, and those it calls or jumps to directly that will be asked for soon, as
 * their threaded code tells by how often it has been entered. What has run less seldom earns its translation.
 */
import { clearAll } from "../clear.ts";
import { separateEntry } from "../emit/loop-entry.ts";
import { unrollLoops } from "../emit/loop-unrolling.ts";
import { ModuleEmitter } from "../emit/module-emitter.ts";
import type { GuardMask } from "../emit/region-emitter.ts";
import { type Emitted, entriesOf, entryPairs, guardMasks, pagesBeyond, type PlacedPage } from "./emitted.ts";
import { KeptCode } from "./kept-code.ts";
import type { ModuleArchive } from "./module-archive.ts";
import { TierNumber } from "./tier.ts";
import type { LinkTarget } from "../emit/region-frame.ts";
import { RegionBuilder } from "../ir/region.ts";
import type { CodeLayout, TlbLayout } from "../layout.ts";
import type { EntryCode } from "../port-entry-code.ts";
import type { Frontend } from "../port-frontend.ts";
import { RegionDiscovery } from "../region/discovery.ts";
import { JumpProfile } from "./jump-profile.ts";
import { ThreadedAssembler } from "../threaded/assembler.ts";
import { EntryField } from "../threaded/record.ts";
import type { UnitArchive } from "../threaded/unit-archive.ts";
import { UnitStore } from "../threaded/unit-store.ts";
import { type EntryPort, type FragmentPort, type HeapPort, isForMode, type MemoryPort } from "./ports.ts";

const PAGE_BYTES = 4096;
const NO_FAULT = Number.NEGATIVE_INFINITY;
/** Entries until code is compiled that never is. */
const NEVER = 0x7fff_ffff;
/** Addresses may be negative: their offset in the page is not a remainder. */
const PAGE_MASK: number = PAGE_BYTES - 1;

export interface Tier {
  /** Regions in a batch at most. */
  readonly batchRegions: number;
  /** Guest instructions in a region at most. */
  readonly regionInstructions: number;
}

export interface TranslatorOptions {
  readonly threaded: Omit<Tier, "batchRegions">;
  readonly cold: Tier;
  readonly hot: Tier;
  /** Guest instructions that inlined calls may add to a hot region; 0: none are inlined. */
  readonly inlinedInstructions: number;
  /** The same of hot regions that are to be compiled soon rather than well (`Allowance`). */
  readonly brief: Pick<TranslatorOptions, "inlinedInstructions"> &
    Omit<Tier, "batchRegions"> & {
      /** For how many instructions a jump, branch or call counts beside itself: what takes V8 long is what has many. */
      readonly transferCost: number;
    };
  /** Entries and loops of threaded code until it is compiled; 0: nothing is threaded. */
  readonly compileAfter: number;
  /** The same of code that was compiled in an earlier run, as the archive remembers; default: as often. */
  readonly compileKnownAfter?: number;
  /** Entries and loops of threaded code until it is compiled in a batch with what leads to it. */
  readonly batchAfter: number;
  /** Entries and loops of a cold region until it is translated again. */
  readonly promoteAfter: number;
  /**
   * Where threaded code is kept from run to run: only of translators with the same options and the same frontend. Entry
   * code that an earlier run did not know of may be missed where a region jumps to it within itself.
   */
  readonly archive?: UnitArchive;
  /** The same of modules compiled with care. */
  readonly modules?: ModuleArchive;
  /** Entries of threaded code until a module is used that is kept for the place. */
  readonly keptAfter: number;
}

export const defaultTranslatorOptions: TranslatorOptions = {
  threaded: { regionInstructions: 50 },
  cold: { batchRegions: 8, regionInstructions: 50 },
  hot: { batchRegions: 1, regionInstructions: 300 },
  inlinedInstructions: 320,
  brief: { regionInstructions: 300, transferCost: 10, inlinedInstructions: 60 },
  compileAfter: 2000,
  batchAfter: 1000,
  promoteAfter: 2000,
  keptAfter: 8,
};

/** One process's view of its code while a batch is translated. */
export interface CodeView {
  /** Physical page that code at this virtual page is fetched from, or negative. */
  readonly fetch: (virtualAddress: number) => number;
  /**
   * Heap mode (translation mode and alias number) for code on this physical page seen at this virtual address; from
   * `ZONE_MODES` on where regions end in front of places that the guest knows nothing of.
   */
  heapMode(page: number, virtualAddress: number): number;
  /** What somebody put ahead of the guest's code at this virtual address, which is on this physical page. */
  entryCode(page: number, virtualAddress: number): EntryCode | undefined;
  /** For profiles. */
  codeName(virtualAddress: number, hot: boolean): string | undefined;
  /** Regions end in front of these addresses. */
  readonly isCut: (virtualAddress: number) => boolean;
  readonly mode: number;
  readonly narrow: boolean;
  /** The soft TLB that this code goes by. */
  readonly tlb: TlbLayout;
  /** The table slot through which its threaded code is entered; 0 when it can have none. */
  readonly threadedSlot: number;
}

export interface TranslatorStatistics {
  /** Regions in threaded code, and its bytes. */
  threadedRegions: number;
  threadedBytes: number;
  /** Those of them that had been made before, by an earlier run as a rule. */
  keptRegions: number;
  /** Modules that an earlier run compiled with care. */
  keptModules: number;
  /** Regions compiled. */
  regions: number;
  /** Those of them that were translated again, with care. */
  hotRegions: number;
  /** Guest instructions lifted. */
  instructions: number;
  modules: number;
  wasmBytes: number;
  discoverMs: number;
  emitMs: number;
  compileMs: number;
}

/** An instruction that runs by itself, once. */
export interface LoneInstruction {
  /** Puts it into the slot that was asked for; undefined of threaded code. */
  readonly module: WebAssembly.Module | undefined;
  /** Threaded code, and where in memory it is entered; 0 where there is a module. */
  readonly unit: number;
  readonly entry: number;
  readonly linkSlots: readonly number[];
}

export class Translator<F extends FragmentPort> {
  readonly statistics: TranslatorStatistics = {
    threadedRegions: 0,
    threadedBytes: 0,
    keptRegions: 0,
    keptModules: 0,
    regions: 0,
    hotRegions: 0,
    instructions: 0,
    modules: 0,
    wasmBytes: 0,
    discoverMs: 0,
    emitMs: 0,
    compileMs: 0,
  };
  private readonly heap: HeapPort<F>;
  private readonly memory: MemoryPort;
  private readonly builder: RegionBuilder;
  private readonly discovery: RegionDiscovery;
  private readonly emitter: ModuleEmitter;
  private readonly assembler: ThreadedAssembler;
  private readonly units: UnitStore;
  private readonly kept: KeptCode;
  private readonly jumps: JumpProfile;
  readonly options: TranslatorOptions;
  /** By link slot of the region that is translated: the guest offset where it leads. */
  private readonly linkTargets: Map<number, number> = new Map();
  private readonly frontend: Frontend;
  /** Where the last failed translation faulted. */
  faultAddress = -1;

  constructor(
    frontend: Frontend,
    layout: CodeLayout,
    memory: MemoryPort,
    heap: HeapPort<F>,
    options: TranslatorOptions,
  ) {
    this.heap = heap;
    this.memory = memory;
    this.options = options;
    this.frontend = frontend;
    this.builder = new RegionBuilder(frontend.slots, frontend.helpers);
    this.discovery = new RegionDiscovery(frontend, memory);
    this.jumps = new JumpProfile(memory);
    this.emitter = new ModuleEmitter(layout, frontend.helpers, memory.bytes.length / 65536);
    this.assembler = new ThreadedAssembler(layout.cells);
    this.units = new UnitStore(memory);
    this.kept = new KeptCode(memory, this.discovery, options);
  }

  /** The fragment for `address`, freshly translated, or undefined when its code cannot be fetched (`faultAddress`). */
  translate(address: number, view: CodeView, tier: number, brief = false): F | undefined {
    if (tier !== TierNumber.threaded) return this.compile(address, view, tier, brief);
    this.faultAddress = NO_FAULT;
    const fragment = this.assemble(address, view);
    if (fragment !== undefined || this.faultAddress !== NO_FAULT) return fragment;
    return this.compile(address, view, TierNumber.cold);
  }

  /** In threaded code. Undefined with `faultAddress`, or without when the region has to be compiled. */
  private assemble(address: number, view: CodeView): F | undefined {
    const page = view.fetch(address);
    if (page < 0 || view.threadedSlot === 0 || this.options.compileAfter === 0) return undefined;
    const { statistics, discovery, assembler } = this;
    const ahead = view.entryCode(page, address);
    const entryCode = ahead?.onceCompiled === true ? undefined : ahead;
    const mode = view.heapMode(page, address);
    const offset = address & PAGE_MASK;
    const started = performance.now();
    this.memory.noteTranslation(page, false);
    const kept = this.recall(address, page, mode, view, entryCode);
    if (kept !== undefined) {
      statistics.emitMs += performance.now() - started;
      return kept;
    }
    const found = discovery.discover(address, view.mode, view.fetch, this.builder, {
      limit: this.options.threaded.regionInstructions,
      isEntry: (target, targetPage) => this.isEntry(target, targetPage, view, TierNumber.threaded),
      isCut: view.isCut,
      entryCode,
      threaded: true,
    });
    const discovered = performance.now();
    statistics.discoverMs += discovered - started;
    if (!found) {
      this.faultAddress = discovery.faultAddress;
      return undefined;
    }
    const sources = discovery.sourceRanges();
    const checked = discovery.checksGuards;
    const guards = checked ? guardMasks(sources, this.memory) : [];
    const linkSlots: number[] = [];
    const link = this.linkTarget(page, mode, offset, linkSlots);
    const unit = this.addUnit(link, view, this.options.compileAfter, guards);
    if (unit === 0) return undefined;
    const pages = discovery.sourcePages();
    const { ignoredMode } = this;
    const region = { page, offset, mode, ignoredMode, sources, checked, linkSlots };
    const { bytes, length, relocations } = assembler;
    const parts = { length, relocations, fields: this.freeFields() };
    this.kept.addUnit(view, region, unit, parts, bytes, entryCode);
    statistics.instructions += this.builder.instructionCount;
    statistics.emitMs += performance.now() - discovered;
    const otherPages = pages.filter((source) => source.distance !== 0);
    const entries = entriesOf(assembler.entries, unit, offset);
    return this.addThreaded(address, view, unit, length, { ...region, otherPages, entries });
  }

  private addThreaded(
    address: number,
    view: CodeView,
    unit: number,
    length: number,
    fragment: Omit<Emitted, "tier" | "counter"> & { entries: EntryPort[] },
  ): F {
    const { threadedSlot } = view;
    // What there are modules for is to ask for them soon.
    for (const { offset, data } of fragment.entries)
      if (this.kept.hasModule(address - fragment.offset + offset, view))
        this.memory.view.setInt32(data + EntryField.count, this.options.keptAfter, true);
    this.statistics.threadedRegions++;
    this.statistics.threadedBytes += length;
    return this.heap.add({
      ...fragment,
      homeSlot: threadedSlot,
      container: this.heap.addModule(undefined, threadedSlot, 1, length),
      data: unit,
      tier: TierNumber.threaded,
      counter: -unit,
    });
  }

  /** What an earlier run made from the same bytes. */
  private recall(
    address: number,
    page: number,
    mode: number,
    view: CodeView,
    entryCode: EntryCode | undefined,
  ): F | undefined {
    const { memory } = this;
    const kept = this.kept.unitAt(address, page, mode, view, entryCode);
    if (kept === undefined) return undefined;
    const { bytes, start, length, relocations, fields, ignoredMode, sources } = kept;
    const unit = this.units.add(bytes, length, start);
    if (unit === 0) return undefined;
    const offset = address & PAGE_MASK;
    const linkSlots: number[] = [];
    const link = this.linkTarget(page, mode, offset, linkSlots);
    for (let index = 0; index < relocations.length; index += 2)
      memory.view.setInt32(unit + relocations[index], link.slotFor(relocations[index + 1]), true);
    for (let index = 0; index < fields.length; index += 2)
      memory.view.setInt32(unit + fields[index], fields[index + 1], true);
    this.kept.noteOrigin(unit, start);
    this.statistics.keptRegions++;
    const entries = entriesOf(entryPairs(bytes, start, length), unit, offset);
    const otherPages = pagesBeyond(sources);
    const region = { page, offset, mode, ignoredMode, otherPages, sources, checked: false, linkSlots };
    return this.addThreaded(address, view, unit, length, { ...region, entries });
  }

  /** A module that an earlier run made from the same bytes, with care. */
  private recallModule(address: number, view: CodeView): F | undefined {
    const { heap, statistics } = this;
    const kept = this.kept.moduleAt(address, view);
    if (kept === undefined) return undefined;
    const started = performance.now();
    const opened = this.options.modules?.open(kept.number);
    statistics.compileMs += performance.now() - started;
    if (opened === undefined) return undefined;
    const page = view.fetch(address);
    const mode = view.heapMode(page, address);
    const offset = address & PAGE_MASK;
    this.memory.noteTranslation(page, true);
    const { ignoredMode, sources } = kept;
    const linkSlots: number[] = [];
    const link = this.linkTarget(page, mode, offset, linkSlots);
    for (const target of kept.links) link.slotFor(target);
    const region = { page, offset, mode, ignoredMode, sources, checked: false, linkSlots, counter: 0 };
    const main: Emitted = { ...region, tier: TierNumber.hot, otherPages: pagesBeyond(sources) };
    const batch = [main, ...kept.entries.map((entry) => this.otherEntry(address, entry, main, sources, view))];
    const firstSlot = heap.reserveHomeSlots(batch.length);
    const slots = [firstSlot, ...linkSlots];
    const container = heap.addModule(opened.module, firstSlot, batch.length, opened.size, slots);
    opened.adopt(container);
    statistics.keptModules++;
    return this.addBatch(batch, container, firstSlot);
  }

  /** What begins there is compiled: where the same code is met in a later run, that will be worth it sooner. */
  private noteCompiled(page: number, offset: number, mode: number): void {
    const { compileKnownAfter } = this.options;
    if (compileKnownAfter === undefined) return;
    for (const fragment of this.heap.at(page, offset)) {
      const entry = fragment.entries?.find((known) => known.offset === offset);
      if (fragment.data === undefined || entry === undefined || !isForMode(fragment, mode)) continue;
      this.kept.setCount(fragment.data, entry.data, compileKnownAfter);
    }
  }

  /** Of the unit just assembled: fields that may hold something else without anything but their words being different. */
  private freeFields(): number[] {
    const { fields } = this.assembler;
    const { decisive } = this.builder;
    const free: number[] = [];
    for (let index = 0; index < fields.length; index += 2)
      if (!decisive.includes(fields[index + 1])) free.push(fields[index], fields[index + 1]);
    return free;
  }

  /**
   * Whether a region of some tier is to end here. Code that runs seldom is not worth having twice; hot code is, for the loops it
   * may be part of. Entry code must be met.
   */
  private isEntry(target: number, page: number, view: CodeView, tier: number): boolean {
    if (tier < TierNumber.hot) {
      const fragments = this.heap.at(page, target & PAGE_MASK);
      if (fragments.length > 0) {
        const mode = view.heapMode(page, target);
        if (fragments.some((known) => known.tier >= tier && isForMode(known, mode))) return true;
      }
    }
    return view.entryCode(page, target) !== undefined;
  }

  /** Discarded code must not be entered any more, by whoever still knows the place. */
  discard(fragment: F): void {
    this.heap.discard(fragment);
    if (fragment.data !== undefined) this.units.discard(fragment.data);
  }

  private compile(address: number, view: CodeView, tier: number, brief = false): F | undefined {
    const recalled = this.recallModule(address, view);
    if (recalled !== undefined) return recalled;
    const { statistics, options } = this;
    const cold = tier === TierNumber.cold;
    const { batchRegions } = cold ? options.cold : options.hot;
    const { regionInstructions } = cold ? options.cold : brief ? options.brief : options.hot;
    const { inlinedInstructions } = brief ? options.brief : options;
    const batch: Emitted[] = [];
    const queue: number[] = [address];
    const queued = new Set<number>(queue);
    const isKept = !cold && batchRegions === 1 && options.modules !== undefined;
    this.emitter.begin(isKept);
    clearAll(this.linkTargets);
    for (let head = 0; head < queue.length && batch.length < batchRegions; head++) {
      const entry = queue[head];
      const page = view.fetch(entry);
      if (page < 0) continue;
      const mode = view.heapMode(page, entry);
      const offset = entry & PAGE_MASK;
      if (head > 0 && this.heap.at(page, offset).some((known) => isForMode(known, mode) && known.tier >= tier))
        continue;
      if (head > 0 && this.kept.hasModule(entry, view)) continue;
      const started = performance.now();
      this.memory.noteTranslation(page, !cold);
      const found = this.discovery.discover(entry, view.mode, view.fetch, this.builder, {
        limit: regionInstructions,
        transferCost: brief ? options.brief.transferCost : 0,
        isEntry: (target, targetPage) => this.isEntry(target, targetPage, view, tier),
        entryCode: view.entryCode(page, entry),
        isCut: view.isCut,
        distances: cold ? undefined : (at) => this.dispatchDistances(at, entry, view),
        inlined: cold ? 0 : inlinedInstructions,
        usualCallee: (at) => this.usualDistance(at, view),
      });
      const discovered = performance.now();
      statistics.discoverMs += discovered - started;
      if (!found) {
        if (head === 0) {
          this.faultAddress = this.discovery.faultAddress;
          return undefined;
        }
        continue;
      }
      const emitted = this.emit(entry, page, offset, mode, tier, view);
      batch.push(emitted);
      if (cold) this.noteCompiled(page, offset, mode);
      this.emitEntries(entry, batch, view);
      statistics.emitMs += performance.now() - discovered;
      if (batchRegions === 1) break;
      for (const exit of this.discovery.exits) {
        const target = entry + exit;
        if (queued.has(target) || !this.isDue(target, view)) continue;
        queued.add(target);
        queue.push(target);
      }
    }
    const { fragment, bytes } = this.finish(batch);
    if (isKept) {
      const { linkSlots } = this.emitter;
      const links = linkSlots.map((slot) => this.linkTargets.get(slot)!);
      const entries = batch.slice(1).map((other) => other.entry!);
      this.kept.addModule(address, view, batch[0], { links, entries }, bytes, fragment.container);
    }
    return fragment;
  }

  /** Whether it is as good as time to compile what begins there; without threaded code nothing tells, and all is. */
  private isDue(target: number, view: CodeView): boolean {
    const { compileAfter, batchAfter } = this.options;
    if (compileAfter === 0) return true;
    const page = view.fetch(target);
    if (page < 0) return false;
    const offset = target & PAGE_MASK;
    const mode = view.heapMode(page, target);
    for (const fragment of this.heap.at(page, offset)) {
      if (!isForMode(fragment, mode)) continue;
      const entry = fragment.entries?.find((known) => known.offset === offset);
      if (entry !== undefined)
        return this.memory.view.getInt32(entry.data + EntryField.count, true) <= compileAfter - batchAfter;
    }
    return false;
  }

  /**
   * The one instruction at `address`, in no index and without guards: as threaded code, or as a module that puts it into table
   * slot `slot`. For an instruction that writes where it stands itself. Undefined when it cannot be fetched.
   */
  translateOne(address: number, view: CodeView, slot: number): LoneInstruction | undefined {
    const page = view.fetch(address);
    if (page < 0 || !this.discovery.discoverOne(address, view.mode, view.fetch, this.builder)) return undefined;
    const mode = view.heapMode(page, address);
    const offset = address & PAGE_MASK;
    const linkSlots: number[] = [];
    const link = this.linkTarget(page, mode, offset, linkSlots);
    const unit = view.threadedSlot === 0 ? 0 : this.addUnit(link, view, NEVER);
    if (unit !== 0) return { module: undefined, unit, entry: unit + this.assembler.entries[1], linkSlots };
    this.emitter.begin();
    this.emitter.addRegion(this.builder, link, { narrowAddresses: view.narrow, counter: 0, tlb: view.tlb });
    return { module: new WebAssembly.Module(this.emitter.finish(slot)), unit: 0, entry: 0, linkSlots };
  }

  /** Lays the region down as threaded code; returns where, or 0 when that cannot be. */
  private addUnit(link: LinkTarget, view: CodeView, count: number, guards: readonly GuardMask[] = []): number {
    const { assembler, units } = this;
    if (!assembler.assemble(this.builder, link, view.narrow, count, guards)) return 0;
    return units.add(assembler.bytes, assembler.length);
  }

  /** It has run. */
  releaseOne({ unit }: LoneInstruction): void {
    if (unit !== 0) this.units.release(unit);
  }

  /** Further ways into the region just emitted, in slots of their own behind its own. */
  private emitEntries(address: number, batch: Emitted[], view: CodeView): void {
    const index = batch.length - 1;
    const region = batch[index];
    for (const offset of this.discovery.entries) {
      const entry = address + offset;
      const page = view.fetch(entry);
      const mode = view.heapMode(page, entry);
      const known = this.heap.at(page, entry & PAGE_MASK);
      if (known.some((fragment) => isForMode(fragment, mode) && fragment.tier >= region.tier)) continue;
      this.emitter.addEntry(offset, index, view.narrow);
      batch.push(this.otherEntry(address, offset, region, this.discovery.sourcePages(), view));
    }
  }

  /** A further way into a region, at a guest offset of it. */
  private otherEntry(
    address: number,
    offset: number,
    region: Emitted,
    pages: readonly PlacedPage[],
    view: CodeView,
  ): Emitted {
    const entry = address + offset;
    const page = view.fetch(entry);
    const moved = Math.floor(entry / PAGE_BYTES) - Math.floor(address / PAGE_BYTES);
    const otherPages = pagesBeyond(pages.map((source) => ({ ...source, distance: source.distance - moved })));
    const mode = view.heapMode(page, entry);
    return { ...region, page, mode, offset: entry & PAGE_MASK, otherPages, entry: offset };
  }

  private emit(address: number, page: number, offset: number, mode: number, tier: number, view: CodeView): Emitted {
    const sources = this.discovery.sourceRanges();
    const checked = this.discovery.checksGuards;
    const linkSlots: number[] = [];
    const siteFor = (target: number): number =>
      this.jumps.site(view.fetch(address + target), (address + target) & PAGE_MASK);
    const usualTarget = (from: number): number | undefined => {
      const distance = this.usualDistance(address + from, view);
      return distance === undefined ? undefined : from + distance;
    };
    const counter = tier === TierNumber.cold ? this.newCounter() : 0;
    if (tier === TierNumber.hot) {
      separateEntry(this.builder);
      unrollLoops(this.builder);
    }
    this.emitter.addRegion(this.builder, this.linkTarget(page, mode, offset, linkSlots, { siteFor, usualTarget }), {
      narrowAddresses: view.narrow,
      counter,
      tlb: view.tlb,
      name: view.codeName(address, tier === TierNumber.hot),
      ...(checked ? { guards: guardMasks(sources, this.memory) } : {}),
    });
    this.statistics.regions++;
    if (tier === TierNumber.hot) this.statistics.hotRegions++;
    this.statistics.instructions += this.builder.instructionCount;
    const otherPages = this.discovery.sourcePages().filter((source) => source.distance !== 0);
    const { ignoredMode } = this;
    return { page, offset, mode, ignoredMode, tier, otherPages, sources, checked, linkSlots, counter };
  }

  /** Of the region lifted last. */
  private get ignoredMode(): number {
    const { optionalModeBits = 0, usedModeBits = 0 } = this.frontend;
    return optionalModeBits & ~usedModeBits;
  }

  /** How far the indirect jump or call at an address usually goes. */
  private usualDistance(at: number, view: CodeView): number | undefined {
    const distance = this.jumps.usual(view.fetch(at), at & PAGE_MASK, at);
    // Targets are noted without their upper half: one too far away to tell may seem to be where nothing is.
    return distance === undefined || view.fetch(at + distance) < 0 ? undefined : distance;
  }

  /**
   * How far the indirect jump at an address goes within a hot region: not where one begins already. Each region that an
   * interpreter's operations are in would have all of them otherwise.
   */
  private dispatchDistances(at: number, entry: number, view: CodeView): number[] {
    return this.jumps
      .distances(view.fetch(at), at & PAGE_MASK, at)
      .filter((distance) => at + distance === entry || !this.isHot(at + distance, view));
  }

  private isHot(target: number, view: CodeView): boolean {
    const page = view.fetch(target);
    if (page < 0) return false;
    const mode = view.heapMode(page, target);
    return this.heap
      .at(page, target & PAGE_MASK)
      .some((known) => known.tier >= TierNumber.hot && isForMode(known, mode));
  }

  /** Link slots from a page, each noted once in `used`. */
  private linkTarget(
    page: number,
    mode: number,
    offset: number,
    used: number[],
    notes: Omit<LinkTarget, "slotFor"> = {},
  ): LinkTarget {
    return {
      ...notes,
      slotFor: (target) => {
        const slot = this.heap.linkSlot(page, mode, offset + target);
        if (this.emitter.isPortable) this.linkTargets.set(slot, target);
        if (!used.includes(slot)) used.push(slot);
        return slot;
      },
    };
  }

  private counters = 0;
  private countersLeft = 0;
  private readonly freeCounters: number[] = [];

  /** A count-down that no code uses any more, or, negative, a unit of threaded code. */
  releaseCounter(counter: number): void {
    if (counter < 0) this.units.release(-counter);
    else this.freeCounters.push(counter);
  }

  /** Byte offset of a fresh count-down in guest memory; 0, for a region that is never promoted, when that is full. */
  private newCounter(): number {
    const counter = this.freeCounters.pop() ?? this.freshCounter();
    if (counter !== 0) this.memory.view.setInt32(counter, this.options.promoteAfter, true);
    return counter;
  }

  private freshCounter(): number {
    if (this.countersLeft === 0) {
      this.counters = this.memory.allocateBlock(1);
      if (this.counters === 0) return 0;
      this.countersLeft = PAGE_BYTES / 4;
    }
    return this.counters + 4 * --this.countersLeft;
  }

  private finish(batch: readonly Emitted[]): { fragment: F; bytes: Uint8Array<ArrayBuffer> } {
    const { heap, statistics, emitter } = this;
    const firstSlot = heap.reserveHomeSlots(batch.length);
    const bytes = emitter.finish(firstSlot);
    const started = performance.now();
    const slots = emitter.isPortable ? [firstSlot, ...emitter.linkSlots] : undefined;
    const container = heap.addModule(new WebAssembly.Module(bytes), firstSlot, batch.length, bytes.length, slots);
    statistics.compileMs += performance.now() - started;
    statistics.modules++;
    statistics.wasmBytes += bytes.length;
    return { fragment: this.addBatch(batch, container, firstSlot), bytes };
  }

  private addBatch(batch: readonly Emitted[], container: F["container"], firstSlot: number): F {
    let first: F | undefined;
    batch.forEach((region, index) => {
      const fragment = this.heap.add({ ...region, container, homeSlot: firstSlot + index });
      first ??= fragment;
    });
    return first!;
  }
}
