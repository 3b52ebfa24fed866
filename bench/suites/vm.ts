/**
 * `vm`: whole machines. Debian's stock kernel from nothing to its first program, and the computations of `kernels` as
 * programs in that guest, where page tables, timers and system calls are the guest's own.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GuestMachine, Lap } from "../machine-task.ts";
import type { Suite } from "../task.ts";
import { kernelSizes } from "./kernels.ts";

const binaries = join(import.meta.dirname, "..", "..", "guests", "bin");
const MEMORY_MIB = 512;

const INIT = /Run \/\S+ as init process/;

const laps: readonly Lap[] = [
  { name: "boot to init", ends: INIT },
  ...Object.keys(kernelSizes).map((name) => ({
    name,
    begins: new RegExp(`^begin ${name}$`),
    ends: new RegExp(`^end ${name}$`),
  })),
];

const script = `#!/bin/busybox sh
/bin/busybox stty -F /dev/console -opost 2>/dev/null
${Object.entries(kernelSizes)
  .map(([name, { third }]) => `echo begin ${name}; /bench/${name} ${third}; echo end ${name}`)
  .join("\n")}
/bin/busybox poweroff -f
`;

export const vm: Suite = {
  name: "vm",
  title: "A whole machine: Debian's cloud kernel to its first program, and computations in it (their mean only)",
  prepare: (folder, { doppel, note }) => {
    const [file = "", ...args] = doppel;
    const build = [...args, "guest", "debian", "--initrd-only", "--out", folder];
    const { status, stderr } = spawnSync(file, build, { encoding: "utf8", stdio: ["ignore", "ignore", "pipe"] });
    if (status !== 0) {
      note(`without a Debian guest: ${stderr.trim().split("\n").at(-1) ?? ""}\n`);
      return;
    }
    const files: [path: string, data: Uint8Array][] = Object.keys(kernelSizes).map((name) => [
      `bench/${name}`,
      readFileSync(join(binaries, name)),
    ]);
    const archive = cpio([["bench/init", Buffer.from(script)], ...files]);
    // The kernel unpacks one archive after the other.
    writeFileSync(join(folder, "bench.img"), Buffer.concat([readFileSync(join(folder, "initrd.img")), archive]));
  },
  tasks: [],
  machines: [
    {
      name: "Debian, for the first time",
      guest: debian,
      prepare: (folder) => rmSync(translationsIn(folder), { recursive: true, force: true }),
      laps: [{ name: "first boot to init", ends: INIT }],
    },
    { name: "Debian", guest: debian, laps },
  ],
};

const translationsIn = (folder: string): string => join(folder, "translations");

function debian(folder: string): GuestMachine | undefined {
  if (!existsSync(join(folder, "bench.img"))) return undefined;
  return {
    bits: 64,
    kernel: join(folder, "vmlinuz"),
    initrd: join(folder, "bench.img"),
    commandLine: "console=ttyS0 rdinit=/bench/init",
    memoryMiB: MEMORY_MIB,
    translations: translationsIn(folder),
  };
}

const ALIGNMENT = 4;
const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;

/** Programs as an archive for the kernel (Documentation/driver-api/early-userspace/buffer-format.rst, "newc"). */
function cpio(files: readonly (readonly [path: string, data: Uint8Array])[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const pad = (bytes: Uint8Array): void => {
    parts.push(bytes, new Uint8Array(-bytes.length & (ALIGNMENT - 1)));
  };
  const entry = (path: string, mode: number, data: Uint8Array): void => {
    const fields = [parts.length + 1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, path.length + 1, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}${path}\0`;
    pad(Buffer.from(header, "latin1"));
    pad(data);
  };
  entry("bench", DIRECTORY, new Uint8Array(0));
  for (const [path, data] of files) entry(path, PROGRAM, data);
  entry("TRAILER!!!", 0, new Uint8Array(0));
  return Buffer.concat(parts);
}
