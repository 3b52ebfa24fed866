/** Events as files: eventfd(2), timerfd_create(2), signalfd(2). */
import { EAGAIN, EINVAL } from "../kernel/errno.ts";
import type { SignalInfo, SignalSet } from "../kernel/signal-info.ts";
import type { Clock, Kernel, KernelTimer, Task } from "../kernel/task.ts";
import type { WaitQueue } from "../kernel/wait.ts";
import { anonymousInode } from "../vfs/anonymous.ts";
import { O_RDONLY, O_RDWR } from "../vfs/constants.ts";
import { OpenFile, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "./open-file.ts";
import { drain, fill, type Transfer } from "./transfer.ts";

/** The largest count; a write of one more is EINVAL. */
const MAX_COUNT = 0xffff_ffff_ffff_fffen;

function bytesOf(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

/** A 64-bit counter. */
export class EventFile extends OpenFile {
  #count: bigint;
  readonly #semaphore: boolean;

  constructor(initial: number, semaphore: boolean, flags: number) {
    super(O_RDWR | flags);
    this.#count = BigInt(initial);
    this.#semaphore = semaphore;
    this.inode = anonymousInode(0o600);
    this.name = "anon_inode:[eventfd]";
  }

  override read(into: Transfer): number {
    if (into.remaining < 8) return -EINVAL;
    if (this.#count === 0n) return -EAGAIN;
    const value = this.#semaphore ? 1n : this.#count;
    const count = fill(into, bytesOf(value));
    this.#count -= value;
    this.queue.wakeAll();
    return count;
  }

  override write(from: Transfer): number {
    if (from.remaining < 8) return -EINVAL;
    const value = new DataView(drain(from, 8).buffer).getBigUint64(0, true);
    if (value > MAX_COUNT) return -EINVAL;
    if (this.#count + value > MAX_COUNT) {
      from.giveBack(8);
      return -EAGAIN;
    }
    this.#count += value;
    this.queue.wakeAll();
    return 8;
  }

  override get isStream(): boolean {
    return false;
  }

  override poll(): number {
    let mask = 0;
    if (this.#count > 0n) mask |= POLLIN | POLLRDNORM;
    if (this.#count < MAX_COUNT) mask |= POLLOUT | POLLWRNORM;
    return mask;
  }

  override describeDetails(): string {
    return `eventfd-count: ${this.#count.toString(16).padStart(16)}\n`;
  }
}

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_BOOTTIME = 7;
export const CLOCK_REALTIME_ALARM = 8;
export const CLOCK_BOOTTIME_ALARM = 9;

function realtimeNs(clock: Clock): number {
  const { seconds, nanoseconds } = clock.realtime();
  return seconds * 1e9 + nanoseconds;
}

export interface TimerSetting {
  /** Nanoseconds; 0 disarms. */
  readonly valueNs: number;
  readonly intervalNs: number;
}

/** A timer whose expirations are counted when they are read. */
export class TimerFile extends OpenFile {
  readonly #kernel: Kernel;
  readonly #realtime: boolean;
  #timer: KernelTimer | undefined = undefined;
  /** Monotonic time of the first expiration that was not counted; Infinity when disarmed. */
  #nextNs = Infinity;
  #intervalNs = 0;
  #expirations = 0;

  constructor(kernel: Kernel, clockId: number, flags: number) {
    super(O_RDWR | flags);
    this.#kernel = kernel;
    this.#realtime = clockId === CLOCK_REALTIME || clockId === CLOCK_REALTIME_ALARM;
    this.inode = anonymousInode(0o600);
    this.name = "anon_inode:[timerfd]";
  }

  protected override closed(): void {
    this.#timer?.cancel();
  }

  get #now(): number {
    return this.#kernel.clock.monotonicNs();
  }

  #count(): void {
    const now = this.#now;
    if (now < this.#nextNs) return;
    if (this.#intervalNs === 0) {
      this.#expirations++;
      this.#nextNs = Infinity;
      return;
    }
    const missed = Math.floor((now - this.#nextNs) / this.#intervalNs) + 1;
    this.#expirations += missed;
    this.#nextNs += missed * this.#intervalNs;
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#nextNs === Infinity) return;
    this.#timer = this.#kernel.setTimer(this.#nextNs, () => {
      this.#count();
      this.queue.wakeAll();
      this.#arm();
    });
  }

  setting(): TimerSetting {
    this.#count();
    const valueNs = this.#nextNs === Infinity ? 0 : Math.max(1, this.#nextNs - this.#now);
    return { valueNs, intervalNs: this.#intervalNs };
  }

  set(setting: TimerSetting, absolute: boolean): void {
    this.#expirations = 0;
    this.#intervalNs = setting.intervalNs;
    const now = this.#now;
    if (setting.valueNs === 0) this.#nextNs = Infinity;
    else if (!absolute) this.#nextNs = now + setting.valueNs;
    else this.#nextNs = this.#realtime ? now + (setting.valueNs - realtimeNs(this.#kernel.clock)) : setting.valueNs;
    this.#count();
    if (this.#expirations > 0) this.queue.wakeAll();
    this.#arm();
  }

  override read(into: Transfer): number {
    if (into.remaining < 8) return -EINVAL;
    this.#count();
    if (this.#expirations === 0) return -EAGAIN;
    const count = fill(into, bytesOf(BigInt(this.#expirations)));
    this.#expirations = 0;
    return count;
  }

  override poll(): number {
    this.#count();
    return this.#expirations > 0 ? POLLIN | POLLRDNORM : 0;
  }
}

const SIGINFO_BYTES = 128;

/** struct signalfd_siginfo (signalfd(2)). */
export function encodeSignal(info: SignalInfo): Uint8Array {
  const bytes = new Uint8Array(SIGINFO_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, info.signal, true);
  view.setInt32(4, info.errno ?? 0, true);
  view.setInt32(8, info.code, true);
  view.setUint32(12, info.pid ?? 0, true);
  view.setUint32(16, info.uid ?? 0, true);
  view.setInt32(20, info.fd ?? 0, true);
  view.setUint32(24, info.timerId ?? 0, true);
  view.setUint32(28, info.band ?? 0, true);
  view.setUint32(32, info.overrun ?? 0, true);
  view.setInt32(40, info.status ?? 0, true);
  view.setInt32(44, info.valueLo ?? 0, true);
  view.setUint32(48, info.valueLo ?? 0, true);
  view.setUint32(52, info.valueHi ?? 0, true);
  view.setBigUint64(56, BigInt(info.userTicks ?? 0), true);
  view.setBigUint64(64, BigInt(info.systemTicks ?? 0), true);
  view.setBigUint64(72, BigInt(info.address ?? 0), true);
  return bytes;
}

/** Pending signals of whoever reads. */
export class SignalFile extends OpenFile {
  set: SignalSet;

  constructor(set: SignalSet, flags: number) {
    super(O_RDONLY | flags);
    this.set = set;
    this.inode = anonymousInode(0o600);
    this.name = "anon_inode:[signalfd]";
  }

  override queues(task: Task): readonly WaitQueue[] {
    return [task.signalArrived, this.queue];
  }

  override read(into: Transfer, task: Task): number {
    if (into.remaining < SIGINFO_BYTES) return -EINVAL;
    let done = 0;
    while (into.remaining >= SIGINFO_BYTES) {
      const info = task.dequeueSignal(this.set);
      if (info === null) break;
      done += fill(into, encodeSignal(info));
    }
    return done > 0 ? done : -EAGAIN;
  }

  override poll(task: Task | undefined): number {
    if (task === undefined) return 0;
    const pending = task.pendingSignals();
    const wanted = (pending.lo & this.set.lo) | (pending.hi & this.set.hi);
    return wanted !== 0 ? POLLIN | POLLRDNORM : 0;
  }
}
