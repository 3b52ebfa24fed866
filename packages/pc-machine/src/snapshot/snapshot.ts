/**
 * A machine saved and resumed: a description of the machine, the states of its parts, and its RAM without the pages
 * that are zero. Pages are compressed some at a time, and nothing is held whole, so that a machine of gigabytes is
 * saved and loaded in the memory of a few chunks.
 */

import { ramRanges } from "../platform/memory-map.ts";
import { SnapshotError } from "../ports.ts";
import type { GuestMemory, Stateful, StateRecord } from "../ports.ts";
import { ChunkKind, ChunkWriter, readChunks } from "./chunks.ts";
import type { SnapshotSink } from "./chunks.ts";
import type { Compression } from "./compression.ts";
import { RecordReader } from "./record-reader.ts";
import { decodeState, encodeState } from "./state-codec.ts";

const pageBytes = 4096;
/** Compressed together: enough to be small, little enough to be held. */
const pagesPerChunk = 256;
/** Decompressed at the same time: as many as Node has threads for it. */
const chunksAhead = 4;
/** Page numbers in front of the pages. */
const bytesPerNumber = 4;

/** What of a machine is saved. */
export interface SnapshotMachine {
  readonly memory: GuestMemory;
  /** In the order in which they are loaded. */
  readonly parts: readonly Stateful[];
}

export interface LoadOptions {
  /** What pages may be compressed by. */
  readonly compressions: readonly Compression[];
  /** The machine's RAM has not been written yet: what is not in the snapshot need not be made zero. */
  readonly isFresh?: boolean;
}

/**
 * Saves a machine that is stopped, and stays so until this is done.
 *
 * @param sink takes the bytes; when it rejects, so does this
 */
export async function saveSnapshot(
  machine: SnapshotMachine,
  compression: Compression,
  sink: SnapshotSink,
): Promise<void> {
  const { memory, parts } = machine;
  const writer = new ChunkWriter(sink);
  await writer.begin();
  const description = {
    ramBytes: memory.ramBytes,
    compression: compression.name,
    parts: parts.map(({ id, version }) => ({ id, version })),
  };
  await writer.write({ kind: ChunkKind.description, content: encodeState(description) });
  for (const part of parts) {
    const content = encodeState({ id: part.id, version: part.version, state: part.save() });
    await writer.write({ kind: ChunkKind.part, content });
  }
  let pages = 0;
  for (const chunk of pageChunks(memory)) {
    pages += chunk.length;
    const content = await encodePages(chunk, compression);
    await writer.write({ kind: ChunkKind.pages, content });
  }
  await writer.write({ kind: ChunkKind.end, content: encodeState({ pages }) });
}

/**
 * Loads a saved machine into one of the same make that is stopped. Nothing of its parts is changed before the snapshot
 * has been read and checked to its end; its RAM is, so after an error the machine is of no use.
 *
 * @throws SnapshotError when the snapshot is damaged, or of a machine that is made differently
 */
export async function loadSnapshot(
  machine: SnapshotMachine,
  source: AsyncIterable<Uint8Array>,
  options: LoadOptions,
): Promise<void> {
  const { parts, memory } = machine;
  const states = new Map<string, StateRecord>();
  const pages = new PageLoader(memory, options.isFresh === true);
  let compression: Compression | undefined;
  // Some chunks are decompressed, on other threads, while the next are read and checked.
  const decoding: Promise<Page[]>[] = [];
  const loadFirst = async (): Promise<void> => pages.load((await decoding.shift()) ?? []);
  for await (const { kind, content } of readChunks(source)) {
    if (compression === undefined) {
      if (kind !== ChunkKind.description)
        throw new SnapshotError("the saved machine does not begin with a description");
      compression = checkDescription(decoded(content, "the description"), machine, options.compressions);
      continue;
    }
    switch (kind) {
      case ChunkKind.part:
        addPart(states, decoded(content, "a part's state"));
        break;
      case ChunkKind.pages:
        if (decoding.length >= chunksAhead) await loadFirst();
        decoding.push(handled(decodePages(content, compression)));
        break;
      case ChunkKind.end:
        while (decoding.length > 0) await loadFirst();
        pages.finish(new RecordReader("end", decoded(content, "the end")).integer("pages", 0, 2 ** 32));
        break;
      default:
        throw new SnapshotError(`the saved machine has a section of unknown kind ${kind}`);
    }
  }
  for (const part of parts) {
    const state = states.get(part.id);
    if (state === undefined) throw new SnapshotError(`${part.id}: its state is missing`);
    part.load(state, part.version);
  }
}

/** A promise that somebody looks at later, or, after another error, not at all. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** Bytes of RAM of the machine that was saved; only the beginning of the source is read. @throws SnapshotError */
export async function snapshotMemory(source: AsyncIterable<Uint8Array>): Promise<number> {
  for await (const { kind, content } of readChunks(source)) {
    if (kind !== ChunkKind.description) break;
    const reader = new RecordReader("description", decoded(content, "the description"));
    return reader.integer("ramBytes", 0, Number.MAX_SAFE_INTEGER);
  }
  throw new SnapshotError("the saved machine does not begin with a description");
}

/** What a snapshot is of. @throws SnapshotError unless it is of a machine made like this one */
function checkDescription(
  record: StateRecord,
  machine: SnapshotMachine,
  compressions: readonly Compression[],
): Compression {
  const reader = new RecordReader("description", record);
  const ramBytes = reader.integer("ramBytes", 0, Number.MAX_SAFE_INTEGER);
  if (ramBytes !== machine.memory.ramBytes) {
    const [saved, here] = [ramBytes, machine.memory.ramBytes].map((bytes) => `${bytes / 2 ** 20} MiB`);
    throw new SnapshotError(`the saved machine has ${saved} of memory, this one ${here}`);
  }
  const saved = new Map(
    reader.records("parts").map((part) => [part.string("id"), part.integer("version", 0, 0xffff_ffff)]),
  );
  for (const { id, version } of machine.parts) {
    const found = saved.get(id);
    if (found === undefined) throw new SnapshotError(`this machine has ${id}, the saved one does not`);
    if (found !== version) throw new SnapshotError(`${id}: saved by version ${found}, this is version ${version}`);
    saved.delete(id);
  }
  const [extra] = saved.keys();
  if (extra !== undefined) throw new SnapshotError(`the saved machine has ${extra}, this one does not`);
  const name = reader.string("compression");
  const compression = compressions.find((candidate) => candidate.name === name);
  if (compression === undefined) throw new SnapshotError(`the saved machine is compressed by ${name}, unknown here`);
  return compression;
}

function addPart(states: Map<string, StateRecord>, record: StateRecord): void {
  const reader = new RecordReader("part", record);
  const id = reader.string("id");
  if (states.has(id)) throw new SnapshotError(`${id}: saved twice`);
  states.set(id, reader.plain("state"));
}

function decoded(content: Uint8Array, what: string): StateRecord {
  try {
    return new RecordReader("section", { value: decodeState(content) }).plain("value");
  } catch (error) {
    if (error instanceof SnapshotError) throw new SnapshotError(`${what} is damaged: ${error.message}`);
    throw error;
  }
}

// Pages. They are numbered through all of RAM, whatever holes there are in its addresses.

interface Page {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** The pages that are not zero, in order, some at a time. */
function* pageChunks(memory: GuestMemory): Generator<Page[], void, undefined> {
  let chunk: Page[] = [];
  let number = 0;
  for (const { start, end } of ramRanges(memory.ramBytes)) {
    const ram = memory.view(start, end - start);
    if (ram === undefined) throw new RangeError("RAM is not where the memory map has it");
    const words = new Int32Array(ram.buffer, ram.byteOffset, ram.length / 4);
    for (let at = 0; at < ram.length; at += pageBytes, number++) {
      if (isZero(words, at / 4)) continue;
      chunk.push({ number, bytes: ram.subarray(at, at + pageBytes) });
      if (chunk.length < pagesPerChunk) continue;
      yield chunk;
      chunk = [];
    }
  }
  if (chunk.length > 0) yield chunk;
}

function isZero(words: Int32Array, from: number): boolean {
  for (let index = from; index < from + pageBytes / 4; index++) {
    if (words[index] !== 0) return false;
  }
  return true;
}

/** Count, the numbers of the pages, and the pages themselves: compressed as a whole. */
async function encodePages(pages: readonly Page[], compression: Compression): Promise<Uint8Array> {
  const numbersBytes = bytesPerNumber * (1 + pages.length);
  const raw = new Uint8Array(numbersBytes + pages.length * pageBytes);
  const view = new DataView(raw.buffer);
  view.setUint32(0, pages.length, true);
  for (const [index, { number, bytes }] of pages.entries()) {
    view.setUint32(bytesPerNumber * (1 + index), number, true);
    raw.set(bytes, numbersBytes + index * pageBytes);
  }
  return compression.compress(raw);
}

async function decodePages(content: Uint8Array, compression: Compression): Promise<Page[]> {
  const damaged = new SnapshotError("a section of memory pages is damaged");
  const most = bytesPerNumber * (1 + pagesPerChunk) + pagesPerChunk * pageBytes;
  let raw: Uint8Array;
  try {
    raw = await compression.decompress(content, most);
  } catch {
    throw damaged;
  }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const count = raw.length < bytesPerNumber ? 0 : view.getUint32(0, true);
  const numbersBytes = bytesPerNumber * (1 + count);
  if (count === 0 || raw.length !== numbersBytes + count * pageBytes) throw damaged;
  return Array.from({ length: count }, (_, index) => {
    const at = numbersBytes + index * pageBytes;
    return { number: view.getUint32(bytesPerNumber * (1 + index), true), bytes: raw.subarray(at, at + pageBytes) };
  });
}

/** Writes pages to RAM, and zeros to those between. */
class PageLoader {
  readonly #memory: GuestMemory;
  readonly #isFresh: boolean;
  readonly #lowPages: number;
  readonly #highStart: number;
  readonly #total: number;
  #next = 0;
  #loaded = 0;

  constructor(memory: GuestMemory, isFresh: boolean) {
    const [low, high] = ramRanges(memory.ramBytes);
    this.#memory = memory;
    this.#isFresh = isFresh;
    this.#lowPages = low.end / pageBytes;
    this.#highStart = high?.start ?? 0;
    this.#total = memory.ramBytes / pageBytes;
  }

  load(pages: readonly Page[]): void {
    for (const { number, bytes } of pages) {
      if (number < this.#next || number >= this.#total) {
        throw new SnapshotError(`the saved machine has memory page ${number} out of place`);
      }
      this.#skipTo(number);
      this.#write(number, bytes);
      this.#next = number + 1;
    }
    this.#loaded += pages.length;
  }

  finish(expected: number): void {
    if (this.#loaded !== expected) {
      throw new SnapshotError(`the saved machine has ${this.#loaded} memory pages of ${expected}`);
    }
    this.#skipTo(this.#total);
  }

  #skipTo(number: number): void {
    if (this.#isFresh) return;
    const zeros = new Uint8Array(pageBytes);
    for (let page = this.#next; page < number; page++) {
      const bytes = this.#memory.view(this.#addressOf(page), pageBytes);
      // A write costs translations, and looking does not.
      if (bytes === undefined || bytes.some((byte) => byte !== 0)) this.#write(page, zeros);
    }
  }

  #write(number: number, bytes: Uint8Array): void {
    if (!this.#memory.write(this.#addressOf(number), bytes)) {
      throw new SnapshotError(`the saved machine has memory page ${number}, which is not memory here`);
    }
  }

  #addressOf(number: number): number {
    if (number < this.#lowPages) return number * pageBytes;
    return this.#highStart + (number - this.#lowPages) * pageBytes;
  }
}
