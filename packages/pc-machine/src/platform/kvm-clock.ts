/**
 * The paravirtual clock of KVM (Linux Documentation/virt/kvm/x86/msr.rst and cpuid.rst): the guest names a place in its
 * memory, and finds there how to make nanoseconds of its time-stamp counter, without leaving the processor.
 *
 * ```text
 * time                                    wall clock (when the time was 0)
 *  0  version, odd while it changes        0  version
 *  8  counter, when the rest was written   4  seconds since 1970
 * 16  time then, in nanoseconds            8  nanoseconds
 * 24  multiplier: of 2^-32 nanoseconds
 * 28  shift of the counter, before that
 * 29  flags: 1 when all processors agree
 * ```
 */

import type { Device, GuestMemory, MachineClock, StateRecord, TimeStamps } from "../ports.ts";
import { RecordReader } from "../snapshot/record-reader.ts";

const Msr = { wallClock: 0x4b56_4d00, systemTime: 0x4b56_4d01, oldWallClock: 0x11, oldSystemTime: 0x12 } as const;
const enabled = 1n;
const timeBytes = 32;
const wallClockBytes = 12;
const flagStable = 1;

/** EAX of CPUID leaf 0x40000001: both sets of registers, no delays after port accesses, and the stable flag. */
export const kvmClockFeatures: number = (1 << 0) | (1 << 1) | (1 << 3) | (1 << 24);

export interface KvmClockConnections {
  readonly clock: MachineClock;
  readonly tsc: TimeStamps;
  /** Milliseconds since 1970-01-01, UTC. */
  readonly wallClock: () => number;
  readonly memory: GuestMemory;
}

export class KvmClock implements Device {
  readonly id = "kvm-clock";
  readonly version = 1;
  readonly #to: KvmClockConnections;
  readonly #scale: { readonly multiplier: number; readonly shift: number };
  /** What the guest wrote. */
  #systemTime = 0n;
  #wallClock = 0n;
  /** Of the time, as last written. */
  #sequence = 0;

  constructor(connections: KvmClockConnections) {
    this.#to = connections;
    this.#scale = scaleOf(connections.tsc.hz);
  }

  readMsr(index: number): bigint | undefined {
    if (index === Msr.systemTime || index === Msr.oldSystemTime) return this.#systemTime;
    if (index === Msr.wallClock || index === Msr.oldWallClock) return this.#wallClock;
    return undefined;
  }

  /** False, which is #GP, where the place named is not memory. */
  writeMsr(index: number, value: bigint): boolean {
    if (index === Msr.systemTime || index === Msr.oldSystemTime) {
      this.#systemTime = value;
      return this.update();
    }
    if (index !== Msr.wallClock && index !== Msr.oldWallClock) return false;
    this.#wallClock = value;
    return this.#writeWallClock(value);
  }

  /** The counter's relation to time has changed: tells the guest. */
  update(): boolean {
    if ((this.#systemTime & enabled) === 0n) return true;
    const { clock, tsc, memory } = this.#to;
    this.#sequence = (this.#sequence + 2) % 2 ** 32;
    const view = new DataView(new ArrayBuffer(timeBytes));
    view.setUint32(0, this.#sequence, true);
    view.setBigUint64(8, tsc.read(), true);
    view.setBigUint64(16, BigInt(clock.now()), true);
    view.setUint32(24, this.#scale.multiplier, true);
    view.setInt8(28, this.#scale.shift);
    view.setUint8(29, flagStable);
    return memory.write(Number(this.#systemTime & ~enabled), new Uint8Array(view.buffer));
  }

  reset(): void {
    this.#systemTime = 0n;
    this.#wallClock = 0n;
    this.#sequence = 0;
  }

  save(): StateRecord {
    return { systemTime: this.#systemTime, wallClock: this.#wallClock, sequence: this.#sequence };
  }

  /** The counter and the clock go on together, so what is in guest memory stays right. */
  load(record: StateRecord, version: number): void {
    const reader = new RecordReader(this.id, record, { found: version, known: this.version });
    this.#systemTime = reader.bigint("systemTime", 0n, 2n ** 64n - 1n);
    this.#wallClock = reader.bigint("wallClock", 0n, 2n ** 64n - 1n);
    this.#sequence = reader.integer("sequence", 0, 0xffff_ffff);
  }

  #writeWallClock(address: bigint): boolean {
    const { clock, wallClock, memory } = this.#to;
    const bootMs = wallClock() - clock.now() / 1e6;
    const seconds = Math.floor(bootMs / 1000);
    const view = new DataView(new ArrayBuffer(wallClockBytes));
    view.setUint32(0, 2, true);
    view.setUint32(4, seconds, true);
    view.setUint32(8, Math.floor((bootMs - seconds * 1000) * 1e6), true);
    return memory.write(Number(address), new Uint8Array(view.buffer));
  }
}

/** nanoseconds = ((counter << shift) * multiplier) >> 32, with as large a multiplier as fits. */
function scaleOf(hz: number): { readonly multiplier: number; readonly shift: number } {
  let shift = 0;
  let ratio = 1e9 / hz;
  for (; ratio >= 1; ratio /= 2) shift++;
  for (; ratio < 0.5; ratio *= 2) shift--;
  return { multiplier: Math.min(Math.round(ratio * 2 ** 32), 2 ** 32 - 1), shift };
}
