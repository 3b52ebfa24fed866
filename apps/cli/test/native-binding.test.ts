// Native twins in real programs: the guest's C compiler and libraries, natively, with all bindings and with none.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { EmulatorStatistics } from "@doppel/emulator";
import { beforeAll, describe, expect, it } from "vitest";
import { findProgram, need } from "./harness/requirements.ts";
import { doppel, environment, repository, temporaryDirectory } from "./harness/run.ts";

const programs = join(repository, "apps/cli/test/programs");
const directory = temporaryDirectory();
const needed = ["gcc", "/usr/include/zlib.h", "/usr/lib/x86_64-linux-gnu/libz.a"];
const here = needed.every((name) => findProgram(name) !== undefined);

interface Run {
  readonly stdout: string;
  readonly status: number | null;
}
interface GuestRun extends Run {
  readonly stderr: string;
  readonly bindings: EmulatorStatistics["bindings"];
  readonly runMs: number;
}

function native(...command: readonly [string, ...string[]]): Run {
  const [file, ...args] = command;
  const { stdout, status } = spawnSync(join(directory.path, file), args, { encoding: "utf8" });
  return { stdout, status };
}

function guest(bind: string, ...command: readonly [string, ...string[]]): GuestRun {
  const [file, ...args] = command;
  const statistics = join(directory.path, "statistics.json");
  const options = ["--bind", bind, "--stats-file", statistics];
  const [node, ...words] = doppel([join(directory.path, file), ...args], options);
  const { stdout, stderr, status } = spawnSync(node, words, { encoding: "utf8", env: environment(directory.path) });
  const { bindings, timeMs } = JSON.parse(readFileSync(statistics, "utf8")) as EmulatorStatistics;
  return { stdout, stderr, status, bindings, runMs: timeMs.run };
}

beforeAll(() => {
  if (!here) return () => directory[Symbol.dispose]();
  const compile = (output: string, source: string, ...flags: readonly string[]): void => {
    const args = ["-O2", "-o", join(directory.path, output), join(programs, source), ...flags];
    const { status, stderr } = spawnSync("gcc", args, { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
  };
  compile("library", "library-calls.c", "-lz");
  compile("library-static", "library-calls.c", "-static", "-lz");
  compile("library-stripped", "library-calls.c", "-static", "-s", "-lz");
  compile("callbacks", "callbacks.c", "-pthread");
  compile("loop", "../../../../bench/programs/library-loop.c", "-lz");
  return () => directory[Symbol.dispose]();
});

describe("native bindings", () => {
  it("B1 functions are found by symbol, behind resolvers, and results are those of the guest's functions", (context) => {
    need(context, ...needed);
    const { bindings, runMs: _runMs, ...run } = guest("all", "library");
    expect(run).toMatchObject({ ...native("library"), stderr: "" });
    // Behind resolvers: memcpy, strlen. Internal, known by its code: inflate_fast. In libz: crc32.
    expect(Object.keys(bindings)).toEqual(
      expect.arrayContaining(["memcpy", "strlen", "memchr", "qsort", "bsearch", "strdup", "crc32", "inflate_fast"]),
    );
  });

  it("B1 functions of static programs are found by their symbols", (context) => {
    need(context, ...needed);
    const { bindings, runMs: _runMs, ...run } = guest("all", "library-static");
    expect(run).toMatchObject({ ...native("library"), stderr: "" });
    expect(Object.keys(bindings)).toEqual(
      expect.arrayContaining(["memcpy", "strlen", "qsort", "crc32", "inflate_fast"]),
    );
  });

  it("B1 functions of stripped programs are found by their code", (context) => {
    need(context, ...needed);
    const { bindings, runMs: _runMs, ...run } = guest("all", "library-stripped");
    expect(run).toMatchObject({ ...native("library"), stderr: "" });
    expect(Object.keys(bindings)).toEqual(["inflate_fast"]);
  });

  it("B4 B5 B6 comparators nest, fault, are interrupted, fork, take turns and leave by longjmp and unwinding", (context) => {
    need(context, ...needed);
    const { bindings, runMs: _runMs, ...run } = guest("qsort", "callbacks");
    expect(run).toMatchObject({ ...native("callbacks"), stderr: "" });
    expect(bindings["qsort"]?.callbacks).toBeGreaterThan(100_000);
  });

  it.for(["copy 1", "copy 5000", "copy 0", "inflate 0", "inflate 10000"])(
    "B7 a bad pointer faults where it does unbound, with as much written: %s",
    (words, context) => {
      need(context, ...needed);
      const args = words.split(" ");
      const { bindings: _none, runMs: _unboundMs, ...unbound } = guest("none", "library", ...args);
      const {
        bindings: _all,
        runMs: _boundMs,
        ...bound
      } = guest("memcpy,memmove,inflate_fast,adler32", "library", ...args);
      expect(bound).toEqual(unbound);
      expect(bound.stdout).toMatch(args[1] === "0" || words === "inflate 10000" ? /./ : /^fault/);
    },
  );

  it("B8 bindings are listed, chosen and switched off, with the same results", (context) => {
    need(context, ...needed);
    const chosen = guest("strlen,memchr", "library");
    const none = guest("none", "library");
    const byDefault = guest("crc32,adler32", "library");
    expect(Object.keys(chosen.bindings).toSorted()).toEqual(["memchr", "strlen"]);
    expect(none.bindings).toEqual({});
    expect([chosen.stdout, byDefault.stdout]).toEqual([none.stdout, none.stdout]);
  });

  it("B9 a program dominated by a function that has a twin runs in less time, and prints the same", (context) => {
    need(context, ...needed);
    const command = ["loop", "strcmp", "2000000", "1000"] as const;
    const [bound, unbound] = [guest("all", ...command), guest("none", ...command)];
    expect([bound.stdout, unbound.stdout]).toEqual([native(...command).stdout, bound.stdout]);
    expect(bound.bindings["strcmp"].calls).toBeGreaterThan(1_000_000);
    // In two fifths of the time where it was measured.
    expect(bound.runMs).toBeLessThan(0.8 * unbound.runMs);
  });

  it("B8 a binding that does not exist is a usage error", () => {
    const [node, ...args] = doppel(["/bin/true"], ["--bind", "memcpy,frobnicate"]);
    const { status, stderr } = spawnSync(node, args, { encoding: "utf8" });
    expect(status).toBe(2);
    expect(stderr).toContain("there is no binding frobnicate; there are memcpy,");
    const list = spawnSync(node, [...args.slice(0, args.indexOf("run") + 1), "--bind", "list"], { encoding: "utf8" });
    expect(list.stdout).toMatch(/^qsort +off +void \(void \*, size_t, size_t, void \*\)$/m);
  });
});
