// The standby's side: a machine that does not run, whose memory is that of the last committed epoch.
//
// Invariants:
// - Once a checkpoint that completes a session was received, what arrives is staged as whole pages, apart from the machine;
//   only `commit` writes it there, epoch by epoch. Committing again changes nothing.
// - Before that the machine can take over for nobody, and pages go to it at once.
// - Messages take effect in the order in which they came, though decompression may end in another.
// - No more pages are staged than were announced to the leader.
import { assert } from "../assert.ts";
import type { Checkpointable } from "../checkpointable.ts";
import type { Codec } from "./codec.ts";
import type { CheckpointEnd, Pages, State } from "./messages.ts";
import { PageBuffers } from "./page-buffers.ts";
import { readPageRecords } from "./page-records.ts";

/** Most bytes of a machine's state: processors and devices, no memory. */
export const maximumStateBytes: number = 1 << 26;

/** Some epochs' worth of most guests. */
const SPARE_PAGES = 2048;

export interface MemoryReceiverOptions {
  readonly machine: Checkpointable;
  readonly codec: Codec;
  /** Most pages of epochs which are not committed. At least all of memory, so that any epoch alone has room. */
  readonly stagedPages: number;
  /** All of the epoch is here; `commit` may follow. */
  readonly prepared: (epoch: number, complete: boolean) => void;
  /** The leader said something it must not; the session has to end. */
  readonly complain: (text: string) => void;
}

interface Staged {
  readonly epoch: number;
  readonly pages: Map<number, Uint8Array>;
  state: Uint8Array[];
  stateBytes: number;
  records: number;
}

interface Arrived {
  readonly message: Pages | State | CheckpointEnd;
  /** Of pages: undefined while they are being decompressed. */
  raw: Uint8Array | undefined;
}

export class MemoryReceiver {
  readonly #options: MemoryReceiverOptions;
  #arrived: Arrived[] = [];
  #arrivedBytes = 0;
  #session = 0;
  /** The leader broke the protocol: nothing more of this session is read. */
  #broken = false;
  /** Pages go to the machine at once. */
  #direct = true;
  #complete = false;
  #committed = 0;
  #state: Uint8Array | undefined;
  /** The epoch that is arriving. */
  #open: Staged | undefined;
  #prepared: (Staged & { readonly complete: boolean })[] = [];
  #stagedPages = 0;
  readonly #buffers: PageBuffers;

  constructor(options: MemoryReceiverOptions) {
    this.#options = options;
    this.#buffers = new PageBuffers(options.machine.pageBytes, SPARE_PAGES);
    assert(options.stagedPages >= options.machine.pageCount, "an epoch that changed all of memory can be staged");
  }

  /** Whether the machine's memory is that of a committed checkpoint. */
  get complete(): boolean {
    return this.#complete;
  }

  /** The last epoch committed. */
  get epoch(): number {
    return this.#committed;
  }

  get stagedPages(): number {
    return this.#stagedPages;
  }

  /** Bytes received and not decompressed yet. */
  get backlogBytes(): number {
    return this.#arrivedBytes;
  }

  /** A session begins: what is here counts for nothing any more. */
  begin(): void {
    this.interrupt();
    this.#prepared = [];
    this.#count();
    this.#broken = false;
    this.#direct = true;
    this.#complete = false;
    this.#state = undefined;
    this.#committed = 0;
  }

  /** The connection ended. What is committed stays, and what is prepared, until `restore` or `begin` decides. */
  interrupt(): void {
    this.#session++;
    this.#arrived = [];
    this.#arrivedBytes = 0;
    this.#open = undefined;
    this.#count();
  }

  receive(message: Pages | State | CheckpointEnd): void {
    if (this.#broken) return;
    const entry: Arrived = { message, raw: undefined };
    this.#arrived.push(entry);
    if (message.kind === "pages") {
      const session = this.#session;
      this.#arrivedBytes += message.data.length;
      this.#options.codec.decompress(message.data, message.rawBytes, (raw) => {
        if (session !== this.#session) return;
        this.#arrivedBytes -= message.data.length;
        if (raw === undefined) return this.#fail("pages that cannot be decompressed");
        entry.raw = raw;
        this.#advance();
      });
    } else this.#advance();
  }

  #fail(text: string): void {
    this.#broken = true;
    this.interrupt();
    this.#options.complain(text);
  }

  #advance(): void {
    for (;;) {
      const next = this.#arrived[0];
      if (next === undefined || (next.message.kind === "pages" && next.raw === undefined)) return;
      this.#arrived.shift();
      const complaint = this.#take(next.message, next.raw);
      if (complaint !== undefined) return this.#fail(complaint);
    }
  }

  #take(message: Pages | State | CheckpointEnd, raw: Uint8Array | undefined): string | undefined {
    const last = this.#prepared.at(-1)?.epoch ?? this.#committed;
    if (message.kind === "pages" && message.epoch === 0) {
      return this.#direct ? this.#pages(undefined, raw!) : "a copy of memory in the middle of a session";
    }
    if (message.epoch <= last) return `epoch ${message.epoch} after ${last}`;
    if (this.#open !== undefined && this.#open.epoch !== message.epoch) return "two epochs at the same time";
    this.#open ??= { epoch: message.epoch, pages: new Map(), state: [], stateBytes: 0, records: 0 };
    if (message.kind === "pages") return this.#pages(this.#open, raw!);
    if (message.kind === "checkpoint") return this.#checkpoint(this.#open, message);
    this.#open.stateBytes += message.data.length;
    if (this.#open.stateBytes > maximumStateBytes) return "a state longer than any machine's";
    this.#open.state.push(message.data);
    return undefined;
  }

  #pages(epoch: Staged | undefined, raw: Uint8Array): string | undefined {
    const { machine, stagedPages } = this.#options;
    const { pageBytes, pageCount } = machine;
    let overflow = false;
    const complaint = readPageRecords(raw, pageBytes, pageCount, {
      room: () => this.#buffers.take(),
      before: (page, content) => this.#latest(page, content),
      take: (page, content) => {
        if (epoch !== undefined) epoch.records++;
        if (epoch === undefined || this.#direct) return this.#write(page, content);
        const earlier = epoch.pages.get(page);
        if (earlier === undefined) this.#stagedPages++;
        overflow ||= this.#stagedPages > stagedPages;
        if (overflow) return;
        epoch.pages.set(page, content);
        if (earlier !== undefined) this.#buffers.give(earlier);
      },
    });
    return complaint ?? (overflow ? `more than ${stagedPages} pages of epochs that are not committed` : undefined);
  }

  /** Fills in the page as it will be when all that arrived is committed. */
  #latest(page: number, content: Uint8Array): void {
    const staged =
      this.#open?.pages.get(page) ?? this.#prepared.findLast((epoch) => epoch.pages.has(page))?.pages.get(page);
    if (staged === undefined) this.#options.machine.readPage(page, content);
    else content.set(staged);
  }

  #write(page: number, content: Uint8Array): void {
    this.#options.machine.writePage(page, content);
    this.#buffers.give(content);
  }

  #checkpoint(open: Staged, end: CheckpointEnd): string | undefined {
    const { epoch, pages, stateBytes, complete } = end;
    if (open.records !== pages) return `epoch ${epoch} has ${pages} pages, but ${open.records} arrived`;
    if (open.stateBytes !== stateBytes)
      return `epoch ${epoch} has ${stateBytes} bytes of state, not ${open.stateBytes}`;
    if (!this.#direct && !complete) return "a session that was complete stays so";
    if (complete) this.#direct = false;
    this.#open = undefined;
    this.#prepared.push({ ...open, complete });
    this.#options.prepared(epoch, complete);
    return undefined;
  }

  /** The epoch's commit record is durable: its pages become the machine's. Those before it do, too. */
  commit(epoch: number): void {
    while (this.#prepared.length > 0 && this.#prepared[0].epoch <= epoch) {
      const next = this.#prepared.shift()!;
      for (const [page, content] of next.pages) this.#write(page, content);
      this.#committed = next.epoch;
      this.#complete ||= next.complete;
      this.#state = concatenate(next.state, next.stateBytes);
    }
    this.#count();
  }

  /**
   * Makes the machine that of the epoch, the last whose commit record is durable; what came after is forgotten. Returns a
   * complaint if it cannot be. The machine stands still.
   */
  restore(epoch: number): string | undefined {
    this.commit(epoch);
    this.interrupt();
    this.#prepared = [];
    this.#count();
    if (!this.#complete || this.#state === undefined) return "there is no complete checkpoint here";
    if (this.#committed !== epoch) return `memory is of epoch ${this.#committed}, not ${epoch}`;
    return this.#options.machine.loadState(this.#state);
  }

  #count(): void {
    this.#stagedPages = this.#prepared.reduce((sum, epoch) => sum + epoch.pages.size, this.#open?.pages.size ?? 0);
  }
}

function concatenate(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
