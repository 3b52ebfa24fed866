import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BROADCAST_MAC,
  formatAddress,
  type IPv4Address,
  type MacAddress,
  parseAddress,
} from "../ethernet/addresses.ts";
import { ArpOperation, buildArp, parseArp } from "../ethernet/arp.ts";
import { buildFrame, EtherType, parseFrame } from "../ethernet/frame.ts";
import { buildIcmp, IcmpType, parseIcmp, UnreachableCode } from "../ethernet/icmp.ts";
import { buildFragments, IpProtocol, type IPv4Packet, parseIPv4 } from "../ethernet/ipv4.ts";
import { buildTcp, parseTcp, TcpFlag, type TcpSegment } from "../ethernet/tcp.ts";
import { buildUdp, parseUdp, type UdpDatagram } from "../ethernet/udp.ts";
import { createCable, type NetworkPort } from "../network-port.ts";
import { TcpConnection, type TcpEvents } from "../tcp/connection.ts";
import { SimulatedHost } from "../testing/simulated-host.ts";
import { SimulatedClock } from "../testing/simulation.ts";
import { DhcpType, parseDhcp } from "./dhcp.ts";
import { Gateway, type GatewayOptions } from "./gateway.ts";
import { DEFAULT_PLAN, parseNetworkPlan } from "./network-plan.ts";

const GUEST_MAC = 0x5254_0012_3456 as MacAddress;
const address = (text: string): IPv4Address => parseAddress(text)!;
const GUEST = address("10.0.2.15");
const OUTSIDE = address("203.0.113.7");
const { gateway: GATEWAY, nameServer: NAME_SERVER, gatewayMac } = DEFAULT_PLAN;
const text = (string: string): Uint8Array => new TextEncoder().encode(string);

/** A machine on the gateway's network, as far as these tests need one. */
class Guest {
  readonly port: NetworkPort;
  readonly packets: IPv4Packet[] = [];
  readonly arps: ReturnType<typeof parseArp>[] = [];
  onTcp: (segment: TcpSegment) => void = () => {};

  constructor(port: NetworkPort) {
    this.port = port;
    port.onReceive((bytes) => {
      const frame = parseFrame(bytes)!;
      if (frame.type === EtherType.arp) {
        const arp = parseArp(frame.payload)!;
        this.arps.push(arp);
        if (arp.operation === ArpOperation.request && arp.targetAddress === GUEST) this.announce(arp.senderAddress);
        return;
      }
      const packet = parseIPv4(frame.payload)!;
      this.packets.push(packet);
      if (packet.protocol === IpProtocol.tcp) this.onTcp(parseTcp(packet.payload, packet.source, packet.destination)!);
    });
  }

  announce(to: IPv4Address): void {
    const payload = buildArp({
      operation: ArpOperation.reply,
      senderMac: GUEST_MAC,
      senderAddress: GUEST,
      targetMac: gatewayMac,
      targetAddress: to,
    });
    this.port.send(buildFrame({ destination: gatewayMac, source: GUEST_MAC, type: EtherType.arp, payload }));
  }

  send(
    protocol: number,
    destination: IPv4Address,
    payload: Uint8Array,
    source = GUEST,
    mac: MacAddress = gatewayMac,
  ): void {
    for (const packet of buildFragments({ source, destination, protocol, identification: 1 }, payload, 1500)) {
      this.port.send(buildFrame({ destination: mac, source: GUEST_MAC, type: EtherType.ipv4, payload: packet }));
    }
  }

  sendUdp(datagram: UdpDatagram, destination: IPv4Address): void {
    this.send(IpProtocol.udp, destination, buildUdp(datagram, GUEST, destination));
  }

  sendTcp(segment: TcpSegment, destination: IPv4Address): void {
    this.send(IpProtocol.tcp, destination, buildTcp(segment, GUEST, destination));
  }

  datagrams(): { readonly from: string; readonly port: number; readonly text: string }[] {
    return this.packets
      .filter(({ protocol, moreFragments }) => protocol === IpProtocol.udp && !moreFragments)
      .map(({ source, destination, payload }) => {
        const datagram = parseUdp(payload, source, destination)!;
        const { sourcePort, destinationPort } = datagram;
        const from = `${formatAddress(source)}:${sourcePort}`;
        return { from, port: destinationPort, text: new TextDecoder().decode(datagram.payload) };
      });
  }

  unreachable(): number[] {
    return this.packets
      .filter(({ protocol }) => protocol === IpProtocol.icmp)
      .map(({ payload }) => parseIcmp(payload)!)
      .filter(({ type }) => type === IcmpType.unreachable)
      .map(({ code }) => code);
  }
}

function setUp(options: Partial<GatewayOptions> = {}) {
  const clock = new SimulatedClock();
  const host = new SimulatedHost();
  const [inside, outside] = createCable();
  const gateway = new Gateway({ port: outside, host, clock, random32: () => 1_000_000, ...options });
  return { clock, host, gateway, guest: new Guest(inside) };
}

/** A guest's own endpoint, opened to an address outside or answering a SYN. */
function guestConnection(guest: Guest, clock: SimulatedClock, peer: IPv4Address, peerPort: number, syn?: TcpSegment) {
  const received: number[] = [];
  const log: string[] = [];
  const events: TcpEvents = {
    established: () => void log.push("established"),
    data: (bytes) => void received.push(...bytes),
    ended: () => void log.push("ended"),
    drained: () => void log.push("drained"),
    closed: (end) => void log.push(end),
  };
  const options = {
    localPort: syn?.destinationPort ?? 40_000,
    remotePort: peerPort,
    segmentBytes: 1460,
    receiveBytes: 100_000,
    sendBytes: 100_000,
    initialSequence: 7,
    clock,
    // A machine takes its time.
    emit: (segment: TcpSegment) => void clock.at(clock.now() + 1, () => guest.sendTcp(segment, peer)),
    events,
  };
  const connection = syn === undefined ? TcpConnection.connect(options) : TcpConnection.accept(options, syn);
  guest.onTcp = (segment) => clock.at(clock.now() + 1, () => connection.receive(segment));
  return { connection, received, log };
}

describe("the gateway as a neighbour", () => {
  it("answers ARP for its addresses and echo to them, and says honestly that it cannot ask others", () => {
    const { guest } = setUp();
    const ask = (target: IPv4Address): void => {
      const payload = buildArp({
        operation: ArpOperation.request,
        senderMac: GUEST_MAC,
        senderAddress: GUEST,
        targetMac: 0 as MacAddress,
        targetAddress: target,
      });
      guest.port.send(buildFrame({ destination: BROADCAST_MAC, source: GUEST_MAC, type: EtherType.arp, payload }));
    };
    for (const target of [GATEWAY, NAME_SERVER, address("10.0.2.99")]) ask(target);
    expect(guest.arps.map((arp) => arp!.senderAddress)).toEqual([GATEWAY, NAME_SERVER]);
    const echo = { type: IcmpType.echoRequest, code: 0, rest: 0x0001_0002, payload: text("ping") };
    guest.send(IpProtocol.icmp, GATEWAY, buildIcmp(echo));
    expect(parseIcmp(guest.packets[0].payload)).toEqual({ ...echo, type: IcmpType.echoReply });
    guest.send(IpProtocol.icmp, OUTSIDE, buildIcmp(echo));
    expect(guest.unreachable()).toEqual([UnreachableCode.prohibited]);
  });

  it("survives any bytes in a frame", () => {
    const { guest, gateway } = setUp();
    const type = fc.constantFrom(EtherType.arp, EtherType.ipv4, 0x86dd);
    fc.assert(
      fc.property(type, fc.uint8Array({ maxLength: 200 }), (etherType, payload) => {
        guest.port.send(buildFrame({ destination: gatewayMac, source: GUEST_MAC, type: etherType, payload }));
      }),
    );
    const protocol = fc.constantFrom(...Object.values(IpProtocol));
    fc.assert(
      fc.property(protocol, fc.uint8Array({ maxLength: 200 }), (number, payload) => {
        guest.send(number, OUTSIDE, payload);
        guest.send(number, GATEWAY, payload);
      }),
    );
    expect(gateway.statistics.framesDropped).toBeGreaterThan(0);
  });
});

describe("DHCP", () => {
  function message(type: number, mac: MacAddress, options: readonly number[] = []): Uint8Array {
    const bytes = new Uint8Array(300);
    bytes.set([1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
    bytes.set(
      [40, 32, 24, 16, 8, 0].map((shift) => Math.floor(mac / 2 ** shift) & 0xff),
      28,
    );
    bytes.set([0x63, 0x82, 0x53, 0x63, 53, 1, type, ...options, 255], 236);
    return bytes;
  }

  function exchange(guest: Guest, type: number, mac: MacAddress, options: readonly number[] = []) {
    const before = guest.packets.length;
    const any = 0 as IPv4Address;
    const everybody = 0xffff_ffff as IPv4Address;
    const datagram = { sourcePort: 68, destinationPort: 67, payload: message(type, mac, options) };
    guest.send(IpProtocol.udp, everybody, buildUdp(datagram, any, everybody), any, BROADCAST_MAC);
    const [packet] = guest.packets.slice(before);
    if (packet === undefined) return undefined;
    const { payload } = parseUdp(packet.payload, packet.source, packet.destination)!;
    const reply = new DataView(payload.buffer, payload.byteOffset);
    // A server's reply read as a client's request would be, for its options.
    const asRequest = payload.slice();
    asRequest[0] = 1;
    return { type: parseDhcp(asRequest)?.type, address: reply.getUint32(16), payload };
  }

  const wants = (wanted: IPv4Address): number[] => [50, 4, ...[24, 16, 8, 0].map((shift) => (wanted >>> shift) & 0xff)];

  it("offers and gives the first address, with router, name server and netmask, and the same one again", () => {
    const { guest, gateway } = setUp();
    const offer = exchange(guest, DhcpType.discover, GUEST_MAC);
    expect(offer).toMatchObject({ type: DhcpType.offer, address: GUEST });
    const acknowledged = exchange(guest, DhcpType.request, GUEST_MAC, wants(GUEST))!;
    expect(acknowledged).toMatchObject({ type: DhcpType.ack, address: GUEST });
    const options = Array.from(acknowledged.payload.subarray(240)).join(",");
    for (const option of ["1,4,255,255,255,0", "3,4,10,0,2,2", "6,4,10,0,2,3", "51,4,0,1,81,128", "26,2,5,220"]) {
      expect(options).toContain(option);
    }
    expect(exchange(guest, DhcpType.discover, GUEST_MAC)?.address).toBe(GUEST);
    expect(gateway.leases()).toEqual([{ address: GUEST, mac: GUEST_MAC }]);
  });

  it("gives each client its own, refuses what is taken or not its to give, and runs out honestly", () => {
    const { guest, clock } = setUp({ plan: parseNetworkPlan("192.168.7.0/27")! });
    const first = address("192.168.7.15");
    expect(exchange(guest, DhcpType.request, GUEST_MAC, wants(first))?.type).toBe(DhcpType.ack);
    const other = (GUEST_MAC + 1) as MacAddress;
    expect(exchange(guest, DhcpType.request, other, wants(first))?.type).toBe(DhcpType.nak);
    expect(exchange(guest, DhcpType.request, other, wants(address("10.9.9.9")))?.type).toBe(DhcpType.nak);
    const given = new Set<number>();
    for (let i = 1; i < 40; i++) {
      const reply = exchange(guest, DhcpType.discover, (GUEST_MAC + i) as MacAddress);
      if (reply !== undefined) given.add(reply.address);
    }
    expect(given.size).toBe(15);
    // Offers that nobody took are free again after a while, leases stay.
    clock.run(61_000);
    expect(exchange(guest, DhcpType.discover, other)?.address).toBe(first + 1);
  });

  it("refuses or answers anything that claims to be DHCP", () => {
    const { guest } = setUp();
    fc.assert(
      fc.property(fc.nat(255), fc.array(fc.nat(255), { maxLength: 50 }), (type, options) => {
        exchange(guest, type, GUEST_MAC, options);
      }),
    );
  });
});

describe("UDP", () => {
  it("has one socket for a guest's port, hears only those that were sent to, and is given up when idle", () => {
    const { guest, host, clock } = setUp();
    guest.sendUdp({ sourcePort: 5000, destinationPort: 7, payload: text("one") }, OUTSIDE);
    guest.sendUdp({ sourcePort: 5000, destinationPort: 9, payload: text("two") }, OUTSIDE);
    expect(host.sockets).toHaveLength(1);
    const [socket] = host.sockets;
    expect(socket.sent.map((each) => [each.text, each.to.port])).toEqual([
      ["one", 7],
      ["two", 9],
    ]);
    socket.receive(text("answer"), { address: "203.0.113.7", port: 7 });
    socket.receive(text("unasked"), { address: "203.0.113.8", port: 7 });
    expect(guest.datagrams()).toEqual([{ from: "203.0.113.7:7", port: 5000, text: "answer" }]);
    clock.run(119_000);
    expect(socket.closed).toBe(false);
    clock.run(121_000);
    expect(socket.closed).toBe(true);
    expect(clock.isIdle).toBe(true);
  });

  it("asks the host's name servers for the guest, the next one when it asks again", () => {
    const { guest, host } = setUp();
    host.servers.push({ address: "192.0.2.54", port: 5353 });
    for (let i = 0; i < 2; i++) {
      guest.sendUdp({ sourcePort: 5000, destinationPort: 53, payload: text("who?") }, NAME_SERVER);
    }
    expect(host.sockets[0].sent.map(({ to }) => to.address)).toEqual(["192.0.2.53", "192.0.2.54"]);
    host.sockets[0].receive(text("it"), { address: "192.0.2.54", port: 5353 });
    expect(guest.datagrams()).toEqual([{ from: "10.0.2.3:53", port: 5000, text: "it" }]);
  });

  it("does not reach the host, itself or groups, unless the host may be reached", () => {
    const { guest, host } = setUp();
    for (const to of ["10.0.2.2", "127.0.0.1", "224.0.0.1", "0.0.0.0"]) {
      guest.sendUdp({ sourcePort: 5000, destinationPort: 7, payload: text("x") }, address(to));
    }
    expect(host.sockets).toHaveLength(0);
    const open = setUp({ reachesHost: true });
    open.guest.sendUdp({ sourcePort: 5000, destinationPort: 7, payload: text("x") }, GATEWAY);
    expect(open.host.sockets[0].sent[0].to).toEqual({ address: "127.0.0.1", port: 7 });
  });

  it("carries datagrams larger than a frame both ways", () => {
    const { guest, host } = setUp();
    const large = "0123456789".repeat(1000);
    guest.sendUdp({ sourcePort: 5000, destinationPort: 7, payload: text(large) }, OUTSIDE);
    expect(host.sockets[0].sent[0].text).toBe(large);
    host.sockets[0].receive(text(large), { address: "203.0.113.7", port: 7 });
    expect(guest.packets.map(({ payload }) => payload.length)).toEqual([1480, 1480, 1480, 1480, 1480, 1480, 1128]);
  });

  it("forwards a port of the host, and answers to whom it came from", async () => {
    const { guest, host, gateway } = setUp();
    await gateway.forward({ protocol: "udp", host: { address: "127.0.0.1", port: 99 }, guestPort: 7 });
    const [socket] = host.sockets;
    socket.receive(text("a"), { address: "198.51.100.1", port: 1 });
    socket.receive(text("b"), { address: "198.51.100.2", port: 2 });
    const [a, b] = guest.datagrams();
    expect([a.text, b.text, a.port]).toEqual(["a", "b", 7]);
    const answerPort = Number(b.from.split(":")[1]);
    guest.sendUdp({ sourcePort: 7, destinationPort: answerPort, payload: text("to b") }, GATEWAY);
    expect(socket.sent).toEqual([{ text: "to b", to: { address: "198.51.100.2", port: 2 } }]);
  });
});

describe("TCP", () => {
  it("answers a guest's SYN when the host is connected, and refuses what was refused", () => {
    const { guest, host, clock } = setUp();
    const accepted = guestConnection(guest, clock, OUTSIDE, 80);
    clock.run(500);
    expect([host.streams[0].to, accepted.log]).toEqual([{ address: "203.0.113.7", port: 80 }, []]);
    host.streams[0].events!.connected();
    clock.run(600);
    expect(accepted.log).toEqual(["established"]);

    const refused = guestConnection(guest, clock, OUTSIDE, 81);
    clock.run(700);
    host.streams[1].events!.closed("refused");
    clock.run(800);
    expect(refused.log).toEqual(["refused"]);

    guestConnection(guest, clock, OUTSIDE, 82);
    clock.run(900);
    host.streams[2].events!.closed("unreachable");
    guestConnection(guest, clock, address("127.0.0.1"), 82);
    clock.run(1000);
    expect(guest.unreachable()).toEqual([UnreachableCode.host, UnreachableCode.prohibited]);
  });

  it("carries both directions, half closes, and leaves nothing behind", () => {
    const { guest, host, clock, gateway } = setUp();
    const { connection, received, log } = guestConnection(guest, clock, OUTSIDE, 80);
    clock.run(10);
    const [stream] = host.streams;
    stream.events!.connected();
    clock.run(20);
    connection.write(text("GET /"));
    connection.end();
    clock.run(100);
    expect([new TextDecoder().decode(Uint8Array.from(stream.received)), stream.ended]).toEqual(["GET /", true]);
    stream.events!.data(text("hello"));
    stream.events!.ended();
    stream.events!.closed("finished");
    clock.run(200);
    expect([new TextDecoder().decode(Uint8Array.from(received)), log]).toEqual(["hello", ["established", "ended"]]);
    clock.run(100_000);
    expect(gateway.statistics.tcpConnections).toBe(0);
    expect(clock.isIdle).toBe(true);
  });

  it("slows the guest down when the host's stream does not drain, and the host when the guest does not read", () => {
    const { guest, host, clock } = setUp();
    const { connection, received } = guestConnection(guest, clock, OUTSIDE, 80);
    clock.run(10);
    const [stream] = host.streams;
    stream.events!.connected();
    stream.flushing = false;
    clock.run(20);
    connection.write(new Uint8Array(1_000_000));
    clock.run(20_000);
    // What the window's scale rounds up included.
    expect(stream.received.length - 256 * 1024).toBeLessThan(8);
    expect(stream.received.length).toBeGreaterThanOrEqual(256 * 1024);
    while (stream.unflushed > 0) {
      stream.flush();
      clock.run(clock.now() + 1000);
    }
    expect(stream.received).toHaveLength(1_000_000);

    // The guest never consumes, so 100,000 bytes fit there and the send buffer here.
    for (let sent = 0; sent < 1_000_000 && !stream.paused; sent += 10_000) stream.events!.data(new Uint8Array(10_000));
    clock.run(clock.now() + 100);
    for (let sent = 0; sent < 1_000_000 && !stream.paused; sent += 10_000) stream.events!.data(new Uint8Array(10_000));
    expect(stream.paused).toBe(true);
    clock.run(clock.now() + 1000);
    expect(received).toHaveLength(100_000);
    connection.consumed(100_000);
    clock.run(clock.now() + 60_000);
    expect(received).toHaveLength(200_000);
    connection.consumed(100_000);
    clock.run(clock.now() + 60_000);
    expect(stream.paused).toBe(false);
  });

  it("a broken stream resets the guest's connection, and the other way round", () => {
    const { guest, host, clock, gateway } = setUp();
    for (const breaks of ["host", "guest"]) {
      const { connection, log } = guestConnection(guest, clock, OUTSIDE, 80);
      clock.run(clock.now() + 10);
      const stream = host.streams.at(-1)!;
      stream.events!.connected();
      clock.run(clock.now() + 10);
      if (breaks === "host") stream.events!.closed("reset");
      else connection.abort();
      clock.run(clock.now() + 10);
      expect([log.at(-1), stream.aborted]).toEqual(breaks === "host" ? ["reset", false] : ["aborted", true]);
    }
    expect(gateway.statistics.tcpConnections).toBe(0);
  });

  it("forwards a port of the host to a guest that never spoke", async () => {
    const { guest, host, clock, gateway } = setUp();
    const listener = await gateway.forward({
      protocol: "tcp",
      host: { address: "127.0.0.1", port: 8080 },
      guestPort: 80,
    });
    let connection: ReturnType<typeof guestConnection> | undefined;
    guest.onTcp = (syn) => {
      connection = guestConnection(guest, clock, GATEWAY, syn.sourcePort, syn);
    };
    const stream = host.visit(8080);
    stream.events!.data(text("early"));
    clock.run(100);
    expect(new TextDecoder().decode(Uint8Array.from(connection!.received))).toBe("early");
    connection!.connection.write(text("hello"));
    connection!.connection.end();
    clock.run(200);
    expect([new TextDecoder().decode(Uint8Array.from(stream.received)), stream.ended]).toEqual(["hello", true]);

    guest.onTcp = ({ sourcePort, sequence }) => {
      const reset = { sourcePort: 80, destinationPort: sourcePort, sequence: 0, acknowledgement: sequence + 1 };
      const flags = TcpFlag.rst | TcpFlag.ack;
      guest.sendTcp({ ...reset, flags, window: 0, payload: new Uint8Array(0) }, GATEWAY);
    };
    const refused = host.visit(8080);
    clock.run(300);
    expect(refused.aborted).toBe(true);
    listener.close();
    gateway.close();
    expect(stream.aborted).toBe(true);
  });
});
