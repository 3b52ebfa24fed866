import { describe, expect, it } from "vitest";
import { VirtioBalloon } from "./balloon.ts";
import type { BalloonStatistics } from "./balloon.ts";
import { TestDriver } from "./testing/driver.ts";

const features = { statistics: 1, hint: 3, poison: 4, report: 5 };

function make(accepted: readonly number[] = Object.values(features)) {
  const calls: string[] = [];
  const statistics: BalloonStatistics[] = [];
  const range = (what: string) => (address: number, length: number) =>
    void calls.push(`${what} ${address / 4096} ${length / 4096}`);
  const guest = new TestDriver(
    (memory) =>
      new VirtioBalloon({
        id: "balloon",
        memory,
        freePages: { release: range("release"), hint: range("hint"), hinted: () => void calls.push("hinted") },
        onStatistics: (told) => void statistics.push(told),
      }),
  );
  guest.probe();
  guest.start(accepted);
  return { guest, balloon: guest.device as VirtioBalloon, calls, statistics };
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** Offers whole pages on a queue. */
function offerPages(guest: TestDriver, queue: number, first: number, count: number): void {
  guest.setDescriptor(guest.layout(queue).descriptors, 0, first * 4096 + 100, count * 4096, 2, 0);
  guest.expose(queue, 0);
  guest.notify(queue);
}

describe("virtio-balloon", () => {
  it("asks for pages, and hands on those it is given", () => {
    const { guest, balloon, calls } = make();
    balloon.setTarget(40 * 4096);
    expect(guest.takeInterrupts()).toEqual([0]);
    expect(guest.read("device", 0, 4)).toBe(40);
    guest.submit(0, [words(3, 4, 5, 9, 8), words(10, 2 ** 31)], []);
    guest.notify(0);
    expect(calls).toEqual(["release 3 3", "release 9 1", "release 8 1", "release 10 1"]);
    guest.write("device", 4, 4, 6);
    expect(balloon.actualBytes).toBe(6 * 4096);
  });

  it("tells of pages that the guest reports as free: whole ones, and none that it wants to find as they were", () => {
    const { guest, calls } = make();
    offerPages(guest, 4, 20, 3);
    expect(calls).toEqual(["release 21 2"]);
    guest.write("device", 12, 4, 0xaa);
    offerPages(guest, 4, 20, 3);
    expect(calls.length).toBe(1);
  });

  it("numbers the queues by what was negotiated", () => {
    const { guest, calls } = make([features.report]);
    offerPages(guest, 2, 20, 1);
    expect(calls).toEqual([]);
    offerPages(guest, 2, 20, 2);
    expect(calls).toEqual(["release 21 1"]);
  });

  it("passes on hints of the round it asked for", () => {
    const { guest, balloon, calls } = make();
    offerPages(guest, 3, 20, 3);
    expect(balloon.startHinting()).toBe(true);
    const round = guest.read("device", 8, 4);
    guest.submit(3, [words(round)], []);
    guest.notify(3);
    offerPages(guest, 3, 20, 3);
    guest.submit(3, [words(0)], []);
    guest.notify(3);
    expect(calls).toEqual(["hint 21 2", "hinted"]);
    balloon.stopHinting();
    expect(guest.read("device", 8, 4)).toBe(1);
    offerPages(guest, 3, 20, 3);
    expect(calls.length).toBe(2);
  });

  it("fetches statistics when asked, one request at a time", () => {
    const { guest, balloon, statistics } = make();
    expect(balloon.requestStatistics()).toBe(false);
    const entry = new Uint8Array(20);
    new DataView(entry.buffer).setUint16(0, 4, true);
    new DataView(entry.buffer).setBigUint64(2, 12_345n, true);
    new DataView(entry.buffer).setUint16(10, 99, true);
    guest.submit(2, [entry], []);
    guest.notify(2);
    expect(guest.takeUsed(2)).toEqual([]);
    expect(balloon.requestStatistics()).toBe(true);
    expect(balloon.requestStatistics()).toBe(false);
    expect(guest.takeUsed(2).length).toBe(1);
    expect(statistics).toEqual([{ freeBytes: 12_345 }]);
  });
});
