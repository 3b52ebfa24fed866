// Memory that an application can rebuild, as the application said: it is not tracked, never crosses the wire, and is empty
// after a failover. A region is designated by its guest-virtual range; what is left out are physical pages.
//
//                  setVolatile                        failover
//   non-volatile ───────────────> volatile ───────────────────────> empty
//        ^   tracked like the rest    │  not tracked                   │  reads as zeros, not tracked
//        └──── setNonVolatile ────────┴──────── setNonVolatile ────────┘  tells which of the two it was
//
// Applications read and write a volatile region in place. They find out that it became empty by the state word of the
// region's descriptor, which lies in their ordinary memory: a failover sets it, so to read the word after the data is
// enough to know that the data was there. Leaving the volatile state is one call, and so happens before or after a
// checkpoint, never across one.
//
// The guest's kernel knows nothing of all this; it swaps, copies on write, frees and reuses pages as it likes. A designation
// therefore holds only for what can be proved at each capture, while the machine is stopped (`revalidate`):
// - the descriptor is still mapped in the same address space and holds the nonce that the call gave: the process lives;
// - each virtual page is still mapped to the same physical page.
// Whatever fails that is dropped from the region and counts as written. A page is in one region at most. A process that
// forks must not share a region with its child (MADV_DONTFORK): the child's alias would be left out as well.
//
//   descriptor: nonce u64 | state u32 | generation u32      16 bytes, aligned, not in a page that is designated
import { ByteReader, ByteWriter } from "../epochs/bytes.ts";

const descriptorBytes = 16;
/** Regions at a time: an application needs a few; a guest must not make the host keep more. */
export const maximumRegions = 1024;

export type RegionState = "non-volatile" | "volatile" | "empty";
/** As numbers, for guests and saved states. */
const stateNumbers = { "non-volatile": 0, volatile: 1, empty: 2 } as const;
const states: readonly RegionState[] = ["non-volatile", "volatile", "empty"];

/** Why a call failed; the guest sees it as Linux's error of that name. */
export type CallError = "EINVAL" | "EFAULT" | "EBUSY" | "ENOMEM" | "ENOENT";
export type CallResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: CallError };

/** The guest's memory as its page tables have it. An address space is named by the physical address of its root (CR3). */
export interface GuestMapping {
  readonly pageBytes: number;
  readonly pageCount: number;
  /** The physical page that the guest-virtual page is mapped to, writable by the application. */
  translate(space: number, virtualPage: bigint): number | undefined;
  /** Physical memory, within one page. */
  read(page: number, offset: number, length: number): Uint8Array;
  /** As a device writes: seen by the guest, tracked like any write. */
  write(page: number, offset: number, bytes: Uint8Array): void;
  /** A number that the guest cannot guess. */
  nonce(): bigint;
}

interface Region {
  readonly id: number;
  readonly space: number;
  readonly firstVirtualPage: bigint;
  readonly descriptor: bigint;
  readonly nonce: bigint;
  state: RegionState;
  generation: number;
  /** By virtual page: the physical one; `dropped`: no longer proved. */
  readonly pages: number[];
}

const dropped = 0xffff_ffff;

export class PurgeableRegistry {
  readonly #mapping: GuestMapping;
  readonly #regions = new Map<number, Region>();
  /** By physical page: the region it is in. */
  readonly #owners = new Map<number, Region>();
  #nextId = 1;
  /** Pages whose standing changed since `takeChanged`. */
  readonly #changed = new Set<number>();

  constructor(mapping: GuestMapping) {
    this.#mapping = mapping;
  }

  /** Pages that are not tracked now. */
  get pages(): number {
    let count = 0;
    for (const region of this.#owners.values()) if (region.state !== "non-volatile") count++;
    return count;
  }

  isPurgeable(page: number): boolean {
    const owner = this.#owners.get(page);
    return owner !== undefined && owner.state !== "non-volatile";
  }

  /** Pages to be named dirty, since they became purgeable or are so no longer. */
  takeChanged(): number[] {
    const pages = [...this.#changed];
    this.#changed.clear();
    return pages;
  }

  // --- Calls of the guest ---------------------------------------------------------------------------------------------

  /**
   * Designates the whole pages in a range; what it covers of others stays tracked. The region is non-volatile. The guest
   * puts the nonce into the descriptor before it makes the region volatile.
   */
  designate(
    space: number,
    address: bigint,
    length: bigint,
    descriptor: bigint,
  ): CallResult<{ readonly id: number; readonly nonce: bigint; readonly pages: number }> {
    const size = BigInt(this.#mapping.pageBytes);
    if (length <= 0n || address < 0n || descriptor < 0n || descriptor % BigInt(descriptorBytes) !== 0n)
      return failed("EINVAL");
    const first = (address + size - 1n) / size;
    const end = (address + length) / size;
    if (end <= first || end - first > BigInt(this.#mapping.pageCount)) return failed("EINVAL");
    if (this.#regions.size >= maximumRegions) return failed("ENOMEM");
    const holder = descriptor / size;
    if (holder >= first && holder < end) return failed("EINVAL");
    if (this.#mapping.translate(space, holder) === undefined) return failed("EFAULT");
    const pages: number[] = [];
    for (let virtualPage = first; virtualPage < end; virtualPage++) {
      const page = this.#mapping.translate(space, virtualPage);
      if (page === undefined) return failed("EFAULT");
      if (this.#owners.has(page) || pages.includes(page)) return failed("EBUSY");
      pages.push(page);
    }
    const id = this.#nextId++;
    const nonce = this.#mapping.nonce();
    const generation = 0;
    const region: Region = {
      id,
      space,
      firstVirtualPage: first,
      descriptor,
      nonce,
      state: "non-volatile",
      generation,
      pages,
    };
    this.#regions.set(id, region);
    for (const page of pages) this.#owners.set(page, region);
    return { ok: true, value: { id, nonce, pages: pages.length } };
  }

  /** From now on the region's content may be lost. It must be the calling address space's own. */
  setVolatile(space: number, id: number): CallResult<RegionState> {
    const region = this.#regions.get(id);
    if (region?.space !== space) return failed("ENOENT");
    const before = region.state;
    if (before !== "non-volatile") return { ok: true, value: before };
    if (!this.#isAlive(region)) return failed("EFAULT");
    // A new content may lie in other pages than the old one did.
    this.#rebind(region);
    this.#setState(region, "volatile");
    return { ok: true, value: before };
  }

  /** From now on the region's content counts. Returns whether it was there till now (`volatile`) or is lost (`empty`). */
  setNonVolatile(space: number, id: number): CallResult<RegionState> {
    const region = this.#regions.get(id);
    if (region?.space !== space) return failed("ENOENT");
    const before = region.state;
    this.#setState(region, "non-volatile");
    return { ok: true, value: before };
  }

  /** Takes the designation back: the region is memory like any other. */
  remove(space: number, id: number): CallResult<RegionState> {
    const result = this.setNonVolatile(space, id);
    if (result.ok) this.#forget(this.#regions.get(id)!);
    return result;
  }

  // --- Checkpoints ----------------------------------------------------------------------------------------------------

  /** Drops what cannot be proved any more. The machine is stopped; `takeChanged` follows. */
  revalidate(): void {
    for (const region of this.#regions.values()) {
      if (region.state === "non-volatile") continue;
      if (!this.#isAlive(region)) {
        this.#forget(region);
        continue;
      }
      for (const [at, page] of region.pages.entries()) {
        if (page === dropped) continue;
        if (this.#mapping.translate(region.space, region.firstVirtualPage + BigInt(at)) !== page)
          this.#drop(region, at);
      }
    }
  }

  /** The machine goes on from a checkpoint: returns the pages that must read as zeros. Applications are told. */
  restored(): number[] {
    const lost: number[] = [];
    for (const region of this.#regions.values()) {
      if (region.state === "non-volatile") continue;
      region.generation++;
      region.state = "empty";
      for (const page of region.pages) if (page !== dropped) lost.push(page);
      this.#tell(region);
    }
    return lost;
  }

  save(): Uint8Array {
    const out = new ByteWriter().u32(this.#nextId).u32(this.#regions.size);
    for (const region of this.#regions.values()) {
      out.u32(region.id).u64(region.space).text(region.firstVirtualPage.toString(16));
      out.text(region.descriptor.toString(16)).text(region.nonce.toString(16));
      out.u8(stateNumbers[region.state]).u32(region.generation).u32(region.pages.length);
      for (const page of region.pages) out.u32(page);
    }
    return out.finish().slice();
  }

  /** False if these bytes are no saved registry; it is empty then. */
  load(bytes: Uint8Array): boolean {
    this.#regions.clear();
    this.#owners.clear();
    this.#changed.clear();
    const input = new ByteReader(bytes);
    this.#nextId = input.u32();
    const count = input.u32();
    for (let at = 0; at < count && !input.failed; at++) {
      const region = this.#readRegion(input);
      if (region === undefined || this.#regions.has(region.id)) break;
      this.#regions.set(region.id, region);
      for (const page of region.pages) if (page !== dropped) this.#owners.set(page, region);
    }
    if (input.atEnd && this.#regions.size === count && count <= maximumRegions) return true;
    this.#regions.clear();
    this.#owners.clear();
    return false;
  }

  #readRegion(input: ByteReader): Region | undefined {
    const hexadecimal = (): bigint => {
      const text = input.text(16);
      return /^[0-9a-f]+$/.test(text) ? BigInt(`0x${text}`) : 0n;
    };
    const [id, space] = [input.u32(), input.u64()];
    const [firstVirtualPage, descriptor, nonce] = [hexadecimal(), hexadecimal(), hexadecimal()];
    const state = states[input.u8()];
    const generation = input.u32();
    const length = input.u32();
    if (state === undefined || length > this.#mapping.pageCount) return undefined;
    const pages: number[] = [];
    for (let at = 0; at < length && !input.failed; at++) {
      const page = input.u32();
      if (page !== dropped && page >= this.#mapping.pageCount) return undefined;
      pages.push(page);
    }
    return { id, space, firstVirtualPage, descriptor, nonce, state, generation, pages };
  }

  // --- Regions --------------------------------------------------------------------------------------------------------

  #setState(region: Region, state: RegionState): void {
    const changes = (region.state === "non-volatile") !== (state === "non-volatile");
    region.state = state;
    if (changes) for (const page of region.pages) if (page !== dropped) this.#changed.add(page);
    this.#tell(region);
  }

  /** Takes the pages that the region's virtual pages are mapped to now, where nobody else has them. */
  #rebind(region: Region): void {
    for (const [at, page] of region.pages.entries()) {
      const now = this.#mapping.translate(region.space, region.firstVirtualPage + BigInt(at));
      if (now === page) continue;
      if (page !== dropped) this.#drop(region, at);
      if (now === undefined || this.#owners.has(now)) continue;
      region.pages[at] = now;
      this.#owners.set(now, region);
    }
  }

  #drop(region: Region, at: number): void {
    const page = region.pages[at];
    this.#owners.delete(page);
    region.pages[at] = dropped;
    this.#changed.add(page);
  }

  #forget(region: Region): void {
    for (const [at, page] of region.pages.entries()) if (page !== dropped) this.#drop(region, at);
    this.#regions.delete(region.id);
  }

  #descriptorAt(region: Region): { readonly page: number; readonly offset: number } | undefined {
    const size = BigInt(this.#mapping.pageBytes);
    const page = this.#mapping.translate(region.space, region.descriptor / size);
    return page === undefined ? undefined : { page, offset: Number(region.descriptor % size) };
  }

  /** The process that designated it still has its descriptor. */
  #isAlive(region: Region): boolean {
    const place = this.#descriptorAt(region);
    if (place === undefined || this.isPurgeable(place.page)) return false;
    const bytes = this.#mapping.read(place.page, place.offset, 8);
    return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true) === region.nonce;
  }

  #tell(region: Region): void {
    const place = this.#descriptorAt(region);
    if (place === undefined || !this.#isAlive(region)) return;
    const words = new DataView(new ArrayBuffer(8));
    words.setUint32(0, stateNumbers[region.state], true);
    words.setUint32(4, region.generation, true);
    this.#mapping.write(place.page, place.offset + 8, new Uint8Array(words.buffer));
  }
}

function failed(error: CallError): { readonly ok: false; readonly error: CallError } {
  return { ok: false, error };
}
