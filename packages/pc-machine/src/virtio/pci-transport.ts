/**
 * virtio over PCI, modern devices only (virtio 1.2, 4.1): one memory window with all registers, found through vendor
 * capabilities, and an MSI-X vector for each queue and for changes of the configuration, or INTA# and the ISR byte.
 *
 * ```text
 * BAR 4 + 0x0000  common configuration
 *       + 0x1000  ISR: reading it lowers the interrupt
 *       + 0x2000  the device's configuration space
 *       + 0x3000  notifications: four bytes a queue
 * BAR 1           MSI-X table
 * ```
 */

import { PciFunction } from "../pci/pci-device.ts";
import type { CapabilityDescription, PciSlot } from "../pci/pci-device.ts";
import type { Device, RegisterWindow, StateRecord } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";
import type { DriverNotifications, QueueRegisters, VirtioDevice } from "./virtio-device.ts";

const vendorId = 0x1af4;
/** Plus the device type. */
const firstDeviceId = 0x1040;
const registersBar = 4;
const msixBar = 1;
const noVector = 0xffff;

/** Parts of the registers' window (4.1.4: cfg_type). */
const regionBytes = 0x1000;
const Region = {
  common: { type: 1, offset: 0x0000, length: 0x40 },
  isr: { type: 3, offset: 0x1000, length: 4 },
  device: { type: 4, offset: 0x2000, length: regionBytes },
  notify: { type: 2, offset: 0x3000, length: regionBytes },
} as const;
const windowBytes = 0x4000;
const notifyBytesPerQueue = 4;
/** cfg_type of the capability that lets configuration accesses reach the window. */
const typeConfigurationAccess = 5;

const isrQueue = 1;
const isrConfiguration = 2;

/** Offsets in the common configuration (4.1.4.3). */
const Common = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configurationVector: 0x10,
  queueCount: 0x12,
  deviceStatus: 0x14,
  configurationGeneration: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueVector: 0x1a,
  queueEnable: 0x1c,
  queueNotifyOffset: 0x1e,
  queueDescriptors: 0x20,
  queueDriver: 0x28,
  queueDevice: 0x30,
} as const;

/** Class codes as other hosts give them, by device type; what is not here has no class of its own. */
const classCodes: Readonly<Record<number, number>> = { 1: 0x020000, 2: 0x010000, 3: 0x078000 };
const unclassified = 0x00ff00;

export class VirtioPci implements Device {
  readonly id: string;
  readonly version = 1;
  readonly device: VirtioDevice;
  readonly #pci: PciFunction;
  readonly #access = new ConfigurationAccess((offset, size, value) => {
    if (value === undefined) return this.#read(offset, size);
    this.#write(offset, size, value);
    return 0;
  });
  readonly #queueVectors: number[];
  #configurationVector = noVector;
  #deviceFeatureSelect = 0;
  #driverFeatureSelect = 0;
  #queueSelect = 0;
  #isr = 0;

  constructor(slot: PciSlot, device: VirtioDevice) {
    this.id = `pci.${slot.number}.virtio`;
    this.device = device;
    this.#queueVectors = device.queues.map(() => noVector);
    const { type } = device.kind;
    const window: RegisterWindow = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
    };
    const multiplier = new Uint8Array([notifyBytesPerQueue, 0, 0, 0]);
    this.#pci = new PciFunction(slot, {
      vendorId,
      deviceId: firstDeviceId + type,
      classCode: classCodes[type] ?? unclassified,
      revision: 1,
      subsystemVendorId: vendorId,
      subsystemId: 0x1100,
      bars: [{ index: registersBar, kind: "memory64", bytes: windowBytes, prefetchable: true, window }],
      capabilities: [
        capability(Region.common),
        capability(Region.isr),
        capability({ ...Region.device, length: Math.max(4, device.configuration.length) }),
        capability({ ...Region.notify, length: notifyBytesPerQueue * device.queues.length }, multiplier),
        this.#access.capability,
      ],
      msix: { vectors: device.queues.length + 1, bar: msixBar },
      interruptPin: true,
    });
    const pci = this.#pci;
    const notifications: DriverNotifications = {
      queueUsed: (queue) => this.#interrupt(this.#queueVectors[queue], isrQueue),
      configurationChanged: () => this.#interrupt(this.#configurationVector, isrConfiguration),
      get mayAccessMemory(): boolean {
        return pci.busMaster;
      },
    };
    device.connect(notifications);
  }

  reset(): void {
    this.#resetRegisters();
    this.#access.reset();
    this.#pci.reset();
    this.device.reset();
  }

  save(): StateRecord {
    return {
      pci: this.#pci.save(),
      access: this.#access.save(),
      queueVectors: [...this.#queueVectors],
      configurationVector: this.#configurationVector,
      deviceFeatureSelect: this.#deviceFeatureSelect,
      driverFeatureSelect: this.#driverFeatureSelect,
      queueSelect: this.#queueSelect,
      isr: this.#isr,
    };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    const vectors = reader.integers("queueVectors", 0, 0xffff, this.#queueVectors.length);
    for (const [queue, vector] of vectors.entries()) this.#queueVectors[queue] = vector;
    this.#configurationVector = reader.integer("configurationVector", 0, 0xffff);
    this.#deviceFeatureSelect = reader.integer("deviceFeatureSelect", 0, 2 ** 32 - 1);
    this.#driverFeatureSelect = reader.integer("driverFeatureSelect", 0, 2 ** 32 - 1);
    this.#queueSelect = reader.integer("queueSelect", 0, 0xffff);
    this.#isr = reader.integer("isr", 0, isrQueue | isrConfiguration);
    this.#access.load(reader.record("access"));
    this.#pci.load(record["pci"] as StateRecord, this.#pci.version);
  }

  #resetRegisters(): void {
    this.#queueVectors.fill(noVector);
    this.#configurationVector = noVector;
    this.#deviceFeatureSelect = 0;
    this.#driverFeatureSelect = 0;
    this.#queueSelect = 0;
    this.#isr = 0;
    this.#pci.setInterrupt(false);
  }

  /** 4.1.4.5, 4.1.5.3. */
  #interrupt(vector: number, cause: number): void {
    if (this.#pci.msixEnabled) return this.#pci.signal(vector);
    this.#isr |= cause;
    return this.#pci.setInterrupt(true);
  }

  #read(offset: number, size: number): number {
    const at = offset % regionBytes;
    switch (offset - at) {
      case Region.common.offset:
        return this.#readCommon(at, size);
      case Region.isr.offset:
        return at === 0 ? this.#takeIsr() : 0;
      case Region.device.offset:
        return littleEndian(this.device.configuration, at, size);
      default:
        return 0;
    }
  }

  #write(offset: number, size: number, value: number): void {
    const at = offset % regionBytes;
    switch (offset - at) {
      case Region.common.offset:
        return this.#writeCommon(at, size, value);
      case Region.device.offset:
        if (at + size > this.device.configuration.length) return undefined;
        return this.device.writeConfiguration(at, bytesOf(value, size));
      case Region.notify.offset:
        return this.device.notify(Math.floor(at / notifyBytesPerQueue));
      default:
        return undefined;
    }
  }

  #takeIsr(): number {
    const isr = this.#isr;
    this.#isr = 0;
    this.#pci.setInterrupt(false);
    return isr;
  }

  /** Fields are read and written whole, 64-bit ones in halves (4.1.3.1); other accesses find nothing. */
  #readCommon(offset: number, size: number): number {
    const { device } = this;
    const queue = device.queues[this.#queueSelect] as QueueRegisters | undefined;
    switch (`${offset}/${size}`) {
      case `${Common.deviceFeatureSelect}/4`:
        return this.#deviceFeatureSelect;
      case `${Common.deviceFeature}/4`:
        return wordOf(device.offered, this.#deviceFeatureSelect);
      case `${Common.driverFeatureSelect}/4`:
        return this.#driverFeatureSelect;
      case `${Common.driverFeature}/4`:
        return wordOf(device.accepted, this.#driverFeatureSelect);
      case `${Common.configurationVector}/2`:
        return this.#configurationVector;
      case `${Common.queueCount}/2`:
        return device.queues.length;
      case `${Common.deviceStatus}/1`:
        return device.status;
      case `${Common.configurationGeneration}/1`:
        return device.generation;
      case `${Common.queueSelect}/2`:
        return this.#queueSelect;
      case `${Common.queueSize}/2`:
        return queue?.size ?? 0;
      case `${Common.queueVector}/2`:
        return this.#queueVectors[this.#queueSelect] ?? noVector;
      case `${Common.queueEnable}/2`:
        return queue?.enabled === true ? 1 : 0;
      case `${Common.queueNotifyOffset}/2`:
        return this.#queueSelect;
      default: {
        const address = addressField(offset, size);
        return address === undefined || queue === undefined ? 0 : halfOf(queue[address.name], address.half);
      }
    }
  }

  #writeCommon(offset: number, size: number, value: number): void {
    const { device } = this;
    switch (`${offset}/${size}`) {
      case `${Common.deviceFeatureSelect}/4`:
        this.#deviceFeatureSelect = value;
        break;
      case `${Common.driverFeatureSelect}/4`:
        this.#driverFeatureSelect = value;
        break;
      case `${Common.driverFeature}/4`:
        device.accept(withWord(device.accepted, this.#driverFeatureSelect, value));
        break;
      case `${Common.configurationVector}/2`:
        this.#configurationVector = this.#vector(value);
        break;
      case `${Common.deviceStatus}/1`:
        device.writeStatus(value);
        if (value === 0) this.#resetRegisters();
        break;
      case `${Common.queueSelect}/2`:
        this.#queueSelect = value;
        break;
      case `${Common.queueVector}/2`:
        if (this.#queueSelect < this.#queueVectors.length) this.#queueVectors[this.#queueSelect] = this.#vector(value);
        break;
      default:
        this.#writeQueue(device.queues[this.#queueSelect], offset, size, value);
    }
  }

  /** What may be written until the queue is enabled. */
  #writeQueue(queue: QueueRegisters | undefined, offset: number, size: number, value: number): void {
    if (queue === undefined || queue.enabled) return;
    if (offset === Common.queueSize && size === 2) {
      queue.size = value;
    } else if (offset === Common.queueEnable && size === 2) {
      queue.enabled = value === 1;
    } else {
      const address = addressField(offset, size);
      if (address !== undefined) queue[address.name] = withHalf(queue[address.name], address.half, value);
    }
  }

  /** A vector that does not exist reads back as none (4.1.5.1.2). */
  #vector(value: number): number {
    return value <= this.device.queues.length ? value : noVector;
  }
}

/**
 * The capability through which configuration accesses reach the window, for firmware that has not mapped it (4.1.4.9).
 * Its bytes after the id and next pointer: length, type, bar, id, 2 of padding, offset, length, data.
 */
class ConfigurationAccess {
  readonly capability: CapabilityDescription;
  readonly #registers = new DataView(new ArrayBuffer(18));

  static readonly #bar = 2;
  static readonly #offset = 6;
  static readonly #length = 10;
  static readonly #data = 14;

  constructor(reach: (offset: number, size: number, value: number | undefined) => number) {
    const writable = new Uint8Array(18);
    writable[ConfigurationAccess.#bar] = 0xff;
    writable.fill(0xff, ConfigurationAccess.#offset, ConfigurationAccess.#data);
    this.capability = {
      ...capability({ type: typeConfigurationAccess, offset: 0, length: 0 }, new Uint8Array(4)),
      writable,
      access: {
        read: (at, size) => {
          const offset = this.#target(at, size);
          return offset === undefined ? undefined : reach(offset, size, undefined);
        },
        write: (at, size, value) => {
          if (at < ConfigurationAccess.#data) {
            for (const [index, byte] of bytesOf(value, size).entries()) this.#registers.setUint8(at + index, byte);
            return;
          }
          const offset = this.#target(at, size);
          if (offset !== undefined) reach(offset, size, value);
        },
      },
    };
  }

  reset(): void {
    new Uint8Array(this.#registers.buffer).fill(0);
  }

  save(): StateRecord {
    return { registers: new Uint8Array(this.#registers.buffer).slice() };
  }

  load(reader: RecordReader): void {
    new Uint8Array(this.#registers.buffer).set(reader.bytes("registers", this.#registers.byteLength));
  }

  /** Where in the window an access to the data field goes; undefined where the driver set nothing sensible up. */
  #target(at: number, size: number): number | undefined {
    const offset = this.#registers.getUint32(ConfigurationAccess.#offset, true);
    const length = this.#registers.getUint32(ConfigurationAccess.#length, true);
    const bar = this.#registers.getUint8(ConfigurationAccess.#bar);
    if (at !== ConfigurationAccess.#data || bar !== registersBar || length !== size) return undefined;
    return offset % size === 0 && offset + size <= windowBytes ? offset : undefined;
  }
}

/** A vendor capability that points into the window (4.1.4), from its third byte on. */
function capability(
  region: { readonly type: number; readonly offset: number; readonly length: number },
  extra: Uint8Array = new Uint8Array(0),
): CapabilityDescription {
  const body = new Uint8Array(14 + extra.length);
  const view = new DataView(body.buffer);
  view.setUint8(0, 2 + body.length);
  view.setUint8(1, region.type);
  view.setUint8(2, registersBar);
  view.setUint32(6, region.offset, true);
  view.setUint32(10, region.length, true);
  body.set(extra, 14);
  return { id: 0x09, body };
}

const addressNames = ["descriptors", "driver", "device"] as const;

/** The queue address, and which half of it, that a 32-bit access at `offset` means. */
function addressField(
  offset: number,
  size: number,
): { readonly name: (typeof addressNames)[number]; readonly half: number } | undefined {
  const index = (offset - Common.queueDescriptors) / 4;
  if (size !== 4 || !Number.isInteger(index) || index < 0 || index >= 2 * addressNames.length) return undefined;
  return { name: addressNames[Math.floor(index / 2)], half: index % 2 };
}

function halfOf(value: number, half: number): number {
  return half === 0 ? value % 2 ** 32 : Math.floor(value / 2 ** 32) % 2 ** 32;
}

function withHalf(value: number, half: number, bits: number): number {
  return half === 0 ? Math.floor(value / 2 ** 32) * 2 ** 32 + bits : bits * 2 ** 32 + (value % 2 ** 32);
}

function wordOf(features: bigint, word: number): number {
  return word > 1 ? 0 : Number(BigInt.asUintN(32, features >> BigInt(32 * word)));
}

function withWord(features: bigint, word: number, value: number): bigint {
  if (word > 1) return features;
  const shift = BigInt(32 * word);
  return (features & ~(0xffff_ffffn << shift)) | (BigInt(value) << shift);
}

function littleEndian(bytes: Uint8Array, offset: number, size: number): number {
  let value = 0;
  for (let index = size - 1; index >= 0; index--) value = value * 256 + (bytes[offset + index] ?? 0);
  return value;
}

function bytesOf(value: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (value >>> (8 * index)) & 0xff);
}
