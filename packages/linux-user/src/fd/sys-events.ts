/** eventfd, timerfd, signalfd, memfd_create, inotify. */
import { EBADF, EFAULT, EINVAL, ENOSYS, SyscallError } from "../kernel/errno.ts";
import { SIGKILL, SIGSTOP, SignalSet } from "../kernel/signal-info.ts";
import type { SyscallArguments, SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import { toText } from "../vfs/byte-string.ts";
import { O_CLOEXEC, O_NONBLOCK, failed } from "../vfs/constants.ts";
import { fileOf, filesOf, guestOf, pathAt } from "../vfs/handler-tools.ts";
import { installFile } from "../vfs/sys-open.ts";
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
  EventFile,
  SignalFile,
  TimerFile,
  type TimerSetting,
} from "./event-files.ts";
import { MFD_ALLOW_SEALING, MFD_CLOEXEC } from "./memory-file.ts";

const EFD_SEMAPHORE = 1;

function eventfd(task: Task, initial: number, flags: number): number {
  if ((flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK)) !== 0) return -EINVAL;
  const file = new EventFile(initial, (flags & EFD_SEMAPHORE) !== 0, flags & O_NONBLOCK);
  return installFile(task, file, (flags & O_CLOEXEC) !== 0);
}

const sysEventfd: SyscallHandler = (task, args) => eventfd(task, args.u32(0), 0);
const sysEventfd2: SyscallHandler = (task, args) => eventfd(task, args.u32(0), args.i32(1));

const CLOCKS: readonly number[] = [
  CLOCK_REALTIME,
  CLOCK_MONOTONIC,
  CLOCK_BOOTTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_BOOTTIME_ALARM,
];
const TFD_TIMER_ABSTIME = 1;
const TFD_TIMER_CANCEL_ON_SET = 2;

const sysTimerfdCreate: SyscallHandler = (task, args) => {
  const flags = args.i32(1);
  if (!CLOCKS.includes(args.i32(0)) || (flags & ~(O_CLOEXEC | O_NONBLOCK)) !== 0) return -EINVAL;
  return installFile(task, new TimerFile(task.kernel, args.i32(0), flags & O_NONBLOCK), (flags & O_CLOEXEC) !== 0);
};

function timerOf(task: Task, fd: number): TimerFile {
  const file = fileOf(task, fd);
  if (!(file instanceof TimerFile)) throw new SyscallError(EINVAL);
  return file;
}

type WordBytes = 8 | 4;

function readTimespec(task: Task, at: number, wordBytes: WordBytes): number {
  const seconds = wordBytes === 8 ? task.memory.readI64(at) : task.memory.readI32(at);
  const nanoseconds = task.memory.readI32(at + wordBytes);
  if (seconds < 0 || nanoseconds < 0 || nanoseconds > 999_999_999) throw new SyscallError(EINVAL);
  return seconds * 1e9 + nanoseconds;
}

/** struct itimerspec: interval, value. */
function writeSetting(task: Task, at: number, setting: TimerSetting, wordBytes: WordBytes): void {
  const values = [setting.intervalNs, setting.valueNs];
  for (const [index, valueNs] of values.entries()) {
    const base = at + index * 2 * wordBytes;
    task.memory.writeWord(base, Math.floor(valueNs / 1e9), wordBytes);
    task.memory.writeWord(base + wordBytes, Math.floor(valueNs % 1e9), wordBytes);
  }
}

function timerfdSettime(wordBytes: WordBytes): SyscallHandler {
  return (task, args) => {
    const timer = timerOf(task, args.i32(0));
    const flags = args.i32(1);
    if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0) return -EINVAL;
    const at = args.address(2);
    if (at === 0) return -EFAULT;
    const setting = {
      intervalNs: readTimespec(task, at, wordBytes),
      valueNs: readTimespec(task, at + 2 * wordBytes, wordBytes),
    };
    if (args.address(3) !== 0) writeSetting(task, args.address(3), timer.setting(), wordBytes);
    timer.set(setting, (flags & TFD_TIMER_ABSTIME) !== 0);
    return 0;
  };
}

function timerfdGettime(wordBytes: WordBytes): SyscallHandler {
  return (task, args) => {
    writeSetting(task, args.address(1), timerOf(task, args.i32(0)).setting(), wordBytes);
    return 0;
  };
}

function signalfd(task: Task, args: SyscallArguments, flags: number): number {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK)) !== 0 || args.address(2) !== 8) return -EINVAL;
  const at = args.address(1);
  const set = new SignalSet(task.memory.readU32(at), task.memory.readU32(at + 4));
  set.delete(SIGKILL);
  set.delete(SIGSTOP);
  const fd = args.i32(0);
  if (fd === -1) return installFile(task, new SignalFile(set, flags & O_NONBLOCK), (flags & O_CLOEXEC) !== 0);
  const file = filesOf(task).get(fd);
  if (file === undefined) return -EBADF;
  if (!(file instanceof SignalFile)) return -EINVAL;
  file.set = set;
  file.queue.wakeAll();
  return fd;
}

const sysSignalfd: SyscallHandler = (task, args) => signalfd(task, args, 0);
const sysSignalfd4: SyscallHandler = (task, args) => signalfd(task, args, args.i32(3));

const MFD_HUGETLB = 4;

const sysMemfdCreate: SyscallHandler = (task, args) => {
  const flags = args.u32(1);
  if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x18)) !== 0 || (flags & MFD_HUGETLB) !== 0) return -EINVAL;
  const name = toText(pathAt(task, args.address(0)));
  if (name.length > 249) return -EINVAL;
  const file = guestOf(task).createMemoryFile(task, name, flags);
  return failed(file) ? file : installFile(task, file, (flags & MFD_CLOEXEC) !== 0);
};

const absent: SyscallHandler = () => -ENOSYS;
const noInotify = { absent: "nothing watches host directories; programs fall back to polling" };
const timer = ["fd", "hex", "pointer", "pointer"] as const;

export const eventSyscalls: readonly SyscallDefinition[] = [
  { name: "eventfd", x64: 284, i386: 323, honesty: "supported", handler: sysEventfd, arguments: ["unsigned"] },
  { name: "eventfd2", x64: 290, i386: 328, honesty: "supported", handler: sysEventfd2, arguments: ["unsigned", "hex"] },
  {
    name: "timerfd_create",
    x64: 283,
    i386: 322,
    honesty: { partial: "TFD_TIMER_CANCEL_ON_SET never cancels" },
    handler: sysTimerfdCreate,
    arguments: ["int", "hex"],
  },
  {
    name: "timerfd_settime",
    x64: 286,
    i386: 325,
    honesty: "supported",
    handler: timerfdSettime(8),
    handler32: timerfdSettime(4),
    arguments: timer,
  },
  {
    name: "timerfd_gettime",
    x64: 287,
    i386: 326,
    honesty: "supported",
    handler: timerfdGettime(8),
    handler32: timerfdGettime(4),
    arguments: ["fd", "pointer"],
  },
  { name: "timerfd_settime64", x64: -1, i386: 411, honesty: "supported", handler: timerfdSettime(8), arguments: timer },
  {
    name: "timerfd_gettime64",
    x64: -1,
    i386: 410,
    honesty: "supported",
    handler: timerfdGettime(8),
    arguments: ["fd", "pointer"],
  },
  {
    name: "signalfd",
    x64: 282,
    i386: 321,
    honesty: "supported",
    handler: sysSignalfd,
    arguments: ["fd", "pointer", "size"],
  },
  {
    name: "signalfd4",
    x64: 289,
    i386: 327,
    honesty: "supported",
    handler: sysSignalfd4,
    arguments: ["fd", "pointer", "size", "hex"],
  },
  {
    name: "memfd_create",
    x64: 319,
    i386: 356,
    honesty: { partial: "no huge pages; write seals do not look at mappings" },
    handler: sysMemfdCreate,
    arguments: ["string", "hex"],
  },
  { name: "inotify_init", x64: 253, i386: 291, honesty: noInotify, handler: absent },
  { name: "inotify_init1", x64: 294, i386: 332, honesty: noInotify, handler: absent, arguments: ["hex"] },
  {
    name: "inotify_add_watch",
    x64: 254,
    i386: 292,
    honesty: noInotify,
    handler: absent,
    arguments: ["fd", "string", "hex"],
  },
  { name: "inotify_rm_watch", x64: 255, i386: 293, honesty: noInotify, handler: absent, arguments: ["fd", "int"] },
];
