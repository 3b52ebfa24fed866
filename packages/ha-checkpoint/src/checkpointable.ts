// What a machine must offer so that checkpoints can be taken of it, and nothing more: pages, a state, stop and run.
//
// The contract (src/testing/checkpointable-contract.ts runs it against an implementation):
// - Stopped, the machine changes neither its pages nor its state, and nothing leaves it. It stops between two guest
//   instructions, with condition flags normalised, and with no native frame on a guest's stack (C1).
// - `takeDirtyPages` names every page whose content *or standing* changed since the call before: written by a processor,
//   by a device, through any mapping; become free or purgeable; or back from there, in which case its whole content counts
//   as new. The first call, and the first after `loadState`, may name as many pages as it likes.
// - A page that is free or purgeable need not be named again while it stays so, whatever is written to it.
// - `saveState` holds all that is not in pages: processors, devices, which pages are free or purgeable.
// - Two machines with the same `configuration`, page for page and state alike, go on alike given the same inputs.

/**
 * - `kept`: content that the guest relies on.
 * - `free`: the guest has told that it needs it no more (balloon, free page reporting).
 * - `purgeable`: an application can rebuild it, and said so.
 */
export type Standing = "kept" | "free" | "purgeable";

export interface Checkpointable {
  /** Bytes in a page; a power of two, at most `maximumPageBytes`. */
  readonly pageBytes: number;
  /** Pages of guest-physical memory; page _n_ is at guest-physical address _n_ times `pageBytes`. */
  readonly pageCount: number;
  /**
   * All that two machines must agree on to stand in for one another: processors, devices, versions of what is saved.
   * A text for people to compare, at most 1,000 characters.
   */
  readonly configuration: string;

  /** Stops at the next boundary at which the contract holds, then calls back, once; at once if it stands already. */
  stop(done: () => void): void;
  run(): void;

  // What follows is called while the machine is stopped, but for `dirtyPages` and `standing`.

  /** Pages that `takeDirtyPages` would name now, or an upper bound. */
  readonly dirtyPages: number;
  /** See the contract; in ascending order, each once. */
  takeDirtyPages(): Uint32Array;
  standing(page: number): Standing;
  /** Copies a page to the start of `into`. */
  readPage(page: number, into: Uint8Array): void;
  /** Overwrites a page of a standby's machine with a copy of `content`, whose buffer is used again afterwards. */
  writePage(page: number, content: Uint8Array): void;

  saveState(): Uint8Array;
  /** Becomes the machine whose state this is; returns a complaint if it is none, and is not to be run then. */
  loadState(state: Uint8Array): string | undefined;
  /** What a leader's machine can tell its standby's of how to be fast when it goes on; absent: nothing. */
  readonly hints?: Hints;
  /**
   * Called after `loadState` and before `run` when the machine goes on from a checkpoint: purgeable memory reads as zeros
   * and its regions become empty; requests that devices had outstanding are issued again.
   */
  restored(): void;
}

/**
 * What a machine has learnt, in pieces, each good for itself: lost, late or wrong ones cost time and nothing else. A leader asks
 * between two instructions, a standby applies while its machine stands; neither takes longer than some ten milliseconds.
 */
export interface Hints {
  /** Begins again: a new standby knows nothing. */
  restart(): void;
  /** What is most worth knowing of what `next` has not given yet, at most `maximumHintBytes`; undefined: nothing is new. */
  next(): Uint8Array | undefined;
  apply(piece: Uint8Array): void;
}

export const maximumHintBytes = 65_536;

export const maximumPageBytes = 65_536;
