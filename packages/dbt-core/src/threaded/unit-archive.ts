/**
 * Threaded code from one run to the next: units, each with the bytes that it was made from. Whoever is to translate a
 * place asks first whether a unit was made from the very bytes that are there now; nothing else about the code counts, neither
 * its file nor its address.
 *
 * Bytes of *fields* do not count either: a kernel that lies elsewhere in each boot has addresses of its own in its code. What
 * a field holds is a word of the unit, which is filled in with what it holds now.
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
 *     +24 fields       i32       how many words of the unit are what a field holds
 *     +28 unit         i32       its bytes
 *     source           i32 × 3   distance of its page from the entry's, in pages; start; end: whole granules
 *     relocation       i32 × 2   the word's place in the unit, where the link leads (guest offset from the entry)
 *     field            i32 × 2   the word's place in the unit, where the field is (guest offset from the entry)
 *     source bytes               of each 32: a bit for each that counts, then they, 0 for those that do not
 *     the unit
 * ```
 *
 * A unit's counts of entries are as its owner leaves them: code that was worth compiling may be so again (`setWord`).
 *
 * Units do not depend on where they or the guest's code are, only on the translator and its options. Keeping archives of
 * different ones apart is the owner's business.
 */
import type { SourceRange } from "../engine/ports.ts";
import { isRelocatable } from "../ir/region.ts";

const BUCKET_BITS = 14;
const BUCKETS: number = 1 << BUCKET_BITS;
const HEADER_WORDS = 8;
const Field = { next: 0, mode: 1, ignored: 2, offset: 3, sources: 4, relocations: 5, fields: 6, unit: 7 } as const;
const SOURCE_WORDS = 3;
const RELOCATION_WORDS = 2;
const FIELD_WORDS = 2;
const PAGE_BYTES = 4096;
/** Source bytes that share a word of bits, and words of them. */
const GROUP_BYTES = 32;
const GROUP_WORDS: number = GROUP_BYTES / 4;
/** By four bits: the bytes of a word that they stand for. */
const BYTES_OF: Int32Array = Int32Array.from({ length: 16 }, (_, bits) =>
  [0, 1, 2, 3].reduce((word, byte) => word | ((bits >> byte) & 1 ? 0xff << (8 * byte) : 0), 0),
);
/** Words that an archive has room for when it begins to grow: what a kernel's boot fills. Untouched, they are no memory yet. */
const GROWTH: number = 5 * 2 ** 20;
/** More than a large compiler runs through. What is made anew in each run, by a compiler of its own, may not grow it further. */
const DEFAULT_MAXIMUM_BYTES: number = 48 * 2 ** 20;

/** Where a unit comes from: so many pages from its entry's page. */
export type UnitSource = SourceRange & { readonly distance: number };

/** What is known of a unit before it is put anywhere. */
export interface UnitParts<Source extends UnitSource = UnitSource> {
  /** Byte offset of the unit in `UnitArchive.bytes`, and how long it is. */
  readonly start: number;
  readonly length: number;
  /** Bits of the mode that it does not go by. */
  readonly ignoredMode: number;
  /** Pairs: a word's place in the unit, where the link leads. */
  readonly relocations: readonly number[];
  /** Pairs: a word's place in the unit; what the field holds, or, for `add`, where it is (guest offset from the entry). */
  readonly fields: readonly number[];
  readonly sources: readonly Source[];
}

/** `bits`: one for each byte, in words of 32, that says whether it counts. */
export type NewUnitSource = UnitSource & { readonly bits: ArrayLike<number> };

/** The physical page so many pages behind the entry's, or a negative number. */
export type PageAt = (distance: number) => number;

export class UnitArchive {
  /** All records, from `BUCKETS` words on. */
  private words: Int32Array;
  /** The same. */
  bytes: Uint8Array;
  private end: number = BUCKETS;
  private readonly maximumWords: number;
  /** Units added in this run. */
  added = 0;
  /** Units found in this run. */
  used = 0;
  /** Words of units changed in this run. */
  changed = 0;

  constructor(maximumBytes: number = DEFAULT_MAXIMUM_BYTES) {
    this.maximumWords = maximumBytes >> 2;
    this.words = new Int32Array(BUCKETS);
    this.bytes = bytesOf(this.words);
  }

  /** Takes over what `contents` of an archive gave, which must be unchanged since; behind these `length` words there may be room for more. */
  load(words: Int32Array, length: number = words.length): void {
    if (length < BUCKETS) return;
    this.words = words;
    this.bytes = bytesOf(words);
    this.end = length;
  }

  /** All of it, to be loaded in another run. */
  contents(): Int32Array {
    return this.words.subarray(0, this.end);
  }

  /** A unit that was made from what is at `offset` in `page` of `memory` now. */
  find(memory: Int32Array, mode: number, page: number, offset: number, pageAt: PageAt): UnitParts | undefined {
    const parts =
      this.findIn(bucketOf(memory, page, offset, LONG_KEY), memory, mode, offset, pageAt) ??
      this.findIn(bucketOf(memory, page, offset, SHORT_KEY), memory, mode, offset, pageAt);
    if (parts !== undefined) this.used++;
    return parts;
  }

  private findIn(
    bucket: number,
    memory: Int32Array,
    mode: number,
    offset: number,
    pageAt: PageAt,
  ): UnitParts | undefined {
    const { words } = this;
    for (let record = words[bucket]; record !== 0; record = words[record + Field.next]) {
      if (words[record + Field.offset] !== offset) continue;
      if (((words[record + Field.mode] ^ mode) & ~words[record + Field.ignored]) !== 0) continue;
      const parts = this.matching(memory, record, pageAt);
      if (parts !== undefined) return parts;
    }
    return undefined;
  }

  private matching(memory: Int32Array, record: number, pageAt: PageAt): UnitParts | undefined {
    const { words } = this;
    const count = words[record + Field.sources];
    const firstRelocation = record + HEADER_WORDS + count * SOURCE_WORDS;
    const firstField = firstRelocation + words[record + Field.relocations] * RELOCATION_WORDS;
    const endField = firstField + words[record + Field.fields] * FIELD_WORDS;
    let from = endField;
    const sources: UnitSource[] = [];
    for (let source = record + HEADER_WORDS; source < firstRelocation; source += SOURCE_WORDS) {
      const distance = words[source];
      const page = pageAt(distance);
      if (page < 0) return undefined;
      const start = words[source + 1];
      const end = words[source + 2];
      const last = (page * PAGE_BYTES + end) / 4;
      for (let at = (page * PAGE_BYTES + start) / 4; at < last;) {
        let bits = words[from++];
        for (const group = at + GROUP_WORDS; at < group; bits >>>= 4)
          if (((memory[at++] ^ words[from++]) & BYTES_OF[bits & 15]) !== 0) return undefined;
      }
      sources.push({ distance, page, start, end });
    }
    const fields: number[] = [];
    for (let at = firstField; at < endField; at += FIELD_WORDS) {
      const value = fieldAt(memory, words[record + Field.offset] + words[at + 1], pageAt);
      if (!isRelocatable(value)) return undefined;
      fields.push(words[at], value);
    }
    const relocations: number[] = [];
    for (let at = firstRelocation; at < firstField; at++) relocations.push(words[at]);
    const ignoredMode = words[record + Field.ignored];
    return { start: from * 4, length: words[record + Field.unit], ignoredMode, relocations, fields, sources };
  }

  /**
   * Keeps a unit made from `memory`, unless there are enough. Returns its byte offset in `bytes`, for as long as no other archive is
   * loaded; 0: it is not kept.
   */
  add(
    memory: Int32Array,
    mode: number,
    page: number,
    offset: number,
    parts: UnitParts<NewUnitSource>,
    unit: Uint8Array,
  ): number {
    const { sources, relocations, fields, length, ignoredMode } = parts;
    let size = HEADER_WORDS + sources.length * SOURCE_WORDS + relocations.length + fields.length + ((length + 3) >> 2);
    for (const { start, end } of sources) size += ((end - start) / GROUP_BYTES) * (1 + GROUP_WORDS);
    if (this.end + size > this.maximumWords) return 0;
    if (this.end + size > this.words.length) this.grow(size);
    const { words } = this;
    const record = this.end;
    const bucket = bucketOf(memory, page, offset, keyOf(offset, sources));
    words[record + Field.next] = words[bucket];
    words[record + Field.mode] = mode;
    words[record + Field.ignored] = ignoredMode;
    words[record + Field.offset] = offset;
    words[record + Field.sources] = sources.length;
    words[record + Field.relocations] = relocations.length / RELOCATION_WORDS;
    words[record + Field.fields] = fields.length / FIELD_WORDS;
    words[record + Field.unit] = length;
    let at = record + HEADER_WORDS;
    for (const { distance, start, end } of sources) {
      words[at++] = distance;
      words[at++] = start;
      words[at++] = end;
    }
    for (const word of relocations) words[at++] = word;
    for (const word of fields) words[at++] = word;
    for (const source of sources) {
      let from = (source.page * PAGE_BYTES + source.start) / 4;
      for (let group = 0; group < (source.end - source.start) / GROUP_BYTES; group++) {
        let bits = source.bits[group];
        words[at++] = bits;
        for (let word = 0; word < GROUP_WORDS; word++, bits >>>= 4) words[at++] = memory[from++] & BYTES_OF[bits & 15];
      }
    }
    this.bytes.set(unit.subarray(parts.start, parts.start + length), at * 4);
    this.end = record + size;
    words[bucket] = record;
    this.added++;
    return at * 4;
  }

  /** Changes a word of a kept unit, at a byte offset in `bytes`. */
  setWord(at: number, value: number): void {
    if (this.words[at >> 2] === value) return;
    this.words[at >> 2] = value;
    this.changed++;
  }

  private grow(size: number): void {
    const length = Math.min(this.maximumWords, Math.max(this.end + size, this.end * 2, GROWTH));
    const words = new Int32Array(length);
    words.set(this.contents());
    this.words = words;
    this.bytes = bytesOf(words);
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * Bytes from the entry on that a unit is found by: where all of them count, or the one that always does, since no field
 * begins an instruction.
 */
const LONG_KEY = 8;
const SHORT_KEY = 1;

function keyOf(offset: number, sources: readonly NewUnitSource[]): number {
  if (offset + LONG_KEY > PAGE_BYTES) return SHORT_KEY;
  const counts = (at: number): boolean =>
    sources.some(
      ({ distance, start, end, bits }) =>
        distance === 0 && at >= start && at < end && ((bits[(at - start) >> 5] >>> (at & 31)) & 1) !== 0,
    );
  for (let at = offset; at < offset + LONG_KEY; at++) if (!counts(at)) return SHORT_KEY;
  return LONG_KEY;
}

/** By where in its page the entry is, and so many bytes from there on. */
function bucketOf(memory: Int32Array, page: number, offset: number, key: number): number {
  let hash = Math.imul(offset, 0x9e3779b1);
  const end = page * PAGE_BYTES + Math.min(offset + key, PAGE_BYTES);
  for (let at = page * PAGE_BYTES + offset; at < end; at++)
    hash = Math.imul(hash ^ (hash >>> 15) ^ byteAt(memory, at), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) & (BUCKETS - 1);
}

function byteAt(memory: Int32Array, at: number): number {
  return (memory[at >>> 2] >>> (8 * (at & 3))) & 0xff;
}

/** The 32 bits at an offset from the start of the entry's page, in whatever page that is. */
function fieldAt(memory: Int32Array, offset: number, pageAt: PageAt): number {
  let value = 0;
  for (let byte = 0; byte < 4; byte++) {
    const place = offset + byte;
    const page = pageAt(Math.floor(place / PAGE_BYTES));
    value |= byteAt(memory, page * PAGE_BYTES + (place & (PAGE_BYTES - 1))) << (8 * byte);
  }
  return value;
}
