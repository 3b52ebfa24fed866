import { describe, expect, it } from "vitest";
import { type CpuProfile, GuestProfile, Kind } from "./guest-profile.ts";
import { speedscopeSchema } from "./speedscope-schema.ts";

/** Stacks, each with the time of its sample in microseconds; a frame is `function` or `function@url`. */
function cpuProfile(samples: readonly (readonly [atUs: number, stack: string])[]): CpuProfile {
  const nodes: { id: number; callFrame: CpuProfile["nodes"][number]["callFrame"]; children: number[] }[] = [];
  const node = (name: string): number => {
    const [functionName, url = ""] = name.split("@");
    return nodes.push({ id: nodes.length + 1, callFrame: { functionName, url, lineNumber: 0 }, children: [] });
  };
  node("(root)");
  const leaves = samples.map(([, stack]) =>
    stack.split(" > ").reduce((parent, name) => {
      const id = node(name);
      nodes[parent - 1].children.push(id);
      return id;
    }, 1),
  );
  const timeDeltas = samples.map(([atUs], index) => atUs - (index === 0 ? 0 : samples[index - 1][0]));
  return { nodes, startTime: 0, samples: leaves, timeDeltas };
}

const REGIONS = "wasm://wasm/regions-0123abcd";
const SUPPORT = "wasm://wasm/support-0123abcd";
const THREADED = "wasm://wasm/threaded-0123abcd";
/** A space in which nothing is mapped from a file. */
const nowhere = { translate: () => -1 };

describe("a profile in the guest's terms", () => {
  it("has guest functions under their process, and what they went into under them", () => {
    let now = 0;
    const profile = new GuestProfile(() => now);
    const main = profile.codeName(nowhere, 0x1000, true);
    const inner = profile.codeName(nowhere, 0x2000, false);
    const task = { name: "toy", call: null };
    now = 100;
    profile.timeline.turn(task);
    now = 500;
    profile.timeline.syscallEnter(task, { name: "read" }, 0);
    now = 600;
    profile.timeline.syscallExit(task);
    now = 900;
    profile.timeline.turn(null);
    const { file, summary } = profile.finish(
      "toy",
      cpuProfile([
        [50, "loop@file:///a/b/c/d/host.js"],
        [150, `#turn > run@${SUPPORT} > ${main}@${REGIONS}`],
        [250, `#turn > run@${SUPPORT} > ${main}@${REGIONS} > ${inner}@${REGIONS}`],
        [350, `#turn > run@${SUPPORT} > ${main}@${REGIONS} > wasm-to-js > compile > resolve > discover`],
        [450, `#turn > run@${SUPPORT} > enter@${THREADED} > add@${THREADED}`],
        [550, `#turn > run@${SUPPORT} > ${main}@${REGIONS} > wasm-to-js > service > #call > sysRead`],
        [650, `#turn > run@${SUPPORT} > ${main}@${REGIONS} > wasm-to-js > slowLoad`],
        [750, `#turn > run@${SUPPORT} > ${main}@${REGIONS} > wasm-to-js > fsin`],
        [850, "(garbage collector)"],
        [950, "(idle)"],
        [1000, "(idle)"],
      ]),
    );
    const { frames } = speedscopeSchema.parse(file).shared;
    const stacks = file.profiles[0].samples.map((sample) => sample.map((index) => frames[index].name).join(" > "));
    expect(stacks).toEqual([
      "outside processes > host > loop",
      "toy > code at 0x1000",
      "toy > code at 0x1000 > code at 0x2000 (in haste)",
      `toy > code at 0x1000 > ${Kind.decode} > compile > resolve > discover`,
      "toy > threaded code",
      "toy > code at 0x1000 > system call read > sysRead",
      `toy > code at 0x1000 > ${Kind.slowPath} > slowLoad`,
      "toy > code at 0x1000 > helpers > fsin",
      "toy > garbage collection",
      "outside processes > idle",
      "outside processes > idle",
    ]);
    expect(frames.find(({ name }) => name === "loop")).toEqual({ name: "loop", file: "b/c/d/host.js", line: 1 });
    expect(summary.totalMs).toBeCloseTo(0.95);
    const partsByKind = Object.fromEntries(
      summary.kinds.map(({ name, parts }) => [name, parts.map((part) => part.name)]),
    );
    expect(partsByKind).toMatchObject({
      "guest code": ["code at 0x1000", "code at 0x2000 (in haste)"],
      "system calls": ["read"],
      helpers: ["fsin"],
    });
  });

  it("a system call that waits goes on under its own name", () => {
    let now = 0;
    const profile = new GuestProfile(() => now);
    profile.timeline.turn({ name: "toy", call: { name: "poll" } });
    now = 100;
    const { summary } = profile.finish(
      "toy",
      cpuProfile([
        [50, "#turn > #resumeCall > retry"],
        [80, "#turn"],
      ]),
    );
    expect(summary.kinds).toEqual([{ name: "system calls", ms: 0.03, parts: [{ name: "poll", ms: 0.03 }] }]);
  });
});
