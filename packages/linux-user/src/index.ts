// The Linux ABI: what an engine implements, what files implement, and the kernel that stands between them.

export * from "./engine-port.ts";
export * from "./kernel/errno.ts";
export type * from "./kernel/files.ts";
export type * from "./kernel/memory.ts";
export * from "./kernel/signal-info.ts";
export type * from "./kernel/syscall.ts";
export type * from "./kernel/task.ts";
export * from "./kernel/wait.ts";
export { AddressSpace } from "./memory/address-space.ts";
export { LAYOUT_I386, LAYOUT_X86_64 } from "./memory/layout.ts";
export type { Layout } from "./memory/layout.ts";
export { PageCache } from "./memory/page-cache.ts";
export { PageFrames } from "./memory/page-frames.ts";
export { GuestMemory } from "./memory/user-memory.ts";
export { isLoadFailure } from "./loader/elf.ts";
export type { LoadFailure } from "./loader/elf.ts";
export { LinuxKernel } from "./process/kernel.ts";
export type { KernelOptions } from "./process/kernel.ts";
export type { KernelObserver } from "./process/observer.ts";
export type { HostLoop } from "./process/scheduler.ts";
export { encodeStrings, spawnProgram } from "./process/spawn.ts";
export type { SpawnedProgram, SpawnOptions } from "./process/spawn.ts";
export { coreSyscalls } from "./syscalls/core-syscalls.ts";
export { SyscallTable } from "./syscalls/table.ts";
