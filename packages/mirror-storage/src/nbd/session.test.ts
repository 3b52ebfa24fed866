import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failure } from "../block-device.ts";
import type { BlockDevice } from "../block-device.ts";
import { MemoryDevice } from "../memory-device.ts";
import { command, commandFlag, errno, magic, option, optionReply, transmissionFlag } from "./protocol.ts";
import { NbdSession } from "./session.ts";
import type { NbdExport } from "./session.ts";

const geometry = { sectorSize: 512, sectorCount: 64 };
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

const u16 = (value: number): number[] => [value >>> 8, value & 255];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)];
const u64 = (value: number): number[] => [...u32(Math.floor(value / 2 ** 32)), ...u32(value >>> 0)];
const text = (value: string): number[] => [...new TextEncoder().encode(value)];

const optionBytes = (kind: number, data: readonly number[] = []): number[] => [
  ...magic.option.flatMap(u32),
  ...u32(kind),
  ...u32(data.length),
  ...data,
];
const goTo = (name: string): number[] => optionBytes(option.go, [...u32(name.length), ...text(name), ...u16(0)]);

interface Ask {
  readonly type: number;
  readonly flags?: number;
  readonly offset?: number;
  readonly length?: number;
  readonly data?: readonly number[];
}

let handles = 0;
const requestBytes = ({ type, flags = 0, offset = 0, length, data = [] }: Ask): number[] => [
  ...u32(magic.request),
  ...u16(flags),
  ...u16(type),
  ...u64(++handles),
  ...u64(offset),
  ...u32(length ?? data.length),
  ...data,
];

class Bench {
  readonly sent: number[] = [];
  reason: string | undefined = "open";
  readonly session: NbdSession;

  constructor(disk: BlockDevice = new MemoryDevice(geometry), more: Partial<NbdExport> = {}) {
    this.session = new NbdSession({
      exports: new Map([["disk", { disk, ...more }]]),
      send: (bytes) => this.sent.push(...bytes),
      closed: (reason) => {
        this.reason = reason;
      },
      ready: () => undefined,
    });
    this.session.start();
  }

  /** Gives it bytes, and takes what it says to them. */
  async say(bytes: readonly number[]): Promise<DataView> {
    this.sent.length = 0;
    this.session.receive(Uint8Array.from(bytes));
    await turn();
    return new DataView(Uint8Array.from(this.sent).buffer);
  }

  async begin(): Promise<this> {
    await this.say([...u32(3), ...goTo("disk")]);
    return this;
  }

  /** The error of a request, and the data behind its reply. */
  async ask(request: Ask): Promise<{ error: number; data: number[] }> {
    const view = await this.say(requestBytes(request));
    const isReply = view.getUint32(0) === magic.simpleReply && view.getBigUint64(8) === BigInt(handles);
    if (!isReply) throw new Error("no reply to that request");
    return { error: view.getUint32(4), data: this.sent.slice(16) };
  }
}

describe("an NBD session", () => {
  it("greets, lists, tells what there is of a disk, and begins", async () => {
    const bench = new Bench();
    expect(String.fromCodePoint(...bench.sent.slice(0, 16))).toBe("NBDMAGICIHAVEOPT");
    const list = await bench.say([...u32(3), ...optionBytes(option.list)]);
    expect([list.getUint32(12), list.getUint32(16)]).toEqual([optionReply.server, 8]);
    const go = await bench.say(goTo("disk"));
    expect(go.getUint32(12)).toBe(optionReply.info);
    expect(Number(go.getBigUint64(22))).toBe(64 * 512);
    expect(go.getUint16(30) & transmissionFlag.sendFlush).not.toBe(0);
    expect(bench.sent.slice(-20)).toEqual([...magic.optionReply.flatMap(u32), ...u32(option.go), ...u32(1), ...u32(0)]);
    expect(await bench.ask({ type: command.read, length: 512 })).toEqual({ error: 0, data: Array(512).fill(0) });
  });

  it("begins the old way too, with and without zeros", async () => {
    const name = optionBytes(option.exportName, text("disk"));
    await expect(new Bench().say([...u32(3), ...name])).resolves.toHaveProperty("byteLength", 10);
    await expect(new Bench().say([...u32(1), ...name])).resolves.toHaveProperty("byteLength", 134);
  });

  it("says which options and names it does not know, and goes on", async () => {
    const bench = new Bench();
    const tls = await bench.say([...u32(3), ...optionBytes(5)]);
    expect(tls.getUint32(12)).toBe(optionReply.unsupported);
    expect((await bench.say(goTo("other"))).getUint32(12)).toBe(optionReply.unknown);
    expect((await bench.say(optionBytes(option.go, [0, 0]))).getUint32(12)).toBe(optionReply.invalid);
    expect((await bench.say(optionBytes(option.go, [...u32(99), ...u16(0)]))).getUint32(12)).toBe(optionReply.invalid);
    await bench.say(goTo("disk"));
    expect(await bench.ask({ type: command.flush })).toMatchObject({ error: 0 });
  });

  it("writes, zeroes, trims, flushes and reads back, in pieces as the disk takes them", async () => {
    const disk = new MemoryDevice(geometry);
    const bench = await new Bench(disk, { requestBytes: 1024 }).begin();
    const data = Array.from({ length: 5 * 512 }, (_, at) => at & 255);
    expect(await bench.ask({ type: command.write, offset: 512, data, flags: commandFlag.fua })).toMatchObject({
      error: 0,
    });
    expect(await bench.ask({ type: command.writeZeroes, offset: 1024, length: 512 })).toMatchObject({ error: 0 });
    expect(await bench.ask({ type: command.trim, offset: 2048, length: 512 })).toMatchObject({ error: 0 });
    expect(await bench.ask({ type: command.flush })).toEqual({ error: 0, data: [] });
    const read = await bench.ask({ type: command.read, offset: 512, length: 5 * 512 });
    const expected = data.map((byte, at) => (Math.floor(at / 512) % 2 === 1 && at < 4 * 512 ? 0 : byte));
    expect(read).toEqual({ error: 0, data: expected });
  });

  it.each<[string, Ask, number]>([
    ["a read past the end", { type: command.read, offset: 63 * 512, length: 1024 }, errno.inval],
    ["a write past the end", { type: command.write, offset: 64 * 512, data: Array(512).fill(1) }, errno.nospc],
    ["half a sector", { type: command.read, length: 100 }, errno.inval],
    ["an offset within a sector", { type: command.trim, offset: 10, length: 512 }, errno.inval],
    ["nothing", { type: command.read, length: 0 }, errno.inval],
    ["a command that was not offered", { type: 7, length: 512 }, errno.inval],
    ["a flag that was not offered", { type: command.read, length: 512, flags: 16 }, errno.inval],
    ["a flush of something", { type: command.flush, length: 512 }, errno.inval],
  ])("answers %s with an error, and goes on", async (_what, request, error) => {
    const bench = await new Bench().begin();
    expect(await bench.ask(request)).toEqual({ error, data: [] });
    expect(await bench.ask({ type: command.flush })).toMatchObject({ error: 0 });
  });

  it("lets nobody write what is only to be read, and says when a disk fails", async () => {
    const write = { type: command.write, data: Array<number>(512).fill(1) };
    expect(await (await new Bench(undefined, { readOnly: true }).begin()).ask(write)).toMatchObject({
      error: errno.perm,
    });
    const disk = new MemoryDevice(geometry);
    const full: BlockDevice = {
      geometry,
      read: (sector, count, done) => disk.read(sector, count, done),
      write: (_sector, _data, _options, done) => queueMicrotask(() => done(failure("no-space", "full"))),
      flush: (done) => disk.flush(done),
      discard: (_sector, _count, _options, done) => queueMicrotask(() => done(failure("halted", "fenced"))),
    };
    const bench = await new Bench(full).begin();
    expect(await bench.ask(write)).toMatchObject({ error: errno.nospc });
    expect(await bench.ask({ type: command.trim, length: 512 })).toMatchObject({ error: errno.shutdown });
  });

  it.each<[string, readonly number[], RegExp]>([
    ["flags of another dialect", u32(0), /does not speak fixed newstyle/],
    ["no option", [...u32(3), ...Array<number>(16).fill(9)], /should be an option/],
    [
      "an option without end",
      [...u32(3), ...magic.option.flatMap(u32), ...u32(7), ...u32(0xffff_ffff)],
      /option of 4294967295 bytes/,
    ],
    ["a name nobody has", [...u32(3), ...optionBytes(option.exportName, text("x"))], /no export "x"/],
    ["no request", [...u32(3), ...goTo("disk"), ...Array<number>(28).fill(7)], /should be a request/],
    [
      "a write without end",
      [...u32(3), ...goTo("disk"), ...requestBytes({ type: command.write, length: 0xffff_fe00 })],
      /a write of 4294966784 bytes/,
    ],
  ])("ends with a reason at %s", async (_what, bytes, reason) => {
    const bench = new Bench();
    await bench.say(bytes);
    expect(bench.reason).toMatch(reason);
  });

  it("answers a write of nothing that ends where the bytes end", async () => {
    const bench = await new Bench().begin();
    expect(await bench.ask({ type: command.write, length: 0 })).toMatchObject({ error: errno.inval });
    expect(await bench.ask({ type: command.flush })).toMatchObject({ error: 0 });
  });

  it("answers what was asked before it is told to end", async () => {
    const bench = await new Bench().begin();
    const read = requestBytes({ type: command.read, length: 512 });
    await bench.say([...read, ...requestBytes({ type: command.disconnect })]);
    expect(bench.sent).toHaveLength(16 + 512);
    expect(bench.reason).toBeUndefined();
  });

  it("asks for a pause while too much is under way", async () => {
    const waiting: (() => void)[] = [];
    const slow: BlockDevice = {
      ...new MemoryDevice(geometry),
      geometry: { sectorSize: 512, sectorCount: 2 ** 20 },
      read: (_sector, count, done) => waiting.push(() => done({ ok: true, value: new Uint8Array(count * 512) })),
      write: () => undefined,
      flush: () => undefined,
      discard: () => undefined,
    };
    const bench = await new Bench(slow, { requestBytes: 2 ** 25 }).begin();
    const read = requestBytes({ type: command.read, length: 2 ** 25 });
    bench.session.receive(Uint8Array.from([...read, ...read, ...read]));
    expect([waiting.length, bench.session.wantsInput]).toEqual([2, false]);
  });

  it("takes any bytes, however cut, without throwing, and the same way cut otherwise", async () => {
    const pieces = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.constantFrom(goTo("disk"), goTo("x"), optionBytes(option.list), optionBytes(77, [1])),
      },
      {
        weight: 5,
        arbitrary: fc
          .record({
            type: fc.integer({ min: 0, max: 7 }),
            flags: fc.constantFrom(0, 1, 2, 255),
            offset: fc.integer({ min: 0, max: 70 }).map((sector) => sector * 512),
            sectors: fc.integer({ min: 0, max: 3 }),
          })
          .map(({ sectors, ...rest }) =>
            requestBytes({
              ...rest,
              length: sectors * 512,
              data: rest.type === command.write ? Array<number>(sectors * 512).fill(5) : [],
            }),
          ),
      },
      { weight: 1, arbitrary: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }) },
    );
    const plan = fc.record({
      pieces: fc.array(pieces, { maxLength: 12 }),
      begun: fc.boolean(),
      cut: fc.integer({ min: 1, max: 700 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ pieces: given, begun, cut }) => {
        const bytes = [...u32(3), ...(begun ? goTo("disk") : []), ...given.flat()];
        const [whole, parts] = [new Bench(), new Bench()];
        await whole.say(bytes);
        parts.sent.length = 0;
        for (let at = 0; at < bytes.length; at += cut) {
          parts.session.receive(Uint8Array.from(bytes.slice(at, at + cut)));
        }
        await turn();
        // Replies may come in another order, but there are as many.
        expect([parts.sent.length, parts.reason]).toEqual([whole.sent.length, whole.reason]);
      }),
      { numRuns: 200 },
    );
  });
});
