// clone(2), clone3(2), fork(2), vfork(2): a new thread, or a new process.

import type { GuestCpu } from "../engine-port.ts";
import { RAX, RSP } from "../engine-port.ts";
import { EAGAIN, EINVAL, ENOMEM, EPERM } from "../kernel/errno.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { WaitQueue } from "../kernel/wait.ts";
import { GuestMemory } from "../memory/user-memory.ts";
import { RLIMIT_NOFILE, RLIMIT_NPROC } from "./limits.ts";
import { ProcessFile } from "./process-file.ts";
import { GuestProcess } from "./process.ts";
import { GuestTask } from "./task.ts";
import { loadTlsDescriptor } from "./tls-descriptor.ts";

export const CLONE_VM = 0x100;
export const CLONE_FS = 0x200;
export const CLONE_FILES = 0x400;
export const CLONE_SIGHAND = 0x800;
export const CLONE_PIDFD = 0x1000;
export const CLONE_VFORK = 0x4000;
export const CLONE_PARENT = 0x8000;
export const CLONE_THREAD = 0x1_0000;
export const CLONE_SETTLS = 0x8_0000;
export const CLONE_PARENT_SETTID = 0x10_0000;
export const CLONE_CHILD_CLEARTID = 0x20_0000;
export const CLONE_CHILD_SETTID = 0x100_0000;
/** Namespaces: mount, cgroup, UTS, IPC, user, pid, network. */
export const CLONE_NAMESPACES = 0x7e02_0000;
/** clone3 only: bit 32. */
export const CLONE_CLEAR_SIGHAND: number = 2 ** 32;

/** threads-max: every task costs host memory. */
const MAXIMUM_TASKS = 16_384;

export interface CloneRequest {
  /** CLONE_ bits without the signal. */
  readonly flags: number;
  readonly exitSignal: number;
  /** Stack pointer of the child, or 0 to keep the parent's. */
  readonly stackPointer: number;
  readonly parentTid: number;
  readonly childTid: number;
  readonly tls: number;
  /** Where CLONE_PIDFD stores the descriptor. */
  readonly pidfdAddress: number;
  readonly clearHandlers?: boolean;
}

export function cloneTask(task: GuestTask, request: CloneRequest): SyscallResult {
  const { flags } = request;
  const { kernel } = task;
  const has = (flag: number): boolean => (flags & flag) !== 0;
  if (has(CLONE_SIGHAND) && !has(CLONE_VM)) return -EINVAL;
  if (has(CLONE_THREAD) && !has(CLONE_SIGHAND)) return -EINVAL;
  if (has(CLONE_SIGHAND) && request.clearHandlers === true) return -EINVAL;
  if (has(CLONE_NAMESPACES)) return -EPERM;
  if (has(CLONE_THREAD) && has(CLONE_PIDFD)) return -EINVAL;
  if (request.exitSignal > 64) return -EINVAL;
  // RLIMIT_NPROC does not bind the superuser (getrlimit(2)).
  const limit = task.credentials.euid === 0 ? Infinity : task.process.limit(RLIMIT_NPROC).soft;
  if (kernel.tasks.size >= Math.min(MAXIMUM_TASKS, limit)) return -EAGAIN;
  const tid = kernel.allocateId();
  const process = has(CLONE_THREAD) ? task.process : makeProcess(task, request, tid);
  if (process === null) return -ENOMEM;
  const memory = process === task.process ? task.memory : new GuestMemory(process.space);
  const cpu: GuestCpu = process.space.engine!.createCpu(process.mode);
  cpu.copyFrom(task.cpu);
  cpu.setRegister(RAX, 0, 0);
  if (request.stackPointer !== 0) {
    cpu.setRegister(RSP, request.stackPointer | 0, Math.floor(request.stackPointer / 2 ** 32) | 0);
  }
  if (has(CLONE_FILES)) task.files.retain();
  const child = new GuestTask({
    tid,
    process,
    memory,
    cpu,
    credentials: { ...task.credentials },
    files: has(CLONE_FILES) ? task.files : task.files.clone(),
    filesystem: has(CLONE_FS) ? task.filesystem : task.filesystem.clone(),
  });
  inherit(task, child, request);
  if (has(CLONE_PARENT_SETTID)) task.memory.writeU32(request.parentTid, tid);
  if (has(CLONE_CHILD_SETTID)) child.memory.writeU32(request.childTid, tid);
  process.tasks.set(tid, child);
  kernel.tasks.set(tid, child);
  if (process !== task.process) kernel.processes.set(tid, process);
  if (has(CLONE_PIDFD)) installPidfd(task, process, request.pidfdAddress);
  kernel.scheduler.add(child);
  return has(CLONE_VFORK) ? waitForVfork(task, child, tid) : tid;
}

/** Null when guest memory has no room for another process. */
function makeProcess(task: GuestTask, request: CloneRequest, pid: number): GuestProcess | null {
  const { kernel, process: parent } = task;
  const { flags } = request;
  const space = (flags & CLONE_VM) === 0 ? parent.space.fork() : parent.space.share();
  if ((flags & CLONE_VM) === 0) {
    // Every writable page of the parent has become copy-on-write.
    parent.space.engine!.invalidateWrites();
    space.engine = parent.space.engine!.fork(space);
    if (space.engine === null) {
      space.release();
      return null;
    }
  }
  const process = new GuestProcess({
    kernel,
    pid,
    space,
    parent: (flags & CLONE_PARENT) === 0 ? parent : parent.parent,
    group: parent.group,
    limits: parent.limits.map((limit) => ({ ...limit })),
  });
  process.mode = parent.mode;
  process.executablePath = parent.executablePath;
  process.commandLine = parent.commandLine;
  process.environment = parent.environment;
  process.auxiliaryVector = parent.auxiliaryVector;
  process.exitSignal = (flags & CLONE_PARENT) === 0 ? request.exitSignal : parent.exitSignal;
  process.actions = (flags & CLONE_SIGHAND) === 0 ? parent.actions.clone() : parent.actions;
  if (request.clearHandlers === true) process.actions.resetHandlers();
  process.personality = parent.personality;
  process.noNewPrivileges = parent.noNewPrivileges;
  process.nice = parent.nice;
  process.timerSlackNs = parent.timerSlackNs;
  process.dumpable = parent.dumpable;
  return process;
}

function inherit(task: GuestTask, child: GuestTask, request: CloneRequest): void {
  const { flags } = request;
  child.name = task.name;
  child.setMask(task.savedMask ?? task.signalMask);
  if ((flags & CLONE_VM) === 0 || (flags & CLONE_VFORK) !== 0) child.alternateStack = { ...task.alternateStack };
  for (const [entry, descriptor] of task.tlsDescriptors) child.tlsDescriptors.set(entry, descriptor);
  if ((flags & CLONE_CHILD_CLEARTID) !== 0) child.clearChildTid = request.childTid;
  if ((flags & CLONE_SETTLS) === 0) return;
  if (child.process.mode === "x86-64") child.cpu.fsBase = request.tls;
  else loadTlsDescriptor(child, request.tls);
}

function installPidfd(task: GuestTask, process: GuestProcess, address: number): void {
  const limit = task.process.limit(RLIMIT_NOFILE).soft;
  task.memory.writeU32(address, task.files.install(new ProcessFile(process, 0), { closeOnExec: true, limit }));
}

/** The parent waits until the child has its own memory or is gone; only SIGKILL ends the wait early. */
function waitForVfork(task: GuestTask, child: GuestTask, tid: number): SyscallResult {
  const done = new WaitQueue();
  child.vforkDone = done;
  const wait = (): SyscallResult =>
    task.block({
      on: [done],
      interrupt: "uninterruptible",
      retry: () => (child.vforkDone === null ? tid : wait()),
    });
  return wait();
}
