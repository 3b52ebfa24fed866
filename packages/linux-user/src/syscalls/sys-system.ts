// The machine as programs see it: names, memory, randomness, limits, scheduling, and prctl(2).

import { E2BIG, EFAULT, EINVAL, EPERM, ESRCH } from "../kernel/errno.ts";
import type { SyscallArguments, SyscallDefinition } from "../kernel/syscall.ts";
import type { ResourceLimit } from "../kernel/task.ts";
import type { TimeWidth } from "./time-layout.ts";
import { NS_PER_SECOND, writeTimespec, widthOf } from "./time-layout.ts";
import { KERNEL_RELEASE, KERNEL_VERSION } from "../kernel/release.ts";
import { RLIMIT_AS, RLIMIT_COUNT, RLIMIT_DATA, RLIMIT_STACK } from "../process/limits.ts";
import type { GuestTask } from "../process/task.ts";
import type { CoreHandler } from "./row.ts";
import { partial, row } from "./row.ts";
import { writeUsage } from "./usage-layout.ts";

const UTS_FIELD_BYTES = 65;
const encoder = new TextEncoder();

/** struct utsname: six fields of 65 bytes. */
const sysUname: CoreHandler = (task, args) => {
  const fields = [
    "Linux",
    task.kernel.hostname,
    KERNEL_RELEASE,
    KERNEL_VERSION,
    (task.process.personality & 0xff) === 8 ? "i686" : "x86_64",
    task.kernel.domainname,
  ];
  const bytes = new Uint8Array(fields.length * UTS_FIELD_BYTES);
  fields.forEach((field, index) => bytes.set(encoder.encode(field).subarray(0, 64), index * UTS_FIELD_BYTES));
  task.memory.writeBytes(args.address(0), bytes);
  return 0;
};

function setName(which: "hostname" | "domainname"): CoreHandler {
  return (task, args) => {
    if (task.credentials.euid !== 0) return -EPERM;
    const length = args.i32(1);
    if (length < 0 || length > 64) return -EINVAL;
    task.kernel[which] = new TextDecoder().decode(task.memory.readBytes(args.address(0), length));
    return 0;
  };
}

/** struct sysinfo: uptime, 3 loads, 8 memory fields as longs, procs (u16), totalhigh, freehigh, mem_unit (u32). */
const sysSysinfo: CoreHandler = (task, args) => {
  const { kernel, memory } = task;
  const word = args.wordBytes;
  const { totalBytes, freeBytes, cachedBytes } = kernel.memoryTotals();
  const address = args.address(0);
  memory.fill(address, word === 8 ? 112 : 64, 0);
  const uptime = Math.floor((kernel.clock.monotonicNs() - kernel.bootNs) / NS_PER_SECOND);
  const loads = kernel.loadAverages().map((load) => Math.floor(load * 65_536));
  [uptime, ...loads, totalBytes, freeBytes, cachedBytes, 0, 0, 0].forEach((value, index) =>
    memory.writeWord(address + index * word, value, word),
  );
  memory.writeU16(address + 10 * word, kernel.tasks.size);
  memory.writeU32(address + (word === 8 ? 104 : 52), 1);
  return 0;
};

/** Random bytes of one call: getrandom may give fewer than asked beyond 256. */
const MAXIMUM_RANDOM = 1 << 20;

const sysGetrandom: CoreHandler = (task, args) => {
  if ((args.u32(2) & ~7) !== 0) return -EINVAL;
  const length = Math.min(args.address(1), MAXIMUM_RANDOM);
  const bytes = new Uint8Array(length);
  task.kernel.randomBytes(bytes);
  task.memory.writeBytes(args.address(0), bytes);
  return length;
};

/** RLIM_INFINITY in each width. */
function encodeLimit(value: number, width: "u64" | "u32" | "i32"): number {
  if (width === "u64") return value;
  const infinity = width === "u32" ? 0xffff_ffff : 0x7fff_ffff;
  return Math.min(value, infinity);
}

function writeLimit(task: GuestTask, address: number, limit: ResourceLimit, width: "u64" | "u32" | "i32"): void {
  const values = [limit.soft, limit.hard];
  values.forEach((value, index) => {
    if (width !== "u64") task.memory.writeU32(address + index * 4, encodeLimit(value, width));
    else if (value === Infinity) task.memory.writeU64Pair(address + index * 8, -1, -1);
    else task.memory.writeU64(address + index * 8, value);
  });
}

function readLimit(task: GuestTask, address: number, wide: boolean): ResourceLimit {
  const at = (index: number): number => {
    const value = wide ? task.memory.readU64(address + index * 8) : task.memory.readU32(address + index * 4);
    return value >= (wide ? Number.MAX_SAFE_INTEGER : 0xffff_ffff) ? Infinity : value;
  };
  return { soft: at(0), hard: at(1) };
}

function setLimit(task: GuestTask, target: GuestTask["process"], resource: number, next: ResourceLimit): number {
  const current = target.limit(resource);
  if (next.soft > next.hard) return -EINVAL;
  if (next.hard > current.hard && task.credentials.euid !== 0) return -EPERM;
  target.limits[resource] = next;
  if (resource === RLIMIT_AS) target.space.limits.addressSpace = next.soft;
  if (resource === RLIMIT_DATA) target.space.limits.data = next.soft;
  if (resource === RLIMIT_STACK) target.space.limits.stack = next.soft;
  return 0;
}

function getrlimit(width32: "u32" | "i32"): CoreHandler {
  return (task, args) => {
    const resource = args.u32(0);
    if (resource >= RLIMIT_COUNT) return -EINVAL;
    writeLimit(task, args.address(1), task.process.limit(resource), args.wordBytes === 8 ? "u64" : width32);
    return 0;
  };
}

const sysSetrlimit: CoreHandler = (task, args) => {
  const resource = args.u32(0);
  if (resource >= RLIMIT_COUNT) return -EINVAL;
  return setLimit(task, task.process, resource, readLimit(task, args.address(1), args.wordBytes === 8));
};

const sysPrlimit64: CoreHandler = (task, args) => {
  const pid = args.i32(0);
  const resource = args.u32(1);
  const target = pid === 0 ? task.process : task.kernel.tasks.get(pid)?.process;
  if (target === undefined) return -ESRCH;
  if (resource >= RLIMIT_COUNT) return -EINVAL;
  const owner = target.mainTask()?.credentials.ruid;
  if (target !== task.process && task.credentials.euid !== 0 && owner !== task.credentials.ruid) return -EPERM;
  const old = { ...target.limit(resource) };
  if (args.address(2) !== 0) {
    const result = setLimit(task, target, resource, readLimit(task, args.address(2), true));
    if (result < 0) return result;
  }
  if (args.address(3) !== 0) writeLimit(task, args.address(3), old, "u64");
  return 0;
};

const RUSAGE_CHILDREN = -1;
const RUSAGE_SELF = 0;
const RUSAGE_THREAD = 1;

const sysGetrusage: CoreHandler = (task, args) => {
  const { process } = task;
  const peakResidentPages = Math.max(process.peakResidentPages, process.space.peakResidentPages);
  const who = args.i32(0);
  if (who === RUSAGE_CHILDREN) writeUsage(task, args.address(1), process.childUsage, args.wordBytes);
  else if (who === RUSAGE_SELF)
    writeUsage(
      task,
      args.address(1),
      { userNs: process.userNs, systemNs: process.systemNs, peakResidentPages },
      args.wordBytes,
    );
  else if (who === RUSAGE_THREAD)
    writeUsage(
      task,
      args.address(1),
      { userNs: task.userNs, systemNs: task.systemNs, peakResidentPages },
      args.wordBytes,
    );
  else return -EINVAL;
  return 0;
};

const sysPersonality: CoreHandler = (task, args) => {
  const old = task.process.personality;
  if (args.u32(0) !== 0xffff_ffff) task.process.personality = args.u32(0);
  return old;
};

/** One guest processor: threads take turns. */
const PROCESSORS = 1;
const SCHED_RESET_ON_FORK = 0x4000_0000;

/** The init that getppid(2) names for a process without a parent. */
const OUTSIDE_PID = 1;

/** Nothing runs as the init outside; it is scheduled as everybody is. */
function targetOf(task: GuestTask, tid: number): GuestTask | undefined {
  return tid === 0 ? task : (task.kernel.tasks.get(tid) ?? (tid === OUTSIDE_PID ? task : undefined));
}

const sysSchedGetaffinity: CoreHandler = (task, args) => {
  const size = args.u32(1);
  if (targetOf(task, args.i32(0)) === undefined) return -ESRCH;
  if (size < args.wordBytes || size % args.wordBytes !== 0) return -EINVAL;
  task.memory.writeWord(args.address(2), (1 << PROCESSORS) - 1, args.wordBytes);
  return args.wordBytes;
};

const sysSchedSetaffinity: CoreHandler = (task, args) => {
  if (targetOf(task, args.i32(0)) === undefined) return -ESRCH;
  if (args.u32(1) === 0) return -EINVAL;
  return (task.memory.readU8(args.address(2)) & ((1 << PROCESSORS) - 1)) === 0 ? -EINVAL : 0;
};

/** SCHED_OTHER, BATCH and IDLE at priority 0; real-time policies need a privilege that nobody has. */
function checkPolicy(policy: number, priority: number): number {
  const plain = policy & ~SCHED_RESET_ON_FORK;
  if (plain === 0 || plain === 3 || plain === 5) return priority === 0 ? 0 : -EINVAL;
  if (plain === 1 || plain === 2) return priority >= 1 && priority <= 99 ? -EPERM : -EINVAL;
  return plain === 6 ? -EPERM : -EINVAL;
}

const sysSchedSetscheduler: CoreHandler = (task, args) =>
  targetOf(task, args.i32(0)) === undefined ? -ESRCH : checkPolicy(args.i32(1), task.memory.readI32(args.address(2)));

const sysSchedSetparam: CoreHandler = (task, args) =>
  targetOf(task, args.i32(0)) === undefined ? -ESRCH : checkPolicy(0, task.memory.readI32(args.address(1)));

const sysSchedGetparam: CoreHandler = (task, args) => {
  if (targetOf(task, args.i32(0)) === undefined) return -ESRCH;
  task.memory.writeU32(args.address(1), 0);
  return 0;
};

const sysSchedGetattr: CoreHandler = (task, args) => {
  const target = targetOf(task, args.i32(0));
  if (target === undefined) return -ESRCH;
  if (args.u32(2) < 48 || args.u32(3) !== 0) return -EINVAL;
  task.memory.fill(args.address(1), 48, 0);
  task.memory.writeU32(args.address(1), 48);
  task.memory.writeU32(args.address(1) + 16, target.process.nice);
  return 0;
};

const sysSchedSetattr: CoreHandler = (task, args) => {
  if (targetOf(task, args.i32(0)) === undefined) return -ESRCH;
  const size = task.memory.readU32(args.address(1));
  if (size !== 0 && size < 48) return -E2BIG;
  return checkPolicy(task.memory.readI32(args.address(1) + 4), task.memory.readI32(args.address(1) + 20));
};

function rrInterval(task: GuestTask, args: SyscallArguments, width: TimeWidth): number {
  if (targetOf(task, args.i32(0)) === undefined) return -ESRCH;
  writeTimespec(task, args.address(1), { seconds: 0, nanoseconds: 4_000_000 }, width);
  return 0;
}

function priorityBounds(realTime: number): CoreHandler {
  return (_task, args) => {
    const policy = args.i32(0);
    if (policy === 1 || policy === 2) return realTime;
    return policy === 0 || policy === 3 || policy === 5 || policy === 6 ? 0 : -EINVAL;
  };
}

function priorityTargets(task: GuestTask, which: number, who: number): GuestTask["process"][] {
  const all = [...task.kernel.processes.values()].filter((process) => !process.isZombie);
  if (which === 0)
    return all.filter(
      (process) => process.pid === (who === 0 ? task.process.pid : (task.kernel.tasks.get(who)?.process.pid ?? -1)),
    );
  if (which === 1) return all.filter((process) => process.group.id === (who === 0 ? task.process.group.id : who));
  const uid = who === 0 ? task.credentials.ruid : who;
  return all.filter((process) => process.mainTask()?.credentials.ruid === uid);
}

/** The call returns 20 - nice, so that errors stay negative. */
const sysGetpriority: CoreHandler = (task, args) => {
  if (args.u32(0) > 2) return -EINVAL;
  const targets = priorityTargets(task, args.i32(0), args.i32(1));
  return targets.length === 0 ? -ESRCH : Math.max(...targets.map((process) => 20 - process.nice));
};

const sysSetpriority: CoreHandler = (task, args) => {
  if (args.u32(0) > 2) return -EINVAL;
  const targets = priorityTargets(task, args.i32(0), args.i32(1));
  const nice = Math.max(-20, Math.min(19, args.i32(2)));
  if (targets.length === 0) return -ESRCH;
  for (const target of targets) {
    if (nice < target.nice && task.credentials.euid !== 0) return -EPERM;
    target.nice = nice;
  }
  return 0;
};

const sysNice: CoreHandler = (task, args) => {
  const nice = Math.max(-20, Math.min(19, task.process.nice + args.i32(0)));
  if (nice < task.process.nice && task.credentials.euid !== 0) return -EPERM;
  task.process.nice = nice;
  return 0;
};

const sysGetcpu: CoreHandler = (task, args) => {
  if (args.address(0) !== 0) task.memory.writeU32(args.address(0), 0);
  if (args.address(1) !== 0) task.memory.writeU32(args.address(1), 0);
  return 0;
};

const NAME_BYTES = 16;

function setTaskName(task: GuestTask, address: number): number {
  const bytes = task.memory.viewsUntilFault(address, NAME_BYTES, "read");
  if (bytes.length === 0) return -EFAULT;
  let name = "";
  for (const piece of bytes) name += String.fromCharCode(...piece);
  const end = name.indexOf("\0");
  task.name = name.slice(0, end < 0 ? NAME_BYTES - 1 : Math.min(end, NAME_BYTES - 1));
  return 0;
}

type PrctlHandler = (task: GuestTask, value: number, address: number) => number;

function store(read: (task: GuestTask) => number): PrctlHandler {
  return (task, _value, address) => {
    task.memory.writeU32(address, read(task));
    return 0;
  };
}

function flag(set: (task: GuestTask, value: boolean) => void): PrctlHandler {
  return (task, value) => {
    if (value !== 0 && value !== 1) return -EINVAL;
    set(task, value === 1);
    return 0;
  };
}

/** By option number (prctl(2)); what is not here is EINVAL, as in an older kernel. */
const PRCTL: ReadonlyMap<number, PrctlHandler> = new Map<number, PrctlHandler>([
  [
    1,
    (task, value) => {
      if (value < 0 || value > 64) return -EINVAL;
      task.parentDeathSignal = value;
      return 0;
    },
  ],
  [2, store((task) => task.parentDeathSignal)],
  [3, (task) => (task.process.dumpable ? 1 : 0)],
  [4, flag((task, value) => (task.process.dumpable = value))],
  [7, (task) => (task.process.keepCapabilities ? 1 : 0)],
  [8, flag((task, value) => (task.process.keepCapabilities = value))],
  [15, (task, _value, address) => setTaskName(task, address)],
  [
    16,
    (task, _value, address) => {
      const bytes = new Uint8Array(NAME_BYTES);
      bytes.set(Uint8Array.from(task.name, (unit) => unit.charCodeAt(0)).subarray(0, NAME_BYTES - 1));
      task.memory.writeBytes(address, bytes);
      return 0;
    },
  ],
  // PR_GET_SECCOMP: no filter. PR_CAPBSET_READ: nothing dropped. PR_GET_SECUREBITS: none.
  [21, () => 0],
  [23, (_task, value) => (value >= 0 && value <= 40 ? 1 : -EINVAL)],
  [24, (task) => (task.credentials.euid === 0 ? 0 : -EPERM)],
  [27, () => 0],
  [
    29,
    (task, _value, slack) => {
      task.process.timerSlackNs = slack === 0 ? 50_000 : slack;
      return 0;
    },
  ],
  [30, (task) => task.process.timerSlackNs],
  [
    36,
    (task, value) => {
      task.process.subreaper = value !== 0;
      return 0;
    },
  ],
  [37, store((task) => (task.process.subreaper ? 1 : 0))],
  [
    38,
    (task, value) => {
      if (value !== 1) return -EINVAL;
      task.process.noNewPrivileges = true;
      return 0;
    },
  ],
  [39, (task) => (task.process.noNewPrivileges ? 1 : 0)],
  // PR_SET_THP_DISABLE and its question: there are no huge pages.
  [41, () => 0],
  [42, () => 0],
]);

const sysPrctl: CoreHandler = (task, args) => PRCTL.get(args.i32(0))?.(task, args.i32(1), args.address(1)) ?? -EINVAL;

/** SECCOMP_GET_ACTION_AVAIL and the like: no filters here, so programs that can go without one do. */
const sysSeccomp: CoreHandler = () => -EINVAL;

const sysSyslog: CoreHandler = (_task, args) => {
  const type = args.i32(0);
  // SIZE_BUFFER and SIZE_UNREAD of an empty log.
  if (type === 10) return 16_384;
  return type >= 0 && type <= 9 ? (type === 2 || type === 3 || type === 4 ? 0 : type === 9 ? 0 : -EPERM) : -EINVAL;
};

export const systemSyscalls: readonly SyscallDefinition[] = [
  row("uname", 63, 122, sysUname, "pointer"),
  row("sethostname", 170, 74, setName("hostname"), "pointer size"),
  row("setdomainname", 171, 121, setName("domainname"), "pointer size"),
  row("sysinfo", 99, 116, sysSysinfo, "pointer"),
  row("getrandom", 318, 355, sysGetrandom, "pointer size hex"),
  row("getrlimit", 97, 76, getrlimit("i32"), "int pointer"),
  row("ugetrlimit", -1, 191, getrlimit("u32"), "int pointer"),
  row("setrlimit", 160, 75, sysSetrlimit, "int pointer", partial("AS, DATA, STACK, NOFILE and NPROC are enforced")),
  row(
    "prlimit64",
    302,
    340,
    sysPrlimit64,
    "int int pointer pointer",
    partial("AS, DATA, STACK, NOFILE and NPROC are enforced"),
  ),
  row("getrusage", 98, 77, sysGetrusage, "int pointer", partial("CPU times and peak memory; other counters are 0")),
  row("personality", 135, 136, sysPersonality, "hex", partial("remembered; addresses are never randomised")),
  row("sched_yield", 24, 158, (task) => {
    task.yielding = true;
    return 0;
  }),
  row("sched_getaffinity", 204, 242, sysSchedGetaffinity, "int size pointer", partial("one processor")),
  row("sched_setaffinity", 203, 241, sysSchedSetaffinity, "int size pointer", partial("one processor")),
  row(
    "sched_setscheduler",
    144,
    156,
    sysSchedSetscheduler,
    "int int pointer",
    partial("real-time policies are refused"),
  ),
  row("sched_getscheduler", 145, 157, (task, args) => (targetOf(task, args.i32(0)) === undefined ? -ESRCH : 0), "int"),
  row("sched_setparam", 142, 154, sysSchedSetparam, "int pointer"),
  row("sched_getparam", 143, 155, sysSchedGetparam, "int pointer"),
  row("sched_setattr", 314, 351, sysSchedSetattr, "int pointer hex", partial("real-time policies are refused")),
  row("sched_getattr", 315, 352, sysSchedGetattr, "int pointer size hex"),
  row("sched_get_priority_max", 146, 159, priorityBounds(99), "int"),
  row("sched_get_priority_min", 147, 160, priorityBounds(1), "int"),
  row("sched_rr_get_interval", 148, 161, (task, args) => rrInterval(task, args, widthOf(args)), "int pointer"),
  row("sched_rr_get_interval_time64", -1, 423, (task, args) => rrInterval(task, args, "wide"), "int pointer"),
  row("getpriority", 140, 96, sysGetpriority, "int int"),
  row("setpriority", 141, 97, sysSetpriority, "int int int", partial("remembered; turns do not depend on it")),
  row("nice", -1, 34, sysNice, "int", partial("remembered; turns do not depend on it")),
  row("ioprio_set", 251, 289, () => 0, "int int int", partial("accepted and ignored")),
  row("ioprio_get", 252, 290, () => 0x4004, "int int"),
  row("getcpu", 309, 318, sysGetcpu, "pointer pointer pointer"),
  row(
    "prctl",
    157,
    172,
    sysPrctl,
    "int hex hex hex hex",
    partial("names, death signals, subreaper, no_new_privs and questions; others give EINVAL"),
  ),
  row(
    "seccomp",
    317,
    354,
    sysSeccomp,
    "int hex pointer",
    partial("no filters: EINVAL, as in a kernel built without them"),
  ),
  row("syslog", 103, 103, sysSyslog, "int pointer int", partial("an empty log")),
];
