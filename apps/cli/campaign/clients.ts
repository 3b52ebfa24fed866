// Clients outside: each asks over one TCP connection, one question at a time, for as long as the campaign lasts, and all
// that they ask and are told is in one history.
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { Action, History, Operation, Value } from "./history.ts";

/** How a service of the machine is asked. */
export interface Protocol {
  encode(operation: Operation): string | Uint8Array;
  /** The first answer in what was received, and where it ends; undefined: there is more to come. */
  decode(
    received: Buffer,
    operation: Operation,
  ): { readonly answer: string | Failed; readonly end: number } | undefined;
}

/** An answer that says what went wrong; and that nothing was done, or nothing of whether it was. */
export interface Failed {
  readonly failed: string;
  readonly refused?: true;
}

/** One line each way: `set KEY VALUE`, `get KEY`, `incr KEY`. */
export const lineProtocol: Protocol = {
  encode: ({ action, key, value }) =>
    action === "set" ? `set ${key} ${value ?? ""}\n` : `${action === "get" ? "get" : "incr"} ${key}\n`,
  decode: (received, { action, value = "" }) => {
    const end = received.indexOf(10);
    if (end < 0) return undefined;
    const line = received.toString("utf8", 0, end).replace(/\r$/, "");
    return { answer: lineAnswer(line, action === "set" ? value : ""), end: end + 1 };
  },
};

/** `OK` stands for the value that was set; the machine that is no machine repeats it. */
function lineAnswer(line: string, set: Value): string | Failed {
  if (line === "busy") return { failed: line, refused: true };
  if (line === "error" || line.startsWith("ERR ")) return { failed: line };
  return line === "OK" ? set : line;
}

/** REdis Serialization Protocol, version 2: as far as these three commands and their answers go. */
export const redisProtocol: Protocol = {
  encode: ({ action, key, value = "" }) => {
    const words = action === "set" ? ["SET", key, value] : [action === "get" ? "GET" : "INCR", key];
    const bulk = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    return `*${words.length}\r\n${bulk.join("")}`;
  },
  decode: (received, { action, value = "" }) => {
    const line = received.indexOf("\r\n");
    if (line < 0) return undefined;
    const first = received.toString("utf8", 1, line);
    switch (String.fromCodePoint(received[0])) {
      case "+":
        return { answer: action === "set" ? value : first, end: line + 2 };
      case ":":
        return { answer: first, end: line + 2 };
      case "$": {
        const length = Number(first);
        if (length < 0) return { answer: "", end: line + 2 };
        const end = line + 2 + length;
        return received.length < end + 2
          ? undefined
          : { answer: received.toString("utf8", line + 2, end), end: end + 2 };
      }
      default:
        return { answer: { failed: received.toString("utf8", 0, line) }, end: line + 2 };
    }
  },
};

/** Keys that all clients write, so that there is something to disagree about. */
const REGISTERS = ["r1", "r2", "r3"];
const COUNTERS = ["n1", "n2"];
/** Longest pause between an answer and the next question. */
const THINK_MS = 8;
/** Between two attempts to connect. */
const RETRY_MS = 50;
/** No failover takes as long. */
const PATIENCE_MS = 60_000;

/** What answers at a port of the machine. */
export interface Service {
  readonly name: string;
  readonly machinePort: number;
  readonly protocol: Protocol;
}

export interface ClientPorts {
  readonly port: number;
  readonly protocol: Protocol;
  /** Keys of one service are not another's. */
  readonly prefix: string;
  readonly history: History;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly answered: (ms: number, waitedMs: number) => void;
}

const now = (): number => performance.timeOrigin + performance.now();

export class Client {
  readonly #number: number;
  readonly #ports: ClientPorts;
  #socket: Socket | undefined;
  #received: Buffer = Buffer.alloc(0);
  #answer: ((answer: string | Failed | undefined) => void) | undefined;
  #asked: Operation = { client: 0, key: "", action: "get" };
  #values = 0;
  /** Asked over a connection that ended before there was an answer. */
  readonly #lost: number[] = [];
  #running = false;
  #stopped: Promise<void> = Promise.resolve();
  /** How often its connection ended. */
  resets = 0;
  readonly complaints: string[] = [];

  constructor(number: number, ports: ClientPorts) {
    this.#number = number;
    this.#ports = ports;
  }

  start(): void {
    this.#running = true;
    this.#stopped = this.#run();
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#stopped;
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }

  async #run(): Promise<void> {
    const { random } = this.#ports;
    while (this.#running) {
      const counts = random() < 0.4;
      const keys = counts ? [...COUNTERS, `own${this.#number}`] : REGISTERS;
      const key = this.#ports.prefix + keys[Math.floor(random() * keys.length)];
      const action: Action = random() < 0.35 ? "get" : counts ? "increment" : "set";
      await this.#perform({ client: this.#number, key, action, value: `${this.#number}.${++this.#values}` });
      await new Promise((resolve) => setTimeout(resolve, this.#socket === undefined ? RETRY_MS : random() * THINK_MS));
    }
  }

  /** Reads all keys once more, when nobody writes any more. */
  async readAll(): Promise<void> {
    for (const key of [...REGISTERS, ...COUNTERS, `own${this.#number}`]) {
      await this.#perform({ client: this.#number, key: this.#ports.prefix + key, action: "get" });
    }
  }

  async #perform(operation: Operation): Promise<void> {
    const { history, protocol, answered } = this.#ports;
    // What is asked before there is a connection is asked of nobody.
    const socket = this.#socket ?? (await this.#connect());
    if (socket === undefined) return;
    this.#asked = operation;
    const number = history.ask(operation, now());
    const asked = now();
    const answer = await new Promise<string | Failed | undefined>((resolve) => {
      const timer = setTimeout(() => {
        this.complaints.push(`client ${this.#number} had no answer for ${PATIENCE_MS / 1000} s`);
        socket.destroy();
      }, PATIENCE_MS);
      this.#answer = (given) => {
        clearTimeout(timer);
        resolve(given);
      };
      socket.write(protocol.encode(operation));
    });
    if (answer === undefined) {
      history.lose(number);
      this.#lost.push(number);
      return;
    }
    // The machine takes one thing after another: what came over the connection before this one, it has dealt with.
    for (const lost of this.#lost.splice(0)) history.settle(lost);
    const ms = now();
    answered(ms, ms - asked);
    if (typeof answer === "string") history.answer(number, answer satisfies Value, ms);
    else if (answer.refused === true) history.withdraw(number);
    else this.complaints.push(`client ${this.#number}: ${operation.action} ${operation.key}: ${answer.failed}`);
  }

  /** Undefined: refused, as it is for as long as there is no edge. */
  #connect(): Promise<Socket | undefined> {
    const socket = connect(this.#ports.port, "127.0.0.1");
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    return new Promise((resolve) => {
      socket.once("connect", () => {
        this.#socket = socket;
        this.#received = Buffer.alloc(0);
        resolve(socket);
      });
      socket.once("close", () => {
        resolve(undefined);
        if (this.#socket !== socket) return;
        this.#socket = undefined;
        this.resets++;
        this.#give(undefined);
      });
    });
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      const decoded = this.#ports.protocol.decode(this.#received, this.#asked);
      if (decoded === undefined) return;
      this.#received = this.#received.subarray(decoded.end);
      this.#give(decoded.answer);
    }
  }

  #give(answer: string | Failed | undefined): void {
    const waiting = this.#answer;
    this.#answer = undefined;
    if (waiting === undefined && answer !== undefined) {
      const said = typeof answer === "string" ? answer : answer.failed;
      this.complaints.push(`client ${this.#number} was told "${said}" and had not asked`);
    }
    waiting?.(answer);
  }
}
