/** Servers and clients that talk over loopback, one side in the guest. */
import { type ChildProcess, spawn } from "node:child_process";
import { connect, createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { environment } from "./run.ts";

const PATIENCE_MS = 90_000;
const POLL_MS = 50;

/** A TCP port of loopback that nobody listens at. */
export function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** A program that runs beside the test, and is killed at the latest when the scope that holds it ends. */
export class Background implements AsyncDisposable {
  /** What it has printed so far. */
  output = "";
  /** Its status or signal, once it has ended. */
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly #process: ChildProcess;
  readonly #printed: (() => void)[] = [];
  #running = true;

  constructor(argv: readonly string[], cwd: string, patienceMs: number = PATIENCE_MS) {
    const [file = "", ...args] = argv;
    this.#process = spawn(file, args, { cwd, env: environment(cwd), stdio: ["pipe", "pipe", "pipe"] });
    const add = (chunk: Buffer): void => {
      this.output += chunk.toString();
      for (const listener of this.#printed) listener();
    };
    this.#process.stdout?.on("data", add);
    this.#process.stderr?.on("data", add);
    const killer = setTimeout(() => this.#process.kill("SIGKILL"), patienceMs);
    this.ended = new Promise((resolve) => {
      this.#process.once("close", (code, signal) => {
        clearTimeout(killer);
        this.#running = false;
        resolve(code ?? signal ?? -1);
        for (const listener of this.#printed) listener();
      });
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  write(text: string): void {
    this.#process.stdin?.write(text);
  }

  /** Ends its input and waits for its end. */
  async finish(): Promise<number | NodeJS.Signals> {
    this.#process.stdin?.end();
    return await this.ended;
  }

  /** Its output once that contains `text`, or when it has ended. */
  async prints(text: string): Promise<string> {
    while (this.#running && !this.output.includes(text)) {
      await new Promise<void>((resolve) => void this.#printed.push(resolve));
    }
    return this.output;
  }

  /** Resolves when somebody accepts connections at a port; fails when this program ends before. */
  async listensAt(port: number): Promise<void> {
    while (this.#running) {
      if (await accepts(port)) return;
      await sleep(POLL_MS);
    }
    throw new Error(`nobody listens at port ${port}; the server said: ${this.output}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running) this.#process.kill("SIGKILL");
    await this.ended;
  }
}

/** Runs a command natively to its end and gives what it printed. */
export async function output(argv: readonly string[], cwd: string): Promise<string> {
  await using program = new Background(argv, cwd);
  await program.finish();
  return program.output;
}
