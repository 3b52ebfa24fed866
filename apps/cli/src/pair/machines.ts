// The machines that a pair can run, as its processes want them.
import type { Checkpointable, OutputPort, Sent } from "@doppel/ha-checkpoint";
import type { BlockDevice, Geometry } from "@doppel/mirror-storage";
import type { MachineConfig } from "./config.ts";
import { addressOf } from "./address.ts";
import { DiskMachine } from "./disk-machine.ts";
import { ENTRIES, ENTRY_BYTES, ModelMachine } from "./model-machine.ts";
import { ownGuest, VirtualMachine } from "./virtual-machine.ts";

export interface PairMachine {
  readonly checkpointable: Checkpointable;
  /** Of the disk that is mirrored, if it has one. */
  readonly geometry: Geometry | undefined;
  /** A file of that size with what is on the disk in the beginning; without one it is empty. */
  readonly image?: string | undefined;
  /** This host leads: the disk to use from here on. */
  useDisk(disk: BlockDevice): void;
  /** What it says otherwise than in frames, and that waits for checkpoints too. */
  readonly output?: OutputPort | undefined;
  /** A frame from outside. */
  receive(frame: Uint8Array): void;
  /** The adapter, which was full, has room. */
  writable(): void;
  /** Switches it on. Undefined once it stands ready; otherwise why this process cannot do that any more. */
  boot(done: (complaint: string | undefined) => void): void;
}

export interface PairMachineOptions {
  readonly transmit: (frame: Uint8Array) => Sent;
  /** A checkpoint should be taken soon. */
  readonly checkpointWanted: () => void;
  /** Files of the configuration. */
  readonly resolve: (path: string) => string;
  /** Where this host keeps its own. */
  readonly directory: string;
  readonly log: (event: object) => void;
}

export function createMachine(config: MachineConfig, options: PairMachineOptions): PairMachine {
  if (config.kind === "model") return modelMachine(config, options);
  if (config.kind === "disk") return diskMachine(config, options);
  return new VirtualMachine(config.kind === "own" ? ownGuest(config) : config, options);
}

function modelMachine(config: MachineConfig & { kind: "model" }, options: PairMachineOptions): PairMachine {
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

function diskMachine(
  { sizeMiB, listen, name }: MachineConfig & { kind: "disk" },
  { checkpointWanted, log }: PairMachineOptions,
): PairMachine {
  const machine = new DiskMachine({ sizeBytes: sizeMiB * 2 ** 20, at: addressOf(listen), name, checkpointWanted, log });
  return {
    checkpointable: machine,
    geometry: machine.geometry,
    output: machine.output,
    useDisk: (disk) => {
      machine.target = disk;
    },
    receive: () => undefined,
    writable: () => undefined,
    boot: (done) => done(undefined),
  };
}
