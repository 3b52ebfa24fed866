// The programs in bin/ are what their sources say: the same compiler gives the same bytes; another one gives
// programs that behave the same.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { arch, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, describe, expect, it } from "vitest";
import { compile, compileForMachine, compileKernelForMachine, runNatively, runUnderQemu, toolchain } from "./build.ts";
import { type GuestRun, machineKernels, machinePrograms, programs } from "./programs.ts";

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

describe("kernels on a bare 32-bit machine", () => {
  it.for(machineKernels)(
    "committed $name prints under QEMU what it prints natively",
    { timeout: 60_000 },
    ({ name, args }, { skip }) => {
      const printed = runUnderQemu(join(bin, "machine", "kernels", name), args.join(" "));
      if (printed === undefined) skip("there is no qemu-system-x86_64");
      expect(printed?.replaceAll("\r", "")).toBe(`begin\n${expected[name].stdout}end\n`);
    },
  );

  it.skipIf(present !== recorded).each(machineKernels)("rebuilding $name gives the committed bytes", (program) => {
    const file = join(folder, `kernel-${program.name}`);
    compileKernelForMachine(program, file);
    expect(readFileSync(file).equals(readFileSync(join(bin, "machine", "kernels", program.name)))).toBe(true);
  });
});

describe("the key-value service", () => {
  it("answers under QEMU, and keeps what it was told", { timeout: 60_000 }, async ({ skip }) => {
    const disk = join(folder, "store.img");
    writeFileSync(disk, new Uint8Array(1 << 20));
    const first = await converse(disk, ["PING", "SET a one two", "get a", "GET b", "INCR n", "INCR n", "INCR a", "FOO a"]);
    if (first === undefined) skip("there is no qemu-system-x86_64");
    expect(first).toEqual(["PONG", "OK", "one two", "", "1", "2", "ERR the value is no number", "ERR no such verb"]);
    expect(await converse(disk, ["GET a", "INCR n", "STATS"])).toEqual(["one two", "3", "keys 2 durable 1 index-built 1"]);
  });
});

/** Starts the service under QEMU, and asks line by line; undefined without QEMU. */
async function converse(disk: string, lines: readonly string[]): Promise<string[] | undefined> {
  const port = 20_000 + Math.floor(Math.random() * 40_000);
  const qemu = spawn("qemu-system-x86_64", [
    ...["-accel", "tcg", "-cpu", "max", "-m", "64", "-nodefaults", "-nographic", "-serial", "stdio"],
    ...["-kernel", join(bin, "machine/store"), "-append", "port=70", "-device", "virtio-net-pci,netdev=n"],
    ...["-netdev", `user,id=n,hostfwd=tcp:127.0.0.1:${port}-:70`, "-device", "virtio-blk-pci,drive=d"],
    ...["-drive", `file=${disk},format=raw,if=none,id=d`],
  ]);
  try {
    const serving = await new Promise<boolean>((resolve) => {
      let printed = "";
      qemu.on("error", () => resolve(false));
      qemu.stdout.on("data", (chunk: Buffer) => {
        printed += chunk.toString();
        if (/serves 10\.0\.2\.15:70, keys \d+\r?\n/.test(printed)) resolve(true);
      });
    });
    if (!serving) return undefined;
    const socket = connect(port, "127.0.0.1");
    const answers: string[] = [];
    const reader = createInterface({ input: socket });
    socket.write(`${lines[0]}\n`);
    for await (const line of reader) {
      answers.push(line);
      if (answers.length === lines.length) break;
      socket.write(`${lines[answers.length]}\n`);
    }
    socket.destroy();
    return answers;
  } finally {
    qemu.kill("SIGKILL");
  }
}
