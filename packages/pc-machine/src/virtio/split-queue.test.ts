import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VirtioEntropy } from "./entropy.ts";
import { SplitQueue } from "./split-queue.ts";
import { TestDriver, TestMemory } from "./testing/driver.ts";
import { Feature } from "./virtio-device.ts";

const errors: string[] = [];

/** An entropy device: the simplest there is, on one queue. */
function driver(features: readonly number[] = []): TestDriver {
  errors.length = 0;
  const made = new TestDriver(
    (memory) =>
      new VirtioEntropy({
        id: "rng",
        memory,
        random: (length) => new Uint8Array(length).fill(0xaa),
        onDriverError: (message) => errors.push(message),
      }),
  );
  made.probe();
  made.start(features);
  return made;
}

describe("a split queue", () => {
  it("serves chains of several buffers, and says how much it wrote", () => {
    const guest = driver();
    const head = guest.submit(0, [], [10, 20, 3]);
    guest.notify(0);
    const [used] = guest.takeUsed(0);
    expect([used.head, used.written, used.data.every((byte) => byte === 0xaa)]).toEqual([head, 33, true]);
    expect(guest.takeInterrupts()).toEqual([1]);
  });

  it("runs on past the end of its rings, and past 65536", () => {
    const guest = driver();
    for (let round = 0; round < 66_000; round++) {
      guest.setDescriptor(guest.layout(0).descriptors, 0, 0x8000, 1, 2, 0);
      guest.expose(0, 0);
      guest.notify(0);
    }
    expect(guest.takeUsed(0).length).toBe(66_000 % 65_536);
    expect(guest.needsReset).toBe(false);
  });

  it("follows indirect tables, alone and at the end of direct descriptors", () => {
    const guest = driver([Feature.indirectDescriptors]);
    const table = guest.allocate(32);
    const buffer = guest.allocate(64);
    guest.setDescriptor(table, 0, buffer, 8, 3, 1);
    guest.setDescriptor(table, 1, buffer + 32, 8, 2, 0);
    const { descriptors } = guest.layout(0);
    guest.setDescriptor(descriptors, 0, table, 32, 4, 0);
    guest.setDescriptor(descriptors, 1, buffer + 16, 4, 3, 0);
    guest.expose(0, 0);
    guest.notify(0);
    expect(guest.takeUsed(0)[0]?.written).toBe(16);
    guest.expose(0, 1);
    guest.notify(0);
    expect(guest.takeUsed(0)[0]?.written).toBe(20);
  });

  it("interrupts when the driver asked, by flag or by event index", () => {
    const flagged = driver();
    flagged.suppressInterrupts(0, true);
    flagged.submit(0, [], [1]);
    flagged.notify(0);
    expect(flagged.takeInterrupts()).toEqual([]);
    flagged.suppressInterrupts(0, false);
    flagged.submit(0, [], [1]);
    flagged.notify(0);
    expect(flagged.takeInterrupts()).toEqual([1]);

    const indexed = driver([Feature.eventIndex]);
    indexed.setUsedEvent(0, 2);
    const interrupts = [1, 2, 3, 4].map(() => {
      indexed.submit(0, [], [1]);
      expect(indexed.wantsNotification(0)).toBe(true);
      indexed.notify(0);
      return indexed.takeInterrupts().length;
    });
    expect(interrupts).toEqual([0, 0, 1, 0]);
  });

  const outside = 1 << 20;
  it.each<[string, RegExp, (guest: TestDriver, descriptors: number) => number]>([
    ["a head past the queue", /descriptor 16/, () => 16],
    ["a chain that loops", /does not end/, (guest, table) => (guest.setDescriptor(table, 0, 64, 1, 3, 0), 0)],
    ["a next past the queue", /descriptor 99/, (guest, table) => (guest.setDescriptor(table, 0, 64, 1, 3, 99), 0)],
    [
      "a buffer past memory",
      /not in memory/,
      (guest, table) => (guest.setDescriptor(table, 0, outside - 4, 5, 2, 0), 0),
    ],
    [
      "a buffer that wraps",
      /not in memory/,
      (guest, table) => (guest.setDescriptor(table, 0, 2 ** 53, 2 ** 32 - 1, 2, 0), 0),
    ],
    ["an indirect table unasked", /without/, (guest, table) => (guest.setDescriptor(table, 0, 64, 16, 4, 0), 0)],
    [
      "a buffer to read after one to write",
      /after one to write/,
      (guest, table) => (guest.setDescriptor(table, 0, 64, 1, 3, 1), guest.setDescriptor(table, 1, 64, 1, 0, 0), 0),
    ],
  ])("stops at %s", (_, message, corrupt) => {
    const guest = driver();
    guest.expose(0, corrupt(guest, guest.layout(0).descriptors));
    guest.notify(0);
    expect(guest.needsReset).toBe(true);
    expect(errors).toEqual([expect.stringMatching(message)]);
    expect(guest.takeInterrupts()).toEqual([0]);
    guest.submit(0, [], [1]);
    guest.notify(0);
    expect(guest.takeUsed(0)).toEqual([]);
    guest.start();
    guest.submit(0, [], [1]);
    guest.notify(0);
    expect(guest.takeUsed(0).length).toBe(1);
  });

  it.each<[string, number, number, number]>([
    ["nested", 16, 4, 0],
    ["of a length that is no table", 24, 2, 0],
    ["of no length", 0, 2, 0],
    ["with a next descriptor", 16, 2, 1],
  ])("stops at an indirect table %s", (_, length, innerFlags, outerNext) => {
    const guest = driver([Feature.indirectDescriptors]);
    const table = guest.allocate(32);
    guest.setDescriptor(table, 0, table, 16, innerFlags, 0);
    guest.setDescriptor(guest.layout(0).descriptors, 0, table, length, 4 | outerNext, 1);
    guest.expose(0, 0);
    guest.notify(0);
    expect(guest.needsReset).toBe(true);
  });

  it("stops at more chains than the queue holds, and at one that is in flight already", () => {
    const guest = driver();
    for (let count = 0; count < 17; count++) guest.expose(0, 0);
    guest.notify(0);
    expect(guest.needsReset).toBe(true);

    const memory = new TestMemory();
    const reasons: string[] = [];
    const layout = { size: 4, descriptors: 0, driver: 256, device: 512, indirect: false, eventIndex: false };
    const queue = new SplitQueue(memory, layout, (reason) => reasons.push(reason));
    memory.data.setUint16(256 + 2, 2, true);
    expect(queue.pop()?.head).toBe(0);
    expect(queue.pop()).toBeUndefined();
    expect(reasons).toEqual(["descriptor 0 is made available twice"]);
  });

  it("survives any memory content", () => {
    const word = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 8 }));
    fc.assert(
      fc.property(fc.array(word, { minLength: 256, maxLength: 256 }), fc.boolean(), (words, indirect) => {
        const memory = new TestMemory(512);
        for (const [index, value] of words.entries()) memory.data.setUint16(2 * index, value, true);
        const layout = { size: 8, descriptors: 0, driver: 128, device: 256, indirect, eventIndex: true };
        const failures: string[] = [];
        const queue = new SplitQueue(memory, layout, (reason) => failures.push(reason));
        let taken = 0;
        for (let chain = queue.pop(); chain !== undefined && taken < 32; chain = queue.pop()) {
          taken++;
          chain.read(0, Math.min(chain.readableBytes, 512));
          queue.push(chain, 0);
          queue.takeInterrupt();
        }
        // The device's writes to its ring may change what the driver made available: bounded all the same.
        expect(failures.length).toBeLessThanOrEqual(1);
        expect(queue.broken).toBe(failures.length === 1);
      }),
    );
  });
});

describe("the status field", () => {
  it("refuses features that were not offered, and a driver without VERSION_1", () => {
    const guest = driver();
    for (const features of [0n, 1n << 28n, (1n << 32n) | (1n << 40n)]) {
      guest.status = 0;
      guest.status = 3;
      guest.accept(features);
      guest.status = 11;
      expect(guest.status).toBe(3);
    }
  });

  it("wants FEATURES_OK before DRIVER_OK, and rings that lie in memory", () => {
    const guest = driver();
    guest.status = 0;
    guest.status = 7;
    expect(guest.needsReset).toBe(true);
    guest.status = 0;
    expect(guest.status).toBe(0);
    guest.status = 3;
    guest.accept(1n << 32n);
    guest.status = 11;
    guest.write("common", 0x20, 4, 0x00ff_fff0);
    guest.write("common", 0x1c, 2, 1);
    guest.status = 15;
    expect(guest.needsReset).toBe(true);
  });

  it("reaches registers through configuration space, and interrupts by INTA# and ISR without MSI-X", () => {
    const guest = new TestDriver(
      (memory) => new VirtioEntropy({ id: "rng", memory, random: (n) => new Uint8Array(n) }),
    );
    guest.probe({ msix: false });
    guest.start();
    let at = guest.configuration.readConfiguration(0x34, 1);
    while (guest.configuration.readConfiguration(at + 3, 1) !== 5)
      at = guest.configuration.readConfiguration(at + 1, 1);
    guest.configuration.writeConfiguration(at + 4, 1, 4);
    guest.configuration.writeConfiguration(at + 8, 4, 0x14);
    guest.configuration.writeConfiguration(at + 12, 4, 1);
    expect(guest.configuration.readConfiguration(at + 16, 1)).toBe(15);
    guest.submit(0, [], [1]);
    guest.notify(0);
    expect(guest.takeInterrupts()).toEqual([-1]);
    expect([guest.read("isr", 0, 1), guest.read("isr", 0, 1)]).toEqual([1, 0]);
  });
});
