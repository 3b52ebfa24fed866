// What is not a program, and programs that go wrong: one clear line or the guest's own death, never the host's.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { need } from "./harness/requirements.ts";
import { doppel, environment, repository, runBoth, runGuest, temporaryDirectory } from "./harness/run.ts";
import { exitCode, Field, tinyProgram } from "./harness/tiny-program.ts";

interface Run {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
}

/** Runs a file of these bytes. */
function runBytes(bytes: Uint8Array | string, mode = 0o755, args: readonly string[] = []): Run {
  using directory = temporaryDirectory();
  const file = join(directory.path, "program");
  writeFileSync(file, bytes);
  chmodSync(file, mode);
  return run([file, ...args], directory.path);
}

function run(command: readonly string[], cwd: string, options: readonly string[] = []): Run {
  const [file, ...args] = doppel(command, options);
  const { stdout, stderr, status } = spawnSync(file, args, {
    cwd,
    encoding: "utf8",
    env: environment(cwd),
    timeout: 60_000,
    input: "",
  });
  return { stdout, stderr, status };
}

/** One line of doppel's own, and nothing else. */
const complaint = /^doppel: [^\n]+\n$/;

/** A program that would end well, but for what `change` does to its headers. */
function changed(change: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const bytes = tinyProgram(exitCode);
  change(new DataView(bytes.buffer), bytes);
  return bytes;
}

describe("what cannot be executed", () => {
  it("the unchanged program can", () => {
    expect(runBytes(changed(() => {}))).toEqual({ stdout: "", stderr: "", status: 0 });
  });

  it.for<[string, Uint8Array | string]>([
    ["an empty file", ""],
    ["a text", "just words\n"],
    ["zeros", new Uint8Array(5000)],
    ["a magic number alone", "\u007fELF"],
    ["half a header", tinyProgram(exitCode).subarray(0, 40)],
    ["no program headers in the file", tinyProgram(exitCode).subarray(0, 64)],
    ["half a program header", tinyProgram(exitCode).subarray(0, 100)],
    ["ARM's 64-bit architecture", changed((view) => view.setUint16(Field.machine, 183, true))],
    ["a big-endian file", changed((_, bytes) => (bytes[Field.data] = 2))],
    ["a class there is not", changed((_, bytes) => (bytes[Field.class] = 3))],
    ["x86-64 in a 32-bit file", changed((_, bytes) => (bytes[Field.class] = 1))],
    ["an object file", changed((view) => view.setUint16(Field.type, 1, true))],
    ["a core dump", changed((view) => view.setUint16(Field.type, 4, true))],
    ["program headers beyond the end", changed((view) => view.setBigUint64(Field.programHeaders, 1n << 40n, true))],
    [
      "program headers at the end of all",
      changed((view) => view.setBigUint64(Field.programHeaders, 2n ** 64n - 8n, true)),
    ],
    ["65535 program headers", changed((view) => view.setUint16(Field.programHeaderCount, 65535, true))],
    ["program headers of another size", changed((view) => view.setUint16(Field.programHeaderBytes, 32, true))],
    ["less in memory than in the file", changed((view) => view.setBigUint64(Field.segmentMemoryBytes, 16n, true))],
    [
      "a segment in the kernel's half",
      changed((view) => view.setBigUint64(Field.segmentAddress, 0xffff_8000_0000_0000n, true)),
    ],
    [
      "a segment too large for any memory",
      changed((view) => view.setBigUint64(Field.segmentMemoryBytes, 1n << 60n, true)),
    ],
    ["an offset that is not the address's", changed((view) => view.setBigUint64(Field.segmentOffset, 8n, true))],
    [
      "an interpreter's name beyond the end",
      changed((view) => {
        view.setUint32(Field.segmentType, 3, true);
        view.setBigUint64(Field.segmentOffset, 1n << 33n, true);
      }),
    ],
    [
      "an interpreter's name of a gigabyte",
      changed((view) => {
        view.setUint32(Field.segmentType, 3, true);
        view.setBigUint64(Field.segmentFileBytes, 1n << 30n, true);
      }),
    ],
    ["a script whose interpreter's name is empty", "#! \n"],
    ["a script that is its own interpreter", "#!program\n"],
  ])("%s", ([, bytes]) => {
    const { stdout, stderr, status } = runBytes(bytes);
    expect({ stdout, stderr, status }).toMatchObject({ stdout: "", stderr: expect.stringMatching(complaint) });
    expect([126, 127]).toContain(status);
  });

  it("no file, no such directory on the way, a missing interpreter: 127", () => {
    for (const name of ["/no/such/program", "./nowhere", "never-heard-of-it"]) {
      const { stderr, status } = run([name], "/");
      expect({ stderr, status }).toEqual({ stderr: expect.stringMatching(complaint), status: 127 });
      expect(stderr).toContain(name);
    }
    expect(runBytes("#!/no/such/interpreter\n")).toMatchObject({
      stderr: expect.stringMatching(complaint),
      status: 127,
    });
    const interpreted = tinyProgram(exitCode, "/no/ld.so");
    expect(runBytes(interpreted)).toMatchObject({ stderr: expect.stringMatching(complaint), status: 127 });
  });

  it("no permission, a directory: 126", () => {
    expect(runBytes(tinyProgram(exitCode), 0o644)).toMatchObject({
      stderr: expect.stringMatching(complaint),
      status: 126,
    });
    using directory = temporaryDirectory();
    mkdirSync(join(directory.path, "folder"));
    expect(run(["./folder"], directory.path)).toMatchObject({ stderr: expect.stringMatching(complaint), status: 126 });
    // A file in place of a directory on the way is not there, for a shell.
    writeFileSync(join(directory.path, "file"), "");
    expect([126, 127]).toContain(run(["./file/program"], directory.path).status);
  });

  it("options that make no sense: one line, 2", () => {
    for (const options of [
      ["--nonsense"],
      ["--memory", "lots"],
      ["--memory", "5"],
      ["--env", "=x"],
      ["--mount", "x"],
      ["--cpu", "z80"],
      ["--root", "/no/such/root"],
      ["--mount", "/no/such:/mnt"],
    ]) {
      const { stdout, stderr, status } = run(["true"], "/", options);
      expect({ options, stdout, stderr, status }).toEqual({
        options,
        stdout: "",
        stderr: expect.stringMatching(complaint),
        status: 2,
      });
    }
  });
});

describe("programs that go wrong", () => {
  /** Signals by the status a shell shows. */
  it.for<[string, number, readonly number[]]>([
    ["read of null", 139, [0x8b, 0x04, 0x25, 0, 0, 0, 0]],
    ["write to null", 139, [0xc7, 0x04, 0x25, 0, 0, 0, 0, 1, 0, 0, 0]],
    ["jump to null", 139, [0x31, 0xc0, 0xff, 0xe0]],
    ["read of an address that is none", 139, [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x8b, 0x00]],
    ["jump to an address that is none", 139, [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xe0]],
    ["division by zero", 136, [0x31, 0xc9, 0xf7, 0xf1]],
    ["quotient too large", 136, [0xba, 5, 0, 0, 0, 0xb9, 1, 0, 0, 0, 0xf7, 0xf1]],
    ["illegal instruction", 132, [0x0f, 0x0b]],
    ["an opcode that is none", 132, [0x06]],
    ["breakpoint", 133, [0xcc]],
    ["privileged instruction", 139, [0xf4]],
    ["port input", 139, [0xec]],
    ["an interrupt that is none", 139, [0xcd, 0x42]],
    ["stack overflow", 139, [0xe8, 0xfb, 0xff, 0xff, 0xff]],
    ["stack overflow by pushes", 139, [0x50, 0xeb, 0xfd]],
    ["misaligned vector access", 139, [0x66, 0x0f, 0x6f, 0x44, 0x24, 1]],
    ["code that runs off its page", 139, [0x90, 0x90]],
    ["16 prefixes", 139, [...Array.from({ length: 16 }, () => 0x66), 0x90]],
    [
      "unmasked floating-point exception",
      136,
      [
        0x6a,
        0,
        0x0f,
        0xae,
        0x14,
        0x24, // push 0; ldmxcsr [rsp]
        0x0f,
        0x57,
        0xc0,
        0xf3,
        0x0f,
        0x5e,
        0xc0, // xorps xmm0, xmm0; divss xmm0, xmm0
      ],
    ],
  ])("%s", ([, status, code], context) => {
    need(context);
    const files = { program: tinyProgram(code) };
    const { native, guest } = runBoth({ command: ["./program"], files, prepare: "chmod +x program; ulimit -c 0" });
    expect(native.status).toBe(status);
    expect(guest).toMatchObject({ stdout: "", stderr: "", status });
  });

  it("memory that cannot be had is ENOMEM", (context) => {
    need(context, "/usr/bin/python3");
    const script = "try:\n  x = bytearray(1 << 30); print('had it')\nexcept MemoryError: print('MemoryError')";
    const command = ["/usr/bin/python3", "-c", script] as const;
    expect(runGuest({ command, options: ["--memory", "256"] })).toMatchObject({
      stdout: "MemoryError\n",
      stderr: "",
      status: 0,
    });
  });

  it("code that changes itself all the time does not hold up timers", (context) => {
    need(context, "busybox");
    const startedMs = performance.now();
    const selfmod = join(repository, "guests/bin/selfmod");
    expect(runGuest({ command: ["busybox", "timeout", "1", selfmod, "1000000"] }).status).toBe(143);
    // It would take an hour.
    expect(performance.now() - startedMs).toBeLessThan(30_000);
  });

  it("a program that waits is ended by the host's signal", async () => {
    const loop = [0xeb, 0xfe];
    using directory = temporaryDirectory();
    const file = join(directory.path, "program");
    writeFileSync(file, tinyProgram(loop), { mode: 0o755 });
    const [command, ...args] = doppel([file]);
    const result = spawnSync(command, args, { timeout: 3000, killSignal: "SIGTERM", encoding: "utf8" });
    expect(result.signal ?? result.status).toSatisfy((end) => end === "SIGTERM" || end === 143);
    expect(result.stderr).toBe("");
  });

  it.each([
    { what: "the first process still runs", script: "yes >/dev/null & echo; yes >/dev/null", status: 143 },
    { what: "the first process has ended", script: "yes >/dev/null & echo; exit 3", status: 3 },
    {
      what: "the first process ends in its own way",
      script: "trap 'exit 4' TERM; yes >/dev/null & echo; wait",
      status: 4,
    },
  ])("the host's signal ends children too: $what", async ({ script, status }) => {
    const [command, ...args] = doppel(["/bin/sh", "-c", script]);
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let complaints = "";
    child.stderr.on("data", (text: Buffer) => (complaints += text.toString()));
    await once(child.stdout, "data");
    // What is behind the line has begun by then.
    await setTimeout(2000);
    child.kill("SIGTERM");
    const [found] = (await once(child, "close")) as [number | null];
    expect({ status: found, stderr: complaints }).toEqual({ status, stderr: "" });
  });
});
