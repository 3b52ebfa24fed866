import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LeadershipRegister } from "../failover/arbiter.ts";
import type { Leadership } from "../failover/arbiter.ts";
import type { Link, LinkHandler } from "../failover/link.ts";
import { EdgeServer } from "./edge-server.ts";
import { decodeEdgeMessage, edgeVersion, encodeEdgeMessage } from "./messages.ts";
import type { EdgeMessage } from "./messages.ts";

const mac = "02:00:00:00:00:01";
const leaderA: Leadership = { token: 1, leader: "A", standby: undefined };

/** An edge whose register is durable when `save` says so. */
class Bench {
  readonly delivered: Uint8Array[] = [];
  readonly saves: ((error?: string) => void)[] = [];
  readonly server: EdgeServer;

  constructor(record?: Leadership) {
    this.server = new EdgeServer({
      pair: "test",
      mac,
      register: new LeadershipRegister(record),
      save: (_record, done) => this.saves.push(done),
      timers: { now: () => 0, after: () => () => undefined },
      heartbeatMs: 10,
      timeoutMs: 50,
      deliver: (frame) => this.delivered.push(frame),
      event: () => undefined,
    });
  }

  host(
    name: string,
    pair = "test",
  ): { sent: EdgeMessage[]; say: (message: EdgeMessage) => void; handler: LinkHandler } {
    const sent: EdgeMessage[] = [];
    const link: Link = {
      isWritable: true,
      send: (frame) => sent.push(decodeEdgeMessage(frame.subarray(4))!),
      close: () => undefined,
    };
    const handler = this.server.accept(link, name);
    const say = (message: EdgeMessage): void => handler.frame(encodeEdgeMessage(message).subarray(4));
    say({ kind: "hello", version: edgeVersion, pair, host: name });
    return { sent, say, handler };
  }
}

const frame = (): Uint8Array => Uint8Array.from([0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 8, 0, 1, 2, 3]);

describe("the edge", () => {
  it("C3 answers a swap when it is durable, and lets the new leader's frames pass from then on", () => {
    const bench = new Bench(leaderA);
    const [a, b] = [bench.host("A"), bench.host("B")];
    a.say({ kind: "frame", token: 1, frame: frame() });
    expect(bench.delivered).toHaveLength(1);
    const next: Leadership = { token: 2, leader: "B", standby: undefined };
    b.say({ kind: "swap", number: 7, expected: leaderA, next });
    a.say({ kind: "swap", number: 8, expected: leaderA, next: { ...leaderA, token: 2 } });
    expect(b.sent.at(-1)).toEqual({ kind: "welcome", version: edgeVersion });
    bench.saves[0]();
    expect(b.sent.at(-1)).toMatchObject({ kind: "answer", number: 7, swapped: true, record: next });
    expect(a.sent.at(-1)).toMatchObject({ kind: "answer", number: 8, swapped: false, record: next });
    a.say({ kind: "frame", token: 1, frame: frame() });
    b.say({ kind: "frame", token: 1, frame: frame() });
    expect(bench.delivered).toHaveLength(1);
    b.say({ kind: "frame", token: 2, frame: frame() });
    expect(bench.delivered).toHaveLength(2);
    bench.server.toMachine(frame());
    expect([a.sent.at(-1)?.kind, b.sent.at(-1)?.kind]).toEqual(["answer", "frame"]);
  });

  it("does not answer for what it could not save, and goes on from what it has", () => {
    const bench = new Bench(leaderA);
    const a = bench.host("A");
    a.say({ kind: "swap", number: 1, expected: leaderA, next: { ...leaderA, token: 2 } });
    bench.saves[0]("the disk is full");
    expect(a.sent.at(-1)).toMatchObject({ ok: false, swapped: false, text: "the disk is full" });
    expect(bench.server.record).toEqual(leaderA);
  });

  it("refuses other pairs, other versions and those who have somebody else's key, with a reason", () => {
    const bench = new Bench();
    expect(bench.host("A", "another").sent.at(-1)).toMatchObject({
      kind: "refuse",
      text: expect.stringMatching(/pair "another"/) as string,
    });
    const b = bench.host("B");
    b.say({ kind: "hello", version: edgeVersion, pair: "test", host: "A" });
    expect(b.sent.at(-1)).toMatchObject({ kind: "refuse", text: expect.stringMatching(/has the key of B/) as string });
    const c = bench.host("C");
    c.say({ kind: "swap", number: 1, expected: undefined, next: leaderA });
    expect(c.sent.at(-1)).toMatchObject({ kind: "answer", swapped: false });
    c.handler.frame(new Uint8Array([200]));
    expect(c.sent.at(-1)).toMatchObject({ kind: "refuse", text: expect.stringMatching(/no message/) as string });
  });

  it("takes any bytes without throwing, and what it accepts is what it would send", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const decoded = decodeEdgeMessage(bytes);
        expect(decoded && decodeEdgeMessage(encodeEdgeMessage(decoded).subarray(4))).toEqual(decoded);
      }),
      { numRuns: 3000 },
    );
  });
});
