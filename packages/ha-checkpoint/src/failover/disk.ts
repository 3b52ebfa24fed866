// What the protocol asks of a replicated disk. `Primary` and `Secondary` of mirror-storage fit as they are.
//
// The disk's messages travel in the session's, and its epochs have the session's numbers. A machine without a disk does
// without all of this.

export type DiskResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: { readonly message: string } };

export interface LeaderDisk<M> {
  /** Begins to take in the standby at the other end. */
  attach(): DiskResult<void>;
  disconnected(reason?: string): void;
  receive(message: M): void;
  /** Ends the open epoch, whose number it returns. Completes the session if "synchronised" came before. */
  checkpoint(): DiskResult<number>;
  goSolo(token: number): void;
  halt(reason: string): void;
}

export type LeaderDiskEvent =
  | { readonly kind: "synchronised" }
  | { readonly kind: "protected"; readonly epoch: number }
  | { readonly kind: "committed"; readonly epoch: number }
  | { readonly kind: "checkpoint-wanted"; readonly buffer: string }
  | { readonly kind: "session-lost"; readonly undecided: boolean; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string; readonly text: string }
  | { readonly kind: "disk-error"; readonly error: { readonly message: string } }
  | { readonly kind: "halted"; readonly reason: string };

export interface StandbyDisk<M> {
  readonly complete: boolean;
  start(): void;
  disconnected(): void;
  receive(message: M): void;
  /** Makes the prepared epoch the one to go back to. */
  commit(epoch: number, note?: Uint8Array): boolean;
  promote(token: number): boolean;
}

export type StandbyDiskEvent =
  | { readonly kind: "recovered"; readonly epoch: number; readonly complete: boolean; readonly promoted: boolean }
  | { readonly kind: "prepared"; readonly epoch: number }
  | { readonly kind: "committed"; readonly epoch: number; readonly complete: boolean }
  | { readonly kind: "protocol-error"; readonly text: string }
  | { readonly kind: "promoted"; readonly epoch: number; readonly token: number }
  | { readonly kind: "restore-failed"; readonly error: { readonly message: string } }
  | { readonly kind: "failed"; readonly error: { readonly message: string } };

/** A host's disk in the role it has. At most one of the two is in use. */
export interface DiskRoles<M> {
  lead(options: {
    readonly token: number;
    readonly epoch: number;
    readonly send: (message: M) => void;
    readonly event: (event: LeaderDiskEvent) => void;
  }): LeaderDisk<M>;
  follow(options: {
    readonly send: (message: M) => void;
    readonly event: (event: StandbyDiskEvent) => void;
  }): StandbyDisk<M>;
  /** Calls back when nothing that the role before has asked of the disk is under way any more. */
  whenIdle(done: () => void): void;
  encode(message: M): Uint8Array;
  decode(bytes: Uint8Array): M | undefined;
}
