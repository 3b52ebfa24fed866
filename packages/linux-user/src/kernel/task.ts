// Task, Process and Kernel as system-call handlers and files see them. The classes in `process/` implement these;
// code outside of it depends on the interfaces alone, so that tests can pass small fakes.

import type { FilesystemContext, FilesystemPort, FileTable } from "./files.ts";
import type { PageCache, UserMemory } from "./memory.ts";
import type { SignalInfo, SignalSet } from "./signal-info.ts";
import type { Blocked, BlockRequest, WaitQueue } from "./wait.ts";

export interface Timespec {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** Time is given to the kernel, never taken from the host directly. */
export interface Clock {
  /** Nanoseconds since an arbitrary start that never runs back; exact for 104 days. */
  monotonicNs(): number;
  /** Since 1970-01-01 UTC. */
  realtime(): Timespec;
}

export interface KernelTimer {
  /** Idempotent. */
  cancel(): void;
}

export interface Credentials {
  ruid: number;
  euid: number;
  suid: number;
  fsuid: number;
  rgid: number;
  egid: number;
  sgid: number;
  fsgid: number;
  groups: readonly number[];
}

/** Resource limits by RLIMIT_* number (getrlimit(2)); Infinity is RLIM_INFINITY. */
export interface ResourceLimit {
  soft: number;
  hard: number;
}

/** A terminal as sessions need it; `fd/` implements it. */
export interface ControllingTerminal {
  /** The session that owns it, or null. */
  session: Session | null;
  /** Foreground group (tcsetpgrp(3)), or 0. */
  foregroundGroup: number;
  /** The session leader has gone. */
  disassociate(): void;
}

export interface Session {
  readonly id: number;
  readonly leader: Process;
  terminal: ControllingTerminal | null;
}

export interface ProcessGroup {
  readonly id: number;
  readonly session: Session;
  readonly members: ReadonlySet<Process>;
  sendSignal(info: SignalInfo): void;
  /** No member has a parent in another group of the same session (job control, setpgid(2)). */
  isOrphaned(): boolean;
}

/** One mapping, as /proc/PID/maps prints it. Addresses guest-virtual, end exclusive. */
export interface MappingDescription {
  readonly start: number;
  readonly end: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
  readonly shared: boolean;
  readonly fileOffset: number;
  readonly device: number;
  readonly inode: number;
  /** Path, `[heap]`, `[stack]` or "". */
  readonly name: string;
  readonly residentBytes: number;
}

export interface MemoryUsage {
  readonly virtualBytes: number;
  readonly residentBytes: number;
  readonly peakVirtualBytes: number;
  readonly peakResidentBytes: number;
  readonly dataBytes: number;
  readonly stackBytes: number;
  readonly textBytes: number;
  readonly sharedBytes: number;
}

export type ProcessState = "running" | "sleeping" | "stopped" | "zombie" | "dead";

/** A thread group. */
export interface Process {
  readonly pid: number;
  readonly kernel: Kernel;
  readonly parent: Process | null;
  readonly children: ReadonlySet<Process>;
  readonly tasks: ReadonlyMap<number, Task>;
  readonly group: ProcessGroup;
  readonly session: Session;
  readonly state: ProcessState;
  readonly abi: "x86-64" | "i386";
  /** Absolute guest path of the executable (/proc/PID/exe). */
  readonly executablePath: string;
  readonly commandLine: readonly Uint8Array[];
  readonly environment: readonly Uint8Array[];
  readonly auxiliaryVector: Uint8Array;
  readonly limits: readonly ResourceLimit[];
  /** CPU time of its threads, ns. */
  readonly userNs: number;
  readonly systemNs: number;
  /** Monotonic ns at the start. */
  readonly startNs: number;
  /** Woken when it exits, stops or continues (pidfd, waitid). */
  readonly stateChanged: WaitQueue;
  readonly dumpable: boolean;
  mappings(): MappingDescription[];
  memoryUsage(): MemoryUsage;
  /** Reads another process's memory (/proc/PID/mem); null once it has none. */
  memoryForOthers(): UserMemory | null;
  /** To the process as a whole: any thread that does not block it may take it (kill(2)). */
  sendSignal(info: SignalInfo): void;
  /** What it ignores, and what it has handlers for (/proc/PID/status, SigIgn and SigCgt). */
  signalDispositions(): { readonly ignored: SignalSet; readonly caught: SignalSet };
  /** Pending for the process as a whole (ShdPnd). */
  readonly sharedPending: SignalSet;
  /** Whether the signal would be ignored or blocked by the calling thread (SIGTTIN and SIGTTOU rules of a terminal). */
  ignores(signal: number): boolean;
  limit(resource: number): ResourceLimit;
}

/** A thread. */
export interface Task {
  readonly tid: number;
  readonly process: Process;
  readonly kernel: Kernel;
  readonly memory: UserMemory;
  readonly credentials: Credentials;
  files: FileTable;
  filesystem: FilesystemContext;
  /** comm: at most 15 bytes. */
  name: string;
  readonly state: "running" | "runnable" | "blocked" | "stopped" | "exited";
  readonly signalMask: SignalSet;
  /** Union of the thread's and the process's pending signals. */
  pendingSignals(): SignalSet;
  /** Takes the first pending signal of `set` from the thread or the process (signalfd, sigtimedwait). */
  dequeueSignal(set: SignalSet): SignalInfo | null;
  /** Woken when a signal arrives for the thread or its process, blocked or not (signalfd). */
  readonly signalArrived: WaitQueue;
  /** To this thread (tgkill(2), synchronous SIGPIPE). */
  sendSignal(info: SignalInfo): void;
  /** Whether a signal waits that would interrupt a call. */
  hasDeliverableSignal(): boolean;
  /** Replaces the mask until the call has returned and its signal was delivered (ppoll, pselect, epoll_pwait). */
  setTemporaryMask(mask: SignalSet): void;
  /** Makes the wait that a handler returns. */
  block(request: BlockRequest): Blocked;
  isBlockedOn(): string;
}

export interface Kernel {
  readonly clock: Clock;
  readonly filesystem: FilesystemPort;
  readonly pageCache: PageCache;
  readonly hostname: string;
  readonly bootNs: number;
  /** By pid, zombies included. */
  readonly processes: ReadonlyMap<number, Process>;
  /** By thread id, living threads. */
  readonly tasks: ReadonlyMap<number, Task>;
  findGroup(id: number): ProcessGroup | undefined;
  findSession(id: number): Session | undefined;
  /** Fills with random bytes from the injected source. */
  randomBytes(into: Uint8Array): void;
  /** Runs `callback` from the scheduler when `clock.monotonicNs()` reaches the time. Never runs guest code. */
  setTimer(deadlineNs: number, callback: () => void): KernelTimer;
  /** Guest-physical memory, for /proc/meminfo and sysinfo(2). */
  memoryTotals(): { readonly totalBytes: number; readonly freeBytes: number; readonly cachedBytes: number };
  loadAverages(): readonly [number, number, number];
}
