// What the primary is made with, and what it tells whoever runs it.
import type { BlockDevice, DeviceError, FencedDevice } from "./block-device.ts";
import type { PrimaryMessage, RefuseReason } from "./messages.ts";

interface PrimarySettings {
  /** Name of the disk: up to 64 characters, the same on the secondary. */
  readonly name: string;
  /** Sectors in a block, the unit that is tracked. */
  readonly sectorsPerBlock: number;
  /** Epoch token that the arbiter gave; on a shared disk, the fence is at most here. */
  readonly token: number;
  /** First epoch: higher than any committed before. */
  readonly epoch?: number;
  /** Most bytes of one request; at most, and if not given, 1 MiB. */
  readonly maximumRequestBytes?: number;
}

interface PrimaryPorts {
  /** Hands a message to the connection, which keeps the order or ends. */
  readonly send: (message: PrimaryMessage) => void;
  readonly event: (event: PrimaryEvent) => void;
}

export type PrimaryOptions = PrimarySettings &
  PrimaryPorts &
  (
    | { readonly topology: "shared"; readonly disk: FencedDevice }
    | { readonly topology: "mirrored"; readonly disk: BlockDevice }
  );

export type PrimaryEvent =
  /** The standby lacks nothing any more: the next checkpoint makes it one that can take over. */
  | { readonly kind: "synchronised" }
  /** From this epoch on, output waits for "committed". */
  | { readonly kind: "protected"; readonly epoch: number }
  /** The epoch's output may leave. */
  | { readonly kind: "committed"; readonly epoch: number }
  /** A buffer is filling, and writes will wait, or do, until the next checkpoint. */
  | { readonly kind: "checkpoint-wanted"; readonly buffer: "write" | "rollback" }
  /**
   * The standby is gone. If `undecided`, it may be taking over: nothing is written until the arbiter says who goes on
   * (`goSolo` or `halt`).
   */
  | { readonly kind: "session-lost"; readonly undecided: boolean; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: RefuseReason; readonly text: string }
  /** The disk failed a request; the guest was told. Whether to fail over is up to whoever runs this. */
  | { readonly kind: "disk-error"; readonly error: DeviceError }
  /** Somebody else took over; this side will write nothing any more. */
  | { readonly kind: "halted"; readonly reason: string };

export type Mode = "solo" | "joining" | "protected" | "undecided" | "halted";
