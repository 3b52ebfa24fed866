// Builds the guest programs: `node guests/build.ts` into guests/bin/, and records what they print in expected.json.
//
// The flags leave nothing of the machine in the bytes (no build id, no compiler identification, no paths), so the same
// compiler and linker give the same bytes; compiler.txt says which ones made those in bin/.

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type GuestProgram,
  type GuestRun,
  machineKernels,
  type MachineProgram,
  machinePrograms,
  programs,
} from "./programs.ts";

const home = import.meta.dirname;

const flags = [
  "-O2",
  "-std=gnu11",
  "-static",
  "-nostdlib",
  "-ffreestanding",
  "-fno-pie",
  "-no-pie",
  "-mno-red-zone",
  "-fno-asynchronous-unwind-tables",
  "-fno-stack-protector",
  "-fcf-protection=none",
  "-fno-ident",
  "-ffp-contract=off",
  // Or memcpy and memset would be compiled into calls of themselves.
  "-fno-tree-loop-distribute-patterns",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-Wl,--build-id=none",
  "-Wl,-z,noseparate-code",
  "-Wl,-z,max-page-size=4096",
  "-Wl,-z,noexecstack",
  "-s",
];

/** The first lines of the compiler's and the linker's version, or undefined when there is no working `cc`. */
export function toolchain(): string | undefined {
  const lines = ["--version", "-Wl,--version"].map((flag) => {
    const { status, stdout } = spawnSync("cc", [flag], { encoding: "utf8" });
    return status === 0 ? stdout.split("\n")[0] : undefined;
  });
  return lines.includes(undefined) ? undefined : `${lines.join("\n")}\n`;
}

/** Compiles one program; the error holds what the compiler said. */
export function compile(program: GuestProgram, output: string): void {
  const width = program.bits === 32 ? ["-m32"] : [];
  compileTo(output, [...width, "-Ilib", program.source, "lib/guest.c"]);
}

/** Compiles a program for the bare machine, which is loaded at 1 MiB. */
export function compileForMachine(program: MachineProgram, output: string): void {
  const place = program.linkerScript === undefined ? "-Ttext-segment=0x100000" : `-T,${program.linkerScript}`;
  compileTo(output, [`-Wl,${place}`, ...(program.flags ?? []), program.start, ...program.sources]);
}

/** Compiles a kernel for a bare 32-bit machine. */
export function compileKernelForMachine(program: GuestProgram, output: string): void {
  const parts = ["start.S", "machine.c"].map((part) => `machine/kernels/${part}`);
  const machine = ["-m32", "-msse2", "-mfpmath=sse", "-mstackrealign", "-Wl,-T,machine/kernels/start.ld"];
  compileTo(output, [...machine, "-Wl,--no-warn-rwx-segments", "-Ilib", ...parts, program.source]);
}

function compileTo(output: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync("cc", [...flags, "-o", output, ...args], { cwd: home, encoding: "utf8" });
  if (status !== 0) throw new Error(`cc failed: ${args.join(" ")}: ${error?.message ?? stderr}`);
}

/** What a program for the bare machine prints on the serial port of `qemu-system-x86_64`; undefined without QEMU. */
export function runUnderQemu(file: string, commandLine = ""): string | undefined {
  const machine = ["-accel", "tcg", "-cpu", "max", "-m", "64", "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"];
  const { stdout, error } = spawnSync("qemu-system-x86_64", [...machine, "-kernel", file, "-append", commandLine], {
    input: "",
    encoding: "utf8",
    timeout: 60_000,
  });
  if (error !== undefined && "code" in error && error.code === "ENOENT") return undefined;
  if (error) throw error;
  // Its firmware speaks first, without an end of line.
  return stdout.slice(stdout.lastIndexOf("Booting from ROM..") + "Booting from ROM..".length);
}

/** Runs a program natively the way expected.json describes, with an environment of one variable. */
export function runNatively(program: GuestProgram, file: string): GuestRun {
  const { stdout, status, error } = spawnSync(file, program.args, {
    input: program.stdin,
    env: { GUEST: "yes" },
    encoding: "utf8",
    timeout: 20_000,
  });
  if (error) throw error;
  return { stdout, status: status ?? -1 };
}

if (import.meta.main) {
  const version = toolchain();
  if (version === undefined) {
    console.error("guests/build.ts: there is no working cc; install a C compiler (Debian: gcc)");
    process.exit(1);
  }
  const bin = join(home, "bin");
  mkdirSync(bin, { recursive: true });
  const expected: Record<string, GuestRun> = {};
  for (const program of programs) {
    const file = join(bin, program.name);
    compile(program, file);
    expected[program.name] = runNatively(program, file);
  }
  for (const program of machinePrograms) {
    mkdirSync(join(bin, "machine"), { recursive: true });
    compileForMachine(program, join(bin, "machine", program.name));
  }
  for (const program of machineKernels) {
    mkdirSync(join(bin, "machine", "kernels"), { recursive: true });
    compileKernelForMachine(program, join(bin, "machine", "kernels", program.name));
  }
  writeFileSync(join(bin, "compiler.txt"), version);
  writeFileSync(join(home, "expected.json"), `${JSON.stringify(expected, null, 2)}\n`);
  console.log(`${programs.length} programs in ${bin}`);
}
