/**
 * The memory balloon (virtio 1.2, 5.5): the guest gives pages away (inflation), says which pages it does not use (free page
 * reporting, free page hinting), and how its memory is doing (statistics).
 *
 * Pages are given away in content only. The guest may write to any of them again, and then they hold what it wrote.
 */

import type { RecordReader } from "../snapshot/record-reader.ts";
import type { StateRecord } from "../ports.ts";
import type { Chain } from "./chain.ts";
import { VirtioDevice } from "./virtio-device.ts";
import type { VirtioOptions } from "./virtio-device.ts";

/** What the machine makes of pages whose content is of no use. Ranges lie in memory; addresses are guest-physical. */
export interface FreePages {
  /** The content does not matter from now until the guest next writes there; it may be dropped. */
  release(address: number, length: number): void;
  /** The content does not matter as long as the round of hinting lasts, unless it is written to; it must be left alone. */
  hint?(address: number, length: number): void;
  /** The guest has given all hints of the round it was asked for. */
  hinted?(): void;
}

/** What a guest says of its memory, in bytes or counts; a guest says only some of it (5.5.6.4). */
export interface BalloonStatistics {
  readonly swapInBytes?: number;
  readonly swapOutBytes?: number;
  readonly majorFaults?: number;
  readonly minorFaults?: number;
  readonly freeBytes?: number;
  readonly totalBytes?: number;
  readonly availableBytes?: number;
  readonly diskCacheBytes?: number;
  readonly hugePageAllocations?: number;
  readonly hugePageFailures?: number;
}

/** By tag. */
const statisticNames = [
  "swapInBytes",
  "swapOutBytes",
  "majorFaults",
  "minorFaults",
  "freeBytes",
  "totalBytes",
  "availableBytes",
  "diskCacheBytes",
  "hugePageAllocations",
  "hugePageFailures",
] as const satisfies readonly (keyof BalloonStatistics)[];

export interface BalloonOptions extends VirtioOptions {
  readonly freePages: FreePages;
  readonly onStatistics?: (statistics: BalloonStatistics) => void;
}

/** Feature bits (5.5.3). */
const Feature = { statistics: 1, deflateOnOom: 2, freePageHint: 3, pagePoison: 4, pageReporting: 5 } as const;

type Role = "inflate" | "deflate" | "statistics" | "hint" | "report";

const pageBytes = 4096;
const queueSize = 128;
const statisticBytes = 10;
/** Most of one chain that is read: page numbers and statistics. */
const maximumChainBytes = 65536;
const actualOffset = 4;
const poisonOffset = 12;

/** Commands of free page hinting: stop, done; larger ones name a round (5.5.6.6). */
const hintStop = 0;
const hintDone = 1;
const hintFirstRound = 2;

export class VirtioBalloon extends VirtioDevice {
  readonly version = 1;
  readonly #freePages: FreePages;
  readonly #onStatistics: (statistics: BalloonStatistics) => void;
  #targetPages = 0;
  #actualPages = 0;
  #hintCommand = hintStop;
  #round = hintFirstRound;
  #hinting = false;
  #poison = 0;
  /** What each queue is for; those of features that were not negotiated do not count. */
  #roles: Role[] = [];
  /** The driver's buffer for statistics, which it gets back when new ones are wanted. */
  #statistics: Chain | undefined;

  constructor(options: BalloonOptions) {
    const features = Object.values(Feature);
    super({ type: 5, features, queueSizes: [queueSize, queueSize, queueSize, queueSize, queueSize] }, options);
    this.#freePages = options.freePages;
    this.#onStatistics = options.onStatistics ?? ((): void => undefined);
  }

  get configuration(): Uint8Array {
    const view = new DataView(new ArrayBuffer(16));
    view.setUint32(0, this.#targetPages, true);
    view.setUint32(actualOffset, this.#actualPages, true);
    view.setUint32(8, this.#hintCommand, true);
    view.setUint32(poisonOffset, this.#poison, true);
    return new Uint8Array(view.buffer);
  }

  override writeConfiguration(offset: number, data: Uint8Array): void {
    if (data.length !== 4) return;
    const value = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
    if (offset === actualOffset) this.#actualPages = value;
    if (offset === poisonOffset && this.has(Feature.pagePoison)) this.#poison = value;
  }

  /** What the guest has given away, as it says. */
  get actualBytes(): number {
    return this.#actualPages * pageBytes;
  }

  /** Asks the guest to give away that much memory in all. */
  setTarget(bytes: number): void {
    const pages = Math.floor(bytes / pageBytes);
    if (pages === this.#targetPages) return;
    this.whenReleased(() => {
      this.#targetPages = pages;
      this.configurationChanged();
    });
  }

  /** Asks for statistics; `onStatistics` is told. False when the guest gives none, or has not answered the last time. */
  requestStatistics(): boolean {
    const chain = this.#statistics;
    if (chain === undefined || this.held) return false;
    this.#statistics = undefined;
    this.use(this.#roles.indexOf("statistics"), chain, 0);
    return true;
  }

  /** Begins a round of free page hinting. False when the guest does not hint. */
  startHinting(): boolean {
    if (!this.has(Feature.freePageHint)) return false;
    this.#round = this.#round === 2 ** 32 - 1 ? hintFirstRound : this.#round + 1;
    this.#command(this.#round);
    return true;
  }

  /** Ends the round: the guest uses the pages again, and hints no more count. */
  stopHinting(): void {
    this.#hinting = false;
    if (this.#hintCommand !== hintStop) this.#command(hintDone);
  }

  protected override started(): void {
    this.#roles = this.#negotiatedRoles();
  }

  protected override stopped(): void {
    this.#actualPages = 0;
    this.#poison = 0;
    this.#hintCommand = hintStop;
    this.#hinting = false;
    this.#statistics = undefined;
    this.#roles = [];
  }

  protected override saveDevice(): StateRecord {
    return {
      targetPages: this.#targetPages,
      actualPages: this.#actualPages,
      hintCommand: this.#hintCommand,
      round: this.#round,
      hinting: this.#hinting,
      poison: this.#poison,
    };
  }

  protected override loadDevice(reader: RecordReader): void {
    const word = (name: string): number => reader.integer(name, 0, 2 ** 32 - 1);
    this.#targetPages = word("targetPages");
    this.#actualPages = word("actualPages");
    this.#hintCommand = word("hintCommand");
    this.#round = word("round");
    this.#hinting = reader.boolean("hinting");
    this.#poison = word("poison");
    this.#roles = this.#negotiatedRoles();
  }

  protected override notified(index: number): void {
    const role = this.#roles[index] as Role | undefined;
    const queue = this.queue(index);
    if (role === undefined || queue === undefined) return;
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      this.#serve(role, chain);
      // The buffer for statistics stays here until they are asked for.
      if (role === "statistics") this.#statistics = chain;
      else queue.push(chain, 0);
    }
    this.signal(index);
  }

  /** Queues are numbered by counting those that there are: Linux does so, where 5.5.2 has fixed numbers. */
  #negotiatedRoles(): Role[] {
    const roles: Role[] = ["inflate", "deflate"];
    if (this.has(Feature.statistics)) roles.push("statistics");
    if (this.has(Feature.freePageHint)) roles.push("hint");
    if (this.has(Feature.pageReporting)) roles.push("report");
    return roles;
  }

  #serve(role: Role, chain: Chain): void {
    switch (role) {
      case "inflate":
        return this.#inflate(chain);
      case "deflate":
        return undefined;
      case "statistics":
        return this.#readStatistics(chain);
      case "hint":
        return this.#hint(chain);
      case "report":
        // A guest that checks its free pages for a pattern must find it there again.
        if (this.#poison !== 0) return undefined;
        return this.#wholePages(chain, (address, length) => this.#freePages.release(address, length));
    }
  }

  /** Page numbers, 32 bits each; neighbours are released together. */
  #inflate(chain: Chain): void {
    const bytes = chain.read(0, Math.min(chain.readableBytes, maximumChainBytes) & ~3) ?? new Uint8Array(0);
    const view = new DataView(bytes.buffer);
    let first = 0;
    let count = 0;
    const release = (): void => {
      if (count > 0) this.#freePages.release(first * pageBytes, count * pageBytes);
    };
    for (let at = 0; at < bytes.length; at += 4) {
      const page = view.getUint32(at, true);
      if (this.memory.view(page * pageBytes, pageBytes) === undefined) continue;
      if (count > 0 && page === first + count) {
        count++;
        continue;
      }
      release();
      first = page;
      count = 1;
    }
    release();
  }

  #readStatistics(chain: Chain): void {
    const length = Math.min(chain.readableBytes, maximumChainBytes);
    const bytes = chain.read(0, length) ?? new Uint8Array(0);
    const view = new DataView(bytes.buffer);
    const statistics: { -readonly [Name in keyof BalloonStatistics]: number } = {};
    for (let at = 0; at + statisticBytes <= length; at += statisticBytes) {
      const name = statisticNames[view.getUint16(at, true)] as keyof BalloonStatistics | undefined;
      if (name !== undefined) statistics[name] = Number(view.getBigUint64(at + 2, true));
    }
    this.#onStatistics(statistics);
  }

  /** A command that the driver answers, or pages that it does not use, in the round it has begun (5.5.6.6). */
  #hint(chain: Chain): void {
    if (chain.readableBytes >= 4) {
      const bytes = chain.read(0, 4)!;
      const command = new DataView(bytes.buffer).getUint32(0, true);
      const hinting = command === this.#hintCommand && command >= hintFirstRound;
      if (this.#hinting && !hinting && command === hintStop) this.#freePages.hinted?.();
      this.#hinting = hinting;
    }
    if (this.#hinting && this.#poison === 0) {
      this.#wholePages(chain, (address, length) => this.#freePages.hint?.(address, length));
    }
  }

  /** The pages that lie in the chain's buffers as a whole. */
  #wholePages(chain: Chain, tell: (address: number, length: number) => void): void {
    for (const { address, length } of chain.writable) {
      const first = Math.ceil(address / pageBytes) * pageBytes;
      const end = Math.floor((address + length) / pageBytes) * pageBytes;
      if (end > first) tell(first, end - first);
    }
  }

  #command(command: number): void {
    this.whenReleased(() => {
      this.#hintCommand = command;
      this.configurationChanged();
    });
  }
}
