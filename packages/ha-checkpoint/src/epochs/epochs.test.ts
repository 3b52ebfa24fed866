import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Checkpointable, Standing } from "../checkpointable.ts";
import { plainCodec } from "./codec.ts";
import type { Codec } from "./codec.ts";
import { MemoryReceiver } from "./memory-receiver.ts";
import { MemorySender } from "./memory-sender.ts";
import type { EpochCounts, MemorySenderOptions } from "./memory-sender.ts";
import type { LeaderMessage } from "./messages.ts";
import { readPageRecords } from "./page-records.ts";

const pageBytes = 64;
const pageCount = 200;

/** Memory and nothing else. */
class Pages implements Checkpointable {
  readonly pageBytes: number = pageBytes;
  readonly pageCount: number = pageCount;
  readonly configuration = "pages";
  readonly memory: Uint8Array = new Uint8Array(pageBytes * pageCount);
  readonly standings: Standing[] = Array.from({ length: pageCount }, () => "kept");
  readonly #dirty = new Set<number>();
  state: Uint8Array = new Uint8Array();

  get dirtyPages(): number {
    return this.#dirty.size;
  }

  stop(done: () => void): void {
    done();
  }

  run(): void {}

  takeDirtyPages(): Uint32Array {
    const pages = Uint32Array.from(this.#dirty).toSorted();
    this.#dirty.clear();
    return pages;
  }

  standing(page: number): Standing {
    return this.standings[page];
  }

  readPage(page: number, into: Uint8Array): void {
    into.set(this.memory.subarray(page * pageBytes, (page + 1) * pageBytes));
  }

  writePage(page: number, content: Uint8Array): void {
    this.memory.set(content, page * pageBytes);
  }

  saveState(): Uint8Array {
    return this.state;
  }

  loadState(state: Uint8Array): string | undefined {
    this.state = state;
    return undefined;
  }

  restored(): void {}

  poke(address: number, value: number): void {
    this.memory[address] = value;
    if (this.standings[Math.floor(address / pageBytes)] === "kept") this.#dirty.add(Math.floor(address / pageBytes));
  }

  stand(page: number, standing: Standing): void {
    this.standings[page] = standing;
    this.#dirty.add(page);
  }
}

class Pair {
  readonly guest = new Pages();
  readonly twin = new Pages();
  readonly messages: LeaderMessage[] = [];
  readonly complaints: string[] = [];
  readonly prepared: number[] = [];
  readonly counts: EpochCounts[] = [];
  writable = true;
  readonly sender: MemorySender;
  readonly receiver: MemoryReceiver;

  constructor(codec: Codec = plainCodec, options: Partial<MemorySenderOptions> = {}) {
    this.sender = new MemorySender({
      machine: this.guest,
      codec,
      stagedPages: pageCount,
      cachePages: pageCount / 2,
      isWritable: () => this.writable,
      copied: () => undefined,
      send: (message) => this.messages.push(message),
      ...options,
    });
    this.sender.sent = (_epoch, counts) => this.counts.push(counts);
    this.receiver = new MemoryReceiver({
      machine: this.twin,
      codec,
      stagedPages: 2 * pageCount,
      prepared: (epoch) => this.prepared.push(epoch),
      complain: (text) => this.complaints.push(text),
    });
    this.receiver.begin();
  }

  deliver(): void {
    for (const message of this.messages.splice(0)) {
      if (message.kind === "pages" || message.kind === "state" || message.kind === "checkpoint") {
        this.receiver.receive(message);
      }
    }
  }

  checkpoint(epoch: number, complete = true): void {
    this.sender.capture(epoch, () => this.sender.finish(this.guest.saveState(), complete));
  }
}

/** Ends what it began in an order of its own. */
class LateCodec implements Codec {
  readonly name = "late";
  readonly #pending: (() => void)[] = [];

  compress(bytes: Uint8Array, done: (compressed: Uint8Array) => void): void {
    const copy = bytes.slice();
    this.#pending.push(() => done(copy));
  }

  decompress(bytes: Uint8Array, _rawBytes: number, done: (raw: Uint8Array | undefined) => void): void {
    this.#pending.push(() => done(bytes));
  }

  /** Ends one of those pending; false if there is none. */
  step(which: number): boolean {
    if (this.#pending.length === 0) return false;
    this.#pending.splice(which % this.#pending.length, 1)[0]();
    return true;
  }
}

describe("a session", () => {
  it("P2 sends all of memory once, and then what changed, as differences where they are short", () => {
    const pair = new Pair();
    for (let page = 0; page < pageCount; page += 2) pair.guest.poke(page * pageBytes, 7);
    pair.sender.begin();
    pair.deliver();
    expect(pair.twin.memory).toEqual(pair.guest.memory);
    pair.checkpoint(1);
    pair.deliver();
    pair.receiver.commit(1);
    pair.guest.poke(pageBytes * (pageCount - 2) + 9, 1);
    pair.guest.poke(pageBytes * 3, 2);
    pair.guest.poke(pageBytes * (pageCount - 4), 0);
    pair.checkpoint(2);
    pair.deliver();
    expect(pair.counts[1]).toMatchObject({ dirty: 3, diff: 1, whole: 1, zero: 1 });
    expect(pair.counts[1].rawBytes).toBeLessThan(2 * pageBytes);
    expect(pair.twin.memory).not.toEqual(pair.guest.memory);
    pair.receiver.commit(2);
    expect(pair.twin.memory).toEqual(pair.guest.memory);
  });

  it("C2 a commit is idempotent, and restoring goes back to the last one whatever is staged", () => {
    const pair = new Pair();
    pair.sender.begin();
    pair.guest.state = new Uint8Array([1]);
    pair.checkpoint(1);
    const committed = pair.guest.memory.slice();
    pair.guest.poke(100, 5);
    pair.guest.state = new Uint8Array([2]);
    pair.checkpoint(2);
    pair.guest.poke(101, 6);
    pair.checkpoint(3);
    pair.deliver();
    expect(pair.prepared).toEqual([1, 2, 3]);
    pair.receiver.commit(1);
    pair.receiver.commit(1);
    expect(pair.twin.memory).toEqual(committed);
    expect(pair.receiver.restore(1)).toBeUndefined();
    expect(pair.twin.memory).toEqual(committed);
    expect(pair.twin.state).toEqual(new Uint8Array([1]));
    expect(pair.receiver.restore(2)).toMatch(/memory is of epoch 1/);
  });

  it("C2 without a complete checkpoint there is nothing to take over", () => {
    const pair = new Pair();
    pair.sender.begin();
    pair.checkpoint(1, false);
    pair.deliver();
    pair.receiver.commit(1);
    expect(pair.receiver.complete).toBe(false);
    expect(pair.receiver.restore(1)).toMatch(/no complete checkpoint/);
  });

  it("P3 the guest runs on after the copy, however slow the connection is; unless more is dirty than may be staged", () => {
    const pair = new Pair(plainCodec, { stagedPages: 100 });
    pair.sender.begin();
    pair.checkpoint(1);
    pair.writable = false;
    for (let page = 0; page < 60; page++) pair.guest.poke(page * pageBytes, 1);
    let resumed = 0;
    const resume = (): void => {
      resumed++;
      pair.sender.finish(new Uint8Array(), true);
    };
    pair.sender.capture(2, resume);
    expect(resumed).toBe(1);
    for (let page = 0; page < pageCount; page++) pair.guest.poke(page * pageBytes, 2);
    pair.sender.capture(3, resume);
    expect(resumed).toBe(1);
    expect(pair.sender.stagedPages).toBeLessThanOrEqual(100);
    pair.writable = true;
    pair.sender.pump();
    expect(resumed).toBe(2);
    pair.deliver();
    pair.receiver.commit(3);
    expect(pair.twin.memory).toEqual(pair.guest.memory);
  });

  it("P2 P8 purgeable and free pages do not cross the wire, and read as zeros on the standby", () => {
    const pair = new Pair();
    for (let page = 0; page < pageCount; page++) pair.guest.poke(page * pageBytes, 9);
    pair.sender.begin();
    pair.checkpoint(1);
    pair.deliver();
    pair.receiver.commit(1);
    pair.guest.stand(5, "purgeable");
    pair.guest.stand(6, "free");
    pair.checkpoint(2);
    pair.guest.poke(5 * pageBytes, 77);
    pair.guest.stand(6, "free");
    pair.checkpoint(3);
    pair.deliver();
    pair.receiver.commit(3);
    expect(pair.counts[1]).toMatchObject({ purgeable: 1, free: 1, whole: 0, diff: 0 });
    expect(pair.counts[2]).toMatchObject({ dirty: 1, free: 1, rawBytes: 0 });
    expect(pair.twin.memory.subarray(5 * pageBytes, 7 * pageBytes).every((byte) => byte === 0)).toBe(true);
    pair.guest.stand(5, "kept");
    pair.checkpoint(4);
    pair.deliver();
    pair.receiver.commit(4);
    expect(pair.twin.memory[5 * pageBytes]).toBe(77);
    expect(pair.counts[3]).toMatchObject({ dirty: 1, whole: 1, purgeable: 0 });
  });

  it("C2 whatever the guest does and however compression ends, a committed epoch is what was captured", () => {
    const commands = fc.array(
      fc.oneof(
        fc.tuple(fc.constant("poke"), fc.nat({ max: pageBytes * pageCount - 1 }), fc.nat({ max: 255 })),
        fc.tuple(fc.constant("stand"), fc.nat({ max: pageCount - 1 }), fc.nat({ max: 2 })),
        fc.tuple(fc.constantFrom("checkpoint", "commit", "codec", "codec", "deliver"), fc.nat(), fc.nat()),
      ),
      { maxLength: 150 },
    );
    fc.assert(
      fc.property(commands, (all) => {
        const codec = new LateCodec();
        const pair = new Pair(codec, { cachePages: 20 });
        const settle = (): void => {
          do pair.deliver();
          while (codec.step(0) || pair.messages.length > 0);
        };
        pair.sender.begin();
        settle();
        const captured: Uint8Array[] = [];
        let [epoch, committed] = [0, 0];
        const check = (): void => {
          while (pair.prepared.length > committed) pair.receiver.commit(++committed);
          expect(pair.complaints).toEqual([]);
          expect(committed === 0 || pair.twin.memory).toEqual(committed === 0 || captured[committed - 1]);
        };
        for (const [command, where, what] of all) {
          if (command === "poke") pair.guest.poke(where, what);
          else if (command === "stand") pair.guest.stand(where, (["kept", "free", "purgeable"] as const)[what]);
          else if (command === "codec") codec.step(where);
          else if (command === "deliver") pair.deliver();
          else if (command === "commit") check();
          else {
            const expected = pair.guest.memory.slice();
            for (const [page, standing] of pair.guest.standings.entries()) {
              if (standing !== "kept") expected.fill(0, page * pageBytes, (page + 1) * pageBytes);
            }
            captured.push(expected);
            pair.checkpoint(++epoch);
          }
        }
        settle();
        check();
        expect(committed).toBe(epoch);
      }),
      { numRuns: 300 },
    );
  });
});

it("C2 a page that was received is a copy, of Node's buffers as well", () => {
  const bytes = Buffer.concat([new Uint8Array([3, 0, 0, 0, 1]), new Uint8Array(pageBytes)]);
  const contents: Uint8Array[] = [];
  readPageRecords(bytes, pageBytes, pageCount, {
    room: () => new Uint8Array(pageBytes),
    before: () => undefined,
    take: (_, content) => contents.push(content),
  });
  bytes.fill(9);
  expect(contents[0].every((byte) => byte === 0)).toBe(true);
});

describe("lies", () => {
  const raw = (bytes: number[]): { rawBytes: number; data: Uint8Array } => ({
    rawBytes: bytes.length,
    data: new Uint8Array(bytes),
  });

  it.each<[string, LeaderMessage[], RegExp]>([
    ["a page past the end", [{ kind: "pages", epoch: 1, ...raw([200, 0, 0, 0, 0]) }], /page 200, but memory has 200/],
    ["half a page", [{ kind: "pages", epoch: 1, ...raw([1, 0, 0, 0, 1, 9]) }], /cut short/],
    ["another length", [{ kind: "pages", epoch: 1, rawBytes: 9, data: new Uint8Array(5) }], /decompressed/],
    ["a missing page", [{ kind: "checkpoint", epoch: 1, pages: 1, stateBytes: 0, complete: true }], /has 1 pages/],
    ["a missing state", [{ kind: "checkpoint", epoch: 1, pages: 0, stateBytes: 5, complete: true }], /5 bytes/],
    [
      "two epochs",
      [
        { kind: "state", epoch: 1, data: new Uint8Array() },
        { kind: "state", epoch: 2, data: new Uint8Array() },
      ],
      /two epochs/,
    ],
    [
      "an epoch again",
      [
        { kind: "checkpoint", epoch: 1, pages: 0, stateBytes: 0, complete: true },
        { kind: "checkpoint", epoch: 1, pages: 0, stateBytes: 0, complete: true },
      ],
      /epoch 1 after 1/,
    ],
    [
      "a copy after the checkpoint",
      [
        { kind: "checkpoint", epoch: 1, pages: 0, stateBytes: 0, complete: true },
        { kind: "pages", epoch: 0, ...raw([1, 0, 0, 0, 0]) },
      ],
      /in the middle/,
    ],
  ])("%s ends the session, and changes nothing", (_what, messages, complaint) => {
    const pair = new Pair();
    pair.messages.push(...messages);
    pair.deliver();
    expect(pair.complaints).toHaveLength(1);
    expect(pair.complaints[0]).toMatch(complaint);
    expect(pair.twin.memory.every((byte) => byte === 0)).toBe(true);
  });

  it("more pages than were announced are not kept", () => {
    const pair = new Pair();
    pair.sender.begin();
    for (let epoch = 1; epoch <= 4; epoch++) {
      for (let page = 0; page < pageCount; page++) pair.guest.poke(page * pageBytes, epoch);
      pair.checkpoint(epoch);
    }
    pair.deliver();
    expect(pair.complaints).toEqual(["more than 400 pages of epochs that are not committed"]);
    expect(pair.receiver.stagedPages).toBeLessThanOrEqual(400);
  });

  it("takes any bytes as page records without throwing or writing past a page", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const complaint = readPageRecords(bytes, pageBytes, pageCount, {
          room: () => new Uint8Array(pageBytes),
          before: () => undefined,
          take: (page, content) => {
            expect(page).toBeLessThan(pageCount);
            expect(content).toHaveLength(pageBytes);
          },
        });
        expect(complaint === undefined || complaint.length > 0).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
