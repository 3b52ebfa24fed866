// A thread: its registers, what it waits for, its signals. Made by clone.ts and kernel.ts, run by scheduler.ts.
//
// Invariants: `waiting` is set exactly while a system call is blocked; a task is on its queues exactly while it is
// blocked and has not been woken; an exited task is in no table.

import type { GuestCpu } from "../engine-port.ts";
import type { FilesystemContext, FileTable } from "../kernel/files.ts";
import type { SignalInfo } from "../kernel/signal-info.ts";
import { SignalSet } from "../kernel/signal-info.ts";
import type { SyscallArguments } from "../kernel/syscall.ts";
import type { Credentials, KernelTimer, Task } from "../kernel/task.ts";
import type { Blocked, BlockRequest, Waiter, WakeReason } from "../kernel/wait.ts";
import { Blocked as BlockedCall, WaitQueue } from "../kernel/wait.ts";
import type { GuestMemory } from "../memory/user-memory.ts";
import { PendingSignals } from "../signals/pending.ts";
import { sendToTask } from "../signals/send.ts";
import type { LinuxKernel } from "./kernel.ts";
import type { GuestProcess } from "./process.ts";
import { argumentsOf } from "./syscall-registers.ts";

export type TaskState = "running" | "runnable" | "blocked" | "stopped" | "exited";

export interface AlternateStack {
  address: number;
  size: number;
  /** SS_DISABLE 2, SS_AUTODISARM 0x80000000. */
  flags: number;
}

/** The call that is being made, for restarting and --strace. */
export interface CurrentCall {
  readonly number: number;
  readonly name: string;
  readonly args: SyscallArguments;
}

export class GuestTask implements Task {
  tid: number;
  process: GuestProcess;
  readonly kernel: LinuxKernel;
  memory: GuestMemory;
  cpu: GuestCpu;
  credentials: Credentials;
  files: FileTable;
  filesystem: FilesystemContext;
  name = "";
  state: TaskState = "runnable";

  /** The blocked call, kept until it has a result. */
  waiting: Blocked | null = null;
  call: CurrentCall | null = null;
  wakeReason: WakeReason | "signal" = "woken";
  #waitTimer: KernelTimer | null = null;
  #waiter: Waiter;
  #exclusiveWaiter: Waiter;

  readonly signalMask: SignalSet = new SignalSet();
  /** The mask to go back to, while a temporary one is set. */
  savedMask: SignalSet | null = null;
  readonly pending: PendingSignals = new PendingSignals();
  readonly signalArrived: WaitQueue = new WaitQueue();
  alternateStack: AlternateStack = { address: 0, size: 0, flags: 2 };

  /** Guest-virtual address to clear and wake at exit (set_tid_address(2)), or 0. */
  clearChildTid = 0;
  robustList = 0;
  robustListBytes = 0;
  parentDeathSignal = 0;
  /** exit_signal of clone: what the parent gets; SIGCHLD for fork. */
  exitSignal = 0;
  /** Set once the child of vfork has called exec or is gone. */
  vforkDone: WaitQueue | null = null;
  /** sched_yield: the turn ends after this call. */
  yielding = false;
  /** CPU time, ns. */
  userNs = 0;
  systemNs = 0;
  /** Addresses of i386 TLS descriptors by GDT entry 12 to 14. */
  readonly tlsDescriptors: Map<number, { base: number; limit: number; flags: number }> = new Map();

  readonly #arguments64: { cpu: GuestCpu | null; args: SyscallArguments | null } = { cpu: null, args: null };
  readonly #arguments32: { cpu: GuestCpu | null; args: SyscallArguments | null } = { cpu: null, args: null };

  constructor(fields: {
    tid: number;
    process: GuestProcess;
    memory: GuestMemory;
    cpu: GuestCpu;
    credentials: Credentials;
    files: FileTable;
    filesystem: FilesystemContext;
  }) {
    this.tid = fields.tid;
    this.process = fields.process;
    this.kernel = fields.process.kernel;
    this.memory = fields.memory;
    this.cpu = fields.cpu;
    this.credentials = fields.credentials;
    this.files = fields.files;
    this.filesystem = fields.filesystem;
    this.#waiter = { wake: () => this.wake("woken") };
    this.#exclusiveWaiter = { wake: () => this.wake("woken"), exclusive: true };
  }

  /** The reader of the registers under one ABI; one object per thread and ABI. */
  argumentsFor(abi: "x86-64" | "i386"): SyscallArguments {
    const cache = abi === "x86-64" ? this.#arguments64 : this.#arguments32;
    if (cache.args === null || cache.cpu !== this.cpu) {
      cache.cpu = this.cpu;
      cache.args = argumentsOf(this.cpu, abi);
    }
    return cache.args;
  }

  block(request: BlockRequest): Blocked {
    const deadlineNs =
      request.deadlineNs ??
      (request.timeoutNs === undefined ? Infinity : this.kernel.clock.monotonicNs() + Math.max(0, request.timeoutNs));
    return new BlockedCall(request, deadlineNs);
  }

  /** Puts the task to sleep on its call. */
  park(blocked: Blocked): void {
    this.waiting = blocked;
    this.state = "blocked";
    const waiter = blocked.request.exclusive === true ? this.#exclusiveWaiter : this.#waiter;
    for (const queue of blocked.request.on) queue.add(waiter);
    if (blocked.deadlineNs !== Infinity) {
      this.#waitTimer = this.kernel.setTimer(blocked.deadlineNs, () => this.wake("timeout"));
    }
  }

  /** Leaves the queues; the call stays in `waiting`. */
  #leaveQueues(): void {
    if (this.waiting !== null) {
      for (const queue of this.waiting.request.on) {
        queue.remove(this.#waiter);
        queue.remove(this.#exclusiveWaiter);
      }
    }
    this.#waitTimer?.cancel();
    this.#waitTimer = null;
  }

  /** Ends the sleep; the scheduler then retries the call, or looks at the signals. */
  wake(reason: WakeReason | "signal"): void {
    if (this.state !== "blocked") return;
    this.#leaveQueues();
    this.wakeReason = reason;
    this.kernel.scheduler.enqueue(this);
  }

  /** Gives the blocked call up for a signal or the thread's end; a number is the call's result after all. */
  abandonCall(): number | undefined {
    const blocked = this.waiting;
    if (blocked === null) return undefined;
    this.#leaveQueues();
    this.waiting = null;
    return blocked.request.onInterrupt?.();
  }

  pendingSignals(): SignalSet {
    const shared = this.process.pending.set;
    return new SignalSet(this.pending.set.lo | shared.lo, this.pending.set.hi | shared.hi);
  }

  dequeueSignal(set: SignalSet): SignalInfo | null {
    return this.pending.take(set) ?? this.process.pending.take(set);
  }

  hasDeliverableSignal(): boolean {
    const mask = this.signalMask;
    const own = this.pending.set;
    const shared = this.process.pending.set;
    return (((own.lo | shared.lo) & ~mask.lo) | ((own.hi | shared.hi) & ~mask.hi)) !== 0;
  }

  sendSignal(info: SignalInfo): void {
    sendToTask(this, info);
  }

  setTemporaryMask(mask: SignalSet): void {
    this.savedMask ??= this.signalMask.clone();
    this.setMask(mask);
  }

  /** SIGKILL and SIGSTOP cannot be blocked. */
  setMask(mask: SignalSet): void {
    this.signalMask.lo = mask.lo & ~((1 << 8) | (1 << 18));
    this.signalMask.hi = mask.hi;
  }

  isBlockedOn(): string {
    return this.waiting === null ? "" : (this.call?.name ?? "");
  }
}
