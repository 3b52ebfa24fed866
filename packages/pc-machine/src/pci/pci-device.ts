/**
 * A PCI function: the registers every device has in configuration space (PCI Local Bus 3.0, chapter 6), its base
 * address registers, capabilities and interrupts. A device describes itself, and is given a function made from that:
 *
 * ```ts
 * const pci = new PciFunction(root.slot(3), {
 *   vendorId: 0x1af4, deviceId: 0x1042, classCode: 0x018000,
 *   bars: [{ index: 4, kind: "memory64", bytes: 0x4000, window: registers }],
 *   capabilities: [{ id: 0x09, body: common }],
 *   msix: { vectors: 2, bar: 1 },
 * });
 * pci.signal(0);
 * ```
 *
 * Configuration space is an array of bytes with an array of writable bits beside it; what a write changes beyond the
 * bytes (where the windows are, whether MSI-X is on) is derived from the bytes after each write.
 */

import { SnapshotError } from "../ports.ts";
import type { Bus, Device, InterruptLine, Mapping, MessageInterrupts, RegisterWindow, StateRecord } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";
import { MsixTable } from "./msix.ts";

/** Where a function sits, and what it is wired to. `PciRoot.slot` makes them. */
export interface PciSlot {
  /** Device number on bus 0: 0 to 31. */
  readonly number: number;
  readonly bus: Bus;
  readonly messages: MessageInterrupts;
  /** INTA# of this slot. */
  readonly line: InterruptLine;
  /** Makes the function answer to configuration accesses. */
  attach(configuration: PciConfiguration): void;
}

/** Configuration space as the host bridge sees it: offsets 0 to 255, 1, 2 or 4 bytes, aligned. */
export interface PciConfiguration {
  readConfiguration(offset: number, size: number): number;
  writeConfiguration(offset: number, size: number, value: number): void;
}

export interface BarDescription {
  /** 0 to 5; a 64-bit one takes the next index too. */
  readonly index: number;
  readonly kind: "io" | "memory32" | "memory64";
  /** A power of two: 4 to 256 ports, or at least a page of memory. */
  readonly bytes: number;
  readonly prefetchable?: boolean;
  /** The registers behind it; they stay the same wherever the guest puts the window. */
  readonly window: RegisterWindow;
}

export interface CapabilityDescription {
  readonly id: number;
  /** What follows the id and the pointer to the next capability. */
  readonly body: Uint8Array;
  /** Bits of `body` that the guest may change; none when absent. */
  readonly writable?: Uint8Array;
  /**
   * Takes accesses over, wherever they touch the body: virtio's window to the registers (virtio 1.2, 4.1.4.9).
   * Offsets count from the body's first byte. A write has already changed the writable bits when it is called; a read
   * returns what it likes, or undefined for the bytes as they are.
   */
  readonly access?: {
    read(offset: number, size: number): number | undefined;
    write(offset: number, size: number, value: number): void;
  };
}

export interface PciDescription {
  readonly vendorId: number;
  readonly deviceId: number;
  /** Class, subclass and programming interface: 0xCCSSPP. */
  readonly classCode: number;
  readonly revision?: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  readonly bars?: readonly BarDescription[];
  readonly capabilities?: readonly CapabilityDescription[];
  /** MSI-X, with its table in a base address register of its own. */
  readonly msix?: { readonly vectors: number; readonly bar: number };
  /** Whether the function has an interrupt pin (INTA#). */
  readonly interruptPin?: boolean;
}

/** Offsets in configuration space (6.1). */
export const ConfigurationOffset = {
  vendorId: 0x00,
  deviceId: 0x02,
  command: 0x04,
  status: 0x06,
  revision: 0x08,
  programmingInterface: 0x09,
  cacheLineSize: 0x0c,
  headerType: 0x0e,
  bar0: 0x10,
  subsystemVendorId: 0x2c,
  subsystemId: 0x2e,
  capabilities: 0x34,
  interruptLine: 0x3c,
  interruptPin: 0x3d,
  /** The first byte that is the device's own. */
  deviceSpecific: 0x40,
} as const;

/** Bits of the command register (6.2.2). */
export const Command = {
  ioSpace: 0x0001,
  memorySpace: 0x0002,
  busMaster: 0x0004,
  interruptDisable: 0x0400,
} as const;

const statusInterrupt = 1 << 3;
const statusCapabilities = 1 << 4;
const capabilityMsix = 0x11;
const msixEnable = 1 << 15;
const msixFunctionMask = 1 << 14;
const configurationBytes = 256;

interface Bar extends BarDescription {
  readonly offset: number;
  mapping: Mapping | undefined;
  address: number;
}

interface Capability extends CapabilityDescription {
  /** Of the body. */
  readonly offset: number;
}

export class PciFunction implements Device, PciConfiguration {
  readonly id: string;
  readonly version = 1;
  readonly #slot: PciSlot;
  readonly #bytes = new Uint8Array(configurationBytes);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #writable = new Uint8Array(configurationBytes);
  readonly #initial: Uint8Array;
  readonly #bars: readonly Bar[];
  readonly #capabilities: readonly Capability[];
  readonly #msix: MsixTable | undefined;
  readonly #msixControl: number;
  #interrupt = false;

  /** @throws RangeError when the description cannot be a PCI function */
  constructor(slot: PciSlot, description: PciDescription) {
    this.id = `pci.${slot.number}`;
    this.#slot = slot;
    const bars = [...(description.bars ?? [])];
    const capabilities = [...(description.capabilities ?? [])];
    if (description.msix !== undefined) {
      const { vectors, bar } = description.msix;
      this.#msix = new MsixTable(vectors, slot.messages);
      bars.push({ index: bar, kind: "memory32", bytes: MsixTable.windowBytes, window: this.#msix });
      capabilities.unshift(msixCapability(vectors, bar));
    }
    this.#identify(description);
    this.#bars = bars.map((bar) => this.#layOutBar(bar));
    this.#capabilities = this.#layOutCapabilities(capabilities);
    this.#msixControl = this.#capabilities.find(({ id }) => id === capabilityMsix)?.offset ?? 0;
    this.#initial = this.#bytes.slice();
    slot.attach(this);
  }

  /** Whether the guest lets the device read and write memory; one that is not may not. */
  get busMaster(): boolean {
    return (this.#command & Command.busMaster) !== 0;
  }

  /** While this is on, interrupts are `signal`s; while it is off, they are the level of `setInterrupt`. */
  get msixEnabled(): boolean {
    return this.#msix?.enabled ?? false;
  }

  /** Sends the message of an MSI-X vector; nothing while MSI-X is off or the vector does not exist. */
  signal(vector: number): void {
    this.#msix?.signal(vector);
  }

  /** The level of the interrupt pin, which reaches the line unless the guest disabled it or uses MSI-X. */
  setInterrupt(level: boolean): void {
    this.#interrupt = level;
    this.#driveLine();
  }

  /** Where a base address register's window is; undefined while the guest has not placed or not enabled it. */
  barAddress(index: number): number | undefined {
    const bar = this.#bars.find((candidate) => candidate.index === index);
    return bar?.mapping === undefined ? undefined : bar.address;
  }

  readConfiguration(offset: number, size: number): number {
    const capability = this.#capabilityAt(offset, size);
    const answer = capability?.access?.read(offset - capability.offset, size);
    if (answer !== undefined) return answer;
    let value = 0;
    for (let index = size - 1; index >= 0; index--) value = value * 256 + (this.#bytes[offset + index] ?? 0);
    return value;
  }

  writeConfiguration(offset: number, size: number, value: number): void {
    for (let index = 0; index < size && offset + index < configurationBytes; index++) {
      const mask = this.#writable[offset + index];
      const byte = (value >>> (8 * index)) & 0xff;
      this.#bytes[offset + index] = (this.#bytes[offset + index] & ~mask) | (byte & mask);
    }
    this.#applyRegisters();
    const capability = this.#capabilityAt(offset, size);
    capability?.access?.write(offset - capability.offset, size, value);
  }

  reset(): void {
    this.#bytes.set(this.#initial);
    this.#msix?.reset();
    this.#interrupt = false;
    this.#applyRegisters();
  }

  save(): StateRecord {
    return {
      configuration: this.#bytes.slice(),
      interrupt: this.#interrupt,
      msix: this.#msix?.save() ?? null,
    };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    const bytes = reader.bytes("configuration", configurationBytes);
    this.#interrupt = reader.boolean("interrupt");
    if (this.#bytes.subarray(0, 4).some((byte, index) => byte !== bytes[index])) {
      throw new SnapshotError(`${this.id}: saved from another kind of device`);
    }
    // What the guest cannot write is the device's identity, and this device's, not the saved one's.
    for (let index = 0; index < configurationBytes; index++) {
      const mask = this.#writable[index];
      this.#bytes[index] = (this.#initial[index] & ~mask) | (bytes[index] & mask);
    }
    // Masks are loaded with the table, so that nothing pending is sent while the rest of the machine is half loaded.
    this.#msix?.load(reader.record("msix"));
    this.#mapBars();
    this.#driveLine();
  }

  get #command(): number {
    return this.#view.getUint16(ConfigurationOffset.command, true);
  }

  #identify(description: PciDescription): void {
    const { vendorId, deviceId, classCode, revision = 0 } = description;
    const view = this.#view;
    view.setUint16(ConfigurationOffset.vendorId, vendorId, true);
    view.setUint16(ConfigurationOffset.deviceId, deviceId, true);
    view.setUint32(ConfigurationOffset.revision, classCode * 256 + revision, true);
    view.setUint16(ConfigurationOffset.subsystemVendorId, description.subsystemVendorId ?? 0, true);
    view.setUint16(ConfigurationOffset.subsystemId, description.subsystemId ?? 0, true);
    view.setUint8(ConfigurationOffset.interruptPin, description.interruptPin === true ? 1 : 0);
    this.#writable[ConfigurationOffset.cacheLineSize] = 0xff;
    this.#writable[ConfigurationOffset.interruptLine] = 0xff;
    let command: number = Command.busMaster;
    if (description.interruptPin === true) command |= Command.interruptDisable;
    new DataView(this.#writable.buffer).setUint16(ConfigurationOffset.command, command, true);
  }

  #layOutBar(bar: BarDescription): Bar {
    const { index, kind, bytes } = bar;
    const [least, most] = kind === "io" ? [4, 256] : [4096, kind === "memory64" ? 2 ** 40 : 2 ** 31];
    const width = kind === "memory64" ? 2 : 1;
    const offset = ConfigurationOffset.bar0 + 4 * index;
    if (!Number.isInteger(Math.log2(bytes)) || bytes < least || bytes > most || index < 0 || index + width > 6) {
      throw new RangeError(`no base address register ${index} of ${bytes} bytes (${kind})`);
    }
    const writable = new DataView(this.#writable.buffer);
    if (writable.getUint32(offset, true) !== 0 || this.#view.getUint32(offset, true) !== 0) {
      throw new RangeError(`base address register ${index} is taken twice`);
    }
    const flags = kind === "io" ? 1 : (kind === "memory64" ? 4 : 0) | (bar.prefetchable === true ? 8 : 0);
    this.#view.setUint32(offset, flags, true);
    const mask = 2 ** 64 - bytes;
    writable.setUint32(offset, bytes >= 2 ** 32 ? 0 : -bytes >>> 0, true);
    if (kind === "memory64") writable.setUint32(offset + 4, Math.floor(mask / 2 ** 32), true);
    const command = writable.getUint16(ConfigurationOffset.command, true);
    const space = kind === "io" ? Command.ioSpace : Command.memorySpace;
    writable.setUint16(ConfigurationOffset.command, command | space, true);
    return { ...bar, offset, mapping: undefined, address: 0 };
  }

  /** Capabilities one after the other from 0x40, each beginning at a multiple of four (6.7). */
  #layOutCapabilities(descriptions: readonly CapabilityDescription[]): Capability[] {
    let link: number = ConfigurationOffset.capabilities;
    let at: number = ConfigurationOffset.deviceSpecific;
    return descriptions.map((description) => {
      const { id, body, writable } = description;
      const offset = at + 2;
      if (offset + body.length > configurationBytes) throw new RangeError("the capabilities do not fit 256 bytes");
      this.#bytes[ConfigurationOffset.status] = statusCapabilities;
      this.#bytes[link] = at;
      this.#bytes[at] = id;
      this.#bytes.set(body, offset);
      if (writable !== undefined) this.#writable.set(writable.subarray(0, body.length), offset);
      link = at + 1;
      at = (offset + body.length + 3) & ~3;
      return { ...description, offset };
    });
  }

  #capabilityAt(offset: number, size: number): Capability | undefined {
    if (offset < ConfigurationOffset.deviceSpecific) return undefined;
    return this.#capabilities.find(
      (capability) =>
        capability.access !== undefined &&
        offset >= capability.offset &&
        offset + size <= capability.offset + capability.body.length,
    );
  }

  #applyRegisters(): void {
    this.#mapBars();
    if (this.#msix !== undefined) {
      const control = this.#view.getUint16(this.#msixControl, true);
      this.#msix.control((control & msixEnable) !== 0, (control & msixFunctionMask) !== 0);
    }
    this.#driveLine();
  }

  #driveLine(): void {
    this.#bytes[ConfigurationOffset.status] =
      (this.#bytes[ConfigurationOffset.status] & ~statusInterrupt) | (this.#interrupt ? statusInterrupt : 0);
    this.#slot.line.set(this.#interrupt && !this.msixEnabled && (this.#command & Command.interruptDisable) === 0);
  }

  /** Puts every window where its register and the command register say. A register of zero has not been placed. */
  #mapBars(): void {
    for (const bar of this.#bars) {
      const space = bar.kind === "io" ? Command.ioSpace : Command.memorySpace;
      const enabled = (this.#command & space) !== 0;
      const address = enabled ? this.#placeOf(bar) : 0;
      if (address === bar.address) continue;
      bar.mapping?.unmap();
      bar.address = address;
      bar.mapping = address === 0 ? undefined : this.#map(bar, address);
    }
  }

  #placeOf(bar: Bar): number {
    const low = this.#view.getUint32(bar.offset, true);
    if (bar.kind === "io") {
      const port = (low & ~3) >>> 0;
      return port + bar.bytes <= 0x10000 ? port : 0;
    }
    const high = bar.kind === "memory64" ? this.#view.getUint32(bar.offset + 4, true) : 0;
    const address = high * 2 ** 32 + ((low & ~15) >>> 0);
    // Above what a processor can address there is nothing; all ones, while the guest asks for the size, is there.
    return address + bar.bytes <= 2 ** 46 ? address : 0;
  }

  #map(bar: Bar, address: number): Mapping {
    const { bus } = this.#slot;
    return bar.kind === "io"
      ? bus.mapPorts(address, bar.bytes, bar.window)
      : bus.mapMemory(address, bar.bytes, bar.window);
  }
}

function msixCapability(vectors: number, bar: number): CapabilityDescription {
  const body = new Uint8Array(10);
  const view = new DataView(body.buffer);
  view.setUint16(0, vectors - 1, true);
  view.setUint32(2, bar, true);
  view.setUint32(6, MsixTable.pendingOffset | bar, true);
  const writable = new Uint8Array(10);
  new DataView(writable.buffer).setUint16(0, msixEnable | msixFunctionMask, true);
  return { id: capabilityMsix, body, writable };
}
