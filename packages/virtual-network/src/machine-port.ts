/**
 * What stands between a port and a network card that takes frames only when its driver has room for them: a queue that
 * holds some, as a card's own memory would, and drops what comes beyond.
 */
import type { NetworkPort } from "./network-port.ts";

/** Enough for a full window of one fast connection: 256 KiB in segments of 1460 bytes. */
const QUEUED_FRAMES = 256;

/** The card: says whether it took the frame. */
export interface FrameReceiver {
  receive(frame: Uint8Array): boolean;
}

export class MachinePort {
  readonly #port: NetworkPort;
  readonly #maximumFrames: number;
  #receiver: FrameReceiver | undefined;
  #waiting: Uint8Array[] = [];
  #dropped = 0;

  constructor(port: NetworkPort, maximumFrames: number = QUEUED_FRAMES) {
    this.#port = port;
    this.#maximumFrames = maximumFrames;
    port.onReceive((frame) => this.#receive(frame));
  }

  /** Frames for which there was no room. */
  get droppedFrames(): number {
    return this.#dropped;
  }

  /** A frame from the machine; always taken. */
  send(frame: Uint8Array): boolean {
    this.#port.send(frame);
    return true;
  }

  attach(receiver: FrameReceiver): void {
    this.#receiver = receiver;
  }

  /** The card has room again. */
  receivable(): void {
    let taken = 0;
    while (taken < this.#waiting.length && this.#receiver?.receive(this.#waiting[taken]) === true) taken++;
    this.#waiting = this.#waiting.slice(taken);
  }

  #receive(frame: Uint8Array): void {
    if (this.#waiting.length === 0 && this.#receiver?.receive(frame) !== false) return;
    if (this.#waiting.length < this.#maximumFrames) this.#waiting.push(frame);
    else this.#dropped++;
  }
}
