// A whole virtual machine under a pair: one network card, whose frames go through the adapter, at most one disk, which is
// mirrored, and a serial port.
import { randomFillSync } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { CheckpointableMachine, Machine } from "@doppel/emulator";
import type { DeviceMaker } from "@doppel/emulator";
import { nodeHost } from "@doppel/emulator/node";
import { failure } from "@doppel/mirror-storage";
import type { BlockDevice, Done, Geometry, WriteOptions } from "@doppel/mirror-storage";
import { BootError, VirtioBalloon, VirtioBlock, VirtioEntropy, VirtioNetwork } from "@doppel/pc-machine";
import type { FreePages, NetworkReceiver } from "@doppel/pc-machine";
import { systemMessage } from "../options.ts";
import { UsageError } from "../usage-error.ts";
import type { MachineConfig } from "./config.ts";
import { HeldSerial } from "./held-serial.ts";
import type { PairMachine, PairMachineOptions } from "./machines.ts";

const SECTOR_BYTES = 512;
const MEBIBYTE = 2 ** 20;

/** The guest of `guests/machine/store`: as built with this command line, or in a checkout. */
export function ownGuest(config: MachineConfig & { kind: "own" }): MachineConfig & { kind: "vm" } {
  const { mac, address, port, memoryMiB, diskMiB } = config;
  const places = ["guests/store", "../../../../guests/bin/machine/store"];
  const kernel = places.map((place) => join(import.meta.dirname, place)).find((place) => existsSync(place));
  if (kernel === undefined) throw new UsageError("the guest of this command line is not there: pnpm build", 1);
  const append = `address=${address} port=${port}`;
  return { kind: "vm", mac, address, kernel, append, memoryMiB, disk: { sizeMiB: diskMiB } };
}

export class VirtualMachine implements PairMachine {
  readonly checkpointable: CheckpointableMachine;
  readonly geometry: Geometry | undefined;
  readonly image: string | undefined;
  readonly output: HeldSerial;
  readonly #disk: SwitchedDisk | undefined;
  #receiver: NetworkReceiver | undefined;
  /** What the guest gives up is no part of checkpoints. */
  readonly #freePages: FreePages = {
    release: (address, length) => this.checkpointable.release(address, length),
  };
  /** Its memory is that of power-on. */
  #isFresh = true;

  constructor(
    config: MachineConfig & { kind: "vm" },
    { transmit, checkpointWanted, resolve, directory, log }: PairMachineOptions,
  ) {
    const { mac, memoryMiB, kernel, initrd, append, disk, cpu } = config;
    this.output = new HeldSerial(join(directory, "serial.log"), checkpointWanted);
    const onDriverError = (text: string): void => log({ kind: "driver-error", text });
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
    if (disk !== undefined) {
      this.image = disk.image === undefined ? undefined : resolve(disk.image);
      const bytes = this.image === undefined ? disk.sizeMiB! * MEBIBYTE : sizeOf(this.image);
      this.geometry = { sectorSize: SECTOR_BYTES, sectorCount: Math.floor(bytes / SECTOR_BYTES) };
      const switched = new SwitchedDisk(this.geometry, (callback) => this.checkpointable.whenRunning(callback));
      this.#disk = switched;
      makers.push((memory) => new VirtioBlock({ id: "virtio-blk.0", memory, disk: switched, onDriverError }));
    }
    const random = (length: number): Uint8Array => randomFillSync(new Uint8Array(length));
    makers.push(
      (memory) => new VirtioEntropy({ id: "virtio-rng", memory, random, onDriverError }),
      (memory) => new VirtioBalloon({ id: "virtio-balloon", memory, freePages: this.#freePages, onDriverError }),
    );
    try {
      const machine = new Machine({
        ramBytes: memoryMiB * MEBIBYTE,
        kernel: contents(resolve(kernel)),
        ...(initrd === undefined ? {} : { initrd: contents(resolve(initrd)) }),
        commandLine: append,
        ...(cpu === undefined ? {} : { cpu }),
        serial: this.output,
        devices: makers,
        host: nodeHost,
      });
      const checkpointable = new CheckpointableMachine(machine);
      this.checkpointable = checkpointable;
      this.output.ready = (): void => checkpointable.whenRunning(() => machine.platform.serial.ready());
    } catch (error) {
      if (error instanceof BootError || error instanceof RangeError) throw new UsageError(`machine: ${error.message}`);
      throw error;
    }
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

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw new UsageError(`${path}: ${systemMessage(error)}`);
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
