/**
 * A guest driver for tests: finds a virtio device through PCI configuration space, negotiates, sets up split queues in guest
 * memory and works them, all through the registers and the memory a real driver would use.
 */

import type { PciConfiguration, PciSlot } from "../../pci/pci-device.ts";
import type { GuestMemory, RegisterWindow } from "../../ports.ts";
import { VirtioPci } from "../pci-transport.ts";
import { Feature, featureSet, Status } from "../virtio-device.ts";
import type { VirtioDevice } from "../virtio-device.ts";

export class TestMemory implements GuestMemory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly data: DataView;

  constructor(length: number = 1 << 20) {
    this.bytes = new Uint8Array(length);
    this.data = new DataView(this.bytes.buffer);
  }

  get ramBytes(): number {
    return this.bytes.length;
  }

  view(address: number, length: number): Uint8Array | undefined {
    if (!(address >= 0 && length >= 0 && address + length <= this.bytes.length)) return undefined;
    return this.bytes.subarray(address, address + length);
  }

  write(address: number, data: Uint8Array): boolean {
    const to = this.view(address, data.length);
    to?.set(data);
    return to !== undefined;
  }
}

/** What came back for a chain. */
export interface Used {
  readonly head: number;
  readonly written: number;
  /** The content of its writable buffers, one after the other. */
  readonly data: Uint8Array;
}

interface DriverQueue {
  readonly size: number;
  readonly descriptors: number;
  readonly driver: number;
  readonly device: number;
  readonly free: number[];
  readonly chains: Map<number, { readonly descriptors: number[]; readonly writable: [number, number][] }>;
  available: number;
  used: number;
}

const msixVectors = 8;
const memoryBar = 0x1_0000_0000;
const msixBar = 0xc000_0000;

export class TestDriver {
  readonly memory: TestMemory;
  readonly device: VirtioDevice;
  readonly transport: VirtioPci;
  /** Vectors signalled since `takeInterrupts`; -1 is a rise of INTA#. */
  readonly #interrupts: number[] = [];
  readonly #windows = new Map<number, RegisterWindow>();
  readonly #queues = new Map<number, DriverQueue>();
  #configuration!: PciConfiguration;
  #level = false;
  #allocated = 0x1000;
  #notifyMultiplier = 0;
  readonly #regions = new Map<number, number>();
  eventIndex = false;

  constructor(make: (memory: TestMemory) => VirtioDevice, memory: TestMemory = new TestMemory()) {
    this.memory = memory;
    this.device = make(memory);
    const slot: PciSlot = {
      number: 3,
      bus: {
        mapPorts: () => ({ unmap: () => undefined }),
        mapMemory: (address, _, window) => {
          this.#windows.set(address, window);
          return { unmap: () => this.#windows.delete(address) };
        },
      },
      messages: { deliver: (_, data) => this.#interrupts.push(data) },
      line: {
        set: (level) => {
          if (level && !this.#level) this.#interrupts.push(-1);
          this.#level = level;
        },
      },
      attach: (configuration) => {
        this.#configuration = configuration;
      },
    };
    this.transport = new VirtioPci(slot, this.device);
  }

  // PCI.

  /** Places the windows, finds the virtio capabilities, turns MSI-X on unless told otherwise. */
  probe({ msix = true }: { readonly msix?: boolean } = {}): void {
    const pci = this.#configuration;
    pci.writeConfiguration(0x14, 4, msixBar);
    pci.writeConfiguration(0x20, 4, memoryBar % 2 ** 32);
    pci.writeConfiguration(0x24, 4, memoryBar / 2 ** 32);
    pci.writeConfiguration(0x04, 2, 0x0006);
    for (let at = pci.readConfiguration(0x34, 1); at !== 0; at = pci.readConfiguration(at + 1, 1)) {
      if (pci.readConfiguration(at, 1) === 0x11 && msix) this.#enableMsix(at);
      if (pci.readConfiguration(at, 1) !== 0x09) continue;
      const type = pci.readConfiguration(at + 3, 1);
      this.#regions.set(type, pci.readConfiguration(at + 8, 4));
      if (type === 2) this.#notifyMultiplier = pci.readConfiguration(at + 16, 4);
    }
  }

  get configuration(): PciConfiguration {
    return this.#configuration;
  }

  #enableMsix(capability: number): void {
    const table = this.#windows.get(msixBar)!;
    for (let vector = 0; vector < msixVectors; vector++) {
      table.write(16 * vector, 4, 0xfee0_0000);
      table.write(16 * vector + 8, 4, vector);
      table.write(16 * vector + 12, 4, 0);
    }
    this.#configuration.writeConfiguration(capability + 2, 2, 0x8000);
  }

  read(region: "common" | "isr" | "device", offset: number, size: number): number {
    return this.#window.read(this.#offset(region) + offset, size);
  }

  write(region: "common" | "isr" | "device", offset: number, size: number, value: number): void {
    this.#window.write(this.#offset(region) + offset, size, value);
  }

  get #window(): RegisterWindow {
    return this.#windows.get(memoryBar)!;
  }

  #offset(region: "common" | "isr" | "device"): number {
    return this.#regions.get({ common: 1, isr: 3, device: 4 }[region])!;
  }

  takeInterrupts(): number[] {
    return this.#interrupts.splice(0);
  }

  // The device.

  get status(): number {
    return this.read("common", 0x14, 1);
  }

  get needsReset(): boolean {
    return (this.status & Status.needsReset) !== 0;
  }

  set status(value: number) {
    this.write("common", 0x14, 1, value);
  }

  get offered(): bigint {
    this.write("common", 0x00, 4, 0);
    const low = this.read("common", 0x04, 4);
    this.write("common", 0x00, 4, 1);
    return (BigInt(this.read("common", 0x04, 4)) << 32n) | BigInt(low);
  }

  accept(features: bigint): void {
    for (const word of [0, 1]) {
      this.write("common", 0x08, 4, word);
      this.write("common", 0x0c, 4, Number(BigInt.asUintN(32, features >> BigInt(32 * word))));
    }
  }

  /** From reset to DRIVER_OK with these features beside VERSION_1, and with all queues. */
  start(features: readonly number[] = [], { queueSize = 16 }: { readonly queueSize?: number } = {}): void {
    this.status = 0;
    this.status = Status.acknowledge | Status.driver;
    this.eventIndex = features.includes(Feature.eventIndex);
    this.accept(featureSet([Feature.version1, ...features]) & this.offered);
    this.status |= Status.featuresOk;
    this.write("common", 0x10, 2, 0);
    const count = this.read("common", 0x12, 2);
    for (let index = 0; index < count; index++) this.#setUp(index, queueSize);
    this.status |= Status.driverOk;
  }

  /** Room in guest memory, zeroed. */
  allocate(length: number, alignment = 16): number {
    const address = Math.ceil(this.#allocated / alignment) * alignment;
    this.#allocated = address + length;
    this.memory.bytes.fill(0, address, address + length);
    return address;
  }

  #setUp(index: number, wanted: number): void {
    this.write("common", 0x16, 2, index);
    const size = Math.min(wanted, this.read("common", 0x18, 2));
    this.write("common", 0x18, 2, size);
    this.write("common", 0x1a, 2, index + 1);
    const queue: DriverQueue = {
      size,
      descriptors: this.allocate(16 * size),
      driver: this.allocate(6 + 2 * size),
      device: this.allocate(6 + 8 * size),
      free: Array.from({ length: size }, (_, head) => size - 1 - head),
      chains: new Map(),
      available: 0,
      used: 0,
    };
    for (const [at, address] of [queue.descriptors, queue.driver, queue.device].entries()) {
      this.write("common", 0x20 + 8 * at, 4, address);
      this.write("common", 0x24 + 8 * at, 4, 0);
    }
    this.write("common", 0x1c, 2, 1);
    this.#queues.set(index, queue);
  }

  // Queues.

  layout(index: number): {
    readonly size: number;
    readonly descriptors: number;
    readonly driver: number;
    readonly device: number;
  } {
    return this.#queues.get(index)!;
  }

  setDescriptor(table: number, index: number, address: number, length: number, flags: number, next: number): void {
    const at = table + 16 * index;
    this.memory.data.setBigUint64(at, BigInt(address), true);
    this.memory.data.setUint32(at + 8, length, true);
    this.memory.data.setUint16(at + 12, flags, true);
    this.memory.data.setUint16(at + 14, next, true);
  }

  /** Makes a head available, whatever it is. */
  expose(index: number, head: number): void {
    const queue = this.#queues.get(index)!;
    const { data } = this.memory;
    data.setUint16(queue.driver + 4 + 2 * (queue.available % queue.size), head, true);
    queue.available = (queue.available + 1) & 0xffff;
    data.setUint16(queue.driver + 2, queue.available, true);
  }

  /** Makes a chain available: buffers with content to read, and lengths of buffers to write. */
  submit(index: number, readable: readonly Uint8Array[], writable: readonly number[]): number {
    const queue = this.#queues.get(index)!;
    const buffers = [
      ...readable.map((content) => {
        const address = this.allocate(content.length);
        this.memory.bytes.set(content, address);
        return { address, length: content.length, flags: 0 };
      }),
      ...writable.map((length) => ({ address: this.allocate(length), length, flags: 2 })),
    ];
    const descriptors = buffers.map(() => queue.free.pop() ?? 0);
    for (const [at, { address, length, flags }] of buffers.entries()) {
      const last = at === buffers.length - 1;
      this.setDescriptor(
        queue.descriptors,
        descriptors[at],
        address,
        length,
        last ? flags : flags | 1,
        descriptors[at + 1] ?? 0,
      );
    }
    queue.chains.set(descriptors[0], {
      descriptors,
      writable: buffers.filter(({ flags }) => flags === 2).map(({ address, length }) => [address, length]),
    });
    this.expose(index, descriptors[0]);
    return descriptors[0];
  }

  notify(index: number): void {
    this.write("common", 0x16, 2, index);
    const offset = this.read("common", 0x1e, 2) * this.#notifyMultiplier;
    this.#window.write(this.#regions.get(2)! + offset, 2, index);
  }

  /** Whether the device asks for a notification of what was submitted last (2.7.10). */
  wantsNotification(index: number): boolean {
    const queue = this.#queues.get(index)!;
    if (!this.eventIndex) return (this.memory.data.getUint16(queue.device, true) & 1) === 0;
    return this.memory.data.getUint16(queue.device + 4 + 8 * queue.size, true) === ((queue.available - 1) & 0xffff);
  }

  /** used_event: interrupt when the used index passes this. */
  setUsedEvent(index: number, event: number): void {
    const queue = this.#queues.get(index)!;
    this.memory.data.setUint16(queue.driver + 4 + 2 * queue.size, event, true);
  }

  /** VIRTQ_AVAIL_F_NO_INTERRUPT. */
  suppressInterrupts(index: number, suppress: boolean): void {
    this.memory.data.setUint16(this.#queues.get(index)!.driver, suppress ? 1 : 0, true);
  }

  /** What has come back since this was last asked. */
  takeUsed(index: number): Used[] {
    const queue = this.#queues.get(index)!;
    const { data, bytes } = this.memory;
    const used: Used[] = [];
    for (; queue.used !== data.getUint16(queue.device + 2, true); queue.used = (queue.used + 1) & 0xffff) {
      const at = queue.device + 4 + 8 * (queue.used % queue.size);
      const head = data.getUint32(at, true);
      const chain = queue.chains.get(head);
      queue.chains.delete(head);
      queue.free.push(...(chain?.descriptors ?? []));
      const parts = (chain?.writable ?? []).map(([address, length]) => [...bytes.subarray(address, address + length)]);
      used.push({ head, written: data.getUint32(at + 4, true), data: Uint8Array.from(parts.flat()) });
    }
    return used;
  }
}
