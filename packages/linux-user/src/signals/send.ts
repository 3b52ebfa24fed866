// Generating a signal: what is thrown away, who gets it, who wakes (kill(2), signal(7)).

import type { SignalInfo } from "../kernel/signal-info.ts";
import { SIGCONT, SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU } from "../kernel/signal-info.ts";
import type { GuestProcess } from "../process/process.ts";
import type { GuestTask } from "../process/task.ts";

const STOP_SIGNALS: readonly number[] = [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU];

/** Effects that a signal has when it is sent, whether or not it is blocked. */
function prepare(process: GuestProcess, signal: number): void {
  if (signal === SIGCONT) {
    for (const stop of STOP_SIGNALS) discardEverywhere(process, stop);
    process.resume();
  } else if (STOP_SIGNALS.includes(signal)) {
    discardEverywhere(process, SIGCONT);
  } else if (signal === SIGKILL) {
    process.liftStop();
  }
}

function discardEverywhere(process: GuestProcess, signal: number): void {
  process.pending.discard(signal);
  for (const task of process.tasks.values()) task.pending.discard(signal);
}

/** False when a real-time signal found the queue full. */
export function sendToTask(task: GuestTask, info: SignalInfo): boolean {
  const { process } = task;
  if (task.state === "exited" || process.isZombie) return true;
  prepare(process, info.signal);
  if (!task.signalMask.has(info.signal) && process.actions.discards(info.signal)) return true;
  const queued = task.pending.add(info);
  notify(task, info.signal);
  return queued;
}

export function sendToProcess(process: GuestProcess, info: SignalInfo): boolean {
  if (process.isZombie) return true;
  prepare(process, info.signal);
  const taker = chooseTask(process, info.signal);
  if (taker !== null && process.actions.discards(info.signal)) return true;
  const queued = process.pending.add(info);
  if (taker !== null) notify(taker, info.signal);
  for (const task of process.tasks.values()) {
    if (task !== taker) task.signalArrived.wakeAll();
  }
  return queued;
}

/** The thread that will take a signal for the process: the main one if it does not block it, else any. */
function chooseTask(process: GuestProcess, signal: number): GuestTask | null {
  const main = process.tasks.get(process.pid);
  if (main !== undefined && !main.signalMask.has(signal)) return main;
  for (const task of process.tasks.values()) if (!task.signalMask.has(signal)) return task;
  return null;
}

function notify(task: GuestTask, signal: number): void {
  task.signalArrived.wakeAll();
  if (task.signalMask.has(signal)) return;
  if (task.state === "stopped") {
    if (signal === SIGKILL) task.kernel.scheduler.enqueue(task);
    return;
  }
  const policy = task.waiting?.request.interrupt;
  if (policy !== "uninterruptible" || signal === SIGKILL) task.wake("signal");
}
