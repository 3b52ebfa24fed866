/** socketcall(2): i386's one call for all of them, with a pointer to the arguments. */
import { EINVAL } from "../kernel/errno.ts";
import type { SyscallArguments, SyscallDefinition, SyscallHandler } from "../kernel/syscall.ts";
import type { Task } from "../kernel/task.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { recvfrom, recvmmsg, recvmsg, sendmmsg, sendmsg, sendto } from "./sys-message.ts";
import {
  accept,
  bind,
  connect,
  getpeername,
  getsockname,
  getsockopt,
  listen,
  openSocket,
  setsockopt,
  shutdown,
  socketpair,
} from "./sys-socket.ts";

type Call = (task: Task, args: SyscallArguments, values: readonly number[]) => SyscallResult;

/** By number from 1: how many arguments, and what to do. */
const CALLS: readonly (readonly [count: number, call: Call])[] = [
  [3, (task, _args, [family, type, protocol]) => openSocket(task, family, type, protocol)],
  [3, (task, _args, [fd, at, length]) => bind(task, fd, at, length)],
  [3, (task, _args, [fd, at, length]) => connect(task, fd, at, length)],
  [2, (task, _args, [fd, backlog]) => listen(task, fd, backlog | 0)],
  [3, (task, _args, [fd, at, length]) => accept(task, fd, at, length, 0)],
  [3, (task, _args, [fd, at, length]) => getsockname(task, fd, at, length)],
  [3, (task, _args, [fd, at, length]) => getpeername(task, fd, at, length)],
  [4, (task, _args, [family, type, , at]) => socketpair(task, family, type, at)],
  [4, (task, _args, [fd, at, length, flags]) => sendto(task, [fd, at, length, flags, 0, 0])],
  [4, (task, _args, [fd, at, length, flags]) => recvfrom(task, [fd, at, length, flags, 0, 0])],
  [6, (task, _args, values) => sendto(task, values)],
  [6, (task, _args, values) => recvfrom(task, values)],
  [2, (task, _args, [fd, how]) => shutdown(task, fd, how)],
  [5, (task, args, values) => setsockopt(task, args, values)],
  [5, (task, args, values) => getsockopt(task, args, values)],
  [3, (task, args, [fd, at, flags]) => sendmsg(task, args, fd, at, flags)],
  [3, (task, args, [fd, at, flags]) => recvmsg(task, args, fd, at, flags)],
  [4, (task, _args, [fd, at, length, flags]) => accept(task, fd, at, length, flags)],
  [5, (task, args, values) => recvmmsg(task, args, values, 4)],
  [4, (task, args, values) => sendmmsg(task, args, values)],
];

const sysSocketcall: SyscallHandler = (task, args) => {
  const entry = CALLS[args.i32(0) - 1];
  if (entry === undefined) return -EINVAL;
  const [count, call] = entry;
  const at = args.address(1);
  return call(
    task,
    args,
    Array.from({ length: count }, (_, index) => task.memory.readU32(at + index * 4)),
  );
};

export const socketcallSyscalls: readonly SyscallDefinition[] = [
  {
    name: "socketcall",
    x64: -1,
    i386: 102,
    honesty: { partial: "as the calls it stands for" },
    handler: sysSocketcall,
    arguments: ["int", "pointer"],
  },
];
