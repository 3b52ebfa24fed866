// What the standby has, of the pages that were sent lately: diffs are made against it.
//
// As many pages as memory was given for; the one that was sent longest ago makes room. Contents lie in few large buffers, and
// their order in arrays: one buffer for each page, and a map that is written at each of them, kept the garbage collector busy.

const slabPages = 256;
const none = -1;

export class PageCache {
  readonly #pageBytes: number;
  readonly #capacity: number;
  /** By page: its place, or `none`. */
  readonly #places: Int32Array;
  /** By place: the page there. */
  readonly #pages: Int32Array;
  /** Places in the order in which their pages were sent, a ring; the last element is where it begins and ends. */
  readonly #newer: Int32Array;
  readonly #older: Int32Array;
  #slabs: Uint8Array[] = [];
  /** Places never used begin here; those given back are `#free`. */
  #fresh = 0;
  #free: number[] = [];

  constructor(pageBytes: number, pageCount: number, capacity: number) {
    this.#pageBytes = pageBytes;
    this.#capacity = Math.min(capacity, pageCount);
    this.#places = new Int32Array(pageCount).fill(none);
    this.#pages = new Int32Array(this.#capacity);
    this.#newer = new Int32Array(this.#capacity + 1).fill(this.#capacity);
    this.#older = new Int32Array(this.#capacity + 1).fill(this.#capacity);
  }

  get size(): number {
    return this.#fresh - this.#free.length;
  }

  /** Valid until the next `set`. */
  get(page: number): Uint8Array | undefined {
    const place = this.#places[page];
    return place === none ? undefined : this.#contentAt(place);
  }

  set(page: number, content: Uint8Array): void {
    if (this.#capacity === 0) return;
    let place = this.#places[page];
    if (place === none) {
      place = this.#free.pop() ?? (this.#fresh < this.#capacity ? this.#fresh++ : this.#evict());
      this.#places[page] = place;
      this.#pages[place] = page;
    } else this.#unlink(place);
    this.#link(place);
    this.#contentAt(place).set(content);
  }

  delete(page: number): void {
    const place = this.#places[page];
    if (place === none) return;
    this.#places[page] = none;
    this.#unlink(place);
    this.#free.push(place);
  }

  clear(): void {
    this.#places.fill(none);
    this.#newer.fill(this.#capacity);
    this.#older.fill(this.#capacity);
    this.#slabs = [];
    this.#fresh = 0;
    this.#free = [];
  }

  #contentAt(place: number): Uint8Array {
    const slab = Math.floor(place / slabPages);
    // Places are taken in order, and so are slabs.
    const bytes = (this.#slabs[slab] ??= new Uint8Array(slabPages * this.#pageBytes));
    const at = (place % slabPages) * this.#pageBytes;
    return bytes.subarray(at, at + this.#pageBytes);
  }

  /** The place of the page that was sent longest ago. */
  #evict(): number {
    const place = this.#newer[this.#capacity];
    this.#places[this.#pages[place]] = none;
    this.#unlink(place);
    return place;
  }

  #link(place: number): void {
    const end = this.#capacity;
    const newest = this.#older[end];
    this.#newer[newest] = place;
    this.#older[place] = newest;
    this.#newer[place] = end;
    this.#older[end] = place;
  }

  #unlink(place: number): void {
    const [newer, older] = [this.#newer[place], this.#older[place]];
    this.#newer[older] = newer;
    this.#older[newer] = older;
  }
}
