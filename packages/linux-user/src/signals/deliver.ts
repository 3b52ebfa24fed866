// Delivering signals before a thread returns to the guest: takes what is pending and not blocked, and acts on it.

import { EINTR, SyscallError } from "../kernel/errno.ts";
import type { SignalInfo } from "../kernel/signal-info.ts";
import { SI_KERNEL, SIGKILL, SIGSEGV, SIGSTOP, SignalSet } from "../kernel/signal-info.ts";
import { RAX, RSP } from "../engine-port.ts";
import { exitProcess } from "../process/exit.ts";
import type { GuestTask } from "../process/task.ts";
import type { SignalAction } from "./action.ts";
import {
  defaultEffect,
  SA_NODEFER,
  SA_ONSTACK,
  SA_RESETHAND,
  SA_RESTART,
  SA_RESTORER,
  SA_SIGINFO,
  SIG_DFL,
  SIG_IGN,
} from "./action.ts";
import { pushFrame32 } from "./frame-i386.ts";
import { pushFrame64 } from "./frame-x86-64.ts";
import { encodeSignalInfo } from "./siginfo-layout.ts";

const SS_ONSTACK = 1;
const SS_DISABLE = 2;
const SS_AUTODISARM = 0x8000_0000;
const RED_ZONE_BYTES = 128;

/** What became of the thread. */
export type Delivery = "continue" | "stopped" | "exited";

/** Takes and acts on every deliverable signal. A blocked call is given up only for a handler or the end. */
export function deliverSignals(task: GuestTask): Delivery {
  const { process } = task;
  while (task.hasDeliverableSignal()) {
    const deliverable = new SignalSet(~task.signalMask.lo, ~task.signalMask.hi);
    const info = task.dequeueSignal(deliverable)!;
    const action = process.actions.get(info.signal);
    task.kernel.observer?.signal?.(task, info);
    if (action.handler === SIG_IGN && info.signal !== SIGKILL && info.signal !== SIGSTOP) continue;
    if (action.handler !== SIG_DFL && info.signal !== SIGKILL && info.signal !== SIGSTOP) {
      runHandler(task, info, action);
      if (task.state === "exited") return "exited";
      continue;
    }
    const effect = info.signal === SIGKILL ? "terminate" : defaultEffect(info.signal);
    if (effect === "ignore" || effect === "continue") continue;
    if (effect === "stop") {
      if (info.signal !== SIGSTOP && process.group.isOrphaned()) continue;
      process.stop(info.signal);
      return "stopped";
    }
    // Never with the flag of a core dump: nobody writes one.
    exitProcess(process, info.signal);
    return "exited";
  }
  return "continue";
}

/** The result of the call that the signal interrupts: EINTR, or the call again after the handler. */
function interruptCall(task: GuestTask, action: SignalAction): void {
  const blocked = task.waiting;
  if (blocked === null) return;
  const result = task.abandonCall();
  const { cpu, call } = task;
  if (result !== undefined) {
    task.kernel.finishCall(task, result);
  } else if (
    (blocked.request.interrupt ?? "restart") === "restart" &&
    (action.flags & SA_RESTART) !== 0 &&
    call !== null
  ) {
    // Both `syscall` and `int 0x80` have two bytes.
    task.kernel.observer?.syscallRestart?.(task);
    cpu.rip -= 2;
    cpu.setRegister(RAX, call.number | 0, 0);
    task.call = null;
  } else {
    task.kernel.finishCall(task, -EINTR);
  }
}

function runHandler(task: GuestTask, info: SignalInfo, action: SignalAction): void {
  interruptCall(task, action);
  const { cpu, process, memory } = task;
  const alternate = task.alternateStack;
  const stackPointer = (cpu.getLo(RSP) >>> 0) + (cpu.getHi(RSP) >>> 0) * 2 ** 32;
  const wide = process.abi === "x86-64";
  const onAlternate = isOnAlternateStack(task, stackPointer);
  let stackTop = wide ? stackPointer - RED_ZONE_BYTES : stackPointer;
  if ((action.flags & SA_ONSTACK) !== 0 && (alternate.flags & SS_DISABLE) === 0 && !onAlternate) {
    stackTop = alternate.address + alternate.size;
  }
  const withInfo = (action.flags & SA_SIGINFO) !== 0;
  try {
    if (wide && (action.flags & SA_RESTORER) === 0) throw new SyscallError(EINTR);
    const request = {
      stackTop,
      signal: info.signal,
      info: encodeSignalInfo(info, wide ? 8 : 4),
      handler: action.handler,
      restorer: (action.flags & SA_RESTORER) === 0 ? 0 : action.restorer,
      mask: task.savedMask ?? task.signalMask,
      alternateStack: {
        address: alternate.address,
        size: alternate.size,
        flags: alternate.flags | (onAlternate ? SS_ONSTACK : 0),
      },
      trap: info.trap ?? 0,
      errorCode: info.errorCode ?? 0,
      faultAddress: info.trap === 14 ? (info.address ?? 0) : 0,
    };
    if (wide) pushFrame64(cpu, memory, request);
    else pushFrame32(cpu, memory, request, withInfo);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    // No room for the frame: the stack overflowed, and a handler on it cannot help.
    forceSignal(task, { signal: SIGSEGV, code: SI_KERNEL }, info.signal === SIGSEGV);
    return;
  }
  task.savedMask = null;
  if ((alternate.flags & SS_AUTODISARM) !== 0) task.alternateStack = { address: 0, size: 0, flags: SS_DISABLE };
  if ((action.flags & SA_RESETHAND) !== 0) process.actions.reset(info.signal);
  const mask = new SignalSet(task.signalMask.lo | action.mask.lo, task.signalMask.hi | action.mask.hi);
  if ((action.flags & SA_NODEFER) === 0) mask.add(info.signal);
  task.setMask(mask);
}

export function isOnAlternateStack(task: GuestTask, stackPointer: number): boolean {
  const { address, size, flags } = task.alternateStack;
  // With SS_AUTODISARM the stack is disarmed while in use.
  if ((flags & (SS_DISABLE | SS_AUTODISARM)) !== 0) return false;
  return stackPointer > address && stackPointer - address <= size;
}

/** A fault's signal: it cannot be ignored or held back; if it is, the program dies of it. */
export function forceSignal(task: GuestTask, info: SignalInfo, fatal: boolean = false): void {
  const { actions } = task.process;
  const { signal } = info;
  if (fatal || task.signalMask.has(signal) || actions.get(signal).handler === SIG_IGN) {
    actions.reset(signal);
    task.signalMask.delete(signal);
  }
  task.pending.add(info);
}
