// Threads: identity, thread-local storage, futexes.

import { EINVAL, ENOSYS, EPERM, ESRCH } from "../kernel/errno.ts";
import type { SyscallArguments, SyscallDefinition } from "../kernel/syscall.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { BITSET_ANY } from "../process/futex.ts";
import type { GuestTask } from "../process/task.ts";
import { getThreadArea, setThreadArea } from "../process/tls-descriptor.ts";
import type { CoreHandler } from "./row.ts";
import { absent, partial, row } from "./row.ts";
import type { TimeWidth } from "./time-layout.ts";
import { CLOCK_MONOTONIC, CLOCK_REALTIME, deadlineOnClock, readNs, widthOf } from "./time-layout.ts";

const FUTEX_CLOCK_REALTIME = 256;
const FUTEX_COMMAND_MASK = 127;

function futex(task: GuestTask, args: SyscallArguments, width: TimeWidth): SyscallResult {
  const { futexes } = task.kernel;
  const address = args.address(0);
  const operation = args.i32(1);
  const command = operation & FUTEX_COMMAND_MASK;
  const value = args.i32(2);
  const timeout = args.address(3);
  const clock = (operation & FUTEX_CLOCK_REALTIME) === 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
  const absolute = (on: number): number =>
    timeout === 0 ? Infinity : deadlineOnClock(task, on, readNs(task, timeout, width));
  switch (command) {
    case 0: {
      const deadline = timeout === 0 ? Infinity : task.kernel.clock.monotonicNs() + readNs(task, timeout, width);
      return futexes.wait(task, address, value, BITSET_ANY, deadline);
    }
    case 1:
      return futexes.wakeAt(task, address, value);
    case 3:
      return futexes.requeue(task, address, args.address(4), value, args.i32(3), null);
    case 4:
      return futexes.requeue(task, address, args.address(4), value, args.i32(3), args.i32(5));
    case 5:
      return futexes.wakeOperation(task, address, value, args.i32(3), args.address(4), args.i32(5));
    case 6:
      // Its timeout is always on the wall clock.
      return futexes.lock(task, address, absolute(CLOCK_REALTIME), false);
    case 7:
      return futexes.unlock(task, address);
    case 8:
      return futexes.lock(task, address, Infinity, true);
    case 9:
      return futexes.wait(task, address, value, args.i32(5), absolute(clock));
    case 10:
      return args.i32(5) === 0 ? -EINVAL : futexes.wakeAt(task, address, value, args.i32(5));
    case 13:
      return futexes.lock(task, address, absolute(clock), false);
    default:
      return -ENOSYS;
  }
}

const ARCH_SET_GS = 0x1001;
const ARCH_SET_FS = 0x1002;
const ARCH_GET_FS = 0x1003;
const ARCH_GET_GS = 0x1004;
const ARCH_GET_CPUID = 0x1011;
const ARCH_SET_CPUID = 0x1012;
const ADDRESS_LIMIT = 0x7fff_ffff_f000;

const sysArchPrctl: CoreHandler = (task, args) => {
  const address = args.address(1);
  switch (args.i32(0)) {
    case ARCH_SET_FS:
      if (address >= ADDRESS_LIMIT) return -EPERM;
      task.cpu.fsBase = address;
      return 0;
    case ARCH_SET_GS:
      if (address >= ADDRESS_LIMIT) return -EPERM;
      task.cpu.gsBase = address;
      return 0;
    case ARCH_GET_FS:
      task.memory.writeU64(address, task.cpu.fsBase);
      return 0;
    case ARCH_GET_GS:
      task.memory.writeU64(address, task.cpu.gsBase);
      return 0;
    case ARCH_GET_CPUID:
      return 1;
    case ARCH_SET_CPUID:
      return address === 1 ? 0 : -ENOSYS;
    default:
      return -EINVAL;
  }
};

const sysSetTidAddress: CoreHandler = (task, args) => {
  task.clearChildTid = args.address(0);
  return task.tid;
};

const sysSetRobustList: CoreHandler = (task, args) => {
  const bytes = args.address(1);
  if (bytes !== 3 * args.wordBytes) return -EINVAL;
  task.robustList = args.address(0);
  task.robustListBytes = bytes;
  return 0;
};

const sysGetRobustList: CoreHandler = (task, args) => {
  const tid = args.i32(0);
  const target = tid === 0 ? task : task.kernel.tasks.get(tid);
  if (target === undefined) return -ESRCH;
  task.memory.writeWord(args.address(1), target.robustList, args.wordBytes);
  task.memory.writeWord(args.address(2), 3 * args.wordBytes, args.wordBytes);
  return 0;
};

/** modify_ldt(2): reading an empty table is all that works. */
const sysModifyLdt: CoreHandler = (_task, args) => (args.i32(0) === 0 || args.i32(0) === 2 ? 0 : -ENOSYS);

export const threadSyscalls: readonly SyscallDefinition[] = [
  row("gettid", 186, 224, (task) => task.tid),
  row("set_tid_address", 218, 258, sysSetTidAddress, "pointer"),
  row(
    "futex",
    202,
    240,
    (task, args) => futex(task, args, widthOf(args)),
    "pointer hex int pointer pointer int",
    partial("priority inheritance hands locks over in order but raises nobody's priority; no FUTEX_WAIT_REQUEUE_PI"),
  ),
  row("futex_time64", -1, 422, (task, args) => futex(task, args, "wide"), "pointer hex int pointer pointer int"),
  absent("futex_waitv", 449, 449, "waiting for several futexes"),
  row("set_robust_list", 273, 311, sysSetRobustList, "pointer size"),
  row("get_robust_list", 274, 312, sysGetRobustList, "int pointer pointer"),
  row("arch_prctl", 158, 384, sysArchPrctl, "hex pointer"),
  row(
    "set_thread_area",
    205,
    243,
    (task, args) => (args.abi === "i386" ? setThreadArea(task, args.address(0)) : -ENOSYS),
    "pointer",
  ),
  row(
    "get_thread_area",
    211,
    244,
    (task, args) => (args.abi === "i386" ? getThreadArea(task, args.address(0)) : -ENOSYS),
    "pointer",
  ),
  row("modify_ldt", 154, 123, sysModifyLdt, "int pointer size", partial("an empty table that cannot be changed")),
  absent("rseq", 334, 386, "no restartable sequences: libraries use their fallback"),
  absent("kcmp", 312, 349, "comparing kernel objects", EPERM),
];
