/** What `--serial` and `--console` of `doppel vm` say, and the lines that they mean. */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { createServer, type Socket } from "node:net";
import { parseStreamAddress, type StreamAddress, StreamAddressError } from "@doppel/emulator/node";
import { systemMessage } from "../options.ts";
import { UsageError } from "../usage-error.ts";
import { HostLine } from "./host-line.ts";
import { listen } from "./listening.ts";

export type LineOption =
  | { readonly to: "stdio" }
  | { readonly to: "none" }
  | { readonly to: "file"; readonly path: string }
  | { readonly to: "socket"; readonly address: StreamAddress };

export interface OpenLine {
  readonly line: HostLine;
  /** Writes out what is left. */
  readonly close: () => Promise<void>;
}

/** Reads `stdio`, `none`, `tcp:HOST:PORT`, `unix:PATH` or the name of a file. */
export function parseLineOption(option: string, text: string): LineOption {
  if (text === "") throw new UsageError(`vm: ${option} is stdio, none, tcp:HOST:PORT, unix:PATH or a file`);
  if (text === "stdio" || text === "none") return { to: text };
  const tcp = /^tcp:(.*)$/s.exec(text)?.[1];
  if (tcp === undefined && !text.startsWith("unix:")) return { to: "file", path: text };
  try {
    return { to: "socket", address: parseStreamAddress(tcp ?? text) };
  } catch (error) {
    if (!(error instanceof StreamAddressError)) throw error;
    throw new UsageError(`vm: ${option}: ${text} is no address: tcp:HOST:PORT or unix:PATH`);
  }
}

/** Opens a line that does not need the terminal. */
export async function openLine(
  option: string,
  target: Exclude<LineOption, { to: "stdio" }>,
  note: (message: string) => void,
): Promise<OpenLine> {
  try {
    if (target.to === "file") return await fileLine(target.path, note);
    if (target.to === "socket") return await socketLine(target.address, (message) => note(`${option}: ${message}`));
    return { line: new HostLine(), close: () => Promise.resolve() };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new UsageError(`vm: ${option}: ${systemMessage(error)}`);
  }
}

/** What the guest sends goes to a file, which is made anew. */
async function fileLine(path: string, note: (message: string) => void): Promise<OpenLine> {
  const line = new HostLine();
  const file = createWriteStream(path);
  await once(file, "open");
  file.on("error", (error) => {
    note(`${path}: ${systemMessage(error)}`);
    line.connect(undefined);
  });
  line.connect(file);
  const close = async (): Promise<void> => {
    line.flush();
    if (file.destroyed) return;
    await new Promise<void>((resolve) => {
      file.once("error", () => resolve());
      file.end(() => resolve());
    });
  };
  return { line, close };
}

/** Waits for somebody to connect, one at a time; what is sent meanwhile is lost. */
async function socketLine(address: StreamAddress, note: (message: string) => void): Promise<OpenLine> {
  const line = new HostLine();
  let current: Socket | undefined;
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    if (current !== undefined) {
      socket.end("another is connected\r\n");
      return;
    }
    current = socket;
    line.connect(socket);
    line.onThrottle = (isFull) => (isFull ? socket.pause() : socket.resume());
    socket.on("data", (bytes: Buffer) => line.give(bytes));
    socket.on("close", () => {
      current = undefined;
      line.connect(undefined);
    });
  });
  note(`waiting at ${await listen(server, address)}`);
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      line.flush();
      current?.end();
      current?.unref();
      server.close();
      resolve();
    });
  return { line, close };
}
