// Times in guest memory: struct timespec and timeval in their three sizes, and clocks by number (clock_gettime(2)).
//
//   x86-64, time64   0 seconds (64) | 8 nanoseconds or microseconds (64)
//   i386             0 seconds (32) | 4 nanoseconds or microseconds (32)

import { EINVAL, ESRCH, SyscallError } from "../kernel/errno.ts";
import type { SyscallArguments } from "../kernel/syscall.ts";
import type { Timespec } from "../kernel/task.ts";
import type { GuestTask } from "../process/task.ts";

export const NS_PER_SECOND = 1_000_000_000;
export const TIMER_ABSTIME = 1;

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
const CLOCK_PROCESS_CPUTIME_ID = 2;
const CLOCK_THREAD_CPUTIME_ID = 3;
const REAL_CLOCKS: ReadonlySet<number> = new Set([0, 5, 8, 11]);
const MONOTONIC_CLOCKS: ReadonlySet<number> = new Set([1, 4, 6, 7, 9]);

/** Whether 64-bit fields are meant: x86-64, or a `…_time64` call of i386. */
export type TimeWidth = "wide" | "narrow";

export function widthOf(args: SyscallArguments): TimeWidth {
  return args.wordBytes === 8 ? "wide" : "narrow";
}

/** A timespec as it stands: not checked. */
export function readTimespec(task: GuestTask, address: number, width: TimeWidth): Timespec {
  const { memory } = task;
  if (width === "wide") return { seconds: memory.readI64(address), nanoseconds: memory.readI64(address + 8) };
  return { seconds: memory.readI32(address), nanoseconds: memory.readI32(address + 4) };
}

/** A duration or time point in ns; EINVAL for nanoseconds out of range or negative seconds. */
export function readNs(task: GuestTask, address: number, width: TimeWidth): number {
  const { seconds, nanoseconds } = readTimespec(task, address, width);
  if (seconds < 0 || nanoseconds < 0 || nanoseconds >= NS_PER_SECOND) throw new SyscallError(EINVAL);
  return seconds * NS_PER_SECOND + nanoseconds;
}

export function writeTimespec(task: GuestTask, address: number, time: Timespec, width: TimeWidth): void {
  const { memory } = task;
  if (width === "wide") {
    memory.writeU64(address, time.seconds);
    memory.writeU64(address + 8, time.nanoseconds);
  } else {
    memory.writeU32(address, time.seconds);
    memory.writeU32(address + 4, time.nanoseconds);
  }
}

export function splitNs(ns: number): Timespec {
  const seconds = Math.floor(ns / NS_PER_SECOND);
  return { seconds, nanoseconds: Math.floor(ns - seconds * NS_PER_SECOND) };
}

/** struct timeval, from ns. */
export function writeTimeval(task: GuestTask, address: number, ns: number, width: TimeWidth): void {
  const { seconds, nanoseconds } = splitNs(ns);
  writeTimespec(task, address, { seconds, nanoseconds: Math.floor(nanoseconds / 1000) }, width);
}

/** A timeval in ns; EINVAL for microseconds out of range. */
export function readTimeval(task: GuestTask, address: number, width: TimeWidth): number {
  const { seconds, nanoseconds: microseconds } = readTimespec(task, address, width);
  if (seconds < 0 || microseconds < 0 || microseconds >= 1_000_000) throw new SyscallError(EINVAL);
  return seconds * NS_PER_SECOND + microseconds * 1000;
}

/** The time of a clock; EINVAL for one that does not exist, ESRCH for the CPU clock of nobody. */
export function readClock(task: GuestTask, clock: number): Timespec {
  const { kernel } = task;
  if (REAL_CLOCKS.has(clock)) return kernel.clock.realtime();
  if (MONOTONIC_CLOCKS.has(clock)) return splitNs(kernel.clock.monotonicNs());
  if (clock === CLOCK_PROCESS_CPUTIME_ID) return splitNs(task.process.userNs + task.process.systemNs);
  if (clock === CLOCK_THREAD_CPUTIME_ID) return splitNs(task.userNs + task.systemNs);
  if (clock >= 0) throw new SyscallError(EINVAL);
  return splitNs(cpuClockNs(task, clock));
}

/** clock_getcpuclockid(3) and pthread_getcpuclockid(3): ~pid << 3, bit 2 for a thread, low bits the kind of clock. */
function cpuClockNs(task: GuestTask, clock: number): number {
  const id = ~(clock >> 3);
  const kind = clock & 3;
  if (kind === 3) throw new SyscallError(EINVAL);
  const target =
    (clock & 4) === 0
      ? id === 0
        ? task.process
        : task.kernel.processes.get(id)
      : id === 0
        ? task
        : task.process.tasks.get(id);
  if (target === undefined) throw new SyscallError((clock & 4) === 0 ? ESRCH : EINVAL);
  return kind === 1 ? target.userNs : target.userNs + target.systemNs;
}

/** The monotonic time at which a clock will show `targetNs`; EINVAL for clocks nobody can wait on. */
export function deadlineOnClock(task: GuestTask, clock: number, targetNs: number): number {
  const { kernel } = task;
  const now = kernel.clock.monotonicNs();
  if (MONOTONIC_CLOCKS.has(clock)) return targetNs;
  if (REAL_CLOCKS.has(clock)) {
    const real = kernel.clock.realtime();
    const seconds = Math.floor(targetNs / NS_PER_SECOND);
    const nanoseconds = targetNs - seconds * NS_PER_SECOND;
    return now + (seconds - real.seconds) * NS_PER_SECOND + (nanoseconds - real.nanoseconds);
  }
  if (clock === CLOCK_PROCESS_CPUTIME_ID) return now + targetNs - (task.process.userNs + task.process.systemNs);
  throw new SyscallError(EINVAL);
}

export function clockExists(clock: number): boolean {
  return REAL_CLOCKS.has(clock) || MONOTONIC_CLOCKS.has(clock) || clock === 2 || clock === 3 || clock < 0;
}
