// The edge's side: the arbiter, and the door that the machine's frames pass.
//
// Invariants:
// - An answer that a swap was made is sent after its record is durable, and after the machine's MAC is bound to its token.
// - One swap at a time: the record that a swap is compared with is durable.
// - Frames pass in from the machine if they carry the newest token and the machine's MAC; out to it, to the leader's host only.
import { minimumFrameBytes, sourceMac } from "../adapter/mac.ts";
import type { MacAddress } from "../adapter/mac.ts";
import { TokenFilter } from "../adapter/token-filter.ts";
import { sameLeadership } from "../failover/arbiter.ts";
import type { Leadership, LeadershipRegister } from "../failover/arbiter.ts";
import { FailureDetector } from "../failover/failure-detector.ts";
import type { Link, LinkHandler } from "../failover/link.ts";
import type { Timers } from "../timers.ts";
import { decodeEdgeMessage, edgeVersion, encodeEdgeMessage } from "./messages.ts";
import type { EdgeMessage } from "./messages.ts";

export interface EdgeServerOptions {
  readonly pair: string;
  readonly mac: MacAddress;
  /** Who leads, as it was durable when this edge started. */
  readonly register: LeadershipRegister;
  /** Makes the record durable; undefined: done. */
  readonly save: (record: Leadership, done: (error: string | undefined) => void) => void;
  readonly timers: Timers;
  readonly heartbeatMs: number;
  readonly timeoutMs: number;
  /** A frame of the machine that may pass. */
  readonly deliver: (frame: Uint8Array, from: FrameSource) => void;
  /** A frame that may not: of a host that was replaced, or does not lead yet. */
  readonly dropped?: (frame: Uint8Array, from: FrameSource) => void;
  readonly event: (event: EdgeEvent) => void;
}

/** Who sent a frame of the machine, and with which token. */
export interface FrameSource {
  readonly host: string;
  readonly token: number;
}

export type EdgeEvent =
  | { readonly kind: "connected"; readonly host: string }
  | { readonly kind: "disconnected"; readonly host: string; readonly reason: string }
  | { readonly kind: "refused"; readonly host: string; readonly text: string }
  | { readonly kind: "leadership"; readonly record: Leadership }
  /** The machine sends from this host now, or again after it could not be reached. */
  | { readonly kind: "arrived"; readonly host: string; readonly token: number }
  | { readonly kind: "save-failed"; readonly text: string };

interface Swap {
  readonly connection: Connection;
  readonly message: EdgeMessage & { kind: "swap" };
}

interface Connection {
  /** As the connection was authenticated. */
  readonly host: string;
  readonly link: Link;
  readonly detector: FailureDetector;
  greeted: boolean;
  open: boolean;
}

export class EdgeServer {
  readonly #options: EdgeServerOptions;
  readonly #register: LeadershipRegister;
  readonly #filter = new TokenFilter();
  readonly #connections = new Map<string, Connection>();
  #swaps: Swap[] = [];
  #saving = false;
  #arrived: { readonly connection: Connection; readonly token: number } | undefined;
  framesIn = 0;
  framesOut = 0;
  /** Frames to the machine while nobody that leads was connected. */
  framesLost = 0;

  constructor(options: EdgeServerOptions) {
    this.#options = options;
    this.#register = options.register;
    if (this.record !== undefined) this.#filter.bind(options.mac, this.record.token);
  }

  get record(): Leadership | undefined {
    return this.#register.record;
  }

  get staleFrames(): number {
    return this.#filter.stale;
  }

  get hosts(): readonly string[] {
    return [...this.#connections.keys()];
  }

  /** Where the arbiter is elsewhere: what it was heard to say. */
  observe(record: Leadership): void {
    if (record.token < (this.record?.token ?? 0) || sameLeadership(record, this.record)) return;
    this.#adopt(record);
  }

  /** A host has connected; its name is the one that it was authenticated by. */
  accept(link: Link, host: string): LinkHandler {
    const { timers, heartbeatMs, timeoutMs } = this.#options;
    const detector = new FailureDetector({
      timers,
      intervalMs: heartbeatMs,
      timeoutMs,
      beat: () => link.send(encodeEdgeMessage({ kind: "heartbeat" })),
      suspect: () => this.#end(connection, "it was silent"),
    });
    const connection: Connection = { host, link, detector, greeted: false, open: true };
    return {
      frame: (frame) => {
        if (!connection.open) return;
        detector.heard();
        const message = decodeEdgeMessage(frame);
        const complaint = message === undefined ? "it sent what is no message" : this.#receive(connection, message);
        if (complaint !== undefined) this.#refuse(connection, complaint);
      },
      drained: () => undefined,
      closed: (reason) => this.#end(connection, reason),
    };
  }

  #receive(connection: Connection, message: EdgeMessage): string | undefined {
    if (message.kind === "hello") return this.#hello(connection, message);
    if (message.kind === "heartbeat") return undefined;
    if (!connection.greeted) return "it did not introduce itself";
    switch (message.kind) {
      case "read":
        this.#answer(connection, message.number, { ok: true, swapped: false, text: "" });
        return undefined;
      case "swap":
        this.#swaps.push({ connection, message });
        this.#nextSwap();
        return undefined;
      case "frame": {
        const { mac, deliver, dropped } = this.#options;
        const { frame, token } = message;
        const { host } = connection;
        if (frame.length < minimumFrameBytes || sourceMac(frame) !== mac) return undefined;
        if (this.#filter.admits(mac, token) && host === this.record?.leader) {
          this.framesIn++;
          deliver(frame, { host, token });
          if (this.#arrived?.connection !== connection || this.#arrived.token !== token) {
            this.#arrived = { connection, token };
            this.#options.event({ kind: "arrived", host, token });
          }
        } else dropped?.(frame, { host, token });
        return undefined;
      }
      default:
        return `a host does not send "${message.kind}"`;
    }
  }

  #hello(connection: Connection, hello: EdgeMessage & { kind: "hello" }): string | undefined {
    if (hello.version !== edgeVersion) return `it speaks version ${hello.version}, the edge ${edgeVersion}`;
    if (hello.pair !== this.#options.pair) return `it is of pair "${hello.pair}", the edge of "${this.#options.pair}"`;
    if (hello.host !== connection.host) return `it says it is ${hello.host}, and has the key of ${connection.host}`;
    const before = this.#connections.get(connection.host);
    if (before !== undefined) this.#end(before, "it connected anew");
    connection.greeted = true;
    this.#connections.set(connection.host, connection);
    connection.link.send(encodeEdgeMessage({ kind: "welcome", version: edgeVersion }));
    this.#options.event({ kind: "connected", host: connection.host });
    return undefined;
  }

  #refuse(connection: Connection, text: string): void {
    connection.link.send(encodeEdgeMessage({ kind: "refuse", text }));
    this.#options.event({ kind: "refused", host: connection.host, text });
    this.#end(connection, text);
  }

  #end(connection: Connection, reason: string): void {
    if (!connection.open) return;
    connection.open = false;
    connection.detector.stop();
    connection.link.close();
    if (this.#connections.get(connection.host) !== connection) return;
    this.#connections.delete(connection.host);
    this.#options.event({ kind: "disconnected", host: connection.host, reason });
  }

  #nextSwap(): void {
    const swap = this.#swaps[0];
    if (swap === undefined || this.#saving) return;
    this.#swaps.shift();
    const { connection, message } = swap;
    // Only in its own name does a host lead.
    const isOwn = message.next.leader === connection.host;
    const proposed = isOwn ? this.#register.proposed(message.expected, message.next) : undefined;
    if (proposed === undefined) {
      this.#answer(connection, message.number, { ok: true, swapped: false, text: "" });
      return this.#nextSwap();
    }
    this.#saving = true;
    this.#options.save(proposed, (error) => {
      this.#saving = false;
      if (error === undefined) {
        this.#adopt(proposed);
        this.#answer(connection, message.number, { ok: true, swapped: true, text: "" });
      } else {
        // It may be durable or not: the next one is compared with what was before, and overwrites it.
        this.#options.event({ kind: "save-failed", text: error });
        this.#answer(connection, message.number, { ok: false, swapped: false, text: error });
      }
      this.#nextSwap();
    });
  }

  #adopt(record: Leadership): void {
    this.#register.adopt(record);
    this.#filter.bind(this.#options.mac, record.token);
    this.#options.event({ kind: "leadership", record });
  }

  #answer(connection: Connection, number: number, answer: { ok: boolean; swapped: boolean; text: string }): void {
    if (!connection.open) return;
    connection.link.send(encodeEdgeMessage({ kind: "answer", number, record: this.record, ...answer }));
  }

  /** A frame from outside for the machine. */
  toMachine(frame: Uint8Array): void {
    const connection = this.#connections.get(this.record?.leader ?? "");
    if (connection?.link.isWritable !== true) {
      this.framesLost++;
      return;
    }
    this.framesOut++;
    connection.link.send(encodeEdgeMessage({ kind: "frame", token: 0, frame }));
  }
}
