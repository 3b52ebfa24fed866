// Debian's kernel on the machine's disks and shared folders: what its drivers wrote is there, and file systems are whole.
// The kernel comes from the Debian mirror that apt is set to, hence not by default:
// DOPPEL_TEST_EVERYTHING=1 npm test -- apps/cli/test/vm-storage.test.ts
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { need } from "./harness/requirements.ts";
import { repository } from "./harness/run.ts";
import { SerialMachine } from "./harness/serial-machine.ts";

const everything = process.env["DOPPEL_TEST_EVERYTHING"] === "1";
const main = join(repository, "apps/cli/dist/main.js");
const MINUTE_MS = 60_000;
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vm-storage-"));
  if (!everything) return;
  // The kernel of the cloud has no 9P.
  const guest = ["guest", "debian", "--out", folder, "--kernel", "linux-image-amd64", "--initrd-only"];
  execFileSync(process.execPath, [main, ...guest], { stdio: "pipe" });
}, 10 * MINUTE_MS);
afterAll(() => rmSync(folder, { recursive: true }));

/** Boots to the initial root file system's shell, runs lines there, and powers off. Resolves to what was printed. */
async function boot(options: readonly string[], lines: readonly string[]): Promise<string> {
  const kernel = ["--kernel", join(folder, "vmlinuz"), "--initrd", join(folder, "initrd.img")];
  const append = ["--append", "console=ttyS0 quiet rescue"];
  await using machine = new SerialMachine([process.execPath, main, "vm", ...kernel, ...append, ...options]);
  await machine.shows(/# /);
  // One command: the shell reads it before it runs any of it.
  machine.type(`{ ${lines.join("; ")}; poweroff -f; }\n`);
  await machine.ended;
  return machine.output;
}

const image = (name: string): string => join(folder, name);
const run = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

it.runIf(everything)(
  "a guest writes to disks and a shared folder, and leaves them whole",
  async (context) => {
    need(context, "/sbin/mke2fs", "/sbin/e2fsck", "qemu-img");
    run("mke2fs", "-q", "-t", "ext4", "fresh.raw", "96M");
    run("qemu-img", "convert", "-O", "qcow2", "fresh.raw", "kept.qcow2");
    run("cp", "fresh.raw", "kept.raw");
    writeFileSync(image("scratch.raw"), new Uint8Array(1 << 20).fill(0x61));
    mkdirSync(image("shared"));
    writeFileSync(image("shared/from-host"), "from the host\n");
    writeFileSync(image("outside"), "not shared\n");
    symlinkSync("../outside", image("shared/leak"));

    const disks = ["kept.raw", "kept.qcow2", "scratch.raw,snapshot=on", "fresh.raw,readonly=on"];
    const options = [...disks.flatMap((disk) => ["--disk", image(disk)]), "--share", image("shared")];
    const printed = await boot(options, [
      "modprobe -a crc32c_generic 9p; mkdir /a /b /s",
      "mount -t ext4 /dev/vda /a",
      "mount -t ext4 -o discard /dev/vdb /b",
      "mount -t 9p -o trans=virtio,version=9p2000.L share /s",
      "dd if=/dev/urandom of=/a/data bs=64k count=160 2>/dev/null",
      "cp /a/data /b/data; cp /b/data /b/gone; sync; rm /b/gone; cp /a/data /s/data",
      "echo 3 >/proc/sys/vm/drop_caches",
      `echo "sums: $(cat /a/data /b/data | md5sum | cut -c1-32) $(cat /a/data /s/data | md5sum | cut -c1-32)"`,
      "tr a b </dev/vdc >/vdc; cat /vdc >/dev/vdc; sync",
      "echo 3 >/proc/sys/vm/drop_caches; echo scratch: $(head -c 3 /dev/vdc)",
      "(echo x >/dev/vdd) 2>/dev/null || echo vdd: refused",
      "cat /s/from-host; cat /s/leak /s/../outside 2>&1 | grep -c 'No such file'",
      "mkdir /s/new; mv /s/data /s/new/moved; fstrim /b; umount /a /b /s",
      "dmesg | grep -E 'EXT4-fs (error|warning)|I/O error|blk_update'",
    ]);

    const sums = /sums: (\w{32}) (\w{32})/.exec(printed);
    expect(sums?.[1] ?? printed).toBe(sums?.[2]);
    expect(printed).toContain("scratch: bbb");
    expect(printed).toContain("vdd: refused");
    expect(printed).toContain("from the host");
    expect(printed).not.toContain("not shared");
    expect(printed).not.toMatch(/\] .*(EXT4-fs (error|warning)|I\/O error)/);
    expect(readFileSync(image("scratch.raw")).every((byte) => byte === 0x61)).toBe(true);
    expect(existsSync(image("shared/new/moved"))).toBe(true);
    expect(run("qemu-img", "check", "kept.qcow2")).toContain("No errors were found");
    run("qemu-img", "convert", "-O", "raw", "kept.qcow2", "converted.raw");
    for (const disk of ["kept.raw", "converted.raw"]) run("/sbin/e2fsck", "-fn", disk);
    const moved = readFileSync(image("shared/new/moved"));
    for (const disk of ["kept.raw", "converted.raw"]) {
      run("/sbin/debugfs", "-R", "dump data data", disk);
      expect(Buffer.compare(readFileSync(image("data")), moved)).toBe(0);
    }
  },
  15 * MINUTE_MS,
);
