/** The terminal of the host through Node and stty(1), which can do what `setRawMode` cannot: leave output alone. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as tty from "node:tty";
import type { HostTerminal } from "../vfs/host.ts";
import { NodeEventStream } from "./streams.ts";

const DEFAULT_SIZE = { rows: 24, columns: 80 };

function stty(fd: number, ...values: readonly string[]): string | undefined {
  const result = spawnSync("stty", values, { stdio: [fd, "pipe", "ignore"], encoding: "latin1" });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

class NodeTerminal extends NodeEventStream implements HostTerminal {
  /** stty's own word for the settings that were found; undefined when there is no stty. */
  #saved: string | undefined = undefined;
  #taken = false;
  rawOutput = false;
  readonly #restore = (): void => this.release();

  constructor(fd: number) {
    super(fd, "terminal");
  }

  takeOver(): void {
    if (this.#taken) return;
    this.#taken = true;
    process.on("exit", this.#restore);
    this.#saved = stty(this.fd, "-g");
    this.rawOutput = this.#saved !== undefined && stty(this.fd, "raw", "-echo") !== undefined;
    if (!this.rawOutput) this.readStream()?.setRawMode(true);
  }

  release(): void {
    if (!this.#taken) return;
    this.#taken = false;
    process.off("exit", this.#restore);
    if (this.#saved !== undefined) stty(this.fd, this.#saved);
    else this.readStream()?.setRawMode(false);
  }

  suspend(): void {
    const taken = this.#taken;
    this.release();
    process.kill(process.pid, "SIGSTOP");
    if (taken) this.takeOver();
  }

  size(): { rows: number; columns: number } {
    for (const stream of [process.stdout, process.stderr]) {
      if (!stream.isTTY) continue;
      const [columns, rows] = stream.getWindowSize();
      return rows === 0 || columns === 0 ? DEFAULT_SIZE : { rows, columns };
    }
    const [rows, columns] = (stty(this.fd, "size") ?? "").split(" ").map(Number);
    return rows === undefined || columns === undefined || !(rows > 0) || !(columns > 0)
      ? DEFAULT_SIZE
      : { rows, columns };
  }

  onResize(callback: () => void): void {
    process.on("SIGWINCH", callback);
  }
}

/** The terminal among descriptors 0 to 2, else /dev/tty; undefined when there is none. */
export function nodeTerminal(): HostTerminal | undefined {
  for (const fd of [0, 1, 2]) {
    if (tty.isatty(fd)) return new NodeTerminal(fd);
  }
  try {
    return new NodeTerminal(fs.openSync("/dev/tty", "r+"));
  } catch {
    return undefined;
  }
}
