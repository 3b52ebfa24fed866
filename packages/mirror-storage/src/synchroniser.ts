// Sends a joining standby the blocks it lacks, while the guest runs.
//
// Blocks go in runs, and those that are all zero without their content. Each run is read and sent under the locks of its
// blocks: a write before it is in what is read, one after it follows in the write buffer. The blocks to send are fixed at the
// start, so it ends however much the guest writes.
import type { BlockDevice, Result } from "./block-device.ts";
import type { BlockLocks } from "./block-locks.ts";
import { isZero } from "./bytes.ts";
import { DirtyBitmap } from "./dirty-bitmap.ts";
import type { PrimaryMessage } from "./messages.ts";

/** Most blocks in a run. */
const maximumRunBlocks = 64;
/** Runs on their way: hides the round trip without delaying the guest's requests much. */
const maximumInFlight = 8;

interface SynchroniserOptions {
  readonly missing: DirtyBitmap;
  readonly blockCount: number;
  readonly sectorsPerBlock: number;
  /** Most bytes in a run, if that is at least a block. */
  readonly maximumRunBytes: number;
  readonly disk: BlockDevice;
  readonly locks: BlockLocks;
  readonly send: (message: PrimaryMessage) => void;
  readonly done: (result: Result<void>) => void;
}

export class Synchroniser {
  readonly #options: SynchroniserOptions;
  readonly #left: DirtyBitmap;
  readonly #runBlocks: number;
  /** Blocks in it, by number of the run. */
  readonly #unacknowledged = new Map<number, number>();
  #cursor = 0;
  #inFlight = 0;
  #blocksInFlight = 0;
  #next = 1;
  #stopped = false;

  constructor(options: SynchroniserOptions) {
    this.#options = options;
    const { sectorsPerBlock, disk, maximumRunBytes } = options;
    const blocks = Math.floor(maximumRunBytes / (sectorsPerBlock * disk.geometry.sectorSize));
    this.#runBlocks = Math.max(1, Math.min(maximumRunBlocks, blocks));
    this.#left = new DirtyBitmap(options.blockCount);
    for (let block = options.missing.next(0); block !== undefined; block = options.missing.next(block + 1)) {
      this.#left.set(block);
    }
  }

  get left(): number {
    return this.#left.count + this.#blocksInFlight;
  }

  start(): void {
    this.#pump();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** False if no such run is on its way. */
  acknowledged(number: number): boolean {
    const blocks = this.#unacknowledged.get(number);
    if (blocks === undefined) return false;
    this.#unacknowledged.delete(number);
    this.#inFlight--;
    this.#blocksInFlight -= blocks;
    this.#pump();
    return true;
  }

  #pump(): void {
    while (!this.#stopped && this.#inFlight < maximumInFlight) {
      const first = this.#left.next(this.#cursor);
      if (first === undefined) break;
      let end = first;
      for (; end < first + this.#runBlocks && this.#left.has(end); end++) this.#left.clear(end);
      this.#cursor = end;
      this.#inFlight++;
      this.#blocksInFlight += end - first;
      this.#options.locks.acquire(first, end - 1, (release) => this.#send(first, end - first, release));
    }
    if (this.#stopped || this.left > 0) return;
    this.#stopped = true;
    this.#options.done({ ok: true, value: undefined });
  }

  #send(block: number, count: number, release: () => void): void {
    const { disk, sectorsPerBlock, send, done } = this.#options;
    if (this.#stopped) return release();
    disk.read(block * sectorsPerBlock, count * sectorsPerBlock, (result) => {
      if (this.#stopped) return release();
      if (!result.ok) {
        this.#stopped = true;
        release();
        return done(result);
      }
      const number = this.#next++;
      this.#unacknowledged.set(number, count);
      if (isZero(result.value)) send({ kind: "sync-zeroes", number, block, count });
      else send({ kind: "sync", number, block, data: result.value });
      release();
    });
  }
}
