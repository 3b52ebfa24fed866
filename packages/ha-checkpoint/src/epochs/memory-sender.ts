// Sends a machine's memory: once as a whole, while the guest runs, and then what each epoch changed.
//
//   stopped: dirty pages ──copy──> staged ──> running again
//            staged ──records (diff, zero, whole)──> compress ──> connection          each stage in order, each bounded
//
// Invariants:
// - The pause is a copy: nothing is encoded or sent while the guest stands, unless more pages are dirty than may be staged;
//   then the guest stands until the rest has found room.
// - `cache` is what the standby will have of a page when it has read all that was encoded so far.
// - A page that the guest gave up (free, purgeable) is sent as zero once, and not again until it is back.
import { assert } from "../assert.ts";
import type { Checkpointable } from "../checkpointable.ts";
import type { Codec } from "./codec.ts";
import type { LeaderMessage } from "./messages.ts";
import { PageCache } from "./page-cache.ts";
import { PageRecordWriter, pagesPerChunk } from "./page-records.ts";

/** Chunks that are being compressed at once: enough work for a few threads until this one, which runs the guest, comes by. */
const maximumCompressing = 16;
/** Of chunks, kept for the next ones: as many as an epoch has when the guest is busy. */
const maximumBuffers = 16;
/** Bytes of the machine's state in one message. */
const statePartBytes = 1 << 18;

export interface MemorySenderOptions {
  readonly machine: Checkpointable;
  readonly codec: Codec;
  /** Most pages copied and not yet encoded. */
  readonly stagedPages: number;
  /** Pages that diffs are made against. */
  readonly cachePages: number;
  readonly send: (message: LeaderMessage) => void;
  /** Whether the connection takes more now. `pump` is called when it does again. */
  readonly isWritable: () => boolean;
  /** Every page was sent once. */
  readonly copied: () => void;
}

/** What one epoch, or the copy in the beginning, was made of. Pages are counted once each. */
export interface EpochCounts {
  dirty: number;
  zero: number;
  diff: number;
  whole: number;
  free: number;
  purgeable: number;
  /** Of page records. */
  rawBytes: number;
  sentBytes: number;
  stateBytes: number;
}

const noCounts = (): EpochCounts => ({
  dirty: 0,
  zero: 0,
  diff: 0,
  whole: 0,
  free: 0,
  purgeable: 0,
  rawBytes: 0,
  sentBytes: 0,
  stateBytes: 0,
});

interface StagedChunk {
  readonly kind: "chunk";
  readonly epoch: number;
  readonly pages: readonly number[];
  /** By place in `pages`: it was given up, its content is not here. */
  readonly absent: ReadonlySet<number>;
  readonly content: Uint8Array;
  readonly counts: EpochCounts;
}

/** What goes out in order: a message, or one that is still being compressed. */
interface Outgoing {
  message: LeaderMessage | undefined;
  /** Ends the epoch whose counts these are. */
  readonly ends?: { readonly epoch: number; readonly counts: EpochCounts };
}

export class MemorySender {
  readonly #options: MemorySenderOptions;
  readonly #chunkPages: number;
  readonly #writer: PageRecordWriter;
  readonly #cache: PageCache;
  /** Pages that the guest gave up, as the standby knows. */
  readonly #absent = new Set<number>();
  #staged: (StagedChunk | Outgoing)[] = [];
  /** Buffers of chunks that were encoded: new ones, twenty times a second, would be garbage by the megabyte. */
  readonly #buffers: Uint8Array[] = [];
  #stagedPages = 0;
  #outbox: Outgoing[] = [];
  #compressing = 0;
  /** Next page of the copy in the beginning; past the end: done. */
  #cursor: number;
  #copyCounts = noCounts();
  #session = 0;
  #capture:
    | { epoch: number; pages: Uint32Array; at: number; records: number; counts: EpochCounts; done: () => void }
    | undefined;
  #pumping = false;
  /** Told when all of an epoch has been handed to the connection. */
  sent: (epoch: number, counts: EpochCounts) => void = () => undefined;

  constructor(options: MemorySenderOptions) {
    const { pageBytes, pageCount } = options.machine;
    this.#options = options;
    this.#chunkPages = pagesPerChunk(pageBytes);
    assert(options.stagedPages >= this.#chunkPages, "a chunk of pages can be staged");
    this.#writer = new PageRecordWriter(pageBytes);
    this.#cache = new PageCache(pageBytes, pageCount, options.cachePages);
    this.#cursor = pageCount;
  }

  /** Pages of the copy that are still to be sent. */
  get left(): number {
    return this.#options.machine.pageCount - this.#cursor;
  }

  /** Pages copied and not yet encoded. */
  get stagedPages(): number {
    return this.#stagedPages;
  }

  get copyCounts(): Readonly<EpochCounts> {
    return this.#copyCounts;
  }

  /** A session begins: the standby has nothing. The machine is stopped, or this is between two of its instructions. */
  begin(): void {
    this.end();
    this.#options.machine.takeDirtyPages();
    this.#cursor = 0;
    this.#copyCounts = noCounts();
    this.pump();
  }

  /** The session is over. A guest that waits for the rest of its pages to be copied runs on. */
  end(): void {
    this.#session++;
    this.#staged = [];
    this.#stagedPages = 0;
    this.#outbox = [];
    this.#compressing = 0;
    this.#cursor = this.#options.machine.pageCount;
    this.#cache.clear();
    this.#absent.clear();
    const capture = this.#capture;
    this.#capture = undefined;
    capture?.done();
  }

  /**
   * Copies what the machine, which is stopped, changed since the last call; `done` tells that it may run. `finish`
   * follows in `done`, or before.
   */
  capture(epoch: number, done: () => void): void {
    assert(this.left === 0, "the first copy comes before the first epoch");
    assert(this.#capture === undefined, "one capture at a time");
    const pages = this.#options.machine.takeDirtyPages();
    const counts = noCounts();
    counts.dirty = pages.length;
    this.#capture = { epoch, pages, at: 0, records: 0, counts, done };
    this.#copyStaged();
    this.pump();
  }

  /** Copies as much as there is room for; calls back when that is all. */
  #copyStaged(): void {
    const capture = this.#capture;
    if (capture === undefined) return;
    const { epoch, pages, counts, done } = capture;
    while (capture.at < pages.length) {
      const room = this.#options.stagedPages - this.#stagedPages;
      if (room < this.#chunkPages && this.#stagedPages > 0) return;
      const part = pages.subarray(capture.at, capture.at + this.#chunkPages);
      capture.at += part.length;
      const chunk = this.#stage(epoch, part, counts);
      if (chunk === undefined) continue;
      capture.records += chunk.pages.length;
      this.#staged.push(chunk);
    }
    this.#capture = undefined;
    this.#finishing = { epoch, records: capture.records, counts };
    done();
  }

  #finishing: { epoch: number; records: number; counts: EpochCounts } | undefined;

  /** Ends the epoch whose pages were captured. */
  finish(state: Uint8Array, complete: boolean): void {
    const finishing = this.#finishing;
    if (finishing === undefined) return;
    this.#finishing = undefined;
    const { epoch, records, counts } = finishing;
    counts.stateBytes = state.length;
    for (let at = 0; at < state.length; at += statePartBytes) {
      this.#staged.push({ message: { kind: "state", epoch, data: state.subarray(at, at + statePartBytes) } });
    }
    this.#staged.push({
      message: { kind: "checkpoint", epoch, pages: records, stateBytes: state.length, complete },
      ends: { epoch, counts },
    });
    this.pump();
  }

  #stage(epoch: number, candidates: Iterable<number>, counts: EpochCounts): StagedChunk | undefined {
    const { machine } = this.#options;
    const { pageBytes } = machine;
    const pages: number[] = [];
    const absent = new Set<number>();
    const content = this.#buffers.pop() ?? new Uint8Array(this.#chunkPages * pageBytes);
    for (const page of candidates) {
      const standing = machine.standing(page);
      if (standing === "kept") {
        this.#absent.delete(page);
        machine.readPage(page, content.subarray(pages.length * pageBytes, (pages.length + 1) * pageBytes));
      } else {
        counts[standing]++;
        if (this.#absent.has(page)) continue;
        this.#absent.add(page);
        absent.add(pages.length);
      }
      pages.push(page);
    }
    if (pages.length === 0) {
      this.#recycle(content);
      return undefined;
    }
    this.#stagedPages += pages.length;
    return { kind: "chunk", epoch, pages, absent, content, counts };
  }

  #recycle(buffer: Uint8Array): void {
    if (this.#buffers.length < maximumBuffers) this.#buffers.push(buffer);
  }

  /** Goes on with all that can go on. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#options.isWritable() && this.#step());
    this.#pumping = false;
  }

  /** One step of the pipeline; false if there is none. */
  #step(): boolean {
    if (this.#outbox[0]?.message !== undefined) {
      const { message, ends } = this.#outbox.shift()!;
      this.#options.send(message!);
      if (ends !== undefined) this.sent(ends.epoch, ends.counts);
      return true;
    }
    if (this.#compressing >= maximumCompressing) return false;
    const next = this.#staged[0];
    if (next !== undefined) {
      this.#staged.shift();
      if ("kind" in next) {
        this.#stagedPages -= next.pages.length;
        this.#encode(next);
        this.#copyStaged();
      } else this.#outbox.push(next);
      return true;
    }
    return this.#copyMore();
  }

  /** The copy in the beginning: the next chunk of it. */
  #copyMore(): boolean {
    const { machine, copied } = this.#options;
    if (this.#cursor >= machine.pageCount) return false;
    const first = this.#cursor;
    this.#cursor = Math.min(first + this.#chunkPages, machine.pageCount);
    const pages = Array.from({ length: this.#cursor - first }, (_, at) => first + at);
    this.#copyCounts.dirty += pages.length;
    const chunk = this.#stage(0, pages, this.#copyCounts);
    if (chunk !== undefined) this.#staged.push(chunk);
    if (this.#cursor === machine.pageCount) copied();
    return true;
  }

  #encode(chunk: StagedChunk): void {
    const { pageBytes } = this.#options.machine;
    const { counts } = chunk;
    for (const [place, page] of chunk.pages.entries()) {
      if (chunk.absent.has(place)) {
        this.#writer.zero(page);
        this.#cache.delete(page);
        continue;
      }
      const content = chunk.content.subarray(place * pageBytes, (place + 1) * pageBytes);
      counts[this.#writer.page(page, content, this.#cache.get(page))]++;
      this.#cache.set(page, content);
    }
    this.#recycle(chunk.content);
    const raw = this.#writer.finish();
    const rawBytes = raw.length;
    const session = this.#session;
    const outgoing: Outgoing = { message: undefined };
    this.#outbox.push(outgoing);
    this.#compressing++;
    this.#options.codec.compress(raw, (data) => {
      if (session !== this.#session) return;
      this.#compressing--;
      counts.rawBytes += rawBytes;
      counts.sentBytes += data.length;
      outgoing.message = { kind: "pages", epoch: chunk.epoch, rawBytes, data };
      this.pump();
    });
  }
}
