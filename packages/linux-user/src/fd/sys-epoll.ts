/** epoll_create, epoll_ctl, epoll_wait and their variants. */
import { EINVAL, SyscallError } from "../kernel/errno.ts";
import type { SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { O_CLOEXEC } from "../vfs/constants.ts";
import { fileOf } from "../vfs/handler-tools.ts";
import { installFile } from "../vfs/sys-open.ts";
import { EPOLLEXCLUSIVE, EpollFile, type EpollEvent } from "./epoll.ts";
import { readTemporaryMask, readTimeout } from "./sys-poll.ts";

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
/** struct epoll_event is packed on both ABIs: events 4, data 8. */
const EVENT_BYTES = 12;

const sysEpollCreate: SyscallHandler = (task, args) =>
  args.i32(0) <= 0 ? -EINVAL : installFile(task, new EpollFile(), false);

const sysEpollCreate1: SyscallHandler = (task, args) => {
  const flags = args.i32(0);
  return (flags & ~O_CLOEXEC) !== 0 ? -EINVAL : installFile(task, new EpollFile(), flags !== 0);
};

function epollOf(task: Task, fd: number): EpollFile {
  const file = fileOf(task, fd);
  if (!(file instanceof EpollFile)) throw new SyscallError(EINVAL);
  return file;
}

function readEvent(task: Task, at: number): EpollEvent {
  const { memory } = task;
  return { events: memory.readI32(at), dataLo: memory.readI32(at + 4), dataHi: memory.readI32(at + 8) };
}

const sysEpollCtl: SyscallHandler = (task, args) => {
  const operation = args.i32(1);
  const fd = args.i32(2);
  const file = fileOf(task, fd);
  const epoll = epollOf(task, args.i32(0));
  switch (operation) {
    case EPOLL_CTL_ADD:
      return epoll.add(fd, file, readEvent(task, args.address(3)), task);
    case EPOLL_CTL_MOD: {
      const event = readEvent(task, args.address(3));
      return (event.events & EPOLLEXCLUSIVE) !== 0 ? -EINVAL : epoll.modify(fd, file, event);
    }
    case EPOLL_CTL_DEL:
      return epoll.delete(fd, file);
    default:
      return -EINVAL;
  }
};

function wait(task: Task, fd: number, at: number, limit: number, timeoutNs: number | undefined): SyscallResult {
  const epoll = epollOf(task, fd);
  if (limit <= 0 || limit > 178956970) return -EINVAL;
  const { clock } = task.kernel;
  const deadlineNs = timeoutNs === undefined ? undefined : clock.monotonicNs() + timeoutNs;
  const attempt = (last: boolean): SyscallResult => {
    const events = epoll.collect(limit);
    for (const [index, event] of events.entries()) {
      task.memory.writeU32(at + index * EVENT_BYTES, event.events);
      task.memory.writeU64Pair(at + index * EVENT_BYTES + 4, event.dataLo, event.dataHi);
    }
    if (events.length > 0 || last || timeoutNs === 0) return events.length;
    return task.block({
      on: [epoll.queue],
      interrupt: "eintr",
      retry: (reason) => attempt(reason === "timeout"),
      ...(deadlineNs === undefined ? {} : { deadlineNs }),
    });
  };
  return attempt(false);
}

function milliseconds(timeoutMs: number): number | undefined {
  return timeoutMs < 0 ? undefined : timeoutMs * 1e6;
}

const sysEpollWait: SyscallHandler = (task, args) =>
  wait(task, args.i32(0), args.address(1), args.i32(2), milliseconds(args.i32(3)));

const sysEpollPwait: SyscallHandler = (task, args) => {
  readTemporaryMask(task, args.address(4), args.address(5));
  return wait(task, args.i32(0), args.address(1), args.i32(2), milliseconds(args.i32(3)));
};

const sysEpollPwait2: SyscallHandler = (task, args) => {
  const timeout = readTimeout(task, args.address(3), 8);
  readTemporaryMask(task, args.address(4), args.address(5));
  return wait(task, args.i32(0), args.address(1), args.i32(2), timeout);
};

export const epollSyscalls: readonly SyscallDefinition[] = [
  { name: "epoll_create", x64: 213, i386: 254, honesty: "supported", handler: sysEpollCreate, arguments: ["int"] },
  { name: "epoll_create1", x64: 291, i386: 329, honesty: "supported", handler: sysEpollCreate1, arguments: ["hex"] },
  {
    name: "epoll_ctl",
    x64: 233,
    i386: 255,
    honesty: { partial: "EPOLLEXCLUSIVE wakes every waiter" },
    handler: sysEpollCtl,
    arguments: ["fd", "int", "fd", "pointer"],
  },
  {
    name: "epoll_wait",
    x64: 232,
    i386: 256,
    honesty: "supported",
    handler: sysEpollWait,
    arguments: ["fd", "pointer", "int", "int"],
  },
  {
    name: "epoll_pwait",
    x64: 281,
    i386: 319,
    honesty: "supported",
    handler: sysEpollPwait,
    arguments: ["fd", "pointer", "int", "int", "pointer", "size"],
  },
  {
    name: "epoll_pwait2",
    x64: 441,
    i386: 441,
    honesty: "supported",
    handler: sysEpollPwait2,
    arguments: ["fd", "pointer", "int", "pointer", "pointer", "size"],
  },
];
