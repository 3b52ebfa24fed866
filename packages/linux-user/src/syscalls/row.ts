// How a row of the table is written: one line each.

import type {
  ArgumentFormat,
  Honesty,
  SyscallArguments,
  SyscallDefinition,
  SyscallHandler,
} from "../kernel/syscall.ts";
import type { SyscallResult } from "../kernel/wait.ts";
import { ENOSYS } from "../kernel/errno.ts";
import type { GuestTask } from "../process/task.ts";

/** A handler that needs the core's own task. */
export type CoreHandler = (task: GuestTask, args: SyscallArguments) => SyscallResult;

/** `formats` are ArgumentFormat words separated by spaces. */
export function row(
  name: string,
  x64: number,
  i386: number,
  handler: CoreHandler,
  formats: string = "",
  more: { readonly honesty?: Honesty; readonly handler32?: CoreHandler } = {},
): SyscallDefinition {
  return {
    name,
    x64,
    i386,
    honesty: more.honesty ?? "supported",
    handler: handler as SyscallHandler,
    ...(more.handler32 === undefined ? {} : { handler32: more.handler32 as SyscallHandler }),
    arguments: formats === "" ? [] : (formats.split(" ") as ArgumentFormat[]),
  };
}

export function partial(why: string): { readonly honesty: Honesty } {
  return { honesty: { partial: why } };
}

/** A call that Linux has and this kernel does not; `errno` is what programs take as "not here" (default ENOSYS). */
export function absent(
  name: string,
  x64: number,
  i386: number,
  why: string,
  errno: number = ENOSYS,
): SyscallDefinition {
  return { name, x64, i386, honesty: { absent: why }, handler: () => -errno, arguments: [] };
}
