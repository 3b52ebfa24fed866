/**
 * Ports whose cable is a stream: TCP or a UNIX socket, in QEMU's framing. A virtual machine of QEMU's attaches with
 * `-netdev stream,id=net,addr.type=inet,addr.host=HOST,addr.port=PORT`, or `-netdev socket,id=net,connect=HOST:PORT`.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { joinPorts, type NetworkPort } from "../network-port.ts";
import { encodeStreamFrame, type FramingError, StreamFrameDecoder } from "../stream-framing.ts";
import type { EthernetSwitch } from "../switch.ts";

/** A stream that does not keep up loses frames beyond this, as a cable would: about a hundredth of a second of a gigabit. */
const MAXIMUM_BUFFERED_BYTES = 2 ** 20;

/** An address that is neither HOST:PORT nor unix:PATH. */
export class StreamAddressError extends Error {
  override name = "StreamAddressError";
}

export type StreamAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * "HOST:PORT", "[IPV6]:PORT" or "unix:PATH".
 * @throws StreamAddressError
 */
export function parseStreamAddress(text: string): StreamAddress {
  if (text.startsWith("unix:") && text.length > 5) return { path: text.slice(5) };
  const [, ipv6, host, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) {
    throw new StreamAddressError(`${text}: write HOST:PORT or unix:PATH`);
  }
  return { host: ipv6 ?? host, port: Number(port) };
}

export interface StreamPort extends NetworkPort {
  /** When the stream is over: the reason, if there is one other than that the other side went. */
  readonly closed: Promise<FramingError | Error | undefined>;
  close(): void;
}

/** The stream's frames. One that is not a stream of frames is closed. */
export function streamPort(socket: Socket): StreamPort {
  const decoder = new StreamFrameDecoder();
  let handler: (frame: Uint8Array) => void = () => {};
  let failure: Error | undefined;
  if (!("path" in socket)) socket.setNoDelay(true);
  socket.on("data", (bytes) => {
    try {
      decoder.push(bytes, (frame) => handler(frame));
    } catch (error) {
      failure = error as Error;
      socket.destroy();
    }
  });
  socket.on("error", (error) => (failure ??= error));
  const closed = new Promise<Error | undefined>((resolve) => {
    socket.once("close", () => resolve(failure));
  });
  return {
    closed,
    send: (frame) => {
      if (socket.writable && socket.writableLength < MAXIMUM_BUFFERED_BYTES) socket.write(encodeStreamFrame(frame));
    },
    onReceive: (to) => {
      handler = to;
    },
    close: () => {
      socket.destroy();
    },
  };
}

/**
 * A cable to a switch, or a machine, that listens there.
 * @throws Error (as a rejection) when nobody does
 */
export function connectStream(address: StreamAddress): Promise<StreamPort> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(streamPort(socket));
    });
  });
}

export interface StreamServer {
  /** With the port that the host chose, where 0 was asked for. */
  readonly address: StreamAddress;
  /** Ends all connections, too. */
  close(): void;
}

/**
 * Every connection to this address becomes a port of the switch for as long as it lasts.
 * @throws Error (as a rejection) when the address cannot be listened on
 */
export function serveSwitch(ethernet: EthernetSwitch, address: StreamAddress): Promise<StreamServer> {
  const connections = new Set<StreamPort>();
  let count = 0;
  const server: Server = createServer((socket) => {
    const stream = streamPort(socket);
    const port = ethernet.connect({ name: `stream ${++count}` });
    connections.add(stream);
    joinPorts(port, stream);
    void stream.closed.finally(() => {
      port.disconnect();
      connections.delete(stream);
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(address, () => {
      server.off("error", reject);
      server.on("error", () => {});
      const bound = server.address() as AddressInfo | string;
      resolve({
        address: typeof bound === "string" ? { path: bound } : { host: bound.address, port: bound.port },
        close: () => {
          server.close();
          for (const connection of connections) connection.close();
        },
      });
    });
  });
}
