// A pair whose edge and hosts are processes of this computer: for the demonstration and the tests.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { connect, createServer } from "node:net";
import { askControl } from "./control.ts";
import type { Command } from "./control.ts";
import { initPair } from "./init.ts";

const PATIENCE_MS = 60_000;
const ANSWER_MS = 3000;

export interface LocalPairOptions {
  /** What `machine:` of the configuration says, and where its service listens. */
  readonly machine?: Readonly<Record<string, unknown>> | undefined;
  readonly machinePort?: number | undefined;
}

/** Edge and hosts as children of this process. */
export class LocalPair {
  readonly folder: string;
  readonly port: number;
  readonly #config: string;
  readonly #command: readonly string[];
  readonly #children = new Map<string, ChildProcess>();
  readonly errors: string[] = [];

  /** `command`: what Node is given to be this command line. */
  constructor(folder: string, port: number, command: readonly string[], options: LocalPairOptions = {}) {
    this.folder = folder;
    this.#command = command;
    this.port = port;
    this.#config = initPair({ pair: "demo", folder, port, ...options }).path;
  }

  start(name: string): void {
    const command = name === "edge" ? ["edge"] : ["host", name];
    const args = [...this.#command, "pair", ...command, "--config", this.#config];
    // By the channel they notice when this process ends, however it does.
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    child.stderr?.on("data", (chunk: Buffer) => this.errors.push(`${name}: ${chunk.toString()}`));
    this.#children.set(name, child);
  }

  kill(name: string, signal: NodeJS.Signals = "SIGKILL"): void {
    this.#children.get(name)?.kill(signal);
  }

  /** The machine's service answers. */
  async serves(patienceMs: number): Promise<void> {
    const until = performance.now() + patienceMs;
    while (performance.now() < until) {
      if (await answers(this.port + 3)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`the machine does not answer after ${patienceMs / 1000} s: ${this.errors.slice(-5).join("")}`);
  }

  /** The host leads, and another can take over. */
  async protectedBy(name: string, patienceMs: number = PATIENCE_MS): Promise<void> {
    const until = performance.now() + patienceMs;
    while (performance.now() < until) {
      const status = await this.status(name);
      if (status?.["mode"] === "protected") return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${name} is not protected after ${patienceMs / 1000} s: ${this.errors.slice(-5).join("")}`);
  }

  async status(name: string): Promise<Record<string, unknown> | undefined> {
    try {
      return (await this.ask(name, "status")) as Record<string, unknown>;
    } catch {
      return undefined;
    }
  }

  ask(name: string, command: Command): Promise<unknown> {
    return askControl(join(this.folder, name, "control.sock"), command);
  }

  async end(): Promise<void> {
    const gone = [...this.#children.values()].map((child) =>
      child.exitCode === null && child.signalCode === null
        ? new Promise<void>((resolve) => child.once("exit", () => resolve()))
        : Promise.resolve(),
    );
    for (const child of this.#children.values()) child.kill("SIGKILL");
    await Promise.all(gone);
  }
}

/** Whether anything comes back for a line, before the connection ends or a while has passed. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\n"));
    const end = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(ANSWER_MS, () => end(false));
    socket.once("data", () => end(true));
    socket.once("error", () => end(false));
    socket.once("end", () => end(false));
  });
}

/** The first of four ports that are free now. */
export async function freePorts(): Promise<number> {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 40_000);
    const free = await Promise.all([0, 1, 2, 3].map((at) => isFree(first + at)));
    if (free.every(Boolean)) return first;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
