// The machines that a pair can run, as its processes want them.
import type { Checkpointable, Sent } from "@doppel/ha-checkpoint";
import type { BlockDevice, Geometry } from "@doppel/mirror-storage";
import type { MachineConfig } from "./config.ts";
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
  readonly log: (event: object) => void;
}

export function createMachine(config: MachineConfig, options: PairMachineOptions): PairMachine {
  if (config.kind === "model") return modelMachine(config, options);
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
