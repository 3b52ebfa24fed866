/** A server under a contender, and a native client that keeps it busy: what is timed is the client. */
import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { childrenUserSeconds, measure, type Measurement } from "./measure.ts";
import type { Task } from "./task.ts";

const READY_TIMEOUT_MS = 60_000;
const RETRY_MS = 50;

export async function measureServer(
  command: readonly string[],
  client: NonNullable<Task["client"]>,
  folder: string,
): Promise<Measurement> {
  const userBefore = childrenUserSeconds();
  const [file = "", ...args] = command;
  const server = spawn(file, args, { cwd: folder, stdio: "ignore" });
  const ended = new Promise<void>((resolve) => {
    server.once("close", () => resolve());
    server.once("error", () => resolve());
  });
  try {
    if (!(await listening(server, client.port))) {
      return failed("the server did not listen");
    }
    const measured = await measure(client.command, { cwd: folder });
    server.kill("SIGTERM");
    await ended;
    // What a client prints are times; its processor time goes with the server's, which cannot be told apart from it.
    return { ...measured, output: "", userSeconds: childrenUserSeconds() - userBefore };
  } finally {
    if (server.exitCode === null) server.kill("SIGKILL");
  }
}

function failed(complaint: string): Measurement {
  return { wallSeconds: Number.NaN, userSeconds: Number.NaN, status: "failed", output: "", complaint };
}

async function listening(server: ChildProcess, port: number): Promise<boolean> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadlineMs && server.exitCode === null) {
    if (await accepts(port)) return true;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  return false;
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
