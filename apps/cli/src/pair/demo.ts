// `doppel pair demo`: edge and two hosts as processes of this computer, a client that counts over one TCP connection, and
// SIGKILL for whichever host leads; twice.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askControl } from "./control.ts";
import { CountingClient } from "./counting-client.ts";
import { initPair } from "./init.ts";

/** Increments before, between and after the kills. */
const ROUND = 100;
const PATIENCE_MS = 60_000;

export async function runDemo(print: (text: string) => void): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "doppel-pair-"));
  const pair = new LocalPair(folder, await freePorts());
  try {
    print("starting an edge and two hosts, each a process of its own\n");
    pair.start("edge");
    pair.start("a");
    pair.start("b");
    await pair.protectedBy("a");
    const client = new CountingClient(pair.port + 3, "visits");
    await client.count(ROUND);
    print(`a leads, b follows; a client has counted to ${client.answered} over one TCP connection\n`);
    for (const [leader, next] of [
      ["a", "b"],
      ["b", "a"],
    ] as const) {
      client.longestGapMs = 0;
      pair.kill(leader);
      await client.count(ROUND);
      print(
        `${leader} was killed (SIGKILL); ${next} went on, and the client on its connection to ${client.answered}; ` +
          `the longest wait for an answer was ${Math.round(client.longestGapMs)} ms\n`,
      );
      pair.start(leader);
      await pair.protectedBy(next);
      print(`${leader} is back, and follows ${next}\n`);
    }
    const kept = await client.ask("get visits");
    const { staleFrames } = (await askControl(join(folder, "edge", "control.sock"), "status")) as {
      staleFrames: number;
    };
    client.close();
    const isRight = Number(kept) === client.answered && client.complaints.length === 0;
    print(
      `checked: ${client.answered} answers, each one more than the one before it; the machine says ${kept}; ` +
        `connections reset: ${client.resets}; frames of a host that was replaced, dropped at the edge: ${staleFrames}\n`,
    );
    for (const complaint of client.complaints) print(`WRONG: ${complaint}\n`);
    return isRight && client.resets === 0 ? 0 : 1;
  } finally {
    await pair.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Edge and hosts as children of this process. */
export class LocalPair {
  readonly folder: string;
  readonly port: number;
  readonly #config: string;
  readonly #children = new Map<string, ChildProcess>();
  readonly errors: string[] = [];

  constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
    this.#config = initPair({ pair: "demo", folder, port }).path;
  }

  start(name: string): void {
    const command = name === "edge" ? ["edge"] : ["host", name];
    const args = [...process.execArgv, process.argv[1], "pair", ...command, "--config", this.#config];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr?.on("data", (chunk: Buffer) => this.errors.push(`${name}: ${chunk.toString()}`));
    this.#children.set(name, child);
  }

  kill(name: string, signal: NodeJS.Signals = "SIGKILL"): void {
    this.#children.get(name)?.kill(signal);
  }

  /** The host leads, and another can take over. */
  async protectedBy(name: string): Promise<void> {
    const until = performance.now() + PATIENCE_MS;
    while (performance.now() < until) {
      const status = await this.status(name);
      if (status?.["mode"] === "protected" && Number(status["checkpoints"]) > 2) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${name} is not protected after ${PATIENCE_MS / 1000} s: ${this.errors.slice(-5).join("")}`);
  }

  async status(name: string): Promise<Record<string, unknown> | undefined> {
    try {
      return (await askControl(join(this.folder, name, "control.sock"), "status")) as Record<string, unknown>;
    } catch {
      return undefined;
    }
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
