// The table of system calls as a document; docs/compatibility.md has it (`pnpm compatibility`).

import type { Honesty, SyscallDefinition } from "../kernel/syscall.ts";

function describe(honesty: Honesty): string {
  if (honesty === "supported") return "supported";
  return "partial" in honesty ? `partial: ${honesty.partial}` : `absent: ${honesty.absent}`;
}

function number(value: number): string {
  return value < 0 ? "" : `${value}`;
}

/** Rows by x86-64 number, then those that i386 alone has. */
export function compatibilityDocument(rows: readonly SyscallDefinition[]): string {
  const order = (row: SyscallDefinition): number => (row.x64 < 0 ? 100_000 + row.i386 : row.x64);
  const sorted = [...rows].sort((left, right) => order(left) - order(right));
  const counts = { supported: 0, partial: 0, absent: 0 };
  for (const { honesty } of rows) {
    if (honesty === "supported") counts.supported++;
    else if ("partial" in honesty) counts.partial++;
    else counts.absent++;
  }
  return [
    "# System calls",
    "",
    `${rows.length} rows: ${counts.supported} supported, ${counts.partial} partial, ${counts.absent} absent.`,
    "An absent call, and any number that is not here, gives ENOSYS or the error that programs expect instead.",
    "",
    "| name | x86-64 | i386 | what it does |",
    "| --- | ---: | ---: | --- |",
    ...sorted.map(
      (row) =>
        `| ${row.name} | ${number(row.x64)} | ${number(row.i386)} | ${describe(row.honesty).replaceAll("|", "\\|")} |`,
    ),
    "",
  ].join("\n");
}
