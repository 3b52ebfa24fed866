// A client that increments a number over one TCP connection, and holds every answer to the one before it: an increment that
// is answered twice, lost, or taken back shows.
import { connect } from "node:net";
import type { Socket } from "node:net";

const PATIENCE_MS = 30_000;

/** How a service is asked to count, by lines. */
export interface Dialect {
  readonly increment: (key: string) => string;
  readonly read: (key: string) => string;
  /** The number in an answer. */
  readonly number: (line: string) => string;
}

/** The model machine, and the guest of `guests/machine/store`. */
export const plainDialect: Dialect = {
  increment: (key) => `incr ${key}`,
  read: (key) => `get ${key}`,
  number: (line) => line,
};

/** Inline commands of redis, whose answers are one line: ":" and the number. */
export const redisDialect: Dialect = {
  increment: (key) => `INCR ${key}`,
  read: (key) => `INCRBY ${key} 0`,
  number: (line) => line.replace(/^:/, ""),
};

export class CountingClient {
  readonly #socket: Socket;
  readonly #key: string;
  readonly #dialect: Dialect;
  #text = "";
  #answer: ((line: string) => void) | undefined;
  /** Increments that were answered. */
  answered = 0;
  /** How often the connection ended. */
  resets = 0;
  longestGapMs = 0;
  readonly complaints: string[] = [];

  constructor(port: number, key: string, dialect: Dialect = plainDialect) {
    this.#key = key;
    this.#dialect = dialect;
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk.toString()));
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => this.#ended());
  }

  #receive(chunk: string): void {
    this.#text += chunk;
    for (let end = this.#text.indexOf("\n"); end >= 0; end = this.#text.indexOf("\n")) {
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 1);
      const answer = this.#answer;
      this.#answer = undefined;
      if (answer === undefined) this.complaints.push(`"${line}" was not asked for`);
      answer?.(line.replace(/\r$/, ""));
    }
  }

  #ended(): void {
    this.resets++;
    this.#answer?.("connection ended");
  }

  /** Rejects when there is no answer for longer than any failover takes. */
  ask(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer to "${line}" in ${PATIENCE_MS / 1000} s`)),
        PATIENCE_MS,
      );
      this.#answer = (answer) => {
        clearTimeout(timer);
        resolve(answer);
      };
      this.#socket.write(`${line}\n`);
    });
  }

  async count(times: number): Promise<void> {
    for (let at = 0; at < times && this.resets === 0; at++) {
      const asked = performance.now();
      const line = this.#dialect.number(await this.ask(this.#dialect.increment(this.#key)));
      this.longestGapMs = Math.max(this.longestGapMs, performance.now() - asked);
      this.answered++;
      if (line !== String(this.answered)) this.complaints.push(`answer ${this.answered} was "${line}"`);
    }
  }

  /** The number as the machine has it. */
  async read(): Promise<string> {
    return this.#dialect.number(await this.ask(this.#dialect.read(this.#key)));
  }

  close(): void {
    this.#socket.removeAllListeners("close");
    this.#socket.destroy();
  }
}
