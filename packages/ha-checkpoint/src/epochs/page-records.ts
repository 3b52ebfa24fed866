// Pages on the wire, before compression: records one after the other.
//
//   record: page u32 | kind u8 | content
//     0 zero   nothing: the page reads as zeros. Also what free and purgeable pages become
//     1 whole  the page's bytes
//     2 diff   length u32, then runs: | words to skip u16 | words that follow u16 | words |
//
// A diff is against the page as this session sent it last. It carries the new words, not their exclusive or with the old
// ones, so a run laid over the page twice is the same as once. Words have four bytes: most of what a guest changes is
// counters and pointers, and comparing words costs a quarter of comparing bytes.
import { maximumRawBytes } from "./messages.ts";

const kinds = { zero: 0, whole: 1, diff: 2 } as const;
const headBytes = 5;
const runHeadBytes = 4;

/** A run goes on over this many equal words: a new one would cost as much. */
const joinedWords = runHeadBytes / 4;

/** Pages of one chunk: their records fit, and compression has something to work with. */
export function pagesPerChunk(pageBytes: number): number {
  return Math.max(1, Math.min(64, Math.floor(maximumRawBytes / (pageBytes + headBytes + 4))));
}

export class PageRecordWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #pageBytes: number;
  #at = 0;

  constructor(pageBytes: number) {
    this.#pageBytes = pageBytes;
    this.#bytes = new Uint8Array(pagesPerChunk(pageBytes) * (pageBytes + headBytes + 4));
    this.#view = new DataView(this.#bytes.buffer);
  }

  zero(page: number): void {
    this.#head(page, kinds.zero);
  }

  /** Writes the page the shortest way, and says which that was. */
  page(page: number, content: Uint8Array, before: Uint8Array | undefined): keyof typeof kinds {
    const words = wordsOf(content);
    if (isZero(words)) {
      this.zero(page);
      return "zero";
    }
    if (before !== undefined && this.#diff(page, words, wordsOf(before))) return "diff";
    this.#head(page, kinds.whole);
    this.#bytes.set(content, this.#at);
    this.#at += content.length;
    return "whole";
  }

  /** What was written since the last call, as a copy. */
  finish(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#at);
    this.#at = 0;
    return bytes;
  }

  #head(page: number, kind: number): void {
    this.#view.setUint32(this.#at, page, true);
    this.#view.setUint8(this.#at + 4, kind);
    this.#at += headBytes;
  }

  /** False, and nothing written, if a diff is not clearly shorter than the page. */
  #diff(page: number, words: Uint32Array, before: Uint32Array): boolean {
    const begin = this.#at;
    const view = this.#view;
    const limit = begin + headBytes + 4 + this.#pageBytes / 2;
    const count = words.length;
    let at = begin + headBytes + 4;
    let end = 0;
    for (let word = 0; ;) {
      while (word < count && words[word] === before[word]) word++;
      if (word === count) break;
      const first = word;
      let last = word;
      for (word++; word < count && word - last <= joinedWords + 1; word++) {
        if (words[word] !== before[word]) last = word;
      }
      const length = last + 1 - first;
      if (at + runHeadBytes + 4 * length > limit) return false;
      view.setUint16(at, first - end, true);
      view.setUint16(at + 2, length, true);
      at += runHeadBytes;
      for (let i = first; i <= last; i++, at += 4) view.setUint32(at, words[i], true);
      end = word = last + 1;
    }
    this.#head(page, kinds.diff);
    view.setUint32(begin + headBytes, at - begin - headBytes - 4, true);
    this.#at = at;
    return true;
  }
}

function isZero(words: Uint32Array): boolean {
  for (const word of words) if (word !== 0) return false;
  return true;
}

/** The page as words, in the host's order: only compared, and written through a view. */
function wordsOf(content: Uint8Array): Uint32Array {
  return new Uint32Array(content.buffer, content.byteOffset, content.length >> 2);
}

/** Who receives pages. */
export interface PageSink {
  /** A buffer for the next page, with anything in it. */
  room(): Uint8Array;
  /** Fills the buffer with the page as it was before the record. */
  before(page: number, content: Uint8Array): void;
  /** The page as it is now, in the buffer that was asked for last. */
  take(page: number, content: Uint8Array): void;
}

/**
 * Reads records. Returns a complaint about bytes that are no records; what was handed on before that is not to be used.
 */
export function readPageRecords(
  bytes: Uint8Array,
  pageBytes: number,
  pageCount: number,
  sink: PageSink,
): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    if (at + headBytes > bytes.length) return "a page record is cut short";
    const page = view.getUint32(at, true);
    const kind = view.getUint8(at + 4);
    at += headBytes;
    if (page >= pageCount) return `page ${page}, but memory has ${pageCount}`;
    const content = sink.room();
    if (kind === kinds.zero) content.fill(0);
    else if (kind === kinds.whole) {
      if (at + pageBytes > bytes.length) return "a page is cut short";
      content.set(bytes.subarray(at, at + pageBytes));
      at += pageBytes;
    } else if (kind === kinds.diff) {
      const length = at + 4 <= bytes.length ? view.getUint32(at, true) : -1;
      if (length < 0 || at + 4 + length > bytes.length) return "a diff is cut short";
      sink.before(page, content);
      if (!applyDiff(bytes.subarray(at + 4, at + 4 + length), content)) return "a diff that goes past its page";
      at += 4 + length;
    } else return `a page record of the unknown kind ${kind}`;
    sink.take(page, content);
  }
  return undefined;
}

function applyDiff(diff: Uint8Array, content: Uint8Array): boolean {
  const view = new DataView(diff.buffer, diff.byteOffset, diff.byteLength);
  let position = 0;
  for (let at = 0; at < diff.length;) {
    if (at + runHeadBytes > diff.length) return false;
    position += 4 * view.getUint16(at, true);
    const length = 4 * view.getUint16(at + 2, true);
    at += runHeadBytes;
    if (at + length > diff.length || position + length > content.length) return false;
    content.set(diff.subarray(at, at + length), position);
    position += length;
    at += length;
  }
  return true;
}
