import { beforeEach, describe, expect, it } from "vitest";
import { SystemBus } from "../platform/bus.ts";
import { SnapshotError } from "../ports.ts";
import { PciFunction } from "./pci-device.ts";
import type { PciDescription } from "./pci-device.ts";
import { PciRoot } from "./pci-root.ts";

let bus: SystemBus;
let messages: [number, number][];
let inputs: Map<number, boolean>;
let root: PciRoot;

const read = (slot: number, offset: number, size = 4): number => {
  bus.writePort(0xcf8, 4, 0x8000_0000 + slot * 0x800 + (offset & 0xfc));
  return bus.readPort(0xcfc + (offset & 3), size);
};
const write = (slot: number, offset: number, value: number, size = 4): void => {
  bus.writePort(0xcf8, 4, 0x8000_0000 + slot * 0x800 + (offset & 0xfc));
  bus.writePort(0xcfc + (offset & 3), size, value);
};

/** Registers that read as a tag and their offset. */
const window = (tag: number) => ({ read: (offset: number): number => tag + offset, write: (): void => {} });

const device: PciDescription = {
  vendorId: 0x1af4,
  deviceId: 0x1042,
  classCode: 0x018000,
  revision: 1,
  subsystemVendorId: 0x1af4,
  subsystemId: 0x1100,
  bars: [
    { index: 0, kind: "io", bytes: 32, window: window(0x10) },
    { index: 4, kind: "memory64", bytes: 0x4000, prefetchable: true, window: window(0x1000) },
  ],
  capabilities: [{ id: 9, body: new Uint8Array([0x10, 1, 2, 3, 4]), writable: new Uint8Array([0, 0, 0xf0]) }],
  msix: { vectors: 3, bar: 1 },
  interruptPin: true,
};

beforeEach(() => {
  bus = new SystemBus();
  messages = [];
  inputs = new Map();
  root = new PciRoot({
    bus,
    messages: { deliver: (address, data) => messages.push([address, data]) },
    input: (pin) => ({ set: (level) => inputs.set(pin, level) }),
  });
  bus.mapPorts(0xcf8, 8, root.ports);
  bus.mapMemory(0xfeb0_0000, 0x10_0000, root.configuration);
});

describe("PciRoot", () => {
  it("has configuration space in memory as well", () => {
    void new PciFunction(root.slot(3), device);
    const place = (slot: number, offset: number, fn = 0): number => 0xfeb0_0000 + slot * 0x8000 + fn * 0x1000 + offset;
    for (const offset of [0, 8, 0x3c]) expect(bus.readMemory(place(3, offset), 4)).toBe(read(3, offset));
    bus.writeMemory(place(3, 4), 2, 3);
    expect(read(3, 4, 2)).toBe(3);
    expect(bus.readMemory(place(3, 2), 2)).toBe(device.deviceId);
    // No extended capabilities, no other functions, nothing in the next slot.
    expect([0x100, 0xffc].map((offset) => bus.readMemory(place(3, offset), 4))).toEqual([0, 0]);
    expect([place(3, 0, 1), place(4, 0)].map((at) => bus.readMemory(at, 4))).toEqual([0xffff_ffff, 0xffff_ffff]);
    bus.writeMemory(place(4, 4), 2, 3);
  });

  it("has a host bridge, and nothing elsewhere", () => {
    expect(read(0, 8) >>> 8).toBe(0x060000);
    expect(read(1, 0)).toBe(0xffff_ffff);
    bus.writePort(0xcf8, 4, 0x8001_0000);
    expect(bus.readPort(0xcfc, 4)).toBe(0xffff_ffff);
    bus.writePort(0xcf8, 4, 0x8000_0100);
    expect(bus.readPort(0xcfc, 2)).toBe(0xffff);
  });

  it("keeps its address as kernels expect that look for mechanism 1", () => {
    bus.writePort(0xcfb, 1, 1);
    bus.writePort(0xcf8, 4, 0x8000_0000);
    expect(bus.readPort(0xcf8, 4)).toBe(0x8000_0000);
    bus.writePort(0xcf8, 4, 0);
    expect(bus.readPort(0xcfc, 4)).toBe(0xffff_ffff);
  });

  it("gives slots once", () => {
    const slot = root.slot(3);
    void new PciFunction(slot, device);
    expect(() => root.slot(3)).toThrow(RangeError);
    expect(() => root.slot(32)).toThrow(RangeError);
    expect(root.freeSlot()?.number).toBe(1);
  });

  it("places what the devices need as firmware does", () => {
    const functions = [2, 3].map((slot) => new PciFunction(root.slot(slot), device));
    root.assignResources();
    expect(functions.map((pci) => pci.barAddress(4))).toEqual([0xc000_0000, 0xc000_4000]);
    expect(functions.map((pci) => pci.barAddress(1))).toEqual([0xc000_8000, 0xc000_9000]);
    expect(functions.map((pci) => pci.barAddress(0))).toEqual([0xc000, 0xc020]);
    expect(read(2, 0x3c, 2)).toBe(0x0112);
    expect(bus.readMemory(0xc000_4010, 4)).toBe(0x1010);
    expect(bus.readPort(0xc021, 1)).toBe(0x11);
    expect(read(2, 4, 2)).toBe(3);
  });

  it("shares inputs among slots", () => {
    const [first, second] = [1, 9].map((slot) => new PciFunction(root.slot(slot), device));
    first.setInterrupt(true);
    second.setInterrupt(true);
    first.setInterrupt(false);
    expect(inputs.get(17)).toBe(true);
    second.setInterrupt(false);
    expect(inputs.get(17)).toBe(false);
  });
});

describe("PciFunction", () => {
  let pci: PciFunction;
  beforeEach(() => {
    pci = new PciFunction(root.slot(5), device);
  });

  it("says what it is, and lets only what it should be changed", () => {
    expect([read(5, 0), read(5, 8), read(5, 0x2c)]).toEqual([0x1042_1af4, 0x0180_0001, 0x1100_1af4]);
    for (let offset = 0; offset < 256; offset += 4) write(5, offset, 0xffff_ffff);
    expect([read(5, 0), read(5, 8), read(5, 0x2c)]).toEqual([0x1042_1af4, 0x0180_0001, 0x1100_1af4]);
    expect(read(5, 4, 2)).toBe(0x0407);
    expect(read(5, 6, 2)).toBe(0x0010);
    expect(read(5, 0x3d, 1)).toBe(1);
  });

  it("tells the sizes of its windows", () => {
    for (const offset of [0x10, 0x14, 0x18, 0x20, 0x24]) write(5, offset, 0xffff_ffff);
    expect([0x10, 0x14, 0x18, 0x20, 0x24].map((offset) => read(5, offset))).toEqual([
      0xffff_ffe1, 0xffff_f000, 0, 0xffff_c00c, 0xffff_ffff,
    ]);
  });

  it("moves its windows while they are enabled", () => {
    write(5, 0x20, 0xd000_0000);
    expect(bus.readMemory(0xd000_0000, 4)).toBe(0xffff_ffff);
    write(5, 4, 2, 2);
    expect(bus.readMemory(0xd000_0004, 4)).toBe(0x1004);
    write(5, 0x24, 1);
    expect(bus.readMemory(0xd000_0004, 4)).toBe(0xffff_ffff);
    expect(bus.readMemory(0x1_d000_0004, 4)).toBe(0x1004);
    // All ones is where no window can be; it is not an address but the question for the size.
    write(5, 0x20, 0xffff_ffff);
    write(5, 0x24, 0xffff_ffff);
    expect(pci.barAddress(4)).toBeUndefined();
    write(5, 4, 0, 2);
    expect(bus.readMemory(0x1_d000_0004, 4)).toBe(0xffff_ffff);
  });

  it("lists its capabilities, with bits that can be changed", () => {
    const msix = read(5, 0x34, 1);
    expect([read(5, msix, 1), read(5, msix + 4), read(5, msix + 8)]).toEqual([0x11, 1, 0x801]);
    expect(read(5, msix + 2, 2)).toBe(2);
    const next = read(5, msix + 1, 1);
    write(5, next + 4, 0xff, 1);
    expect([read(5, next), read(5, next + 4)]).toEqual([0x0110_0009, 0x04_03_f2 & 0xffffff]);
  });

  it("sends messages, and holds them back while they are masked", () => {
    const table = 0xd010_0000;
    write(5, 0x14, table);
    write(5, 4, 6, 2);
    bus.writeMemory(table + 0x10, 4, 0xfee0_1000);
    bus.writeMemory(table + 0x18, 4, 0x4031);
    pci.signal(1);
    expect([messages, pci.msixEnabled]).toEqual([[], false]);
    const control = read(5, 0x34, 1) + 2;
    write(5, control, 0x8000, 2);
    pci.signal(1);
    expect(bus.readMemory(table + 0x800, 4)).toBe(2);
    bus.writeMemory(table + 0x1c, 4, 0);
    expect([messages, bus.readMemory(table + 0x800, 4)]).toEqual([[[0xfee0_1000, 0x4031]], 0]);
    write(5, control, 0xc000, 2);
    pci.signal(1);
    expect(messages).toHaveLength(1);
    write(5, control, 0x8000, 2);
    expect(messages).toHaveLength(2);
    pci.signal(7);
    expect(messages).toHaveLength(2);
    expect(pci.busMaster).toBe(true);
  });

  it("drives its pin unless that is disabled or messages replace it", () => {
    pci.setInterrupt(true);
    expect([inputs.get(21), read(5, 6, 2) & 8]).toEqual([true, 8]);
    write(5, 4, 0x400, 2);
    expect(inputs.get(21)).toBe(false);
    write(5, 4, 0, 2);
    expect(inputs.get(21)).toBe(true);
    write(5, read(5, 0x34, 1) + 2, 0x8000, 2);
    expect(inputs.get(21)).toBe(false);
  });

  it("goes on where it was saved", () => {
    write(5, 0x20, 0xd000_0000);
    write(5, 4, 6, 2);
    write(5, read(5, 0x34, 1) + 2, 0x8000, 2);
    pci.signal(0);
    const saved = [pci.save(), root.save()] as const;
    pci.reset();
    root.reset();
    expect(bus.readMemory(0xd000_0000, 4)).toBe(0xffff_ffff);
    pci.load(saved[0], 1);
    root.load(saved[1], 1);
    expect([pci.save(), root.save()]).toEqual(saved);
    expect(bus.readMemory(0xd000_0000, 4)).toBe(0x1000);
    const other = new PciFunction(root.slot(6), { ...device, deviceId: 0x1041 });
    expect(() => other.load(saved[0], 1)).toThrow(SnapshotError);
  });

  it("refuses descriptions that are none", () => {
    const bar = { index: 5, kind: "memory64", bytes: 0x1000, window: window(0) } as const;
    for (const bars of [
      [bar],
      [{ ...bar, index: 0, bytes: 0x1800 }],
      [
        { ...bar, index: 0 },
        { ...bar, index: 1 },
      ],
    ]) {
      expect(() => new PciFunction(root.slot(7), { ...device, msix: { vectors: 1, bar: 3 }, bars })).toThrow(
        RangeError,
      );
    }
    expect(() => new PciFunction(root.slot(7), { ...device, msix: { vectors: 0, bar: 1 } })).toThrow(RangeError);
  });
});
