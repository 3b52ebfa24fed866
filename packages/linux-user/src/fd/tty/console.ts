/**
 * The terminal that the emulator was started from, as the guest's /dev/pts/0. The host's own line discipline is in
 * charge until the guest reads from the terminal or changes its settings: a program that only prints leaves the
 * terminal as it was. From then on the host is raw and everything is done here.
 */
import { EAGAIN } from "../../kernel/errno.ts";
import { makeDevice } from "../../vfs/constants.ts";
import type { HostTerminal } from "../../vfs/host.ts";
import { Terminal, type TerminalPort } from "./terminal.ts";
import { ONLCR, OPOST, type Termios } from "./termios.ts";

/** Input that no guest has read: beyond it the host is left to keep the rest. */
const UNREAD_BYTES = 4096;
const READ_BYTES = 4096;
const NEWLINE = 10;
const LINE_FEED_ONLY = 11;

class ConsolePort implements TerminalPort {
  readonly #host: HostTerminal;
  readonly #terminal: Terminal;
  #takenOver = false;
  #listening = false;
  #full = false;

  constructor(host: HostTerminal, terminal: Terminal) {
    this.#host = host;
    this.#terminal = terminal;
  }

  get processesOutput(): boolean {
    return this.#takenOver;
  }

  get hungUp(): boolean {
    return this.#host.available() < 0;
  }

  get hasRoom(): boolean {
    return !this.#full;
  }

  send(bytes: Uint8Array): number {
    if (this.#full) return 0;
    const count = this.#host.write(this.#adapt(bytes));
    if (count === bytes.length) return count;
    if (count < 0 && count !== -EAGAIN) return bytes.length;
    this.#full = true;
    this.#host.onWritable(() => {
      this.#full = false;
      this.#terminal.resume();
    });
    return Math.max(count, 0);
  }

  /**
   * A host that still adds a return to every newline, and a guest that wants none: terminals take a vertical tab as
   * the bare line feed.
   */
  #adapt(bytes: Uint8Array): Uint8Array {
    const plain = OPOST | ONLCR;
    if (!this.#takenOver || this.#host.rawOutput) return bytes;
    if ((this.#terminal.termios.outputFlags & plain) === plain) return bytes;
    return bytes.map((byte) => (byte === NEWLINE ? LINE_FEED_ONLY : byte));
  }

  wanted(): void {
    this.#takeOver();
    if (this.#listening || this.hungUp || this.#terminal.discipline.available >= UNREAD_BYTES) return;
    this.#listening = true;
    this.#host.onReadable(() => {
      this.#listening = false;
      this.#arrived();
    });
  }

  #arrived(): void {
    const bytes = new Uint8Array(READ_BYTES);
    for (let count = this.#host.read(bytes); count > 0; count = this.#host.read(bytes)) {
      this.#terminal.receive(bytes.slice(0, count));
    }
    if (this.hungUp) this.#terminal.hangUp();
    // Signals are typed too: once it listens, the console listens on.
    this.wanted();
  }

  configured(_termios: Termios): void {
    this.wanted();
  }

  #takeOver(): void {
    if (this.#takenOver) return;
    this.#takenOver = true;
    this.#host.takeOver();
  }
}

/** The console on a host terminal. */
export function makeConsole(host: HostTerminal): Terminal {
  const terminal = new Terminal("pts/0", makeDevice(136, 0));
  terminal.port = new ConsolePort(host, terminal);
  const measure = (): void => {
    const { rows, columns } = host.size();
    terminal.resize(rows, columns);
  };
  measure();
  host.onResize(measure);
  return terminal;
}
