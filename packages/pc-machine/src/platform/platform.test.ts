import { beforeEach, describe, expect, it } from "vitest";
import { startSystem } from "../boot/firmware.ts";
import type { GuestMemory } from "../ports.ts";
import { SteppedClock } from "./machine-clock.ts";
import { Platform } from "./platform.ts";

let clock: SteppedClock;
let asked: string[];
let typed: number[];
let platform: Platform;
let memory: GuestMemory & { readonly ram: Uint8Array };

const out = (port: number, ...values: number[]): void => {
  for (const value of values) platform.bus.writePort(port, 1, value);
};
const apic = (offset: number, value: number): void => platform.bus.writeMemory(0xfee00000 + offset, 4, value);
const route = (pin: number, entry: number): void => {
  platform.bus.writeMemory(0xfec00000, 4, 0x10 + 2 * pin);
  platform.bus.writeMemory(0xfec00010, 4, entry);
};

beforeEach(() => {
  clock = new SteppedClock();
  asked = [];
  typed = [];
  platform = new Platform({
    clock,
    wallClock: () => clock.now() / 1e6,
    machine: { powerOff: () => asked.push("off"), reset: () => asked.push("reset") },
    serial: { read: () => typed.shift() ?? -1, write: () => true },
  });
  const ram = new Uint8Array(0x400000);
  memory = {
    ram,
    ramBytes: ram.length,
    view: (address, length) => ram.subarray(address, address + length),
    write: (address, data) => {
      if (address + data.length > ram.length) return false;
      ram.set(data, address);
      return true;
    },
  };
  const nothing = (): void => {};
  const signals = { interruptsChanged: nothing, nonMaskableInterrupt: nothing, init: nothing, startUp: nothing };
  platform.connect({ signals, memory });
});

describe("Platform", () => {
  it("brings the timer through the PICs, as firmware leaves it", () => {
    platform.localApic.enterVirtualWireMode();
    for (const [base, vector, cascade] of [
      [0x20, 0x30, 4],
      [0xa0, 0x38, 2],
    ]) {
      out(base, 0x11);
      out(base + 1, vector, cascade, 1, 0xfe);
    }
    out(0x43, 0x34);
    out(0x40, 0, 0x10);
    clock.advance(4_000_000);
    expect(platform.localApic.acknowledge()).toBe(0x30);
  });

  it("brings it through the IO-APIC's third input, the serial port through the fifth", () => {
    out(0x21, 0xff);
    apic(0xf0, 0x1ff);
    route(2, 0x40);
    route(4, 0x41);
    out(0x43, 0x34);
    out(0x40, 0, 0x10);
    clock.advance(4_000_000);
    expect(platform.localApic.acknowledge()).toBe(0x40);
    apic(0xb0, 0);
    out(0x3fc, 0x0b);
    out(0x3f9, 0x01);
    typed.push(0x61);
    platform.serial.ready();
    expect(platform.localApic.acknowledge()).toBe(0x41);
    expect(platform.bus.readPort(0x3f8, 1)).toBe(0x61);
  });

  it("interrupts for the power button by level, until the guest has seen it", () => {
    apic(0xf0, 0x1ff);
    route(9, 0x8051);
    platform.bus.writePort(0x602, 2, 0x100);
    platform.power.pressPowerButton();
    expect(platform.localApic.acknowledge()).toBe(0x51);
    platform.bus.writePort(0x600, 2, 0x100);
    apic(0xb0, 0);
    expect(platform.localApic.pending()).toBe(false);
    platform.bus.writePort(0x604, 2, 0x3400);
    out(0xcf9, 6);
    out(0x64, 0xfe);
    expect(asked).toEqual(["off", "reset", "reset"]);
  });

  it("is saved and loaded as a whole, and reset", () => {
    const before = platform.parts.map((part) => part.save());
    startSystem(platform, memory, { kernel: bareKernel() });
    platform.kvmClock.writeMsr(0x4b564d01, 0x3001n);
    out(0x43, 0x34);
    out(0x40, 0, 0x10);
    clock.advance(5_000_000);
    const saved = platform.parts.map((part) => part.save());
    expect(new Set(platform.parts.map(({ id }) => id)).size).toBe(saved.length);
    platform.reset();
    // All but the two clocks.
    expect(platform.parts.map((part) => part.save()).slice(2)).toEqual(before.slice(2));
    for (const [index, part] of platform.parts.entries()) part.load(saved[index], part.version);
    expect(platform.parts.map((part) => part.save())).toEqual(saved);
  });
});

/** An ELF file with a page of HLT at 1 MiB. */
function bareKernel(): Uint8Array {
  const image = new Uint8Array(0x1100);
  const view = new DataView(image.buffer);
  image.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setBigUint64(24, 0x100000n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  for (const [index, value] of [0x100n, 0x100000n, 0x100000n, 0x1000n, 0x1000n].entries()) {
    view.setBigUint64(72 + 8 * index, value, true);
  }
  return image.fill(0xf4, 0x100);
}
