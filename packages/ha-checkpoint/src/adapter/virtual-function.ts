// One machine's port of the adapter, and the queues its frames go through.
//
//   send ──> open epoch ──seal──> sealed epochs ──release──> released ──> link      held
//   send ──────────────────────────────────────────────────> ordinary ──> link      not held
//
// Invariants:
// - While output is held, a frame reaches `released` only through `release` of the epoch in which it was sent, or of a
//   later one, or through `goUnprotected`. There is no other way, however full it is.
// - Frames of a machine leave in the order in which they were sent.
import { assert } from "../assert.ts";
import { FrameQueue } from "./frame-queue.ts";
import { maximumFrameBytes, minimumFrameBytes, sourceMac } from "./mac.ts";
import type { MacAddress } from "./mac.ts";

/** What a machine declares about how it is checkpointed. */
export type Protection =
  | { readonly kind: "ordinary" }
  /** Checkpointed by a technology that the adapter was configured for. */
  | { readonly kind: "checkpointed"; readonly technology: string };

export interface VirtualFunctionSettings {
  readonly mac: MacAddress;
  readonly protection: Protection;
}

export interface VirtualFunctionEvents {
  /** Half of what may be held is: only a checkpoint makes room. Told once an epoch. */
  readonly checkpointWanted?: () => void;
  /** Told after a frame was refused for lack of room, when there is some. */
  readonly room?: () => void;
}

/** `full`: it was not taken; the sender keeps it and waits for `room`. `refused`: it will never be taken. */
export type Sent = "taken" | "full" | "refused";

/** A sealed epoch whose output waits. */
interface Epoch {
  readonly number: number;
  readonly frames: FrameQueue;
}

export class VirtualFunction {
  readonly mac: MacAddress;
  readonly protection: Protection;
  readonly #events: VirtualFunctionEvents;
  readonly #maximumBytes: number;
  readonly #changed: () => void;
  #holding: boolean;
  #token = 0;
  #open: FrameQueue = new FrameQueue();
  #sealed: Epoch[] = [];
  #released: FrameQueue = new FrameQueue();
  readonly #ordinary: FrameQueue = new FrameQueue();
  #heldBytes = 0;
  #refusedForRoom = false;
  #wanted = false;
  /** Frames that failover or a deposition discarded. */
  discarded = 0;

  constructor(
    settings: VirtualFunctionSettings,
    maximumBytes: number,
    events: VirtualFunctionEvents,
    changed: () => void,
  ) {
    this.mac = settings.mac;
    this.protection = settings.protection;
    this.#maximumBytes = maximumBytes;
    this.#events = events;
    this.#changed = changed;
    // Until somebody decides otherwise, nothing of a checkpointed machine leaves.
    this.#holding = settings.protection.kind === "checkpointed";
  }

  get isHolding(): boolean {
    return this.#holding;
  }

  /** Epoch token that its frames carry. */
  get token(): number {
    return this.#token;
  }

  /** Frames that wait for a checkpoint. */
  get heldFrames(): number {
    return this.#sealed.reduce((sum, epoch) => sum + epoch.frames.length, this.#open.length);
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes in all queues together. */
  get queuedBytes(): number {
    return this.#heldBytes + this.#released.bytes + this.#ordinary.bytes;
  }

  /** A frame of the machine. Its bytes belong to the adapter from here on, if they are taken. */
  send(frame: Uint8Array): Sent {
    if (frame.length < minimumFrameBytes || frame.length > maximumFrameBytes) return "refused";
    if (sourceMac(frame) !== this.mac) return "refused";
    if (this.queuedBytes + frame.length > this.#maximumBytes) {
      this.#refusedForRoom = true;
      this.#want();
      return "full";
    }
    if (this.#holding) {
      this.#open.push(frame);
      this.#heldBytes += frame.length;
      if (this.#heldBytes * 2 >= this.#maximumBytes) this.#want();
    } else {
      this.#ordinary.push(frame);
      this.#changed();
    }
    return "taken";
  }

  /** The machine is stopped for the checkpoint that ends this epoch: what was sent so far belongs to it. */
  seal(epoch: number): void {
    const last = this.#sealed.at(-1);
    assert(last === undefined || epoch > last.number, "epochs end in order");
    this.#wanted = false;
    if (!this.#holding) return;
    this.#sealed.push({ number: epoch, frames: this.#open });
    this.#open = new FrameQueue();
  }

  /** The checkpoint that ends this epoch is complete: what was sent up to it goes out. Again, it does nothing. */
  release(epoch: number): void {
    while (this.#sealed.length > 0 && this.#sealed[0].number <= epoch) {
      const { frames } = this.#sealed.shift()!;
      this.#heldBytes -= frames.bytes;
      this.#released.append(frames);
    }
    if (this.#released.length > 0) this.#changed();
    this.#tellRoom();
  }

  /** From now on output is held: the checkpoint that is being taken can be gone back to. */
  protect(): void {
    assert(this.protection.kind === "checkpointed", "an ordinary machine's output is not held");
    this.#holding = true;
    // What the link has not come to take yet was sent before all that will be released.
    this.#released.append(this.#ordinary);
  }

  /**
   * The arbiter has decided that this host goes on alone, and gave it a token for that: what was held goes out under it,
   * and from now on nothing is held.
   */
  goUnprotected(token: number): void {
    assert(token > this.#token, "going unprotected takes a newer token");
    this.#token = token;
    this.#holding = false;
    for (const { frames } of this.#sealed) this.#released.append(frames);
    this.#released.append(this.#open);
    this.#sealed = [];
    this.#open = new FrameQueue();
    this.#heldBytes = 0;
    this.#changed();
    this.#tellRoom();
  }

  /** Another host runs the machine now, from a checkpoint: nobody may see what was sent since, and nothing is sent. */
  discard(): void {
    this.discarded += this.heldFrames + this.#released.length + this.#ordinary.length;
    this.#sealed = [];
    this.#open = new FrameQueue();
    this.#released = new FrameQueue();
    this.#ordinary.clear();
    this.#heldBytes = 0;
    this.#refusedForRoom = false;
    this.#holding = this.protection.kind === "checkpointed";
    // The link may have been told of frames that it did not come to take.
    this.#changed();
  }

  get hasReleased(): boolean {
    return this.#released.length > 0;
  }

  get hasOrdinary(): boolean {
    return this.#ordinary.length > 0;
  }

  /** For the adapter: the next frame for the link. */
  take(): { readonly frame: Uint8Array; readonly released: boolean } | undefined {
    // Released frames are older than any that was sent while nothing was held.
    const released = this.#released.length > 0;
    const frame = released ? this.#released.shift() : this.#ordinary.shift();
    this.#tellRoom();
    return frame && { frame, released };
  }

  #want(): void {
    if (this.#wanted || !this.#holding) return;
    this.#wanted = true;
    this.#events.checkpointWanted?.();
  }

  #tellRoom(): void {
    if (!this.#refusedForRoom || this.queuedBytes + maximumFrameBytes > this.#maximumBytes) return;
    this.#refusedForRoom = false;
    this.#events.room?.();
  }
}
