// The rows of this package's core. Files and sockets bring their own; a kernel is given all of them.

import type { SyscallDefinition } from "../kernel/syscall.ts";
import { absentSyscalls } from "./sys-absent.ts";
import { identitySyscalls } from "./sys-identity.ts";
import { memorySyscalls } from "./sys-memory.ts";
import { processSyscalls } from "./sys-process.ts";
import { signalSyscalls } from "./sys-signal.ts";
import { systemSyscalls } from "./sys-system.ts";
import { threadSyscalls } from "./sys-thread.ts";
import { timeSyscalls } from "./sys-time.ts";

export const coreSyscalls: readonly SyscallDefinition[] = [
  ...memorySyscalls,
  ...processSyscalls,
  ...threadSyscalls,
  ...identitySyscalls,
  ...signalSyscalls,
  ...timeSyscalls,
  ...systemSyscalls,
  ...absentSyscalls,
];
