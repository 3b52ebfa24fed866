// The shape of a system call: its arguments, its handler, and its row in the table (`syscalls/table.ts`) from which
// dispatch, --strace, --stats and docs/compatibility.md all derive.

import type { SyscallResult } from "./wait.ts";
import type { Task } from "./task.ts";

/** Which entry the call came through: `syscall` (64-bit registers) or `int 0x80` (32-bit registers). */
export type SyscallAbi = "x86-64" | "i386";

/**
 * The six arguments. The object belongs to the task and stays valid until the call has returned its result, so a
 * `retry` may read it again. Under i386 every argument is one 32-bit register; signed readers sign-extend it.
 */
export interface SyscallArguments {
  readonly abi: SyscallAbi;
  /** Size of `long`, `size_t` and pointers in structures: 8 or 4. */
  readonly wordBytes: 8 | 4;
  /** `int`: the low 32 bits, signed. */
  i32(index: number): number;
  /** `unsigned`: the low 32 bits, unsigned. */
  u32(index: number): number;
  /** `long`, `off_t`, `ssize_t`: signed; beyond 2^53 it loses low bits, which no valid value has. */
  number(index: number): number;
  /** Pointer or `size_t`: unsigned. */
  address(index: number): number;
  /** Low half, signed 32 bits. */
  lo(index: number): number;
  /** High half, signed 32 bits; the sign of `lo` under i386. */
  hi(index: number): number;
}

/** May also throw `SyscallError`, which is the same as returning `-errno`. */
export type SyscallHandler = (task: Task, args: SyscallArguments) => SyscallResult;

/** What the call does compared with Linux: all of it, a part (with the reason), or ENOSYS (with the reason). */
export type Honesty = "supported" | { readonly partial: string } | { readonly absent: string };

/** How --strace prints an argument; six letters at most, one per argument. */
export type ArgumentFormat = "int" | "unsigned" | "hex" | "pointer" | "string" | "fd" | "octal" | "signal" | "size";

/** One row. A number of -1 means that the ABI has no such call. */
export interface SyscallDefinition {
  readonly name: string;
  readonly x64: number;
  readonly i386: number;
  readonly honesty: Honesty;
  readonly handler: SyscallHandler;
  /** When i386's arguments or structures differ so much that the handler differs too. */
  readonly handler32?: SyscallHandler;
  readonly arguments?: readonly ArgumentFormat[];
}
