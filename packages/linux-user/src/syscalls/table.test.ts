import { expect, test } from "vitest";
import { allSyscalls } from "./all-syscalls.ts";
import { SyscallTable } from "./table.ts";

test("no two rows claim the same number", () => {
  expect(() => new SyscallTable(allSyscalls)).not.toThrow();
});

test("no two rows have the same name", () => {
  const names = allSyscalls.map((row) => row.name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
