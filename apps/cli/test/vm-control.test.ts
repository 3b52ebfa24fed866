// A machine that is watched from outside: by gdb, at its control socket, and by what its serial port leaves in a file.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { need } from "./harness/requirements.ts";
import { repository, temporaryDirectory } from "./harness/run.ts";
import { SerialMachine } from "./harness/serial-machine.ts";

const main = join(repository, "apps/cli/dist/main.js");
const busy = join(repository, "guests/bin/machine/busy");
/** What it prints under QEMU: `guests/programs.ts`, which holds it to that. */
const prints = "hash 9c8e2c0d4e6cbfb4 average 00000007d667505b interrupted\n";
const vm = (...options: readonly string[]): [string, ...string[]] => [
  process.execPath,
  main,
  "vm",
  ...["--memory", "16", "--no-reboot"],
  ...options,
];
const text = (path: string): string => readFileSync(path, "latin1").replaceAll("\r", "");

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** The answers to some requests, when there is somebody to ask. */
async function ask(path: string, ...requests: readonly string[]): Promise<unknown[]> {
  const socket = await vi.waitFor(() => connected(path), { timeout: 60_000, interval: 100 });
  socket.end(requests.map((request) => `${request}\n`).join(""));
  let answers = "";
  socket.setEncoding("utf8").on("data", (part: string) => (answers += part));
  await once(socket, "close");
  return answers
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

it("gdb stops a machine, looks at it, changes it, and lets it go on", async (context) => {
  need(context, "gdb");
  using folder = temporaryDirectory();
  const serial = join(folder.path, "serial");
  // A port that is looked for first may be another's by the time the machine listens there.
  await using machine = new SerialMachine(vm("--kernel", busy, "--serial", serial, "--gdb", "0,wait=on"));
  const [, port] = await machine.shows(/target remote :(\d+)/);
  const commands = [
    "set pagination off",
    `target remote 127.0.0.1:${port}`,
    // An entry of the interrupt descriptor table is written, behind 10017bH.
    "watch *(long *)0x14c420",
    "continue",
    "print/x $rip",
    "delete",
    // In the middle of a block: SHL RDX, 13 behind two others that nothing jumps to.
    "break *0x1001e7",
    "continue",
    "info registers rip",
    "x/i $rip",
    "stepi",
    "print/x $rip",
    "continue",
    "delete",
    "monitor translate 0x1001e7",
    "print $cr0 & 1",
    "continue",
  ];
  const gdb = spawn("gdb", ["-nx", "-batch", ...commands.flatMap((command) => ["-ex", command])]);
  let printed = "";
  for (const stream of [gdb.stdout, gdb.stderr])
    stream.setEncoding("utf8").on("data", (part: string) => (printed += part));
  await once(gdb, "close");
  expect(printed).toMatch(/Hardware watchpoint 1: [^]*Old value = 0\nNew value = \d+/);
  expect(printed).toContain("$1 = 0x100182");
  expect(printed).toMatch(/Breakpoint 2, 0x0*1001e7/);
  expect(printed).toMatch(/shl +\$0xd,%rdx/);
  expect(printed).toContain("$2 = 0x1001eb");
  expect(printed.match(/Breakpoint 2, /g)?.length).toBe(2);
  // What the machine's monitor says comes by another stream than what gdb prints: in whatever order.
  expect(printed).toMatch(/^0x1001e7$/m);
  expect(printed).toMatch(/^\$3 = 1$/m);
  expect(printed).toContain("exited normally");
  expect(await machine.ended).toBe(0);
  expect(text(serial)).toBe(prints);
});

it("a machine is asked, saved and ended at its control socket", async () => {
  using folder = temporaryDirectory();
  const file = (name: string): string => join(folder.path, name);
  {
    await using machine = new SerialMachine(
      vm("--kernel", busy, "--serial", "none", "--gdb", "0,wait=on", "--control", file("control")),
    );
    const requests = ["status", '{"id": 1, "command": "resume"}', "fly", `save ${file("nowhere/saved")}`];
    const answers = await ask(file("control"), ...requests, `save ${file("saved")}`, "quit");
    expect(answers).toMatchObject([
      { ok: true, result: { state: "in the debugger", memoryMiB: 16 } },
      { id: 1, ok: false, error: expect.stringContaining("debugger") as unknown },
      { ok: false, error: expect.stringContaining("there is no command fly") as unknown },
      { ok: false, error: expect.stringContaining("no such file or directory") as unknown },
      { ok: true, result: { bytes: expect.any(Number) as unknown } },
      { ok: true },
    ]);
    expect(await machine.ended).toBe(0);
  }
  const [program, ...args] = vm("--load", file("saved"), "--serial", file("serial"));
  execFileSync(program, args, { stdio: "ignore" });
  expect(text(file("serial"))).toBe(prints);
});

it("a machine whose terminal has gone ends as by SIGPIPE", () => {
  const script = '{ "$@"; echo "ended with $?" >&2; } | true';
  // It starts anew whenever it has printed what it has to say.
  const machine = [process.execPath, main, "vm", "--memory", "16", "--kernel", busy];
  const { stderr } = spawnSync("sh", ["-c", script, "sh", ...machine], { encoding: "utf8" });
  expect(stderr).toBe("ended with 141\n");
});

it("--translations: a kernel's second start finds what the first translated", () => {
  using folder = temporaryDirectory();
  const start = (): { serial: string; kept: number; threaded: number } => {
    const serial = join(folder.path, "serial");
    const [program, ...args] = vm("--kernel", busy, "--serial", serial, "--stats", "--translations", folder.path);
    const { stderr } = spawnSync(program, args, { encoding: "utf8" });
    const count = (name: string): number => Number(new RegExp(`^${name} +(\\d+)$`, "m").exec(stderr)?.[1]);
    return { serial: text(serial), kept: count("keptRegions"), threaded: count("threadedRegions") };
  };
  const first = start();
  expect(first).toMatchObject({ serial: prints, kept: 0 });
  const second = start();
  expect(second.serial).toBe(prints);
  expect(second.kept).toBeGreaterThan(0.5 * second.threaded);
});
