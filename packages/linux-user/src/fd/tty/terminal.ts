/**
 * A terminal as the kernel has it: settings, window size, session and foreground group, and two directions. What is
 * on its other side is a {@link TerminalPort}: the master of a pty, or the terminal of the host.
 */
import { EAGAIN, EINVAL, EIO, ENOTTY, EPERM } from "../../kernel/errno.ts";
import { SIGCONT, SIGHUP, SIGTTIN, SIGTTOU, SIGWINCH } from "../../kernel/signal-info.ts";
import type { ControllingTerminal, Kernel, Session, Task } from "../../kernel/task.ts";
import { WaitQueue } from "../../kernel/wait.ts";
import { RESTART } from "../blocking.ts";
import { gather, type Transfer } from "../transfer.ts";
import { LineDiscipline } from "./line-discipline.ts";
import { OutputProcessor } from "./output.ts";
import { TOSTOP, type Termios } from "./termios.ts";

const SI_KERNEL = 0x80;

export interface WindowSize {
  rows: number;
  columns: number;
  pixelWidth: number;
  pixelHeight: number;
}

/** Where output goes and input comes from. */
export interface TerminalPort {
  /** Takes bytes; returns how many, 0 when it is full for now (the port wakes the terminal's queue later). */
  send(bytes: Uint8Array): number;
  /** Whether `send` would take something. */
  readonly hasRoom: boolean;
  /** Input is wanted: a read or poll. */
  wanted?(): void;
  /** Settings changed. */
  configured?(termios: Termios): void;
  /** False while the host's own driver still processes output. */
  readonly processesOutput: boolean;
  /** The other side is gone. */
  readonly hungUp: boolean;
}

/** Output is processed in pieces, so that a partly taken one has a known meaning. */
const OUTPUT_CHUNK = 2048;

export class Terminal implements ControllingTerminal {
  readonly queue: WaitQueue = new WaitQueue();
  readonly discipline: LineDiscipline;
  readonly output: OutputProcessor = new OutputProcessor();
  readonly size: WindowSize = { rows: 24, columns: 80, pixelWidth: 0, pixelHeight: 0 };
  /** As in /dev: "pts/3". */
  readonly name: string;
  /** Device number of the slave. */
  readonly device: number;
  port: TerminalPort | undefined = undefined;
  session: Session | null = null;
  foregroundGroup = 0;
  /** XOFF, or TCOOFF. */
  stopped = false;
  /** Processed bytes that the port did not take. */
  #unsent: Uint8Array = new Uint8Array(0);
  /** The kernel, known from the first process that has to do with it. */
  kernel: Kernel | undefined = undefined;

  constructor(name: string, device: number) {
    this.name = name;
    this.device = device;
    this.discipline = new LineDiscipline({
      echo: (bytes) => this.#echo(bytes),
      signal: (signal) => this.signalForeground(signal),
      flow: (stopped) => this.setStopped(stopped),
      flushOutput: () => this.flushOutput(),
    });
  }

  get termios(): Termios {
    return this.discipline.termios;
  }

  setTermios(termios: Termios): void {
    this.discipline.setTermios(termios);
    this.port?.configured?.(termios);
    this.queue.wakeAll();
  }

  setStopped(stopped: boolean): void {
    this.stopped = stopped;
    if (!stopped) this.resume();
  }

  flushOutput(): void {
    this.#unsent = new Uint8Array(0);
  }

  /** Bytes from the other side. */
  receive(bytes: Uint8Array): void {
    this.discipline.receive(bytes);
    this.queue.wakeAll();
  }

  #process(bytes: Uint8Array): Uint8Array {
    return this.port?.processesOutput === true ? this.output.process(bytes, this.termios) : bytes;
  }

  /** Echo is never refused: what does not fit waits before everything else. */
  #echo(bytes: Uint8Array): void {
    const processed = this.#process(bytes);
    const sent = this.#unsent.length > 0 ? 0 : (this.port?.send(processed) ?? processed.length);
    this.#keep(processed.subarray(sent));
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const joined = new Uint8Array(this.#unsent.length + bytes.length);
    joined.set(this.#unsent);
    joined.set(bytes, this.#unsent.length);
    this.#unsent = joined;
  }

  /** The port has room again. */
  resume(): void {
    if (this.#unsent.length > 0 && this.port !== undefined) {
      this.#unsent = this.#unsent.subarray(this.port.send(this.#unsent));
    }
    this.queue.wakeAll();
  }

  get canWrite(): boolean {
    return !this.stopped && this.#unsent.length === 0 && this.port?.hasRoom === true;
  }

  write(from: Transfer): number {
    if (this.port === undefined || this.port.hungUp) return -EIO;
    if (from.remaining === 0) return 0;
    if (!this.canWrite) return -EAGAIN;
    let done = 0;
    while (from.remaining > 0 && this.canWrite) {
      const bytes = gather(from, OUTPUT_CHUNK);
      const processed = this.#process(bytes);
      const sent = this.port.send(processed);
      this.#keep(processed.subarray(sent));
      done += bytes.length;
    }
    return done;
  }

  read(into: Transfer, nonblocking: boolean): number {
    if (this.port === undefined || this.port.hungUp) {
      const rest = this.discipline.available > 0 ? this.discipline.read(into, true) : 0;
      return Math.max(0, rest);
    }
    this.port.wanted?.();
    const count = this.discipline.read(into, nonblocking);
    if (count < 0) return -EAGAIN;
    // Room for more input, for a pty's master.
    if (count > 0) this.queue.wakeAll();
    return count;
  }

  signalForeground(signal: number): void {
    this.kernel?.findGroup(this.foregroundGroup)?.sendSignal({ signal, code: SI_KERNEL });
  }

  resize(rows: number, columns: number, pixelWidth = 0, pixelHeight = 0): void {
    const { size } = this;
    const same = size.rows === rows && size.columns === columns;
    Object.assign(size, { rows, columns, pixelWidth, pixelHeight });
    if (!same) this.signalForeground(SIGWINCH);
  }

  /**
   * Whether a process may use its terminal now: 0, an error, or RESTART after its group was told to stop
   * (the rules of tty_ioctl(4) and termios(3) about background processes).
   */
  checkForeground(task: Task, signal: number): number {
    const { process } = task;
    if (process.session.terminal !== this || process.group.id === this.foregroundGroup) return 0;
    if (process.ignores(signal)) return signal === SIGTTIN ? -EIO : 0;
    if (process.group.isOrphaned()) return -EIO;
    process.group.sendSignal({ signal, code: SI_KERNEL });
    return RESTART;
  }

  checkWrite(task: Task): number {
    return (this.termios.localFlags & TOSTOP) === 0 ? 0 : this.checkForeground(task, SIGTTOU);
  }

  /** Makes it the controlling terminal of the caller's session (TIOCSCTTY, or open without O_NOCTTY). */
  attach(task: Task, steal: boolean): number {
    const { process } = task;
    const { session } = process;
    if (session.terminal === this) return 0;
    if (session.leader !== process || session.terminal !== null) return -EPERM;
    if (this.session !== null && this.session !== session) {
      if (!steal || task.credentials.euid !== 0) return -EPERM;
      this.session.terminal = null;
    }
    this.kernel = task.kernel;
    session.terminal = this;
    this.session = session;
    this.foregroundGroup = process.group.id;
    return 0;
  }

  /** TIOCNOTTY. */
  detach(task: Task): number {
    const { session } = task.process;
    if (session.terminal !== this) return -ENOTTY;
    if (session.leader === task.process) this.disassociate();
    return 0;
  }

  disassociate(): void {
    const { session } = this;
    if (session === null) return;
    this.signalForeground(SIGHUP);
    this.signalForeground(SIGCONT);
    session.terminal = null;
    this.session = null;
    this.foregroundGroup = 0;
    this.queue.wakeAll();
  }

  /** The other side is gone: the session leader hears SIGHUP, readers see the end. */
  hangUp(): void {
    const leader = this.session?.leader;
    leader?.sendSignal({ signal: SIGHUP, code: SI_KERNEL });
    leader?.sendSignal({ signal: SIGCONT, code: SI_KERNEL });
    this.queue.wakeAll();
  }

  setForeground(task: Task, group: number): number {
    const { process } = task;
    if (process.session.terminal !== this) return -ENOTTY;
    if (group <= 0) return -EINVAL;
    const found = task.kernel.findGroup(group);
    if (found === undefined || found.session !== process.session) return -EPERM;
    this.foregroundGroup = group;
    this.queue.wakeAll();
    return 0;
  }
}
