// Serves disks to NBD clients over TCP or a socket of the file system.
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { NbdSession } from "../nbd/session.ts";
import type { NbdExport } from "../nbd/session.ts";

export type NbdAddress = { readonly host: string; readonly port: number } | { readonly path: string };

export interface NbdServerOptions {
  readonly at: NbdAddress;
  readonly exports: ReadonlyMap<string, NbdExport>;
  /** A connection that ended by somebody's fault, and why. */
  readonly complained?: (text: string) => void;
}

export interface NbdServer {
  /** 0 for a socket of the file system. */
  readonly port: number;
  /** Ends all connections; resolves when none is left. */
  close(): Promise<void>;
}

/** Rejects if the address is taken. */
export function serveNbd({ at, exports, complained = () => undefined }: NbdServerOptions): Promise<NbdServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    attach(socket, exports, complained);
    socket.on("close", () => sockets.delete(socket));
  });
  const close = (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen("path" in at ? { path: at.path } : at, () => {
      server.off("error", reject);
      const address = server.address();
      resolve({ port: typeof address === "object" && address !== null ? address.port : 0, close });
    });
  });
}

function attach(socket: Socket, exports: ReadonlyMap<string, NbdExport>, complained: (text: string) => void): void {
  socket.setNoDelay(true);
  const flow = (): void => {
    // A client that does not read its replies is not asked for more requests.
    if (session.wantsInput && !socket.writableNeedDrain) socket.resume();
    else socket.pause();
  };
  const session: NbdSession = new NbdSession({
    exports,
    send: (bytes) => socket.write(bytes),
    closed: (reason) => {
      if (reason !== undefined) complained(`${socket.remoteAddress ?? "a client"}: ${reason}`);
      socket.end();
      // A client that was complained about may go on sending for ever.
      if (reason !== undefined) socket.destroySoon();
    },
    ready: flow,
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => session.disconnected());
  socket.on("drain", flow);
  socket.on("data", (chunk: Uint8Array) => {
    session.receive(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    flow();
  });
  session.start();
}
