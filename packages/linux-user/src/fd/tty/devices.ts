/** All terminals of a guest: the table behind /dev/pts, /dev/ptmx, /dev/tty and /dev/console. */
import { ENOENT, ENOSPC, ENXIO } from "../../kernel/errno.ts";
import type { Task } from "../../kernel/task.ts";
import { failed, makeDevice, O_CLOEXEC, O_NOCTTY, type Failure } from "../../vfs/constants.ts";
import type { TerminalDevices } from "../../vfs/devfs.ts";
import type { Caller, Filesystem } from "../../vfs/inode.ts";
import { installFile } from "../../vfs/sys-open.ts";
import type { OpenFile } from "../open-file.ts";
import type { Terminal } from "./terminal.ts";
import { Pty, PtyMasterFile, TtyFile } from "./tty-file.ts";

/** /proc/sys/kernel/pty/max. */
const MAX_PTYS = 4096;
/** Major number of Unix98 slaves. */
const PTS_MAJOR = 136;

export class TerminalTable implements TerminalDevices {
  readonly #ptys: Map<number, Pty> = new Map();
  /** The terminal the emulator was started from, if there is one: /dev/pts/0. */
  console: Terminal | undefined = undefined;

  #pts: Filesystem | undefined = undefined;

  mounted(pts: Filesystem): void {
    this.#pts = pts;
  }

  openMaster(flags: number, caller: Caller): OpenFile | Failure {
    let index = this.console === undefined ? 0 : 1;
    while (this.#ptys.has(index)) index++;
    if (index >= MAX_PTYS) return -ENOSPC;
    const pty = new Pty(index, makeDevice(PTS_MAJOR, index));
    pty.terminal.kernel = caller.kernel;
    pty.owner = { uid: caller.credentials.fsuid, gid: caller.credentials.fsgid };
    this.#ptys.set(index, pty);
    const install = (task: Task, file: OpenFile, openFlags: number): number => {
      const inode = this.#pts?.root.lookup(String(index), task);
      if (inode !== undefined && !failed(inode)) file.inode = inode;
      return installFile(task, file, (openFlags & O_CLOEXEC) !== 0);
    };
    return new PtyMasterFile(pty, flags, () => this.#ptys.delete(index), install);
  }

  openSlave(index: number, flags: number, caller: Caller): OpenFile | Failure {
    if (index === 0 && this.console !== undefined) return this.openConsole(flags, caller);
    const pty = this.#ptys.get(index);
    if (pty === undefined) return -ENOENT;
    const file = pty.openSlave(flags);
    if (!failed(file)) becomeControlling(pty.terminal, flags, caller);
    return file;
  }

  openControlling(flags: number, caller: Caller): OpenFile | Failure {
    const { terminal } = caller.process.session;
    return terminal === null ? -ENXIO : this.#another(terminal as Terminal, flags);
  }

  openConsole(flags: number, caller: Caller): OpenFile | Failure {
    if (this.console === undefined) return -ENXIO;
    becomeControlling(this.console, flags, caller);
    return new TtyFile(this.console, flags);
  }

  #another(terminal: Terminal, flags: number): OpenFile | Failure {
    const pty = [...this.#ptys.values()].find((candidate) => candidate.terminal === terminal);
    return pty?.openSlave(flags) ?? new TtyFile(terminal, flags);
  }

  slaves(): number[] {
    return [...(this.console === undefined ? [] : [0]), ...this.#ptys.keys()];
  }

  ownerOf(index: number): { uid: number; gid: number } {
    return this.#ptys.get(index)?.owner ?? { uid: 0, gid: 0 };
  }
}

/** open(2) of a terminal by a session leader without one. */
function becomeControlling(terminal: Terminal, flags: number, caller: Caller): void {
  terminal.kernel ??= caller.kernel;
  if ((flags & O_NOCTTY) !== 0) return;
  const { session } = caller.process;
  if (session.leader !== caller.process || session.terminal !== null) return;
  if (terminal.session === null) terminal.attach(caller, false);
}
