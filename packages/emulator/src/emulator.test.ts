import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  combineObservers,
  type KernelObserver,
  type MemoryProgramOptions,
  startInMemory,
  UnknownCpuError,
  UserEngine,
} from "./index.ts";
import { statisticsSchema } from "./statistics-schema.ts";

const guests = join(import.meta.dirname, "../../../guests/bin");
const MEMORY_BYTES = 64 << 20;

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly program: Exclude<ReturnType<typeof startInMemory>, { reason: string }>;
}

/** Runs a guest program of the repository in memory. */
async function run(
  name: string,
  args: readonly string[] = [],
  options: Partial<MemoryProgramOptions> = {},
): Promise<Outcome> {
  const written = { stdout: "", stderr: "" };
  const program = startInMemory({
    files: { [`/bin/${name}`]: readFileSync(join(guests, name)) },
    command: [`/bin/${name}`, ...args],
    memoryBytes: MEMORY_BYTES,
    stdout: (bytes) => void (written.stdout += new TextDecoder().decode(bytes)),
    stderr: (bytes) => void (written.stderr += new TextDecoder().decode(bytes)),
    ...options,
  });
  if ("reason" in program) throw new Error(program.reason);
  const status = await program.finished;
  return { status, ...written, program };
}

describe("startInMemory", () => {
  it("runs a program from bytes, and gives its output and status", async () => {
    expect(await run("hello")).toMatchObject({ status: 0, stdout: "Hello from an x86-64 program\n", stderr: "" });
  });

  it("gives it arguments, environment and input", async () => {
    expect(await run("echo", ["one", "two words"], { environment: ["GUEST=yes"] })).toMatchObject({
      stdout: "1: one\n2: two words\nGUEST=yes\n",
    });
    expect(await run("cat", [], { stdin: new TextEncoder().encode("a line\n") })).toMatchObject({
      status: 0,
      stdout: "a line\n",
    });
  });

  it("runs processes and threads", async () => {
    const { stdout, program } = await run("fork");
    expect(stdout).toContain("it exited with 42\n");
    expect(program.statistics().processes).toBe(4);
  });

  it("says why there is nothing to run", () => {
    const missing = startInMemory({ files: {}, command: ["/bin/nothing"], memoryBytes: MEMORY_BYTES });
    expect(missing).toMatchObject({ errno: 2, reason: expect.any(String) });
    const text = startInMemory({
      files: { "/a": new TextEncoder().encode("not a program") },
      command: ["/a"],
      memoryBytes: MEMORY_BYTES,
    });
    expect(text).toMatchObject({ errno: 8, reason: expect.any(String) });
    const large = startInMemory({ files: { "/a": new Uint8Array(32 << 20) }, command: ["/a"], memoryBytes: 16 << 20 });
    expect(large).toMatchObject({ errno: 12, reason: "/a does not fit into the guest" });
  });

  it("knows its processors", async () => {
    await expect(run("hello", [], { cpu: "x86-64-v9" })).rejects.toThrow(UnknownCpuError);
    expect(await run("hello", [], { cpu: "x86-64" })).toMatchObject({ status: 0 });
  });
});

describe("guest memory", () => {
  it("that has no room for another process is no exception", () => {
    const engine = new UserEngine({ memoryBytes: 1 << 20, random: () => 0, monotonicNs: () => 0 });
    const space = { translate: () => -1 };
    const first = engine.createContext(space)!;
    const contexts = Array.from({ length: 20 }, () => first.fork(space));
    expect(contexts[0]).not.toBeNull();
    expect(contexts.at(-1)).toBeNull();
    contexts[0]!.dispose();
    expect(first.fork(space)).not.toBeNull();
  });

  it("that has no room for the program is a failure with a reason", () => {
    const files = { "/bin/fork": readFileSync(join(guests, "fork")), "/filler": new Uint8Array(220 * 4096) };
    const program = startInMemory({ files, command: ["/bin/fork"], memoryBytes: 1 << 20 });
    expect(program).toMatchObject({ errno: 12, reason: "/bin/fork: out of guest memory" });
  });
});

describe("hooks", () => {
  it("are told of system calls, signals and ends", async () => {
    const seen: string[] = [];
    const hook: KernelObserver = {
      syscallEnter: (_task, call) => void seen.push(call?.name ?? "?"),
      signal: (_task, info) => void seen.push(`signal ${info.signal}`),
      exit: (_process, status) => void seen.push(`exit ${status}`),
    };
    await run("fork", [], { hooks: [hook] });
    expect(seen).toEqual(expect.arrayContaining(["fork", "wait4", "signal 11", `exit ${42 << 8}`, "exit 0"]));
  });

  it("are told in order", () => {
    const told: number[] = [];
    const combined = combineObservers([1, 2, 3].map((index) => ({ exit: () => void told.push(index) })));
    combined.exit!({} as never, 0);
    combined.stopped!({} as never);
    expect(told).toEqual([1, 2, 3]);
  });
});

describe("statistics", () => {
  it("are what the schema says, and show the techniques at work", async () => {
    const { program } = await run("selfmod", ["20"]);
    const statistics = program.statistics();
    expect(statisticsSchema.parse(JSON.parse(JSON.stringify(statistics)))).toEqual(statistics);
    const { translation, slots, flags, guards, tlb, systemCalls, timeMs } = statistics;
    expect(translation.regions + translation.threadedRegions).toBeGreaterThan(20);
    expect(translation.guestInstructions).toBeGreaterThan(translation.regions + translation.threadedRegions);
    expect(translation.modules).toBeLessThanOrEqual(translation.regions);
    expect(translation.threadedBytes).toBeGreaterThan(1000);
    expect(slots.linked).toBeGreaterThan(0);
    expect(flags.recorded).toBeGreaterThan(10 * flags.materialised);
    expect(guards.faults + guards.unprotected).toBeGreaterThan(20);
    expect(guards.discards).toBeGreaterThanOrEqual(20);
    expect(tlb.loadMisses + tlb.storeMisses).toBeGreaterThan(0);
    expect(systemCalls.byName).toMatchObject({ mmap: 1, exit_group: 1 });
    expect(systemCalls.total).toBe(Object.values(systemCalls.byName).reduce((sum, count) => sum + count, 0));
    const { total, ...stages } = timeMs;
    expect(Object.values(stages).reduce((sum, stage) => sum + stage, 0)).toBeCloseTo(total, 0);
  });

  it("count regions that are translated again since they are hot, and materialised flags", async () => {
    const { program } = await run("flags", ["2000"]);
    const { translation, flags } = program.statistics();
    expect(translation.hotRegions).toBeGreaterThan(0);
    expect(translation.wasmBytes).toBeGreaterThan(1000);
    expect(flags.materialised).toBeGreaterThan(0);
    expect(flags.fused).toBeGreaterThan(0);
  });
});
