import { describe, expect, it } from "vitest";
import { plot } from "./plot.ts";
import { markdown, table } from "./report.ts";
import { type Results, summarise, type SuiteResult } from "./results.ts";

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

const results: Results = {
  date: "2026-01-01",
  host: { processor: "A processor", cores: 2, memoryGiB: 4, kernel: "Linux 6.1", node: "v24" },
  repeat: 3,
  contenders: [{ name: "doppel", description: "this project" }],
  absent: [{ name: "v86", reason: "not chosen" }],
  suites: [{ ...tasks, summary: summarise(tasks) }],
};

describe("reports of benchmarks", () => {
  it("a mean covers the tasks that both contenders could do", () => {
    expect(summarise(tasks)).toEqual([
      { contender: "qemu", wall: expect.closeTo(2), user: expect.closeTo(2), tasks: 1 },
    ]);
  });

  it("the table has a line for each task, and says what failed", () => {
    const text = table(results.suites[0]);
    expect(text).toMatch(/^a<b +1\.10 s +2\.20 s +2\.00 \(2\.00…2\.20\)/m);
    expect(text).toContain("other: qemu ended with 139");
  });

  it("the document says what it ran on and what was left out", () => {
    const text = markdown(results);
    expect(text).toContain("3 rounds, on A processor, 2 cores");
    expect(text).toContain("- without `v86`: not chosen");
    expect(text).toContain("- without redis-server: its program is not installed");
  });

  it("the plot escapes names and has a mark for each ratio", () => {
    const svg = plot(results);
    expect(svg).toContain("a&lt;b");
    expect(svg.match(/<title>/g)).toHaveLength(1);
  });
});
