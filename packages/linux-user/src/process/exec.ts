// execve(2): replaces a process's program. Everything that can fail happens before anything of the process changes.

import { ENOMEM } from "../kernel/errno.ts";
import { RSP } from "../engine-port.ts";
import type { LoadFailure } from "../loader/elf.ts";
import { isLoadFailure } from "../loader/elf.ts";
import type { LoadedProgram, LoadRequest } from "../loader/load-program.ts";
import { loadProgram } from "../loader/load-program.ts";
import { GuestMemory } from "../memory/user-memory.ts";
import { exitOtherTasks } from "./exit.ts";
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK } from "./limits.ts";
import { SIGCHLD } from "../kernel/signal-info.ts";
import type { GuestTask } from "./task.ts";

/** Runs another program in the task's process: null, or why it could not be loaded. */
export function execTask(task: GuestTask, request: Omit<LoadRequest, "task">): LoadFailure | null {
  const { kernel, process } = task;
  const loaded = loadProgram(
    {
      filesystem: kernel.filesystem,
      frames: kernel.frames,
      cache: kernel.pageCache,
      hwcap: kernel.engine.hwcap,
      limits: {
        addressSpace: process.limit(RLIMIT_AS).soft,
        data: process.limit(RLIMIT_DATA).soft,
        stack: process.limit(RLIMIT_STACK).soft,
      },
      credentials: task.credentials,
      randomBytes: (into) => kernel.randomBytes(into),
    },
    { ...request, task },
  );
  if (isLoadFailure(loaded)) return loaded;
  loaded.space.engine = kernel.engine.createContext(loaded.space);
  if (loaded.space.engine === null) {
    loaded.space.release();
    return { errno: ENOMEM, reason: `${loaded.executablePath}: out of guest memory` };
  }
  exitOtherTasks(task);
  takeLeadership(task);
  replaceImage(task, loaded);
  return null;
}

/** The thread that called exec becomes the main thread. */
function takeLeadership(task: GuestTask): void {
  const { kernel, process } = task;
  if (task.tid === process.pid) return;
  process.tasks.delete(task.tid);
  kernel.tasks.delete(task.tid);
  task.tid = process.pid;
  process.tasks.set(task.tid, task);
  kernel.tasks.set(task.tid, task);
}

function replaceImage(task: GuestTask, loaded: LoadedProgram): void {
  const { process } = task;
  process.peakResidentPages = Math.max(process.peakResidentPages, process.space.peakResidentPages);
  process.space.release();
  const { space } = loaded;
  process.space = space;
  process.mode = loaded.mode;
  task.memory = new GuestMemory(space);
  task.cpu = space.engine!.createCpu(loaded.mode);
  task.cpu.reset(loaded.mode);
  task.cpu.rip = loaded.entry;
  task.cpu.setRegister(RSP, loaded.stackPointer | 0, Math.floor(loaded.stackPointer / 2 ** 32) | 0);
  task.tlsDescriptors.clear();
  const vforkDone = task.vforkDone;
  task.vforkDone = null;
  vforkDone?.wakeAll();
  task.alternateStack = { address: 0, size: 0, flags: 2 };
  task.robustList = 0;
  task.clearChildTid = 0;
  task.name = loaded.name;
  // A table or a set of handlers that others share stays theirs.
  const files = task.files.clone();
  task.files.release();
  task.files = files;
  files.closeOnExec();
  process.actions = process.actions.clone();
  process.actions.resetHandlers();
  for (const timer of process.posixTimers.values()) timer.set(Infinity, 0);
  process.posixTimers.clear();
  process.executablePath = loaded.executablePath;
  process.commandLine = loaded.commandLine;
  process.environment = loaded.environment;
  process.auxiliaryVector = loaded.auxiliaryVector;
  process.exitSignal = SIGCHLD;
  process.hasExecuted = true;
  process.dumpable = true;
  const { credentials } = task;
  if (!process.noNewPrivileges) {
    if (loaded.setUserId !== null) credentials.euid = loaded.setUserId;
    if (loaded.setGroupId !== null) credentials.egid = loaded.setGroupId;
  }
  credentials.suid = credentials.euid;
  credentials.fsuid = credentials.euid;
  credentials.sgid = credentials.egid;
  credentials.fsgid = credentials.egid;
}
