// Sends a joining standby the blocks it lacks, while the guest runs.
//
// Each block is read and sent under its lock: a write before it is in what is read, one after it follows in the write
// buffer. The blocks to send are fixed at the start, so it ends however much the guest writes.
import type { BlockDevice, Result } from "./block-device.ts";
import type { BlockLocks } from "./block-locks.ts";
import { DirtyBitmap } from "./dirty-bitmap.ts";
import type { PrimaryMessage } from "./messages.ts";

/** Blocks on their way: hides the round trip without delaying the guest's requests much. */
const maximumInFlight = 8;

interface SynchroniserOptions {
  readonly missing: DirtyBitmap;
  readonly blockCount: number;
  readonly sectorsPerBlock: number;
  readonly disk: BlockDevice;
  readonly locks: BlockLocks;
  readonly send: (message: PrimaryMessage) => void;
  readonly done: (result: Result<void>) => void;
}

export class Synchroniser {
  readonly #options: SynchroniserOptions;
  readonly #left: DirtyBitmap;
  readonly #unacknowledged = new Set<number>();
  #cursor = 0;
  #inFlight = 0;
  #next = 1;
  #stopped = false;

  constructor(options: SynchroniserOptions) {
    this.#options = options;
    this.#left = new DirtyBitmap(options.blockCount);
    for (let block = options.missing.next(0); block !== undefined; block = options.missing.next(block + 1)) {
      this.#left.set(block);
    }
  }

  get left(): number {
    return this.#left.count + this.#inFlight;
  }

  start(): void {
    this.#pump();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** False if no such block is on its way. */
  acknowledged(number: number): boolean {
    if (!this.#unacknowledged.delete(number)) return false;
    this.#inFlight--;
    this.#pump();
    return true;
  }

  #pump(): void {
    while (!this.#stopped && this.#inFlight < maximumInFlight) {
      const block = this.#left.next(this.#cursor);
      if (block === undefined) break;
      this.#cursor = block + 1;
      this.#left.clear(block);
      this.#inFlight++;
      this.#options.locks.acquire(block, block, (release) => this.#send(block, release));
    }
    if (this.#stopped || this.left > 0) return;
    this.#stopped = true;
    this.#options.done({ ok: true, value: undefined });
  }

  #send(block: number, release: () => void): void {
    const { disk, sectorsPerBlock, send, done } = this.#options;
    if (this.#stopped) return release();
    disk.read(block * sectorsPerBlock, sectorsPerBlock, (result) => {
      if (this.#stopped) return release();
      if (!result.ok) {
        this.#stopped = true;
        release();
        return done(result);
      }
      const number = this.#next++;
      this.#unacknowledged.add(number);
      send({ kind: "sync", number, block, data: result.value });
      release();
    });
  }
}
