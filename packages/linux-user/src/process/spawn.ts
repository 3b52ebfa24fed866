// The first program of a kernel, or another one that the host starts beside it.

import { ENOMEM } from "../kernel/errno.ts";
import type { FilesystemContext, FileTable } from "../kernel/files.ts";
import type { Credentials, ResourceLimit } from "../kernel/task.ts";
import type { LoadFailure } from "../loader/elf.ts";
import { AddressSpace } from "../memory/address-space.ts";
import { LAYOUT_X86_64 } from "../memory/layout.ts";
import { GuestMemory } from "../memory/user-memory.ts";
import { execTask } from "./exec.ts";
import type { LinuxKernel } from "./kernel.ts";
import { defaultLimits } from "./limits.ts";
import { GuestProcess } from "./process.ts";
import { GuestTask } from "./task.ts";

export interface SpawnOptions {
  /** Byte string; resolved against `filesystem`'s current directory. */
  readonly path: string;
  /** argv, with its name first. */
  readonly commandLine: readonly Uint8Array[];
  /** `NAME=value` each. */
  readonly environment: readonly Uint8Array[];
  readonly files: FileTable;
  readonly filesystem: FilesystemContext;
  readonly credentials: Credentials;
  readonly limits?: readonly ResourceLimit[];
  /** Nice value, -20 to 19; default 0. */
  readonly nice?: number;
}

export interface SpawnedProgram {
  readonly process: GuestProcess;
  /** The wait status: exit code << 8, or the signal. */
  readonly exited: Promise<number>;
}

/** Loads a program into a new process and session; it runs when the kernel runs. */
export function spawnProgram(kernel: LinuxKernel, options: SpawnOptions): SpawnedProgram | LoadFailure {
  const space = new AddressSpace(LAYOUT_X86_64, kernel.frames, kernel.pageCache);
  space.engine = kernel.engine.createContext(space);
  if (space.engine === null) {
    space.release();
    return { errno: ENOMEM, reason: `${options.path}: out of guest memory` };
  }
  const process = new GuestProcess({
    kernel,
    space,
    pid: kernel.allocateId(),
    parent: null,
    group: null,
    limits: (options.limits ?? defaultLimits()).map((limit) => ({ ...limit })),
  });
  process.nice = options.nice ?? 0;
  const task = new GuestTask({
    tid: process.pid,
    process,
    memory: new GuestMemory(space),
    cpu: space.engine.createCpu("x86-64"),
    credentials: { ...options.credentials },
    files: options.files,
    filesystem: options.filesystem,
  });
  process.tasks.set(task.tid, task);
  const failure = execTask(task, {
    directory: -100,
    path: options.path,
    flags: 0,
    commandLine: options.commandLine,
    environment: options.environment,
  });
  if (failure !== null) {
    process.tasks.delete(task.tid);
    kernel.groups.leave(process);
    space.release();
    return failure;
  }
  kernel.processes.set(process.pid, process);
  kernel.tasks.set(task.tid, task);
  kernel.scheduler.add(task);
  const exited = new Promise<number>((resolve) => {
    const waiter = {
      wake: (): void => {
        if (!process.isZombie) return;
        process.stateChanged.remove(waiter);
        resolve(process.exitStatus);
      },
    };
    process.stateChanged.add(waiter);
  });
  return { process, exited };
}

/** argv or environment from text, in UTF-8. */
export function encodeStrings(texts: readonly string[]): Uint8Array[] {
  const encoder = new TextEncoder();
  return texts.map((text) => encoder.encode(text));
}
