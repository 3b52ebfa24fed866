// A thread group: what its threads share besides memory, and its place among parents, groups and sessions.
//
// Invariants: a process has at least one thread until it is a zombie; a zombie holds no memory and no files; it is
// in the kernel's table until its parent has waited for it.

import type { CodeUse } from "../engine-port.ts";
import type {
  ControllingTerminal,
  MappingDescription,
  MemoryUsage,
  Process,
  ProcessState,
  ResourceLimit,
} from "../kernel/task.ts";
import type { SignalInfo, SignalSet } from "../kernel/signal-info.ts";
import {
  CLD_CONTINUED,
  CLD_EXITED,
  CLD_KILLED,
  CLD_STOPPED,
  SIGCHLD,
  SIGCONT,
  SIGSTOP,
} from "../kernel/signal-info.ts";
import type { UserMemory } from "../kernel/memory.ts";
import { WaitQueue } from "../kernel/wait.ts";
import type { GuestMode } from "../engine-port.ts";
import type { AddressSpace } from "../memory/address-space.ts";
import { describeMappings, measureMemory } from "../memory/describe.ts";
import { GuestMemory } from "../memory/user-memory.ts";
import { SA_NOCLDSTOP, SA_NOCLDWAIT, SIG_IGN, SignalActions } from "../signals/action.ts";
import { PendingSignals } from "../signals/pending.ts";
import { sendToProcess } from "../signals/send.ts";
import type { LinuxKernel } from "./kernel.ts";
import type { JobGroup, ProcessSession } from "./session.ts";
import { ITIMER_COUNT, IntervalTimer } from "./interval-timer.ts";
import type { PosixTimer } from "./interval-timer.ts";
import type { GuestTask } from "./task.ts";

/** CPU time of waited-for children (getrusage(2), RUSAGE_CHILDREN), ns; peak memory in pages. */
export interface ChildUsage {
  userNs: number;
  systemNs: number;
  peakResidentPages: number;
}

export class GuestProcess implements Process {
  readonly pid: number;
  readonly kernel: LinuxKernel;
  parent: GuestProcess | null;
  readonly children: Set<GuestProcess> = new Set();
  readonly tasks: Map<number, GuestTask> = new Map();
  group: JobGroup;
  space: AddressSpace;
  mode: GuestMode = "x86-64";
  executablePath = "";
  commandLine: readonly Uint8Array[] = [];
  environment: readonly Uint8Array[] = [];
  auxiliaryVector: Uint8Array = new Uint8Array(0);
  limits: ResourceLimit[];
  readonly startNs: number;
  readonly stateChanged: WaitQueue = new WaitQueue();
  /** Woken when a child changed state (wait4(2)). */
  readonly childChanged: WaitQueue = new WaitQueue();
  actions: SignalActions = new SignalActions();
  readonly pending: PendingSignals = new PendingSignals();
  dumpable = true;
  isZombie = false;
  /** wait status of a zombie: code << 8, or the signal. */
  exitStatus = 0;
  /** What the parent is sent at the end; 0 for none. */
  exitSignal: number = SIGCHLD;
  stopped = false;
  stopSignal = 0;
  /** State changes that waitid(2) has not reported yet. */
  stopUnreported = false;
  continueUnreported = false;
  hasExecuted = false;
  subreaper = false;
  personality = 0;
  noNewPrivileges = false;
  /** CPU time of threads that are gone. */
  goneUserNs = 0;
  goneSystemNs = 0;
  readonly childUsage: ChildUsage = { userNs: 0, systemNs: 0, peakResidentPages: 0 };
  readonly intervalTimers: IntervalTimer[] = [];
  readonly posixTimers: Map<number, PosixTimer> = new Map();
  peakResidentPages = 0;
  /** Of its last address space, once that is gone. */
  codeUse: CodeUse | null = null;
  nice = 0;
  timerSlackNs = 50_000;
  keepCapabilities = false;

  constructor(fields: {
    kernel: LinuxKernel;
    pid: number;
    parent: GuestProcess | null;
    group: JobGroup | null;
    space: AddressSpace;
    limits: ResourceLimit[];
  }) {
    this.kernel = fields.kernel;
    this.pid = fields.pid;
    this.parent = fields.parent;
    this.space = fields.space;
    this.limits = fields.limits;
    this.startNs = fields.kernel.clock.monotonicNs();
    this.group = fields.group ?? fields.kernel.groups.createSession(this);
    this.group.members.add(this);
    fields.parent?.children.add(this);
    for (let which = 0; which < ITIMER_COUNT; which++) this.intervalTimers.push(new IntervalTimer(this, which));
  }

  get session(): ProcessSession {
    return this.group.session;
  }

  get abi(): "x86-64" | "i386" {
    return this.mode;
  }

  get state(): ProcessState {
    if (this.isZombie) return this.kernel.processes.has(this.pid) ? "zombie" : "dead";
    if (this.stopped) return "stopped";
    for (const task of this.tasks.values()) if (task.state === "running" || task.state === "runnable") return "running";
    return "sleeping";
  }

  get userNs(): number {
    let total = this.goneUserNs;
    for (const task of this.tasks.values()) total += task.userNs;
    return total;
  }

  get systemNs(): number {
    let total = this.goneSystemNs;
    for (const task of this.tasks.values()) total += task.systemNs;
    return total;
  }

  /** The main thread, or any other when it has exited; undefined in a zombie. */
  mainTask(): GuestTask | undefined {
    return this.tasks.get(this.pid) ?? this.tasks.values().next().value;
  }

  mappings(): MappingDescription[] {
    return this.isZombie ? [] : describeMappings(this.space);
  }

  memoryUsage(): MemoryUsage {
    return measureMemory(this.isZombie ? null : this.space);
  }

  memoryForOthers(): UserMemory | null {
    return this.isZombie ? null : new GuestMemory(this.space);
  }

  sendSignal(info: SignalInfo): void {
    sendToProcess(this, info);
  }

  signalDispositions(): { readonly ignored: SignalSet; readonly caught: SignalSet } {
    return this.actions.dispositions();
  }

  get sharedPending(): SignalSet {
    return this.pending.set;
  }

  ignores(signal: number): boolean {
    if (this.actions.get(signal).handler === SIG_IGN) return true;
    return this.mainTask()?.signalMask.has(signal) ?? true;
  }

  limit(resource: number): ResourceLimit {
    return this.limits[resource] ?? { soft: Infinity, hard: Infinity };
  }

  /** Every thread stops before it runs on (SIGSTOP and the others). */
  stop(signal: number): void {
    if (this.stopped) return;
    this.stopped = true;
    this.stopSignal = signal;
    this.stopUnreported = true;
    this.continueUnreported = false;
    this.#tellParent(CLD_STOPPED, signal);
  }

  /** SIGCONT. */
  resume(): void {
    if (!this.stopped) return;
    this.liftStop();
    this.continueUnreported = true;
    this.#tellParent(CLD_CONTINUED, SIGSTOP);
  }

  liftStop(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.stopUnreported = false;
    for (const task of this.tasks.values()) {
      if (task.state === "stopped") this.kernel.scheduler.enqueue(task);
    }
  }

  #tellParent(code: number, status: number): void {
    this.stateChanged.wakeAll();
    const { parent } = this;
    if (parent === null) {
      if (code === CLD_STOPPED) this.kernel.observer?.stopped?.(this);
      return;
    }
    parent.childChanged.wakeAll();
    if ((parent.actions.get(SIGCHLD).flags & SA_NOCLDSTOP) === 0) {
      parent.sendSignal(this.childSignal(code, code === CLD_CONTINUED ? SIGCONT : status));
    }
  }

  childSignal(code: number, status: number): SignalInfo {
    return {
      signal: SIGCHLD,
      code,
      status,
      pid: this.pid,
      uid: this.mainTask()?.credentials.ruid ?? this.lastUid,
      userTicks: Math.floor(this.userNs / 1e7),
      systemTicks: Math.floor(this.systemNs / 1e7),
    };
  }

  lastUid = 0;

  /** The end of the last thread: the parent hears of it, or nobody will ever ask. */
  becomeZombie(status: number): void {
    this.isZombie = true;
    this.exitStatus = status;
    this.stopped = false;
    const { parent } = this;
    this.stateChanged.wakeAll();
    if (parent === null) {
      this.kernel.reap(this);
      return;
    }
    const action = parent.actions.get(SIGCHLD);
    const unwanted = this.exitSignal === SIGCHLD && (action.handler === SIG_IGN || (action.flags & SA_NOCLDWAIT) !== 0);
    const signal = status & 0x7f;
    const code = signal === 0 ? CLD_EXITED : CLD_KILLED;
    const info = { ...this.childSignal(code, signal === 0 ? status >> 8 : signal), signal: this.exitSignal };
    if (unwanted) this.kernel.reap(this);
    parent.childChanged.wakeAll();
    if (this.exitSignal !== 0) parent.sendSignal(info);
  }

  /** A terminal's hang-up and the like reach the session through its leader. */
  get terminal(): ControllingTerminal | null {
    return this.session.terminal;
  }
}
