/** Open descriptions of terminals: the slave of a pty or the console, and the master of a pty. */
import { EAGAIN, EIO, ENXIO } from "../../kernel/errno.ts";
import { SIGTTIN } from "../../kernel/signal-info.ts";
import type { Task } from "../../kernel/task.ts";
import { WaitQueue, type SyscallResult } from "../../kernel/wait.ts";
import { failed, S_IFCHR, type Failure } from "../../vfs/constants.ts";
import type { FileStatus } from "../../vfs/inode.ts";
import { ByteQueue } from "../byte-queue.ts";
import { OpenFile, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from "../open-file.ts";
import { gather, type Transfer } from "../transfer.ts";
import { Terminal, type TerminalPort } from "./terminal.ts";
import { terminalIoctl } from "./tty-ioctl.ts";

export class TtyFile extends OpenFile {
  readonly terminal: Terminal;
  readonly #released: (() => void) | undefined;

  constructor(terminal: Terminal, flags: number, released?: () => void) {
    super(flags, terminal.queue);
    this.terminal = terminal;
    this.name = `/dev/${terminal.name}`;
    this.#released = released;
  }

  protected override closed(): void {
    this.#released?.();
  }

  override read(into: Transfer, task: Task): number {
    return this.terminal.checkForeground(task, SIGTTIN) || this.terminal.read(into, this.nonblocking);
  }

  override write(from: Transfer, task: Task): number {
    return this.terminal.checkWrite(task) || this.terminal.write(from);
  }

  override readDeadlineNs(task: Task): number | undefined {
    const timeoutNs = this.terminal.discipline.readTimeoutNs;
    return timeoutNs === undefined ? undefined : task.kernel.clock.monotonicNs() + timeoutNs;
  }

  /** VTIME ran out: no byte, which is not an error. */
  override get readTimeoutResult(): number {
    return 0;
  }

  override poll(): number {
    const { terminal } = this;
    if (terminal.port?.hungUp !== false) return POLLIN | POLLOUT | POLLHUP | POLLERR;
    terminal.port.wanted?.();
    let mask = 0;
    if (terminal.discipline.isReadable) mask |= POLLIN | POLLRDNORM;
    if (terminal.canWrite) mask |= POLLOUT | POLLWRNORM;
    return mask;
  }

  override ioctl(task: Task, request: number, argument: number): SyscallResult {
    return terminalIoctl(task, this.terminal, request, argument, false);
  }

  override status(): FileStatus | Failure {
    const status = super.status();
    if (failed(status)) return status;
    // The console's inode is whatever was inherited; what programs ask is whether this is a terminal.
    return { ...status, mode: S_IFCHR | (status.mode & 0o7777), rdev: this.terminal.device };
  }

  override reopen(flags: number): OpenFile {
    return new TtyFile(this.terminal, flags);
  }

  override describe(): string {
    return this.name;
  }
}

/** Bytes of a slave's output that its master has not read yet. */
const MASTER_BYTES = 65536;
/** Input that the slave has not read: beyond it the master must wait, as n_tty throttles. */
const SLAVE_BYTES = 4096;

/** The pair as both sides see it. */
export class Pty implements TerminalPort {
  readonly terminal: Terminal;
  readonly index: number;
  readonly masterQueue: WaitQueue = new WaitQueue();
  readonly output: ByteQueue = new ByteQueue();
  readonly processesOutput = true;
  /** TIOCSPTLCK: a slave cannot be opened before unlockpt(3). */
  locked = true;
  masterOpen = true;
  slaves = 0;
  everOpened = false;
  owner = { uid: 0, gid: 0 };

  constructor(index: number, device: number) {
    this.index = index;
    this.terminal = new Terminal(`pts/${index}`, device);
    this.terminal.port = this;
    // What wakes the slave's side may matter to the master: room for more input.
    this.terminal.queue.add({ wake: () => this.masterQueue.wakeAll() });
  }

  send(bytes: Uint8Array): number {
    const count = Math.min(bytes.length, MASTER_BYTES - this.output.length);
    if (count <= 0) return 0;
    this.output.push(bytes.subarray(0, count));
    this.masterQueue.wakeAll();
    return count;
  }

  get hasRoom(): boolean {
    return this.output.length < MASTER_BYTES;
  }

  get hungUp(): boolean {
    return !this.masterOpen;
  }

  openSlave(flags: number): TtyFile | Failure {
    if (this.locked || !this.masterOpen) return -EIO;
    this.slaves++;
    this.everOpened = true;
    return new TtyFile(this.terminal, flags, () => {
      this.slaves--;
      this.masterQueue.wakeAll();
    });
  }
}

const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTLCK = 0x80045439;
const TIOCGPTPEER = 0x5441;
const FIONREAD = 0x541b;
const TIOCPKT = 0x5420;
const TIOCSIG = 0x40045436;

export class PtyMasterFile extends OpenFile {
  readonly pty: Pty;
  readonly #released: () => void;
  /** Opens a descriptor for TIOCGPTPEER. */
  readonly #install: (task: Task, file: OpenFile, flags: number) => number;

  constructor(
    pty: Pty,
    flags: number,
    released: () => void,
    install: (task: Task, file: OpenFile, flags: number) => number,
  ) {
    super(flags, pty.masterQueue);
    this.pty = pty;
    this.name = "/dev/ptmx";
    this.#released = released;
    this.#install = install;
  }

  protected override closed(): void {
    this.pty.masterOpen = false;
    this.pty.terminal.hangUp();
    this.#released();
  }

  /** Every slave was closed after there had been one: the master reads EIO (pts(4)). */
  get #orphaned(): boolean {
    return this.pty.everOpened && this.pty.slaves === 0;
  }

  override read(into: Transfer): number {
    const { output, terminal } = this.pty;
    if (output.length === 0) return this.#orphaned ? -EIO : -EAGAIN;
    const count = output.moveTo(into);
    terminal.resume();
    return count;
  }

  override write(from: Transfer): number {
    const { terminal } = this.pty;
    const room = SLAVE_BYTES - terminal.discipline.available;
    // In canonical mode a full line buffer swallows bytes, it never blocks: else nobody could type the newline.
    if (room <= 0 && !terminal.discipline.isEditing) return -EAGAIN;
    const bytes = gather(from, Math.max(room, 256)).slice();
    terminal.receive(bytes);
    return bytes.length;
  }

  override poll(): number {
    const { output, terminal } = this.pty;
    let mask = 0;
    if (output.length > 0) mask |= POLLIN | POLLRDNORM;
    if (terminal.discipline.available < SLAVE_BYTES || terminal.discipline.isEditing) mask |= POLLOUT | POLLWRNORM;
    if (this.#orphaned) mask |= POLLHUP;
    return mask;
  }

  override ioctl(task: Task, request: number, argument: number): SyscallResult {
    const { pty } = this;
    const { memory } = task;
    switch (request) {
      case TIOCGPTN:
        memory.writeU32(argument, pty.index);
        return 0;
      case TIOCSPTLCK:
        pty.locked = memory.readI32(argument) !== 0;
        return 0;
      case TIOCGPTLCK:
        memory.writeU32(argument, pty.locked ? 1 : 0);
        return 0;
      case TIOCGPTPEER: {
        const file = pty.openSlave(argument);
        return failed(file) ? file : this.#install(task, file, argument);
      }
      case FIONREAD:
        memory.writeU32(argument, pty.output.length);
        return 0;
      case TIOCPKT:
        return memory.readI32(argument) === 0 ? 0 : -ENXIO;
      case TIOCSIG:
        pty.terminal.signalForeground(argument);
        return 0;
      default:
        return terminalIoctl(task, pty.terminal, request, argument, true);
    }
  }
}
