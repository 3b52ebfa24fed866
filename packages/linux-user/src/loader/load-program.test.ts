import * as fc from "fast-check";
import { expect, test } from "vitest";
import { E2BIG, EACCES, ELIBBAD, ELOOP, ENOENT, ENOEXEC } from "../kernel/errno.ts";
import { buildElf64 } from "../testing/elf-builder.ts";
import { RSP } from "../engine-port.ts";
import { FakeMachine } from "../testing/fake-machine.ts";
import { isLoadFailure } from "./elf.ts";

function failure(
  machine: FakeMachine,
  path: string,
  commandLine?: readonly string[],
): { errno: number; reason: string } {
  const before = machine.engine.memory.freePages + machine.kernel.pageCache.cachedPages();
  const result = machine.spawn(path, commandLine);
  if (!isLoadFailure(result)) throw new Error("it was loaded");
  // Nothing of the half-built space is left; the page of zeros may be.
  expect(before - machine.engine.memory.freePages - machine.kernel.pageCache.cachedPages()).toBeLessThanOrEqual(1);
  return result;
}

test("what cannot be run, and why", () => {
  const machine = new FakeMachine();
  machine.filesystem.add("/empty", "");
  machine.filesystem.add("/text", "hello\n");
  machine.filesystem.add("/no-interpreter", buildElf64({ type: 3, interpreter: "/lib/ld.so" }));
  machine.filesystem.add("/bad-interpreter", buildElf64({ type: 3, interpreter: "/text" }));
  machine.filesystem.add("/loop", "#!/loop\n");
  machine.filesystem.add("/script", "#!/nowhere\n");
  expect(failure(machine, "/nothing")).toEqual({ errno: ENOENT, reason: "/nothing: no such file" });
  expect(failure(machine, "/forbidden")).toEqual({ errno: EACCES, reason: "/forbidden: permission denied" });
  expect(failure(machine, "/empty")).toEqual({ errno: ENOEXEC, reason: "/empty: an empty file" });
  expect(failure(machine, "/text")).toEqual({ errno: ENOEXEC, reason: "/text: not an ELF file and no #! line" });
  expect(failure(machine, "/no-interpreter").reason).toBe(
    "/no-interpreter: cannot load its interpreter /lib/ld.so: no such file",
  );
  expect(failure(machine, "/bad-interpreter")).toEqual({
    errno: ELIBBAD,
    reason: "/bad-interpreter: its interpreter /text is not an ELF file",
  });
  expect(failure(machine, "/loop").errno).toBe(ELOOP);
  expect(failure(machine, "/script")).toEqual({ errno: ENOENT, reason: "/nowhere: no such file" });
  expect(failure(machine, "/program", ["x".repeat(200_000)]).errno).toBe(E2BIG);
});

test("the stack that the program finds", () => {
  const machine = new FakeMachine();
  const spawned = machine.spawn("/program", ["/program", "first", "second"]);
  if (isLoadFailure(spawned)) throw new Error(spawned.reason);
  const task = spawned.process.mainTask()!;
  const { memory, cpu } = task;
  const sp = (cpu.getLo(RSP) >>> 0) + cpu.getHi(RSP) * 2 ** 32;
  expect(sp % 16).toBe(0);
  expect(memory.readU64(sp)).toBe(3);
  const text = (at: number): string => memory.readCString(memory.readU64(at));
  expect([text(sp + 8), text(sp + 16), text(sp + 24)]).toEqual(["/program", "first", "second"]);
  expect(memory.readU64(sp + 32)).toBe(0);
  expect(text(sp + 40)).toBe("HOME=/root");
  const auxiliary = new Map<number, number>();
  for (let at = sp + 56; memory.readU64(at) !== 0; at += 16) auxiliary.set(memory.readU64(at), memory.readU64(at + 8));
  expect(auxiliary.get(6)).toBe(4096);
  expect(auxiliary.get(3)).toBe(0x400040);
  expect(auxiliary.get(9)).toBe(0x401000);
  expect(memory.readCString(auxiliary.get(31)!)).toBe("/program");
  expect(memory.readBytes(auxiliary.get(25)!, 16)).toEqual(new Uint8Array(16).fill(7));
  expect(cpu.rip).toBe(0x401000);
  expect(spawned.process.mappings().map((mapping) => mapping.name)).toContain("[stack]");
});

test("a script runs its interpreter with its own path", () => {
  const machine = new FakeMachine();
  machine.filesystem.add("/script", "#!/program -x\n");
  const spawned = machine.spawn("/script", ["/script", "argument"]);
  if (isLoadFailure(spawned)) throw new Error(spawned.reason);
  const decoder = new TextDecoder();
  expect(spawned.process.commandLine.map((bytes) => decoder.decode(bytes))).toEqual([
    "/program",
    "-x",
    "/script",
    "argument",
  ]);
});

test("no file makes the loader throw", () => {
  const good = buildElf64({ type: 3, interpreter: "/program" });
  const change = fc.record({ at: fc.integer({ min: 4, max: 300 }), value: fc.integer({ min: 0, max: 255 }) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
      const bytes = good.slice();
      for (const { at, value } of changes) bytes[at] = value;
      const machine = new FakeMachine({ pages: 256 });
      machine.filesystem.add("/fuzz", bytes);
      const result = machine.spawn("/fuzz");
      expect(isLoadFailure(result) ? result.errno : 1).toBeGreaterThan(0);
    }),
    { numRuns: 300 },
  );
});
