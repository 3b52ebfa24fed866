/**
 * Compiled modules on disk, a file for each program that was started, beside that of its threaded code (`translation-cache.ts`).
 *
 * ```text
 *   magic     8 bytes
 *   crc       u32      of all that follows up to the pieces
 *   text      u32      its length in bytes
 *   places    u32      how many words
 *   modules   u32      how many words
 *   pieces    u32      how many bytes
 *   text               identity, zero byte, surroundings of the archive; filled up to whole words
 *   places, modules    of the archive
 *   pieces             each crc u32, length u32, then so many bytes, filled up to whole words
 * ```
 *
 * A piece is read when it is wanted. One that is damaged is as good as none, and so is a file whose head is.
 */
import { closeSync, openSync, readSync, readvSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { type ByteStore, ModuleArchive } from "@doppel/dbt-core";
import { machineCode } from "./machine-code.ts";

const MAGIC = "dplmods3";
const Head = { crc: 8, text: 12, places: 16, modules: 20, pieces: 24, end: 28 } as const;
const PIECE_HEAD = 8;
/** Of one program's pieces: beyond that none are added, and a file that is about as long is not read, so that one is begun anew. */
const MAXIMUM_BYTES: number = 256 * 2 ** 20;
const FULL_BYTES: number = 0.95 * MAXIMUM_BYTES;
/** More than the archive ever has beside them. */
const MAXIMUM_HEAD_BYTES: number = 64 * 2 ** 20;
const COPY_BYTES: number = 2 ** 20;

export class ModuleFile implements ByteStore {
  readonly archive: ModuleArchive;
  private readonly identity: string;
  /** The file that was there at the start; -1: none. It is closed with the process. */
  private file = -1;
  /** Where its pieces begin, and how many bytes they are. */
  private start = 0;
  private size = 0;
  private readonly fresh: Uint8Array[] = [];
  private freshBytes = 0;

  constructor(path: string, identity: string) {
    this.identity = identity;
    this.archive = new ModuleArchive(this, machineCode());
    let file: number;
    try {
      file = openSync(path, "r");
    } catch {
      return;
    }
    if (this.load(file)) this.file = file;
    else closeSync(file);
  }

  private load(file: number): boolean {
    const fixed = readAt(file, 0, Head.end);
    if (fixed === undefined || new TextDecoder().decode(fixed.subarray(0, Head.crc)) !== MAGIC) return false;
    const view = new DataView(fixed.buffer);
    const textBytes = view.getUint32(Head.text, true);
    const places = view.getUint32(Head.places, true);
    const modules = view.getUint32(Head.modules, true);
    const pieces = view.getUint32(Head.pieces, true);
    const length = wholeWords(textBytes) + 4 * (places + modules);
    const rest = length > MAXIMUM_HEAD_BYTES || pieces > FULL_BYTES ? undefined : readAt(file, Head.end, length);
    if (rest === undefined) return false;
    if (view.getUint32(Head.crc, true) !== crc32(rest, crc32(fixed.subarray(Head.text)))) return false;
    const [identity, surroundings] = new TextDecoder().decode(rest.subarray(0, textBytes)).split("\0");
    if (identity !== this.identity) return false;
    const words = new Int32Array(rest.buffer, wholeWords(textBytes));
    // The archive adds to its places, in an array of their own.
    this.archive.load({ surroundings, places: words.slice(0, places), modules: words.subarray(places) });
    this.start = Head.end + length;
    this.size = pieces;
    return true;
  }

  read(position: number, length: number): Uint8Array<ArrayBuffer> | undefined {
    if (this.file < 0) return undefined;
    const head = new Uint8Array(PIECE_HEAD);
    const bytes = new Uint8Array(length);
    if (readvSync(this.file, [head, bytes], this.start + position) < PIECE_HEAD + length) return undefined;
    const view = new DataView(head.buffer);
    return view.getUint32(4, true) === length && view.getUint32(0, true) === crc32(bytes) ? bytes : undefined;
  }

  append(bytes: Uint8Array): number {
    const position = this.size + this.freshBytes;
    const piece = new Uint8Array(PIECE_HEAD + wholeWords(bytes.length));
    if (position + piece.length > MAXIMUM_BYTES) return -1;
    piece.set(bytes, PIECE_HEAD);
    const view = new DataView(piece.buffer);
    view.setUint32(0, crc32(bytes), true);
    view.setUint32(4, bytes.length, true);
    this.fresh.push(piece);
    this.freshBytes += piece.length;
    return position;
  }

  /** How many bytes `write` will write, but for its head. */
  get bytes(): number {
    return this.size + this.freshBytes;
  }

  /** Writes all there is into a file just created: what was there at the start, and what is new. Throws what Node does. */
  write(file: number): void {
    const { surroundings, places, modules } = this.archive.contents();
    const text = new TextEncoder().encode(`${this.identity}\0${surroundings}`);
    const head = new Uint8Array(Head.end + wholeWords(text.length) + 4 * (places.length + modules.length));
    const view = new DataView(head.buffer);
    head.set(new TextEncoder().encode(MAGIC));
    view.setUint32(Head.text, text.length, true);
    view.setUint32(Head.places, places.length, true);
    view.setUint32(Head.modules, modules.length, true);
    view.setUint32(Head.pieces, this.bytes, true);
    head.set(text, Head.end);
    const words = new Int32Array(head.buffer, Head.end + wholeWords(text.length));
    words.set(places);
    words.set(modules, places.length);
    view.setUint32(Head.crc, crc32(head.subarray(Head.text)), true);
    writeSync(file, head);
    for (let at = 0; at < this.size; at += COPY_BYTES) {
      const part = readAt(this.file, this.start + at, Math.min(COPY_BYTES, this.size - at));
      if (part === undefined) throw new Error("the file of modules has become shorter");
      writeSync(file, part);
    }
    for (const piece of this.fresh) writeSync(file, piece);
  }
}

function wholeWords(bytes: number): number {
  return (bytes + 3) & ~3;
}

/** Bytes of a file, or undefined where it has not so many. */
function readAt(file: number, position: number, length: number): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const count = readSync(file, bytes, done, length - done, position + done);
    if (count === 0) return undefined;
    done += count;
  }
  return bytes;
}
