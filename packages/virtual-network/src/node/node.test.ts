// The gateway with real sockets: a guest made of our own TCP endpoint, on a switch reached by a real stream.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type MacAddress, parseAddress } from "../ethernet/addresses.ts";
import { ArpOperation, buildArp } from "../ethernet/arp.ts";
import { buildFrame, EtherType, parseFrame } from "../ethernet/frame.ts";
import { buildIPv4, IpProtocol, parseIPv4 } from "../ethernet/ipv4.ts";
import { buildTcp, parseTcp, TcpFlag, type TcpSegment } from "../ethernet/tcp.ts";
import { buildUdp, parseUdp } from "../ethernet/udp.ts";
import { Gateway } from "../gateway/gateway.ts";
import { DEFAULT_PLAN } from "../gateway/network-plan.ts";
import type { NetworkPort } from "../network-port.ts";
import { FramingError } from "../stream-framing.ts";
import { EthernetSwitch } from "../switch.ts";
import { TcpConnection } from "../tcp/connection.ts";
import {
  connectStream,
  nodeClock,
  nodeHostNetwork,
  parseStreamAddress,
  random32,
  serveSwitch,
  StreamAddressError,
} from "./index.ts";

const GUEST = parseAddress("10.0.2.15")!;
const GUEST_MAC = 0x5254_0000_0015 as MacAddress;
const { gateway: GATEWAY, gatewayMac } = DEFAULT_PLAN;
const loopback = { host: "127.0.0.1", port: 0 };
const clock = nodeClock();

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const end of cleanUp.splice(0).reverse()) end();
});

async function listening(server: Server): Promise<number> {
  // Whoever hangs up without reading all resets the connection.
  server.on("connection", (socket) => void socket.on("error", () => {}));
  server.listen(0, "127.0.0.1");
  cleanUp.push(() => server.close());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A gateway on a switch, and a cable to that switch through a socket of loopback. */
async function setUp() {
  const ethernet = new EthernetSwitch({ now: () => clock.now() });
  const port = ethernet.connect();
  const gateway = new Gateway({ port, host: nodeHostNetwork(), clock, random32, reachesHost: true });
  const server = await serveSwitch(ethernet, loopback);
  const cable = await connectStream(server.address);
  cleanUp.push(
    () => gateway.close(),
    () => server.close(),
    () => cable.close(),
  );
  return { gateway, server, cable };
}

function sendPacket(port: NetworkPort, protocol: number, payload: Uint8Array): void {
  const packet = buildIPv4({ source: GUEST, destination: GATEWAY, protocol }, payload);
  port.send(buildFrame({ destination: gatewayMac, source: GUEST_MAC, type: EtherType.ipv4, payload: packet }));
}

/** Frames to the guest's TCP, and answers to the gateway's questions who it is. */
function onSegment(port: NetworkPort, receive: (segment: TcpSegment) => void): void {
  port.onReceive((bytes) => {
    const frame = parseFrame(bytes)!;
    if (frame.type === EtherType.arp) {
      const addresses = { senderMac: GUEST_MAC, senderAddress: GUEST, targetMac: gatewayMac, targetAddress: GATEWAY };
      const payload = buildArp({ operation: ArpOperation.reply, ...addresses });
      port.send(buildFrame({ destination: gatewayMac, source: GUEST_MAC, type: EtherType.arp, payload }));
      return;
    }
    const packet = parseIPv4(frame.payload)!;
    if (packet.protocol === IpProtocol.tcp) receive(parseTcp(packet.payload, packet.source, packet.destination)!);
  });
}

/** The guest's end of a connection: gathers what comes, ends when the other side did. */
function guestEnd(port: NetworkPort, localPort: number, remotePort: number, syn?: TcpSegment) {
  const parts: Uint8Array[] = [];
  const finished = Promise.withResolvers<string>();
  const options = {
    localPort,
    remotePort,
    segmentBytes: 1460,
    receiveBytes: 100_000,
    sendBytes: 100_000,
    initialSequence: random32(),
    clock,
    emit: (segment: TcpSegment) => sendPacket(port, IpProtocol.tcp, buildTcp(segment, GUEST, GATEWAY)),
    events: {
      established: () => {},
      data: (bytes: Uint8Array) => {
        parts.push(bytes);
        connection.consumed(bytes.length);
      },
      ended: () => {
        connection.end();
        // Whoever ends first waits out its time before it is over.
        finished.resolve("ended");
      },
      drained: () => {},
      closed: finished.resolve,
    },
  };
  const connection = syn === undefined ? TcpConnection.connect(options) : TcpConnection.accept(options, syn);
  return { connection, finished: finished.promise, received: () => Buffer.concat(parts) };
}

const pattern = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 31) >> 3));

describe("the gateway with the host's sockets", () => {
  it("carries a guest's connection to a server of the host and back, megabytes of it", async () => {
    const { cable } = await setUp();
    const echo = await listening(createServer((socket) => socket.pipe(socket)));
    const guest = guestEnd(cable, 4000, echo);
    onSegment(cable, (segment) => guest.connection.receive(segment));
    const sent = pattern(3_000_000);
    guest.connection.write(sent);
    guest.connection.end();
    await guest.finished;
    expect(guest.received().equals(sent)).toBe(true);
  });

  it("refuses what the host refuses", async () => {
    const { cable } = await setUp();
    const server = createServer();
    const port = await listening(server);
    server.close();
    const guest = guestEnd(cable, 4001, port);
    onSegment(cable, (segment) => guest.connection.receive(segment));
    expect(await guest.finished).toBe("refused");
  });

  it("leads a client of the host to a guest's port", async () => {
    const { cable, gateway } = await setUp();
    const host = { address: "127.0.0.1", port: 0 };
    const { endpoint } = await gateway.forward({ protocol: "tcp", host, guestPort: 80 });
    let guest: ReturnType<typeof guestEnd> | undefined;
    onSegment(cable, (segment) => {
      if (segment.flags === TcpFlag.syn) guest ??= guestEnd(cable, 80, segment.sourcePort, segment);
      else guest?.connection.receive(segment);
    });
    const sent = pattern(1_000_000);
    const client = connect(endpoint.port, "127.0.0.1");
    client.end(sent).resume();
    await once(client, "end");
    expect(guest!.received().equals(sent)).toBe(true);
    await expect(gateway.forward({ protocol: "tcp", host: endpoint, guestPort: 80 })).rejects.toThrow(/EADDRINUSE/);
  });

  it("carries datagrams to a server of the host and back", async () => {
    const { cable } = await setUp();
    const echo = createSocket("udp4", (bytes, { port, address }) => echo.send(bytes, port, address));
    echo.bind(0, "127.0.0.1");
    cleanUp.push(() => echo.close());
    await once(echo, "listening");
    const { port } = echo.address();
    const answer = new Promise<string>((resolve) => {
      cable.onReceive((bytes) => {
        const packet = parseIPv4(parseFrame(bytes)!.payload);
        const datagram = packet && parseUdp(packet.payload, packet.source, packet.destination);
        if (datagram !== undefined)
          resolve(`${datagram.sourcePort === port} ${Buffer.from(datagram.payload).toString()}`);
      });
    });
    const datagram = { sourcePort: 5000, destinationPort: port, payload: Buffer.from("hello") };
    sendPacket(cable, IpProtocol.udp, buildUdp(datagram, GUEST, GATEWAY));
    expect(await answer).toBe("true hello");
  });
});

describe("a stream", () => {
  it("that is no stream of frames is closed, others go on", async () => {
    const { cable, server } = await setUp();
    const { port } = server.address as { port: number };
    const stranger = connect(port, "127.0.0.1");
    stranger.write("GET / HTTP/1.1\r\n\r\n");
    await once(stranger, "close");
    const guest = guestEnd(cable, 4002, await listening(createServer((socket) => socket.end("still here"))));
    onSegment(cable, (segment) => guest.connection.receive(segment));
    await guest.finished;
    expect(guest.received().toString()).toBe("still here");
  });

  it("says why it was closed", async () => {
    const port = await listening(createServer((socket) => socket.write(Buffer.alloc(4))));
    const stream = await connectStream({ host: "127.0.0.1", port });
    expect(await stream.closed).toBeInstanceOf(FramingError);
  });

  it("has an address of either kind", () => {
    expect(parseStreamAddress("localhost:80")).toEqual({ host: "localhost", port: 80 });
    expect(parseStreamAddress("[::1]:80")).toEqual({ host: "::1", port: 80 });
    expect(parseStreamAddress("unix:/run/switch")).toEqual({ path: "/run/switch" });
    for (const wrong of ["", "unix:", "80", "a:b", "a:70000", "::1:80"]) {
      expect(() => parseStreamAddress(wrong)).toThrow(StreamAddressError);
    }
  });
});
