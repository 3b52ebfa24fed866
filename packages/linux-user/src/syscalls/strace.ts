// --strace: one line for each system call and signal, in the manner of strace(1).

import { errnoName } from "../kernel/errno.ts";
import type { SignalInfo } from "../kernel/signal-info.ts";
import { signalName } from "../kernel/signal-info.ts";
import type { ArgumentFormat, SyscallArguments, SyscallDefinition } from "../kernel/syscall.ts";
import type { KernelObserver } from "../process/observer.ts";
import type { GuestProcess } from "../process/process.ts";
import type { GuestTask } from "../process/task.ts";

/** Longer strings are cut, as strace's -s does. */
const STRING_BYTES = 64;
const MAXIMUM_ERRNO = 4095;
const AT_FDCWD = -100;

function quote(task: GuestTask, address: number): string {
  if (address === 0) return "NULL";
  let text = "";
  for (const piece of task.memory.viewsUntilFault(address, STRING_BYTES + 1, "read"))
    text += String.fromCharCode(...piece);
  if (text === "") return `0x${address.toString(16)}`;
  const end = text.indexOf("\0");
  const cut = end < 0 && text.length > STRING_BYTES;
  const shown = end >= 0 ? text.slice(0, end) : text.slice(0, STRING_BYTES);
  const escaped = JSON.stringify(shown).replaceAll(
    /[\u007f-\u00ff]/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16)}`,
  );
  return cut ? `${escaped}...` : escaped;
}

function formatArgument(task: GuestTask, args: SyscallArguments, index: number, format: ArgumentFormat): string {
  switch (format) {
    case "int":
      return `${args.i32(index)}`;
    case "unsigned":
      return `${args.u32(index)}`;
    case "size":
      return `${args.number(index)}`;
    case "hex":
      return args.u32(index) === 0 ? "0" : `0x${args.u32(index).toString(16)}`;
    case "octal":
      return `0${args.u32(index).toString(8)}`;
    case "fd":
      return args.i32(index) === AT_FDCWD ? "AT_FDCWD" : `${args.i32(index)}`;
    case "signal":
      return signalName(args.i32(index));
    case "string":
      return quote(task, args.address(index));
    default:
      return args.address(index) === 0 ? "NULL" : `0x${args.address(index).toString(16)}`;
  }
}

export function formatCall(
  task: GuestTask,
  definition: SyscallDefinition | undefined,
  number: number,
  args: SyscallArguments,
): string {
  const formats = definition?.arguments ?? [];
  const shown =
    definition === undefined
      ? [0, 1, 2, 3, 4, 5].map((index) => `0x${args.address(index).toString(16)}`)
      : formats.map((format, index) => formatArgument(task, args, index, format));
  return `${definition?.name ?? `syscall_${number}`}(${shown.join(", ")})`;
}

export function formatResult(result: number): string {
  if (result < 0 && result >= -MAXIMUM_ERRNO) return `-1 ${errnoName(-result)}`;
  return result > 0xffff_ffff ? `0x${result.toString(16)}` : `${result}`;
}

/** Prints to `write`, a line at a time without its newline. */
export class StraceObserver implements KernelObserver {
  readonly #write: (line: string) => void;
  readonly #calls: Map<GuestTask, string> = new Map();

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  syscallEnter(
    task: GuestTask,
    definition: SyscallDefinition | undefined,
    number: number,
    args: SyscallArguments,
  ): void {
    const text = formatCall(task, definition, number, args);
    const { name } = definition ?? { name: "" };
    // These do not come back.
    if (name === "exit_group" || name === "exit" || name.endsWith("sigreturn")) this.#line(task, `${text} = ?`);
    else this.#calls.set(task, text);
  }

  syscallExit(task: GuestTask, _definition: SyscallDefinition | undefined, result: number): void {
    this.#finish(task, formatResult(result));
  }

  syscallRestart(task: GuestTask): void {
    this.#finish(task, "? ERESTARTSYS");
  }

  #finish(task: GuestTask, result: string): void {
    const text = this.#calls.get(task);
    if (text === undefined) return;
    this.#calls.delete(task);
    this.#line(task, `${text} = ${result}`);
  }

  signal(task: GuestTask, info: SignalInfo): void {
    const from =
      info.address === undefined
        ? info.pid === undefined
          ? ""
          : `, si_pid=${info.pid}`
        : `, si_addr=0x${info.address.toString(16)}`;
    this.#line(task, `--- ${signalName(info.signal)} {si_code=${info.code}${from}} ---`);
  }

  exit(process: GuestProcess, status: number): void {
    const signal = status & 0x7f;
    const how = signal === 0 ? `exited with ${status >> 8}` : `killed by ${signalName(signal)}`;
    this.#write(`[${process.pid}] +++ ${how} +++`);
  }

  #line(task: GuestTask, text: string): void {
    this.#write(`[${task.tid}] ${text}`);
  }
}
