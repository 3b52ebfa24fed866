import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SnapshotError } from "../ports.ts";
import { SteppedClock, SystemClock } from "./machine-clock.ts";

describe("SystemClock", () => {
  it("stands still while it is stopped", () => {
    let host = 1_000_000;
    const clock = new SystemClock(() => host);
    expect(clock.now()).toBe(0);
    host += 5000;
    clock.start();
    host += 300;
    expect(clock.now()).toBe(300);
    clock.stop();
    host += 5000;
    expect(clock.now()).toBe(300);
    clock.start();
    host += 7;
    expect(clock.now()).toBe(307);
  });

  it("goes on from the time that was saved", () => {
    let host = 0;
    const clock = new SystemClock(() => host);
    clock.load({ now: 12_345 }, 1);
    expect(clock.save()).toEqual({ now: 12_345 });
    clock.start();
    host += 5;
    expect(clock.now()).toBe(12_350);
    expect(() => clock.load({ now: -1 }, 1)).toThrow(SnapshotError);
    expect(() => clock.load({ now: 1 }, 2)).toThrow(SnapshotError);
  });

  it("calls back only what is due, and leaves what a callback sets to the next time", () => {
    let host = 0;
    const clock = new SystemClock(() => host);
    clock.start();
    const calls: string[] = [];
    clock.at(10, () => {
      calls.push("first");
      clock.at(0, () => calls.push("nested"));
    });
    clock.at(20, () => calls.push("second"));
    clock.runDue();
    expect(calls).toEqual([]);
    host = 15;
    clock.runDue();
    expect(calls).toEqual(["first"]);
    expect(clock.nextDeadline()).toBe(0);
    clock.runDue();
    expect(calls).toEqual(["first", "nested"]);
    clock.stop();
    host = 30;
    clock.runDue();
    expect(calls).toHaveLength(2);
  });

  it("fires in order of time, then of setting, without those cancelled", () => {
    const timer = fc.record({ time: fc.integer({ min: 0, max: 50 }), cancelled: fc.boolean() });
    fc.assert(
      fc.property(fc.array(timer, { maxLength: 60 }), (timers) => {
        const clock = new SteppedClock();
        const fired: [number, number, number][] = [];
        const handles = timers.map(({ time }, index) => clock.at(time, () => fired.push([time, index, clock.now()])));
        for (const [index, { cancelled }] of timers.entries()) if (cancelled) handles[index].cancel();
        clock.advance(100);
        for (const handle of handles) handle.cancel();
        const expected = timers
          .map(({ time }, index) => [time, index, time])
          .filter(([, index]) => !timers[index].cancelled)
          .sort(([left, first], [right, second]) => left - right || first - second);
        expect(fired).toEqual(expected);
        expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
        expect(clock.now()).toBe(100);
      }),
    );
  });
});
