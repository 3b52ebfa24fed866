import { describe, expect, it } from "vitest";
import { plot } from "./plot.ts";
import { markdown, table } from "./report.ts";
import { Progress } from "./progress.ts";
import { summarise, type SuiteResult } from "./results.ts";
import type { SuiteSection, TextSection } from "./sections.ts";

const tasks: SuiteResult = {
  name: "kernels",
  title: "Computations",
  tasks: [
    {
      name: "a<b",
      runs: [
        { contender: "doppel", wallSeconds: [1, 1.2, 1.1], userSeconds: [0.9, 1, 1] },
        { contender: "qemu", wallSeconds: [2.2, 2.4, 2.2], userSeconds: [2, 2, 2] },
      ],
      failures: [],
    },
    {
      name: "other",
      runs: [{ contender: "doppel", wallSeconds: [3, 3, 3], userSeconds: [3, 3, 3] }],
      failures: [{ name: "qemu", reason: "ended with 139: " }],
    },
  ],
  absent: [{ name: "redis-server", reason: "its program is not installed" }],
  summary: [],
};

const host = { processor: "A processor", cores: 2, memoryGiB: 4, kernel: "Linux 6.1", node: "v24" };
const suite: SuiteResult = { ...tasks, summary: summarise(tasks) };
const section: SuiteSection = {
  date: "2026-01-01",
  host,
  repeat: 3,
  contenders: [{ name: "doppel", description: "this project" }],
  absent: [{ name: "v86", reason: "not chosen" }],
  suite,
};
const other: TextSection = {
  date: "2026-01-02",
  host,
  title: "Memory",
  command: "node bench/memory.ts",
  text: "None.\n",
};

describe("reports of benchmarks", () => {
  it("a mean covers the tasks that both contenders could do", () => {
    expect(summarise(tasks)).toEqual([
      { contender: "qemu", wall: expect.closeTo(2), user: expect.closeTo(2), tasks: 1 },
    ]);
  });

  it("what took less than a tick has no mean of processor time", () => {
    const runs = [
      { contender: "doppel", wallSeconds: [0.2], userSeconds: [0.2] },
      { contender: "native", wallSeconds: [0.002], userSeconds: [0] },
    ];
    const starts: SuiteResult = { ...tasks, tasks: [{ name: "true", runs, failures: [] }] };
    const summary = summarise(starts);
    expect(summary).toEqual([{ contender: "native", wall: expect.closeTo(0.01), tasks: 1 }]);
    expect(table({ ...starts, summary })).toMatch(/^geometric mean +0\.010$/m);
  });

  it("the table has a line for each task, and says what failed", () => {
    const text = table(suite);
    expect(text).toMatch(/^a<b +1\.10 s +2\.20 s +2\.00 \(2\.00…2\.20\)/m);
    expect(text).toContain("other: qemu ended with 139");
  });

  it("the document says what it ran on and what was left out", () => {
    const text = markdown([section, other]);
    expect(text).toContain("2026-01-01, `doppel bench kernels`, 3 rounds, on A processor, 2 cores");
    expect(text).toContain("2026-01-02, `node bench/memory.ts`, on A processor");
    expect(text).toMatch(/^\| kernels +\| +2\.00 \|$/m);
    expect(text).toContain("- without `v86`: not chosen");
    expect(text).toContain("- without redis-server: its program is not installed");
  });

  it("progress says how much is left, by how it went so far", () => {
    let nowMs = 0;
    const lines: string[] = [];
    const progress = new Progress(
      3,
      (text) => lines.push(text),
      () => nowMs,
    );
    progress.next("one");
    nowMs = 90_000;
    progress.next("two");
    expect(lines).toEqual(["one (1 of 3)\n", "two (2 of 3, about 3 min left)\n"]);
  });

  it("the plot escapes names and has a mark for each ratio", () => {
    const svg = plot([suite]);
    expect(svg).toContain("a&lt;b");
    expect(svg.match(/<title>/g)).toHaveLength(1);
  });
});
