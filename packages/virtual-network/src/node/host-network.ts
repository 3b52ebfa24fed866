/** The host's network as Node has it: ordinary sockets of this process, no privileges. */
import { createSocket, type Socket as DatagramSocket, type SocketType } from "node:dgram";
import { getServers } from "node:dns";
import { connect, createServer, isIPv6, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import {
  type HostDatagrams,
  type HostEndpoint,
  type HostListener,
  type HostNetwork,
  type HostStream,
  type HostStreamEnd,
  type HostStreamEvents,
} from "../gateway/host-network.ts";

const DNS_PORT = 53;

const ends: Readonly<Record<string, HostStreamEnd>> = {
  ECONNREFUSED: "refused",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  EACCES: "unreachable",
  EPERM: "unreachable",
  ETIMEDOUT: "timeout",
};

export function nodeHostNetwork(): HostNetwork {
  return {
    resolvers: () => getServers().map(parseServer),
    connect: (to, events) => {
      const socket = connect({ host: to.address, port: to.port, allowHalfOpen: true });
      socket.once("connect", () => events.connected());
      return hostStream(socket, () => events);
    },
    listen: (at, accept) =>
      new Promise((resolve, reject) => {
        const server = createServer({ allowHalfOpen: true }, (socket) => {
          const stream = hostStream(socket, () => events);
          const events = accept(stream);
        });
        server.once("error", reject);
        server.listen({ host: at.address, port: at.port }, () => {
          server.off("error", reject);
          // An accept that failed, for want of descriptors perhaps, is the client's to try again.
          server.on("error", () => {});
          resolve({ endpoint: endpointOf(server.address() as AddressInfo), close: () => server.close() });
        });
      }),
    openDatagrams: (receive) => openDatagrams(receive),
    bindDatagrams: (at, receive) =>
      new Promise((resolve, reject) => {
        const socket = datagramSocket(isIPv6(at.address) ? "udp6" : "udp4", receive);
        socket.once("error", reject);
        socket.bind(at.port, at.address, () => {
          socket.off("error", reject);
          const listener: HostDatagrams & HostListener = {
            endpoint: endpointOf(socket.address()),
            send: (bytes, to) => socket.send(bytes, to.port, to.address, () => {}),
            close: () => socket.close(),
          };
          resolve(listener);
        });
      }),
  };
}

function hostStream(socket: Socket, eventsOf: () => HostStreamEvents): HostStream {
  let end: HostStreamEnd = "finished";
  let aborted = false;
  const events = (): HostStreamEvents | undefined => (aborted ? undefined : eventsOf());
  socket.setNoDelay(true);
  socket.on("data", (bytes) => events()?.data(bytes));
  socket.on("end", () => events()?.ended());
  socket.on("error", (error: NodeJS.ErrnoException) => {
    end = ends[error.code ?? ""] ?? "reset";
  });
  socket.on("close", () => events()?.closed(end));
  return {
    write: (bytes) => {
      socket.write(bytes, () => events()?.flushed(bytes.length));
    },
    end: () => {
      socket.end();
    },
    abort: () => {
      aborted = true;
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    },
    pause: () => {
      socket.pause();
    },
    resume: () => {
      socket.resume();
    },
  };
}

function datagramSocket(type: SocketType, receive: (bytes: Uint8Array, from: HostEndpoint) => void): DatagramSocket {
  const socket = createSocket(type);
  socket.on("message", receive);
  // What cannot be sent is lost, as datagrams are.
  socket.on("error", () => {});
  return socket;
}

/** A socket for each family of addresses, once somebody sends there. */
function openDatagrams(receive: (bytes: Uint8Array, from: HostEndpoint) => void): HostDatagrams {
  const sockets = new Map<SocketType, DatagramSocket>();
  return {
    send: (bytes, to) => {
      const type = isIPv6(to.address) ? "udp6" : "udp4";
      const socket = sockets.get(type) ?? datagramSocket(type, receive);
      sockets.set(type, socket);
      socket.send(bytes, to.port, to.address, () => {});
    },
    close: () => {
      for (const socket of sockets.values()) socket.close();
    },
  };
}

function endpointOf({ address, port }: AddressInfo): HostEndpoint {
  return { address, port };
}

/** "192.0.2.1", "192.0.2.1:5353", "2001:db8::1" or "[2001:db8::1]:5353". */
function parseServer(text: string): HostEndpoint {
  const [, address, port] = /^\[(.*)\]:(\d+)$/.exec(text) ?? /^([\d.]+):(\d+)$/.exec(text) ?? [];
  return address === undefined ? { address: text, port: DNS_PORT } : { address, port: Number(port) };
}
