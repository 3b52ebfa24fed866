/**
 * Threaded code from one run to the next: units, each with the bytes that it was made from. Whoever is to translate a
 * place asks first whether a unit was made from the very bytes that are there now; nothing else about the code counts, neither
 * its file nor its address.
 *
 * ```text
 *   buckets   i32 × 16384        by hash of a place: its last record, or 0
 *   records   one behind the other, in whole words:
 *     +0  next         i32       record before it in its bucket, or 0
 *     +4  mode         i32       translation mode
 *     +8  ignored      i32       bits of the mode that the unit does not go by
 *     +12 offset       i32       of the entry in its page
 *     +16 sources      i32       how many ranges of source bytes
 *     +20 relocations  i32       how many words of the unit name a link slot
 *     +24 unit         i32       its bytes
 *     source           i32 × 3   distance of its page from the entry's, in pages; start; end: whole granules
 *     relocation       i32 × 2   the word's place in the unit, where the link leads (guest offset from the entry)
 *     source bytes, then the unit
 * ```
 *
 * Units do not depend on where they or the guest's code are, only on the translator and its options. Keeping archives of
 * different ones apart is the owner's business.
 */
import type { SourceRange } from "../engine/ports.ts";

const BUCKET_BITS = 14;
const BUCKETS: number = 1 << BUCKET_BITS;
const HEADER_WORDS = 7;
const Field = { next: 0, mode: 1, ignored: 2, offset: 3, sources: 4, relocations: 5, unit: 6 } as const;
const SOURCE_WORDS = 3;
const RELOCATION_WORDS = 2;
const PAGE_BYTES = 4096;
const GROWTH: number = 1 << 18;
/** More than a large compiler runs through. What is made anew in each run, by a compiler of its own, may not grow it further. */
const DEFAULT_MAXIMUM_BYTES: number = 48 * 2 ** 20;

/** What is known of a unit before it is put anywhere. */
export interface UnitParts {
  /** Byte offset of the unit in `UnitArchive.bytes`, and how long it is. */
  readonly start: number;
  readonly length: number;
  /** Bits of the mode that it does not go by. */
  readonly ignoredMode: number;
  /** Pairs: a word's place in the unit, where the link leads. */
  readonly relocations: readonly number[];
  readonly sources: readonly (SourceRange & { readonly distance: number })[];
}

/** The physical page so many pages behind the entry's, or a negative number. */
export type PageAt = (distance: number) => number;

export class UnitArchive {
  /** All records, from `BUCKETS` words on. */
  private words: Int32Array;
  private end: number = BUCKETS;
  private readonly maximumWords: number;
  /** Units added in this run. */
  added = 0;
  /** Units found in this run. */
  used = 0;

  constructor(maximumBytes: number = DEFAULT_MAXIMUM_BYTES) {
    this.maximumWords = maximumBytes >> 2;
    this.words = new Int32Array(BUCKETS);
  }

  /** Takes over what `contents` of an archive gave, which must be unchanged since. */
  load(contents: Int32Array): void {
    if (contents.length < BUCKETS) return;
    this.words = contents;
    this.end = contents.length;
  }

  /** All of it, to be loaded in another run. */
  contents(): Int32Array {
    return this.words.subarray(0, this.end);
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.words.buffer, this.words.byteOffset, this.words.byteLength);
  }

  /** A unit that was made from what is at `offset` in `page` of `memory` now. */
  find(memory: Int32Array, mode: number, page: number, offset: number, pageAt: PageAt): UnitParts | undefined {
    const { words } = this;
    const bucket = bucketOf(memory, page, offset);
    for (let record = words[bucket]; record !== 0; record = words[record + Field.next]) {
      if (words[record + Field.offset] !== offset) continue;
      if (((words[record + Field.mode] ^ mode) & ~words[record + Field.ignored]) !== 0) continue;
      const parts = this.matching(memory, record, pageAt);
      if (parts !== undefined) {
        this.used++;
        return parts;
      }
    }
    return undefined;
  }

  private matching(memory: Int32Array, record: number, pageAt: PageAt): UnitParts | undefined {
    const { words } = this;
    const count = words[record + Field.sources];
    const firstRelocation = record + HEADER_WORDS + count * SOURCE_WORDS;
    const endRelocation = firstRelocation + words[record + Field.relocations] * RELOCATION_WORDS;
    let from = endRelocation;
    const sources: (SourceRange & { distance: number })[] = [];
    for (let source = record + HEADER_WORDS; source < firstRelocation; source += SOURCE_WORDS) {
      const distance = words[source];
      const page = pageAt(distance);
      if (page < 0) return undefined;
      const start = words[source + 1];
      const end = words[source + 2];
      const last = (page * PAGE_BYTES + end) / 4;
      for (let at = (page * PAGE_BYTES + start) / 4; at < last; at++)
        if (memory[at] !== words[from++]) return undefined;
      sources.push({ distance, page, start, end });
    }
    const relocations: number[] = [];
    for (let at = firstRelocation; at < endRelocation; at++) relocations.push(words[at]);
    const ignoredMode = words[record + Field.ignored];
    return { start: from * 4, length: words[record + Field.unit], ignoredMode, relocations, sources };
  }

  /** Keeps a unit made from `memory`, unless there are enough. */
  add(memory: Int32Array, mode: number, page: number, offset: number, parts: UnitParts, unit: Uint8Array): void {
    const { sources, relocations, length, ignoredMode } = parts;
    let size = HEADER_WORDS + sources.length * SOURCE_WORDS + relocations.length + ((length + 3) >> 2);
    for (const { start, end } of sources) size += (end - start) >> 2;
    if (this.end + size > this.maximumWords) return;
    if (this.end + size > this.words.length) this.grow(size);
    const { words } = this;
    const record = this.end;
    const bucket = bucketOf(memory, page, offset);
    words[record + Field.next] = words[bucket];
    words[record + Field.mode] = mode;
    words[record + Field.ignored] = ignoredMode;
    words[record + Field.offset] = offset;
    words[record + Field.sources] = sources.length;
    words[record + Field.relocations] = relocations.length / RELOCATION_WORDS;
    words[record + Field.unit] = length;
    let at = record + HEADER_WORDS;
    for (const { distance, start, end } of sources) {
      words[at++] = distance;
      words[at++] = start;
      words[at++] = end;
    }
    for (const word of relocations) words[at++] = word;
    for (const source of sources) {
      const last = (source.page * PAGE_BYTES + source.end) / 4;
      for (let from = (source.page * PAGE_BYTES + source.start) / 4; from < last; from++) words[at++] = memory[from];
    }
    this.bytes.set(unit.subarray(parts.start, parts.start + length), at * 4);
    this.end = record + size;
    words[bucket] = record;
    this.added++;
  }

  private grow(size: number): void {
    const length = Math.min(this.maximumWords, Math.max(this.end + size, this.end * 2, GROWTH));
    const words = new Int32Array(length);
    words.set(this.contents());
    this.words = words;
  }
}

/** By where in its page the entry is, and its first instructions. */
function bucketOf(memory: Int32Array, page: number, offset: number): number {
  const at = (page * PAGE_BYTES) / 4 + (offset >> 2);
  // What is behind the page's end may be anything.
  const next = offset + 4 < PAGE_BYTES ? memory[at + 1] : 0;
  let hash = Math.imul(memory[at] ^ (offset << 16), 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15) ^ next, 0x85ebca6b);
  return (hash ^ (hash >>> 13)) & (BUCKETS - 1);
}
