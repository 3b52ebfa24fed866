/** Every system call row of the file half, for the one table in `syscalls/`. */
import type { SyscallDefinition } from "../kernel/syscall.ts";
import { messageSyscalls } from "../net/sys-message.ts";
import { socketSyscalls } from "../net/sys-socket.ts";
import { socketcallSyscalls } from "../net/sys-socketcall.ts";
import { attributeSyscalls } from "../vfs/sys-attributes.ts";
import { directorySyscalls } from "../vfs/sys-directory.ts";
import { nameSyscalls } from "../vfs/sys-names.ts";
import { openSyscalls } from "../vfs/sys-open.ts";
import { statSyscalls } from "../vfs/sys-stat.ts";
import { descriptorSyscalls } from "./sys-descriptors.ts";
import { epollSyscalls } from "./sys-epoll.ts";
import { eventSyscalls } from "./sys-events.ts";
import { ioSyscalls } from "./sys-io.ts";
import { pipeSyscalls } from "./sys-pipe.ts";
import { pollSyscalls } from "./sys-poll.ts";

export const fileSyscalls: readonly SyscallDefinition[] = [
  ...openSyscalls,
  ...statSyscalls,
  ...directorySyscalls,
  ...nameSyscalls,
  ...attributeSyscalls,
  ...ioSyscalls,
  ...descriptorSyscalls,
  ...pipeSyscalls,
  ...pollSyscalls,
  ...epollSyscalls,
  ...eventSyscalls,
  ...socketSyscalls,
  ...messageSyscalls,
  ...socketcallSyscalls,
];
