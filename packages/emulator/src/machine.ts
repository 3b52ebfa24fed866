/**
 * A whole x86-64 machine: a processor on the translator, RAM, and the platform around it, run in slices between which
 * the host's own events happen.
 *
 * ```text
 *   createMachine ──> Platform        buses, clocks, interrupt controllers, serial port, PCI
 *              ├──> MachineEngine   translator, guest memory, processor
 *              └──> the loop        timers ─> interrupts ─> guest code, until power-off
 * ```
 */
import type { TranslatorOptions } from "@doppel/dbt-core";
import {
  type Compression,
  deflate,
  type GuestMemory,
  kvmClockFeatures,
  loadSnapshot,
  Platform,
  type ProcessorStart,
  saveSnapshot,
  type SerialBackend,
  type SnapshotSink,
  startSystem,
  type Stateful,
  SystemClock,
  type VirtioDevice,
  VirtioPci,
} from "@doppel/pc-machine";
import { type EmulatorHost, portableHost } from "./host.ts";
import { MachineEngine } from "./machine-engine.ts";

const MEBIBYTE = 2 ** 20;
const DEFAULT_RAM_BYTES: number = 512 * MEBIBYTE;
/** Loops and calls between two looks at the timers: well under a millisecond. */
const TURN_BUDGET = 10_000;
/** How long the guest runs before the host's events have a turn. */
const SLICE_NS = 5e6;

export interface MachineOptions {
  /** RAM in bytes, a multiple of 64 KiB; default 512 MiB. */
  readonly ramBytes?: number;
  /** The processor that CPUID describes: a name from `cpuidLevels`. */
  readonly cpu?: string;
  /**
   * A bzImage, or an ELF executable that starts in 64-bit mode. Without one the machine is there to be loaded, and
   * ends when it is reset.
   */
  readonly kernel?: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly commandLine?: string;
  /** Where the first serial port leads. */
  readonly serial: SerialBackend;
  /** Put on the PCI bus in this order, from slot 1 on. */
  readonly devices?: readonly DeviceMaker[];
  readonly host?: EmulatorHost;
  /** A reset ends the machine rather than starting it again. */
  readonly endOnReset?: boolean;
  /** When guest code is compiled, and how much of it at once. */
  readonly translator?: Partial<TranslatorOptions>;
}

/** Makes a device for a machine with that memory. */
export type DeviceMaker = (memory: GuestMemory) => VirtioDevice;

/** Why a debugged machine stands still by itself. */
export type DebugStop = "breakpoint" | "stepped" | "watchpoint";

/** How a machine ended by itself. */
export type MachineEnd = "power-off" | "reset";

export class Machine {
  readonly platform: Platform;
  readonly engine: MachineEngine;
  readonly devices: readonly VirtioPci[];
  private readonly options: MachineOptions;
  private readonly host: EmulatorHost;
  private end: MachineEnd | undefined;
  private resetWanted = false;
  private running = false;
  /** Nothing has been written to RAM. */
  private isFresh: boolean;
  private scheduled = false;
  private cancelWait: (() => void) | undefined;
  /** Told when the machine has stopped for its debugger. */
  onDebugStop: (stop: DebugStop) => void = () => {};
  private settle: { resolve: (end: MachineEnd) => void; reject: (error: unknown) => void } | undefined;

  /** Throws BootError for a kernel that cannot be started, RangeError for memory it cannot get. */
  constructor(options: MachineOptions) {
    this.options = options;
    const { host = portableHost, ramBytes = DEFAULT_RAM_BYTES, cpu, translator } = options;
    this.host = host;
    this.platform = new Platform({
      clock: new SystemClock(() => host.monotonicNs()),
      wallClock: () => Number(host.realtimeNs()) / 1e6,
      machine: {
        powerOff: () => {
          this.end = "power-off";
        },
        reset: () => {
          this.resetWanted = true;
        },
      },
      serial: options.serial,
    });
    const random = new Uint32Array(1);
    this.engine = new MachineEngine({
      ramBytes,
      ...(cpu === undefined ? {} : { cpu }),
      ...(translator === undefined ? {} : { translator }),
      paravirtual: kvmClockFeatures,
      random: () => {
        host.randomBytes(new Uint8Array(random.buffer));
        return random[0];
      },
      bus: this.platform.bus,
      interrupts: this.platform.localApic,
      timeStamps: this.platform.timeStamps,
      msrOwners: [this.platform.kvmClock],
    });
    const { processor, ram } = this.engine;
    this.platform.connect({
      memory: ram,
      signals: {
        interruptsChanged: () => {
          processor.interruptsChanged();
          this.wake();
        },
        nonMaskableInterrupt: () => {
          processor.nonMaskableInterrupt();
          this.wake();
        },
        init: () => processor.init(),
        startUp: (vector) => processor.startUp(vector),
      },
    });
    this.devices = (options.devices ?? []).map(
      (make, index) => new VirtioPci(this.platform.pci.slot(index + 1), make(ram)),
    );
    this.isFresh = options.kernel === undefined;
    this.powerOn();
  }

  private powerOn(): void {
    const { kernel, initrd, commandLine } = this.options;
    if (kernel === undefined) return;
    const start: ProcessorStart = startSystem(this.platform, this.engine.ram, {
      kernel,
      ...(initrd === undefined ? {} : { initrd }),
      ...(commandLine === undefined ? {} : { commandLine }),
    });
    this.engine.processor.start(start);
  }

  /**
   * Runs until the guest powers the machine off (or resets it, where that is an end). Rejects with TripleFault when its
   * processor can go on no more.
   */
  run(): Promise<MachineEnd> {
    return new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
      this.resume();
    });
  }

  /** Its time goes on. */
  get isRunning(): boolean {
    return this.running;
  }

  /** Goes on after `pause`. */
  resume(): void {
    if (this.running) return;
    this.running = true;
    this.platform.clock.start();
    for (const { device } of this.devices) device.resume();
    this.schedule();
  }

  /** Stops between two instructions; the machine's time stands still until `resume`. */
  pause(): void {
    this.running = false;
    this.platform.clock.stop();
    for (const { device } of this.devices) device.hold();
    this.cancelWait?.();
    this.cancelWait = undefined;
  }

  /** All that a snapshot holds beside memory, in the order in which it is loaded. */
  get parts(): readonly Stateful[] {
    const devices = this.devices.flatMap((transport) => [transport, transport.device]);
    return [...this.platform.parts, ...devices, this.engine.processor];
  }

  /** Saves the machine to `sink`. It stands still meanwhile, and then goes on if it was running. */
  async save(sink: SnapshotSink, compression: Compression = deflate): Promise<void> {
    const wasRunning = this.running;
    this.pause();
    try {
      await this.quiesce();
      await saveSnapshot({ memory: this.engine.ram, parts: this.parts }, compression, sink);
    } finally {
      if (wasRunning) this.resume();
    }
  }

  /**
   * Takes over the state of a saved machine of the same make; `run` or `resume` goes on from there. Throws
   * SnapshotError, after which the machine is of no use, when that is not possible.
   */
  async load(source: AsyncIterable<Uint8Array>, compressions: readonly Compression[] = [deflate]): Promise<void> {
    this.pause();
    await this.quiesce();
    await loadSnapshot({ memory: this.engine.ram, parts: this.parts }, source, {
      compressions,
      isFresh: this.isFresh,
    });
    this.isFresh = false;
    this.end = undefined;
    this.resetWanted = false;
    this.platform.serial.ready();
  }

  /** What devices have begun is completed; they are held again afterwards. */
  private async quiesce(): Promise<void> {
    await Promise.all(this.devices.map(({ device }) => device.quiesce()));
  }

  /** Something happened that the guest may be waiting for. */
  private wake(): void {
    if (this.cancelWait === undefined) return;
    this.cancelWait();
    this.cancelWait = undefined;
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled || !this.running) return;
    this.scheduled = true;
    this.host.loop.defer(() => {
      this.scheduled = false;
      if (!this.running) return;
      try {
        this.slice();
      } catch (error) {
        this.pause();
        this.settle?.reject(error);
      }
    });
  }

  /** Runs the guest until its time is up or it waits. */
  private slice(): void {
    const { clock } = this.platform;
    const { processor } = this.engine;
    const until = this.host.monotonicNs() + SLICE_NS;
    do {
      clock.runDue();
      const stop = processor.run(TURN_BUDGET);
      if (this.end !== undefined || this.resetWanted) {
        this.finish();
        return;
      }
      if (stop === "breakpoint" || stop === "stepped" || stop === "watchpoint") {
        this.pause();
        this.onDebugStop(stop);
        return;
      }
      if (stop === "halted") {
        const wait = clock.nextDeadline() - clock.now();
        if (wait > 0) {
          this.wait(wait);
          return;
        }
      }
    } while (this.host.monotonicNs() < until);
    this.schedule();
  }

  /** Calls back after so many nanoseconds of the host's; returns what takes that back. */
  readonly after: EmulatorHost["loop"]["after"] = (ns, callback) => this.host.loop.after(ns, callback);

  private wait(ns: number): void {
    this.cancelWait = this.host.loop.after(ns, () => {
      this.cancelWait = undefined;
      this.schedule();
    });
  }

  private finish(): void {
    if (this.end === undefined && this.options.endOnReset !== true && this.options.kernel !== undefined) {
      this.resetWanted = false;
      this.platform.reset();
      for (const device of this.devices) device.reset();
      this.powerOn();
      this.schedule();
      return;
    }
    this.pause();
    this.settle?.resolve(this.end ?? "reset");
  }
}
