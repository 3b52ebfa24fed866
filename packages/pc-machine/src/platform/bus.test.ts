import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RegisterWindow } from "../ports.ts";
import { SystemBus } from "./bus.ts";

/** Remembers accesses; reads return `base` plus the offset. */
function recorder(base: number): RegisterWindow & { readonly log: string[] } {
  const log: string[] = [];
  return {
    log,
    read: (offset, size) => {
      log.push(`r${size}@${offset}`);
      return base + offset;
    },
    write: (offset, size, value) => log.push(`w${size}@${offset}=${value}`),
  };
}

describe("SystemBus", () => {
  it("answers all ones where there is nothing", () => {
    const bus = new SystemBus();
    expect([1, 2, 4].map((size) => bus.readPort(0x300, size))).toEqual([0xff, 0xffff, 0xffffffff]);
    expect([1, 2, 4].map((size) => bus.readMemory(0xd0000000, size))).toEqual([0xff, 0xffff, 0xffffffff]);
    bus.writePort(0x300, 1, 1);
    bus.writeMemory(0xd0000000, 4, 1);
  });

  it("gives a window offsets from its first register", () => {
    const bus = new SystemBus();
    const ports = recorder(0);
    const memory = recorder(0);
    bus.mapPorts(0x3f8, 8, ports);
    bus.mapMemory(0xfee00000, 4096, memory);
    bus.writePort(0x3ff, 1, 7);
    expect(bus.readPort(0x3fd, 1)).toBe(5);
    bus.writeMemory(0xfee000b0, 4, 0);
    expect(ports.log).toEqual(["w1@7=7", "r1@5"]);
    expect(memory.log).toEqual(["w4@176=0"]);
  });

  it("splits an access that leaves a window", () => {
    const bus = new SystemBus();
    const ports = recorder(0x10);
    bus.mapPorts(0x60, 2, ports);
    expect(bus.readPort(0x61, 4)).toBe(0xffffff11);
    bus.writePort(0xffff, 4, 0);
    expect(ports.log).toEqual(["r1@1"]);
  });

  it("lets the window that was mapped first answer, until it goes", () => {
    const bus = new SystemBus();
    bus.mapPorts(0xcf8, 8, recorder(0x10));
    const reset = bus.mapPorts(0xcf9, 1, recorder(0x80));
    expect(bus.readPort(0xcf9, 1)).toBe(0x11);
    const first = bus.mapMemory(0xe0001000, 0x1000, recorder(1));
    bus.mapMemory(0xe0000000, 0x3000, recorder(2));
    expect([0xe0000000, 0xe0001000, 0xe0002000].map((address) => bus.readMemory(address, 4))).toEqual([2, 1, 0x2002]);
    first.unmap();
    expect(bus.readMemory(0xe0001000, 4)).toBe(0x1002);
    reset.unmap();
  });

  it("refuses ranges that are none", () => {
    const bus = new SystemBus();
    expect(() => bus.mapPorts(0xffff, 2, recorder(0))).toThrow(RangeError);
    expect(() => bus.mapPorts(-1, 1, recorder(0))).toThrow(RangeError);
    expect(() => bus.mapMemory(0x1001, 4096, recorder(0))).toThrow(RangeError);
    expect(() => bus.mapMemory(0x1000, 0, recorder(0))).toThrow(RangeError);
  });

  it("agrees with looking through the windows one by one", () => {
    const page = fc.integer({ min: 0, max: 15 });
    const step = fc.record({ first: page, count: fc.integer({ min: 1, max: 6 }), unmap: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const bus = new SystemBus();
        const mapped: { first: number; count: number; id: number; unmap: () => void }[] = [];
        for (const [id, { first, count, unmap }] of steps.entries()) {
          if (unmap && mapped.length > 0) {
            mapped.splice(first % mapped.length, 1)[0].unmap();
            continue;
          }
          const window: RegisterWindow = { read: () => id, write: () => {} };
          const mapping = bus.mapMemory(first * 4096, count * 4096, window);
          mapped.push({ first, count, id, unmap: () => mapping.unmap() });
        }
        for (let at = 0; at < 24; at++) {
          const owner = mapped.find(({ first, count }) => at >= first && at < first + count);
          expect(bus.readMemory(at * 4096 + 8, 4)).toBe(owner?.id ?? 0xffffffff);
        }
      }),
    );
  });
});
