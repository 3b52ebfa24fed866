// The contract of block-device.ts, as far as a test can see it, on every implementation.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "vitest";
import type { BlockDevice, Geometry } from "./block-device.ts";
import { MemoryDevice } from "./memory-device.ts";
import { FileDevice } from "./node/file-device.ts";
import { Primary } from "./primary.ts";
import { contractSectors, deviceContract } from "./testing/device-contract.ts";

const geometry: Geometry = { sectorSize: 512, sectorCount: contractSectors };
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

describe.each([
  ["memory", memory],
  ["file", file],
  ["mirrored", mirrored],
])("a %s device", (_, make) => {
  it.each(deviceContract)("$title", async ({ check }) => {
    await check(await make());
  });
});
