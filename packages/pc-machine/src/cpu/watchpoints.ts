/**
 * Watchpoints: accesses to some bytes of virtual memory, whatever address space has them, that a debugger is told of.
 *
 * A page with such bytes is never entered into a soft TLB. What reaches it outside their neighbourhood is carried out as if
 * a device were there; an access that may touch them first leaves translated code, and its instruction then runs alone, so
 * that the processor stops right behind it.
 */
const PAGE_BYTES = 4096;
/** The widest access that is carried out at once. */
const WIDEST = 64;

export type WatchKind = "write" | "read" | "access";

export interface Watchpoint {
  readonly kind: WatchKind;
  readonly address: number;
  readonly length: number;
}

/** What was touched, and where. */
export interface WatchHit {
  readonly kind: WatchKind;
  readonly address: number;
}

export class Watchpoints {
  private watched: readonly Watchpoint[] = [];
  private readonly pages: Set<number> = new Set();
  private hit: WatchHit | undefined;

  get isEmpty(): boolean {
    return this.watched.length === 0;
  }

  /** Returns whether anything changed. */
  replace(watched: readonly Watchpoint[]): boolean {
    const key = (list: readonly Watchpoint[]): string =>
      list.map(({ kind, address, length }) => `${kind} ${address} ${length}`).join();
    if (key(watched) === key(this.watched)) return false;
    this.watched = watched;
    this.pages.clear();
    for (const { address, length } of watched) {
      const last = Math.floor((address + length - 1) / PAGE_BYTES);
      for (let page = Math.floor(address / PAGE_BYTES); page <= last; page++) this.pages.add(page);
    }
    return true;
  }

  isOnPage(address: number): boolean {
    return this.pages.has(Math.floor(address / PAGE_BYTES));
  }

  /** Whether an access that begins here may touch watched bytes. */
  isNear(address: number): boolean {
    return this.watched.some((each) => address > each.address - WIDEST && address < each.address + each.length);
  }

  /** These bytes are read, or written. */
  note(address: number, size: number, isWrite: boolean): void {
    const found = this.watched.find(
      (each) =>
        address < each.address + each.length &&
        address + size > each.address &&
        (each.kind === "access" || (each.kind === "write") === isWrite),
    );
    if (found !== undefined) this.hit ??= { kind: found.kind, address: Math.max(address, found.address) };
  }

  /** The first hit since this was asked, once. */
  takeHit(): WatchHit | undefined {
    const { hit } = this;
    this.hit = undefined;
    return hit;
  }
}
