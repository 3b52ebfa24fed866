// Who watches the kernel: --strace, --stats, tests. Every method is optional and must not change anything.

import type { SignalInfo } from "../kernel/signal-info.ts";
import type { SyscallArguments, SyscallDefinition } from "../kernel/syscall.ts";
import type { GuestProcess } from "./process.ts";
import type { GuestTask } from "./task.ts";

export interface KernelObserver {
  /** The task's turn begins (a system call that it waited in goes on first), or, null, the turn is over. */
  turn?(task: GuestTask | null): void;
  syscallEnter?(
    task: GuestTask,
    definition: SyscallDefinition | undefined,
    number: number,
    args: SyscallArguments,
  ): void;
  syscallExit?(task: GuestTask, definition: SyscallDefinition | undefined, result: number): void;
  /** A signal interrupted the call, which will be made again. */
  syscallRestart?(task: GuestTask): void;
  signal?(task: GuestTask, info: SignalInfo): void;
  exit?(process: GuestProcess, status: number): void;
  /** A process without a parent was stopped (terminal job control of the host shell). */
  stopped?(process: GuestProcess): void;
  /** A process ran out of guest memory and is killed. */
  outOfMemory?(process: GuestProcess): void;
}
