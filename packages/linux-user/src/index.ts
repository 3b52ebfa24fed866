// The Linux ABI: what an engine implements, what files implement, and the kernel that stands between them.

export * from "./engine-port.ts";
export * from "./kernel/errno.ts";
export type * from "./kernel/files.ts";
export type * from "./kernel/memory.ts";
export { KERNEL_RELEASE, KERNEL_VERSION } from "./kernel/release.ts";
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
export { allSyscalls } from "./syscalls/all-syscalls.ts";
export { coreSyscalls } from "./syscalls/core-syscalls.ts";
export { StraceObserver } from "./syscalls/strace.ts";
export { SyscallTable } from "./syscalls/table.ts";
export { fileSyscalls } from "./fd/syscalls.ts";
export { FileTable } from "./fd/file-table.ts";
export { openInherited } from "./fd/host-stream.ts";
export {
  type AssembledFilesystem,
  assembleFilesystem,
  type AssembleOptions,
  MountError,
  type MountRequest,
} from "./vfs/assemble.ts";
export type { GuestFilesystem } from "./vfs/guest-filesystem.ts";
export type * from "./vfs/host.ts";
export { putFile } from "./vfs/populate.ts";
export type { SystemDescription } from "./vfs/proc-system.ts";
