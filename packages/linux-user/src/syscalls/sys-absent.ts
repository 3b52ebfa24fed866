// Calls that Linux has and a program can do without: each with its reason, so that the answer is meant.

import { EPERM } from "../kernel/errno.ts";
import type { SyscallDefinition } from "../kernel/syscall.ts";
import { absent } from "./row.ts";

const NAMESPACES = "no namespaces";
const PRIVILEGED = "belongs to the host's administrator";
const MODULES = "there are no kernel modules";
const KEYS = "no kernel key rings";
const QUEUES = "no message queues";
const SEMAPHORES = "no System V semaphores";
const RING = "no submission rings";

export const absentSyscalls: readonly SyscallDefinition[] = [
  absent("ptrace", 101, 26, "no tracing of other processes", EPERM),
  absent("unshare", 272, 310, NAMESPACES, EPERM),
  absent("setns", 308, 346, NAMESPACES, EPERM),
  absent("reboot", 169, 88, PRIVILEGED, EPERM),
  absent("kexec_load", 246, 283, PRIVILEGED, EPERM),
  absent("kexec_file_load", 320, -1, PRIVILEGED, EPERM),
  absent("acct", 163, 51, PRIVILEGED, EPERM),
  absent("vhangup", 153, 111, PRIVILEGED, EPERM),
  absent("swapon", 167, 87, PRIVILEGED, EPERM),
  absent("swapoff", 168, 115, PRIVILEGED, EPERM),
  absent("ioperm", 173, 101, "no port input and output", EPERM),
  absent("iopl", 172, 110, "no port input and output", EPERM),
  absent("init_module", 175, 128, MODULES, EPERM),
  absent("delete_module", 176, 129, MODULES, EPERM),
  absent("finit_module", 313, 350, MODULES, EPERM),
  absent("create_module", 174, 127, "removed from Linux"),
  absent("uselib", 134, 86, "a.out libraries"),
  absent("_sysctl", 156, 149, "removed from Linux"),
  absent("lookup_dcookie", 212, 253, "profiling"),
  absent("bpf", 321, 357, "no kernel programs", EPERM),
  absent("perf_event_open", 298, 336, "no performance counters"),
  absent("add_key", 248, 286, KEYS),
  absent("request_key", 249, 287, KEYS),
  absent("keyctl", 250, 288, KEYS),
  absent("mq_open", 240, 277, QUEUES),
  absent("mq_unlink", 241, 278, QUEUES),
  absent("mq_timedsend", 242, 279, QUEUES),
  absent("mq_timedreceive", 243, 280, QUEUES),
  absent("mq_notify", 244, 281, QUEUES),
  absent("mq_getsetattr", 245, 282, QUEUES),
  absent("msgget", 68, 399, QUEUES),
  absent("msgsnd", 69, 400, QUEUES),
  absent("msgrcv", 70, 401, QUEUES),
  absent("msgctl", 71, 402, QUEUES),
  absent("semget", 64, 393, SEMAPHORES),
  absent("semop", 65, -1, SEMAPHORES),
  absent("semctl", 66, 394, SEMAPHORES),
  absent("semtimedop", 220, -1, SEMAPHORES),
  absent("io_setup", 206, 245, RING),
  absent("io_destroy", 207, 246, RING),
  absent("io_getevents", 208, 247, RING),
  absent("io_submit", 209, 248, RING),
  absent("io_cancel", 210, 249, RING),
  absent("io_pgetevents", 333, 385, RING),
  absent("io_uring_setup", 425, 425, RING),
  absent("io_uring_enter", 426, 426, RING),
  absent("io_uring_register", 427, 427, RING),
  absent("io_pgetevents_time64", -1, 416, RING),
  absent("mq_timedsend_time64", -1, 418, QUEUES),
  absent("mq_timedreceive_time64", -1, 419, QUEUES),
  absent("semtimedop_time64", -1, 420, SEMAPHORES),
  absent("sysfs", 139, 135, "obsolete"),
  absent("ustat", 136, 62, "obsolete"),
  absent("get_kernel_syms", 177, 130, "removed from Linux"),
  absent("query_module", 178, 167, "removed from Linux"),
  absent("nfsservctl", 180, 169, "removed from Linux"),
  absent("bdflush", -1, 134, "removed from Linux"),
  absent("landlock_create_ruleset", 444, 444, "no security rules"),
  absent("landlock_add_rule", 445, 445, "no security rules"),
  absent("landlock_restrict_self", 446, 446, "no security rules"),
  absent("vm86old", -1, 113, "no virtual 8086 mode"),
  absent("vm86", -1, 166, "no virtual 8086 mode"),
  absent("ipc", -1, 117, "no System V IPC"),
];
