/**
 * A user-mode gateway: to guests a router, DHCP server and name server on their Ethernet; to the host an ordinary
 * program with sockets. It does no input or output of its own: frames come and go by a port, everything outside through
 * `HostNetwork`, time from a clock.
 *
 * What it does for guests is decided in turns: a frame, an event of the host or a deadline begins one, and frames to send
 * leave when it is over. So nothing is called back into while it changes its state.
 */
import { type IPv4Address, isGroupMac, BROADCAST_MAC, type MacAddress } from "../ethernet/addresses.ts";
import { parseArp } from "../ethernet/arp.ts";
import { buildFrame, EtherType, parseFrame } from "../ethernet/frame.ts";
import { buildIcmp, buildUnreachable, IcmpType, parseIcmp, UnreachableCode } from "../ethernet/icmp.ts";
import {
  buildFragments,
  buildIPv4,
  IPV4_HEADER_BYTES,
  IpProtocol,
  type IPv4Packet,
  parseIPv4,
} from "../ethernet/ipv4.ts";
import { buildTcp, parseTcp, TCP_HEADER_BYTES, type TcpSegment } from "../ethernet/tcp.ts";
import { buildUdp, parseUdp, type UdpDatagram } from "../ethernet/udp.ts";
import type { NetworkClock } from "../clock.ts";
import type { NetworkPort } from "../network-port.ts";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpServer, parseDhcp } from "./dhcp.ts";
import { FragmentReassembly } from "./fragments.ts";
import { type HostEndpoint, type HostListener, type HostNetwork } from "./host-network.ts";
import { Neighbours } from "./neighbours.ts";
import { broadcastAddress, DEFAULT_PLAN, destinationOf, isInside, isOwn, type NetworkPlan } from "./network-plan.ts";
import { hostInTurns } from "./turns.ts";
import { TcpRelay } from "./tcp-relay.ts";
import { UdpRelay } from "./udp-relay.ts";

export interface GatewayOptions {
  readonly port: NetworkPort;
  readonly host: HostNetwork;
  readonly clock: NetworkClock;
  /** 32 bits that nobody can guess, for initial sequence numbers (RFC 9293, 3.4.1). */
  readonly random32: () => number;
  readonly plan?: NetworkPlan;
  /** Whether the gateway's address stands for the host's own loopback address. By default it does not. */
  readonly reachesHost?: boolean;
}

export interface PortForward {
  readonly protocol: "tcp" | "udp";
  /** Where on the host; port 0 lets the host choose. */
  readonly host: HostEndpoint;
  /** By default the first address that is leased. */
  readonly guest?: IPv4Address;
  readonly guestPort: number;
}

export interface GatewayStatistics {
  readonly framesReceived: number;
  readonly framesSent: number;
  /** Frames to the gateway that were damaged, or of no protocol it knows. */
  readonly framesDropped: number;
  readonly tcpConnections: number;
  readonly udpFlows: number;
}

export class Gateway {
  readonly #plan: NetworkPlan;
  readonly #host: HostNetwork;
  readonly #port: NetworkPort;
  readonly #tcp: TcpRelay;
  readonly #udp: UdpRelay;
  readonly #dhcp: DhcpServer;
  readonly #neighbours: Neighbours;
  readonly #fragments: FragmentReassembly;
  readonly #listeners = new Set<HostListener>();
  /** Frames of this turn. */
  #outbox: Uint8Array[] = [];
  #inTurn = false;
  #closed = false;
  #identification = 0;
  #received = 0;
  #sent = 0;
  #dropped = 0;
  /** The packet that is being looked at. */
  #packet: { readonly source: IPv4Address; readonly bytes: Uint8Array } | undefined;

  constructor(options: GatewayOptions) {
    const { port, random32, reachesHost = false, plan = DEFAULT_PLAN } = options;
    this.#plan = plan;
    this.#port = port;
    const clock: NetworkClock = {
      now: () => options.clock.now(),
      at: (timeMs, callback) => options.clock.at(timeMs, () => this.#turn(callback)),
    };
    const host = hostInTurns(options.host, (work) => this.#turn(work));
    this.#host = host;
    const refusal = (): ((code: number) => void) => this.#refusal();
    const segmentBytes = plan.mtu - IPV4_HEADER_BYTES - TCP_HEADER_BYTES;
    this.#tcp = new TcpRelay({
      host,
      clock,
      random32,
      segmentBytes,
      refusal,
      send: (segment, source, destination) => this.#sendTcp(segment, source, destination),
      destinationOf: (address, to) => destinationOf(plan, host, address, to, reachesHost, 0),
    });
    this.#udp = new UdpRelay({
      host,
      clock,
      refusal,
      send: (datagram, source, destination) => this.#sendUdp(datagram, source, destination),
      destinationOf: (address, to, attempt) => destinationOf(plan, host, address, to, reachesHost, attempt),
    });
    this.#dhcp = new DhcpServer(plan, () => clock.now());
    this.#neighbours = new Neighbours(plan, clock, (frame) => this.#outbox.push(frame));
    this.#fragments = new FragmentReassembly(() => clock.now());
    port.onReceive((frame) => this.#turn(() => this.#receive(frame)));
  }

  get statistics(): GatewayStatistics {
    return {
      framesReceived: this.#received,
      framesSent: this.#sent,
      framesDropped: this.#dropped,
      tcpConnections: this.#tcp.connections,
      udpFlows: this.#udp.flows,
    };
  }

  /** Addresses that guests have been given. */
  leases(): { readonly address: IPv4Address; readonly mac: MacAddress }[] {
    return this.#dhcp.leases();
  }

  /**
   * Lets the host's network reach a port of a guest.
   * @throws Error (as a rejection) when the host cannot listen there
   */
  async forward(forward: PortForward): Promise<HostListener> {
    const { protocol, host: at, guest = this.#plan.firstLease, guestPort } = forward;
    const { gateway } = this.#plan;
    let listener: HostListener;
    if (protocol === "tcp") {
      listener = await this.#host.listen(at, (stream) => this.#tcp.connectToGuest(stream, guest, guestPort, gateway));
    } else {
      const receive = this.#udp.forward(guest, guestPort, gateway, (bytes, to) => socket.send(bytes, to));
      const socket = await this.#host.bindDatagrams(at, receive);
      listener = socket;
    }
    if (this.#closed) listener.close();
    else this.#listeners.add(listener);
    return {
      endpoint: listener.endpoint,
      close: () => {
        this.#listeners.delete(listener);
        listener.close();
      },
    };
  }

  /**
   * Guests that could not be reached for a while can be, a machine that went on elsewhere above all: connections send again
   * what may be lost, without waiting for their time.
   */
  resume(): void {
    this.#turn(() => this.#tcp.resume());
  }

  /** Gives back every socket; guests' connections are reset. */
  close(): void {
    this.#turn(() => {
      for (const listener of this.#listeners) listener.close();
      this.#listeners.clear();
      this.#tcp.close();
      this.#udp.close();
    });
    this.#closed = true;
  }

  #turn(work: () => void): void {
    if (this.#closed) return;
    if (this.#inTurn) {
      work();
      return;
    }
    this.#inTurn = true;
    try {
      work();
      // What is received while sending adds to the end.
      for (const frame of this.#outbox) {
        this.#sent++;
        this.#port.send(frame);
      }
    } finally {
      this.#outbox = [];
      this.#inTurn = false;
    }
  }

  #receive(bytes: Uint8Array): void {
    this.#received++;
    const frame = parseFrame(bytes);
    const { gatewayMac } = this.#plan;
    if (frame === undefined || isGroupMac(frame.source) || frame.source === gatewayMac) {
      this.#dropped++;
      return;
    }
    // A flooded frame for somebody else, or for a group that nobody here is in.
    if (frame.destination !== gatewayMac && frame.destination !== BROADCAST_MAC) return;
    if (frame.type === EtherType.arp) {
      const arp = parseArp(frame.payload);
      if (arp === undefined) this.#dropped++;
      else this.#neighbours.receive(arp);
      return;
    }
    const packet = frame.type === EtherType.ipv4 ? parseIPv4(frame.payload) : undefined;
    if (packet === undefined) {
      this.#dropped++;
      return;
    }
    this.#packet = { source: packet.source, bytes: frame.payload };
    this.#receivePacket(packet, frame.source);
    this.#packet = undefined;
  }

  #receivePacket(piece: IPv4Packet, from: MacAddress): void {
    const packet = this.#fragments.receive(piece);
    if (packet === undefined) return;
    const { source, destination, protocol, payload } = packet;
    if (protocol === IpProtocol.udp) {
      const datagram = parseUdp(payload, source, destination);
      if (datagram?.destinationPort === DHCP_SERVER_PORT) {
        this.#receiveDhcp(datagram.payload);
        return;
      }
    }
    // Anybody else's address would be one that answers cannot reach.
    const own = isOwn(this.#plan, destination);
    const isGuest = isInside(this.#plan, source) && !isOwn(this.#plan, source) && source !== this.#plan.network;
    if (!isGuest || destination === broadcastAddress(this.#plan) || (isInside(this.#plan, destination) && !own)) return;
    this.#neighbours.learn(source, from);
    if (protocol === IpProtocol.tcp) {
      const segment = parseTcp(payload, source, destination);
      if (segment === undefined) this.#dropped++;
      else this.#tcp.receive(segment, source, destination);
    } else if (protocol === IpProtocol.udp) {
      const datagram = parseUdp(payload, source, destination);
      if (datagram === undefined) this.#dropped++;
      else this.#udp.receive(datagram, source, destination, own);
    } else if (protocol === IpProtocol.icmp) {
      this.#receiveIcmp(packet, own);
    } else {
      this.#dropped++;
    }
  }

  /** The gateway answers for itself. For others it has no way to ask, and says so. */
  #receiveIcmp({ source, destination, payload }: IPv4Packet, own: boolean): void {
    const message = parseIcmp(payload);
    if (message?.type !== IcmpType.echoRequest) return;
    if (own) {
      const reply = buildIcmp({ ...message, type: IcmpType.echoReply, code: 0 });
      this.#sendPackets(IpProtocol.icmp, destination, source, reply);
    } else {
      this.#refusal()(UnreachableCode.prohibited);
    }
  }

  #receiveDhcp(bytes: Uint8Array): void {
    const message = parseDhcp(bytes);
    const reply = message === undefined ? undefined : this.#dhcp.receive(message);
    if (reply === undefined) return;
    const { gateway, gatewayMac } = this.#plan;
    const datagram = { sourcePort: DHCP_SERVER_PORT, destinationPort: DHCP_CLIENT_PORT, payload: reply.bytes };
    if (reply.mac === undefined && isInside(this.#plan, reply.destination)) {
      this.#sendUdp(datagram, gateway, reply.destination);
      return;
    }
    const { destination, mac = BROADCAST_MAC } = reply;
    const packet = buildIPv4(
      { source: gateway, destination, protocol: IpProtocol.udp },
      buildUdp(datagram, gateway, destination),
    );
    this.#outbox.push(buildFrame({ destination: mac, source: gatewayMac, type: EtherType.ipv4, payload: packet }));
  }

  #sendTcp(segment: TcpSegment, source: IPv4Address, destination: IPv4Address): void {
    this.#sendPackets(IpProtocol.tcp, source, destination, buildTcp(segment, source, destination));
  }

  #sendUdp(datagram: UdpDatagram, source: IPv4Address, destination: IPv4Address): void {
    this.#sendPackets(IpProtocol.udp, source, destination, buildUdp(datagram, source, destination));
  }

  /** Says of the packet that is being looked at, now or later, that it does not get through (RFC 792). */
  #refusal(): (code: number) => void {
    const packet = this.#packet;
    if (packet === undefined) return () => {};
    return (code) => {
      const message = buildUnreachable(code, packet.bytes);
      this.#sendPackets(IpProtocol.icmp, this.#plan.gateway, packet.source, message);
    };
  }

  #sendPackets(protocol: number, source: IPv4Address, destination: IPv4Address, payload: Uint8Array): void {
    this.#identification = (this.#identification + 1) & 0xffff;
    const header = { source, destination, protocol, identification: this.#identification };
    for (const packet of buildFragments(header, payload, this.#plan.mtu)) this.#neighbours.send(destination, packet);
  }
}
