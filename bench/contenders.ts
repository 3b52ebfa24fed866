/** Who runs the tasks: this project's translator, the processor itself, and other emulators that are installed. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import type { GuestMachine } from "./machine-task.ts";

export interface Contender {
  readonly name: string;
  /** What it is, with its version. */
  readonly description: string;
  /** The command that runs a Linux program's command line. The program is named by its path. */
  /** Absent when it runs no programs. */
  readonly command?: (program: readonly string[]) => readonly string[];
  /** Runs of a program ahead of those that count, by who keeps something from run to run; default 0. */
  readonly rehearsals?: number;
  /**
   * The command that runs a whole machine, with its serial port as standard output; undefined when it cannot run that
   * one. Absent when it runs none.
   */
  readonly machine?: (guest: GuestMachine) => readonly string[] | undefined;
}

/** A contender left out, and why. */
export interface Absent {
  readonly name: string;
  readonly reason: string;
}

/** Names for `--vs`. */
export const contenderNames = ["native", "qemu", "v86"] as const;
export type ContenderName = (typeof contenderNames)[number];

/** A program of the distribution, rather than a wrapper that comes before it on PATH. */
export function findProgram(name: string): string | undefined {
  for (const directory of ["/usr/bin", "/bin", ...(process.env["PATH"] ?? "").split(delimiter)]) {
    const candidate = join(directory === "" ? "." : directory, name);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** The first keeps hot code that V8 has not optimised by then, the second what is optimised of that. */
const REHEARSALS = 2;

/** @param commandLine what starts `doppel` */
export function doppel(commandLine: readonly string[]): Contender {
  const { node, v8 } = process.versions;
  return {
    name: "doppel",
    description: `this project, Node ${node}, V8 ${v8}`,
    command: (program) => [...commandLine, "run", "--", ...program],
    rehearsals: REHEARSALS,
    machine: (guest) => [
      ...[...commandLine, "vm", "--no-reboot", "--translations", guest.translations ?? "none"],
      ...machineOptions(guest, ["--", ""]),
    ],
  };
}

/** Options as both command lines have them, but for what they begin with. */
function machineOptions(
  { kernel, initrd, commandLine, memoryMiB }: GuestMachine,
  [prefix, unit]: readonly [string, string],
): string[] {
  return [
    ...[`${prefix}kernel`, kernel],
    ...[prefix === "-" ? "-m" : `${prefix}memory`, `${memoryMiB}${unit}`],
    ...(initrd === undefined ? [] : [`${prefix}initrd`, initrd]),
    ...(commandLine === undefined ? [] : [`${prefix}append`, commandLine]),
  ];
}

const finders: Readonly<Record<ContenderName, () => Contender | Absent>> = { native, qemu, v86 };

export function contender(name: ContenderName): Contender | Absent {
  return finders[name]();
}

function native(): Contender | Absent {
  const name = "native";
  if (process.platform !== "linux" || process.arch !== "x64") return { name, reason: "this is no x86-64 Linux" };
  return { name, description: "the processor itself", command: (program) => program };
}

function qemu(): Contender | Absent {
  const name = "qemu";
  const file = findProgram("qemu-x86_64");
  if (file === undefined) return { name, reason: "qemu-x86_64 is not installed (Debian: qemu-user)" };
  const version = spawnSync(file, ["--version"], { encoding: "utf8" }).stdout.split("\n")[0];
  const system = findProgram("qemu-system-x86_64");
  return {
    name,
    description: version,
    command: (program) => [file, ...program],
    ...(system === undefined
      ? {}
      : {
          machine: (guest) => [
            ...[system, "-accel", "tcg", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"],
            ...machineOptions(guest, ["-", "M"]),
          ],
        }),
  };
}

/** It needs firmware, which its package does not have and Debian's does. */
const FIRMWARE = "/usr/share/seabios";

function v86(): Contender | Absent {
  const name = "v86";
  let version: string;
  try {
    version = (createRequire(import.meta.url)("v86/package.json") as { version: string }).version;
  } catch {
    return { name, reason: "its package is not installed (pnpm install)" };
  }
  if (!existsSync(join(FIRMWARE, "bios.bin"))) return { name, reason: "there is no firmware for it (Debian: seabios)" };
  return {
    name,
    description: `v86 ${version}`,
    machine: ({ bits, kernel, initrd, commandLine = "", memoryMiB }) =>
      bits === 64 || initrd !== undefined
        ? undefined
        : [
            process.execPath,
            join(import.meta.dirname, "v86-machine.ts"),
            FIRMWARE,
            kernel,
            commandLine,
            `${memoryMiB}`,
          ],
  };
}
