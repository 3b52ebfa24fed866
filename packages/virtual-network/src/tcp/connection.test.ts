import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TcpFlag, type TcpSegment } from "../ethernet/tcp.ts";
import { faultyLink, type LinkFaults, seededRandom, SimulatedClock } from "../testing/simulation.ts";
import { resetFor, TcpConnection, type TcpEnd, type TcpOptions } from "./connection.ts";
import { sequenceDifference } from "./sequence.ts";

const PERFECT: LinkFaults = { loss: 0, duplication: 0, delayMs: 1, jitterMs: 0 };
const SEGMENT_BYTES = 1000;
const BUFFER_BYTES = 20_000;

/** An application that writes what it has as it may, and consumes what it gets after some time. */
interface Side {
  connection?: TcpConnection;
  readonly toWrite: Uint8Array;
  written: number;
  readonly received: number[];
  ended: boolean;
  closed: TcpEnd | undefined;
  /** Data given to the application and not consumed, at most. */
  mostUnconsumed: number;
}

interface Plan {
  readonly seed: number;
  readonly faults: LinkFaults;
  readonly clientBytes: number;
  readonly serverBytes: number;
  /** How long applications hold what they got; 0 consumes at once. */
  readonly consumeAfterMs: number;
  readonly initialSequence: number;
  /** Whether the client writes before the connection stands. */
  readonly early: boolean;
}

function bytesOf(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + seed + (index >> 8)) & 0xff);
}

class Conversation {
  readonly clock: SimulatedClock = new SimulatedClock();
  readonly client: Side;
  readonly server: Side;
  readonly log: { readonly from: "client" | "server"; readonly segment: TcpSegment }[] = [];
  readonly #plan: Plan;
  readonly #toClient: (segment: TcpSegment) => void;
  readonly #toServer: (segment: TcpSegment) => void;

  constructor(plan: Partial<Plan> = {}) {
    this.#plan = {
      seed: 1,
      faults: PERFECT,
      clientBytes: 0,
      serverBytes: 0,
      consumeAfterMs: 0,
      initialSequence: 0xffff_ff00,
      early: false,
      ...plan,
    };
    const random = seededRandom(this.#plan.seed);
    this.client = newSide(bytesOf(this.#plan.clientBytes, 1));
    this.server = newSide(bytesOf(this.#plan.serverBytes, 2));
    this.#toServer = faultyLink(this.clock, random, this.#plan.faults, (segment: TcpSegment) => {
      if (this.server.connection !== undefined) this.server.connection.receive(segment);
      else if ((segment.flags & (TcpFlag.syn | TcpFlag.ack)) === TcpFlag.syn) {
        this.server.connection = TcpConnection.accept(this.#options("server"), segment);
      } else {
        const reset = resetFor(segment);
        if (reset !== undefined) this.#toClient(reset);
      }
    });
    this.#toClient = faultyLink(this.clock, random, this.#plan.faults, (segment: TcpSegment) => {
      this.client.connection?.receive(segment);
    });
    this.client.connection = TcpConnection.connect(this.#options("client"));
    if (this.#plan.early) this.pump(this.client);
  }

  #options(name: "client" | "server"): TcpOptions {
    const side = this[name];
    const send = (segment: TcpSegment): void => (name === "client" ? this.#toServer : this.#toClient)(segment);
    let unconsumed = 0;
    return {
      localPort: name === "client" ? 1 : 2,
      remotePort: name === "client" ? 2 : 1,
      segmentBytes: SEGMENT_BYTES,
      receiveBytes: BUFFER_BYTES,
      sendBytes: BUFFER_BYTES,
      initialSequence: this.#plan.initialSequence,
      clock: this.clock,
      emit: (segment) => {
        this.log.push({ from: name, segment });
        send(segment);
      },
      events: {
        established: () => this.pump(side),
        drained: () => this.pump(side),
        data: (bytes) => {
          side.received.push(...bytes);
          unconsumed += bytes.length;
          side.mostUnconsumed = Math.max(side.mostUnconsumed, unconsumed);
          const consume = (): void => {
            unconsumed -= bytes.length;
            side.connection?.consumed(bytes.length);
          };
          if (this.#plan.consumeAfterMs === 0) consume();
          else this.clock.at(this.clock.now() + this.#plan.consumeAfterMs, consume);
        },
        ended: () => void (side.ended = true),
        closed: (end) => void (side.closed = end),
      },
    };
  }

  /** Writes as much as there is room for, and ends behind the last byte. */
  pump(side: Side): void {
    while (side.written < side.toWrite.length) {
      const chunk = side.toWrite.subarray(side.written, side.written + 3000);
      side.written += chunk.length;
      // Before accept() returned, its `established` cannot have been called.
      if (!side.connection!.write(chunk)) return;
    }
    side.connection!.end();
  }

  sent(from: "client" | "server", flag: number): TcpSegment[] {
    return this.log
      .filter((each) => each.from === from && (each.segment.flags & flag) !== 0)
      .map(({ segment }) => segment);
  }
}

function newSide(toWrite: Uint8Array): Side {
  return { toWrite, written: 0, received: [], ended: false, closed: undefined, mostUnconsumed: 0 };
}

const HOUR_MS = 3_600_000;

describe("a TCP connection", () => {
  it("carries both directions and ends on both sides over a perfect link", () => {
    const conversation = new Conversation({ clientBytes: 100_000, serverBytes: 50_000 });
    const { client, server, clock } = conversation;
    clock.run(HOUR_MS);
    expect(Uint8Array.from(server.received)).toEqual(client.toWrite);
    expect(Uint8Array.from(client.received)).toEqual(server.toWrite);
    expect([client.closed, server.closed]).toEqual(["finished", "finished"]);
    expect(clock.isIdle).toBe(true);
    // Nothing was sent twice: each direction's payloads add up to its bytes.
    const payload = conversation.sent("client", TcpFlag.ack).reduce((sum, segment) => sum + segment.payload.length, 0);
    expect(payload).toBe(100_000);
    expect(conversation.sent("client", TcpFlag.syn)).toHaveLength(1);
    expect([conversation.sent("client", TcpFlag.fin), conversation.sent("server", TcpFlag.fin)]).toMatchObject([
      [{}],
      [{}],
    ]);
  });

  it("brings every byte in order or says that it is broken, whatever the link does", () => {
    const plan = fc.record({
      seed: fc.nat(),
      faults: fc.record({
        loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
        duplication: fc.double({ min: 0, max: 0.3, noNaN: true }),
        delayMs: fc.constantFrom(0, 1, 50, 400),
        jitterMs: fc.constantFrom(0, 1, 30, 300),
      }),
      clientBytes: fc.nat(40_000),
      serverBytes: fc.nat(40_000),
      consumeAfterMs: fc.constantFrom(0, 0, 5, 2000),
      initialSequence: fc.constantFrom(0, 0x7fff_f000, 0xffff_ff00),
      early: fc.boolean(),
    });
    fc.assert(
      fc.property(plan, (values) => {
        const { client, server, clock } = new Conversation(values);
        clock.run(24 * HOUR_MS);
        expect(server.received).toEqual([...client.toWrite.subarray(0, server.received.length)]);
        expect(client.received).toEqual([...server.toWrite.subarray(0, client.received.length)]);
        expect(Math.max(client.mostUnconsumed, server.mostUnconsumed)).toBeLessThanOrEqual(
          BUFFER_BYTES + SEGMENT_BYTES,
        );
        expect(client.closed).toBeDefined();
        const whole = client.received.length === values.serverBytes && server.received.length === values.clientBytes;
        expect(whole || client.closed !== "finished").toBe(true);
        expect(clock.isIdle).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it("survives a third of all segments being lost", () => {
    for (let seed = 0; seed < 20; seed++) {
      const faults = { ...PERFECT, loss: 0.33, jitterMs: 20 };
      const { client, server, clock } = new Conversation({ seed, faults, clientBytes: 30_000, serverBytes: 30_000 });
      clock.run(24 * HOUR_MS);
      expect([client.received.length, server.received.length]).toEqual([30_000, 30_000]);
    }
  });

  it("sends a lost segment again after three duplicates, long before the timeout", () => {
    const conversation = new Conversation({ clientBytes: 30_000 });
    conversation.clock.run(2);
    const server = conversation.server.connection!;
    const receive = server.receive.bind(server);
    let dropped = false;
    server.receive = (segment) => {
      if (dropped || segment.payload.length === 0 || conversation.server.received.length < 3000) receive(segment);
      else dropped = true;
    };
    conversation.clock.run(150);
    expect(dropped).toBe(true);
    expect(conversation.server.received).toHaveLength(30_000);
  });

  it("sends what was lost at once when it is told that the way is whole again", () => {
    const { client, server, clock } = new Conversation({ clientBytes: 10_000 });
    clock.run(1);
    const connection = server.connection!;
    const receive = connection.receive.bind(connection);
    connection.receive = () => undefined;
    clock.run(5000);
    expect(server.received).toHaveLength(0);
    connection.receive = receive;
    client.connection!.resume();
    clock.run(5150);
    expect(server.received).toHaveLength(10_000);
  });

  it("stops when the peer's window is shut, probes, and goes on when it opens", () => {
    const conversation = new Conversation({ clientBytes: 60_000, consumeAfterMs: 5000 });
    conversation.clock.run(4000);
    expect(conversation.server.received).toHaveLength(BUFFER_BYTES);
    const probes = conversation.sent("client", TcpFlag.ack).filter(({ payload }) => payload.length === 1);
    expect(probes.length).toBeGreaterThan(1);
    expect(probes.length).toBeLessThan(8);
    conversation.clock.run(HOUR_MS);
    expect(conversation.server.received).toHaveLength(60_000);
    expect(conversation.server.mostUnconsumed).toBeLessThanOrEqual(BUFFER_BYTES);
  });

  it("half close: the side that ended still receives", () => {
    const conversation = new Conversation({ serverBytes: 10_000 });
    const { client, server, clock } = conversation;
    conversation.pump(client);
    clock.run(HOUR_MS);
    expect(server.ended).toBe(true);
    expect(client.received).toHaveLength(10_000);
    expect([client.closed, server.closed]).toEqual(["finished", "finished"]);
  });

  it("offers and uses window scaling, and a peer's segment size", () => {
    const conversation = new Conversation({ clientBytes: 1 });
    conversation.clock.run(HOUR_MS);
    const [syn] = conversation.sent("client", TcpFlag.syn);
    expect(syn).toMatchObject({ maximumSegmentSize: SEGMENT_BYTES, windowScale: 0 });
    const peer = passivePeer({ receiveBytes: 1_000_000 });
    expect(peer.sent[0]).toMatchObject({ windowScale: 4, window: 0xffff, flags: TcpFlag.syn | TcpFlag.ack });
    peer.receive({ flags: TcpFlag.ack, sequence: 101, acknowledgement: 1 });
    peer.connection.write(new Uint8Array(300));
    expect(peer.sent.slice(1).map(({ payload }) => payload.length)).toEqual([100, 100, 100]);
    expect(peer.sent[1]?.window).toBe(62_500);
  });

  it("refused, reset and aborted connections say so", () => {
    const { client, clock } = new Conversation();
    client.connection!.receive({ ...BLANK, flags: TcpFlag.rst | TcpFlag.ack, acknowledgement: 0xffff_ff01 });
    expect(client.closed).toBe("refused");
    clock.run(HOUR_MS);

    const reset = new Conversation({ clientBytes: 10 });
    reset.clock.run(1.5);
    reset.server.connection!.abort();
    reset.clock.run(HOUR_MS);
    expect([reset.server.closed, reset.client.closed]).toEqual(["aborted", "reset"]);

    const silent = new Conversation({ faults: { ...PERFECT, loss: 1 } });
    silent.clock.run(HOUR_MS);
    expect(silent.client.closed).toBe("timeout");
    expect(silent.sent("client", TcpFlag.syn)).toHaveLength(7);
  });
});

const BLANK: TcpSegment = {
  sourcePort: 2,
  destinationPort: 1,
  sequence: 0,
  acknowledgement: 0,
  flags: 0,
  window: 0xffff,
  payload: new Uint8Array(0),
};

/** A connection accepted from a peer that the test plays itself: its SYN is 100, ours 0. */
function passivePeer(options: Partial<TcpOptions> = {}) {
  const clock = new SimulatedClock();
  const sent: TcpSegment[] = [];
  const received: number[] = [];
  const ends: string[] = [];
  const connection = TcpConnection.accept(
    {
      localPort: 1,
      remotePort: 2,
      segmentBytes: SEGMENT_BYTES,
      receiveBytes: BUFFER_BYTES,
      sendBytes: BUFFER_BYTES,
      initialSequence: 0,
      clock,
      emit: (segment) => sent.push(segment),
      events: {
        established: () => {},
        data: (bytes) => void received.push(...bytes),
        ended: () => void ends.push("ended"),
        drained: () => {},
        closed: (end) => void ends.push(end),
      },
      ...options,
    },
    { ...BLANK, flags: TcpFlag.syn, sequence: 100, maximumSegmentSize: 100, windowScale: 0 },
  );
  const receive = (segment: Partial<TcpSegment>): void => connection.receive({ ...BLANK, ...segment });
  return { clock, connection, sent, received, ends, receive };
}

describe("what does not belong", () => {
  it("a reset outside the exact place, and a SYN, are answered with an acknowledgement and change nothing", () => {
    const peer = passivePeer();
    peer.receive({ flags: TcpFlag.ack, sequence: 101, acknowledgement: 1 });
    for (const segment of [
      { flags: TcpFlag.rst, sequence: 150 },
      { flags: TcpFlag.syn, sequence: 7_000_000 },
    ]) {
      const before = peer.sent.length;
      peer.clock.run(peer.clock.now() + 100);
      peer.receive({ acknowledgement: 1, ...segment });
      expect(peer.sent.slice(before)).toMatchObject([{ flags: TcpFlag.ack, acknowledgement: 101 }]);
    }
    expect(peer.connection.state).toBe("established");
    peer.receive({ flags: TcpFlag.rst, sequence: 101 });
    expect(peer.ends).toEqual(["reset"]);
  });

  it("is not answered without end: two confused peers fall silent", () => {
    const peer = passivePeer();
    peer.receive({ flags: TcpFlag.ack, sequence: 101, acknowledgement: 1 });
    const before = peer.sent.length;
    for (let i = 0; i < 1000; i++)
      peer.receive({ flags: TcpFlag.ack, sequence: 7_000_000, acknowledgement: 9_000_000 });
    expect(peer.sent.length - before).toBe(1);
  });

  it("any segments at all leave the connection sound: what it delivers is no more than was in the window", () => {
    const flags = fc.nat(63);
    const near = fc.integer({ min: -30_000, max: 30_000 });
    const segment = fc.record({
      flags,
      sequence: near,
      acknowledgement: near,
      window: fc.nat(0xffff),
      bytes: fc.nat(3000),
    });
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 60 }), (segments) => {
        const peer = passivePeer();
        peer.receive({ flags: TcpFlag.ack, sequence: 101, acknowledgement: 1 });
        peer.connection.write(new Uint8Array(5000));
        for (const { sequence, acknowledgement, bytes, ...rest } of segments) {
          peer.receive({
            ...rest,
            sequence: (sequence + 101) >>> 0,
            acknowledgement: acknowledgement >>> 0,
            payload: new Uint8Array(bytes),
          });
          peer.clock.run(peer.clock.now() + 10);
        }
        expect(peer.received.length).toBeLessThanOrEqual(BUFFER_BYTES);
        for (const { sequence, payload } of peer.sent) {
          expect(sequenceDifference(sequence, 0) + payload.length).toBeLessThanOrEqual(5001);
        }
      }),
    );
  });
});
