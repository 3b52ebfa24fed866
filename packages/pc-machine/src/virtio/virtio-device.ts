/**
 * What all virtio devices have in common, whatever carries them (virtio 1.2, chapter 2): the status field, features,
 * configuration space and its generation, queues, and the end of it all when a driver breaks the rules.
 *
 * A device extends `VirtioDevice`: it says what it is, offers features, and serves its queues when `notified`. What it
 * begins and completes later, it begins with `begin`: then a reset, a snapshot and a broken driver find it in order.
 */

import { SnapshotError } from "../ports.ts";
import type { Device, GuestMemory, StateRecord } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";
import type { Chain } from "./chain.ts";
import { maximumQueueSize, SplitQueue } from "./split-queue.ts";
import type { QueueConfiguration } from "./split-queue.ts";

/** Bits of the status field (2.1). */
export const Status = {
  acknowledge: 1,
  driver: 2,
  driverOk: 4,
  featuresOk: 8,
  needsReset: 64,
  failed: 128,
} as const;

/** Numbers of the feature bits that are no device's own (6). */
export const Feature = {
  indirectDescriptors: 28,
  eventIndex: 29,
  version1: 32,
} as const;

/** Set of feature bits by their numbers. */
export function featureSet(numbers: readonly number[]): bigint {
  return numbers.reduce((set, number) => set | (1n << BigInt(number)), 0n);
}

/** How a device reaches its driver; a transport provides it. */
export interface DriverNotifications {
  /** Chains of this queue have been used. */
  queueUsed(queue: number): void;
  configurationChanged(): void;
  /** Whether the device may touch memory: PCI's bus master bit. */
  readonly mayAccessMemory: boolean;
}

/** Where the driver put a queue. Addresses are guest-physical. */
export interface QueueRegisters {
  size: number;
  descriptors: number;
  driver: number;
  device: number;
  enabled: boolean;
}

export interface VirtioOptions {
  /** Names the device within the machine, for snapshots: "virtio-blk.0". */
  readonly id: string;
  readonly memory: GuestMemory;
  /** Told, for a log, what a driver did wrong. */
  readonly onDriverError?: (message: string) => void;
}

/** What a kind of device is; constant. */
export interface VirtioKind {
  /** Device ID (5). */
  readonly type: number;
  /** Feature bits of its own that it offers. */
  readonly features: readonly number[];
  /** Descriptors in each queue, at most; powers of two. */
  readonly queueSizes: readonly number[];
}

/** Something a device began for a chain, and completes later. */
export interface Operation {
  /** Whether the driver still waits for it. If not, its memory is no more to be touched. */
  isWanted(): boolean;
  /** Ends it. `action` gives the chain back, and runs only if that is still wanted. */
  complete(action: () => void): void;
}

const commonFeatures = [Feature.indirectDescriptors, Feature.eventIndex, Feature.version1];

export abstract class VirtioDevice implements Device {
  readonly id: string;
  abstract readonly version: number;
  readonly kind: VirtioKind;
  /** What may be negotiated. */
  readonly offered: bigint;
  /** By number, as the driver set them up. */
  readonly queues: readonly QueueRegisters[];
  protected readonly memory: GuestMemory;
  readonly #onDriverError: (message: string) => void;
  #notifications: DriverNotifications = {
    queueUsed: () => undefined,
    configurationChanged: () => undefined,
    mayAccessMemory: true,
  };
  readonly #active: (SplitQueue | undefined)[];
  #status = 0;
  #accepted = 0n;
  #generation = 0;
  /** Counts resets: what began under an earlier one is nobody's any more. */
  #incarnation = 0;
  #operations = 0;
  /** Counts loaded states: what began before one is nobody's, and is not waited for. */
  #life = 0;
  #resetPending = false;
  #waiting: (() => void)[] = [];
  #held = false;
  /** Until the device is not held any more. */
  readonly #deferred: (() => void)[] = [];

  constructor(kind: VirtioKind, options: VirtioOptions) {
    this.id = options.id;
    this.kind = kind;
    this.#onDriverError = options.onDriverError ?? ((): void => undefined);
    this.offered = featureSet([...commonFeatures, ...kind.features]);
    this.queues = kind.queueSizes.map((size) => ({ size, descriptors: 0, driver: 0, device: 0, enabled: false }));
    this.#active = kind.queueSizes.map(() => undefined);
    const { memory } = options;
    this.memory = {
      ramBytes: memory.ramBytes,
      view: (address, length) => (this.#notifications.mayAccessMemory ? memory.view(address, length) : undefined),
      write: (address, data) => this.#notifications.mayAccessMemory && memory.write(address, data),
    };
  }

  // For the transport.

  connect(notifications: DriverNotifications): void {
    this.#notifications = notifications;
  }

  /** While a reset waits for what had begun, the status does not yet read as zero; drivers wait for that (2.4.2). */
  get status(): number {
    return this.#resetPending ? this.#status | Status.acknowledge : this.#status;
  }

  writeStatus(value: number): void {
    if (value === 0) return this.reset();
    let added = value & ~this.#status & ~Status.needsReset;
    if ((added & Status.featuresOk) !== 0 && !this.#featuresAcceptable()) added &= ~Status.featuresOk;
    const before = this.#status;
    this.#status |= added;
    if ((added & Status.driverOk) === 0) return undefined;
    if ((this.#status & Status.featuresOk) === 0) {
      this.#status = before;
      return this.fail("DRIVER_OK before FEATURES_OK");
    }
    return this.#start();
  }

  /** Bits the driver accepts; fixed once it has set FEATURES_OK. */
  get accepted(): bigint {
    return this.#accepted;
  }

  accept(features: bigint): void {
    if ((this.#status & Status.featuresOk) === 0) this.#accepted = features;
  }

  /** Counts changes of the configuration space, modulo 256. */
  get generation(): number {
    return this.#generation;
  }

  /** The driver notified the device of a queue. */
  notify(queue: number): void {
    if (this.#running && this.#active[queue] !== undefined) this.notified(queue);
  }

  /** The configuration space as it is now. */
  abstract get configuration(): Uint8Array;

  /** The driver wrote to the configuration space; `data` lies within it. */
  writeConfiguration(_offset: number, _data: Uint8Array): void {
    // Most devices have nothing there for a driver to write.
  }

  // For the machine.

  reset(): void {
    this.#status = 0;
    this.#accepted = 0n;
    this.#generation = 0;
    this.#incarnation++;
    this.#resetPending = this.#operations > 0;
    for (const [index, queue] of this.queues.entries()) {
      Object.assign(queue, { size: this.kind.queueSizes[index], descriptors: 0, driver: 0, device: 0, enabled: false });
    }
    this.#active.fill(undefined);
    this.stopped();
  }

  /**
   * From now until `resume` the device changes neither memory nor anything else of the machine: completions wait, and
   * what comes from outside is refused.
   */
  hold(): void {
    this.#held = true;
  }

  /** Resolves when nothing that began is still to be completed, with the device held. The guest must not run meanwhile. */
  async quiesce(): Promise<void> {
    this.#release();
    while (this.#operations > 0) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    this.hold();
  }

  /** Goes on: with completions that waited, after `load` with what was in flight, and with what has come since. */
  resume(): void {
    this.#release();
    if (this.#running) for (const index of this.#active.keys()) this.notify(index);
  }

  #release(): void {
    this.#held = false;
    while (!this.#held && this.#deferred.length > 0) this.#deferred.shift()!();
  }

  save(): StateRecord {
    return {
      status: this.#status,
      accepted: this.#accepted,
      generation: this.#generation,
      queues: this.queues.map((registers, index) => ({
        ...registers,
        active: this.#active[index]?.save() ?? null,
      })),
      device: this.saveDevice(),
    };
  }

  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    this.reset();
    this.#life++;
    this.#operations = 0;
    this.#resetPending = false;
    this.#deferred.length = 0;
    this.#status = reader.integer("status", 0, 0xff);
    this.#accepted = reader.bigint("accepted", 0n, 2n ** 64n - 1n);
    this.#generation = reader.integer("generation", 0, 0xff);
    for (const [index, queue] of reader.records("queues", this.queues.length).entries()) {
      const registers = this.queues[index];
      registers.size = queue.integer("size", 0, maximumQueueSize);
      registers.descriptors = queue.integer("descriptors", 0, 2 ** 64);
      registers.driver = queue.integer("driver", 0, 2 ** 64);
      registers.device = queue.integer("device", 0, 2 ** 64);
      registers.enabled = queue.boolean("enabled");
      if (!queue.has("active")) continue;
      const configuration = this.#configurationOf(registers);
      const complaint = SplitQueue.shapeError(configuration);
      if (complaint !== undefined) throw new SnapshotError(`${this.id}: ${complaint}`);
      const active = new SplitQueue(this.memory, configuration, (reason) => this.fail(reason));
      active.load(queue.record("active"));
      this.#active[index] = active;
    }
    this.loadDevice(reader.record("device"));
  }

  // For the device.

  /** A queue has chains, perhaps; also called once for each queue when the driver is ready. */
  protected abstract notified(queue: number): void;

  /** The driver is ready: features are negotiated, queues are there. */
  protected started(): void {
    // A device without more state need do nothing.
  }

  /** Reset: forget what the driver was told, and what is in flight. */
  protected stopped(): void {
    // As above.
  }

  protected saveDevice(): StateRecord {
    return {};
  }

  protected loadDevice(_reader: RecordReader): void {
    // As above.
  }

  /** Whether a feature was negotiated. */
  protected has(feature: number): boolean {
    return (this.#accepted & (1n << BigInt(feature))) !== 0n;
  }

  /** Whether what comes from outside has to wait. */
  protected get held(): boolean {
    return this.#held;
  }

  /** Runs what changes memory now, or when the device is held no more. */
  protected whenReleased(action: () => void): void {
    if (this.#held) this.#deferred.push(action);
    else action();
  }

  /** A queue that can be used now. */
  protected queue(index: number): SplitQueue | undefined {
    return this.#running ? this.#active[index] : undefined;
  }

  /** Gives a chain back and interrupts the driver if it wants that. */
  protected use(index: number, chain: Chain, written: number): void {
    this.#active[index]?.push(chain, written);
    this.signal(index);
  }

  /** After several pushes. */
  protected signal(index: number): void {
    if (this.#active[index]?.takeInterrupt() === true) this.#notifications.queueUsed(index);
  }

  /** Begins something that is completed later; `quiesce`, and the driver after a reset, wait for that. */
  protected begin(): Operation {
    const incarnation = this.#incarnation;
    const life = this.#life;
    let open = true;
    const isWanted = (): boolean => open && incarnation === this.#incarnation && this.#running;
    this.#operations++;
    const complete = (action: () => void): void => {
      if (!open || life !== this.#life) return;
      if (isWanted()) action();
      open = false;
      this.#operations--;
      if (this.#operations > 0) return;
      this.#resetPending = false;
      for (const resolve of this.#waiting.splice(0)) resolve();
    };
    return { isWanted, complete: (action) => this.whenReleased(() => complete(action)) };
  }

  /** Tells the driver that the configuration space reads differently now. */
  protected configurationChanged(): void {
    this.whenReleased(() => {
      this.#generation = (this.#generation + 1) & 0xff;
      if ((this.#status & Status.driverOk) !== 0) this.#notifications.configurationChanged();
    });
  }

  /** The driver broke the rules: the device stops until it is reset (2.1.2). */
  protected fail(reason: string): void {
    if ((this.#status & Status.needsReset) !== 0) return;
    this.#status |= Status.needsReset;
    this.#onDriverError(`${this.id}: ${reason}; the device waits for a reset`);
    if ((this.#status & Status.driverOk) !== 0) this.#notifications.configurationChanged();
  }

  get #running(): boolean {
    return (this.#status & (Status.driverOk | Status.needsReset)) === Status.driverOk;
  }

  #featuresAcceptable(): boolean {
    return (this.#accepted & ~this.offered) === 0n && this.has(Feature.version1);
  }

  #start(): void {
    for (const [index, registers] of this.queues.entries()) {
      if (!registers.enabled) continue;
      const configuration = this.#configurationOf(registers);
      const complaint = SplitQueue.shapeError(configuration);
      if (complaint !== undefined) return this.fail(complaint);
      const queue = new SplitQueue(this.memory, configuration, (reason) => this.fail(reason));
      queue.checkRings();
      this.#active[index] = queue;
    }
    if (!this.#running) return undefined;
    this.started();
    for (const index of this.#active.keys()) this.notify(index);
    return undefined;
  }

  #configurationOf(registers: QueueRegisters): QueueConfiguration {
    const { size, descriptors, driver, device } = registers;
    const indirect = this.has(Feature.indirectDescriptors);
    const eventIndex = this.has(Feature.eventIndex);
    return { size, descriptors, driver, device, indirect, eventIndex };
  }
}
