// Clocks, sleeping and timers (time(7)).

import { EAGAIN, EINVAL, EOPNOTSUPP, EPERM } from "../kernel/errno.ts";
import type { SyscallArguments, SyscallDefinition } from "../kernel/syscall.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { SIGALRM } from "../kernel/signal-info.ts";
import { PosixTimer } from "../process/interval-timer.ts";
import type { GuestTask } from "../process/task.ts";
import type { CoreHandler } from "./row.ts";
import { partial, row } from "./row.ts";
import type { TimeWidth } from "./time-layout.ts";
import {
  clockExists,
  deadlineOnClock,
  NS_PER_SECOND,
  readClock,
  readNs,
  readTimeval,
  splitNs,
  TIMER_ABSTIME,
  widthOf,
  writeTimespec,
  writeTimeval,
} from "./time-layout.ts";

const USER_HZ = 100;

function clockGettime(task: GuestTask, args: SyscallArguments, width: TimeWidth): number {
  writeTimespec(task, args.address(1), readClock(task, args.i32(0)), width);
  return 0;
}

function clockGetres(task: GuestTask, args: SyscallArguments, width: TimeWidth): number {
  const clock = args.i32(0);
  if (!clockExists(clock)) return -EINVAL;
  const coarse = clock === 5 || clock === 6;
  if (args.address(1) !== 0)
    writeTimespec(task, args.address(1), { seconds: 0, nanoseconds: coarse ? 4_000_000 : 1 }, width);
  return 0;
}

/** Sleeps until a monotonic time; `remaining` is where what is left goes when a signal interrupts, or 0. */
function sleepUntil(task: GuestTask, deadlineNs: number, remaining: number, width: TimeWidth): SyscallResult {
  const { clock } = task.kernel;
  const wait = (): SyscallResult => {
    if (clock.monotonicNs() >= deadlineNs) return 0;
    return task.block({
      on: [],
      deadlineNs,
      interrupt: "eintr",
      retry: wait,
      onInterrupt: () => {
        if (remaining !== 0)
          writeTimespec(task, remaining, splitNs(Math.max(0, deadlineNs - clock.monotonicNs())), width);
        return undefined;
      },
    });
  };
  return wait();
}

const sysNanosleep: CoreHandler = (task, args) => {
  const width = widthOf(args);
  return sleepUntil(
    task,
    task.kernel.clock.monotonicNs() + readNs(task, args.address(0), width),
    args.address(1),
    width,
  );
};

function clockNanosleep(task: GuestTask, args: SyscallArguments, width: TimeWidth): SyscallResult {
  const clock = args.i32(0);
  if (!clockExists(clock) || clock === 3) return -EINVAL;
  if (clock === 4 || clock === 5 || clock === 6) return -EOPNOTSUPP;
  const ns = readNs(task, args.address(2), width);
  if ((args.i32(1) & TIMER_ABSTIME) !== 0) return sleepUntil(task, deadlineOnClock(task, clock, ns), 0, width);
  return sleepUntil(task, task.kernel.clock.monotonicNs() + ns, args.address(3), width);
}

const sysGettimeofday: CoreHandler = (task, args) => {
  const now = task.kernel.clock.realtime();
  if (args.address(0) !== 0) {
    const time = { seconds: now.seconds, nanoseconds: Math.floor(now.nanoseconds / 1000) };
    writeTimespec(task, args.address(0), time, widthOf(args));
  }
  if (args.address(1) !== 0) task.memory.writeU64(args.address(1), 0);
  return 0;
};

const sysTime: CoreHandler = (task, args) => {
  const { seconds } = task.kernel.clock.realtime();
  if (args.address(0) !== 0) task.memory.writeWord(args.address(0), seconds, args.wordBytes);
  return seconds;
};

const sysTimes: CoreHandler = (task, args) => {
  const { process, kernel } = task;
  const ticks = (ns: number): number => Math.floor(ns / (NS_PER_SECOND / USER_HZ));
  const address = args.address(0);
  if (address !== 0) {
    const { childUsage } = process;
    [process.userNs, process.systemNs, childUsage.userNs, childUsage.systemNs].forEach((ns, index) =>
      task.memory.writeWord(address + index * args.wordBytes, ticks(ns), args.wordBytes),
    );
  }
  return ticks(kernel.clock.monotonicNs());
};

function writeItimer(task: GuestTask, address: number, which: number, width: TimeWidth): void {
  const timer = task.process.intervalTimers[which];
  const half = width === "wide" ? 16 : 8;
  writeTimeval(task, address, timer.intervalNs, width);
  writeTimeval(task, address + half, timer.remainingNs(), width);
}

const sysGetitimer: CoreHandler = (task, args) => {
  if (args.u32(0) > 2) return -EINVAL;
  writeItimer(task, args.address(1), args.u32(0), widthOf(args));
  return 0;
};

const sysSetitimer: CoreHandler = (task, args) => {
  const which = args.u32(0);
  const width = widthOf(args);
  if (which > 2) return -EINVAL;
  const half = width === "wide" ? 16 : 8;
  const next = args.address(1);
  const interval = next === 0 ? 0 : readTimeval(task, next, width);
  const value = next === 0 ? 0 : readTimeval(task, next + half, width);
  if (args.address(2) !== 0) writeItimer(task, args.address(2), which, width);
  task.process.intervalTimers[which].set(value, interval);
  return 0;
};

const sysAlarm: CoreHandler = (task, args) => {
  const timer = task.process.intervalTimers[0];
  const left = timer.remainingNs();
  timer.set(args.u32(0) * NS_PER_SECOND, 0);
  return left === 0 ? 0 : Math.max(1, Math.round(left / NS_PER_SECOND));
};

const SIGEV_SIGNAL = 0;
const SIGEV_NONE = 1;
const SIGEV_THREAD = 2;
const SIGEV_THREAD_ID = 4;
/** Timers of one process: RLIMIT_SIGPENDING bounds them in Linux. */
const MAXIMUM_TIMERS = 4096;

/** struct sigevent: value 0, signo 8 (4), notify 12 (8), thread id 16 (12). */
const sysTimerCreate: CoreHandler = (task, args) => {
  const clock = args.i32(0);
  const { process, memory } = task;
  if (!clockExists(clock)) return -EINVAL;
  if (process.posixTimers.size >= MAXIMUM_TIMERS) return -EAGAIN;
  let id = 0;
  while (process.posixTimers.has(id)) id++;
  const event = args.address(1);
  const word = args.wordBytes;
  let [signal, thread, valueLo, valueHi] = [SIGALRM, 0, id, 0];
  if (event !== 0) {
    const notify = memory.readI32(event + word + 4);
    valueLo = memory.readI32(event);
    valueHi = word === 8 ? memory.readI32(event + 4) : 0;
    signal = memory.readI32(event + word);
    if (notify === SIGEV_THREAD_ID) {
      thread = memory.readI32(event + word + 8);
      if (!process.tasks.has(thread)) return -EINVAL;
    } else if (notify === SIGEV_NONE) {
      signal = 0;
    } else if (notify !== SIGEV_SIGNAL && notify !== SIGEV_THREAD) {
      return -EINVAL;
    }
    if (notify !== SIGEV_NONE && (signal < 1 || signal > 64)) return -EINVAL;
  }
  memory.writeU32(args.address(2), id);
  process.posixTimers.set(id, new PosixTimer(process, { id, clock, signal, thread, valueLo, valueHi }));
  return 0;
};

function timerOf(task: GuestTask, args: SyscallArguments): PosixTimer | undefined {
  return task.process.posixTimers.get(args.i32(0));
}

function writeTimerSpec(task: GuestTask, address: number, timer: PosixTimer, width: TimeWidth): void {
  const half = width === "wide" ? 16 : 8;
  writeTimespec(task, address, splitNs(timer.intervalNs), width);
  writeTimespec(task, address + half, splitNs(timer.remainingNs()), width);
}

function timerSettime(task: GuestTask, args: SyscallArguments, width: TimeWidth): number {
  const timer = timerOf(task, args);
  if (timer === undefined || args.address(2) === 0) return -EINVAL;
  const half = width === "wide" ? 16 : 8;
  const interval = readNs(task, args.address(2), width);
  const value = readNs(task, args.address(2) + half, width);
  if (args.address(3) !== 0) writeTimerSpec(task, args.address(3), timer, width);
  let deadline = Infinity;
  if (value > 0) {
    const absolute = (args.i32(1) & TIMER_ABSTIME) !== 0;
    deadline = absolute ? deadlineOnClock(task, timer.request.clock, value) : task.kernel.clock.monotonicNs() + value;
  }
  timer.set(deadline, interval);
  return 0;
}

function timerGettime(task: GuestTask, args: SyscallArguments, width: TimeWidth): number {
  const timer = timerOf(task, args);
  if (timer === undefined) return -EINVAL;
  writeTimerSpec(task, args.address(1), timer, width);
  return 0;
}

const sysTimerDelete: CoreHandler = (task, args) => {
  const timer = timerOf(task, args);
  if (timer === undefined) return -EINVAL;
  timer.set(Infinity, 0);
  task.process.posixTimers.delete(args.i32(0));
  return 0;
};

const TIME_ERROR = 5;
const STA_UNSYNC = 0x40;

/** adjtimex(2) without changes: a free-running clock. x86-64: status at 40 bytes, tick at 88. */
const sysAdjtimex: CoreHandler = (task, args) => {
  const address = args.address(0);
  if (task.memory.readU32(address) !== 0) return -EPERM;
  const word = args.wordBytes;
  task.memory.writeU32(address + 5 * word, STA_UNSYNC);
  task.memory.writeWord(address + (word === 8 ? 88 : 48), 10_000, word);
  return TIME_ERROR;
};

export const timeSyscalls: readonly SyscallDefinition[] = [
  row("clock_gettime", 228, 265, (task, args) => clockGettime(task, args, widthOf(args)), "int pointer"),
  row("clock_gettime64", -1, 403, (task, args) => clockGettime(task, args, "wide"), "int pointer"),
  row("clock_getres", 229, 266, (task, args) => clockGetres(task, args, widthOf(args)), "int pointer"),
  row("clock_getres_time64", -1, 406, (task, args) => clockGetres(task, args, "wide"), "int pointer"),
  row("clock_settime", 227, 264, () => -EPERM, "int pointer", partial("the clock belongs to the host: EPERM")),
  row("clock_settime64", -1, 404, () => -EPERM, "int pointer", partial("the clock belongs to the host: EPERM")),
  row("nanosleep", 35, 162, sysNanosleep, "pointer pointer"),
  row(
    "clock_nanosleep",
    230,
    267,
    (task, args) => clockNanosleep(task, args, widthOf(args)),
    "int hex pointer pointer",
  ),
  row("clock_nanosleep_time64", -1, 407, (task, args) => clockNanosleep(task, args, "wide"), "int hex pointer pointer"),
  row("gettimeofday", 96, 78, sysGettimeofday, "pointer pointer"),
  row("settimeofday", 164, 79, () => -EPERM, "pointer pointer", partial("the clock belongs to the host: EPERM")),
  row("time", 201, 13, sysTime, "pointer"),
  row("stime", -1, 25, () => -EPERM, "pointer", partial("the clock belongs to the host: EPERM")),
  row("times", 100, 43, sysTimes, "pointer"),
  row("getitimer", 36, 105, sysGetitimer, "int pointer"),
  row("setitimer", 38, 104, sysSetitimer, "int pointer pointer"),
  row("alarm", 37, 27, sysAlarm, "unsigned"),
  row("timer_create", 222, 259, sysTimerCreate, "int pointer pointer", partial("CPU-time clocks run on wall time")),
  row("timer_settime", 223, 260, (task, args) => timerSettime(task, args, widthOf(args)), "int hex pointer pointer"),
  row("timer_settime64", -1, 409, (task, args) => timerSettime(task, args, "wide"), "int hex pointer pointer"),
  row("timer_gettime", 224, 261, (task, args) => timerGettime(task, args, widthOf(args)), "int pointer"),
  row("timer_gettime64", -1, 408, (task, args) => timerGettime(task, args, "wide"), "int pointer"),
  row("timer_getoverrun", 225, 262, (task, args) => timerOf(task, args)?.overrun ?? -EINVAL, "int"),
  row("timer_delete", 226, 263, sysTimerDelete, "int"),
  row("adjtimex", 159, 124, sysAdjtimex, "pointer", partial("reads only; the clock belongs to the host")),
  row("clock_adjtime64", -1, 405, () => -EPERM, "int pointer", partial("the clock belongs to the host: EPERM")),
  row("clock_adjtime", 305, 343, () => -EPERM, "int pointer", partial("the clock belongs to the host: EPERM")),
];
