/**
 * What a translator takes over from earlier runs and leaves to later ones: units of threaded code, and modules compiled with care.
 *
 * Both are found by the bytes they were made from. Not kept is what depends on anything else: code that tests its guard bits,
 * whose places are in it; code near breakpoints; code with somebody's own ahead of it that has no name of its own, and modules with
 * any; and modules with names in them, for profiles.
 */
import type { RegionDiscovery } from "../region/discovery.ts";
import { type EntryCode, REGION_REACH } from "../port-entry-code.ts";
import { EntryField } from "../threaded/record.ts";
import type { NewUnitSource, UnitArchive, UnitParts } from "../threaded/unit-archive.ts";
import type { KeptModule, ModuleArchive } from "./module-archive.ts";
import type { MemoryPort, ModulePort, SourceRange } from "./ports.ts";
import type { CodeView } from "./translator.ts";

const PAGE_BYTES = 4096;
/** Addresses may be negative: their offset in the page is not a remainder. */
const PAGE_MASK: number = PAGE_BYTES - 1;
const NARROW = 2;
const ENTRY_CODE_SHIFT = 8;
/** Heap modes from here on are those of zones. */
const ZONE_MODES: number = 2 ** 31;

/** A region as it was translated last. */
export interface TranslatedRegion {
  readonly page: number;
  readonly offset: number;
  readonly mode: number;
  readonly ignoredMode: number;
  readonly sources: readonly SourceRange[];
  readonly checked: boolean;
}

export interface Archives {
  readonly archive?: UnitArchive;
  readonly modules?: ModuleArchive;
}

export class KeptCode {
  private readonly memory: MemoryPort;
  private readonly words: Int32Array;
  private readonly discovery: RegionDiscovery;
  private readonly units: UnitArchive | undefined;
  private readonly modules: ModuleArchive | undefined;
  /** By where units are in memory: where in the archive. */
  private readonly origins: Map<number, number> = new Map();

  /** @param discovery of what is translated, for what it knows of the last region */
  constructor(memory: MemoryPort, discovery: RegionDiscovery, { archive, modules }: Archives) {
    this.memory = memory;
    this.words = new Int32Array(memory.bytes.buffer);
    this.discovery = discovery;
    this.units = archive;
    this.modules = modules;
  }

  /** A unit that was made from the same bytes, which are guarded now. */
  unitAt(
    address: number,
    page: number,
    mode: number,
    view: CodeView,
    entryCode: EntryCode | undefined,
  ): (UnitParts & { bytes: Uint8Array }) | undefined {
    const { units } = this;
    if (units === undefined || mode >= ZONE_MODES || !isKnown(entryCode)) return undefined;
    const parts = units.find(
      this.words,
      archiveMode(view, entryCode),
      page,
      address & PAGE_MASK,
      pagesFrom(address, view),
    );
    if (parts === undefined || !this.guard(parts.sources)) return undefined;
    return { ...parts, ignoredMode: parts.ignoredMode / NARROW, bytes: units.bytes };
  }

  /** `at`: where in memory the unit is. */
  addUnit(
    view: CodeView,
    region: TranslatedRegion,
    at: number,
    unit: Pick<UnitParts, "length" | "relocations" | "fields">,
    bytes: Uint8Array,
    entryCode: EntryCode | undefined,
  ): void {
    const { units } = this;
    if (units === undefined) return;
    const isKept = !region.checked && region.mode < ZONE_MODES && isKnown(entryCode);
    const sources = isKept ? this.sources(region, unit.fields) : undefined;
    if (sources === undefined) {
      // Another unit may have been there.
      this.noteOrigin(at, 0);
      return;
    }
    const parts = { ...unit, start: 0, ignoredMode: region.ignoredMode * NARROW, sources };
    this.noteOrigin(at, units.add(this.words, archiveMode(view, entryCode), region.page, region.offset, parts, bytes));
  }

  /** The unit in memory is a copy of the one at this place in the archive; 0: it is not in there. */
  noteOrigin(unit: number, start: number): void {
    this.origins.set(unit, start);
  }

  /** The unit is compiled where its entry record `entry` leads: a later run is to do so after so many entries. */
  setCount(unit: number, entry: number, count: number): void {
    const start = this.origins.get(unit) ?? 0;
    if (start !== 0) this.units?.setWord(start + entry - unit + EntryField.count, count);
  }

  /** Whether there is a module for the place. */
  hasModule(address: number, view: CodeView): boolean {
    return this.findModule(address, view) !== undefined;
  }

  /** A module that was made from the same bytes, which are guarded now. */
  moduleAt(address: number, view: CodeView): KeptModule | undefined {
    const kept = this.findModule(address, view);
    if (kept === undefined || !this.guard(kept.sources)) return undefined;
    return { ...kept, ignoredMode: kept.ignoredMode / NARROW };
  }

  private findModule(address: number, view: CodeView): KeptModule | undefined {
    const { modules } = this;
    const page = modules === undefined ? -1 : view.fetch(address);
    if (modules === undefined || page < 0) return undefined;
    const kept = modules.find(this.words, archiveMode(view), page, address & PAGE_MASK, pagesFrom(address, view));
    return kept !== undefined && this.isPlain(address, page, view) ? kept : undefined;
  }

  /** `links`: where the module's link slots lead, `entries`: where its further functions begin. */
  addModule(
    address: number,
    view: CodeView,
    region: TranslatedRegion,
    { links, entries }: Pick<KeptModule, "links" | "entries">,
    bytes: Uint8Array<ArrayBuffer>,
    container: ModulePort,
  ): void {
    const { modules } = this;
    const { page, offset } = region;
    if (modules === undefined || region.checked || !this.isPlain(address, page, view)) return;
    const sources = this.sources(region, []);
    if (sources === undefined) return;
    const parts = { ignoredMode: region.ignoredMode * NARROW, links, entries, sources };
    modules.add(this.words, archiveMode(view), page, offset, parts, bytes, container);
  }

  /** Whether a module made for the place depends on nothing but its bytes. */
  private isPlain(address: number, page: number, view: CodeView): boolean {
    return (
      view.heapMode(page, address) < ZONE_MODES &&
      view.entryCode(page, address) === undefined &&
      view.codeName(address, true) === undefined
    );
  }

  /** False when that is not enough, on pages that are checked on use. */
  private guard(sources: readonly SourceRange[]): boolean {
    const { memory } = this;
    if (sources.some(({ page }) => memory.isCheckedOnUse(page))) return false;
    for (const { page, start, end } of sources) memory.guard(page, start, end - start);
    return true;
  }

  /** The sources of the region that was discovered last; undefined when its place does not say which page each is on. */
  private sources({ sources }: TranslatedRegion, fields: readonly number[]): NewUnitSource[] | undefined {
    const pages = this.discovery.sourcePages();
    // A page that is seen twice would be looked for at one of its places only.
    if (pages.some(({ page }, index) => pages.findIndex((other) => other.page === page) < index)) return undefined;
    const bits = this.discovery.sourceBits(fields.filter((_, index) => index % 2 !== 0));
    return sources.map(({ page, start, end }) => {
      const { distance } = pages.find((seen) => seen.page === page)!;
      const first = (REGION_REACH.pagesBefore + distance) * PAGE_BYTES;
      return { distance, page, start, end, bits: bits.subarray((first + start) / 32, (first + end) / 32) };
    });
  }
}

/** What a translation depends on beside its bytes: whether addresses are narrow, 7 bits of the mode, and what is ahead of it. */
function archiveMode({ mode, narrow }: CodeView, entryCode?: EntryCode): number {
  return mode * NARROW + (narrow ? 1 : 0) + ((entryCode?.identity ?? 0) << ENTRY_CODE_SHIFT);
}

function isKnown(entryCode: EntryCode | undefined): boolean {
  return entryCode === undefined || entryCode.identity !== undefined;
}

function pagesFrom(address: number, view: CodeView): (distance: number) => number {
  return (distance) => view.fetch(address + distance * PAGE_BYTES);
}
