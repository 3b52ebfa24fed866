// What the kernel's core asks of files. `fd/` and `vfs/` own the real types; they satisfy these structurally.
// Everything here answers synchronously; `-errno` is the error.

import type { PageSource } from "./memory.ts";
import type { Task } from "./task.ts";

/** An open file description (open(2)), as far as memory mappings and exec need it. */
export interface OpenFile {
  readonly readable: boolean;
  readonly writable: boolean;
  /**
   * What mmap(2) maps, or -errno (ENODEV for pipes and directories, EACCES). `"anonymous"` maps fresh zero pages
   * (/dev/zero).
   */
  mappable(): PageSource | "anonymous" | number;
  /** One more holder: a descriptor, an SCM_RIGHTS message. */
  retain(): void;
  /** One holder fewer; the last one closes the file. */
  release(): void;
}

/** The descriptors of a process; threads and CLONE_FILES share one. */
export interface FileTable {
  get(fd: number): OpenFile | undefined;
  /** Lowest free descriptor >= `from` within `limit` (RLIMIT_NOFILE), or -EMFILE. Takes over one hold on the file. */
  install(
    file: OpenFile,
    options: { readonly closeOnExec: boolean; readonly from?: number; readonly limit: number },
  ): number;
  /** Closes one descriptor: 0 or -errno. */
  close(fd: number): number;
  /** A copy for fork. */
  clone(): FileTable;
  closeOnExec(): void;
  retain(): void;
  /** A user fewer; the last one closes every descriptor. */
  release(): void;
}

/** Current directory, root and umask (clone(2), CLONE_FS). */
export interface FilesystemContext {
  umask: number;
  clone(): FilesystemContext;
}

/** A file that execve is about to load: the checks of permission and type are done. */
export interface ExecutableFile {
  /** Absolute path inside the guest, symbolic links followed (/proc/self/exe). */
  readonly path: string;
  readonly source: PageSource;
  readonly setUserId: number | null;
  readonly setGroupId: number | null;
  /** Called once, when the image is replaced or refused. */
  release(): void;
}

/** The file system as the core sees it. */
export interface FilesystemPort {
  /**
   * Resolves an executable as execveat(2) does: `directory` is a descriptor or AT_FDCWD (-100), `flags` may hold
   * AT_EMPTY_PATH and AT_SYMLINK_NOFOLLOW. -ENOENT, -ENOTDIR, -EACCES (not executable, not a regular file), -ELOOP …
   */
  openExecutable(task: Task, directory: number, path: string, flags: number): ExecutableFile | number;
  /** An unnamed memory file with one hold (memfd_create(2)); MAP_SHARED|MAP_ANONYMOUS does not use it. */
  createMemoryFile?(task: Task, name: string, flags: number): OpenFile | number;
}
