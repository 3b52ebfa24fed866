// The table of system calls: rows from all topics, found by number under each ABI.

import type { SyscallAbi, SyscallDefinition } from "../kernel/syscall.ts";

export class SyscallTable {
  readonly rows: readonly SyscallDefinition[];
  readonly #x64: (SyscallDefinition | undefined)[] = [];
  readonly #i386: (SyscallDefinition | undefined)[] = [];
  readonly #counts: Map<string, number> = new Map();

  /** Throws when two rows claim the same number: a bug in the table. */
  constructor(rows: readonly SyscallDefinition[]) {
    this.rows = rows;
    for (const row of rows) {
      claim(this.#x64, row.x64, row);
      claim(this.#i386, row.i386, row);
    }
  }

  find(abi: SyscallAbi, number: number): SyscallDefinition | undefined {
    return (abi === "x86-64" ? this.#x64 : this.#i386)[number];
  }

  count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /** Calls made so far by name; unknown ones as `syscall_<number>`. */
  counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }
}

function claim(list: (SyscallDefinition | undefined)[], number: number, row: SyscallDefinition): void {
  if (number < 0) return;
  const other = list[number];
  if (other !== undefined) throw new Error(`system call ${number} is both ${other.name} and ${row.name}`);
  list[number] = row;
}
