/**
 * TCP between guests and the host's network: a guest's connection ends here, in an endpoint of our own, and is carried on
 * by a stream of the host; the other way round for forwarded ports.
 *
 * Nothing is answered before the host knows the answer: a guest's SYN is acknowledged when the host's connection stands,
 * and refused when that was refused. Both ways the slower side sets the pace: what the host's stream has not flushed
 * narrows the guest's window, and a full send buffer pauses the host's stream.
 */
import { endpointKey, type IPv4Address } from "../ethernet/addresses.ts";
import { UnreachableCode } from "../ethernet/icmp.ts";
import { TcpFlag, type TcpSegment } from "../ethernet/tcp.ts";
import type { NetworkClock } from "../clock.ts";
import { resetFor, TcpConnection, type TcpEvents, type TcpOptions } from "../tcp/connection.ts";
import {
  type HostEndpoint,
  type HostNetwork,
  type HostStream,
  type HostStreamEnd,
  type HostStreamEvents,
  IGNORED_STREAM,
} from "./host-network.ts";

/** Per connection and direction: some milliseconds of a fast link, and all that a slow reader makes us keep. */
const BUFFER_BYTES = 256 * 1024;
/** Connections at a time; a SYN beyond is refused. */
const MAXIMUM_CONNECTIONS = 4096;
/** RFC 6335, 6: for connections that have no port of their own. */
const FIRST_EPHEMERAL_PORT = 49_152;
const LAST_PORT = 65_535;

export interface TcpRelayOptions {
  readonly host: HostNetwork;
  readonly clock: NetworkClock;
  /** 32 bits that nobody can guess. */
  readonly random32: () => number;
  readonly segmentBytes: number;
  readonly send: (segment: TcpSegment, source: IPv4Address, destination: IPv4Address) => void;
  /** What tells a guest, now or later, that the packet that is being received does not get through. */
  readonly refusal: () => (code: number) => void;
  readonly destinationOf: (address: IPv4Address, port: number) => HostEndpoint | undefined;
}

/** One side is a guest's endpoint, the other an address that the guest takes for its peer's. */
interface Flow {
  readonly guest: IPv4Address;
  readonly guestPort: number;
  readonly peer: IPv4Address;
  readonly peerPort: number;
  /** Undefined while the host connects. */
  connection: TcpConnection | undefined;
  stream: HostStream | undefined;
}

export class TcpRelay {
  readonly #options: TcpRelayOptions;
  /** By the guest's endpoint, then by its peer's. */
  readonly #flows = new Map<number, Map<number, Flow>>();
  #count = 0;
  #lastPort: number = FIRST_EPHEMERAL_PORT;

  constructor(options: TcpRelayOptions) {
    this.#options = options;
  }

  get connections(): number {
    return this.#count;
  }

  receive(segment: TcpSegment, guest: IPv4Address, peer: IPv4Address): void {
    const { sourcePort: guestPort, destinationPort: peerPort } = segment;
    const flow = this.#find(guest, guestPort, peer, peerPort);
    if (flow === undefined) {
      this.#receiveStray(segment, guest, peer);
    } else if (flow.connection === undefined) {
      // Its SYN once more, or it has lost patience.
      if ((segment.flags & TcpFlag.rst) !== 0) this.#drop(flow);
    } else if ((segment.flags & TcpFlag.syn) !== 0 && flow.connection.mayGiveWayTo(segment)) {
      this.#drop(flow);
      this.#receiveStray(segment, guest, peer);
    } else {
      flow.connection.receive(segment);
    }
  }

  /** A connection from the host's side to a guest's port; `peer` is whom the guest sees. */
  connectToGuest(stream: HostStream, guest: IPv4Address, guestPort: number, peer: IPv4Address): HostStreamEvents {
    const flow: Flow = {
      guest,
      guestPort,
      peer,
      peerPort: this.#ephemeralPort(guest, guestPort, peer),
      connection: undefined,
      stream,
    };
    if (this.#count >= MAXIMUM_CONNECTIONS || flow.peerPort === 0) {
      stream.abort();
      return IGNORED_STREAM;
    }
    this.#add(flow);
    flow.connection = TcpConnection.connect(this.#tcpOptions(flow));
    return this.#streamEvents(flow, () => {});
  }

  /** Guests that could not be reached can be. */
  resume(): void {
    for (const flows of this.#flows.values()) for (const flow of flows.values()) flow.connection?.resume();
  }

  /** Ends everything: guests are told by resets. */
  close(): void {
    for (const flows of this.#flows.values()) {
      for (const flow of flows.values()) {
        flow.stream?.abort();
        flow.stream = undefined;
        flow.connection?.abort();
      }
    }
    this.#flows.clear();
    this.#count = 0;
  }

  #receiveStray(segment: TcpSegment, guest: IPv4Address, peer: IPv4Address): void {
    const { sourcePort: guestPort, destinationPort: peerPort, flags } = segment;
    if ((flags & (TcpFlag.syn | TcpFlag.ack | TcpFlag.rst)) !== TcpFlag.syn || this.#count >= MAXIMUM_CONNECTIONS) {
      this.#refuse(segment, guest, peer);
      return;
    }
    const destination = this.#options.destinationOf(peer, peerPort);
    const refusal = this.#options.refusal();
    if (destination === undefined) {
      refusal(UnreachableCode.prohibited);
      return;
    }
    const flow: Flow = { guest, guestPort, peer, peerPort, connection: undefined, stream: undefined };
    this.#add(flow);
    const events = this.#streamEvents(flow, (end) => {
      if (end === "unreachable" || end === "timeout") refusal(UnreachableCode.host);
      else this.#refuse(segment, guest, peer);
    });
    flow.stream = this.#options.host.connect(destination, {
      ...events,
      connected: () => {
        if (flow.stream !== undefined) flow.connection = TcpConnection.accept(this.#tcpOptions(flow), segment);
      },
    });
  }

  #refuse(segment: TcpSegment, guest: IPv4Address, peer: IPv4Address): void {
    const reset = resetFor(segment);
    if (reset !== undefined) this.#options.send(reset, peer, guest);
  }

  /** @param refused called when the stream fails before there is a connection to the guest */
  #streamEvents(flow: Flow, refused: (end: HostStreamEnd) => void): HostStreamEvents {
    return {
      connected: () => {},
      data: (bytes) => {
        if (flow.connection?.write(bytes) === false) flow.stream?.pause();
      },
      ended: () => flow.connection?.end(),
      flushed: (bytes) => flow.connection?.consumed(bytes),
      closed: (end) => {
        flow.stream = undefined;
        if (flow.connection === undefined) {
          this.#remove(flow);
          refused(end);
        } else if (end !== "finished") {
          flow.connection.abort();
        }
      },
    };
  }

  #tcpOptions(flow: Flow): TcpOptions {
    const { clock, random32, segmentBytes, send } = this.#options;
    const events: TcpEvents = {
      established: () => {},
      data: (bytes) => flow.stream?.write(bytes),
      ended: () => flow.stream?.end(),
      drained: () => flow.stream?.resume(),
      closed: (end) => {
        this.#remove(flow);
        if (end !== "finished") flow.stream?.abort();
        flow.stream = undefined;
      },
    };
    return {
      localPort: flow.peerPort,
      remotePort: flow.guestPort,
      segmentBytes,
      receiveBytes: BUFFER_BYTES,
      sendBytes: BUFFER_BYTES,
      initialSequence: random32(),
      clock,
      emit: (segment) => send(segment, flow.peer, flow.guest),
      events,
    };
  }

  #ephemeralPort(guest: IPv4Address, guestPort: number, peer: IPv4Address): number {
    for (let tries = LAST_PORT - FIRST_EPHEMERAL_PORT; tries > 0; tries--) {
      this.#lastPort = this.#lastPort >= LAST_PORT ? FIRST_EPHEMERAL_PORT : this.#lastPort + 1;
      if (this.#find(guest, guestPort, peer, this.#lastPort) === undefined) return this.#lastPort;
    }
    return 0;
  }

  #find(guest: IPv4Address, guestPort: number, peer: IPv4Address, peerPort: number): Flow | undefined {
    return this.#flows.get(endpointKey(guest, guestPort))?.get(endpointKey(peer, peerPort));
  }

  #add(flow: Flow): void {
    const key = endpointKey(flow.guest, flow.guestPort);
    const flows = this.#flows.get(key) ?? new Map<number, Flow>();
    this.#flows.set(key, flows);
    flows.set(endpointKey(flow.peer, flow.peerPort), flow);
    this.#count++;
  }

  #remove(flow: Flow): void {
    const key = endpointKey(flow.guest, flow.guestPort);
    const flows = this.#flows.get(key);
    const peerKey = endpointKey(flow.peer, flow.peerPort);
    if (flows?.get(peerKey) !== flow) return;
    flows.delete(peerKey);
    if (flows.size === 0) this.#flows.delete(key);
    this.#count--;
  }

  #drop(flow: Flow): void {
    this.#remove(flow);
    flow.stream?.abort();
    flow.stream = undefined;
    flow.connection?.abort();
  }
}
