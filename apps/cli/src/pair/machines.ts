// The machines that a pair can run, as its processes want them.
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CheckpointableMachine, Machine } from "@doppel/emulator";
import type { DeviceMaker } from "@doppel/emulator";
import type { Checkpointable, Sent } from "@doppel/ha-checkpoint";
import { failure } from "@doppel/mirror-storage";
import type { BlockDevice, Done, Geometry, WriteOptions } from "@doppel/mirror-storage";
import { VirtioBlock, VirtioNetwork } from "@doppel/pc-machine";
import type { NetworkReceiver, SerialBackend } from "@doppel/pc-machine";
import { systemMessage } from "../options.ts";
import { UsageError } from "../usage-error.ts";
import type { PairConfig } from "./config.ts";
import { ENTRIES, ENTRY_BYTES, ModelMachine } from "./model-machine.ts";

export interface PairMachine {
  readonly checkpointable: Checkpointable;
  /** Of the disk that is mirrored, if it has one. */
  readonly geometry: Geometry | undefined;
  /** This host leads: the disk to use from here on. */
  useDisk(disk: BlockDevice): void;
  /** A frame from outside. */
  receive(frame: Uint8Array): void;
  /** The adapter, which was full, has room. */
  writable(): void;
  /** Switches it on. Undefined once it stands ready; otherwise why this process cannot do that any more. */
  boot(done: (complaint: string | undefined) => void): void;
}

export interface PairMachineOptions {
  readonly transmit: (frame: Uint8Array) => Sent;
  /** Files of the configuration. */
  readonly resolve: (path: string) => string;
  /** Where this host keeps its own. */
  readonly directory: string;
  readonly log: (event: unknown) => void;
}

export function createMachine(config: PairConfig["machine"], options: PairMachineOptions): PairMachine {
  return config.kind === "model" ? modelMachine(config, options) : new VirtualMachine(config, options);
}

function modelMachine(config: PairConfig["machine"] & { kind: "model" }, options: PairMachineOptions): PairMachine {
  const { mac, address, port } = config;
  const machine = new ModelMachine({ mac, address, port, transmit: options.transmit });
  return {
    checkpointable: machine,
    geometry: { sectorSize: ENTRY_BYTES, sectorCount: ENTRIES },
    useDisk: (disk) => {
      machine.disk = disk;
    },
    receive: (frame) => machine.receive(frame),
    writable: () => undefined,
    boot: (done) => machine.boot(() => done(undefined)),
  };
}

const SECTOR_BYTES = 512;
const MEBIBYTE = 2 ** 20;

/** A whole machine with one network card and, if wanted, one disk. */
class VirtualMachine implements PairMachine {
  readonly checkpointable: CheckpointableMachine;
  readonly geometry: Geometry | undefined;
  readonly #disk: SwitchedDisk | undefined;
  #receiver: NetworkReceiver | undefined;
  /** Its memory is that of power-on. */
  #isFresh = true;

  constructor(
    config: PairConfig["machine"] & { kind: "vm" },
    { transmit, resolve, directory, log }: PairMachineOptions,
  ) {
    const { mac, memoryMiB, kernel, initrd, commandLine, diskMiB, cpu } = config;
    const onDriverError = (message: string): void => log({ kind: "driver-error", text: message });
    const makers: DeviceMaker[] = [
      (memory) =>
        new VirtioNetwork({
          id: "virtio-net.0",
          memory,
          mac: Uint8Array.from(mac.split(":"), (part) => Number.parseInt(part, 16)),
          port: {
            send: (frame) => transmit(frame) !== "full",
            attach: (receiver) => {
              this.#receiver = receiver;
            },
            receivable: () => undefined,
          },
          onDriverError,
        }),
    ];
    if (diskMiB !== undefined) {
      this.geometry = { sectorSize: SECTOR_BYTES, sectorCount: (diskMiB * MEBIBYTE) / SECTOR_BYTES };
      const disk = new SwitchedDisk(this.geometry, (callback) => this.checkpointable.whenRunning(callback));
      this.#disk = disk;
      makers.push((memory) => new VirtioBlock({ id: "virtio-blk.0", memory, disk, onDriverError }));
    }
    const machine = new Machine({
      ramBytes: memoryMiB * MEBIBYTE,
      kernel: contents(resolve(kernel)),
      ...(initrd === undefined ? {} : { initrd: contents(resolve(initrd)) }),
      commandLine,
      ...(cpu === undefined ? {} : { cpu }),
      serial: new SerialFile(join(directory, "serial.log")),
      devices: makers,
    });
    this.checkpointable = new CheckpointableMachine(machine);
  }

  useDisk(disk: BlockDevice): void {
    if (this.#disk !== undefined) this.#disk.target = disk;
  }

  receive(frame: Uint8Array): void {
    // A card without room drops it, as one does.
    this.checkpointable.whenRunning(() => this.#receiver?.receive(frame));
  }

  writable(): void {
    this.checkpointable.whenRunning(() => this.#receiver?.ready());
  }

  boot(done: (complaint: string | undefined) => void): void {
    const wasFresh = this.#isFresh;
    this.#isFresh = false;
    done(wasFresh ? undefined : "its machine has run already; a new process can start it");
  }
}

function contents(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`${path}: ${systemMessage(error)}`);
  }
}

/** What the machine says on its first serial port, by lines. It is not held back: a failover may repeat some. */
class SerialFile implements SerialBackend {
  readonly #path: string;
  #line: number[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  read(): number {
    return -1;
  }

  write(byte: number): boolean {
    this.#line.push(byte);
    if (byte === 10 || this.#line.length === 1024) {
      appendFileSync(this.#path, Uint8Array.from(this.#line));
      this.#line = [];
    }
    return true;
  }
}

/** The disk of whichever role this host has; completions wait while the machine is stopped. */
class SwitchedDisk implements BlockDevice {
  readonly geometry: Geometry;
  target: BlockDevice | undefined;
  readonly #whenRunning: (callback: () => void) => void;

  constructor(geometry: Geometry, whenRunning: (callback: () => void) => void) {
    this.geometry = geometry;
    this.#whenRunning = whenRunning;
  }

  /** Of a disk that was given up, nothing is heard any more. */
  #gated<T>(done: Done<T>): Done<T> {
    const { target } = this;
    return (result) =>
      this.#whenRunning(() => {
        if (target === this.target) done(result);
      });
  }

  #absent<T>(done: Done<T>): void {
    queueMicrotask(() => done(failure("halted", "this host does not lead")));
  }

  read(sector: number, count: number, done: Done<Uint8Array>): void {
    if (this.target === undefined) this.#absent(done);
    else this.target.read(sector, count, this.#gated(done));
  }

  write(sector: number, data: Uint8Array, options: WriteOptions, done: Done): void {
    if (this.target === undefined) this.#absent(done);
    else this.target.write(sector, data, options, this.#gated(done));
  }

  flush(done: Done): void {
    if (this.target === undefined) this.#absent(done);
    else this.target.flush(this.#gated(done));
  }

  discard(sector: number, count: number, options: WriteOptions, done: Done): void {
    if (this.target === undefined) this.#absent(done);
    else this.target.discard(sector, count, options, this.#gated(done));
  }
}
