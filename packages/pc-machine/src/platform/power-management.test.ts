import { beforeEach, describe, expect, it } from "vitest";
import { LegacyPorts } from "./legacy-ports.ts";
import { SteppedClock } from "./machine-clock.ts";
import { PowerManagement } from "./power-management.ts";

let clock: SteppedClock;
let line: boolean;
let asked: string[];
let power: PowerManagement;
let legacy: LegacyPorts;

beforeEach(() => {
  clock = new SteppedClock();
  line = false;
  asked = [];
  const machine = { powerOff: () => asked.push("off"), reset: () => asked.push("reset") };
  power = new PowerManagement(clock, { set: (level) => (line = level) }, machine);
  legacy = new LegacyPorts(machine);
});

describe("PowerManagement", () => {
  it("is in ACPI mode, for good", () => {
    expect(power.ports.read(4, 2)).toBe(1);
    power.ports.write(4, 2, 0);
    expect(power.ports.read(4, 2)).toBe(1);
  });

  it("goes off when told to sleep as S5, and at nothing else", () => {
    power.ports.write(4, 2, 5 << 10);
    power.ports.write(4, 2, (3 << 10) | 0x2000);
    expect(asked).toEqual([]);
    power.ports.write(4, 2, (5 << 10) | 0x2000);
    expect(asked).toEqual(["off"]);
    expect(power.ports.read(4, 2)).toBe((5 << 10) | 1);
  });

  it("interrupts for the power button until it is acknowledged", () => {
    power.pressPowerButton();
    expect([line, power.ports.read(0, 2)]).toEqual([false, 0x100]);
    power.ports.write(2, 2, 0x120);
    expect([line, power.ports.read(2, 2)]).toEqual([true, 0x120]);
    power.ports.write(0, 2, 0x100);
    expect([line, power.ports.read(0, 4)]).toEqual([false, 0x01200000]);
  });

  it("counts at 3.579545 MHz, 32 bits", () => {
    clock.advance(1e9);
    expect(power.ports.read(8, 4)).toBe(3_579_545);
    clock.advance(1200e9);
    expect(power.ports.read(8, 4)).toBe(Math.floor(1201 * 3_579_545) % 2 ** 32);
    expect(power.ports.read(0, 2)).toBe(1);
  });

  it("interrupts when the counter's upper bit changes, if asked to", () => {
    power.ports.write(2, 2, 1);
    clock.advance(599e9);
    expect(line).toBe(false);
    clock.advance(2e9);
    expect(line).toBe(true);
    power.ports.write(0, 2, 1);
    expect(line).toBe(false);
  });

  it("goes on where it was saved", () => {
    power.ports.write(2, 2, 0x100);
    power.pressPowerButton();
    const saved = power.save();
    power.reset();
    expect(line).toBe(false);
    power.load(saved, 1);
    expect([line, power.save()]).toEqual([true, saved]);
  });
});

describe("LegacyPorts", () => {
  it("resets by port 0xcf9, the keyboard controller, and port 0x92", () => {
    legacy.resetControl.write(0, 1, 2);
    expect(asked).toEqual([]);
    legacy.resetControl.write(0, 1, 6);
    legacy.resetControl.write(0, 1, 6);
    expect(asked).toEqual(["reset"]);
    legacy.keyboardCommand.write(0, 1, 0xfe);
    legacy.fastReset.write(0, 1, 3);
    expect(asked).toHaveLength(3);
  });

  it("has a keyboard controller that is ready and has nothing to say", () => {
    expect(legacy.keyboardCommand.read(0, 1)).toBe(0);
    legacy.keyboardCommand.write(0, 1, 0xd0);
    expect([legacy.keyboardCommand.read(0, 1), legacy.keyboardData.read(0, 1)]).toEqual([1, 3]);
    expect(legacy.keyboardCommand.read(0, 1)).toBe(0);
  });

  it("goes on where it was saved", () => {
    legacy.postCode.write(0, 1, 0x42);
    legacy.keyboardCommand.write(0, 1, 0xd0);
    const saved = legacy.save();
    legacy.reset();
    legacy.load(saved, 1);
    expect([legacy.save(), legacy.postCode.read(0, 1)]).toEqual([saved, 0x42]);
  });
});
