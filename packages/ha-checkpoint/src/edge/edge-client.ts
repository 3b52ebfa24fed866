// A host's side of its connection to the edge: the arbiter from afar, and the way out for frames. It connects anew for as
// long as it lives; without a connection the arbiter is unreachable and frames are lost, as on a cable that is pulled.
import type { OutgoingFrame } from "../adapter/adapter.ts";
import type { Arbiter, ArbiterAnswer, Leadership } from "../failover/arbiter.ts";
import { FailureDetector } from "../failover/failure-detector.ts";
import type { Link, LinkHandler } from "../failover/link.ts";
import type { Timers } from "../timers.ts";
import { decodeEdgeMessage, edgeVersion, encodeEdgeMessage } from "./messages.ts";
import type { EdgeMessage } from "./messages.ts";

export interface EdgeClientOptions {
  readonly pair: string;
  readonly host: string;
  readonly timers: Timers;
  readonly heartbeatMs: number;
  /** Silence after which the connection is given up. */
  readonly timeoutMs: number;
  readonly retryMs: number;
  /** Connects: calls back once with a link, whose handler is returned then, or without. */
  readonly dial: (done: (link: Link | undefined) => LinkHandler | undefined) => void;
  /** A frame for the machine. */
  readonly receive: (frame: Uint8Array) => void;
  readonly event: (event: EdgeClientEvent) => void;
}

export type EdgeClientEvent =
  | { readonly kind: "edge-connected" }
  | { readonly kind: "edge-lost"; readonly reason: string }
  | { readonly kind: "edge-refused"; readonly text: string };

export class EdgeClient implements Arbiter {
  readonly #options: EdgeClientOptions;
  #link: Link | undefined;
  #welcome = false;
  readonly #asked = new Map<number, (answer: ArbiterAnswer) => void>();
  #number = 0;
  #ended = false;

  constructor(options: EdgeClientOptions) {
    this.#options = options;
  }

  get isConnected(): boolean {
    return this.#welcome;
  }

  start(): void {
    if (this.#ended) return;
    this.#options.dial((link) => {
      if (link === undefined) {
        this.#later();
        return undefined;
      }
      return this.#connected(link);
    });
  }

  end(): void {
    this.#ended = true;
    this.#link?.close();
    this.#link = undefined;
  }

  #later(): void {
    this.#options.timers.after(this.#options.retryMs, () => this.start());
  }

  #connected(link: Link): LinkHandler {
    const { timers, heartbeatMs, timeoutMs, pair, host } = this.#options;
    const lose = (reason: string): void => {
      if (this.#link !== link) return;
      detector.stop();
      link.close();
      this.#link = undefined;
      this.#welcome = false;
      for (const number of [...this.#asked.keys()]) this.#answer(number, { ok: false, text: reason });
      this.#options.event({ kind: "edge-lost", reason });
      this.#later();
    };
    const detector = new FailureDetector({
      timers,
      intervalMs: heartbeatMs,
      timeoutMs,
      beat: () => this.#send({ kind: "heartbeat" }),
      suspect: () => lose("the edge was silent"),
    });
    this.#link = link;
    this.#send({ kind: "hello", version: edgeVersion, pair, host });
    return {
      frame: (frame) => {
        detector.heard();
        const message = decodeEdgeMessage(frame);
        if (message === undefined) lose("the edge sent what is no message");
        else this.#receive(message);
      },
      drained: () => undefined,
      closed: (reason) => lose(reason),
    };
  }

  #receive(message: EdgeMessage): void {
    switch (message.kind) {
      case "welcome":
        this.#welcome = true;
        return this.#options.event({ kind: "edge-connected" });
      case "refuse":
        return this.#options.event({ kind: "edge-refused", text: message.text });
      case "answer": {
        const { ok, swapped, record, text, number } = message;
        return this.#answer(number, ok ? { ok, swapped, record } : { ok, text });
      }
      case "frame":
        return this.#options.receive(message.frame);
      default:
        return;
    }
  }

  read(done: (answer: ArbiterAnswer) => void): void {
    this.#ask((number) => ({ kind: "read", number }), done);
  }

  compareAndSwap(expected: Leadership | undefined, next: Leadership, done: (answer: ArbiterAnswer) => void): void {
    this.#ask((number) => ({ kind: "swap", number, expected, next }), done);
  }

  #ask(message: (number: number) => EdgeMessage, done: (answer: ArbiterAnswer) => void): void {
    const { timers, timeoutMs } = this.#options;
    const number = (this.#number = (this.#number + 1) >>> 0);
    this.#asked.set(number, done);
    if (this.#welcome) {
      timers.after(timeoutMs, () => this.#answer(number, { ok: false, text: "the edge did not answer" }));
      this.#send(message(number));
    } else timers.after(0, () => this.#answer(number, { ok: false, text: "there is no connection to the edge" }));
  }

  #answer(number: number, answer: ArbiterAnswer): void {
    const done = this.#asked.get(number);
    this.#asked.delete(number);
    done?.(answer);
  }

  /** A frame of the machine; false if there is no room now, and it stays with the adapter. */
  transmit({ token, frame }: Pick<OutgoingFrame, "token" | "frame">): void {
    if (this.#welcome) this.#send({ kind: "frame", token, frame });
  }

  get isWritable(): boolean {
    return this.#link?.isWritable ?? true;
  }

  #send(message: EdgeMessage): void {
    this.#link?.send(encodeEdgeMessage(message));
  }
}
