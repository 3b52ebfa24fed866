/**
 * A line out of a machine: bytes each way between a port of the machine and something of the host's.
 *
 * Both directions are bounded: input that the guest does not take stops the host's end (`onThrottle`), and output that
 * the host's end does not take is refused, so that the guest's port is full, as on a wire. Without an end, output is lost.
 */
import type { Writable } from "node:stream";
import type { ConsolePort, ConsoleReceiver, SerialBackend } from "@doppel/pc-machine";

/** What may wait each way: some screenfuls. */
const MAXIMUM_WAITING = 65_536;
const NOTHING = new Uint8Array(0);

export class HostLine {
  /** Called when there is input, and when there is room for output again. */
  onReady: () => void = () => {};
  /** Called with true when no more input should come for now, and with false when it may again. */
  onThrottle: (isFull: boolean) => void = () => {};
  private readonly pieces: Uint8Array[] = [];
  private waiting = 0;
  private isThrottled = false;
  private sink: Writable | undefined;
  /** Written in this turn of the event loop: one write for what the guest sends at once. */
  private gathered: Uint8Array[] = [];
  private gatheredBytes = 0;
  private refused = false;

  /** Output goes to `sink` from now on; undefined: nowhere. */
  connect(sink: Writable | undefined): void {
    this.flush();
    this.sink = sink;
    sink?.on("drain", () => this.hasRoom());
    this.hasRoom();
  }

  private hasRoom(): void {
    if (!this.refused) return;
    this.refused = false;
    this.onReady();
  }

  // From the host to the guest.

  /** Input has come. */
  give(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.pieces.push(bytes);
    this.waiting += bytes.length;
    if (this.waiting >= MAXIMUM_WAITING && !this.isThrottled) this.onThrottle((this.isThrottled = true));
    this.onReady();
  }

  /** Input that has come first; empty when there is none. */
  peek(): Uint8Array {
    return this.pieces[0] ?? NOTHING;
  }

  /** The guest has taken so many bytes of it. */
  consume(count: number): void {
    const rest = this.peek().subarray(count);
    if (rest.length === 0) this.pieces.shift();
    else this.pieces[0] = rest;
    this.waiting -= count;
    if (this.isThrottled && this.waiting < MAXIMUM_WAITING / 2) this.onThrottle((this.isThrottled = false));
  }

  // From the guest to the host.

  /** Takes bytes from the beginning of `bytes`, and returns how many; after less than all, `onReady` says when to go on. */
  write(bytes: Uint8Array): number {
    const { sink } = this;
    if (sink === undefined) return bytes.length;
    const room = Math.max(0, MAXIMUM_WAITING - this.gatheredBytes - sink.writableLength);
    const taken = bytes.slice(0, room);
    this.refused ||= taken.length < bytes.length;
    if (taken.length === 0) return 0;
    if (this.gathered.push(taken) === 1) setImmediate(() => this.flush());
    this.gatheredBytes += taken.length;
    return taken.length;
  }

  flush(): void {
    const { gathered, sink } = this;
    if (gathered.length === 0) return;
    this.gathered = [];
    this.gatheredBytes = 0;
    // What was refused for this alone comes now; the sink says by itself when it was full.
    if (sink?.write(Buffer.concat(gathered)) === true) this.hasRoom();
  }
}

/** The line on a serial port. */
export function serialBackend(line: HostLine): SerialBackend {
  const one = new Uint8Array(1);
  return {
    read: () => {
      const input = line.peek();
      if (input.length === 0) return -1;
      line.consume(1);
      return input[0];
    },
    write: (byte) => {
      one[0] = byte;
      return line.write(one) === 1;
    },
  };
}

/** The line on a virtio console. */
export function consolePort(line: HostLine): ConsolePort {
  let receiver: ConsoleReceiver | undefined;
  const pass = (): void => {
    for (let input = line.peek(); input.length > 0; input = line.peek()) {
      const taken = receiver?.receive(input) ?? 0;
      if (taken === 0) return;
      line.consume(taken);
    }
  };
  line.onReady = () => {
    receiver?.ready();
    pass();
  };
  return {
    write: (data) => line.write(data),
    attach: (attached) => {
      receiver = attached;
    },
    receivable: pass,
  };
}
