import { beforeEach, describe, expect, it } from "vitest";
import { SnapshotError } from "../ports.ts";
import { SteppedClock } from "./machine-clock.ts";
import { IntervalTimer } from "./pit.ts";

const hz = 1_193_182;
/** Nanoseconds in which so many ticks are done, and not one more. */
const ticks = (count: number): number => Math.ceil((count * 1e9) / hz);

let clock: SteppedClock;
let rises: number[];
let level: boolean;
let pit: IntervalTimer;

const write = (port: number, ...values: number[]): void => {
  for (const value of values) pit.ports.write(port, 1, value);
};
const readCount = (channel: number): number => {
  write(3, channel << 6);
  return pit.ports.read(channel, 1) | (pit.ports.read(channel, 1) << 8);
};

beforeEach(() => {
  clock = new SteppedClock();
  rises = [];
  level = false;
  const set = (next: boolean): void => {
    if (next && !level) rises.push(clock.now());
    level = next;
  };
  pit = new IntervalTimer(clock, { set });
});

describe("IntervalTimer", () => {
  it("mode 2 interrupts once a period, without drifting", () => {
    write(3, 0x34);
    write(0, 0xa9, 0x04);
    clock.advance(10_000_000_400);
    // The output is high from the start; 1193 ticks are a little less than a millisecond.
    expect(rises.length - 1).toBe(Math.floor((10 * hz) / 1193));
    expect(readCount(0)).toBe(1193 - ((10 * hz) % 1193));
  });

  it("mode 0 goes up at the end of the count, once", () => {
    write(3, 0x30);
    expect(level).toBe(false);
    write(0, 0x10, 0x27);
    clock.advance(ticks(9999));
    expect([level, readCount(0)]).toEqual([false, 1]);
    clock.advance(ticks(1));
    expect([level, readCount(0)]).toEqual([true, 0]);
    clock.advance(ticks(20_000));
    expect(rises).toHaveLength(1);
  });

  it("mode 3 counts by two, half a period high and half low", () => {
    write(3, 0xb6);
    pit.systemControl.write(0, 1, 1);
    write(2, 100, 0);
    const output = (): boolean => (pit.systemControl.read(0, 1) & 0x20) !== 0;
    clock.advance(ticks(20));
    expect([readCount(2), output()]).toEqual([60, true]);
    clock.advance(ticks(40));
    expect([readCount(2), output()]).toEqual([80, false]);
  });

  it("mode 4 strobes once, as a one-shot", () => {
    write(3, 0x38);
    rises = [];
    write(0, 100, 0);
    clock.advance(ticks(99));
    expect(rises).toEqual([]);
    clock.advance(ticks(5));
    expect(rises).toHaveLength(1);
    write(0, 50, 0);
    clock.advance(ticks(1000));
    expect(rises).toHaveLength(2);
  });

  it("measures with channel 2 through port 0x61, as kernels calibrate", () => {
    pit.systemControl.write(0, 1, 1);
    write(3, 0xb0);
    write(2, 0xff, 0x2e);
    clock.advance(ticks(0x2efe));
    expect(pit.systemControl.read(0, 1) & 0x21).toBe(1);
    clock.advance(ticks(1));
    expect(pit.systemControl.read(0, 1) & 0x21).toBe(0x21);
  });

  it("holds the count while the gate is down", () => {
    write(3, 0xb0);
    pit.systemControl.write(0, 1, 1);
    write(2, 0xe8, 0x03);
    clock.advance(ticks(400));
    pit.systemControl.write(0, 1, 0);
    clock.advance(ticks(5000));
    expect(readCount(2)).toBe(600);
    pit.systemControl.write(0, 1, 1);
    clock.advance(ticks(100));
    expect(readCount(2)).toBe(500);
  });

  it("latches once, and reads bytes in turn", () => {
    write(3, 0x34);
    write(0, 0, 0x10);
    clock.advance(ticks(0x123));
    write(3, 0x00);
    clock.advance(ticks(0x100));
    write(3, 0x00);
    expect(pit.ports.read(0, 1)).toBe(0xdd);
    expect(pit.ports.read(0, 1)).toBe(0x0e);
    expect(readCount(0)).toBeLessThan(0x0edd);
  });

  it("reads back status and count together", () => {
    write(3, 0x34);
    write(3, 0xc2);
    expect(pit.ports.read(0, 1)).toBe(0x80 | 0x40 | 0x34);
    write(0, 0, 0, 0);
    pit.ports.read(0, 1);
    write(3, 0x34);
    write(0, 0, 0x80);
    write(3, 0xc2);
    expect(pit.ports.read(0, 1)).toBe(0x80 | 0x34);
    expect([pit.ports.read(0, 1), pit.ports.read(0, 1)]).toEqual([0, 0x80]);
  });

  it("loads a new count of mode 2 when the period ends", () => {
    write(3, 0x34);
    write(0, 0, 0x10);
    clock.advance(ticks(0x800));
    write(0, 0, 0x20);
    expect(readCount(0)).toBe(0x800);
    clock.advance(ticks(0x900));
    expect(readCount(0)).toBe(0x1f00);
  });

  it("counts in decimal", () => {
    write(3, 0x31);
    write(0, 0x00, 0x10);
    clock.advance(ticks(1));
    expect(readCount(0)).toBe(0x0999);
  });

  it("goes on where it was saved", () => {
    write(3, 0x34);
    write(0, 0xa9, 0x04);
    write(3, 0xb0);
    write(2, 5);
    clock.advance(ticks(600));
    const saved = pit.save();
    const before = readCount(0);
    pit.reset();
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    pit.load(saved, 1);
    expect(pit.save()).toEqual(saved);
    expect(readCount(0)).toBe(before);
    rises = [];
    clock.advance(ticks(600));
    expect(rises).toHaveLength(1);
    expect(() => pit.load({ ...saved, channels: [] }, 1)).toThrow(SnapshotError);
  });
});
