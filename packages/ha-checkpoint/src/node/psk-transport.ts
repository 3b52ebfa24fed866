// Links over TCP and TLS, authenticated both ways by pre-shared keys.
//
// TLS 1.3 with external keys (RFC 8446, 4.2.11) in the mode that also exchanges ephemeral keys, so that recorded traffic
// stays closed when a key is lost. Chosen over certificates: a pair has three parties that know each other by name, keys are
// made where the configuration is, and nothing expires at night. Each host has a key of its own, which names it: whoever
// has the key of A is A.
import { connect, createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { FrameReader } from "../epochs/messages.ts";
import type { Link, LinkHandler } from "../failover/link.ts";

/** The names that are known, and their keys of 32 bytes. */
export type Keys = ReadonlyMap<string, Uint8Array>;

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

const protocol = {
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  // External keys are bound to SHA-256.
  ciphers: "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256",
} as const;

/** A handshake takes some round trips and no more. */
const handshakeMs = 3000;

export interface Listener {
  readonly port: number;
  close(): void;
}

/**
 * Listens; whoever proves to have a key is handed over under its name. `rejected` hears of those who did not.
 * Rejects if the address is taken.
 */
export function listen(
  at: Endpoint,
  keys: Keys,
  accept: (link: Link, name: string) => LinkHandler | undefined,
  rejected: (text: string) => void = () => undefined,
): Promise<Listener> {
  const names = new WeakMap<TLSSocket, string>();
  const server = createServer(
    {
      ...protocol,
      handshakeTimeout: handshakeMs,
      pskCallback: (socket, identity) => {
        const key = keys.get(identity);
        if (key === undefined) return null;
        names.set(socket, identity);
        return key;
      },
    },
    (socket) => {
      const name = names.get(socket);
      if (name === undefined) socket.destroy();
      else attach(socket, (link) => accept(link, name));
    },
  );
  server.on("tlsClientError", (error, socket) => {
    rejected(`${socket.remoteAddress ?? "somebody"}: ${error.message}`);
    socket.destroy();
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(at.port, at.host, () => {
      server.off("error", reject);
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : at.port;
      resolve({ port, close: () => server.close() });
    });
  });
}

/** Connects under a name; calls back once, without a link if that failed, with the reason. */
export function dial(
  to: Endpoint,
  name: string,
  key: Uint8Array,
  done: (link: Link | undefined, reason?: string) => LinkHandler | undefined,
): void {
  const socket = connect({
    ...protocol,
    host: to.host,
    port: to.port,
    checkServerIdentity: () => undefined,
    pskCallback: () => ({ psk: key, identity: name }),
  });
  const giveUp = setTimeout(() => socket.destroy(new Error("no answer")), handshakeMs);
  const fail = (error?: Error): void => {
    // An error is followed by the end.
    socket.off("error", fail);
    socket.off("close", fail);
    socket.on("error", () => undefined);
    clearTimeout(giveUp);
    socket.destroy();
    done(undefined, error?.message ?? "the connection ended");
  };
  socket.once("error", fail);
  socket.once("close", fail);
  socket.once("secureConnect", () => {
    clearTimeout(giveUp);
    socket.off("error", fail);
    socket.off("close", fail);
    attach(socket, (link) => done(link));
  });
}

function attach(socket: TLSSocket, open: (link: Link) => LinkHandler | undefined): void {
  const reader = new FrameReader();
  let isOpen = true;
  let reason = "the peer closed the connection";
  socket.setNoDelay(true);
  const link: Link = {
    send: (frame) => {
      if (isOpen) socket.write(frame);
    },
    get isWritable() {
      return isOpen && !socket.writableNeedDrain;
    },
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      // What was written before goes out first; a peer that takes nothing is not waited for.
      socket.end();
      setTimeout(() => socket.destroy(), 1000).unref();
    },
  };
  const handler = open(link);
  socket.on("data", (chunk: Uint8Array) => {
    // As plain bytes: a Buffer's methods differ where it matters.
    const frames = isOpen ? reader.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length)) : [];
    if (frames === undefined) {
      reason = "the peer sent what is no frame";
      socket.destroy();
      return;
    }
    for (const frame of frames) if (isOpen) handler?.frame(frame);
  });
  socket.on("drain", () => {
    if (isOpen) handler?.drained();
  });
  socket.on("error", (error) => {
    reason = error.message;
  });
  socket.on("close", () => {
    if (!isOpen) return;
    isOpen = false;
    handler?.closed(reason);
  });
  socket.on("end", () => socket.destroy());
}
