// What the standby has, of the pages that were sent lately: diffs are made against it.
//
// As many pages as memory was given for; the one that was sent longest ago makes room.

export class PageCache {
  readonly #pageBytes: number;
  readonly #capacity: number;
  /** In the order in which they were sent, oldest first. */
  readonly #pages = new Map<number, Uint8Array>();

  constructor(pageBytes: number, capacity: number) {
    this.#pageBytes = pageBytes;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#pages.size;
  }

  get(page: number): Uint8Array | undefined {
    return this.#pages.get(page);
  }

  set(page: number, content: Uint8Array): void {
    if (this.#capacity === 0) return;
    let entry = this.#pages.get(page);
    if (entry !== undefined) this.#pages.delete(page);
    else if (this.#pages.size === this.#capacity) {
      const [oldest, reused] = this.#pages.entries().next().value!;
      this.#pages.delete(oldest);
      entry = reused;
    } else entry = new Uint8Array(this.#pageBytes);
    entry.set(content);
    this.#pages.set(page, entry);
  }

  delete(page: number): void {
    this.#pages.delete(page);
  }

  clear(): void {
    this.#pages.clear();
  }
}
