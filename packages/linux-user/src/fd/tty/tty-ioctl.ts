/** The ioctls of terminals (tty_ioctl(4)), the same for console, slave and, where it makes sense, master. */
import { EINVAL, ENOTTY, EPERM } from "../../kernel/errno.ts";
import { SIGTTOU } from "../../kernel/signal-info.ts";
import type { Task } from "../../kernel/task.ts";
import type { SyscallResult } from "../../kernel/wait.ts";
import { RESTART } from "../blocking.ts";
import type { Terminal } from "./terminal.ts";
import {
  decodeTermio,
  decodeTermios,
  encodeTermio,
  encodeTermios,
  TERMIOS2_BYTES,
  TERMIOS_BYTES,
  VSTART,
  VSTOP,
  type Termios,
} from "./termios.ts";

const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TCSETSF = 0x5404;
const TCGETA = 0x5405;
const TCSETA = 0x5406;
const TCSETAF = 0x5408;
const TCSBRK = 0x5409;
const TCXONC = 0x540a;
const TCFLSH = 0x540b;
const TIOCEXCL = 0x540c;
const TIOCNXCL = 0x540d;
const TIOCSCTTY = 0x540e;
const TIOCGPGRP = 0x540f;
const TIOCSPGRP = 0x5410;
const TIOCOUTQ = 0x5411;
const TIOCSTI = 0x5412;
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
const FIONREAD = 0x541b;
const TIOCNOTTY = 0x5422;
const TIOCSETD = 0x5423;
const TIOCGETD = 0x5424;
const TCSBRKP = 0x5425;
const TIOCGSID = 0x5429;
const TCGETS2 = 0x802c542a;
const TCSETS2 = 0x402c542b;
const TCSETSF2 = 0x402c542d;

/** Runs a change that a background process may not make without SIGTTOU. */
function guarded(task: Task, terminal: Terminal, change: () => number): SyscallResult {
  const allowed = terminal.checkForeground(task, SIGTTOU);
  if (allowed === 0) return change();
  if (allowed !== RESTART) return allowed;
  return task.block({ on: [terminal.queue], retry: () => guarded(task, terminal, change) });
}

function setTermios(task: Task, terminal: Terminal, termios: Termios, flushes: boolean): SyscallResult {
  return guarded(task, terminal, () => {
    if (flushes) terminal.discipline.flushInput();
    terminal.setTermios(termios);
    return 0;
  });
}

/** TCSETS, its W and F forms (drain, drain and flush), old and extended. Output is always drained here. */
function changeSettings(task: Task, terminal: Terminal, request: number, at: number): SyscallResult | undefined {
  const { memory } = task;
  const current = terminal.termios;
  if (request >= TCSETS && request <= TCSETSF) {
    return setTermios(task, terminal, decodeTermios(memory.readBytes(at, TERMIOS_BYTES), current), request === TCSETSF);
  }
  if (request >= TCSETA && request <= TCSETAF) {
    return setTermios(task, terminal, decodeTermio(memory.readBytes(at, 18), current), request === TCSETAF);
  }
  if (request >= TCSETS2 && request <= TCSETSF2) {
    return setTermios(
      task,
      terminal,
      decodeTermios(memory.readBytes(at, TERMIOS2_BYTES), current),
      request === TCSETSF2,
    );
  }
  return undefined;
}

function flow(terminal: Terminal, action: number): number {
  if (action === 0 || action === 1) terminal.setStopped(action === 0);
  else if (action === 2 || action === 3) {
    const character = terminal.termios.characters[action === 2 ? VSTOP : VSTART];
    terminal.port?.send(Uint8Array.of(character));
  } else return -EINVAL;
  return 0;
}

function flush(terminal: Terminal, which: number): number {
  if (which < 0 || which > 2) return -EINVAL;
  if (which !== 1) terminal.discipline.flushInput();
  if (which !== 0) terminal.flushOutput();
  return 0;
}

function writeWindowSize(task: Task, terminal: Terminal, at: number): number {
  const { rows, columns, pixelWidth, pixelHeight } = terminal.size;
  for (const [index, value] of [rows, columns, pixelWidth, pixelHeight].entries()) {
    task.memory.writeU16(at + index * 2, value);
  }
  return 0;
}

function readWindowSize(task: Task, terminal: Terminal, at: number): number {
  const read = (index: number): number => task.memory.readU16(at + index * 2);
  terminal.kernel ??= task.kernel;
  terminal.resize(read(0), read(1), read(2), read(3));
  return 0;
}

/** Queries and changes of sessions and groups. */
function jobControl(
  task: Task,
  terminal: Terminal,
  request: number,
  at: number,
  master: boolean,
): SyscallResult | undefined {
  const { memory, process } = task;
  switch (request) {
    case TIOCGPGRP:
      if (!master && process.session.terminal !== terminal) return -ENOTTY;
      memory.writeU32(at, terminal.foregroundGroup);
      return 0;
    case TIOCSPGRP: {
      const group = memory.readI32(at);
      return guarded(task, terminal, () => terminal.setForeground(task, group));
    }
    case TIOCGSID:
      if (terminal.session === null || (!master && process.session.terminal !== terminal)) return -ENOTTY;
      memory.writeU32(at, terminal.session.id);
      return 0;
    case TIOCSCTTY:
      return terminal.attach(task, at === 1);
    case TIOCNOTTY:
      return terminal.detach(task);
    default:
      return undefined;
  }
}

/** Answers the request, or undefined when it is none of a terminal's. */
export function terminalIoctl(
  task: Task,
  terminal: Terminal,
  request: number,
  at: number,
  master: boolean,
): SyscallResult {
  const { memory } = task;
  const done = changeSettings(task, terminal, request, at) ?? jobControl(task, terminal, request, at, master);
  if (done !== undefined) return done;
  switch (request) {
    case TCGETS:
    case TCGETS2:
      memory.writeBytes(at, encodeTermios(terminal.termios, request === TCGETS2));
      return 0;
    case TCGETA:
      memory.writeBytes(at, encodeTermio(terminal.termios));
      return 0;
    case TIOCGWINSZ:
      return writeWindowSize(task, terminal, at);
    case TIOCSWINSZ:
      return readWindowSize(task, terminal, at);
    case FIONREAD:
      memory.writeU32(at, terminal.discipline.available);
      return 0;
    case TIOCOUTQ:
    case TIOCGETD:
      memory.writeU32(at, 0);
      return 0;
    case TCXONC:
      return flow(terminal, at);
    case TCFLSH:
      return guarded(task, terminal, () => flush(terminal, at));
    case TIOCSTI:
      if (task.credentials.euid !== 0) return -EPERM;
      terminal.receive(memory.readBytes(at, 1));
      return 0;
    case TCSBRK:
    case TCSBRKP:
    case TIOCEXCL:
    case TIOCNXCL:
    case TIOCSETD:
      return 0;
    default:
      return -ENOTTY;
  }
}
