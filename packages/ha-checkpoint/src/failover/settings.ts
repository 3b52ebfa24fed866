// What a host of a pair is made of and set to.
import type { Checkpointable } from "../checkpointable.ts";
import type { Codec } from "../epochs/codec.ts";
import type { EpochCounts } from "../epochs/memory-sender.ts";
import type { RefuseReason } from "../epochs/messages.ts";
import type { Timers } from "../timers.ts";
import type { Arbiter } from "./arbiter.ts";
import type { DiskRoles } from "./disk.ts";

export interface PairSettings {
  /** Name of the pair, the same on all its hosts. */
  readonly pair: string;
  /** Name of this host, its own in the pair. */
  readonly host: string;
  /** From the beginning of one capture to that of the next; a smaller one costs throughput, a larger one latency. */
  readonly intervalMs: number;
  /** Epochs captured and not committed: one on its way, one being made durable. */
  readonly maximumInFlight: number;
  /** Most pages copied and not yet encoded: the memory that a short pause costs. */
  readonly stagedPages: number;
  /** Pages that differences are made against. */
  readonly cachePages: number;
  readonly heartbeatMs: number;
  /** Silence after which a standby is given up. */
  readonly leaderTimeoutMs: number;
  /** Silence after which a leader is given up: longer, so that a cut connection leaves the machine where it runs. */
  readonly standbyTimeoutMs: number;
  /** Silence that either forgives until the standby can take over: nothing is won by beginning a copy anew. */
  readonly joiningTimeoutMs: number;
  /** Between the end of a connection and the claim to lead, for the same reason. */
  readonly graceMs: number;
  /** Between two attempts at whatever failed. */
  readonly retryMs: number;
  /**
   * A host that led, and has lost the machine's memory, starts it from its disk if nobody took over for so long;
   * undefined: only when it is told to.
   */
  readonly coldStartAfterMs: number | undefined;
}

export const defaultSettings: Omit<PairSettings, "pair" | "host"> = {
  intervalMs: 50,
  maximumInFlight: 2,
  stagedPages: 16_384,
  cachePages: 32_768,
  heartbeatMs: 50,
  leaderTimeoutMs: 400,
  standbyTimeoutMs: 600,
  joiningTimeoutMs: 5000,
  graceMs: 30,
  retryMs: 100,
  coldStartAfterMs: undefined,
};

/** A port of the adapter: `VirtualFunction`, as far as the protocol uses it. */
export interface OutputPort {
  protect(): void;
  seal(epoch: number): void;
  release(epoch: number): void;
  goUnprotected(token: number): void;
  discard(): void;
}

export interface PairPorts<M> {
  readonly machine: Checkpointable;
  readonly outputs: readonly OutputPort[];
  readonly codec: Codec;
  readonly timers: Timers;
  readonly arbiter: Arbiter;
  readonly disk: DiskRoles<M> | undefined;
  readonly event: (event: PairEvent) => void;
}

export type PairEvent =
  | { readonly kind: "leading"; readonly token: number; readonly from: "checkpoint" | "power-on" }
  | { readonly kind: "following"; readonly leader: string }
  /** A standby is being taken in. */
  | { readonly kind: "joining"; readonly standby: string }
  /** The machine is stopped, and what follows is the checkpoint that ends the epoch. */
  | { readonly kind: "captured"; readonly epoch: number; readonly complete: boolean }
  /** The machine runs again. */
  | { readonly kind: "resumed"; readonly epoch: number; readonly pauseMs: number }
  | { readonly kind: "sent"; readonly epoch: number; readonly counts: EpochCounts }
  /** From this epoch on output waits. */
  | { readonly kind: "protected"; readonly epoch: number }
  /** On the leader: output of the epoch leaves. On the standby: it is what will be gone back to. */
  | { readonly kind: "committed"; readonly epoch: number; readonly role: "leader" | "standby" }
  /** The leader lost its standby, and nobody has decided yet who goes on. Output waits. */
  | { readonly kind: "undecided"; readonly reason: string }
  | { readonly kind: "unprotected"; readonly token: number; readonly reason: string }
  | { readonly kind: "deposed"; readonly reason: string }
  /** The standby gives its leader up. */
  | { readonly kind: "suspected"; readonly reason: string }
  | { readonly kind: "claimed"; readonly token: number }
  | { readonly kind: "promoted"; readonly epoch: number; readonly token: number }
  /** A session came to nothing; on either side. */
  | { readonly kind: "session-ended"; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: RefuseReason; readonly text: string }
  /** The standby is slower than the guest; checkpoints come less often than they should. */
  | { readonly kind: "behind"; readonly epochs: number }
  | { readonly kind: "arbiter-unreachable"; readonly text: string }
  | { readonly kind: "disk-error"; readonly text: string }
  /** This host cannot go on: its disk or its journal failed. */
  | { readonly kind: "failed"; readonly text: string };
