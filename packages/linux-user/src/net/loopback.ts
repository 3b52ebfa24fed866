/**
 * A network that ends at the emulator: guests reach each other over 127.0.0.0/8 and ::1 and nothing else. The sandbox
 * uses it; tests of sockets run on it and on the host's network alike. Deliveries happen on later turns of the
 * event loop, as on a real network.
 */
import { EACCES, EADDRINUSE, EADDRNOTAVAIL, ECONNREFUSED, ECONNRESET, EINVAL, ENETUNREACH } from "../kernel/errno.ts";
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
} from "./host-network.ts";

const FIRST_EPHEMERAL = 32768;
const LAST_EPHEMERAL = 60999;

/** Runs something on a later turn: nothing is delivered from inside a call. */
export type Later = (callback: () => void) => void;

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1" || address.startsWith("::ffff:127.");
}

function isAny(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

class LoopbackConnection implements HostConnection {
  peer: LoopbackConnection | undefined = undefined;
  local: Endpoint | undefined;
  remote: Endpoint | undefined;
  #events: StreamEvents | undefined = undefined;
  readonly #early: ((events: StreamEvents) => void)[] = [];
  readonly #held: Uint8Array[] = [];
  #heldBytes = 0;
  #paused = false;
  #ended = false;
  #closed = false;
  readonly #later: Later;

  constructor(local: Endpoint | undefined, remote: Endpoint | undefined, later: Later) {
    this.local = local;
    this.remote = remote;
    this.#later = later;
  }

  tell(event: (events: StreamEvents) => void): void {
    if (this.#events === undefined) this.#early.push(event);
    else if (!this.#closed) event(this.#events);
  }

  attach(events: StreamEvents): void {
    this.#events = events;
    this.#later(() => {
      for (const event of this.#early.splice(0)) event(events);
    });
  }

  write(bytes: Uint8Array): void {
    const { peer } = this;
    if (peer === undefined || this.#ended) return;
    peer.#heldBytes += bytes.length;
    const copy = bytes.slice();
    this.#later(() => peer.#take(copy));
  }

  #take(bytes: Uint8Array): void {
    if (this.#closed) {
      this.peer?.tell((events) => events.failed(-ECONNRESET));
      return;
    }
    if (this.#paused) {
      this.#held.push(bytes);
      return;
    }
    this.#heldBytes -= bytes.length;
    this.tell((events) => events.data(bytes));
    this.peer?.tell((events) => events.drained());
  }

  get queuedBytes(): number {
    return this.peer === undefined ? 0 : this.peer.#heldBytes;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const { peer } = this;
    this.#later(() => {
      if (peer !== undefined) peer.#finish();
    });
  }

  #peerEnded = false;

  #finish(): void {
    this.#peerEnded = true;
    if (this.#held.length === 0) this.tell((events) => events.ended());
  }

  close(reset: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    const { peer } = this;
    if (reset) this.#later(() => peer?.tell((events) => events.failed(-ECONNRESET)));
    else this.end();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#later(() => {
      while (!this.#paused && this.#held.length > 0) this.#take(this.#held.shift()!);
      if (this.#peerEnded && this.#held.length === 0) this.tell((events) => events.ended());
    });
  }

  setNoDelay(): void {}

  setKeepAlive(): void {}
}

interface Listener {
  readonly local: Endpoint;
  readonly events: ListenerEvents;
}

class LoopbackDatagramSocket implements HostDatagramSocket {
  readonly #network: LoopbackNetwork;
  readonly #options: DatagramOptions;
  readonly events: DatagramEvents;
  local: Endpoint | undefined = undefined;
  remote: Endpoint | undefined = undefined;

  constructor(network: LoopbackNetwork, options: DatagramOptions, events: DatagramEvents) {
    this.#network = network;
    this.#options = options;
    this.events = events;
  }

  bind(local: Endpoint): void {
    const result = this.#network.claimDatagram(this, local, this.#options);
    this.#network.later(() => {
      if (typeof result === "number") this.events.failed(result);
      else this.events.bound(result);
    });
  }

  connect(remote: Endpoint): void {
    this.#network.later(() => {
      if (!isLoopback(remote.address)) {
        this.events.failed(-ENETUNREACH);
        return;
      }
      this.remote = remote;
      if (this.local !== undefined && isAny(this.local.address)) {
        this.local = { ...this.local, address: remote.family === 4 ? "127.0.0.1" : "::1" };
        this.events.bound(this.local);
      }
      this.events.connected();
    });
  }

  disconnect(): void {
    this.remote = undefined;
  }

  send(bytes: Uint8Array, to: Endpoint | undefined): void {
    const copy = bytes.slice();
    this.#network.later(() => this.#network.deliver(this, copy, to ?? this.remote));
  }

  setBroadcast(): void {}

  setTtl(): void {}

  setMulticastLoop(): void {}

  joinGroup(): Failure {
    return -EADDRNOTAVAIL;
  }

  leaveGroup(): Failure {
    return -EADDRNOTAVAIL;
  }

  close(): void {
    this.#network.releaseDatagram(this);
  }
}

/** Whether a socket bound to `local` hears what is sent to `address`. */
function hears(local: Endpoint, address: string, port: number): boolean {
  if (local.port !== port) return false;
  const plain = address.replace(/^::ffff:/, "");
  return isAny(local.address) || local.address.replace(/^::ffff:/, "") === plain;
}

export class LoopbackNetwork implements HostNetwork {
  readonly later: Later;
  readonly #listeners: Set<Listener> = new Set();
  readonly #datagrams: Set<LoopbackDatagramSocket> = new Set();
  #nextPort = FIRST_EPHEMERAL;

  constructor(later: Later) {
    this.later = later;
  }

  #ephemeral(taken: (port: number) => boolean): number {
    for (let tries = LAST_EPHEMERAL - FIRST_EPHEMERAL; tries >= 0; tries--) {
      const port = this.#nextPort;
      this.#nextPort = port >= LAST_EPHEMERAL ? FIRST_EPHEMERAL : port + 1;
      if (!taken(port)) return port;
    }
    return 0;
  }

  connect(remote: Endpoint, local: Endpoint | undefined): HostConnection {
    const port = local?.port ?? this.#ephemeral(() => false);
    const from: Endpoint = { family: remote.family, address: remote.family === 4 ? "127.0.0.1" : "::1", port };
    const client = new LoopbackConnection(from, remote, this.later);
    this.later(() => {
      if (!isLoopback(remote.address)) {
        client.tell((events) => events.failed(-ENETUNREACH));
        return;
      }
      const listener = [...this.#listeners].find((candidate) => hears(candidate.local, remote.address, remote.port));
      if (listener === undefined) {
        client.tell((events) => events.failed(-ECONNREFUSED));
        return;
      }
      const server = new LoopbackConnection(remote, from, this.later);
      server.peer = client;
      client.peer = server;
      client.tell((events) => events.connected());
      listener.events.connection(server);
    });
    return client;
  }

  listen(local: Endpoint, options: ListenOptions, events: ListenerEvents): HostListener {
    const taken = (port: number): boolean => [...this.#listeners].some((other) => other.local.port === port);
    const listener: Listener = { local: local.port === 0 ? { ...local, port: this.#ephemeral(taken) } : local, events };
    const clash = [...this.#listeners].some((other) => other.local.port === local.port && overlap(other.local, local));
    if (clash && !options.reusePort) {
      this.later(() => events.failed(-EADDRINUSE));
      return { close: () => {} };
    }
    if (!isAny(local.address) && !isLoopback(local.address)) {
      this.later(() => events.failed(-EADDRNOTAVAIL));
      return { close: () => {} };
    }
    this.#listeners.add(listener);
    this.later(() => events.listening(listener.local));
    return { close: () => void this.#listeners.delete(listener) };
  }

  datagram(options: DatagramOptions, events: DatagramEvents): HostDatagramSocket {
    return new LoopbackDatagramSocket(this, options, events);
  }

  claimDatagram(socket: LoopbackDatagramSocket, local: Endpoint, options: DatagramOptions): Endpoint | Failure {
    if (!isAny(local.address) && !isLoopback(local.address)) return -EADDRNOTAVAIL;
    const bound = [...this.#datagrams].map((other) => other.local!);
    const port =
      local.port === 0 ? this.#ephemeral((value) => bound.some((other) => other.port === value)) : local.port;
    const at: Endpoint = { ...local, port };
    if (
      bound.some((other) => other.port === port && overlap(other, at)) &&
      !options.reuseAddress &&
      !options.reusePort
    ) {
      return -EADDRINUSE;
    }
    socket.local = at;
    this.#datagrams.add(socket);
    return at;
  }

  releaseDatagram(socket: LoopbackDatagramSocket): void {
    this.#datagrams.delete(socket);
  }

  deliver(from: LoopbackDatagramSocket, bytes: Uint8Array, to: Endpoint | undefined): void {
    if (to === undefined || from.local === undefined) {
      from.events.failed(-EINVAL);
      return;
    }
    const address = isAny(to.address) ? (to.family === 4 ? "127.0.0.1" : "::1") : to.address;
    if (!isLoopback(address)) {
      from.events.failed(-ENETUNREACH);
      return;
    }
    const source = isAny(from.local.address)
      ? { ...from.local, address: to.family === 4 ? "127.0.0.1" : "::1" }
      : from.local;
    const target = [...this.#datagrams].find((other) => {
      if (!hears(other.local!, address, to.port)) return false;
      return other.remote === undefined || hears(other.remote, source.address, source.port);
    });
    if (target !== undefined) target.events.message(bytes, source);
    // The ICMP answer reaches connected sockets only (udp(7)).
    else if (from.remote !== undefined) from.events.failed(-ECONNREFUSED);
  }

  connectUnix(): HostConnection {
    const client = new LoopbackConnection(undefined, undefined, this.later);
    this.later(() => client.tell((events) => events.failed(-ECONNREFUSED)));
    return client;
  }

  listenUnix(): Failure {
    return -EACCES;
  }

  interfaces(): NetworkInterface[] {
    const addresses = [
      { family: 4 as const, address: "127.0.0.1", prefixLength: 8 },
      { family: 6 as const, address: "::1", prefixLength: 128 },
    ];
    return [{ index: 1, name: "lo", loopback: true, hardwareAddress: "00:00:00:00:00:00", addresses }];
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }
}

function overlap(one: Endpoint, other: Endpoint): boolean {
  return isAny(one.address) || isAny(other.address) || one.address === other.address;
}
