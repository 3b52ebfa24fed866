/**
 * The MSI-X table and pending bits of a PCI function (PCI Local Bus 3.0, 6.8.2), as a window of one page:
 *
 * ```text
 * 0x000  table, 16 bytes a vector: address low, address high, data, control (bit 0: masked)
 * 0x800  pending bits, one a vector
 * ```
 */

import type { RecordReader } from "../snapshot/record-reader.ts";
import type { MessageInterrupts, RegisterWindow, StateRecord } from "../ports.ts";

const bytesPerVector = 16;
const controlOffset = 12;
const pendingOffset = 0x800;
const masked = 1;

/** What fits before the pending bits. */
const maximumVectors: number = pendingOffset / bytesPerVector;

export class MsixTable implements RegisterWindow {
  readonly vectors: number;
  readonly #table: DataView;
  readonly #pending: Uint8Array;
  readonly #messages: MessageInterrupts;
  #enabled = false;
  #functionMasked = false;

  /** Bytes of the window, and where in it the pending bits are. */
  static readonly windowBytes: number = 4096;
  static readonly pendingOffset: number = pendingOffset;

  constructor(vectors: number, messages: MessageInterrupts) {
    if (vectors < 1 || vectors > maximumVectors) {
      throw new RangeError(`a function has 1 to ${maximumVectors} MSI-X vectors, not ${vectors}`);
    }
    this.vectors = vectors;
    this.#messages = messages;
    this.#table = new DataView(new ArrayBuffer(vectors * bytesPerVector));
    this.#pending = new Uint8Array(vectors);
    this.reset();
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** Message control: what the guest wrote to the capability. */
  control(enabled: boolean, functionMasked: boolean): void {
    this.#enabled = enabled;
    this.#functionMasked = functionMasked;
    this.#sendPending();
  }

  /** Sends the vector's message, or remembers it while it is masked. Nothing happens while MSI-X is off. */
  signal(vector: number): void {
    if (!this.#enabled || !(vector >= 0 && vector < this.vectors)) return;
    if (this.#functionMasked || this.#isMasked(vector)) {
      this.#pending[vector] = 1;
      return;
    }
    const entry = vector * bytesPerVector;
    const address = this.#table.getUint32(entry + 4, true) * 2 ** 32 + this.#table.getUint32(entry, true);
    this.#messages.deliver(address, this.#table.getUint32(entry + 8, true));
  }

  read(offset: number, size: number): number {
    let value = 0;
    for (let index = size - 1; index >= 0; index--) value = value * 256 + this.#readByte(offset + index);
    return value;
  }

  write(offset: number, size: number, value: number): void {
    if (offset + size > this.#table.byteLength) return;
    for (let index = 0; index < size; index++) {
      const at = offset + index;
      // All of the control word but its mask bit is reserved, and reads as zero.
      const kept = at % bytesPerVector < controlOffset ? 0xff : at % bytesPerVector === controlOffset ? masked : 0;
      this.#table.setUint8(at, (value >>> (8 * index)) & kept);
    }
    this.#sendPending();
  }

  reset(): void {
    for (let vector = 0; vector < this.vectors; vector++) {
      const entry = vector * bytesPerVector;
      for (let word = 0; word < controlOffset; word += 4) this.#table.setUint32(entry + word, 0, true);
      this.#table.setUint32(entry + controlOffset, masked, true);
    }
    this.#pending.fill(0);
    this.#enabled = false;
    this.#functionMasked = false;
  }

  save(): StateRecord {
    return {
      table: new Uint8Array(this.#table.buffer).slice(),
      pending: this.#pending.slice(),
      enabled: this.#enabled,
      masked: this.#functionMasked,
    };
  }

  load(reader: RecordReader): void {
    const table = reader.bytes("table", this.#table.byteLength);
    const pending = reader.bytes("pending", this.vectors);
    this.#enabled = reader.boolean("enabled");
    this.#functionMasked = reader.boolean("masked");
    new Uint8Array(this.#table.buffer).set(table);
    this.#pending.set(pending);
  }

  #isMasked(vector: number): boolean {
    return (this.#table.getUint8(vector * bytesPerVector + controlOffset) & masked) !== 0;
  }

  #readByte(offset: number): number {
    if (offset < this.#table.byteLength) return this.#table.getUint8(offset);
    const first = (offset - pendingOffset) * 8;
    let bits = 0;
    for (let bit = 0; bit < 8; bit++) {
      if (first >= 0 && this.#pending[first + bit] === 1) bits |= 1 << bit;
    }
    return bits;
  }

  #sendPending(): void {
    if (!this.#enabled || this.#functionMasked) return;
    for (let vector = 0; vector < this.vectors; vector++) {
      if (this.#pending[vector] === 0 || this.#isMasked(vector)) continue;
      this.#pending[vector] = 0;
      this.signal(vector);
    }
  }
}
