/**
 * What sockets ask of the host: TCP, UDP and the host's unix sockets, event driven. `node/network.ts` gives the real
 * network; `loopback.ts` one that exists only inside the emulator. No method waits; addresses are numeric.
 */
import type { Failure } from "../vfs/constants.ts";

export interface Endpoint {
  readonly family: 4 | 6;
  /** Numeric; "fe80::1" without its scope. */
  readonly address: string;
  readonly port: number;
  /** IPv6: the interface index of a link-local address. */
  readonly scope?: number;
}

/** What happens to a connected stream. Called from the host's event loop; never from inside a call into the port. */
export interface StreamEvents {
  connected(): void;
  /** Connecting failed, or the connection broke. */
  failed(failure: Failure): void;
  /** The bytes belong to the receiver. */
  data(bytes: Uint8Array): void;
  /** The peer will send no more. */
  ended(): void;
  /** Room in the output queue. */
  drained(): void;
}

export interface HostConnection {
  /** Who hears of it; data that came earlier is given then. */
  attach(events: StreamEvents): void;
  /** Takes a copy of all bytes. */
  write(bytes: Uint8Array): void;
  /** Bytes given to `write` that the host has not taken. */
  readonly queuedBytes: number;
  /** No more output (FIN after what is queued). */
  end(): void;
  /** Gone: queued output is still sent, unless `reset`. */
  close(reset: boolean): void;
  pause(): void;
  resume(): void;
  readonly local: Endpoint | undefined;
  readonly remote: Endpoint | undefined;
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean, idleSeconds: number): void;
}

export interface ListenerEvents {
  listening(local: Endpoint): void;
  failed(failure: Failure): void;
  connection(connection: HostConnection): void;
}

export interface HostListener {
  close(): void;
}

export interface ListenOptions {
  readonly backlog: number;
  readonly reusePort: boolean;
  readonly ipv6Only: boolean;
}

export interface DatagramEvents {
  bound(local: Endpoint): void;
  connected(): void;
  failed(failure: Failure): void;
  message(bytes: Uint8Array, from: Endpoint): void;
}

export interface HostDatagramSocket {
  bind(local: Endpoint): void;
  connect(remote: Endpoint): void;
  disconnect(): void;
  /** To `to`, or the connected peer. An error comes as `failed`. */
  send(bytes: Uint8Array, to: Endpoint | undefined): void;
  setBroadcast(on: boolean): void;
  setTtl(ttl: number, multicast: boolean): void;
  setMulticastLoop(on: boolean): void;
  joinGroup(group: string, interfaceAddress: string | undefined): 0 | Failure;
  leaveGroup(group: string, interfaceAddress: string | undefined): 0 | Failure;
  close(): void;
}

export interface DatagramOptions {
  readonly family: 4 | 6;
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
  readonly ipv6Only: boolean;
}

export interface NetworkInterface {
  readonly index: number;
  readonly name: string;
  readonly loopback: boolean;
  /** "aa:bb:cc:dd:ee:ff". */
  readonly hardwareAddress: string;
  readonly addresses: readonly { readonly family: 4 | 6; readonly address: string; readonly prefixLength: number }[];
}

export interface HostNetwork {
  connect(remote: Endpoint, local: Endpoint | undefined): HostConnection;
  listen(local: Endpoint, options: ListenOptions, events: ListenerEvents): HostListener;
  datagram(options: DatagramOptions, events: DatagramEvents): HostDatagramSocket;
  /** A stream to a unix socket of the host; `path` is a host path as a byte string. */
  connectUnix(path: string): HostConnection;
  /** Makes a socket file on the host and tells of programs that connect to it. */
  listenUnix(path: string, mode: number, connection: (connection: HostConnection) => void): HostListener | Failure;
  interfaces(): NetworkInterface[];
  /** Resolves when output of closed connections has left, or after a moment. */
  drain(): Promise<void>;
}
