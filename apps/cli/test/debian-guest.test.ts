// The Debian guest of `doppel guest debian`: built, booted, used over the network, joined by a machine of QEMU's on the
// same switch, and switched off. Packages come from the Debian mirror that apt is set to, hence not by default:
// DOPPEL_TEST_EVERYTHING=1 npm test -- apps/cli/test/debian-guest.test.ts
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { need } from "./harness/requirements.ts";
import { repository } from "./harness/run.ts";
import { SerialMachine } from "./harness/serial-machine.ts";
import { freePort } from "./harness/server.ts";

const everything = process.env["DOPPEL_TEST_EVERYTHING"] === "1";
const main = join(repository, "apps/cli/dist/main.js");
const MINUTE_MS = 60_000;

let folder: string;
const file = (name: string): string => join(folder, name);

/** Everything that comes back on one connection, until the other side ends it. */
function converse(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.end(text));
    socket.setEncoding("utf8").on("data", (part: string) => (answer += part));
    socket.once("error", reject).once("end", () => resolve(answer));
  });
}

const qemuNetwork = (port: number): string[] => [
  "-netdev",
  `stream,id=n,addr.type=inet,addr.host=127.0.0.1,addr.port=${port}`,
  "-device",
  "virtio-net-pci,netdev=n,mac=52:54:00:00:00:99",
];

/** Without a disk the initial root file system gives a shell, which is machine enough to be talked to. */
function qemu(switchPort: number): SerialMachine {
  const machine = ["-accel", "tcg", "-m", "256", "-nographic", "-no-reboot"];
  const boot = ["-kernel", file("vmlinuz"), "-initrd", file("initrd.img"), "-append", "console=ttyS0 quiet"];
  return new SerialMachine(["qemu-system-x86_64", ...machine, ...boot, ...qemuNetwork(switchPort)]);
}

describe.runIf(everything)("the Debian guest", () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "doppel-debian-"));
    execFileSync(process.execPath, [main, "guest", "debian", "--out", folder], { stdio: "pipe" });
  }, 10 * MINUTE_MS);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it(
    "serves, is served, talks with QEMU's machine on its switch, and ends in good order",
    {
      timeout: 20 * MINUTE_MS,
    },
    async (context) => {
      need(context, "qemu-system-x86_64", "e2fsck", "ssh");
      copyFileSync(file("root.img"), file("used.img"));
      const [redis, sshPort, switchPort] = [await freePort(), await freePort(), await freePort()];
      const network = `user,forward=${redis}:6379,forward=${sshPort}:22,listen=127.0.0.1:${switchPort},mac=52:54:00:00:00:01`;
      const boot = ["--kernel", file("vmlinuz"), "--initrd", file("initrd.img"), "--append", "console=ttyS0"];
      const devices = ["--disk", file("used.img"), "--net", network];
      await using guest = new SerialMachine([process.execPath, main, "vm", ...boot, ...devices]);
      await guest.shows(/doppel-guest: eth0 has 10\.0\.2\.15/);

      const inGuest = (command: string, input: string | Uint8Array = ""): string => {
        const options = [
          "StrictHostKeyChecking=no",
          "UserKnownHostsFile=/dev/null",
          "LogLevel=ERROR",
          "ConnectTimeout=60",
        ];
        const ssh = [...options.flatMap((option) => ["-o", option]), "-i", file("id_ed25519"), "-p", String(sshPort)];
        return execFileSync("ssh", [...ssh, "root@127.0.0.1", command], { input, encoding: "latin1" });
      };
      // Until redis listens, the gateway's connections to it are refused, and its clients' with them.
      await vi.waitFor(() => converse(redis, "PING\r\nQUIT\r\n"), { timeout: 2 * MINUTE_MS, interval: 1000 });
      expect(await converse(redis, "SET answer 42\r\nGET answer\r\nQUIT\r\n")).toBe("+OK\r\n$2\r\n42\r\n+OK\r\n");
      expect(inGuest('sqlite3 :memory: "select 6*7"; python3 -c "print(2**70)"')).toBe("42\n1180591620717411303424\n");
      const noise = randomBytes(500_000);
      expect(Buffer.from(inGuest("cat", noise), "latin1").equals(noise)).toBe(true);

      await using other = qemu(switchPort);
      await other.shows(/\/root #/);
      const configure = "test -z $ip || ifconfig $interface $ip netmask $subnet";
      await other.run(`printf '#!/bin/sh\\n${configure}\\n' > /lease; chmod +x /lease; ifconfig eth0 up`);
      expect(await other.run("udhcpc -i eth0 -s /lease -n -q -f")).toContain("lease of 10.0.2.16 obtained");
      expect(await other.run("(echo GET answer; sleep 5) | nc 10.0.2.15 6379")).toContain("$2\n42\n");
      await other.run("{ nc -l -p 90 >/got & }");
      const sum = inGuest("head -c 1000000 /dev/urandom > /tmp/sent; md5sum </tmp/sent; nc 10.0.2.16 90 </tmp/sent");
      expect(await other.run("sleep 5; md5sum </got")).toContain(sum.trim());

      inGuest("poweroff");
      expect(await guest.ended).toBe(0);
      expect(guest.output).toContain("reboot: Power down");
      expect(guest.output).not.toMatch(/BUG:|WARNING:|Call Trace/);
      execFileSync("e2fsck", ["-fn", file("used.img")], {
        env: { ...process.env, PATH: "/usr/sbin:/sbin:/usr/bin:/bin" },
        stdio: "pipe",
      });
    },
  );

  it(
    "is stressed for a minute, and has nothing to complain about that QEMU's machine has not",
    {
      timeout: 30 * MINUTE_MS,
    },
    async (context) => {
      need(context, "qemu-system-x86_64", "e2fsck");
      const kernel = ["-kernel", file("vmlinuz"), "-initrd", file("initrd.img"), "-append", "console=ttyS0"];
      const disk = `file=${file("stressed-qemu.img")},format=raw,if=virtio,cache=unsafe`;
      const machine = ["-accel", "tcg", "-m", "512", "-nographic", "-no-reboot", "-drive", disk];
      const known = await stress(["qemu-system-x86_64", ...machine, ...kernel], "stressed-qemu.img");
      const options = kernel.map((word) => word.replace(/^-(?=\w)/, "--"));
      const ours = await stress(
        [process.execPath, main, "vm", ...options, "--disk", file("stressed.img")],
        "stressed.img",
      );
      expect(ours.filter((warning) => !known.includes(warning))).toEqual([]);
    },
  );

  /** Boots the disk, stresses the system and powers it off; what its kernel warned of, without numbers. */
  async function stress(command: readonly [string, ...string[]], image: string): Promise<string[]> {
    copyFileSync(file("root.img"), file(image));
    await using guest = new SerialMachine(command);
    await guest.shows(/root@doppel:~# /);
    const hogs = "--vm 1 --vm-bytes 64M --fork 1 --switch 1 --timer 1 --timeout 60";
    const printed = await guest.run(`stress-ng ${hogs} 2>&1`);
    expect(printed).toMatch(/successful run completed[^]*status=0$/);
    const log = await guest.run("dmesg -r | grep '^<[0-4]>'");
    guest.type("poweroff\n");
    expect(await guest.ended).toBe(0);
    execFileSync("e2fsck", ["-fn", file(image)], {
      env: { ...process.env, PATH: "/usr/sbin:/sbin:/usr/bin:/bin" },
      stdio: "pipe",
    });
    return (
      log
        .split("\n")
        .filter((line) => /^<[0-4]>/.test(line))
        .map((line) => line.replace(/^<\d>\[[ \d.]+\] /, "").replaceAll(/\d+/g, "N"))
        // This is about how busy the host is.
        .filter((line) => !line.startsWith("hrtimer: interrupt took"))
    );
  }
});
