// How a running edge or host is asked and told: a socket of the file system, one line of JSON each way.
import { rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { UsageError } from "../usage-error.ts";

export type Command = "status" | "failover" | "stop";
const commands: readonly string[] = ["status", "failover", "stop"] satisfies readonly Command[];

/** The longest question is a word. */
const maximumBytes = 64;

export function serveControl(path: string, answer: (command: Command) => unknown): { close(): void } {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    let text = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      const command = text.trim();
      if (text.length > maximumBytes) socket.destroy();
      else if (text.endsWith("\n")) {
        const known = commands.includes(command);
        socket.end(`${JSON.stringify(known ? answer(command as Command) : { error: "no such command" })}\n`);
      }
    });
  });
  server.listen(path);
  return {
    close: () => {
      server.close();
      rmSync(path, { force: true });
    },
  };
}

/** Rejects with a UsageError if nobody is there. */
export function askControl(path: string, command: Command): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = "";
    socket.on("connect", () => socket.write(`${command}\n`));
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    socket.on("error", () => reject(new UsageError(`nobody answers at ${path}`)));
    socket.on("close", () => {
      try {
        resolve(JSON.parse(text));
      } catch {
        reject(new UsageError(`nobody answers at ${path}`));
      }
    });
  });
}
