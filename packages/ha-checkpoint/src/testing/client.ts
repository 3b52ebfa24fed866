// A client outside: asks, repeats until it is answered, and remembers what it was told.
import { encodeRequest } from "./toy-machine.ts";
import type { Reply, Request } from "./toy-machine.ts";

export interface ClientPorts {
  readonly send: (frame: Uint8Array) => void;
  readonly violate: (text: string) => void;
  /** Whether the machine has a disk. */
  readonly remembers: boolean;
}

export class Client {
  readonly #number: number;
  readonly #ports: ClientPorts;
  #sequence = 0;
  #request: Request | undefined;
  /** What the machine may have kept. */
  #possible: Set<number> = new Set([0]);
  /** The last of its puts that was acknowledged. */
  #acknowledged = 0;
  /** How often the machine had been started from its disk, and may have forgotten the client, at the last answer. */
  #coldStarts = 0;
  answered = 0;
  resets = 0;

  constructor(number: number, ports: ClientPorts) {
    this.#number = number;
    this.#ports = ports;
  }

  get isWaiting(): boolean {
    return this.#request !== undefined;
  }

  /** A new request, if the last one was answered. */
  ask(value: number | undefined): void {
    if (this.#request !== undefined) return;
    this.#request = { client: this.#number, sequence: ++this.#sequence, value, generation: this.resets };
    if (value !== undefined) this.#possible.add(value);
    this.repeat();
  }

  repeat(): void {
    if (this.#request !== undefined) this.#ports.send(encodeRequest(this.#request));
  }

  /** `coldStarts`: how many there had been when the reply passed the edge. */
  receive(reply: Reply, coldStarts: number): void {
    const request = this.#request;
    if (request === undefined || reply.sequence !== request.sequence || reply.generation !== this.resets) return;
    if (reply.reset) return this.#reset(reply, coldStarts);
    this.#coldStarts = coldStarts;
    this.#request = undefined;
    this.answered++;
    const { value } = request;
    // After a reset, sequences are used again, and what was asked before it may arrive late.
    if (value !== undefined && reply.value !== value && this.resets === 0) {
      this.#ports.violate(`client ${this.#number} put ${value} and was told ${reply.value}`);
    }
    if (!this.#possible.has(reply.value)) {
      const possible = [...this.#possible].join(", ");
      this.#ports.violate(`client ${this.#number} was told ${reply.value}, where only ${possible} was ever put since`);
    }
    this.#possible = new Set([reply.value]);
    if (value !== undefined) this.#acknowledged = request.sequence;
  }

  /** The machine does not know the client any more as it should: allowed after it was started from its disk only. */
  #reset(reply: Reply, coldStarts: number): void {
    if (coldStarts === this.#coldStarts) {
      return this.#ports.violate(`client ${this.#number} lost its connection`);
    }
    this.#coldStarts = coldStarts;
    if (!this.#ports.remembers) {
      // What was asked before may still arrive, and be done then.
      this.#possible.add(0);
      this.#acknowledged = 0;
    } else if (reply.value < this.#acknowledged) {
      this.#ports.violate(`client ${this.#number} was told that put ${this.#acknowledged} is kept, and it is not`);
    }
    this.resets++;
    this.#sequence = reply.value;
    this.#request = undefined;
  }
}
