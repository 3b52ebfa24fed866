// The end of threads and processes (exit(2), exit_group(2)).

import { SyscallError } from "../kernel/errno.ts";
import { SI_KERNEL, SI_USER, SIGCONT, SIGHUP } from "../kernel/signal-info.ts";
import { releaseRobustFutexes } from "./robust-list.ts";
import type { GuestProcess } from "./process.ts";
import type { GuestTask } from "./task.ts";

/** Ends one thread; the last one ends the process with `status` (a wait status). */
export function exitTask(task: GuestTask, status: number): void {
  const { process, kernel } = task;
  if (task.state === "exited") return;
  dismantle(task);
  process.tasks.delete(task.tid);
  kernel.tasks.delete(task.tid);
  if (process.tasks.size === 0) finishProcess(process, task, status);
}

/** Ends every thread of the process at once. */
export function exitProcess(process: GuestProcess, status: number): void {
  if (process.isZombie) return;
  const tasks = [...process.tasks.values()];
  for (const task of tasks) exitTask(task, status);
}

/** exec in a thread: the others end, silently. */
export function exitOtherTasks(survivor: GuestTask): void {
  for (const task of [...survivor.process.tasks.values()]) {
    if (task !== survivor) exitTask(task, 0);
  }
}

function dismantle(task: GuestTask): void {
  const { process, kernel } = task;
  try {
    task.abandonCall();
    releaseRobustFutexes(task);
    if (task.clearChildTid !== 0 && process.space.users + process.tasks.size > 2) {
      task.memory.writeU32(task.clearChildTid, 0);
      kernel.futexes.wakeAt(task, task.clearChildTid, 1);
    }
  } catch (error) {
    // Bad pointers of a dying thread hurt nobody.
    if (!(error instanceof SyscallError)) throw error;
  }
  task.state = "exited";
  task.call = null;
  kernel.scheduler.remove(task);
  process.goneUserNs += task.userNs;
  process.goneSystemNs += task.systemNs;
  process.lastUid = task.credentials.ruid;
  task.files.release();
  task.vforkDone?.wakeAll();
  task.vforkDone = null;
}

function finishProcess(process: GuestProcess, last: GuestTask, status: number): void {
  const { kernel } = process;
  for (const timer of process.intervalTimers) timer.set(0, 0);
  for (const timer of process.posixTimers.values()) timer.set(Infinity, 0);
  process.posixTimers.clear();
  process.peakResidentPages = process.space.peakResidentPages;
  process.codeUse = process.space.engine?.codeUse ?? null;
  process.space.release();
  kernel.observer?.exit?.(process, status);
  if (process.session.leader === process) endSession(process);
  kernel.groups.notifyOrphans(process);
  const heir = findReaper(process);
  for (const child of [...process.children]) {
    process.children.delete(child);
    child.parent = heir;
    const deathSignal = child.mainTask()?.parentDeathSignal ?? 0;
    if (deathSignal !== 0)
      child.sendSignal({ signal: deathSignal, code: SI_USER, pid: process.pid, uid: last.credentials.ruid });
    if (heir !== null) {
      heir.children.add(child);
      if (child.isZombie) heir.childChanged.wakeAll();
    } else if (child.isZombie) {
      kernel.reap(child);
    }
  }
  process.becomeZombie(status);
}

/** The nearest ancestor that asked for orphans (prctl(2), PR_SET_CHILD_SUBREAPER), or the first process. */
function findReaper(process: GuestProcess): GuestProcess | null {
  for (let ancestor = process.parent; ancestor !== null; ancestor = ancestor.parent) {
    if (ancestor.subreaper && !ancestor.isZombie) return ancestor;
  }
  return null;
}

function endSession(process: GuestProcess): void {
  const { session, kernel } = process;
  const { terminal } = session;
  if (terminal === null) return;
  const foreground = kernel.groups.groups.get(terminal.foregroundGroup);
  session.terminal = null;
  terminal.disassociate();
  foreground?.sendSignal({ signal: SIGHUP, code: SI_KERNEL });
  foreground?.sendSignal({ signal: SIGCONT, code: SI_KERNEL });
}
