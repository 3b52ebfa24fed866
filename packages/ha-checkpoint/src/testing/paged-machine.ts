// A machine that is nothing but memory, page tables and purgeable regions: for the tests of these.
import type { Checkpointable, Standing } from "../checkpointable.ts";
import { PurgeableRegistry } from "../purgeable/registry.ts";

export const pagedPageBytes = 64;

export class PagedMachine implements Checkpointable {
  readonly pageBytes: number = pagedPageBytes;
  readonly pageCount: number = 64;
  readonly configuration: string = "paged 1";
  readonly memory: Uint8Array = new Uint8Array(this.pageBytes * this.pageCount);
  /** By address space: virtual page to physical page. The guest's kernel changes them as it likes. */
  readonly spaces: Map<number, Map<bigint, number>> = new Map();
  readonly registry: PurgeableRegistry;
  readonly #dirty = new Set<number>();
  #nonce = 0x1234_5678_9abcn;

  constructor() {
    this.registry = new PurgeableRegistry({
      pageBytes: this.pageBytes,
      pageCount: this.pageCount,
      translate: (space, page) => this.spaces.get(space)?.get(page),
      read: (page, offset, length) =>
        this.memory.slice(page * this.pageBytes + offset, page * this.pageBytes + offset + length),
      write: (page, offset, bytes) => this.writePhysical(page * this.pageBytes + offset, bytes),
      nonce: () => this.#nonce++,
    });
  }

  map(space: number, virtualPage: number, page: number | undefined): void {
    const tables = this.spaces.get(space) ?? new Map<bigint, number>();
    this.spaces.set(space, tables);
    if (page === undefined) tables.delete(BigInt(virtualPage));
    else tables.set(BigInt(virtualPage), page);
  }

  writePhysical(address: number, bytes: Uint8Array): void {
    this.memory.set(bytes, address);
    this.#dirty.add(Math.floor(address / this.pageBytes));
  }

  /** As a process: through its page tables. */
  write(space: number, address: number, ...bytes: number[]): void {
    const page = this.spaces.get(space)?.get(BigInt(Math.floor(address / this.pageBytes)));
    this.writePhysical(page! * this.pageBytes + (address % this.pageBytes), Uint8Array.from(bytes));
  }

  read(space: number, address: number): number {
    const page = this.spaces.get(space)?.get(BigInt(Math.floor(address / this.pageBytes)));
    return this.memory[page! * this.pageBytes + (address % this.pageBytes)];
  }

  stop(done: () => void): void {
    done();
  }

  run(): void {}

  get dirtyPages(): number {
    return this.pageCount;
  }

  takeDirtyPages(): Uint32Array {
    this.registry.revalidate();
    for (const page of this.registry.takeChanged()) this.#dirty.add(page);
    const pages = Uint32Array.from(this.#dirty).toSorted();
    this.#dirty.clear();
    return pages;
  }

  standing(page: number): Standing {
    return this.registry.isPurgeable(page) ? "purgeable" : "kept";
  }

  readPage(page: number, into: Uint8Array): void {
    into.set(this.memory.subarray(page * this.pageBytes, (page + 1) * this.pageBytes));
  }

  writePage(page: number, content: Uint8Array): void {
    this.memory.set(content, page * this.pageBytes);
  }

  saveState(): Uint8Array {
    return this.registry.save();
  }

  loadState(state: Uint8Array): string | undefined {
    return this.registry.load(state) ? undefined : "no registry of purgeable regions";
  }

  restored(): void {
    for (const page of this.registry.restored())
      this.memory.fill(0, page * this.pageBytes, (page + 1) * this.pageBytes);
  }
}
