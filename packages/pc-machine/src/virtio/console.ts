/** The console device (virtio 1.2, 5.3) with one port: a stream of bytes each way, and the size of the screen. */

import type { RecordReader } from "../snapshot/record-reader.ts";
import type { StateRecord } from "../ports.ts";
import type { Chain } from "./chain.ts";
import { VirtioDevice } from "./virtio-device.ts";
import type { VirtioOptions } from "./virtio-device.ts";

/** The other end of the console. */
export interface ConsolePort {
  /** Takes bytes from the beginning of `data`, and returns how many; after less than all it calls `ready`. */
  write(data: Uint8Array): number;
  /** Where input for the guest goes. */
  attach(receiver: ConsoleReceiver): void;
  /** After a `receive` that took less than all: the guest has room again. */
  receivable(): void;
}

export interface ConsoleReceiver {
  /** Gives the guest bytes from the beginning of `data`; returns how many it had room for. */
  receive(data: Uint8Array): number;
  ready(): void;
}

export interface ConsoleOptions extends VirtioOptions {
  readonly port: ConsolePort;
  readonly columns?: number;
  readonly rows?: number;
}

/** Feature bits (5.3.3). */
const Feature = { size: 0, emergencyWrite: 2 } as const;

const receiveQueue = 0;
const transmitQueue = 1;
const queueSize = 64;
/** A chain is written in pieces of this size, so that it holds no more of the host's memory. */
const pieceBytes = 65536;
const emergencyWriteOffset = 8;

export class VirtioConsole extends VirtioDevice implements ConsoleReceiver {
  readonly version = 1;
  readonly #port: ConsolePort;
  #columns: number;
  #rows: number;
  /** A chain that the port has taken only a part of. */
  #stalled: { readonly chain: Chain; written: number } | undefined;
  #starved = false;

  constructor(options: ConsoleOptions) {
    const { port, columns = 80, rows = 25 } = options;
    super({ type: 3, features: [Feature.size, Feature.emergencyWrite], queueSizes: [queueSize, queueSize] }, options);
    this.#columns = columns;
    this.#rows = rows;
    this.#port = port;
    port.attach(this);
  }

  get configuration(): Uint8Array {
    const view = new DataView(new ArrayBuffer(12));
    view.setUint16(0, this.#columns, true);
    view.setUint16(2, this.#rows, true);
    view.setUint32(4, 1, true);
    return new Uint8Array(view.buffer);
  }

  /** The screen has another size now. */
  resize(columns: number, rows: number): void {
    if (columns === this.#columns && rows === this.#rows) return;
    this.#columns = columns;
    this.#rows = rows;
    this.configurationChanged();
  }

  /** A character for before there are queues (5.3.4). */
  override writeConfiguration(offset: number, data: Uint8Array): void {
    if (offset === emergencyWriteOffset) this.#port.write(data.subarray(0, 1));
  }

  receive(data: Uint8Array): number {
    const queue = this.held ? undefined : this.queue(receiveQueue);
    let taken = 0;
    while (taken < data.length) {
      const chain = queue?.pop();
      if (chain === undefined) {
        this.#starved = true;
        break;
      }
      const part = data.subarray(taken, taken + chain.writableBytes);
      chain.write(0, part);
      queue?.push(chain, part.length);
      taken += part.length;
    }
    this.signal(receiveQueue);
    return taken;
  }

  ready(): void {
    if (!this.held) this.notify(transmitQueue);
  }

  protected override notified(index: number): void {
    if (index === transmitQueue) {
      this.#transmit();
    } else if (this.#starved) {
      this.#starved = false;
      this.#port.receivable();
    }
  }

  protected override stopped(): void {
    this.#stalled = undefined;
  }

  protected override saveDevice(): StateRecord {
    return { written: this.#stalled?.written ?? 0, columns: this.#columns, rows: this.#rows };
  }

  protected override loadDevice(reader: RecordReader): void {
    // The chain itself is in flight, and comes out of the queue first.
    this.#restored = reader.integer("written", 0, 2 ** 42);
    this.#columns = reader.integer("columns", 0, 0xffff);
    this.#rows = reader.integer("rows", 0, 0xffff);
  }

  /** How much of the chain that was in flight had been written when the device was saved. */
  #restored = 0;

  #transmit(): void {
    const queue = this.queue(transmitQueue);
    for (;;) {
      const stalled = this.#stalled ?? this.#next();
      if (stalled === undefined) break;
      this.#stalled = stalled;
      const { chain } = stalled;
      while (stalled.written < chain.readableBytes) {
        const length = Math.min(pieceBytes, chain.readableBytes - stalled.written);
        const piece = chain.read(stalled.written, length) ?? new Uint8Array(0);
        const taken = this.#port.write(piece);
        stalled.written += taken;
        if (taken < length) return this.signal(transmitQueue);
      }
      this.#stalled = undefined;
      queue?.push(chain, 0);
    }
    return this.signal(transmitQueue);
  }

  #next(): { readonly chain: Chain; written: number } | undefined {
    const chain = this.queue(transmitQueue)?.pop();
    if (chain === undefined) return undefined;
    const written = Math.min(this.#restored, chain.readableBytes);
    this.#restored = 0;
    return { chain, written };
  }
}
