// A guest may do anything to the registers it finds: nothing throws, what is read fits its size, and what results can be
// saved and loaded. A saved state may be anything: what is none is refused, and nothing else happens.
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { PciFunction } from "../pci/pci-device.ts";
import { SnapshotError } from "../ports.ts";
import type { GuestMemory, StateRecord, StateValue } from "../ports.ts";
import { decodeState, encodeState } from "../snapshot/state-codec.ts";
import { SteppedClock } from "./machine-clock.ts";
import { Platform } from "./platform.ts";

const ports = [
  0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80, 0x92, 0x3f8, 0x3f9, 0x3fa, 0x3fb,
  0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x4d0, 0x4d1, 0x600, 0x602, 0x604, 0x608, 0xcf8, 0xcf9, 0xcfc, 0xcfd, 0xcfe,
];
/** The local APIC's registers, the IO-APIC's, and where the PCI card may be. */
const pages = [0xfee00000, 0xfec00000, 0xc0000000, 0xd0000000];
const msrs = [0x1b, 0x6e0, 0x802, 0x808, 0x80b, 0x80f, 0x830, 0x832, 0x838, 0x83f, 0x4b564d00, 0x4b564d01];

const size = fc.constantFrom(1, 2, 4);
/** Bits, bytes and addresses turn up more often than by chance. */
const value = fc.oneof(
  fc.nat({ max: 0xffffffff }),
  fc.nat({ max: 0xff }),
  fc.nat({ max: 31 }).map((bit) => 2 ** bit),
  fc.constantFrom(0xffffffff, 0x80001804, 0x80001810, 0x80001814, 0x80001840, 0xd0000000, 0xfee00000, 0x1ff, 0x20040),
);
const register = fc.oneof(
  fc.nat({ max: 0x40 }).map((index) => index * 16),
  fc.nat({ max: 0xfff }),
);
const access = fc.oneof(
  fc.record({ kind: fc.constant("port" as const), at: fc.constantFrom(...ports), size, value, write: fc.boolean() }),
  fc.record({
    kind: fc.constant("memory" as const),
    at: fc.tuple(fc.constantFrom(...pages), register).map(([page, offset]) => page + offset),
    size,
    value,
    write: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("msr" as const), at: fc.constantFrom(...msrs), size, value, write: fc.boolean() }),
  fc.record({ kind: fc.constant("time" as const), at: fc.constant(0), size, value, write: fc.boolean() }),
);

function newPlatform(clock: SteppedClock): Platform {
  const nothing = (): void => {};
  const platform = new Platform({
    clock,
    wallClock: () => 1.7e12 + clock.now() / 1e6,
    machine: { powerOff: nothing, reset: nothing },
    serial: { read: () => Math.floor(clock.now() / 7) & 0xff, write: () => clock.now() % 3 !== 0 },
  });
  const memory: GuestMemory = { ramBytes: 0, view: () => undefined, write: () => true };
  const signals = { interruptsChanged: nothing, nonMaskableInterrupt: nothing, init: nothing, startUp: nothing };
  platform.connect({ signals, memory });
  return platform;
}

function newCard(platform: Platform): PciFunction {
  const window = { read: () => 0x55, write: () => {} };
  return new PciFunction(platform.pci.slot(3), {
    vendorId: 1,
    deviceId: 2,
    classCode: 0xff0000,
    bars: [
      { index: 0, kind: "memory32", bytes: 4096, window },
      { index: 2, kind: "memory64", bytes: 8192, window },
      { index: 5, kind: "io", bytes: 32, window },
    ],
    msix: { vectors: 4, bar: 1 },
    interruptPin: true,
  });
}

it("takes any access of a guest", () => {
  fc.assert(
    fc.property(fc.array(access, { maxLength: 200 }), (accesses) => {
      const clock = new SteppedClock();
      const platform = newPlatform(clock);
      const card = newCard(platform);
      platform.pci.assignResources();
      for (const each of accesses) {
        const { bus, localApic } = platform;
        let read = 0;
        if (each.kind === "port" && each.write) bus.writePort(each.at, each.size, each.value % 2 ** (8 * each.size));
        else if (each.kind === "port") read = bus.readPort(each.at, each.size);
        else if (each.kind === "memory" && each.write) {
          bus.writeMemory(each.at, each.size, each.value % 2 ** (8 * each.size));
        } else if (each.kind === "memory") read = bus.readMemory(each.at, each.size);
        else if (each.kind === "msr" && each.write) {
          const owner = each.at < 0x4b564d00 ? localApic : platform.kvmClock;
          owner.writeMsr(each.at, BigInt(each.value));
        } else if (each.kind === "msr") localApic.readMsr(each.at);
        else clock.advance(each.value % 5000);
        expect(Number.isInteger(read) && read >= 0 && read < 2 ** (8 * each.size)).toBe(true);
        card.setInterrupt(each.write);
        card.signal(each.value % 6);
        expect(localApic.acknowledge()).toBeLessThan(256);
      }
      const parts = [...platform.parts, card];
      const saved = parts.map((part) => encodeState(part.save()));
      const other = newPlatform(new SteppedClock());
      for (const [index, part] of [...other.parts, newCard(other)].entries()) {
        part.load(decodeState(saved[index]) as StateRecord, part.version);
        expect(decodeState(encodeState(part.save()))).toEqual(decodeState(saved[index]));
      }
    }),
    { numRuns: 300 },
  );
});

const anything: fc.Arbitrary<StateValue> = fc.oneof(
  fc.constantFrom<StateValue>(
    null,
    true,
    "",
    -1,
    0,
    0.5,
    256,
    65536,
    2 ** 32,
    2 ** 53,
    -1e300,
    1e300,
    2n ** 64n,
    -1n,
    [],
    {},
  ),
  fc.nat({ max: 0xffffffff }),
  fc.uint8Array({ maxLength: 300 }),
);

/** The value with something else at one place, which the numbers lead to. */
function changed(state: StateValue, path: readonly number[], replacement: StateValue): StateValue {
  const [step, ...rest] = path;
  if (step === undefined || state === null || typeof state !== "object" || state instanceof Uint8Array)
    return replacement;
  const keys = Object.keys(state);
  if (keys.length === 0) return replacement;
  const key = keys[step % keys.length];
  const entries = Object.entries(state as StateRecord).map(([name, inner]): [string, StateValue] => [
    name,
    name === key ? changed(inner, rest, replacement) : inner,
  ]);
  return Array.isArray(state) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries);
}

it("takes a state that can be, and refuses any other", () => {
  const path = fc.array(fc.nat({ max: 1000 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.nat({ max: 100 }), path, anything, (index, steps, replacement) => {
      const clock = new SteppedClock();
      const platform = newPlatform(clock);
      platform.bus.writeMemory(0xfee000f0, 4, 0x1ff);
      platform.bus.writeMemory(0xfee00320, 4, 0x20040);
      platform.bus.writeMemory(0xfee00380, 4, 100_000);
      for (const [port, byte] of [
        [0x43, 0x34],
        [0x40, 0],
        [0x40, 1],
        [0x70, 11],
        [0x71, 0x72],
      ])
        platform.bus.writePort(port, 1, byte);
      clock.advance(1_000_000);
      const parts = [...platform.parts, newCard(platform)];
      const part = parts[index % parts.length];
      let refusal: unknown;
      try {
        part.load(changed(part.save(), steps, replacement) as StateRecord, part.version);
      } catch (error) {
        refusal = (error as object).constructor;
      }
      expect([undefined, SnapshotError]).toContain(refusal);
      // Whatever was taken, the machine goes on.
      platform.clock.runDue();
      platform.localApic.acknowledge();
      platform.bus.readPort(0x40, 1);
      platform.bus.readMemory(0xfee00390, 4);
      expect(Number.isNaN(clock.nextDeadline())).toBe(false);
    }),
    { numRuns: 1000 },
  );
});
