/**
 * A snapshot's file: a header and chunks, of which the last says that it is the last.
 *
 * ```text
 * header  0  "DOPPELVM"     8  version of the format
 * chunk   0  kind           4  length of the content     8  content     behind it, its checksum
 * ```
 *
 * A checksum (CRC-32C) covers its chunk and, since each goes on from the one before, all that precedes it: a chunk that
 * is damaged, missing, repeated or out of order is noticed at the next checksum, a file cut short by its missing end.
 */

import { crc32c } from "@doppel/mirror-storage";
import { SnapshotError } from "../ports.ts";

const magic: readonly number[] = [..."DOPPELVM"].map((letter) => letter.charCodeAt(0));
const formatVersion = 1;
const headerBytes = 12;
const chunkHeaderBytes = 8;
const checksumBytes = 4;
/** The largest content that is read: above what is written, below what could exhaust memory. */
const maximumContentBytes: number = 64 * 2 ** 20;

/** Kinds are never reused. */
export const ChunkKind = { description: 1, part: 2, pages: 3, end: 4 } as const;

export interface Chunk {
  readonly kind: number;
  readonly content: Uint8Array;
}

/** Takes the bytes of a snapshot, in order; what it returns is waited for. */
export type SnapshotSink = (bytes: Uint8Array) => Promise<void>;

export class ChunkWriter {
  readonly #sink: SnapshotSink;
  #checksum = 0;

  constructor(sink: SnapshotSink) {
    this.#sink = sink;
  }

  async begin(): Promise<void> {
    const header = Uint8Array.from([...magic, formatVersion, 0, 0, 0]);
    this.#checksum = crc32c(header);
    await this.#sink(header);
  }

  async write({ kind, content }: Chunk): Promise<void> {
    if (content.length > maximumContentBytes) throw new RangeError(`a chunk of ${content.length} bytes`);
    const bytes = new Uint8Array(chunkHeaderBytes + content.length + checksumBytes);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, kind, true);
    view.setUint32(4, content.length, true);
    bytes.set(content, chunkHeaderBytes);
    this.#checksum = crc32c(bytes.subarray(0, chunkHeaderBytes + content.length), this.#checksum);
    view.setUint32(bytes.length - checksumBytes, this.#checksum, true);
    await this.#sink(bytes);
  }
}

/** The chunks of a snapshot, each checked. @throws SnapshotError for a file that is none, damaged, or cut short */
export async function* readChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Chunk, void, undefined> {
  const input = new Input(source);
  const header = await input.take(headerBytes);
  if (header === undefined || magic.some((byte, index) => header[index] !== byte)) {
    throw new SnapshotError("this is not a saved machine");
  }
  const version = new DataView(header.buffer, header.byteOffset).getUint32(8, true);
  if (version !== formatVersion) {
    throw new SnapshotError(`saved in format ${version}; this program reads format ${formatVersion}`);
  }
  let checksum = crc32c(header);
  for (let index = 0; ; index++) {
    const damaged = (): SnapshotError => new SnapshotError(`section ${index} of the saved machine is damaged`);
    const head = await input.take(chunkHeaderBytes);
    if (head === undefined) throw new SnapshotError(`the saved machine is cut short: section ${index} is missing`);
    const view = new DataView(head.buffer, head.byteOffset);
    const [kind, length] = [view.getUint32(0, true), view.getUint32(4, true)];
    if (length > maximumContentBytes) throw damaged();
    // What the header says is used before the content is there, and believed only after.
    checksum = crc32c(head, checksum);
    const rest = await input.take(length + checksumBytes);
    if (rest === undefined) throw new SnapshotError(`the saved machine is damaged or cut short in section ${index}`);
    const content = rest.subarray(0, length);
    checksum = crc32c(content, checksum);
    if (new DataView(rest.buffer, rest.byteOffset).getUint32(length, true) !== checksum) throw damaged();
    yield { kind, content };
    if (kind !== ChunkKind.end) continue;
    if (!(await input.isAtEnd())) throw new SnapshotError("something follows the end of the saved machine");
    return;
  }
}

/** Bytes in pieces of whatever size, taken in pieces of another. */
class Input {
  readonly #source: AsyncIterator<Uint8Array>;
  #pieces: Uint8Array[] = [];
  #available = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Exactly so many bytes; undefined when fewer are left. What is returned stays as it is. */
  async take(length: number): Promise<Uint8Array | undefined> {
    while (this.#available < length) {
      if (!(await this.#more())) return undefined;
    }
    const first = this.#pieces[0];
    if (first !== undefined && first.length >= length) {
      this.#drop(length);
      return first.subarray(0, length);
    }
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const piece = this.#pieces[0].subarray(0, length - at);
      bytes.set(piece, at);
      at += piece.length;
      this.#drop(piece.length);
    }
    return bytes;
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#available === 0) {
      if (!(await this.#more())) return true;
    }
    return false;
  }

  async #more(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done === true) return false;
    if (next.value.length > 0) {
      this.#pieces.push(next.value);
      this.#available += next.value.length;
    }
    return true;
  }

  #drop(length: number): void {
    this.#available -= length;
    const rest = this.#pieces[0]?.subarray(length);
    if (rest === undefined || rest.length === 0) this.#pieces.shift();
    else this.#pieces[0] = rest;
  }
}
