import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { speedscopeSchema } from "@doppel/emulator/profile";
import { statisticsSchema } from "@doppel/emulator/statistics-schema";
import { afterAll, describe, expect, it } from "vitest";
import { doppel, guest } from "./testing/doppel.ts";

const scratch = mkdtempSync(join(tmpdir(), "doppel-run-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("doppel run", () => {
  it("gives the program's output and status", () => {
    expect(doppel("run", guest("hello"))).toEqual({ stdout: "Hello from an x86-64 program\n", stderr: "", status: 0 });
  });

  it("--stats prints a table on standard error, after the program's own", () => {
    const { stdout, stderr, status } = doppel("run", "--stats", guest("hello"));
    expect(stdout).toBe("Hello from an x86-64 program\n");
    expect(status).toBe(0);
    const names = stderr
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/)[0]);
    expect(names.filter((name) => name !== "")).toEqual([
      "regions threaded",
      "guest instructions",
      "modules",
      "slots linked",
      "flags recorded",
      "writes to code",
      "TLB misses",
      "processes",
      "system calls",
      "time",
      "memory",
    ]);
    expect(stderr).toMatch(/^ {2}write +1$/m);
    expect(stderr).toMatch(/^ {2}compile +\d+\.\d ms +\d+ %$/m);
  });

  it("--stats=json and --stats-file give what the schema says", () => {
    const file = join(scratch, "statistics.json");
    const { stderr } = doppel("run", "--stats=json", "--stats-file", file, guest("hello"));
    expect(statisticsSchema.parse(JSON.parse(stderr)).systemCalls.byName).toMatchObject({ write: 1 });
    expect(readFileSync(file, "utf8")).toBe(stderr);
  });

  it("--strace and --stats work together", () => {
    const { stderr } = doppel("run", "--strace", "--stats", guest("hello"));
    expect(stderr).toMatch(/write\(1, [^\n]*, 29\) = 29\n/);
    expect(stderr).toMatch(/^regions /m);
  });

  it("--profile writes what speedscope opens, with the guest's functions and where else the time went", () => {
    const file = join(scratch, "profile.json");
    const { stdout, stderr, status } = doppel("run", "--profile", file, guest("qsort"), "300000");
    expect(stdout).toBe(doppel("run", guest("qsort"), "300000").stdout);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^profiled .*100\.0 %\n/);
    expect(stderr).toMatch(/^ {2}function at 0x[0-9a-f]+ (\(in haste\) )?\[qsort\]/m);
    const { profiles, shared } = speedscopeSchema.parse(JSON.parse(readFileSync(file, "utf8")));
    const stacks = profiles[0].samples.map((sample) => sample.map((index) => shared.frames[index].name));
    // The comparison, called by the sort.
    expect(stacks.some(([process, ...functions]) => process === "qsort" && functions.length > 1)).toBe(true);
    expect(shared.frames.map(({ name }) => name)).toContain("translation: decode and lift");
  });

  it("--profile says when its file cannot be written", () => {
    const { stdout, stderr, status } = doppel("run", "--profile", join(scratch, "no/such"), guest("hello"));
    expect(stdout).toBe("Hello from an x86-64 program\n");
    expect(stderr).toMatch(/^doppel: --profile .*no\/such: no such file or directory$/m);
    expect(status).toBe(0);
  });

  it("--cpu list says what --cpu takes", () => {
    const { stdout, status } = doppel("run", "--cpu", "list");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^x86-64 +up to SSE2\nx86-64-v2 +up to SSE4\.2/);
    expect(doppel("run", "--cpu", "x86-64", guest("hello")).status).toBe(0);
  });

  it("a statistics file that cannot be written is a complaint, and the status the program's", () => {
    const file = join(scratch, "nowhere", "statistics.json");
    expect(doppel("run", "--stats-file", file, guest("hello"))).toMatchObject({
      stderr: `doppel: --stats-file ${file}: no such file or directory\n`,
      status: 0,
    });
  });

  it("says why a file is no program", () => {
    const file = join(scratch, "text");
    writeFileSync(file, "not a program", { mode: 0o755 });
    expect(doppel("run", file)).toEqual({
      stdout: "",
      stderr: `doppel: ${file}: not an ELF file and no #! line\n`,
      status: 126,
    });
  });

  it.each([
    [["run"], "run needs a program", 2],
    [["run", "--fast", "x"], "run: Unknown option '--fast'; doppel run --help lists the options", 2],
    [["run", "--env"], "run: Option '--env <value>' argument missing", 2],
    [["run", "--env", "=x", guest("hello")], "--env =x: a variable needs a name", 2],
    [["run", "--stats=xml", guest("hello")], "--stats=xml: write --stats or --stats=json", 2],
    [["run", "--cpu", "pentium", guest("hello")], "--cpu pentium: there are x86-64, x86-64-v2", 2],
    [["run", "--memory", "lots", guest("hello")], "--memory lots: give a number of MiB from 16 to 4096", 2],
    [["run", "--mount", "here", guest("hello")], "--mount here: write HOST:GUEST or HOST:GUEST:ro", 2],
    [
      ["run", "--mount", "/nowhere-at-all:/x", guest("hello")],
      "cannot mount /nowhere-at-all: no such file or directory",
      2,
    ],
    [
      ["run", "--cwd", "/nowhere-at-all", guest("hello")],
      "the guest has no directory /nowhere-at-all to start in",
      127,
    ],
    [["run", "--root", "/nowhere-at-all", "sh"], "--root /nowhere-at-all: there is no such directory", 2],
    [["run", "guests/nowhere"], "doppel: guests/nowhere: no such file", 127],
    [["run", "no-such-program-anywhere"], "no-such-program-anywhere: command not found", 127],
    [["run", "./README.md"], "doppel: ./README.md: permission denied", 126],
    [["jump"], "there is no command jump; doppel --help lists them", 2],
  ])("%j: %s", (args, message, expected) => {
    const { stdout, stderr, status } = doppel(...args);
    expect(stdout).toBe("");
    expect(stderr).toContain(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(status).toBe(expected);
  });
});
