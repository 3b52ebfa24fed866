import { describe, expect, it } from "vitest";
import { KvmClock } from "./kvm-clock.ts";
import { SteppedClock } from "./machine-clock.ts";
import { TimeStampCounter } from "./time-stamp-counter.ts";

const time = 0x4b564d01;
const wall = 0x4b564d00;

function newClock(hz: number) {
  const ram = new Uint8Array(0x2000);
  const clock = new SteppedClock();
  let notify = (): void => {};
  const tsc = new TimeStampCounter(clock, hz, () => notify());
  const memory = {
    ramBytes: ram.length,
    view: (address: number, length: number) => ram.subarray(address, address + length),
    write: (address: number, data: Uint8Array) => {
      if (address + data.length > ram.length) return false;
      ram.set(data, address);
      return true;
    },
  };
  const kvm = new KvmClock({ clock, tsc, memory, wallClock: () => 1_700_000_000_250 + clock.now() / 1e6 });
  notify = () => kvm.update();
  const view = new DataView(ram.buffer);
  /** The time as a guest reads it: the algorithm of the document. */
  const read = (at: number): number => {
    let delta = tsc.read() - view.getBigUint64(at + 8, true);
    const shift = BigInt(view.getInt8(at + 28));
    delta = shift < 0n ? delta >> -shift : delta << shift;
    const scaled = (delta * BigInt(view.getUint32(at + 24, true))) >> 32n;
    return Number(scaled + view.getBigUint64(at + 16, true));
  };
  return { clock, tsc, kvm, view, read };
}

describe("KvmClock", () => {
  it.each([1e9, 999_999_999, 2.4e9, 3_693_000_000, 1e8])("tells the time by a counter of %d Hz", (hz) => {
    const { clock, kvm, read, view } = newClock(hz);
    clock.advance(5_000_000);
    expect(kvm.writeMsr(time, 0x1001n)).toBe(true);
    expect([view.getUint32(0x1000, true) % 2, view.getUint8(0x101d)]).toEqual([0, 1]);
    expect(read(0x1000)).toBe(5_000_000);
    clock.advance(60_000_000_000);
    // A multiplier of 32 bits is exact to parts in 10^9.
    expect(Math.abs(read(0x1000) - clock.now())).toBeLessThan(60);
  });

  it("stays right when the guest sets the counter", () => {
    const { clock, tsc, kvm, read } = newClock(1e9);
    kvm.writeMsr(time, 0x1001n);
    clock.advance(1000);
    tsc.write(0n);
    clock.advance(500);
    expect(read(0x1000)).toBe(1500);
    kvm.writeMsr(time, 0n);
    expect(kvm.readMsr(time)).toBe(0n);
  });

  it("tells when the time was 0", () => {
    const { clock, kvm, view } = newClock(1e9);
    clock.advance(3_000_000_000);
    expect(kvm.writeMsr(wall, 0x1100n)).toBe(true);
    expect([view.getUint32(0x1104, true), view.getUint32(0x1108, true)]).toEqual([1_700_000_000, 250_000_000]);
  });

  it("refuses places that are not memory, and registers that are not its own", () => {
    const { kvm } = newClock(1e9);
    expect(kvm.writeMsr(time, 0x10000001n)).toBe(false);
    expect(kvm.writeMsr(wall, 2n ** 63n)).toBe(false);
    expect([kvm.readMsr(0x10), kvm.writeMsr(0x10, 0n)]).toEqual([undefined, false]);
  });

  it("goes on where it was saved", () => {
    const { kvm } = newClock(1e9);
    kvm.writeMsr(time, 0x1001n);
    const saved = kvm.save();
    kvm.reset();
    kvm.load(saved, 1);
    expect(kvm.save()).toEqual(saved);
    expect(kvm.readMsr(time)).toBe(0x1001n);
  });
});
