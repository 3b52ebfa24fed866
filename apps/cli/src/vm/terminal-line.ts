/** The terminal, or whatever standard input and output are, as a line of a machine. */
import { HostLine } from "./host-line.ts";

const CONTROL_A = 1;

export interface TerminalCommands {
  /** By the letter typed behind Ctrl-A; another letter, or Ctrl-A, is the guest's. */
  readonly [letter: string]: () => void;
}

export class TerminalLine {
  readonly line: HostLine = new HostLine();
  private isEscaped = false;

  /** From here on the terminal is the machine's. `gone` hears when nobody reads its output any more. */
  open(commands: TerminalCommands, gone: () => void): void {
    const { stdin, stdout } = process;
    if (stdin.isTTY) stdin.setRawMode(true);
    this.line.connect(stdout);
    stdout.on("error", () => {
      this.line.connect(undefined);
      gone();
    });
    this.line.onThrottle = (isFull) => (isFull ? stdin.pause() : stdin.resume());
    stdin.on("data", (bytes: Buffer) => this.line.give(this.withoutCommands(bytes, commands)));
    // Without input the machine runs on.
    stdin.on("error", () => {});
  }

  private withoutCommands(bytes: Uint8Array, commands: TerminalCommands): Uint8Array {
    if (!this.isEscaped && !bytes.includes(CONTROL_A)) return bytes;
    const guest: number[] = [];
    for (const byte of bytes) {
      if (this.isEscaped) {
        this.isEscaped = false;
        const letter = String.fromCharCode(byte);
        if (Object.hasOwn(commands, letter)) commands[letter]();
        else guest.push(byte);
      } else if (byte === CONTROL_A) this.isEscaped = true;
      else guest.push(byte);
    }
    return Uint8Array.from(guest);
  }

  close(): void {
    this.line.flush();
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}
