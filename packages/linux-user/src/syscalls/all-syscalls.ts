// Every row that this package has: what a kernel is normally given, and what docs/compatibility.md shows.

import { fileSyscalls } from "../fd/syscalls.ts";
import type { SyscallDefinition } from "../kernel/syscall.ts";
import { coreSyscalls } from "./core-syscalls.ts";

export const allSyscalls: readonly SyscallDefinition[] = [...coreSyscalls, ...fileSyscalls];
