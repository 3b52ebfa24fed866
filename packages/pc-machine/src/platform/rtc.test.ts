import { beforeEach, describe, expect, it } from "vitest";
import { SteppedClock } from "./machine-clock.ts";
import { RealTimeClock } from "./rtc.ts";

const powerOnMs: number = Date.UTC(2026, 10, 22, 17, 59, 58, 250);

let clock: SteppedClock;
let line: boolean;
let rtc: RealTimeClock;

const read = (index: number): number => {
  rtc.ports.write(0, 1, index);
  return rtc.ports.read(1, 1);
};
const write = (index: number, value: number): void => {
  rtc.ports.write(0, 1, index);
  rtc.ports.write(1, 1, value);
};
const time = (): number[] => [0x32, 9, 8, 7, 4, 2, 0].map(read);

beforeEach(() => {
  clock = new SteppedClock();
  line = false;
  rtc = new RealTimeClock(clock, () => powerOnMs + clock.now() / 1e6, { set: (level) => (line = level) });
});

describe("RealTimeClock", () => {
  it("shows the time of day, in the form the guest chose", () => {
    expect(time()).toEqual([0x20, 0x26, 0x11, 0x22, 0x17, 0x59, 0x58]);
    expect(read(6)).toBe(1);
    write(0x0b, 0x06);
    expect(time()).toEqual([20, 26, 11, 22, 17, 59, 58]);
    write(0x0b, 0x00);
    expect(read(4)).toBe(0x85);
    clock.advance(1_750_000_000);
    expect([read(4), read(2), read(0)]).toEqual([0x86, 0, 0]);
  });

  it("says when it is about to change", () => {
    expect(read(0x0a)).toBe(0x26);
    clock.advance(749_900_000);
    expect(read(0x0a)).toBe(0xa6);
    expect(read(0x0d)).toBe(0x80);
  });

  it("is set, and runs on from there", () => {
    write(0x0b, 0x82);
    for (const [index, value] of [
      [0x32, 0x19],
      [9, 0x99],
      [8, 0x12],
      [7, 0x31],
      [4, 0x23],
      [2, 0x59],
      [0, 0x59],
    ]) {
      write(index, value);
    }
    clock.advance(5_000_000_000);
    expect(read(0)).toBe(0x59);
    write(0x0b, 0x02);
    clock.advance(600_000_000);
    expect(time()).toEqual([0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00]);
  });

  it("interrupts periodically, until register C is read", () => {
    write(0x0a, 0x26);
    write(0x0b, 0x42);
    clock.advance(976_563);
    expect(line).toBe(true);
    expect(read(0x0c)).toBe(0xc0);
    expect([line, read(0x0c)]).toEqual([false, 0]);
    let interrupts = 0;
    for (let step = 0; step < 1024; step++) {
      clock.advance(1e9 / 1024);
      if (read(0x0c) !== 0) interrupts++;
    }
    expect(interrupts).toBe(1024);
    write(0x0b, 0x02);
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it("interrupts at the alarm, and after each update", () => {
    write(1, 0x00);
    write(3, 0x00);
    write(5, 0xff);
    write(0x0b, 0x22);
    clock.advance(1_700_000_000);
    expect(line).toBe(false);
    clock.advance(100_000_000);
    expect(line).toBe(true);
    expect(read(0x0c)).toBe(0xb0);
    write(0x0b, 0x12);
    clock.advance(1_000_000_000);
    expect(read(0x0c)).toBe(0x90);
  });

  it("has memory with a battery", () => {
    write(0x40, 0x5a);
    write(0x0b, 0x42);
    const saved = rtc.save();
    rtc.reset();
    expect([read(0x40), read(0x0b)]).toEqual([0x5a, 0x02]);
    rtc.load(saved, 1);
    expect(rtc.save()).toEqual(saved);
    clock.advance(1e9);
    expect(line).toBe(true);
  });
});
