import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Checkpointable } from "../checkpointable.ts";
import { plainCodec } from "../epochs/codec.ts";
import type { Codec } from "../epochs/codec.ts";
import { encodeMessage, protocolVersion } from "../epochs/messages.ts";
import { History } from "../testing/history.ts";
import { Clock, Network, Place, Random } from "../testing/network.ts";
import { ToyMachine } from "../testing/toy-machine.ts";
import { decodeLeadership, encodeLeadership, LeadershipRegister } from "./arbiter.ts";
import type { Arbiter, Leadership } from "./arbiter.ts";
import { FailureDetector } from "./failure-detector.ts";
import { Host } from "./host.ts";
import { defaultSettings } from "./settings.ts";
import type { PairEvent, PairSettings } from "./settings.ts";

/** Two hosts without disks, whose settings may differ. */
class Bench {
  readonly clock = new Clock();
  readonly random = new Random(1);
  readonly network = new Network(this.clock, this.random);
  readonly events: string[] = [];
  captured = 0;
  promoted = 0;
  readonly hosts = new Map<string, { place: Place; machine: ToyMachine; host: Host<never> }>();
  readonly register = new LeadershipRegister(undefined);
  /** Swaps whose answers get lost, from now on. */
  unheard = 0;

  add(name: string, settings: Partial<PairSettings> = {}, machine: Partial<Checkpointable> = {}, codec?: Codec): void {
    const place = new Place(name, this.clock);
    const toy = Object.assign(new ToyMachine({ history: new History(), transmit: () => "taken" }), machine);
    const host = new Host<never>(
      { ...defaultSettings, intervalMs: 20, stagedPages: 64, pair: "bench", host: name, ...settings },
      {
        machine: toy,
        outputs: [],
        codec: codec ?? plainCodec,
        timers: place.timers(),
        arbiter: this.#arbiter(place),
        disk: undefined,
        event: (event) => {
          this.events.push(`${name} ${describeEvent(event)}`);
          if (event.kind === "captured") this.captured = event.epoch;
          if (event.kind === "promoted") this.promoted = event.epoch;
        },
        dial: (to, done) => {
          const target = this.hosts.get(to)!;
          this.network.dial(place, target.place, (link) => target.host.accept(link), done);
        },
        boot: (done) => done(),
      },
      { initial: this.hosts.size === 0 },
    );
    this.hosts.set(name, { place, machine: toy, host });
    host.start();
  }

  #arbiter(place: Place): Arbiter {
    return {
      read: (done) => place.later(1, () => done({ ok: true, record: this.register.record, swapped: false })),
      compareAndSwap: (expected, next, done) =>
        place.later(1, () => {
          const proposed = this.register.proposed(expected, next);
          if (proposed !== undefined) this.register.adopt(proposed);
          if (this.unheard-- > 0) return done({ ok: false, text: "no answer" });
          done({ ok: true, record: this.register.record, swapped: proposed !== undefined });
        }),
    };
  }

  async run(milliseconds: number): Promise<void> {
    const end = this.clock.now + milliseconds;
    while (this.clock.now < end && (await this.clock.step()));
  }
}

function describeEvent(event: PairEvent): string {
  if (event.kind === "refused") return `refused: ${event.reason}`;
  return "reason" in event ? `${event.kind}: ${event.reason}` : event.kind;
}

describe("two hosts that do not fit", () => {
  it.each<[string, Partial<PairSettings>, Partial<Checkpointable>, Codec | undefined]>([
    ["pair", { pair: "another" }, {}, undefined],
    ["memory", {}, { pageCount: 32 }, undefined],
    ["configuration", {}, { configuration: "toy 2" }, undefined],
    ["codec", {}, {}, { ...plainCodec, name: "better" }],
  ])("another %s is refused, both sides say why, and the machine runs on", async (reason, settings, machine, codec) => {
    const bench = new Bench();
    bench.add("A");
    await bench.run(10);
    bench.add("B", settings, machine, codec);
    await bench.run(300);
    expect(bench.events).toContain(`A refused: ${reason}`);
    expect(bench.events).toContain(`B refused: ${reason}`);
    expect(bench.hosts.get("A")?.machine.isRunning).toBe(true);
    expect(bench.hosts.get("A")?.host.leader?.mode).toBe("solo");
  });

  it("hints reach the standby one with a commit, from the beginning for a new one", async () => {
    const bench = new Bench();
    const applied: number[][] = [];
    let next = 0;
    const hints = (host: number): Checkpointable["hints"] => ({
      restart: () => (next = 0),
      next: () => (next < 3 ? Uint8Array.of(next++) : undefined),
      apply: (piece) => void applied.push([host, ...piece]),
    });
    bench.add("A", {}, { hints: hints(1)! });
    await bench.run(10);
    bench.add("B", {}, { hints: hints(2)! });
    await bench.run(500);
    expect(applied).toEqual([0, 1, 2].map((piece) => [2, piece]));
    bench.hosts.get("A")?.host.leader?.resign("to see");
    await bench.run(1500);
    expect(applied.slice(3)).toEqual([0, 1, 2].map((piece) => [1, piece]));
  });

  it("fitting ones are protected, and the standby goes on when the leader dies", async () => {
    const bench = new Bench();
    bench.add("A");
    await bench.run(10);
    bench.add("B");
    await bench.run(500);
    expect(bench.hosts.get("A")?.host.leader?.mode).toBe("protected");
    bench.hosts.get("A")?.place.die();
    bench.network.cut(bench.hosts.get("A")!.place, true);
    await bench.run(1500);
    expect(bench.events).toContain("B promoted");
    expect(bench.register.record).toEqual({ token: 2, leader: "B", standby: undefined });
  });

  it("the first start goes on when the arbiter granted it and the answer was lost", async () => {
    const bench = new Bench();
    bench.unheard = 1;
    bench.add("A");
    await bench.run(500);
    bench.add("B");
    await bench.run(500);
    expect(bench.hosts.get("A")?.host.leader?.mode).toBe("protected");
    expect(bench.register.record).toMatchObject({ token: 1, leader: "A" });
  });
});

describe("a machine that is moved", () => {
  it("stands after a last checkpoint, and goes on from that one: nothing is rolled back", async () => {
    const bench = new Bench();
    bench.add("A");
    await bench.run(10);
    bench.add("B");
    await bench.run(500);
    const a = bench.hosts.get("A")!;
    expect(a.host.leader?.handOver("moved")).toBe(true);
    expect(a.host.leader?.handOver("again")).toBe(false);
    while (bench.promoted === 0) await bench.run(1);
    expect(bench.promoted).toBe(bench.captured);
    expect(bench.events).toContain("A deposed: moved");
    await bench.run(500);
    expect(bench.hosts.get("B")?.host.leader?.mode).toBe("protected");
  });

  it("runs on where it is when its standby is lost on the way", async () => {
    const bench = new Bench();
    bench.add("A");
    await bench.run(10);
    bench.add("B");
    await bench.run(500);
    const a = bench.hosts.get("A")!;
    a.host.leader?.handOver("moved");
    bench.hosts.get("B")?.place.die();
    bench.network.cut(bench.hosts.get("B")!.place, true);
    await bench.run(1500);
    expect([a.host.leader?.mode, a.machine.isRunning]).toEqual(["solo", true]);
    expect(a.host.leader?.handOver("nobody")).toBe(false);
  });
});

describe("a peer that lies", () => {
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .constantFrom(
        encodeMessage({ kind: "begin" }),
        encodeMessage({ kind: "committed", epoch: 7 }),
        encodeMessage({ kind: "checkpoint", epoch: 3, pages: 9, stateBytes: 2, complete: true }),
        encodeMessage({ kind: "disk", data: new Uint8Array([1]) }),
        encodeMessage({ kind: "welcome", version: protocolVersion, host: "B", stagedPages: 1 }),
        encodeMessage({ kind: "pages", epoch: 1, rawBytes: 5, data: new Uint8Array(5) }),
      )
      .map((frame) => frame.slice(4)),
  );

  it("never stops the machine, whatever it sends to the leader", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(garbage, { maxLength: 6 }), async (frames) => {
        const bench = new Bench();
        bench.add("A");
        await bench.run(20);
        const { host, machine } = bench.hosts.get("A")!;
        let closed = false;
        const link = { isWritable: true, send: () => undefined, close: () => (closed = true) };
        const handler = host.accept(link);
        for (const frame of frames) handler?.frame(frame);
        await bench.run(1000);
        // A welcome without anything after it is silence, and ends as well.
        expect(closed).toBe(true);
        expect([host.leader?.mode, machine.isRunning]).toEqual(["solo", true]);
      }),
      { numRuns: 60 },
    );
  });

  it("an old leader is refused: its token was given out again", async () => {
    const bench = new Bench();
    const record: Leadership = { token: 5, leader: "A", standby: undefined };
    bench.register.adopt(record);
    bench.hosts.set("A", undefined as never);
    const place = new Place("A", bench.clock);
    const sent: Uint8Array[] = [];
    bench.hosts.set("A", {
      place,
      machine: undefined as never,
      host: {
        accept: (link: { send(frame: Uint8Array): void }) => {
          const memory = { pageBytes: 256, pageCount: 16, configuration: "toy 1", codec: "none", hasDisk: false };
          const session = { token: 4, attempt: 1 };
          link.send(
            encodeMessage({ kind: "hello", version: protocolVersion, pair: "bench", host: "A", session, ...memory }),
          );
          return { frame: (frame: Uint8Array) => sent.push(frame), drained: () => undefined, closed: () => undefined };
        },
      } as never,
    });
    bench.add("B");
    await bench.run(300);
    expect(bench.events).toContain("B refused: token");
    expect(sent[0]?.[0]).toBe(17);
  });
});

describe("the arbiter's record", () => {
  const name = fc.string({ minLength: 1, maxLength: 20 });
  const record: fc.Arbitrary<Leadership> = fc.record({
    token: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    leader: name,
    standby: fc.option(fc.record({ host: name, attempt: fc.nat() }), { nil: undefined }),
  });

  it("is the same after being stored, and nothing else is taken for one", () => {
    fc.assert(
      fc.property(record, (one) => {
        expect(decodeLeadership(encodeLeadership(one))).toEqual(one);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const decoded = decodeLeadership(bytes);
        expect(decoded && encodeLeadership(decoded)).toEqual(decoded && bytes);
      }),
    );
  });

  it("C3 of two that start from one record, one wins; the token only rises", () => {
    const register = new LeadershipRegister({ token: 3, leader: "A", standby: { host: "B", attempt: 1 } });
    const before = register.record;
    const alone = register.proposed(before, { token: 4, leader: "A", standby: undefined });
    register.adopt(alone!);
    expect(register.proposed(before, { token: 4, leader: "B", standby: undefined })).toBeUndefined();
    expect(register.proposed(alone, { token: 4, leader: "B", standby: undefined })).toBeUndefined();
    expect(register.proposed(alone, { token: 3, leader: "A", standby: undefined })).toBeUndefined();
    expect(register.proposed(alone, { token: 6, leader: "A", standby: undefined })).toBeUndefined();
  });
});

describe("the failure detector", () => {
  it("suspects silence, but not right after this host was stopped itself", async () => {
    const clock = new Clock();
    const place = new Place("A", clock);
    let [beats, suspicions] = [0, 0];
    const detector = new FailureDetector({
      timers: place.timers(),
      intervalMs: 10,
      timeoutMs: 50,
      beat: () => beats++,
      suspect: () => suspicions++,
    });
    const run = async (milliseconds: number): Promise<void> => {
      const end = clock.now + milliseconds;
      clock.schedule(milliseconds, () => undefined);
      while (clock.now < end) await clock.step();
    };
    await run(40);
    detector.heard();
    place.stop();
    await run(500);
    place.goOn();
    detector.heard();
    await run(45);
    expect(suspicions).toBe(0);
    await run(30);
    expect([suspicions, beats > 5]).toEqual([1, true]);
  });
});
