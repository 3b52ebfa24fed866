// The programs in bin/ are what their sources say: the same compiler gives the same bytes; another one gives
// programs that behave the same.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { arch, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compile, compileForMachine, runNatively, runUnderQemu, toolchain } from "./build.ts";
import { type GuestRun, machinePrograms, programs } from "./programs.ts";

const bin = join(import.meta.dirname, "bin");
const expected = JSON.parse(readFileSync(join(import.meta.dirname, "expected.json"), "utf8")) as Record<string, GuestRun>;
const recorded = readFileSync(join(bin, "compiler.txt"), "utf8");
const present = toolchain();
const native = platform() === "linux" && arch() === "x64";
const folder = mkdtempSync(join(tmpdir(), "doppel-guests-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("guest programs", () => {
  it.skipIf(!native).each(programs)("committed $name prints natively what is recorded", (program) => {
    expect(runNatively(program, join(bin, program.name))).toEqual(expected[program.name]);
  });

  it.skipIf(!native || present !== recorded).each(programs)("rebuilding $name gives the committed bytes", (program) => {
    const file = join(folder, program.name);
    compile(program, file);
    expect(readFileSync(file).equals(readFileSync(join(bin, program.name)))).toBe(true);
  });

  const otherCompiler = native && present !== undefined && present !== recorded;
  it.skipIf(!otherCompiler).each(programs)("another compiler's $name behaves like the committed one", (program) => {
    const file = join(folder, program.name);
    compile(program, file);
    expect(runNatively(program, file)).toEqual(expected[program.name]);
  });
});

describe("programs for the bare machine", () => {
  it.for(machinePrograms)(
    "committed $name prints under QEMU what is recorded",
    { timeout: 60_000 },
    ({ name, prints }, { skip }) => {
      const printed = runUnderQemu(join(bin, "machine", name));
      if (printed === undefined) skip("there is no qemu-system-x86_64");
      expect(printed?.replaceAll("\r", "")).toMatch(prints);
    },
  );

  it.skipIf(present !== recorded).each(machinePrograms)("rebuilding $name gives the committed bytes", (program) => {
    const file = join(folder, `machine-${program.name}`);
    compileForMachine(program, file);
    expect(readFileSync(file).equals(readFileSync(join(bin, "machine", program.name)))).toBe(true);
  });
});
