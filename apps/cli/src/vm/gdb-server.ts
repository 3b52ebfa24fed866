/** `--gdb`: a port at which gdb, one at a time, debugs the machine. */
import { createServer, type Socket } from "node:net";
import { type DebuggedMachine, MachineDebugger } from "@doppel/emulator";
import { GdbSession } from "@doppel/pc-machine";
import type { StreamAddress } from "@doppel/emulator/node";
import { UsageError } from "../usage-error.ts";
import { listen } from "./listening.ts";
import { parseSettings } from "./settings.ts";

export interface GdbOption {
  readonly address: StreamAddress;
  /** The machine does not start before a debugger says so. */
  readonly waits: boolean;
}

/** Reads `PORT[,wait=on|off]`: a port of this host's loopback address, which nobody else reaches. */
export function parseGdbOption(text: string): GdbOption {
  const { value, settings } = parseSettings("--gdb", text, ["wait"]);
  const port = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (!(port <= 65_535)) throw new UsageError(`vm: --gdb is the number of a port, not ${value}`);
  const wait = settings.at(-1)?.[1] ?? "off";
  if (wait !== "on" && wait !== "off") throw new UsageError(`vm: --gdb: wait is on or off, not ${wait}`);
  return { address: { host: "127.0.0.1", port }, waits: wait === "on" };
}

export interface GdbServer {
  /** A debugger is there; or one is waited for. */
  readonly isAttached: () => boolean;
  /** The machine has ended. */
  readonly ended: (status: number) => void;
  readonly close: () => void;
}

export async function serveGdb(
  { address, waits }: GdbOption,
  debugged: DebuggedMachine,
  note: (message: string) => void,
): Promise<GdbServer> {
  let current: { readonly socket: Socket; readonly target: MachineDebugger } | undefined;
  let isAwaited = waits;
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    if (current !== undefined) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    isAwaited = false;
    const target = new MachineDebugger(debugged);
    current = { socket, target };
    const session = new GdbSession(
      target,
      (bytes) => socket.writable && socket.write(bytes),
      () => socket.end(),
    );
    socket.on("data", (bytes: Buffer) => session.receive(bytes));
    socket.on("close", () => {
      current = undefined;
      session.closed();
    });
  });
  note(`gdb: target remote :${(await listen(server, address)).replace(/^port /, "")}`);
  return {
    isAttached: () => isAwaited || current !== undefined,
    ended: (status) => current?.target.ended(status),
    close: () => {
      server.close();
      current?.socket.end();
      current?.socket.unref();
    },
  };
}
