// Making, replacing, ending and awaiting processes and threads.

import { EBADF, EFAULT, EINVAL, E2BIG, EPERM, ESRCH, SyscallError } from "../kernel/errno.ts";
import { SIGCHLD } from "../kernel/signal-info.ts";
import type { SyscallArguments, SyscallDefinition } from "../kernel/syscall.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { CLONE_CLEAR_SIGHAND, CLONE_VFORK, CLONE_VM, cloneTask } from "../process/clone.ts";
import { execTask } from "../process/exec.ts";
import { exitProcess, exitTask } from "../process/exit.ts";
import type { OpenFile } from "../kernel/files.ts";
import { RLIMIT_NOFILE } from "../process/limits.ts";
import { ProcessFile, processOfFile } from "../process/process-file.ts";
import type { GuestTask } from "../process/task.ts";
import type { ChildNews, ChildSelector } from "../process/wait-child.ts";
import { waitForChild, WALL, WCLONE, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WUNTRACED } from "../process/wait-child.ts";
import type { CoreHandler } from "./row.ts";
import { row } from "./row.ts";
import { writeRusage } from "./usage-layout.ts";

/** Bytes of one argument or environment string, NUL included (MAX_ARG_STRLEN). */
const MAXIMUM_STRING = 131_072;
/** Strings of one exec: far above what the byte limit lets through. */
const MAXIMUM_STRINGS = 1_000_000;

const sysClone: CoreHandler = (task, args) => {
  const wide = args.abi === "x86-64";
  const word = args.u32(0);
  const flags = word & ~0xff;
  return cloneTask(task, {
    flags,
    exitSignal: word & 0xff,
    stackPointer: args.address(1),
    parentTid: args.address(2),
    // x86-64: stack, parent, child, tls; i386: stack, parent, tls, child (clone(2), "C library/kernel differences").
    childTid: args.address(wide ? 3 : 4),
    tls: args.address(wide ? 4 : 3),
    pidfdAddress: args.address(2),
  });
};

const FORK = { exitSignal: SIGCHLD, stackPointer: 0, parentTid: 0, childTid: 0, tls: 0, pidfdAddress: 0 };
const CLONE_INTO_CGROUP = 2 ** 33;

/** struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, … */
const sysClone3: CoreHandler = (task, args) => {
  const address = args.address(0);
  const size = args.address(1);
  if (size < 64) return -EINVAL;
  if (size > 4096) return -E2BIG;
  const at = (index: number): number => (index * 8 < size ? task.memory.readU64(address + index * 8) : 0);
  const flags = at(0);
  if (flags >= CLONE_INTO_CGROUP || at(8) !== 0 || at(9) !== 0) return -EINVAL;
  const low = flags % CLONE_CLEAR_SIGHAND;
  if ((low & 0xff) !== 0 || at(4) > 64) return -EINVAL;
  const stack = at(5);
  const stackSize = at(6);
  if ((stack === 0) !== (stackSize === 0)) return -EINVAL;
  return cloneTask(task, {
    flags: low | 0,
    exitSignal: at(4),
    stackPointer: stack === 0 ? 0 : stack + stackSize,
    parentTid: at(3),
    childTid: at(2),
    tls: at(7),
    pidfdAddress: at(1),
    clearHandlers: flags >= CLONE_CLEAR_SIGHAND,
  });
};

function readStrings(task: GuestTask, address: number, wordBytes: 8 | 4): Uint8Array[] {
  const strings: Uint8Array[] = [];
  if (address === 0) return strings;
  for (let index = 0; index < MAXIMUM_STRINGS; index++) {
    const pointer = task.memory.readWord(address + index * wordBytes, wordBytes);
    if (pointer === 0) return strings;
    try {
      strings.push(task.memory.readCStringBytes(pointer, MAXIMUM_STRING));
    } catch (error) {
      if (error instanceof SyscallError && error.errno !== EFAULT) throw new SyscallError(E2BIG);
      throw error;
    }
  }
  throw new SyscallError(E2BIG);
}

function exec(task: GuestTask, args: SyscallArguments, directory: number, first: number, flags: number): SyscallResult {
  const path = task.memory.readCString(args.address(first));
  const commandLine = readStrings(task, args.address(first + 1), args.wordBytes);
  const environment = readStrings(task, args.address(first + 2), args.wordBytes);
  const failure = execTask(task, { directory, path, flags, commandLine, environment });
  return failure === null ? 0 : -failure.errno;
}

const sysExecve: CoreHandler = (task, args) => exec(task, args, -100, 0, 0);
const sysExecveat: CoreHandler = (task, args) => exec(task, args, args.i32(0), 1, args.i32(4));

function selectorOf(pid: number, task: GuestTask): ChildSelector {
  if (pid === -1) return { kind: "any" };
  if (pid === 0) return { kind: "group", id: task.process.group.id };
  return pid < 0 ? { kind: "group", id: -pid } : { kind: "process", id: pid };
}

function wait4(task: GuestTask, args: SyscallArguments, rusage: number): SyscallResult {
  const pid = args.i32(0);
  const statusAddress = args.address(1);
  const options = args.u32(2);
  if ((options & ~(WNOHANG | WUNTRACED | WCONTINUED | 0x2000_0000 | WALL | WCLONE)) !== 0) return -EINVAL;
  if (pid === -2147483648) return -ESRCH;
  const report = ({ child, waitStatus }: ChildNews): number => {
    if (statusAddress !== 0) task.memory.writeU32(statusAddress, waitStatus);
    if (rusage !== 0) writeRusage(task, rusage, child, args.wordBytes);
    return child.pid;
  };
  return waitForChild(task, selectorOf(pid, task), options | WEXITED, report, () => 0);
}

const P_ALL = 0;
const P_PID = 1;
const P_PGID = 2;
const P_PIDFD = 3;

const sysWaitid: CoreHandler = (task, args) => {
  const type = args.i32(0);
  const id = args.i32(1);
  const infoAddress = args.address(2);
  const options = args.u32(3);
  const rusage = args.address(4);
  const known = WNOHANG | WUNTRACED | WEXITED | WCONTINUED | WNOWAIT | 0x2000_0000 | WALL | WCLONE;
  if ((options & ~known) !== 0 || (options & (WUNTRACED | WEXITED | WCONTINUED)) === 0) return -EINVAL;
  let selector: ChildSelector = { kind: "any" };
  if (type === P_PID) {
    if (id <= 0) return -EINVAL;
    selector = { kind: "process", id };
  } else if (type === P_PGID) {
    if (id < 0) return -EINVAL;
    selector = { kind: "group", id: id === 0 ? task.process.group.id : id };
  } else if (type === P_PIDFD) {
    const file = task.files.get(id);
    if (file === undefined) return -EBADF;
    const process = processOfFile(task, file);
    if (process === null) return -EBADF;
    selector = { kind: "process", id: process.pid };
  } else if (type !== P_ALL) {
    return -EINVAL;
  }
  const store = (fields: readonly number[]): void => {
    if (infoAddress === 0) return;
    // signo, errno, code, then the union at 16 (x86-64) or 12 (i386): pid, uid, status.
    const union = args.wordBytes === 8 ? 16 : 12;
    const [signo, code, pid, uid, status] = fields;
    task.memory.writeU32(infoAddress, signo);
    task.memory.writeU32(infoAddress + 4, 0);
    task.memory.writeU32(infoAddress + 8, code);
    task.memory.writeU32(infoAddress + union, pid);
    task.memory.writeU32(infoAddress + union + 4, uid);
    task.memory.writeU32(infoAddress + union + 8, status);
  };
  return waitForChild(
    task,
    selector,
    options,
    ({ child, code, status }) => {
      store([SIGCHLD, code, child.pid, child.mainTask()?.credentials.ruid ?? child.lastUid, status]);
      if (rusage !== 0) writeRusage(task, rusage, child, args.wordBytes);
      return 0;
    },
    () => {
      store([0, 0, 0, 0, 0]);
      return 0;
    },
  );
};

const sysExit: CoreHandler = (task, args) => {
  exitTask(task, (args.i32(0) & 0xff) << 8);
  return 0;
};

const sysExitGroup: CoreHandler = (task, args) => {
  exitProcess(task.process, (args.i32(0) & 0xff) << 8);
  return 0;
};

const PIDFD_NONBLOCK = 0o4000;

function installFile(task: GuestTask, file: OpenFile): number {
  const fd = task.files.install(file, { closeOnExec: true, limit: task.process.limit(RLIMIT_NOFILE).soft });
  if (fd < 0) file.release();
  return fd;
}

const sysPidfdOpen: CoreHandler = (task, args) => {
  const pid = args.i32(0);
  if (pid <= 0 || (args.u32(1) & ~PIDFD_NONBLOCK) !== 0) return -EINVAL;
  const process = task.kernel.processes.get(pid);
  if (process === undefined) return task.kernel.tasks.has(pid) ? -EINVAL : -ESRCH;
  return installFile(task, new ProcessFile(process, args.u32(1)));
};

/** pidfd_getfd(2): the other process's descriptor, as SCM_RIGHTS would pass it. */
const sysPidfdGetfd: CoreHandler = (task, args) => {
  const named = task.files.get(args.i32(0));
  const process = named === undefined ? null : processOfFile(task, named);
  if (process === null) return -EBADF;
  if (args.u32(2) !== 0) return -EINVAL;
  const owner = process.mainTask();
  if (owner === undefined) return -ESRCH;
  if (task.credentials.euid !== 0 && owner.credentials.ruid !== task.credentials.euid) return -EPERM;
  const file = owner.files.get(args.i32(1));
  if (file === undefined) return -EBADF;
  file.retain();
  return installFile(task, file);
};

export const processSyscalls: readonly SyscallDefinition[] = [
  row("clone", 56, 120, sysClone, "hex pointer pointer pointer pointer", {
    honesty: { partial: "no new namespaces (EPERM)" },
  }),
  row("clone3", 435, 435, sysClone3, "pointer size", {
    honesty: { partial: "no new namespaces (EPERM), no cgroups, no chosen ids" },
  }),
  row("fork", 57, 2, (task) => cloneTask(task, { ...FORK, flags: 0 })),
  row("vfork", 58, 190, (task) => cloneTask(task, { ...FORK, flags: CLONE_VM | CLONE_VFORK })),
  row("execve", 59, 11, sysExecve, "string pointer pointer"),
  row("execveat", 322, 358, sysExecveat, "fd string pointer pointer hex"),
  row("exit", 60, 1, sysExit, "int"),
  row("exit_group", 231, 252, sysExitGroup, "int"),
  row("wait4", 61, 114, (task, args) => wait4(task, args, args.address(3)), "int pointer hex pointer"),
  row("waitpid", -1, 7, (task, args) => wait4(task, args, 0), "int pointer hex"),
  row("waitid", 247, 284, sysWaitid, "int int pointer hex pointer"),
  row("pidfd_open", 434, 434, sysPidfdOpen, "int hex"),
  row("pidfd_getfd", 438, 438, sysPidfdGetfd, "fd fd hex"),
];
