import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { allSyscalls } from "./all-syscalls.ts";
import { compatibilityDocument } from "./compatibility.ts";
import { SyscallTable } from "./table.ts";

test("no two rows claim the same number", () => {
  expect(() => new SyscallTable(allSyscalls)).not.toThrow();
});

test("no two rows have the same name", () => {
  const names = allSyscalls.map((row) => row.name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test("docs/compatibility.md is what the table says", () => {
  const written = readFileSync(new URL("../../../../docs/compatibility.md", import.meta.url), "utf8");
  expect(written).toBe(compatibilityDocument(allSyscalls));
});
