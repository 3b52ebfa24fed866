/** Servers and clients that talk over loopback, one side in the guest. */
import type { ChildProcess } from "node:child_process";
import { connect, createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

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

/** Resolves when somebody accepts connections there, and fails when `server` ends before. */
export async function listening(port: number, server: ChildProcess): Promise<void> {
  const output = collect(server);
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += POLL_MS) {
    if (server.exitCode !== null || server.signalCode !== null) break;
    if (await accepts(port)) return;
    await sleep(POLL_MS);
  }
  throw new Error(`nobody listens at port ${port}; the server said: ${output()}`);
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

/** What the program has printed so far. */
export function collect(program: ChildProcess): () => string {
  let text = "";
  const add = (chunk: Buffer): void => void (text += chunk.toString());
  program.stdout?.on("data", add);
  program.stderr?.on("data", add);
  return () => text;
}

export interface Ended {
  readonly output: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Waits for the program's end; kills it when it takes too long. */
export function ended(program: ChildProcess): Promise<Ended> {
  const output = collect(program);
  const killer = setTimeout(() => program.kill("SIGKILL"), PATIENCE_MS);
  return new Promise((resolve) => {
    program.once("close", (code, signal) => {
      clearTimeout(killer);
      resolve({ output: output(), code, signal });
    });
  });
}

/** Ends the program when the scope that holds this does. */
export function ending(program: ChildProcess): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      if (program.exitCode !== null || program.signalCode !== null) return;
      const closed = new Promise((resolve) => void program.once("close", resolve));
      program.kill("SIGKILL");
      await closed;
    },
  };
}
