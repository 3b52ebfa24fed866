// What a test can see of the contract of block-device.ts, as rules to hold each implementation to.
import { assert } from "../block-device.ts";
import type { BlockDevice, Result } from "../block-device.ts";
import { Random } from "./random.ts";

export interface ContractRule {
  readonly title: string;
  /** Rejects when the device breaks the rule. It has `contractSectors` sectors of 512 bytes, all zeros. */
  readonly check: (device: BlockDevice) => Promise<void>;
}

export const contractSectors = 64;
const sectorSize = 512;

/** A request as a promise. */
export function submitted<T>(request: (done: (result: Result<T>) => void) => void): Promise<Result<T>> {
  return new Promise(request);
}

const kindOf = (result: Result<unknown>): string => (result.ok ? "ok" : result.error.kind);

export const deviceContract: readonly ContractRule[] = [
  {
    title: "reads zeros, then what was written, and zeros again where it was discarded",
    check: async (device) => {
      const data = new Uint8Array(2 * sectorSize).fill(7);
      const one = data.subarray(sectorSize);
      expectKind(await submitted((done) => device.write(3, data, {}, done)), "ok");
      expectKind(await submitted((done) => device.write(9, one, { fua: true }, done)), "ok");
      expectKind(await submitted((done) => device.discard(4, 1, {}, done)), "ok");
      expectKind(await submitted((done) => device.flush(done)), "ok");
      const read = await submitted<Uint8Array>((done) => device.read(2, 8, done));
      const firsts = read.ok ? [...Array(8).keys()].map((sector) => read.value[sector * sectorSize]) : [];
      assert(firsts.join() === "0,7,0,0,0,0,0,7", `the sectors hold ${firsts.join()}`);
    },
  },
  {
    title: "refuses what is past the end, or not a number of sectors",
    check: async (device) => {
      expectKind(await submitted((done) => device.read(contractSectors - 4, 5, done)), "out-of-range");
      expectKind(await submitted((done) => device.read(-1, 1, done)), "out-of-range");
      expectKind(await submitted((done) => device.read(0, 0, done)), "misaligned");
      expectKind(await submitted((done) => device.write(0, new Uint8Array(100), {}, done)), "misaligned");
      expectKind(await submitted((done) => device.discard(contractSectors, 1, {}, done)), "out-of-range");
    },
  },
  {
    title: "calls back after the call has returned, once",
    check: async (device) => {
      const calls: string[] = [];
      device.flush(() => calls.push("flush"));
      device.write(0, new Uint8Array(1), {}, () => calls.push("write"));
      assert(calls.length === 0, "called back before the call returned");
      await submitted((done) => device.flush(done));
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
      assert(calls.toSorted().join() === "flush,write", `called back: ${calls.join()}`);
    },
  },
  {
    title: "holds the last of many writes and discards that were in flight together, apart from each other",
    check: async (device) => {
      const random = new Random(1);
      const model = new Uint8Array(contractSectors);
      for (let round = 1; round <= 40; round++) {
        const requests: Promise<void>[] = [];
        for (let first = random.below(4); first < contractSectors;) {
          const count = Math.min(1 + random.below(12), contractSectors - first);
          requests.push(oneOf(device, model, random, first, count, round));
          first += count + random.below(6);
        }
        await Promise.all(requests);
      }
      const read = await submitted<Uint8Array>((done) => device.read(0, contractSectors, done));
      assert(read.ok, "the disk cannot be read");
      for (const [index, byte] of read.value.entries()) {
        const sector = Math.floor(index / sectorSize);
        assert(byte === model[sector], `sector ${sector} holds ${byte}, not ${model[sector]}`);
      }
    },
  },
];

async function oneOf(
  device: BlockDevice,
  model: Uint8Array,
  random: Random,
  first: number,
  count: number,
  value: number,
): Promise<void> {
  switch (random.below(4)) {
    case 0: {
      const read = await submitted<Uint8Array>((done) => device.read(first, count, done));
      const expected = model.subarray(first, first + count);
      assert(read.ok && expected.every((byte, at) => read.value[at * sectorSize] === byte), "reads something else");
      return;
    }
    case 1:
      model.fill(0, first, first + count);
      expectKind(await submitted((done) => device.discard(first, count, {}, done)), "ok");
      return;
    default: {
      model.fill(value, first, first + count);
      const data = new Uint8Array(count * sectorSize).fill(value);
      expectKind(await submitted((done) => device.write(first, data, { fua: random.chance(0.1) }, done)), "ok");
    }
  }
}

function expectKind(result: Result<unknown>, kind: string): void {
  assert(kindOf(result) === kind, `ended with ${kindOf(result)}, not ${kind}`);
}
