// The kernel: its tables, and the loop that runs a thread until it needs something.
//
//   scheduler ── runTask ──> engine.run ── exit ──> system call, fault or end of budget
//                               ^                        |
//                               └── signals delivered ───┘

import type { EngineExit, ExecutionEngine } from "../engine-port.ts";
import { PAGE_BYTES, RAX } from "../engine-port.ts";
import { EFAULT, EINTR, ENOSYS, SyscallError } from "../kernel/errno.ts";
import type { FilesystemPort } from "../kernel/files.ts";
import { SIGKILL } from "../kernel/signal-info.ts";
import type { SyscallAbi } from "../kernel/syscall.ts";
import type { Clock, Kernel, KernelTimer } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { PageCache } from "../memory/page-cache.ts";
import { PageFrames } from "../memory/page-frames.ts";
import { deliverSignals } from "../signals/deliver.ts";
import { SyscallTable } from "../syscalls/table.ts";
import type { SyscallDefinition } from "../kernel/syscall.ts";
import { raiseFault } from "./fault.ts";
import { FutexTable } from "./futex.ts";
import { GroupTable } from "./groups.ts";
import type { KernelObserver } from "./observer.ts";
import type { GuestProcess } from "./process.ts";
import type { HostLoop } from "./scheduler.ts";
import { Scheduler } from "./scheduler.ts";
import type { JobGroup, ProcessSession } from "./session.ts";
import type { GuestTask } from "./task.ts";
import { TimerQueue } from "./timer-queue.ts";

export interface KernelOptions {
  readonly engine: ExecutionEngine;
  readonly filesystem: FilesystemPort;
  readonly clock: Clock;
  readonly host: HostLoop;
  readonly randomBytes: (into: Uint8Array) => void;
  readonly syscalls: readonly SyscallDefinition[];
  readonly hostname?: string;
  /** Pid of the first process; default 2, so that nobody is pid 1 by mistake. */
  readonly firstPid?: number;
  readonly observer?: KernelObserver;
  /** Engine budget of one turn; see `EngineExit.spent`. */
  readonly budget?: number;
}

const DEFAULT_BUDGET = 2_000_000;
/** System calls of one turn: a program that makes nothing but calls must give way too. */
const CALLS_PER_TURN = 1_000;
/** Calls after which the frames under the call are not gone back to, and the context itself may be gone. */
const STACK_CHANGING: ReadonlySet<string> = new Set([
  "execve",
  "execveat",
  "exit",
  "exit_group",
  "rt_sigreturn",
  "sigreturn",
]);
/** kernel.pid_max of small systems; ids are reused after it. */
const PID_LIMIT = 4_194_304;

export class LinuxKernel implements Kernel {
  readonly engine: ExecutionEngine;
  readonly filesystem: FilesystemPort;
  readonly clock: Clock;
  readonly frames: PageFrames;
  readonly pageCache: PageCache;
  readonly scheduler: Scheduler;
  readonly syscalls: SyscallTable;
  readonly futexes: FutexTable = new FutexTable();
  readonly groups: GroupTable = new GroupTable();
  readonly processes: Map<number, GuestProcess> = new Map();
  readonly tasks: Map<number, GuestTask> = new Map();
  readonly timers: TimerQueue = new TimerQueue();
  readonly bootNs: number;
  hostname: string;
  domainname = "(none)";
  observer: KernelObserver | undefined;
  readonly #randomBytes: (into: Uint8Array) => void;
  readonly #budget: number;
  #nextId: number;

  constructor(options: KernelOptions) {
    this.engine = options.engine;
    this.filesystem = options.filesystem;
    this.clock = options.clock;
    this.hostname = options.hostname ?? "doppel";
    this.observer = options.observer;
    this.frames = new PageFrames(options.engine.memory);
    this.pageCache = new PageCache(this.frames);
    this.syscalls = new SyscallTable(options.syscalls);
    this.#randomBytes = options.randomBytes;
    this.#budget = options.budget ?? DEFAULT_BUDGET;
    this.#nextId = options.firstPid ?? 2;
    this.bootNs = options.clock.monotonicNs();
    this.scheduler = new Scheduler({
      host: options.host,
      monotonicNs: () => this.clock.monotonicNs(),
      runTimers: (now) => this.timers.run(now),
      nextTimerNs: () => this.timers.nextDeadlineNs(),
      runTask: (task) => this.#turn(task),
      finished: () => this.tasks.size === 0,
    });
  }

  /** Runs all processes until none is left. */
  run(): Promise<void> {
    return this.scheduler.run();
  }

  allocateId(): number {
    for (;;) {
      const id = this.#nextId;
      this.#nextId = id + 1 >= PID_LIMIT ? 300 : id + 1;
      if (!this.tasks.has(id) && !this.processes.has(id) && !this.groups.groups.has(id)) return id;
    }
  }

  findGroup(id: number): JobGroup | undefined {
    return this.groups.groups.get(id);
  }

  findSession(id: number): ProcessSession | undefined {
    return this.groups.sessions.get(id);
  }

  randomBytes(into: Uint8Array): void {
    this.#randomBytes(into);
  }

  setTimer(deadlineNs: number, callback: () => void): KernelTimer {
    const timer = this.timers.set(deadlineNs, callback);
    // A sleeping loop may have to wake earlier than it thought.
    this.scheduler.nudge();
    return timer;
  }

  memoryTotals(): { readonly totalBytes: number; readonly freeBytes: number; readonly cachedBytes: number } {
    const { memory } = this.frames;
    return {
      totalBytes: memory.totalPages * PAGE_BYTES,
      freeBytes: memory.freePages * PAGE_BYTES,
      cachedBytes: this.pageCache.cachedPages() * PAGE_BYTES,
    };
  }

  loadAverages(): readonly [number, number, number] {
    const load = this.scheduler.runnableCount;
    return [load, load, load];
  }

  /** The last trace of a zombie. */
  reap(process: GuestProcess): void {
    this.processes.delete(process.pid);
    process.parent?.children.delete(process);
    this.groups.leave(process);
    process.stateChanged.wakeAll();
    this.scheduler.nudge();
  }

  #turn(task: GuestTask): boolean {
    this.observer?.turn?.(task);
    const more = this.#runTask(task);
    this.observer?.turn?.(null);
    return more;
  }

  /** One turn of a task; true when it wants another. */
  #runTask(task: GuestTask): boolean {
    if (task.state === "exited") return false;
    task.state = "running";
    const { process } = task;
    if (process.stopped) {
      task.state = "stopped";
      return false;
    }
    if (task.waiting !== null && !this.#resumeCall(task)) return false;
    let budget = this.#budget;
    for (let calls = 0; budget > 0 && calls < CALLS_PER_TURN;) {
      if (!this.#settle(task)) return false;
      const context = task.memory.space.engine!;
      let goesOn = true;
      context.serve = (reason) => {
        const abi = reason === "syscall64" ? "x86-64" : "i386";
        if (STACK_CHANGING.has(this.syscalls.find(abi, task.cpu.getLo(RAX))?.name ?? "")) return "unserved";
        const before = task.cpu.rip;
        calls++;
        goesOn = this.#call(task, abi);
        const straight = goesOn && task.cpu.rip === before && task.memory.space.engine === context;
        if (!straight || calls >= CALLS_PER_TURN || process.stopped || task.yielding) return "leave";
        return task.hasDeliverableSignal() || task.savedMask !== null ? "leave" : "continue";
      };
      const startNs = this.clock.monotonicNs() - task.systemNs;
      const exit = context.run(task.cpu, budget);
      context.serve = null;
      // Without the calls that were served in between.
      task.userNs += this.clock.monotonicNs() - task.systemNs - startNs;
      budget -= Math.max(1, exit.spent);
      if (exit.reason === "syscall64" || exit.reason === "syscall32") calls++;
      if (exit.reason === "served" ? !goesOn : !this.#handleExit(task, exit)) return false;
      if (exit.reason === "budget" || task.yielding) break;
    }
    task.yielding = false;
    for (const timer of process.intervalTimers) if (timer.armed) timer.check();
    return this.#settle(task);
  }

  /** Delivers signals; false when the task does not go on now. */
  #settle(task: GuestTask): boolean {
    if (task.hasDeliverableSignal() && deliverSignals(task) === "exited") return false;
    if (task.savedMask !== null) {
      task.setMask(task.savedMask);
      task.savedMask = null;
    }
    if (!task.process.stopped) return true;
    task.state = "stopped";
    return false;
  }

  #handleExit(task: GuestTask, exit: EngineExit): boolean {
    switch (exit.reason) {
      case "budget":
        return true;
      case "syscall64":
        return this.#call(task, "x86-64");
      case "syscall32":
        return this.#call(task, "i386");
      default:
        raiseFault(task, exit);
        return !isGone(task);
    }
  }

  /** Makes a system call; false when the task sleeps or is gone. */
  #call(task: GuestTask, abi: SyscallAbi): boolean {
    const number = task.cpu.getLo(RAX);
    const definition = this.syscalls.find(abi, number);
    const name = definition?.name ?? `syscall_${number}`;
    this.syscalls.count(name);
    const args = task.argumentsFor(abi);
    task.call = { number, name, args };
    this.observer?.syscallEnter?.(task, definition, number, args);
    const startNs = this.clock.monotonicNs();
    const handler = abi === "i386" ? (definition?.handler32 ?? definition?.handler) : definition?.handler;
    const result = handler === undefined ? -ENOSYS : this.#attempt(() => handler(task, args));
    task.systemNs += this.clock.monotonicNs() - startNs;
    return this.#conclude(task, result);
  }

  #attempt(action: () => SyscallResult): SyscallResult {
    try {
      return action();
    } catch (error) {
      if (error instanceof SyscallError) return -error.errno;
      // A view beyond the guest's memory: a handler trusted a length. The guest gets EFAULT, we get a bug to fix.
      if (error instanceof RangeError && !isBug(error)) return -EFAULT;
      throw error;
    }
  }

  /** A result, or a sleep; false when the task does not go on. */
  #conclude(task: GuestTask, result: SyscallResult): boolean {
    if (isGone(task)) return false;
    if (typeof result === "number") {
      this.finishCall(task, result);
      return true;
    }
    const policy = result.request.interrupt ?? "restart";
    task.waiting = result;
    const interruptible = policy !== "uninterruptible" || task.pendingSignals().has(SIGKILL);
    if (interruptible && task.hasDeliverableSignal()) {
      const delivery = deliverSignals(task);
      if (delivery === "exited") return false;
      if (delivery === "stopped") {
        task.state = "stopped";
        return false;
      }
      // A handler gave the call up; signals without one leave it waiting.
      if (task.waiting === null) return true;
    }
    task.park(result);
    return false;
  }

  /** Goes on with a call whose wait ended. */
  #resumeCall(task: GuestTask): boolean {
    const blocked = task.waiting!;
    const reason = task.wakeReason === "timeout" ? "timeout" : "woken";
    task.wakeReason = "woken";
    const startNs = this.clock.monotonicNs();
    const result = this.#attempt(() => blocked.request.retry(reason));
    task.systemNs += this.clock.monotonicNs() - startNs;
    if (isGone(task)) return false;
    if (typeof result === "number") task.waiting = null;
    return this.#conclude(task, result);
  }

  /** Gives the call its result. */
  finishCall(task: GuestTask, result: number): void {
    task.waiting = null;
    const call = task.call;
    if (call === null) return;
    task.call = null;
    this.observer?.syscallExit?.(task, this.syscalls.find(call.args.abi, call.number), result);
    if (result !== -EINTR && task.savedMask !== null) {
      task.setMask(task.savedMask);
      task.savedMask = null;
    }
    const { cpu } = task;
    cpu.setRegister(RAX, result | 0, call.args.abi === "i386" ? 0 : Math.floor(result / 2 ** 32) | 0);
  }
}

/** A handler may have ended the task that called it. */
function isGone(task: GuestTask): boolean {
  return task.state === "exited";
}

function isBug(error: RangeError): boolean {
  return error.message.includes("call stack");
}
