// Signals: actions, masks, sending, waiting (signal(7)).

import { EAGAIN, EBADF, EINTR, EINVAL, ENOMEM, EPERM, ESRCH, SyscallError } from "../kernel/errno.ts";
import type { SignalInfo } from "../kernel/signal-info.ts";
import { SI_TKILL, SI_USER, SIGCONT, SIGKILL, SIGSTOP, SignalSet } from "../kernel/signal-info.ts";
import type { SyscallArguments, SyscallDefinition } from "../kernel/syscall.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { RSP } from "../engine-port.ts";
import type { GuestProcess } from "../process/process.ts";
import { processOfFile } from "../process/process-file.ts";
import type { GuestTask } from "../process/task.ts";
import { isOnAlternateStack } from "../signals/deliver.ts";
import { popFrame32, popRtFrame32 } from "../signals/frame-i386.ts";
import { popFrame64 } from "../signals/frame-x86-64.ts";
import { sendToProcess, sendToTask } from "../signals/send.ts";
import { decodeSignalInfo, encodeSignalInfo, SIGINFO_BYTES } from "../signals/siginfo-layout.ts";
import { exitProcess } from "../process/exit.ts";
import type { CoreHandler } from "./row.ts";
import { row } from "./row.ts";
import { readNs, widthOf } from "./time-layout.ts";

const SIGNAL_SET_BYTES = 8;

function readSet(task: GuestTask, address: number): SignalSet {
  return new SignalSet(task.memory.readI32(address), task.memory.readI32(address + 4));
}

function writeSet(task: GuestTask, address: number, set: SignalSet): void {
  task.memory.writeU64Pair(address, set.lo, set.hi);
}

/** x86-64: handler 0, flags 8, restorer 16, mask 24; i386: handler 0, flags 4, restorer 8, mask 12. */
const sysRtSigaction: CoreHandler = (task, args) => {
  const signal = args.i32(0);
  const { wordBytes } = args;
  const { actions } = task.process;
  if (args.address(3) !== SIGNAL_SET_BYTES) return -EINVAL;
  if (signal < 1 || signal > 64) return -EINVAL;
  const [next, previous] = [args.address(1), args.address(2)];
  if (next !== 0 && (signal === SIGKILL || signal === SIGSTOP)) return -EINVAL;
  const old = actions.get(signal);
  if (next !== 0) {
    const mask = readSet(task, next + 3 * wordBytes);
    mask.delete(SIGKILL);
    mask.delete(SIGSTOP);
    actions.set(signal, {
      handler: task.memory.readWord(next, wordBytes),
      flags: task.memory.readU32(next + wordBytes),
      restorer: task.memory.readWord(next + 2 * wordBytes, wordBytes),
      mask,
    });
    if (actions.discards(signal)) discardPending(task.process, signal);
  }
  if (previous !== 0) {
    task.memory.writeWord(previous, old.handler, wordBytes);
    task.memory.writeWord(previous + wordBytes, old.flags, wordBytes);
    task.memory.writeWord(previous + 2 * wordBytes, old.restorer, wordBytes);
    writeSet(task, previous + 3 * wordBytes, old.mask);
  }
  return 0;
};

function discardPending(process: GuestProcess, signal: number): void {
  process.pending.discard(signal);
  for (const task of process.tasks.values()) task.pending.discard(signal);
}

/** i386's old sigaction: handler 0, mask 4 (32 bits), flags 8, restorer 12. */
const sysSigaction: CoreHandler = (task, args) => {
  const signal = args.i32(0);
  const { actions } = task.process;
  if (signal < 1 || signal > 64) return -EINVAL;
  const [next, previous] = [args.address(1), args.address(2)];
  if (next !== 0 && (signal === SIGKILL || signal === SIGSTOP)) return -EINVAL;
  const old = actions.get(signal);
  if (next !== 0) {
    actions.set(signal, {
      handler: task.memory.readU32(next),
      mask: new SignalSet(task.memory.readI32(next + 4), 0),
      flags: task.memory.readU32(next + 8),
      restorer: task.memory.readU32(next + 12),
    });
    if (actions.discards(signal)) discardPending(task.process, signal);
  }
  if (previous !== 0) {
    task.memory.writeU32(previous, old.handler);
    task.memory.writeU32(previous + 4, old.mask.lo);
    task.memory.writeU32(previous + 8, old.flags);
    task.memory.writeU32(previous + 12, old.restorer);
  }
  return 0;
};

/** signal(2) of i386: SA_RESETHAND | SA_NODEFER. */
const sysSignal: CoreHandler = (task, args) => {
  const signal = args.i32(0);
  if (signal < 1 || signal > 64 || signal === SIGKILL || signal === SIGSTOP) return -EINVAL;
  const old = task.process.actions.get(signal);
  task.process.actions.set(signal, {
    handler: args.address(1),
    flags: 0xc000_0000,
    restorer: 0,
    mask: new SignalSet(),
  });
  return old.handler;
};

function changeMask(task: GuestTask, how: number, set: SignalSet): number {
  const { signalMask } = task;
  if (how === 0) task.setMask(new SignalSet(signalMask.lo | set.lo, signalMask.hi | set.hi));
  else if (how === 1) task.setMask(new SignalSet(signalMask.lo & ~set.lo, signalMask.hi & ~set.hi));
  else if (how === 2) task.setMask(set);
  else return -EINVAL;
  return 0;
}

const sysRtSigprocmask: CoreHandler = (task, args) => {
  if (args.address(3) !== SIGNAL_SET_BYTES) return -EINVAL;
  const old = task.signalMask.clone();
  if (args.address(1) !== 0) {
    const result = changeMask(task, args.i32(0), readSet(task, args.address(1)));
    if (result < 0) return result;
  }
  if (args.address(2) !== 0) writeSet(task, args.address(2), old);
  return 0;
};

/** i386's old sigprocmask: 32 signals; the others stay. */
const sysSigprocmask: CoreHandler = (task, args) => {
  const old = task.signalMask.clone();
  if (args.address(1) !== 0) {
    const how = args.i32(0);
    const set = new SignalSet(task.memory.readI32(args.address(1)), how === 2 ? old.hi : 0);
    const result = changeMask(task, how, set);
    if (result < 0) return result;
  }
  if (args.address(2) !== 0) task.memory.writeU32(args.address(2), old.lo);
  return 0;
};

const sysRtSigpending: CoreHandler = (task, args) => {
  const size = args.address(1);
  if (size > SIGNAL_SET_BYTES) return -EINVAL;
  const set = task.pendingSignals();
  const blocked = new SignalSet(set.lo & task.signalMask.lo, set.hi & task.signalMask.hi);
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, blocked.lo, true);
  view.setInt32(4, blocked.hi, true);
  task.memory.writeBytes(args.address(0), bytes.subarray(0, size));
  return 0;
};

/** i386's old sigpending: 32 signals. */
const sysSigpending: CoreHandler = (task, args) => {
  task.memory.writeU32(args.address(0), task.pendingSignals().lo & task.signalMask.lo);
  return 0;
};

/** Sleeps until a signal has run a handler. */
function sleepForSignal(task: GuestTask): SyscallResult {
  return task.block({ on: [], interrupt: "eintr", retry: () => sleepForSignal(task) });
}

const sysRtSigsuspend: CoreHandler = (task, args) => {
  if (args.address(1) !== SIGNAL_SET_BYTES) return -EINVAL;
  task.setTemporaryMask(readSet(task, args.address(0)));
  return sleepForSignal(task);
};

/** i386: the mask is the third argument. */
const sysSigsuspend: CoreHandler = (task, args) => {
  task.setTemporaryMask(new SignalSet(args.i32(2), 0));
  return sleepForSignal(task);
};

function timedwait(task: GuestTask, args: SyscallArguments, width: "wide" | "narrow"): SyscallResult {
  if (args.address(3) !== SIGNAL_SET_BYTES) return -EINVAL;
  const set = readSet(task, args.address(0));
  set.delete(SIGKILL);
  set.delete(SIGSTOP);
  const infoAddress = args.address(1);
  const timeout = args.address(2);
  const deadlineNs = timeout === 0 ? Infinity : task.kernel.clock.monotonicNs() + readNs(task, timeout, width);
  const attempt = (reason: "woken" | "timeout"): SyscallResult => {
    const info = task.dequeueSignal(set);
    if (info !== null) {
      if (infoAddress !== 0) task.memory.writeBytes(infoAddress, encodeSignalInfo(info, args.wordBytes));
      return info.signal;
    }
    if (reason === "timeout" || deadlineNs <= task.kernel.clock.monotonicNs()) return -EAGAIN;
    return task.block({ on: [task.signalArrived], deadlineNs, interrupt: "eintr", retry: attempt });
  };
  return attempt("woken");
}

function maySignal(task: GuestTask, target: GuestProcess, signal: number): boolean {
  const { euid, ruid } = task.credentials;
  const other = target.mainTask()?.credentials;
  if (euid === 0 || other === undefined || target === task.process) return true;
  if (signal === SIGCONT && target.session === task.process.session) return true;
  return [euid, ruid].some((id) => id === other.ruid || id === other.suid);
}

function infoFromCaller(task: GuestTask, signal: number, code: number): SignalInfo {
  return { signal, code, pid: task.process.pid, uid: task.credentials.ruid };
}

const sysKill: CoreHandler = (task, args) => {
  const pid = args.i32(0);
  const signal = args.i32(1);
  if (signal < 0 || signal > 64) return -EINVAL;
  const { kernel, process } = task;
  let targets: GuestProcess[];
  if (pid > 0) {
    const target = kernel.processes.get(pid) ?? kernel.tasks.get(pid)?.process;
    targets = target === undefined ? [] : [target];
  } else if (pid === -1) {
    targets = [...kernel.processes.values()].filter((target) => target !== process);
  } else {
    const group = pid === 0 ? process.group : kernel.groups.groups.get(-pid);
    targets = group === undefined ? [] : [...group.members];
  }
  if (targets.length === 0) return -ESRCH;
  const allowed = targets.filter((target) => maySignal(task, target, signal));
  if (allowed.length === 0) return -EPERM;
  if (signal !== 0) for (const target of allowed) target.sendSignal(infoFromCaller(task, signal, SI_USER));
  return 0;
};

function sendTo(task: GuestTask, group: number | null, tid: number, info: SignalInfo): number {
  const { signal } = info;
  if (tid <= 0 || (group !== null && group <= 0) || signal < 0 || signal > 64) return -EINVAL;
  const target = task.kernel.tasks.get(tid);
  if (target === undefined || (group !== null && target.process.pid !== group)) return -ESRCH;
  if (!maySignal(task, target.process, signal)) return -EPERM;
  if (signal !== 0 && !sendToTask(target, info)) return -EAGAIN;
  return 0;
}

const sysTkill: CoreHandler = (task, args) =>
  sendTo(task, null, args.i32(0), infoFromCaller(task, args.i32(1), SI_TKILL));
const sysTgkill: CoreHandler = (task, args) =>
  sendTo(task, args.i32(0), args.i32(1), infoFromCaller(task, args.i32(2), SI_TKILL));

/** A program may not pretend that the kernel or kill(2) sent its signal to another process. */
function readInfo(
  task: GuestTask,
  address: number,
  signal: number,
  wordBytes: 8 | 4,
  own: boolean,
): SignalInfo | number {
  const info = decodeSignalInfo(task.memory.readBytes(address, SIGINFO_BYTES), signal, wordBytes);
  return !own && (info.code >= 0 || info.code === SI_TKILL) ? -EPERM : info;
}

const sysRtSigqueueinfo: CoreHandler = (task, args) => {
  const pid = args.i32(0);
  const signal = args.i32(1);
  if (signal < 0 || signal > 64) return -EINVAL;
  const info = readInfo(task, args.address(2), signal, args.wordBytes, pid === task.process.pid);
  if (typeof info === "number") return info;
  const target = task.kernel.processes.get(pid);
  if (target === undefined) return -ESRCH;
  if (!maySignal(task, target, signal)) return -EPERM;
  return signal === 0 || sendToProcess(target, info) ? 0 : -EAGAIN;
};

const sysRtTgsigqueueinfo: CoreHandler = (task, args) => {
  const info = readInfo(task, args.address(3), args.i32(2), args.wordBytes, args.i32(0) === task.process.pid);
  return typeof info === "number" ? info : sendTo(task, args.i32(0), args.i32(1), info);
};

const sysPidfdSendSignal: CoreHandler = (task, args) => {
  const file = task.files.get(args.i32(0));
  if (file === undefined) return -EBADF;
  const named = processOfFile(task, file);
  if (named === null) return -EBADF;
  const signal = args.i32(1);
  if (signal < 0 || signal > 64 || args.u32(3) !== 0) return -EINVAL;
  const target = task.kernel.processes.get(named.pid);
  if (target === undefined || target !== named) return -ESRCH;
  if (!maySignal(task, target, signal)) return -EPERM;
  if (signal === 0) return 0;
  const address = args.address(2);
  const info =
    address === 0
      ? infoFromCaller(task, signal, SI_USER)
      : readInfo(task, address, signal, args.wordBytes, target === task.process);
  if (typeof info === "number") return info;
  return sendToProcess(target, info) ? 0 : -EAGAIN;
};

const SS_ONSTACK = 1;
const SS_DISABLE = 2;
const SS_AUTODISARM = 0x8000_0000;
const MINSIGSTKSZ = 2048;

const sysSigaltstack: CoreHandler = (task, args) => {
  const { wordBytes } = args;
  const [next, previous] = [args.address(0), args.address(1)];
  const stackPointer = (task.cpu.getLo(RSP) >>> 0) + (wordBytes === 8 ? (task.cpu.getHi(RSP) >>> 0) * 2 ** 32 : 0);
  const onStack = isOnAlternateStack(task, stackPointer);
  const old = { ...task.alternateStack };
  if (next !== 0) {
    const address = task.memory.readWord(next, wordBytes);
    const flags = task.memory.readU32(next + wordBytes);
    const size = task.memory.readWord(next + 2 * wordBytes, wordBytes);
    if (onStack) return -EPERM;
    const mode = (flags & ~SS_AUTODISARM) >>> 0;
    if (mode !== 0 && mode !== SS_ONSTACK && mode !== SS_DISABLE) return -EINVAL;
    if (mode === SS_DISABLE) task.alternateStack = { address: 0, size: 0, flags: SS_DISABLE };
    else if (size < MINSIGSTKSZ) return -ENOMEM;
    else task.alternateStack = { address, size, flags: (flags & SS_AUTODISARM) >>> 0 };
  }
  if (previous !== 0) {
    task.memory.writeWord(previous, old.address, wordBytes);
    task.memory.writeU32(previous + wordBytes, (old.flags | (onStack ? SS_ONSTACK : 0)) >>> 0);
    task.memory.writeWord(previous + 2 * wordBytes, old.size, wordBytes);
  }
  return 0;
};

function restoreStack(task: GuestTask, stack: { address: number; flags: number; size: number }): void {
  const mode = (stack.flags & ~(SS_AUTODISARM | SS_ONSTACK)) >>> 0;
  task.alternateStack =
    mode === 0 && stack.size >= MINSIGSTKSZ
      ? { address: stack.address, size: stack.size, flags: (stack.flags & SS_AUTODISARM) >>> 0 }
      : { address: 0, size: 0, flags: SS_DISABLE };
}

/** After a sigreturn every register is the frame's: the call leaves no result of its own. */
function sigreturn(task: GuestTask, pop: () => void): number {
  try {
    pop();
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    // A bad frame: nothing to return to.
    exitProcess(task.process, 11);
    return 0;
  }
  task.call = null;
  return 0;
}

const sysRtSigreturn: CoreHandler = (task, args) =>
  sigreturn(task, () => {
    const { mask, alternateStack } = (args.abi === "x86-64" ? popFrame64 : popRtFrame32)(task.cpu, task.memory);
    task.setMask(mask);
    restoreStack(task, alternateStack);
  });

const sysSigreturn: CoreHandler = (task) => sigreturn(task, () => task.setMask(popFrame32(task.cpu, task.memory)));

const sysRestartSyscall: CoreHandler = () => -EINTR;

export const signalSyscalls: readonly SyscallDefinition[] = [
  row("rt_sigaction", 13, 174, sysRtSigaction, "signal pointer pointer size"),
  row("sigaction", -1, 67, sysSigaction, "signal pointer pointer"),
  row("signal", -1, 48, sysSignal, "signal pointer"),
  row("rt_sigprocmask", 14, 175, sysRtSigprocmask, "int pointer pointer size"),
  row("sigprocmask", -1, 126, sysSigprocmask, "int pointer pointer"),
  row("rt_sigreturn", 15, 173, sysRtSigreturn),
  row("sigreturn", -1, 119, sysSigreturn),
  row("rt_sigpending", 127, 176, sysRtSigpending, "pointer size"),
  row("sigpending", -1, 73, sysSigpending, "pointer"),
  row("sgetmask", -1, 68, (task) => task.signalMask.lo),
  row(
    "ssetmask",
    -1,
    69,
    (task, args) => {
      const old = task.signalMask.lo;
      task.setMask(new SignalSet(args.i32(0), task.signalMask.hi));
      return old;
    },
    "hex",
  ),
  row(
    "rt_sigtimedwait",
    128,
    177,
    (task, args) => timedwait(task, args, widthOf(args)),
    "pointer pointer pointer size",
  ),
  row("rt_sigtimedwait_time64", -1, 421, (task, args) => timedwait(task, args, "wide"), "pointer pointer pointer size"),
  row("rt_sigqueueinfo", 129, 178, sysRtSigqueueinfo, "int signal pointer"),
  row("rt_tgsigqueueinfo", 297, 335, sysRtTgsigqueueinfo, "int int signal pointer"),
  row("rt_sigsuspend", 130, 179, sysRtSigsuspend, "pointer size"),
  row("sigsuspend", -1, 72, sysSigsuspend, "int int hex"),
  row("sigaltstack", 131, 186, sysSigaltstack, "pointer pointer"),
  row("pause", 34, 29, (task) => sleepForSignal(task)),
  row("kill", 62, 37, sysKill, "int signal"),
  row("tkill", 200, 238, sysTkill, "int signal"),
  row("tgkill", 234, 270, sysTgkill, "int int signal"),
  row("pidfd_send_signal", 424, 424, sysPidfdSendSignal, "fd signal pointer hex"),
  row("restart_syscall", 219, 0, sysRestartSyscall),
];
