/**
 * Breakpoints in translated code: regions end in front of them, and what begins at one leaves at once. Guest memory is
 * not changed, and code elsewhere runs as if there were none.
 */
import {
  type CodeCuts,
  EngineExit,
  type EntryCode,
  entryBlock,
  GUEST_CODE,
  MAXIMUM_ZONES,
  REGION_REACH,
} from "@doppel/dbt-core";

const PAGE_BYTES = 4096;

const leave: EntryCode = {
  sourceBytes: 0,
  lift: (builder) => {
    builder.beginBlock(entryBlock(0));
    builder.beginInstruction(0, 0);
    builder.exit(EngineExit.breakpoint, 0, GUEST_CODE);
  },
};

export class CodeBreakpoints implements CodeCuts {
  private addresses: ReadonlySet<number> = new Set();
  /** By page and the places near it: numbers are never given to others, since code of a zone may be kept. */
  private readonly zones: Map<string, number> = new Map();
  /** The same by page, for the places there are now. */
  private readonly current: Map<number, number> = new Map();

  /** Returns whether anything changed. */
  replace(addresses: readonly number[]): boolean {
    const wanted = new Set(addresses);
    if (wanted.size === this.addresses.size && [...wanted].every((address) => this.addresses.has(address)))
      return false;
    this.addresses = wanted;
    this.current.clear();
    return true;
  }

  isAt(address: number): boolean {
    return this.addresses.size > 0 && this.addresses.has(address);
  }

  zoneOf(virtualPage: number): number {
    if (this.addresses.size === 0) return 0;
    let zone = this.current.get(virtualPage);
    if (zone === undefined) this.current.set(virtualPage, (zone = this.find(virtualPage)));
    return zone;
  }

  private find(virtualPage: number): number {
    const first = (virtualPage - REGION_REACH.pagesBefore) * PAGE_BYTES;
    const end = (virtualPage + REGION_REACH.pagesBehind + 1) * PAGE_BYTES;
    const near = [...this.addresses].filter((address) => address >= first && address < end).sort((a, b) => a - b);
    if (near.length === 0) return 0;
    const key = `${virtualPage}: ${near.join()}`;
    let zone = this.zones.get(key);
    if (zone === undefined) {
      // After a million of them numbers come again, for code that is long gone.
      if (this.zones.size + 1 >= MAXIMUM_ZONES) this.zones.clear();
      this.zones.set(key, (zone = this.zones.size + 1));
    }
    return zone;
  }

  /** For the address, which is on any page: leaves with EngineExit.breakpoint. */
  entryCodeAt(address: number): EntryCode | undefined {
    return this.isAt(address) ? leave : undefined;
  }
}
