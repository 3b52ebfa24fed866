import { MemoryDevice } from "@doppel/mirror-storage";
import type { BlockDevice, Done } from "@doppel/mirror-storage";
import { describe, expect, it } from "vitest";
import { VirtioBlock } from "./block.ts";
import type { BlockOptions } from "./block.ts";
import { TestDriver, TestMemory } from "./testing/driver.ts";

const features = [2, 5, 6, 9, 10, 11, 13, 14];
const sectors = 4096;

/** A disk whose completions the test decides on. */
class HeldDisk implements BlockDevice {
  readonly disk = new MemoryDevice({ sectorSize: 512, sectorCount: sectors });
  readonly geometry = this.disk.geometry;
  readonly calls: string[] = [];
  /** Completions that wait, while `hold` is on. */
  readonly waiting: (() => void)[] = [];
  hold = false;
  failing = false;

  #done<T>(call: string, done: Done<T>): Done<T> {
    this.calls.push(call);
    const failed = { ok: false, error: { kind: "io", message: "the medium failed" } } as const;
    return (result) => {
      const complete = (): void => done(this.failing ? failed : result);
      if (this.hold) this.waiting.push(complete);
      else complete();
    };
  }

  read(sector: number, count: number, done: Done<Uint8Array>): void {
    this.disk.read(sector, count, this.#done(`read ${sector} ${count}`, done));
  }

  write(sector: number, data: Uint8Array, options: { fua?: boolean }, done: Done): void {
    const forced = options.fua === true ? " fua" : "";
    this.disk.write(sector, data, options, this.#done(`write ${sector} ${data.length / 512}${forced}`, done));
  }

  flush(done: Done): void {
    this.disk.flush(this.#done("flush", done));
  }

  discard(sector: number, count: number, options: object, done: Done): void {
    this.disk.discard(sector, count, options, this.#done(`discard ${sector} ${count}`, done));
  }
}

function make(options: Partial<BlockOptions> = {}, accepted: readonly number[] = features) {
  const disk = new HeldDisk();
  const guest = new TestDriver(
    (memory) => new VirtioBlock({ id: "blk", memory, disk, serial: "disk-0", ...options }),
    new TestMemory(1 << 21),
  );
  guest.probe();
  guest.start(accepted);
  return { disk, guest };
}

function header(type: number, sector: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, type, true);
  view.setBigUint64(8, BigInt(sector), true);
  return new Uint8Array(view.buffer);
}

function range(sector: number, count: number, flags: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, BigInt(sector), true);
  view.setUint32(8, count, true);
  view.setUint32(12, flags, true);
  return new Uint8Array(view.buffer);
}

const settle = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, 0));

/** The status that a request ends with, and what it wrote before. */
async function request(guest: TestDriver, readable: Uint8Array[], room: number[] = []) {
  guest.submit(0, readable, [...room, 1]);
  guest.notify(0);
  await settle();
  const [used] = guest.takeUsed(0);
  return { status: used.data.at(-1), data: used.data.subarray(0, -1) };
}

describe("virtio-blk", () => {
  it("writes, reads, discards and zeroes", async () => {
    const { disk, guest } = make();
    const data = new Uint8Array(1024).fill(7);
    expect((await request(guest, [header(1, 10), data.subarray(0, 100), data.subarray(100)])).status).toBe(0);
    const read = await request(guest, [header(0, 9)], [700, 324 + 512]);
    expect(read.status).toBe(0);
    expect([0, 511, 512, 1535].map((at) => read.data[at])).toEqual([0, 0, 7, 7]);
    expect((await request(guest, [header(11, 0), range(10, 1, 0), range(20, 2, 0)])).status).toBe(0);
    expect((await request(guest, [header(13, 0), range(11, 1, 0)])).status).toBe(0);
    expect(disk.disk.bytes.every((byte) => byte === 0)).toBe(true);
    expect((await request(guest, [header(4, 0)])).status).toBe(0);
    expect(disk.calls).toEqual(["write 10 2", "read 9 3", "discard 10 1", "discard 20 2", "write 11 1", "flush"]);
  });

  it("gives its serial number, and says what it does not know", async () => {
    const { guest } = make();
    const { data } = await request(guest, [header(8, 0)], [20]);
    expect(new TextDecoder().decode(data)).toBe("disk-0".padEnd(20, "\0"));
    expect((await request(guest, [header(99, 0)])).status).toBe(2);
    expect((await request(guest, [header(11, 0), range(0, 1, 1)])).status).toBe(2);
  });

  it("forces writes to the medium when the cache is off, or unknown to the driver", async () => {
    const { disk, guest } = make();
    guest.write("device", 32, 1, 0);
    await request(guest, [header(1, 0), new Uint8Array(512)]);
    guest.write("device", 32, 1, 1);
    await request(guest, [header(1, 0), new Uint8Array(512)]);
    expect(disk.calls).toEqual(["write 0 1 fua", "write 0 1"]);
    const old = make({}, []);
    await request(old.guest, [header(1, 0), new Uint8Array(512)]);
    expect(old.disk.calls).toEqual(["write 0 1 fua"]);
  });

  it("fails what is past the end, misshapen, read-only, or refused by the disk", async () => {
    const { disk, guest } = make();
    const full = new Uint8Array(512);
    expect((await request(guest, [header(1, sectors), full])).status).toBe(1);
    expect((await request(guest, [header(1, 2 ** 50), full])).status).toBe(1);
    expect((await request(guest, [header(1, 0), full.subarray(1)])).status).toBe(1);
    expect((await request(guest, [header(0, 0)])).status).toBe(1);
    expect((await request(guest, [header(11, 0), range(sectors - 1, 2, 0)])).status).toBe(1);
    expect((await request(guest, [header(11, 0), range(0, 1, 0).subarray(1)])).status).toBe(1);
    expect(disk.calls).toEqual([]);
    disk.failing = true;
    expect((await request(guest, [header(4, 0)])).status).toBe(1);
    const readOnly = make({ readOnly: true });
    expect((await request(readOnly.guest, [header(1, 0), full])).status).toBe(1);
    expect(readOnly.disk.calls).toEqual([]);
  });

  it("needs a reset after a request without header", () => {
    const { guest } = make();
    guest.submit(0, [new Uint8Array(8)], [1]);
    guest.notify(0);
    expect(guest.needsReset).toBe(true);
  });

  it("cuts long requests into pieces", async () => {
    const { disk, guest } = make();
    const data = new Uint8Array(1_400_000 - (1_400_000 % 512)).map((_, index) => index);
    expect((await request(guest, [header(1, 1), data])).status).toBe(0);
    expect(disk.calls).toEqual(["write 1 2048", `write 2049 ${data.length / 512 - 2048}`]);
    expect(disk.disk.bytes.subarray(512, 512 + data.length)).toEqual(data);
  });

  it("has several requests in flight, which complete in any order", async () => {
    const { disk, guest } = make();
    disk.hold = true;
    const heads = [0, 1, 2].map((sector) => guest.submit(0, [header(0, sector)], [512, 1]));
    guest.notify(0);
    await settle();
    expect(disk.waiting.length).toBe(3);
    for (const complete of disk.waiting.splice(0).reverse()) complete();
    expect(guest.takeUsed(0).map(({ head }) => head)).toEqual(heads.reverse());
  });

  it("lets a reset wait for what is in flight, and leaves memory alone afterwards", async () => {
    const { disk, guest } = make();
    disk.disk.bytes.fill(9);
    disk.hold = true;
    guest.submit(0, [header(0, 0)], [512, 1]);
    guest.notify(0);
    await settle();
    guest.status = 0;
    expect(guest.status).not.toBe(0);
    const before = guest.memory.bytes.slice();
    disk.waiting[0]();
    expect(guest.status).toBe(0);
    expect(guest.memory.bytes).toEqual(before);
  });

  it("leaves memory alone while it is held, and goes on afterwards", async () => {
    const { disk, guest } = make();
    disk.disk.bytes.fill(9);
    disk.hold = true;
    guest.submit(0, [header(0, 0)], [512, 1]);
    guest.notify(0);
    await settle();
    guest.device.hold();
    const before = guest.memory.bytes.slice();
    disk.waiting[0]();
    expect(guest.memory.bytes).toEqual(before);
    guest.device.resume();
    const [used] = guest.takeUsed(0);
    expect([used.data[0], used.data.at(-1)]).toEqual([9, 0]);
  });

  it("is saved with requests in flight, and does them again when it is loaded", async () => {
    const { disk, guest } = make();
    disk.hold = true;
    guest.submit(0, [header(1, 5), new Uint8Array(512).fill(3)], [1]);
    guest.notify(0);
    await settle();
    const saved = [guest.device.save(), guest.transport.save()] as const;
    const quiet = guest.device.quiesce();
    disk.waiting[0]();
    await quiet;
    expect(guest.takeUsed(0).length).toBe(1);

    const other = make();
    other.guest.memory.bytes.set(guest.memory.bytes);
    // As it was when it was saved: nothing used yet.
    other.guest.memory.data.setUint16(other.guest.layout(0).device + 2, 0, true);
    other.guest.device.load(saved[0], 1);
    other.guest.transport.load(saved[1], 1);
    other.guest.device.resume();
    await settle();
    expect(other.disk.calls).toEqual(["write 5 1"]);
    expect(other.guest.takeUsed(0).length).toBe(1);
    expect(other.guest.takeInterrupts()).toEqual([1]);
  });
});
