/**
 * The device's side of a split virtqueue (virtio 1.2, 2.7).
 *
 * Nothing the driver wrote is believed: addresses, lengths, indices and the shape of chains are checked where they are
 * read. On the first violation the queue calls `fail`, once, and is dead from then on: it takes no chain, returns none and
 * touches no memory.
 *
 * A chain is _in flight_ from `pop` to `push`. Which ones are is saved with the queue, and a restored queue gives them out
 * again before any other: what had been begun is done anew.
 */

import type { GuestMemory, StateRecord } from "../ports.ts";
import type { RecordReader } from "../snapshot/record-reader.ts";
import { Chain } from "./chain.ts";
import type { Segment } from "./chain.ts";

/** Flags of a descriptor (2.7.5). */
const flagNext = 1;
const flagWrite = 2;
const flagIndirect = 4;

const descriptorBytes = 16;
/** Before the entries of either ring: flags and index. */
const ringHeaderBytes = 4;
/** Flag of the available ring: the driver wants no interrupt; of the used ring: the device wants no notification. */
const flagSuppressed = 1;

/** Most buffers of a chain that goes through an indirect table; a direct one is bounded by the queue. */
const maximumSegments = 1024;
/** Largest queue (2.7): indices are 16 bits and a queue is a power of two. */
export const maximumQueueSize: number = 32768;

export interface QueueConfiguration {
  /** Descriptors; a power of two. */
  readonly size: number;
  /** Guest-physical addresses of descriptor table, available ring and used ring. */
  readonly descriptors: number;
  readonly driver: number;
  readonly device: number;
  /** Negotiated: VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX. */
  readonly indirect: boolean;
  readonly eventIndex: boolean;
}

/** How one queue gets its buffers: the negotiated chain of descriptors, direct or in a table of its own. */
interface DescriptorTable {
  readonly address: number;
  readonly count: number;
}

export class SplitQueue {
  readonly size: number;
  readonly #memory: GuestMemory;
  readonly #queue: QueueConfiguration;
  readonly #fail: (reason: string) => void;
  readonly #inFlight = new Set<number>();
  /** Heads that were in flight when the queue was saved. */
  #restored: number[] = [];
  #broken = false;
  /** Of the next entry of the available ring, and of the used ring; they run on modulo 65536. */
  #available = 0;
  #used = 0;
  /** `#used` at the last interrupt, and the driver's index that it was last asked to notify at. */
  #signalled = 0;
  #shown = 0;
  #listening = true;
  readonly #scratch = new Uint8Array(8);
  readonly #scratchView = new DataView(this.#scratch.buffer);

  /** `fail` is called at most once, with what the driver did wrong. `shapeError` has found nothing. */
  constructor(memory: GuestMemory, queue: QueueConfiguration, fail: (reason: string) => void) {
    this.#memory = memory;
    this.#queue = queue;
    this.#fail = fail;
    this.size = queue.size;
  }

  /** What is wrong with the size or the alignment of a queue (2.7), if anything is. */
  static shapeError(queue: QueueConfiguration): string | undefined {
    const { size, descriptors, driver, device } = queue;
    if (size < 1 || size > maximumQueueSize || (size & (size - 1)) !== 0) return `a queue of ${size} descriptors`;
    if (descriptors % 16 !== 0 || driver % 2 !== 0 || device % 4 !== 0) return "a queue that is not aligned";
    return undefined;
  }

  /** Complains at once, not at the first use, of rings that are not in memory. */
  checkRings(): void {
    const { size, descriptors, driver, device } = this.#queue;
    const isMemory = (address: number, length: number): boolean => this.#memory.view(address, length) !== undefined;
    if (!isMemory(descriptors, descriptorBytes * size)) this.#break("the descriptors are not in memory");
    if (!isMemory(driver, ringHeaderBytes + 2 * size + 2)) this.#break("the available ring is not in memory");
    if (!isMemory(device, ringHeaderBytes + 8 * size + 2)) this.#break("the used ring is not in memory");
  }

  get broken(): boolean {
    return this.#broken;
  }

  /** Whether a chain has been taken and not given back. */
  get busy(): boolean {
    return this.#inFlight.size > 0;
  }

  /** The next chain the driver made available, if there is one. */
  pop(): Chain | undefined {
    if (this.#broken) return undefined;
    const restored = this.#restored.shift();
    if (restored !== undefined) return this.#chain(restored);
    if (this.#pending() === 0) {
      this.#showAvailable();
      return undefined;
    }
    const head = this.#read16(this.#queue.driver + ringHeaderBytes + 2 * (this.#available & (this.size - 1)));
    if (head === undefined) return undefined;
    if (head >= this.size) return this.#break(`descriptor ${head} of a queue of ${this.size}`);
    if (this.#inFlight.has(head)) return this.#break(`descriptor ${head} is made available twice`);
    const chain = this.#chain(head);
    if (chain === undefined) return undefined;
    this.#available = (this.#available + 1) & 0xffff;
    this.#inFlight.add(head);
    return chain;
  }

  /** Puts back chains that were just taken, in the order they were taken, as if they never had been. */
  unpop(chains: readonly Chain[]): void {
    for (const chain of chains) this.#inFlight.delete(chain.head);
    this.#available = (this.#available - chains.length) & 0xffff;
  }

  /** Gives a chain back, with the number of bytes written to it from its beginning. */
  push(chain: Chain, written: number): void {
    if (this.#broken || !this.#inFlight.delete(chain.head)) return;
    this.#scratchView.setUint32(0, chain.head, true);
    this.#scratchView.setUint32(4, written, true);
    const entry = this.#queue.device + ringHeaderBytes + 8 * (this.#used & (this.size - 1));
    if (!this.#memory.write(entry, this.#scratch)) return this.#break("the used ring is not in memory");
    this.#used = (this.#used + 1) & 0xffff;
    this.#write16(this.#queue.device + 2, this.#used);
    return undefined;
  }

  /** Whether the driver wants to be interrupted for what was pushed since this was last asked (2.7.7). */
  takeInterrupt(): boolean {
    if (this.#broken || this.#used === this.#signalled) return false;
    const before = this.#signalled;
    this.#signalled = this.#used;
    if (this.#queue.eventIndex) {
      const event = this.#read16(this.#queue.driver + ringHeaderBytes + 2 * this.size);
      return event !== undefined && ((this.#used - event - 1) & 0xffff) < ((this.#used - before) & 0xffff);
    }
    const flags = this.#read16(this.#queue.driver);
    return flags !== undefined && (flags & flagSuppressed) === 0;
  }

  /** Asks to be notified of chains to come (2.7.10); look for those that came before. */
  listen(): void {
    if (this.#broken) return;
    if (!this.#listening && !this.#queue.eventIndex) this.#write16(this.#queue.device, 0);
    this.#listening = true;
    this.#showAvailable();
  }

  /** Says that notifications are of no use now. Only a hint: the driver may notify all the same. */
  ignore(): void {
    if (this.#broken || !this.#listening) return;
    this.#listening = false;
    // With event indices it is enough not to move the index on: it is behind what comes.
    if (!this.#queue.eventIndex) this.#write16(this.#queue.device, flagSuppressed);
  }

  save(): StateRecord {
    return {
      available: this.#available,
      used: this.#used,
      signalled: this.#signalled,
      shown: this.#shown,
      listening: this.#listening,
      inFlight: [...this.#inFlight],
    };
  }

  load(reader: RecordReader): void {
    this.#available = reader.integer("available", 0, 0xffff);
    this.#used = reader.integer("used", 0, 0xffff);
    this.#signalled = reader.integer("signalled", 0, 0xffff);
    this.#shown = reader.integer("shown", 0, 0xffff);
    this.#listening = reader.boolean("listening");
    this.#restored = [...new Set(reader.integers("inFlight", 0, this.size - 1))];
    this.#inFlight.clear();
    for (const head of this.#restored) this.#inFlight.add(head);
  }

  /** How many chains wait in the available ring. */
  #pending(): number {
    const index = this.#read16(this.#queue.driver + 2);
    if (index === undefined) return 0;
    const pending = (index - this.#available) & 0xffff;
    if (pending <= this.size) return pending;
    this.#break(`${pending} chains available in a queue of ${this.size}`);
    return 0;
  }

  #chain(head: number): Chain | undefined {
    const readable: Segment[] = [];
    const writable: Segment[] = [];
    const direct: DescriptorTable = { address: this.#queue.descriptors, count: this.size };
    const table = this.#walk(direct, head, readable, writable);
    if (table !== undefined && this.#walk(table, 0, readable, writable) !== undefined) {
      this.#break("an indirect table inside an indirect table");
    }
    return this.#broken ? undefined : new Chain(this.#memory, head, readable, writable);
  }

  /** Collects the buffers of a chain in one table. Returns the indirect table that it ends in, if it does. */
  #walk(table: DescriptorTable, first: number, readable: Segment[], writable: Segment[]): DescriptorTable | undefined {
    let index = first;
    for (let count = 0; ; count++) {
      if (count >= table.count) return this.#break("a chain of descriptors that does not end");
      if (index >= table.count) return this.#break(`descriptor ${index} of a table of ${table.count}`);
      const bytes = this.#memory.view(table.address + descriptorBytes * index, descriptorBytes);
      if (bytes === undefined) return this.#break("descriptors that are not in memory");
      const view = new DataView(bytes.buffer, bytes.byteOffset, descriptorBytes);
      const address = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
      const length = view.getUint32(8, true);
      const flags = view.getUint16(12, true);
      if ((flags & flagIndirect) !== 0) return this.#indirect(address, length, flags);
      if (!this.#collect({ address, length }, (flags & flagWrite) !== 0, readable, writable)) return undefined;
      if ((flags & flagNext) === 0) return undefined;
      index = view.getUint16(14, true);
    }
  }

  #collect(segment: Segment, isWritable: boolean, readable: Segment[], writable: Segment[]): boolean {
    if (!isWritable && writable.length > 0) {
      this.#break("a buffer to read after one to write");
    } else if (readable.length + writable.length >= maximumSegments) {
      this.#break(`a chain of more than ${maximumSegments} buffers`);
    } else if (this.#memory.view(segment.address, segment.length) === undefined) {
      this.#break(`a buffer of ${segment.length} bytes at 0x${segment.address.toString(16)} is not in memory`);
    } else {
      (isWritable ? writable : readable).push(segment);
    }
    return !this.#broken;
  }

  /** The table an indirect descriptor refers to (2.7.5.3). */
  #indirect(address: number, length: number, flags: number): DescriptorTable | undefined {
    if (!this.#queue.indirect) return this.#break("an indirect table without VIRTIO_F_INDIRECT_DESC");
    if ((flags & flagNext) !== 0) return this.#break("an indirect table with a next descriptor");
    const count = length / descriptorBytes;
    if (!Number.isInteger(count) || count < 1 || count > maximumQueueSize) {
      return this.#break(`an indirect table of ${length} bytes`);
    }
    return { address, count };
  }

  /** Asks for a notification of the next chain to come (2.7.10: avail_event), whether or not some wait already. */
  #showAvailable(): void {
    if (!this.#queue.eventIndex || !this.#listening) return;
    const index = this.#read16(this.#queue.driver + 2);
    if (index === undefined || index === this.#shown) return;
    this.#shown = index;
    this.#write16(this.#queue.device + ringHeaderBytes + 8 * this.size, index);
  }

  #read16(address: number): number | undefined {
    const bytes = this.#memory.view(address, 2);
    return bytes === undefined ? this.#break("the available ring is not in memory") : bytes[0] | (bytes[1] << 8);
  }

  #write16(address: number, value: number): void {
    this.#scratchView.setUint16(0, value, true);
    if (!this.#memory.write(address, this.#scratch.subarray(0, 2))) this.#break("the used ring is not in memory");
  }

  #break(reason: string): undefined {
    if (this.#broken) return undefined;
    this.#broken = true;
    this.#fail(reason);
    return undefined;
  }
}
