import { describe, expect, it } from "vitest";
import type { DeviceError, Result } from "./block-device.ts";
import { Journal } from "./journal.ts";
import { SecondaryState } from "./journal-records.ts";
import type { JournalRecord } from "./journal-records.ts";
import { MemoryDevice } from "./memory-device.ts";

const layout = { sectorSize: 512, sectorsPerBlock: 8 };

/** A journal of a state, on a device that outlives both. */
async function opened(device: MemoryDevice): Promise<{
  state: SecondaryState;
  append: (record: JournalRecord) => Promise<void>;
  result: Result<JournalRecord[]>;
}> {
  const state = new SecondaryState(layout);
  const failed = (error: DeviceError): never => {
    throw new Error(error.message);
  };
  const journal = new Journal(device, { salt: 99, snapshot: () => state.records(), failed });
  const result = await new Promise<Result<JournalRecord[]>>((resolve) => {
    journal.open(resolve);
  });
  if (result.ok) {
    for (const record of result.value) state.apply(record);
    await new Promise<void>((resolve) => {
      journal.begin(resolve);
    });
  }
  const append = (record: JournalRecord): Promise<void> =>
    new Promise((resolve) => {
      state.apply(record);
      journal.append(record, resolve);
    });
  return { state, append, result };
}

const data = (value: number): Uint8Array => new Uint8Array(512).fill(value);
const note = new Uint8Array([1, 2, 3]);

async function written(device: MemoryDevice): Promise<SecondaryState> {
  const { state, append } = await opened(device);
  await append({ kind: "session", session: { token: 3, attempt: 1 } });
  await append({ kind: "content", sector: 0, data: data(1) });
  await append({ kind: "write", epoch: 5, sector: 1, data: data(2) });
  await append({ kind: "commit", epoch: 5, complete: true, note });
  await append({ kind: "write", epoch: 6, sector: 0, data: data(3) });
  return state;
}

const device = (): MemoryDevice => new MemoryDevice({ sectorSize: 512, sectorCount: 64 });

/** Sectors where a batch begins, in the half that was written last. */
function batches(disk: MemoryDevice): number[] {
  const sectors: number[] = [];
  for (let at = 0; at < 64; at++)
    if (new DataView(disk.bytes.buffer).getUint32(at * 512, true) === 0x424d5044) sectors.push(at);
  return sectors;
}

describe("the journal", () => {
  it("S6 gives back the state, as often as it is opened", async () => {
    const disk = device();
    const state = await written(disk);
    for (let time = 0; time < 3; time++) {
      const again = await opened(disk);
      expect(again.state).toEqual(state);
    }
  });

  it("S6 goes from half to half when it is full, and loses nothing", async () => {
    const disk = device();
    const { state, append } = await opened(disk);
    await append({ kind: "session", session: { token: 1, attempt: 1 } });
    for (let epoch = 1; epoch < 100; epoch++) {
      await append({ kind: "write", epoch, sector: epoch % 16, data: data(epoch) });
      await append({ kind: "commit", epoch, complete: true, note });
    }
    expect((await opened(disk)).state).toEqual(state);
  });

  it("S6 takes a last batch that is torn for one that never was", async () => {
    const disk = device();
    await written(disk);
    const last = batches(disk).at(-1) ?? 0;
    disk.bytes[last * 512 + 100] ^= 1;
    const { state, result } = await opened(disk);
    expect(result.ok).toBe(true);
    expect([state.epoch, state.writeBuffers.size]).toEqual([5, 0]);
  });

  it("S6 reports a damaged batch that others follow, rather than going back to an older epoch", async () => {
    const disk = device();
    await written(disk);
    const second = batches(disk).at(-2) ?? 0;
    disk.bytes[second * 512 + 20] ^= 1;
    const { result } = await opened(disk);
    expect(result.ok ? "" : result.error.message).toContain("damaged");
  });
});
