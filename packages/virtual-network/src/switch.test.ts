import { describe, expect, it } from "vitest";
import { BROADCAST_MAC, type MacAddress } from "./ethernet/addresses.ts";
import { buildFrame } from "./ethernet/frame.ts";
import { EthernetSwitch, SwitchError, type SwitchOptions, type SwitchPort, type SwitchPortOptions } from "./switch.ts";

const A = 0x0200_0000_000a as MacAddress;
const B = 0x0200_0000_000b as MacAddress;
const C = 0x0200_0000_000c as MacAddress;

function frame(source: MacAddress, destination: MacAddress, text = ""): Uint8Array {
  return buildFrame({ source, destination, type: 0x88b5, payload: new TextEncoder().encode(text) });
}

interface Station {
  readonly port: SwitchPort;
  readonly received: Uint8Array[];
}

function setUp(options: Partial<SwitchOptions> = {}) {
  const time = { nowMs: 0 };
  const ethernet = new EthernetSwitch({ now: () => time.nowMs, ...options });
  const station = (portOptions: SwitchPortOptions = {}): Station => {
    const port = ethernet.connect(portOptions);
    const received: Uint8Array[] = [];
    port.onReceive((each) => received.push(each));
    return { port, received };
  };
  return { time, ethernet, station };
}

const counts = (...stations: Station[]): number[] => stations.map(({ received }) => received.length);

describe("an Ethernet switch", () => {
  it("floods what it does not know, and sends to the one port it has heard a station on", () => {
    const { station } = setUp();
    const [a, b, c] = [station(), station(), station()];
    a.port.send(frame(A, B));
    expect(counts(a, b, c)).toEqual([0, 1, 1]);
    b.port.send(frame(B, A));
    a.port.send(frame(A, B));
    expect(counts(a, b, c)).toEqual([1, 2, 1]);
    a.port.send(frame(A, BROADCAST_MAC));
    expect(counts(a, b, c)).toEqual([1, 3, 2]);
  });

  it("never sends a frame back where it came from", () => {
    const { station } = setUp();
    const [a, b] = [station(), station()];
    a.port.send(frame(A, A));
    a.port.send(frame(B, A));
    expect(counts(a, b)).toEqual([0, 0]);
  });

  it("follows a station that moves, and forgets one not heard of for the ageing time", () => {
    const { station, time } = setUp({ ageingMs: 1000 });
    const [a, b, c] = [station(), station(), station()];
    b.port.send(frame(B, BROADCAST_MAC));
    c.port.send(frame(B, BROADCAST_MAC));
    a.port.send(frame(A, B));
    expect(counts(b, c)).toEqual([1, 2]);
    time.nowMs = 1000;
    a.port.send(frame(A, B));
    expect(counts(b, c)).toEqual([2, 3]);
  });

  it("keeps a bounded table, of the stations heard of last", () => {
    const { station, ethernet } = setUp({ maximumStations: 10 });
    const { port } = station({ name: "flood" });
    for (let i = 0; i < 1000; i++) port.send(frame((A + i * 256) as MacAddress, BROADCAST_MAC));
    expect(ethernet.stations()).toHaveLength(10);
    expect(ethernet.stations().at(-1)?.station).toBe(A + 999 * 256);
  });

  it("drops frames too short, too long, in the name of a group or of nobody, and those for bridges", () => {
    const { station } = setUp();
    const [a, b] = [station(), station()];
    a.port.send(new Uint8Array(13));
    a.port.send(frame(A, B, "x".repeat(1505)));
    a.port.send(frame(BROADCAST_MAC, B));
    a.port.send(frame(0 as MacAddress, B));
    a.port.send(frame(A, 0x0180_c200_0000 as MacAddress));
    expect(counts(b)).toEqual([0]);
    expect(a.port.statistics).toEqual({ received: 5, sent: 0, dropped: 4 });
  });

  it("delivers answers given from within a handler after the frame they answer, to everybody", () => {
    const { ethernet, station } = setUp();
    const a = station();
    const echo = ethernet.connect();
    echo.onReceive(() => echo.send(frame(B, BROADCAST_MAC, "answer")));
    const c = station();
    a.port.send(frame(A, BROADCAST_MAC, "question"));
    expect(c.received.map((each) => each.length)).toEqual([14 + 8, 14 + 6]);
    expect(counts(a)).toEqual([1]);
  });

  it("does not carry on a storm between two of its own ports for ever", () => {
    const { ethernet, station } = setUp();
    const [one, two] = [ethernet.connect(), ethernet.connect()];
    let sent = 0;
    for (const [from, to] of [
      [one, two],
      [two, one],
    ]) {
      from.onReceive((each) => {
        sent++;
        to.send(each);
        to.send(each);
      });
    }
    station().port.send(frame(A, BROADCAST_MAC));
    expect(sent).toBeLessThanOrEqual(8192);
  });
});

describe("a held station", () => {
  it("cannot be taken by another port, and the holder speaks in no other name", () => {
    const { station } = setUp();
    const [a, b, thief] = [station(), station(), station()];
    b.port.hold(B);
    thief.port.send(frame(B, BROADCAST_MAC));
    expect(counts(a, b)).toEqual([0, 0]);
    a.port.send(frame(A, B));
    expect(counts(b, thief)).toEqual([1, 0]);
    b.port.send(frame(C, A));
    expect(counts(a)).toEqual([0]);
    expect(() => b.port.hold(BROADCAST_MAC)).toThrow(SwitchError);
  });

  it("moves at once when another port takes it: the old holder is heard no more", () => {
    const { station } = setUp();
    const [client, primary, secondary] = [station(), station(), station()];
    primary.port.hold(B);
    primary.port.send(frame(B, BROADCAST_MAC));
    secondary.port.hold(B);
    client.port.send(frame(A, B));
    expect(counts(primary, secondary)).toEqual([0, 2]);
    primary.port.send(frame(B, A));
    expect(counts(client)).toEqual([1]);
    secondary.port.send(frame(B, A));
    expect(counts(client)).toEqual([2]);
  });

  it("is free again when its port is disconnected", () => {
    const { station } = setUp();
    const [a, b, c] = [station(), station(), station()];
    b.port.hold(B);
    b.port.disconnect();
    b.port.send(frame(B, BROADCAST_MAC));
    expect(counts(a)).toEqual([0]);
    c.port.send(frame(B, A));
    a.port.send(frame(A, B));
    expect(counts(b, c)).toEqual([0, 1]);
  });

  it("is admitted by the port's predicate, frame by frame", () => {
    const { station } = setUp();
    let epoch = 1;
    const [a, b] = [station(), station({ admit: () => epoch === 1 })];
    b.port.send(frame(B, A));
    epoch = 2;
    b.port.send(frame(B, A));
    expect(counts(a)).toEqual([1]);
    expect(b.port.statistics.dropped).toBe(1);
  });
});
