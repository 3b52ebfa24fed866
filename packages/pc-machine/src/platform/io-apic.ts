/**
 * The I/O APIC (Intel 82093AA datasheet; version 0x20 with the end-of-interrupt register of later chip sets): 24 inputs,
 * each with an entry that says which message to send.
 *
 * A level-triggered input that has been sent is marked (remote IRR) until a processor ends its vector; if its line is
 * still up then, it is sent again.
 */

import type { Device, InterruptLine, RegisterWindow, StateRecord } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";
import { DeliveryMode } from "./interrupt-messages.ts";
import type { InterruptMessages } from "./interrupt-messages.ts";

export const ioApicPins = 24;

/** Registers of the window. */
const selectOffset = 0x00;
const dataOffset = 0x10;
const endOfInterruptOffset = 0x40;

/** Indirect registers. */
const idRegister = 0;
const versionRegister = 1;
const arbitrationRegister = 2;
const firstEntry = 0x10;
const versionValue: number = ((ioApicPins - 1) << 16) | 0x20;

/** The lower half of an entry. */
const logical = 1 << 11;
const remoteRequest = 1 << 14;
const levelTriggered = 1 << 15;
const masked = 1 << 16;
const writable = 0x1afff;

export class IoApic implements Device, RegisterWindow {
  readonly id = "io-apic";
  readonly version = 1;
  readonly #messages: InterruptMessages;
  readonly #low = new Uint32Array(ioApicPins);
  readonly #high = new Uint32Array(ioApicPins);
  readonly #lines = new Uint8Array(ioApicPins);
  #select = 0;
  #idBits = 0;

  constructor(messages: InterruptMessages) {
    this.#messages = messages;
    this.reset();
  }

  /** Input 0 to 23. `set(true)` is asserted, whatever polarity the guest thinks the wire has. */
  line(pin: number): InterruptLine {
    return { set: (level) => this.#setLine(pin, level) };
  }

  /** A processor has finished with a level-triggered interrupt. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < ioApicPins; pin++) {
      const entry = this.#low[pin];
      if ((entry & 0xff) !== vector || (entry & remoteRequest) === 0) continue;
      this.#low[pin] = entry & ~remoteRequest;
      this.#sendLevel(pin);
    }
  }

  read(offset: number, size: number): number {
    const value = this.#read(offset & ~3);
    return size === 4 ? value : (value >>> ((offset & 3) * 8)) & (size === 2 ? 0xffff : 0xff);
  }

  write(offset: number, _size: number, value: number): void {
    if (offset === selectOffset) this.#select = value & 0xff;
    else if (offset === dataOffset) this.#writeSelected(value);
    else if (offset === endOfInterruptOffset) this.endOfInterrupt(value & 0xff);
  }

  reset(): void {
    this.#low.fill(masked);
    this.#high.fill(0);
    this.#lines.fill(0);
    this.#select = 0;
    this.#idBits = 0;
  }

  save(): StateRecord {
    return {
      low: [...this.#low],
      high: [...this.#high],
      lines: this.#lines.slice(),
      select: this.#select,
      idBits: this.#idBits,
    };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    const low = reader.integers("low", 0, writable | remoteRequest, ioApicPins);
    const high = reader.integers("high", 0, 0xffffffff, ioApicPins);
    const lines = reader.bytes("lines", ioApicPins);
    this.#select = reader.integer("select", 0, 0xff);
    this.#idBits = reader.integer("idBits", 0, 15);
    this.#low.set(low);
    this.#high.set(high);
    this.#lines.set(lines);
  }

  #setLine(pin: number, level: boolean): void {
    const before = this.#lines[pin] !== 0;
    this.#lines[pin] = level ? 1 : 0;
    if (!level || before) return;
    const entry = this.#low[pin];
    if ((entry & levelTriggered) !== 0) this.#sendLevel(pin);
    else if ((entry & masked) === 0) this.#send(pin);
  }

  #sendLevel(pin: number): void {
    const entry = this.#low[pin];
    if ((entry & (levelTriggered | masked | remoteRequest)) !== levelTriggered || this.#lines[pin] === 0) return;
    const mode = (entry >>> 8) & 7;
    // Only these two are acknowledged by an end of interrupt.
    if (mode === DeliveryMode.fixed || mode === DeliveryMode.lowestPriority) this.#low[pin] = entry | remoteRequest;
    this.#send(pin);
  }

  #send(pin: number): void {
    const entry = this.#low[pin];
    this.#messages.send({
      vector: entry & 0xff,
      mode: (entry >>> 8) & 7,
      destination: this.#high[pin] >>> 24,
      logical: (entry & logical) !== 0,
      level: (entry & levelTriggered) !== 0,
    });
  }

  #read(offset: number): number {
    if (offset === selectOffset) return this.#select;
    if (offset !== dataOffset) return 0;
    const register = this.#select;
    if (register === idRegister || register === arbitrationRegister) return this.#idBits << 24;
    if (register === versionRegister) return versionValue;
    const pin = (register - firstEntry) >> 1;
    if (pin < 0 || pin >= ioApicPins) return 0;
    return (register & 1) === 0 ? this.#low[pin] : this.#high[pin];
  }

  #writeSelected(value: number): void {
    const register = this.#select;
    if (register === idRegister) this.#idBits = (value >>> 24) & 15;
    const pin = (register - firstEntry) >> 1;
    if (pin < 0 || pin >= ioApicPins) return;
    if ((register & 1) !== 0) {
      this.#high[pin] = value;
      return;
    }
    const kept = this.#low[pin] & remoteRequest;
    const entry = value & writable;
    // What has become edge-triggered does not wait for an end.
    this.#low[pin] = entry | ((entry & levelTriggered) === 0 ? 0 : kept);
    this.#sendLevel(pin);
  }
}
