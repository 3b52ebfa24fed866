// A descriptor that names a process (pidfd_open(2)): readable once the process has ended.

import { OpenFile, POLLIN, POLLRDNORM } from "../fd/open-file.ts";
import type { OpenFile as AnyFile } from "../kernel/files.ts";
import type { WaitQueue } from "../kernel/wait.ts";
import { anonymousInode } from "../vfs/anonymous.ts";
import type { FilesystemContext } from "../vfs/walk.ts";
import type { GuestProcess } from "./process.ts";
import type { GuestTask } from "./task.ts";

const O_RDWR = 2;

export class ProcessFile extends OpenFile {
  readonly process: GuestProcess;

  constructor(process: GuestProcess, flags: number) {
    super(O_RDWR | flags);
    this.process = process;
    this.inode = anonymousInode(0o600);
    this.name = "anon_inode:[pidfd]";
  }

  override poll(): number {
    return this.process.isZombie ? POLLIN | POLLRDNORM : 0;
  }

  override queues(): readonly WaitQueue[] {
    return [this.process.stateChanged];
  }

  override describeDetails(): string {
    const pid = this.process.kernel.processes.has(this.process.pid) ? this.process.pid : -1;
    return `Pid:\t${pid}\nNSpid:\t${pid}\n`;
  }
}

/** The process of a pidfd, or of a directory /proc/PID, which stands for one too; null for any other file. */
export function processOfFile(task: GuestTask, file: AnyFile): GuestProcess | null {
  if (file instanceof ProcessFile) return file.process;
  if (!(file instanceof OpenFile) || file.inode?.isDirectory !== true || file.inode.filesystem.name !== "proc")
    return null;
  const pid = /\/(\d+)$/u.exec(file.describe((task.filesystem as FilesystemContext).root))?.[1];
  return pid === undefined ? null : (task.kernel.processes.get(Number(pid)) ?? null);
}
