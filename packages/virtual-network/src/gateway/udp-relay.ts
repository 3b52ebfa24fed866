/**
 * UDP between guests and the host's network (RFC 4787): a guest's port has one socket of the host, whomever it sends to,
 * and hears only from those that it has sent to. A forwarded port is a socket of the host's, whose every sender becomes a
 * port of the gateway's address.
 */
import { endpointKey, type IPv4Address } from "../ethernet/addresses.ts";
import { UnreachableCode } from "../ethernet/icmp.ts";
import type { UdpDatagram } from "../ethernet/udp.ts";
import { Deadline, type NetworkClock } from "../clock.ts";
import type { HostDatagrams, HostEndpoint, HostNetwork } from "./host-network.ts";

/** REQ-5: not less than two minutes. */
const IDLE_MS = 120_000;
const MAXIMUM_FLOWS = 1024;
const MAXIMUM_PEERS = 64;
const FIRST_EPHEMERAL_PORT = 49_152;
const LAST_PORT = 65_535;

export interface UdpRelayOptions {
  readonly host: HostNetwork;
  readonly clock: NetworkClock;
  readonly send: (datagram: UdpDatagram, source: IPv4Address, destination: IPv4Address) => void;
  /** What tells a guest, now or later, that the packet that is being received does not get through. */
  readonly refusal: () => (code: number) => void;
  /** @param attempt how many datagrams this guest's port has sent to whom it stands for */
  readonly destinationOf: (address: IPv4Address, port: number, attempt: number) => HostEndpoint | undefined;
}

interface Peer {
  readonly address: IPv4Address;
  readonly port: number;
}

/** A guest's port. */
interface Flow {
  readonly socket: HostDatagrams;
  readonly idle: Deadline;
  /** Whom the guest sent to: by where that is on the host's network, what the guest takes it for. */
  readonly peers: Map<string, Peer>;
  sent: number;
}

/** A sender that a forwarded port has heard of: a port of the gateway's address, from the guest's side. */
interface Visitor {
  readonly answer: (bytes: Uint8Array) => void;
  readonly port: number;
  readonly idle: Deadline;
}

export class UdpRelay {
  readonly #options: UdpRelayOptions;
  readonly #flows = new Map<number, Flow>();
  /** By the gateway's port. */
  readonly #visitors = new Map<number, Visitor>();
  #lastPort: number = FIRST_EPHEMERAL_PORT;

  constructor(options: UdpRelayOptions) {
    this.#options = options;
  }

  get flows(): number {
    return this.#flows.size + this.#visitors.size;
  }

  /** @param own whether it was sent to the gateway's address, where visitors have their ports */
  receive(datagram: UdpDatagram, guest: IPv4Address, destination: IPv4Address, own: boolean): void {
    const visitor = own ? this.#visitors.get(datagram.destinationPort) : undefined;
    if (visitor !== undefined) {
      visitor.idle.set(IDLE_MS);
      visitor.answer(datagram.payload);
      return;
    }
    const key = endpointKey(guest, datagram.sourcePort);
    const known = this.#flows.get(key);
    const to = this.#options.destinationOf(destination, datagram.destinationPort, known?.sent ?? 0);
    if (to === undefined) {
      this.#options.refusal()(UnreachableCode.port);
      return;
    }
    const flow = known ?? this.#open(key, guest, datagram.sourcePort);
    flow.sent++;
    flow.idle.set(IDLE_MS);
    const name = peerName(to);
    flow.peers.delete(name);
    if (flow.peers.size >= MAXIMUM_PEERS) {
      const [oldest] = flow.peers.keys();
      flow.peers.delete(oldest);
    }
    flow.peers.set(name, { address: destination, port: datagram.destinationPort });
    flow.socket.send(datagram.payload, to);
  }

  /** What a socket of a forwarded port is to do with a datagram. */
  forward(
    guest: IPv4Address,
    guestPort: number,
    gateway: IPv4Address,
    answer: (bytes: Uint8Array, to: HostEndpoint) => void,
  ): (bytes: Uint8Array, from: HostEndpoint) => void {
    const known = new Map<string, Visitor>();
    return (bytes, from) => {
      const name = peerName(from);
      let visitor = known.get(name);
      if (visitor === undefined) {
        const port = this.#ephemeralPort();
        if (port === undefined) return;
        const idle = new Deadline(this.#options.clock, () => {
          known.delete(name);
          this.#visitors.delete(port);
        });
        visitor = { port, idle, answer: (reply) => answer(reply, from) };
        known.set(name, visitor);
        this.#visitors.set(port, visitor);
      }
      visitor.idle.set(IDLE_MS);
      const datagram = { sourcePort: visitor.port, destinationPort: guestPort, payload: bytes };
      this.#options.send(datagram, gateway, guest);
    };
  }

  close(): void {
    for (const { socket, idle } of this.#flows.values()) {
      idle.cancel();
      socket.close();
    }
    for (const { idle } of this.#visitors.values()) idle.cancel();
    this.#flows.clear();
    this.#visitors.clear();
  }

  #open(key: number, guest: IPv4Address, guestPort: number): Flow {
    if (this.#flows.size >= MAXIMUM_FLOWS) {
      const [oldest] = this.#flows.keys();
      this.#drop(oldest);
    }
    const peers = new Map<string, Peer>();
    const socket = this.#options.host.openDatagrams((bytes, from) => {
      const peer = peers.get(peerName(from));
      if (peer === undefined) return;
      const datagram = { sourcePort: peer.port, destinationPort: guestPort, payload: bytes };
      this.#options.send(datagram, peer.address, guest);
    });
    const flow = { socket, peers, sent: 0, idle: new Deadline(this.#options.clock, () => this.#drop(key)) };
    this.#flows.set(key, flow);
    return flow;
  }

  #drop(key: number): void {
    const flow = this.#flows.get(key);
    this.#flows.delete(key);
    flow?.idle.cancel();
    flow?.socket.close();
  }

  #ephemeralPort(): number | undefined {
    if (this.#visitors.size >= MAXIMUM_FLOWS) return undefined;
    do {
      this.#lastPort = this.#lastPort >= LAST_PORT ? FIRST_EPHEMERAL_PORT : this.#lastPort + 1;
    } while (this.#visitors.has(this.#lastPort));
    return this.#lastPort;
  }
}

function peerName({ address, port }: HostEndpoint): string {
  return `${address} ${port}`;
}
