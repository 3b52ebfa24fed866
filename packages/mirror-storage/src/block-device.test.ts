// The contract of block-device.ts, as far as a test can see it, on every implementation.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { BlockDevice, Geometry, Result } from "./block-device.ts";
import { MemoryDevice } from "./memory-device.ts";
import { FileDevice } from "./node/file-device.ts";
import { Primary } from "./primary.ts";

const geometry: Geometry = { sectorSize: 512, sectorCount: 64 };
const cleanUp: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function file(): Promise<BlockDevice> {
  const folder = await mkdtemp(join(tmpdir(), "block-device-"));
  cleanUp.push(() => rm(folder, { recursive: true }));
  const device = await FileDevice.open(join(folder, "disk"), geometry);
  cleanUp.push(() => device.close());
  return device;
}

const memory = (): Promise<BlockDevice> => Promise.resolve(new MemoryDevice(geometry));

function mirrored(): Promise<BlockDevice> {
  const disk = new MemoryDevice(geometry);
  const ports = { send: () => undefined, event: () => undefined };
  return Promise.resolve(
    new Primary({ name: "disk", topology: "mirrored", disk, sectorsPerBlock: 8, token: 1, ...ports }),
  );
}

const promise = <T>(call: (done: (result: Result<T>) => void) => void): Promise<Result<T>> => new Promise(call);
const kindOf = (result: Result<unknown>): string => (result.ok ? "ok" : result.error.kind);

describe.each([
  ["memory", memory],
  ["file", file],
  ["mirrored", mirrored],
])("a %s device", (_, make) => {
  it("reads zeros, then what was written, and zeros again where it was discarded", async () => {
    const device = await make();
    const data = new Uint8Array(1024).fill(7);
    expect(await promise((done) => device.write(3, data, {}, done))).toEqual({ ok: true, value: undefined });
    expect(kindOf(await promise((done) => device.write(9, data.subarray(512), { fua: true }, done)))).toBe("ok");
    expect(kindOf(await promise((done) => device.discard(4, 1, {}, done)))).toBe("ok");
    expect(kindOf(await promise((done) => device.flush(done)))).toBe("ok");
    const read = await promise<Uint8Array>((done) => device.read(2, 8, done));
    const firsts = read.ok ? [...Array(8).keys()].map((sector) => read.value[sector * 512]) : [];
    expect(firsts).toEqual([0, 7, 0, 0, 0, 0, 0, 7]);
  });

  it("refuses what is past the end, or not a number of sectors", async () => {
    const device = await make();
    expect(kindOf(await promise((done) => device.read(60, 5, done)))).toBe("out-of-range");
    expect(kindOf(await promise((done) => device.read(-1, 1, done)))).toBe("out-of-range");
    expect(kindOf(await promise((done) => device.read(0, 0, done)))).toBe("misaligned");
    expect(kindOf(await promise((done) => device.write(0, new Uint8Array(100), {}, done)))).toBe("misaligned");
    expect(kindOf(await promise((done) => device.discard(64, 1, {}, done)))).toBe("out-of-range");
  });

  it("calls back after the call has returned, once", async () => {
    const device = await make();
    let calls = 0;
    device.flush(() => calls++);
    device.write(0, new Uint8Array(1), {}, () => calls++);
    expect(calls).toBe(0);
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    expect(calls).toBe(2);
  });
});
