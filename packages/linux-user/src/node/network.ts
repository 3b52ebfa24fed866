/** The host's network through node:net and node:dgram. */
import * as dgram from "node:dgram";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { EACCES, EADDRINUSE, ECONNRESET, EEXIST, EIO, ENAMETOOLONG, ENOENT } from "../kernel/errno.ts";
import type { Failure } from "../vfs/constants.ts";
import type {
  DatagramEvents,
  DatagramOptions,
  Endpoint,
  HostConnection,
  HostDatagramSocket,
  HostListener,
  HostNetwork,
  ListenerEvents,
  ListenOptions,
  NetworkInterface,
  StreamEvents,
} from "../net/host-network.ts";
import { failureOf } from "./errors.ts";

/** How long `drain` waits for connections to take their last bytes. */
const DRAIN_MS = 2000;
/** sun_path with its NUL. */
const UNIX_PATH_BYTES = 108;

function failure(error: unknown): Failure {
  try {
    return failureOf(error);
  } catch {
    return -EIO;
  }
}

function endpoint(
  address: string | undefined,
  port: number | undefined,
  family: string | number | undefined,
): Endpoint | undefined {
  if (address === undefined || port === undefined) return undefined;
  const [plain, scope] = address.split("%");
  const numeric = scope === undefined ? 0 : scopeIndex(scope);
  return { family: family === "IPv6" || family === 6 ? 6 : 4, address: plain, port, scope: numeric };
}

function interfaceNames(): string[] {
  return Object.keys(os.networkInterfaces());
}

function scopeIndex(scope: string): number {
  return /^\d+$/.test(scope) ? Number(scope) : interfaceNames().indexOf(scope) + 1;
}

/** With "%eth0" for link-local addresses, as the host wants them. */
function hostAddress({ address, scope }: Endpoint): string {
  if (scope === undefined || scope === 0 || !address.startsWith("fe80:")) return address;
  return `${address}%${interfaceNames()[scope - 1] ?? scope}`;
}

class NodeConnection implements HostConnection {
  readonly #socket: net.Socket;
  readonly #closing: Set<net.Socket>;
  #local: Endpoint | undefined = undefined;
  #remote: Endpoint | undefined = undefined;
  #connected: boolean;

  constructor(socket: net.Socket, connected: boolean, closing: Set<net.Socket>) {
    this.#socket = socket;
    this.#connected = connected;
    this.#closing = closing;
    if (connected) this.#remember();
    // An error before `attach` must not end the emulator.
    socket.on("error", () => {});
  }

  #remember(): void {
    const socket = this.#socket;
    this.#local = endpoint(socket.localAddress, socket.localPort, socket.localFamily);
    this.#remote = endpoint(socket.remoteAddress, socket.remotePort, socket.remoteFamily);
  }

  attach(events: StreamEvents): void {
    const socket = this.#socket;
    let dead = false;
    socket.on("connect", () => {
      this.#connected = true;
      this.#remember();
      events.connected();
    });
    socket.on("data", (bytes: Buffer) => events.data(bytes));
    socket.on("end", () => events.ended());
    socket.on("drain", () => events.drained());
    socket.on("error", (error) => {
      dead = true;
      events.failed(failure(error));
    });
    socket.on("close", () => {
      if (!dead && !this.#closing.has(socket) && !socket.readableEnded) events.failed(-ECONNRESET);
    });
    if (this.#connected) socket.resume();
  }

  write(bytes: Uint8Array): void {
    const socket = this.#socket;
    const before = socket.writableLength;
    // Room comes back with every finished write, not only when all have ended ("drain").
    socket.write(bytes, () => {
      if (before > 0) socket.emit("drain");
    });
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  end(): void {
    this.#socket.end();
  }

  close(reset: boolean): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    if (reset) {
      this.#closing.add(socket);
      if (this.#connected) socket.resetAndDestroy();
      else socket.destroy();
      this.#closing.delete(socket);
      return;
    }
    this.#closing.add(socket);
    socket.removeAllListeners("data");
    socket.once("close", () => this.#closing.delete(socket));
    // The peer may still send: it is read away until it ends too or resets.
    socket.resume();
    socket.destroySoon();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  get local(): Endpoint | undefined {
    return this.#local;
  }

  get remote(): Endpoint | undefined {
    return this.#remote;
  }

  setNoDelay(on: boolean): void {
    this.#socket.setNoDelay(on);
  }

  setKeepAlive(on: boolean, idleSeconds: number): void {
    this.#socket.setKeepAlive(on, idleSeconds * 1000);
  }
}

class NodeDatagramSocket implements HostDatagramSocket {
  readonly #socket: dgram.Socket;
  readonly #family: 4 | 6;
  readonly #events: DatagramEvents;
  #closed = false;
  #sending = 0;

  constructor(options: DatagramOptions, events: DatagramEvents) {
    const { reuseAddress: reuseAddr, reusePort, ipv6Only } = options;
    this.#family = options.family;
    this.#events = events;
    this.#socket = dgram.createSocket({ type: options.family === 4 ? "udp4" : "udp6", reuseAddr, reusePort, ipv6Only });
    this.#socket.on("listening", () => events.bound(this.#address()));
    this.#socket.on("connect", () => {
      // The host has chosen the address that leads there.
      events.bound(this.#address());
      events.connected();
    });
    this.#socket.on("error", (error) => {
      if (!this.#closed) events.failed(failure(error));
    });
    this.#socket.on("message", (bytes, info) => {
      const from = endpoint(info.address, info.port, info.family);
      if (from !== undefined && !this.#closed) events.message(bytes, from);
    });
  }

  #address(): Endpoint {
    const { address, port, family } = this.#socket.address();
    return endpoint(address, port, family)!;
  }

  bind(local: Endpoint): void {
    this.#try(() => this.#socket.bind({ port: local.port, address: hostAddress(local), exclusive: true }));
  }

  connect(remote: Endpoint): void {
    this.#try(() => this.#socket.connect(remote.port, hostAddress(remote)));
  }

  disconnect(): void {
    this.#try(() => this.#socket.disconnect());
  }

  #try(call: () => unknown): void {
    try {
      call();
    } catch (error) {
      queueMicrotask(() => {
        if (!this.#closed) this.#events.failed(failure(error));
      });
    }
  }

  send(bytes: Uint8Array, to: Endpoint | undefined): void {
    this.#sending++;
    const done = (error: Error | null): void => {
      this.#sending--;
      if (this.#closed) this.#closeWhenSent();
      else if (error !== null) this.#events.failed(failure(error));
    };
    this.#try(() => {
      if (to === undefined) this.#socket.send(bytes, done);
      else this.#socket.send(bytes, to.port, hostAddress(this.#reachable(to)), done);
    });
  }

  /** 0.0.0.0 as a destination is this host. */
  #reachable(to: Endpoint): Endpoint {
    if (to.address !== "0.0.0.0" && to.address !== "::") return to;
    return { ...to, address: this.#family === 4 ? "127.0.0.1" : "::1" };
  }

  setBroadcast(on: boolean): void {
    this.#try(() => this.#socket.setBroadcast(on));
  }

  setTtl(ttl: number, multicast: boolean): void {
    this.#try(() => (multicast ? this.#socket.setMulticastTTL(ttl) : this.#socket.setTTL(ttl)));
  }

  setMulticastLoop(on: boolean): void {
    this.#try(() => this.#socket.setMulticastLoopback(on));
  }

  joinGroup(group: string, interfaceAddress: string | undefined): 0 | Failure {
    try {
      this.#socket.addMembership(group, interfaceAddress);
      return 0;
    } catch (error) {
      return failure(error);
    }
  }

  leaveGroup(group: string, interfaceAddress: string | undefined): 0 | Failure {
    try {
      this.#socket.dropMembership(group, interfaceAddress);
      return 0;
    } catch (error) {
      return failure(error);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closeWhenSent();
  }

  /** What was sent before close(2) still goes: Node keeps it back while the socket is being bound. */
  #closeWhenSent(): void {
    if (this.#sending === 0) this.#socket.close();
  }
}

/** "192.168.1.0/24" and the like: the number after the slash. */
function prefixLength(cidr: string | null, family: 4 | 6): number {
  const length = Number(cidr?.split("/")[1]);
  return Number.isInteger(length) ? length : family === 4 ? 32 : 128;
}

export class NodeNetwork implements HostNetwork {
  /** Sockets that the guest has closed and that still have output. */
  readonly #closing: Set<net.Socket> = new Set();

  connect(remote: Endpoint, local: Endpoint | undefined): HostConnection {
    const socket = net.connect({
      host: hostAddress(remote),
      port: remote.port,
      family: remote.family,
      allowHalfOpen: true,
      autoSelectFamily: false,
      ...(local === undefined || local.port === 0 ? {} : { localPort: local.port }),
      ...(local === undefined || local.address === "0.0.0.0" || local.address === "::"
        ? {}
        : { localAddress: local.address }),
    });
    return new NodeConnection(socket, false, this.#closing);
  }

  connectUnix(socketPath: string): HostConnection {
    const text = Buffer.from(socketPath, "latin1").toString();
    return new NodeConnection(net.connect({ path: text, allowHalfOpen: true }), false, this.#closing);
  }

  listen(local: Endpoint, options: ListenOptions, events: ListenerEvents): HostListener {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
    let closed = false;
    server.on("listening", () => {
      const bound = server.address() as net.AddressInfo;
      const at = endpoint(bound.address, bound.port, bound.family);
      if (!closed && at !== undefined) events.listening(at);
    });
    server.on("error", (error) => {
      if (!closed) events.failed(failure(error));
    });
    server.on("connection", (socket) => events.connection(new NodeConnection(socket, true, this.#closing)));
    server.listen({
      host: hostAddress(local),
      port: local.port,
      backlog: options.backlog,
      exclusive: true,
      ipv6Only: options.ipv6Only,
      reusePort: options.reusePort,
    });
    return {
      close: () => {
        closed = true;
        server.close();
      },
    };
  }

  datagram(options: DatagramOptions, events: DatagramEvents): HostDatagramSocket {
    return new NodeDatagramSocket(options, events);
  }

  /**
   * libuv removes a socket file when its server closes, by the name it was bound to. Linux leaves it, and the guest may
   * have put another there meanwhile: so it is bound under a name of its own and renamed.
   */
  listenUnix(
    socketPath: string,
    mode: number,
    connection: (connection: HostConnection) => void,
  ): HostListener | Failure {
    const wanted = Buffer.from(socketPath, "latin1");
    const suffix = `.${process.pid}.${Math.floor(Math.random() * 1e9)}`;
    let temporary = Buffer.concat([wanted, Buffer.from(suffix)]).toString();
    if (Buffer.byteLength(temporary) >= UNIX_PATH_BYTES) temporary = path.join(os.tmpdir(), suffix);
    if (Buffer.byteLength(temporary) >= UNIX_PATH_BYTES) return -ENAMETOOLONG;
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
    let error: unknown;
    server.on("error", (reason) => (error = reason));
    server.on("connection", (socket) => connection(new NodeConnection(socket, true, this.#closing)));
    server.listen({ path: temporary });
    try {
      fs.chmodSync(temporary, mode);
      fs.renameSync(temporary, wanted);
    } catch (reason) {
      server.close();
      return error === undefined ? unixFailure(reason) : failure(error);
    }
    server.unref();
    return { close: () => void server.close() };
  }

  interfaces(): NetworkInterface[] {
    return Object.entries(os.networkInterfaces()).map(([name, addresses], index) => ({
      index: index + 1,
      name,
      loopback: addresses?.[0]?.internal === true,
      hardwareAddress: addresses?.[0]?.mac ?? "00:00:00:00:00:00",
      addresses: (addresses ?? []).map(({ family, address, cidr }) => {
        const version = family === "IPv6" ? 6 : 4;
        return { family: version, address, prefixLength: prefixLength(cidr, version) };
      }),
    }));
  }

  async drain(): Promise<void> {
    const sockets = [...this.#closing];
    if (sockets.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, DRAIN_MS)));
    const flushed = sockets.map(
      (socket) =>
        new Promise<void>((resolve) => socket.once(socket.writableFinished ? "close" : "finish", () => resolve())),
    );
    await Promise.race([Promise.all(flushed), late]);
    clearTimeout(timer);
  }
}

/** Binding failed without a word: the directory is not there, or forbids it. */
function unixFailure(reason: unknown): Failure {
  const code = failure(reason);
  return code === -EEXIST ? -EADDRINUSE : code === -ENOENT ? -EACCES : code;
}
