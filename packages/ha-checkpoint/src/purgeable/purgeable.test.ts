import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { plainCodec } from "../epochs/codec.ts";
import { MemoryReceiver } from "../epochs/memory-receiver.ts";
import { MemorySender } from "../epochs/memory-sender.ts";
import type { EpochCounts } from "../epochs/memory-sender.ts";
import type { LeaderMessage } from "../epochs/messages.ts";
import { PagedMachine, pagedPageBytes as size } from "../testing/paged-machine.ts";
import { purgeableCall, purgeableSignature, purgeableVersion } from "./guest-call.ts";
import type { PurgeableRegistry } from "./registry.ts";

const space = 0x1000;
const cache = 10 * size;
const descriptor = 3 * size + 16;

/** A process with its descriptor in page 3 and four pages of cache at 10, on a machine that is checkpointed. */
class Bench {
  readonly machine = new PagedMachine();
  readonly standby = new PagedMachine();
  readonly counts: EpochCounts[] = [];
  readonly wire: LeaderMessage[] = [];
  id = 0;
  #epoch = 0;
  readonly #sender: MemorySender;
  readonly #receiver: MemoryReceiver;

  constructor() {
    for (let page = 0; page < 20; page++) this.machine.map(space, page, page + 20);
    this.#receiver = new MemoryReceiver({
      machine: this.standby,
      codec: plainCodec,
      stagedPages: 128,
      prepared: (epoch) => this.#receiver.commit(epoch),
      complain: (text) => {
        throw new Error(text);
      },
    });
    this.#sender = new MemorySender({
      machine: this.machine,
      codec: plainCodec,
      stagedPages: 64,
      cachePages: 64,
      isWritable: () => true,
      copied: () => undefined,
      send: (message) => {
        this.wire.push(message);
        if (message.kind === "pages" || message.kind === "state" || message.kind === "checkpoint") {
          this.#receiver.receive(message);
        }
      },
    });
    this.#sender.sent = (_epoch, counts) => this.counts.push(counts);
    this.#receiver.begin();
    this.#sender.begin();
  }

  /** As a program does it: designates, and puts the nonce into its descriptor. */
  designate(address = cache, length = 4 * size): void {
    const result = this.machine.registry.designate(space, BigInt(address), BigInt(length), BigInt(descriptor));
    if (!result.ok) throw new Error(result.error);
    this.id = result.value.id;
    const nonce = new Uint8Array(new BigUint64Array([result.value.nonce]).buffer);
    this.machine.write(space, descriptor, ...nonce);
  }

  checkpoint(): EpochCounts {
    this.#sender.capture(++this.#epoch, () => this.#sender.finish(this.machine.saveState(), true));
    return this.counts.at(-1)!;
  }

  /** The host dies; the standby has the machine now. */
  failOver(): PagedMachine {
    const complaint = this.#receiver.restore(this.#epoch);
    if (complaint !== undefined) throw new Error(complaint);
    for (const [root, tables] of this.machine.spaces) this.standby.spaces.set(root, new Map(tables));
    this.standby.restored();
    return this.standby;
  }

  get registry(): PurgeableRegistry {
    return this.machine.registry;
  }
}

const value = (result: unknown): unknown => (result as { value: unknown }).value;

describe("purgeable regions", () => {
  it("P1 an application designates regions by a call that any program can make", () => {
    const { machine } = new Bench();
    const call = (operation: number, ...[rdi = 0n, rsi = 0n, rdx = 0n]: bigint[]): ReturnType<typeof purgeableCall> =>
      purgeableCall(machine.registry, { operation, space, rdi, rsi, rdx });
    expect(call(0)).toMatchObject({ eax: 0, rbx: BigInt(purgeableVersion), rcx: BigInt(purgeableSignature) });
    const made = call(1, BigInt(cache), BigInt(4 * size), BigInt(descriptor));
    expect(made).toMatchObject({ eax: 0, rdx: 4n });
    machine.write(space, descriptor, ...new Uint8Array(new BigUint64Array([made.rcx]).buffer));
    expect(call(2, made.rbx)).toMatchObject({ eax: 0, rbx: 0n });
    expect(call(3, made.rbx)).toMatchObject({ eax: 0, rbx: 1n });
    expect(call(4, made.rbx)).toMatchObject({ eax: 0, rbx: 0n });
    expect(call(2, made.rbx).eax | 0).toBe(-2);
    expect(call(9).eax | 0).toBe(-38);
  });

  it("P2 P8 changes to a volatile region are not tracked, and its bytes never cross the wire; others do", () => {
    const bench = new Bench();
    bench.designate();
    bench.checkpoint();
    bench.registry.setVolatile(space, bench.id);
    expect(bench.checkpoint()).toMatchObject({ purgeable: 4 });
    bench.wire.length = 0;
    for (let page = 0; page < 4; page++) bench.machine.write(space, cache + page * size, 0xab, 0xcd);
    bench.machine.write(space, 5 * size, 0x77);
    expect(bench.checkpoint()).toMatchObject({ whole: 0, diff: 1 });
    const sent = bench.wire.flatMap((message) => (message.kind === "pages" ? [...message.data] : []));
    expect([sent.includes(0xab), sent.includes(0x77)]).toEqual([false, true]);
  });

  it("P4 P5 after a failover the region is empty, the application is told, and rebuilds it", () => {
    const bench = new Bench();
    bench.machine.write(space, cache, 42);
    bench.designate();
    bench.checkpoint();
    bench.registry.setVolatile(space, bench.id);
    bench.checkpoint();
    bench.machine.write(space, cache, 43);
    const machine = bench.failOver();
    expect(machine.read(space, cache)).toBe(0);
    const stateWord = descriptor + 8;
    expect([machine.read(space, stateWord), machine.read(space, stateWord + 4)]).toEqual([2, 1]);
    expect(value(machine.registry.setNonVolatile(space, bench.id))).toBe("empty");
    expect(machine.read(space, stateWord)).toBe(0);
    machine.write(space, cache, 42);
    expect(value(machine.registry.setVolatile(space, bench.id))).toBe("non-volatile");
    expect(value(machine.registry.setNonVolatile(space, bench.id))).toBe("volatile");
  });

  it("P5 a region that was non-volatile at the checkpoint is as it was then", () => {
    const bench = new Bench();
    bench.designate();
    bench.registry.setVolatile(space, bench.id);
    bench.machine.write(space, cache, 1);
    bench.checkpoint();
    expect(value(bench.registry.setNonVolatile(space, bench.id))).toBe("volatile");
    bench.machine.write(space, cache + 1, 2);
    bench.checkpoint();
    bench.registry.setVolatile(space, bench.id);
    const machine = bench.failOver();
    expect([machine.read(space, cache), machine.read(space, cache + 1)]).toEqual([1, 2]);
    expect(value(machine.registry.setNonVolatile(space, bench.id))).toBe("non-volatile");
  });

  it("P6 taking the designation back sends the whole region again", () => {
    const bench = new Bench();
    bench.designate();
    bench.registry.setVolatile(space, bench.id);
    bench.checkpoint();
    for (let page = 0; page < 4; page++) bench.machine.write(space, cache + page * size, 9);
    bench.checkpoint();
    expect(value(bench.registry.remove(space, bench.id))).toBe("volatile");
    expect(bench.checkpoint()).toMatchObject({ dirty: 5, whole: 4, diff: 1, purgeable: 0 });
    expect(bench.failOver().memory.subarray(0, 40 * size)).toEqual(bench.machine.memory.subarray(0, 40 * size));
  });

  it("P6 partly covered pages stay tracked", () => {
    const bench = new Bench();
    bench.designate(cache + 8, 3 * size);
    bench.registry.setVolatile(space, bench.id);
    expect([29, 30, 31, 32, 33, 34].map((page) => bench.registry.isPurgeable(page))).toEqual([
      false,
      false,
      true,
      true,
      false,
      false,
    ]);
    const tiny = bench.registry.designate(space, BigInt(17 * size + 1), BigInt(size), BigInt(descriptor));
    expect(tiny).toEqual({ ok: false, error: "EINVAL" });
  });

  describe("P7 a stale designation drops no live data:", () => {
    /** What another process, or the kernel, keeps in the page that was the cache's first one. */
    const reuse = (bench: Bench): void => {
      bench.machine.map(0x2000, 1, 30);
      bench.machine.write(0x2000, size, 99);
    };
    const changes: readonly (readonly [string, (bench: Bench) => void])[] = [
      ["the page is swapped out and in elsewhere", ({ machine }) => machine.map(space, 10, 50)],
      ["the page is unmapped", ({ machine }) => machine.map(space, 10, undefined)],
      ["the process is gone", ({ machine }) => machine.spaces.delete(space)],
      ["the process has another image", ({ machine }) => machine.write(space, descriptor, 0, 0, 0, 0)],
      ["its page tables are another process's", ({ machine }) => machine.map(space, 3, 51)],
    ];
    it.each(changes)("%s", (_what, change) => {
      const bench = new Bench();
      bench.designate();
      bench.registry.setVolatile(space, bench.id);
      bench.checkpoint();
      change(bench);
      reuse(bench);
      bench.checkpoint();
      expect(bench.failOver().read(0x2000, size)).toBe(99);
    });
  });

  it("P7 what the guest asks for is checked", () => {
    const { registry, machine } = new Bench();
    const designate = (address: number, length: number, at: number): unknown => {
      const result = registry.designate(space, BigInt(address), BigInt(length), BigInt(at));
      return result.ok ? "made" : result.error;
    };
    expect(designate(cache, 0, descriptor)).toBe("EINVAL");
    expect(designate(cache, size, descriptor + 1)).toBe("EINVAL");
    expect(designate(cache, size, cache)).toBe("EINVAL");
    expect(designate(cache, 2 ** 40, descriptor)).toBe("EINVAL");
    expect(designate(100 * size, size, descriptor)).toBe("EFAULT");
    expect(designate(cache, size, 200 * size)).toBe("EFAULT");
    expect(designate(cache, size, descriptor)).toBe("made");
    expect(designate(cache, size, descriptor)).toBe("EBUSY");
    machine.map(space, 15, 36);
    machine.map(space, 16, 36);
    expect(designate(15 * size, 2 * size, descriptor)).toBe("EBUSY");
    expect(registry.setVolatile(space, 77)).toEqual({ ok: false, error: "ENOENT" });
    expect(registry.setVolatile(0x2000, 1)).toEqual({ ok: false, error: "ENOENT" });
    // Without the nonce in the descriptor, nobody could tell whose pages these are later.
    expect(registry.setVolatile(space, 1)).toEqual({ ok: false, error: "EFAULT" });
  });

  it("is saved and loaded, and takes any bytes for a saved state without throwing", () => {
    const bench = new Bench();
    bench.designate();
    bench.registry.setVolatile(space, bench.id);
    const saved = bench.registry.save();
    expect(bench.standby.registry.load(saved)).toBe(true);
    expect(bench.standby.registry.save()).toEqual(saved);
    fc.assert(
      fc.property(fc.nat({ max: saved.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const damaged = saved.slice();
        damaged[at] = byte;
        const { registry } = new PagedMachine();
        expect(registry.load(damaged)).toBeTypeOf("boolean");
        expect(registry.load(damaged.subarray(0, at))).toBe(false);
      }),
    );
  });
});
