/** poll, ppoll, select, pselect6. */
import { EBADF, EINVAL, SyscallError } from "../kernel/errno.ts";
import { SignalSet } from "../kernel/signal-info.ts";
import type { SyscallArguments, SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult, WaitQueue } from "../kernel/wait.ts";
import { filesOf } from "../vfs/handler-tools.ts";
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLPRI,
  POLLRDBAND,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
} from "./open-file.ts";
import { descriptorLimit } from "../vfs/sys-open.ts";

const ALWAYS = POLLERR | POLLHUP;

/** Reads a timespec as nanoseconds; undefined for a null pointer. */
export function readTimeout(task: Task, address: number, wordBytes: 8 | 4): number | undefined {
  if (address === 0) return undefined;
  const seconds = wordBytes === 8 ? task.memory.readI64(address) : task.memory.readI32(address);
  const nanoseconds = task.memory.readI32(address + wordBytes);
  if (seconds < 0 || nanoseconds < 0 || nanoseconds > 999_999_999) throw new SyscallError(EINVAL);
  return seconds * 1e9 + nanoseconds;
}

/** Installs the signal mask of ppoll, pselect and epoll_pwait, if there is one. */
export function readTemporaryMask(task: Task, address: number, size: number): void {
  if (address === 0) return;
  if (size !== 8) throw new SyscallError(EINVAL);
  task.setTemporaryMask(new SignalSet(task.memory.readU32(address), task.memory.readU32(address + 4)));
}

function deadlineOf(task: Task, timeoutNs: number | undefined): number | undefined {
  return timeoutNs === undefined ? undefined : task.kernel.clock.monotonicNs() + timeoutNs;
}

interface Waiting {
  readonly queues: WaitQueue[];
  ready: number;
}

/** Runs `scan` until something is ready or time is up; `scan` collects the queues to wait on. */
function waitUntilReady(task: Task, deadlineNs: number | undefined, scan: (waiting: Waiting) => void): SyscallResult {
  const attempt = (last: boolean): SyscallResult => {
    const waiting: Waiting = { queues: [], ready: 0 };
    scan(waiting);
    if (waiting.ready > 0 || last) return waiting.ready;
    if (deadlineNs !== undefined && task.kernel.clock.monotonicNs() >= deadlineNs) return 0;
    return task.block({
      on: waiting.queues,
      interrupt: "eintr",
      retry: (reason) => attempt(reason === "timeout"),
      ...(deadlineNs === undefined ? {} : { deadlineNs }),
    });
  };
  return attempt(false);
}

/** struct pollfd: fd, events, revents (8 bytes). */
function poll(task: Task, at: number, count: number, deadlineNs: number | undefined): SyscallResult {
  if (count > descriptorLimit(task)) return -EINVAL;
  const { memory } = task;
  return waitUntilReady(task, deadlineNs, (waiting) => {
    for (let index = 0; index < count; index++) {
      const entry = at + index * 8;
      const mask = pollOne(task, memory.readI32(entry), memory.readU16(entry + 4), waiting);
      memory.writeU16(entry + 6, mask);
      if (mask !== 0) waiting.ready++;
    }
  });
}

function pollOne(task: Task, fd: number, events: number, waiting: Waiting): number {
  if (fd < 0) return 0;
  const file = filesOf(task).get(fd);
  if (file === undefined || file.isPathOnly) return POLLNVAL;
  waiting.queues.push(...file.queues(task));
  return file.poll(task) & (events | ALWAYS);
}

const sysPoll: SyscallHandler = (task, args) => {
  const timeoutMs = args.i32(2);
  return poll(task, args.address(0), args.u32(1), deadlineOf(task, timeoutMs < 0 ? undefined : timeoutMs * 1e6));
};

/** The remaining time goes back to the caller, as the kernel does for ppoll, select and pselect6. */
function withRemaining(
  task: Task,
  at: number,
  deadlineNs: number | undefined,
  write: (task: Task, at: number, remainingNs: number) => void,
  result: SyscallResult,
): SyscallResult {
  if (deadlineNs !== undefined && at !== 0 && typeof result === "number") {
    write(task, at, Math.max(0, deadlineNs - task.kernel.clock.monotonicNs()));
  }
  return result;
}

function writeTimespec(wordBytes: 8 | 4) {
  return (task: Task, at: number, remainingNs: number): void => {
    task.memory.writeWord(at, Math.floor(remainingNs / 1e9), wordBytes);
    task.memory.writeWord(at + wordBytes, Math.floor(remainingNs % 1e9), wordBytes);
  };
}

function writeTimeval(wordBytes: 8 | 4) {
  return (task: Task, at: number, remainingNs: number): void => {
    task.memory.writeWord(at, Math.floor(remainingNs / 1e9), wordBytes);
    task.memory.writeWord(at + wordBytes, Math.floor((remainingNs % 1e9) / 1000), wordBytes);
  };
}

function ppoll(wordBytes: 8 | 4): SyscallHandler {
  return (task, args) => {
    const deadline = deadlineOf(task, readTimeout(task, args.address(2), wordBytes));
    readTemporaryMask(task, args.address(3), args.address(4));
    const result = poll(task, args.address(0), args.u32(1), deadline);
    return withRemaining(task, args.address(2), deadline, writeTimespec(wordBytes), result);
  };
}

const READ_EVENTS = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR;
const WRITE_EVENTS = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR;
const EXCEPT_EVENTS = POLLPRI;
const SET_EVENTS = [READ_EVENTS, WRITE_EVENTS, EXCEPT_EVENTS] as const;

/** The three descriptor sets of select(2): bitmaps of whole words, read once and written at the end. */
function select(task: Task, count: number, sets: readonly number[], deadlineNs: number | undefined): SyscallResult {
  if (count < 0) return -EINVAL;
  const limit = Math.min(count, Math.max(1024, descriptorLimit(task)));
  const bytes = Math.ceil(limit / 64) * 8;
  const wanted = sets.map((at) => (at === 0 ? undefined : task.memory.readBytes(at, bytes)));
  const has = (set: Uint8Array | undefined, fd: number): boolean =>
    set !== undefined && ((set[fd >> 3] >> (fd & 7)) & 1) !== 0;
  const fds: number[] = [];
  for (let fd = 0; fd < limit; fd++) if (wanted.some((set) => has(set, fd))) fds.push(fd);
  for (const fd of fds) {
    const file = filesOf(task).get(fd);
    if (file === undefined || file.isPathOnly) return -EBADF;
  }
  return waitUntilReady(task, deadlineNs, (waiting) => {
    const found = wanted.map((set) => (set === undefined ? undefined : new Uint8Array(bytes)));
    for (const fd of fds) {
      const file = filesOf(task).get(fd);
      if (file === undefined) continue;
      waiting.queues.push(...file.queues(task));
      const mask = file.poll(task);
      for (let kind = 0; kind < 3; kind++) {
        if (!has(wanted[kind], fd) || (mask & SET_EVENTS[kind]) === 0) continue;
        found[kind]![fd >> 3] |= 1 << (fd & 7);
        waiting.ready++;
      }
    }
    for (const [kind, at] of sets.entries()) if (at !== 0) task.memory.writeBytes(at, found[kind]!);
  });
}

function readTimevalTimeout(task: Task, at: number, wordBytes: 8 | 4): number | undefined {
  if (at === 0) return undefined;
  const seconds = wordBytes === 8 ? task.memory.readI64(at) : task.memory.readI32(at);
  const microseconds = wordBytes === 8 ? task.memory.readI64(at + 8) : task.memory.readI32(at + 4);
  if (seconds < 0 || microseconds < 0) throw new SyscallError(EINVAL);
  return seconds * 1e9 + microseconds * 1000;
}

const sysSelect: SyscallHandler = (task, args) => {
  const at = args.address(4);
  const deadline = deadlineOf(task, readTimevalTimeout(task, at, args.wordBytes));
  const sets = [args.address(1), args.address(2), args.address(3)];
  return withRemaining(task, at, deadline, writeTimeval(args.wordBytes), select(task, args.i32(0), sets, deadline));
};

/** i386's first select: one pointer to the five arguments. */
const sysOldSelect: SyscallHandler = (task, args) => {
  const base = args.address(0);
  const word = (index: number): number => task.memory.readU32(base + index * 4);
  const deadline = deadlineOf(task, readTimevalTimeout(task, word(4), 4));
  return withRemaining(
    task,
    word(4),
    deadline,
    writeTimeval(4),
    select(task, word(0) | 0, [word(1), word(2), word(3)], deadline),
  );
};

function pselect6(wordBytes: 8 | 4): SyscallHandler {
  return (task, args) => {
    const at = args.address(4);
    const deadline = deadlineOf(task, readTimeout(task, at, wordBytes));
    readPselectMask(task, args);
    const sets = [args.address(1), args.address(2), args.address(3)];
    const result = select(task, args.i32(0), sets, deadline);
    return withRemaining(task, at, deadline, writeTimespec(wordBytes), result);
  };
}

/** The sixth argument points to a pointer to the mask and its size (select(2), "C library/kernel differences"). */
function readPselectMask(task: Task, args: SyscallArguments): void {
  const at = args.address(5);
  if (at === 0) return;
  const { wordBytes } = args;
  readTemporaryMask(task, task.memory.readWord(at, wordBytes), task.memory.readWord(at + wordBytes, wordBytes));
}

const remaining = { partial: "the remaining time is written only when the call did not wait" };

export const pollSyscalls: readonly SyscallDefinition[] = [
  {
    name: "poll",
    x64: 7,
    i386: 168,
    honesty: "supported",
    handler: sysPoll,
    arguments: ["pointer", "unsigned", "int"],
  },
  {
    name: "ppoll",
    x64: 271,
    i386: 309,
    honesty: remaining,
    handler: ppoll(8),
    handler32: ppoll(4),
    arguments: ["pointer", "unsigned", "pointer", "pointer", "size"],
  },
  {
    name: "ppoll_time64",
    x64: -1,
    i386: 414,
    honesty: remaining,
    handler: ppoll(8),
    arguments: ["pointer", "unsigned", "pointer", "pointer", "size"],
  },
  {
    name: "select",
    x64: 23,
    i386: 142,
    honesty: remaining,
    handler: sysSelect,
    arguments: ["int", "pointer", "pointer", "pointer", "pointer"],
  },
  { name: "old_select", x64: -1, i386: 82, honesty: remaining, handler: sysOldSelect, arguments: ["pointer"] },
  {
    name: "pselect6",
    x64: 270,
    i386: 308,
    honesty: remaining,
    handler: pselect6(8),
    handler32: pselect6(4),
    arguments: ["int", "pointer", "pointer", "pointer", "pointer", "pointer"],
  },
  {
    name: "pselect6_time64",
    x64: -1,
    i386: 413,
    honesty: remaining,
    handler: pselect6(8),
    arguments: ["int", "pointer", "pointer", "pointer", "pointer", "pointer"],
  },
];
