// Bindings of a user's own, for functions of a user's own program, by the library's interface.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startInMemory } from "@doppel/emulator";
import {
  type BindPoint,
  C,
  type NativeFunction,
  nativeFunction,
  pointerTo,
  prototype,
  resumableFunction,
} from "@doppel/native-binding";
import { beforeAll, describe, expect, it } from "vitest";
import { findProgram, need } from "./harness/requirements.ts";
import { repository, temporaryDirectory } from "./harness/run.ts";

const needed = ["gcc", "/usr/lib/x86_64-linux-gnu/libc.a"];
const directory = temporaryDirectory();
const program = join(directory.path, "own-functions");
const failures: unknown[] = [];

beforeAll(() => {
  const source = join(repository, "apps/cli/test/programs/own-functions.c");
  if (needed.every((name) => findProgram(name) !== undefined)) {
    const { status, stderr } = spawnSync("gcc", ["-O2", "-static", "-o", program, source], { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
  }
  return () => directory[Symbol.dispose]();
});

interface Result {
  readonly stdout: string;
  /** As wait(2) says it. */
  readonly status: number;
  readonly calls: number;
}

async function run(
  what: string,
  bindings: readonly NativeFunction[],
  bindPoints: readonly BindPoint[] = [],
): Promise<Result> {
  let stdout = "";
  const running = startInMemory({
    files: { "/own": readFileSync(program) },
    command: ["/own", what],
    bindings,
    bindPoints,
    bindingFailed: (_name, error) => failures.push(error),
    stdout: (bytes) => (stdout += Buffer.from(bytes).toString()),
    memoryBytes: 64 << 20,
  }) as Exclude<ReturnType<typeof startInMemory>, { reason: string }>;
  const status = await running.finished;
  const calls = Object.values(running.statistics().bindings).reduce((sum, binding) => sum + binding.calls, 0);
  return { stdout, status, calls };
}

const pair = pointerTo("pair", { first: C.short, second: C.double, third: C.longLong });
const mixed = nativeFunction({
  name: "mixed",
  symbols: [{ name: "mixed" }],
  prototype: prototype(C.double, [
    C.signedChar,
    C.unsignedShort,
    C.int,
    C.long,
    C.unsignedLongLong,
    C.float,
    C.double,
    pair,
    C.unsignedChar,
    C.double,
  ]),
  run: (_call, a, b, c, d, e, f, g, view, onStack, h) => {
    view.set("first", view.get("first") + 1);
    view.set("third", -view.get("third"));
    return a + b + c + Number(d) + Number(e) + f + g + view.get("second") + onStack + h;
  },
});
const total = nativeFunction({
  name: "total",
  symbols: [{ name: "total" }],
  prototype: prototype(C.long, [C.int], { variadic: true }),
  run: ({ variable }, count) => {
    const list = variable();
    let sum = 0;
    for (let index = 0; index < count; index++)
      sum += index % 2 === 0 ? Number(list.next(C.long)) : list.next(C.double);
    return BigInt(Math.trunc(sum));
  },
});
const unary = prototype(C.int, [C.int]);
const apply = resumableFunction({
  name: "apply",
  symbols: [{ name: "apply" }],
  prototype: unary,
  callees: { scale: { prototype: unary, native: (_call, value: number) => 10 * value } },
  start: (_call, value) => ({ call: "scale", values: [value], state: {} }),
  resume: (_call, _state, result) => ({ returns: result + 1 }),
});
interface EachState {
  readonly values: number;
  readonly visit: number;
  left: number;
  sum: number;
}
const each = resumableFunction({
  name: "each",
  symbols: [{ name: "each" }],
  prototype: prototype(C.int, [C.pointer, C.int, C.pointer]),
  callees: { visit: { prototype: unary } },
  start: ({ memory }, values, count, visit) => ({
    call: "visit",
    address: visit,
    values: [memory.u32(values) | 0],
    state: { values: values + 4, visit, left: count - 1, sum: 0 },
  }),
  resume: ({ memory }, state: EachState, result) => {
    if (state.left === 0) return { returns: state.sum + result };
    const next = memory.u32(state.values) | 0;
    const { values, visit, left, sum } = state;
    return {
      call: "visit",
      address: visit,
      values: [next],
      state: { values: values + 4, visit, left: left - 1, sum: sum + result },
    };
  },
});
const answer = nativeFunction({
  name: "answer",
  symbols: [{ name: "answer" }],
  prototype: prototype(C.int, []),
  run: () => 42,
});

describe("bindings of one's own", () => {
  it("B2 integers of all widths, floating point, structs by pointer and variable arguments are converted", async (context) => {
    need(context, ...needed);
    const unbound = await run("mixed", []);
    const bound = await run("mixed", [mixed, total]);
    expect(bound.stdout).toBe(unbound.stdout);
    expect(bound.calls).toBe(3);
  });

  it("B3 with a bind point a native function's call goes to the guest's function, without it stays native", async (context) => {
    need(context, ...needed);
    const guestScale: BindPoint = { native: "apply.scale", guest: { name: "scale" } };
    expect(await run("apply", [apply])).toMatchObject({ stdout: "31\n", calls: 1 });
    expect(await run("apply", [apply], [guestScale])).toMatchObject({ stdout: "301\n", calls: 1 });
  });

  it("B4 a native function calls a guest function by its address, any number of times", async (context) => {
    need(context, ...needed);
    expect(await run("each", [each])).toMatchObject({ stdout: "20\n", calls: 1 });
  });

  it("B6 native frames are left for good, five thousand times, at a hundred depths of the stack", async (context) => {
    need(context, ...needed);
    const { stdout, calls } = await run("leave", [each]);
    expect(stdout).toBe("6\n");
    expect(calls).toBe(5001);
  });

  it("B1 a function that the guest overwrites is the guest's again", async (context) => {
    need(context, ...needed);
    expect(await run("patch", [answer])).toMatchObject({ stdout: "42\n7\n", calls: 1 });
    expect(await run("patch", [])).toMatchObject({ stdout: "41\n7\n" });
  });

  it("B2 a wrong prototype ends in a signal of the guest's, and a twin's own failure in SIGILL", async (context) => {
    need(context, ...needed);
    const symbols = [{ name: "text_length" }];
    const wrong = nativeFunction({
      name: "text_length",
      symbols,
      prototype: prototype(C.int, [C.double]),
      run: ({ memory }, text) => memory.string(text).length,
    });
    const failing = nativeFunction({
      name: "text_length",
      symbols,
      prototype: prototype(C.int, [C.pointer]),
      run: () => {
        throw new RangeError("no");
      },
    });
    expect((await run("wrong", [wrong])).status & 0x7f).toBe(11);
    expect((await run("wrong", [failing])).status & 0x7f).toBe(4);
    expect(failures).toEqual([new RangeError("no")]);
  });
});
