/** Results as text: a table for the terminal, a document for docs/. */
import { contendersOf, OURS, type SuiteResult, type TaskResult, wallRatio } from "./results.ts";
import type { Section, SuiteSection, TextSection } from "./sections.ts";
import { median } from "./statistics.ts";

function seconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

/** Two or three digits that count. */
function factor(value: number): string {
  return value < 0.1 ? value.toPrecision(2) : value.toFixed(value < 10 ? 2 : 1);
}

/** Column heads and rows of a suite. */
function cells(suite: SuiteResult): readonly [readonly string[], readonly (readonly string[])[]] {
  const names = contendersOf(suite);
  const others = names.filter((name) => name !== OURS);
  const head = [suite.name, ...names, ...others.map((name) => `${name} / ${OURS}`), `user: ${names.join(", ")}`];
  const rows = suite.tasks.map((task) => [
    task.name,
    ...names.map((name) => wallCell(task, name)),
    ...others.map((name) => {
      const ratio = wallRatio(task, name);
      return ratio === undefined ? "" : `${factor(ratio.value)} (${factor(ratio.low)}…${factor(ratio.high)})`;
    }),
    names.map((name) => userCell(task, name)).join(", "),
  ]);
  const mean = [
    "geometric mean",
    ...names.map(() => ""),
    ...others.map((name) => {
      const summary = suite.summary.find(({ contender }) => contender === name);
      return summary === undefined ? "" : factor(summary.wall);
    }),
    suite.summary
      .flatMap(({ contender, user }) => (user === undefined ? [] : `${contender} / ${OURS} ${factor(user)}`))
      .join(", "),
  ];
  return [head, [...rows, mean]];
}

function wallCell(task: TaskResult, contender: string): string {
  const run = task.runs.find((candidate) => candidate.contender === contender);
  if (run !== undefined) return seconds(median(run.wallSeconds));
  return task.failures.some(({ name }) => name === contender) ? "failed" : "";
}

function userCell(task: TaskResult, contender: string): string {
  const run = task.runs.find((candidate) => candidate.contender === contender);
  return run === undefined ? "–" : median(run.userSeconds).toFixed(2);
}

/** For the terminal. */
export function table(suite: SuiteResult): string {
  const [head, rows] = cells(suite);
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column].length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join("  ")
      .trimEnd();
  const failures = suite.tasks.flatMap((task) =>
    task.failures.map(({ name, reason }) => `${task.name}: ${name} ${reason}`),
  );
  return `${[line(head), ...rows.map(line), ...failures].join("\n")}\n\n`;
}

/** A table of Markdown, its columns as wide as their widest cell. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) => Math.max(3, name.length, ...rows.map((row) => row[column].length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join(" | ")} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

/** docs/benchmarks.md. */
export function markdown(sections: readonly Section[]): string {
  const suites = sections.filter((section) => "suite" in section);
  const others = [...new Set(suites.flatMap(({ suite }) => suite.summary.map(({ contender }) => contender)))];
  const means = suites.map(({ suite }) => [
    suite.name,
    ...others.map((name) => {
      const summary = suite.summary.find(({ contender }) => contender === name);
      return summary === undefined ? "" : factor(summary.wall);
    }),
  ]);
  const parts = [
    "# Benchmarks",
    "",
    "Made by `doppel bench --write docs` and the commands that sections name, from what they found last (`bench/results`).",
    "Wall time is the median of the rounds; the contenders took turns within each round. A ratio says how many times longer the",
    "other took than doppel (more than 1: doppel is faster), in parentheses its smallest and largest round. User time is in",
    "seconds of processor time.",
    "",
    "![Times of the other contenders as multiples of doppel's](benchmarks.svg)",
    "",
    "Geometric means:",
    "",
    markdownTable(["suite", ...others.map((name) => `${name} / ${OURS}`)], means),
  ];
  for (const section of sections) parts.push("", ...("suite" in section ? suiteParts(section) : textParts(section)));
  return `${parts.join("\n")}\n`;
}

function ranOn({ date, host }: Section, how: string): string {
  return `${date}, ${how}, on ${host.processor}, ${host.cores} cores, ${host.memoryGiB} GiB, ${host.kernel}, Node ${host.node}.`;
}

function textParts(section: TextSection): string[] {
  return [`## ${section.title}`, "", ranOn(section, `\`${section.command}\``), "", section.text.trim()];
}

function suiteParts(section: SuiteSection): string[] {
  const { suite, repeat, contenders, absent } = section;
  const left = [
    ...absent.map(({ name, reason }) => `- without \`${name}\`: ${reason}`),
    ...suite.absent.map(({ name, reason }) => `- without ${name}: ${reason}`),
    ...suite.tasks.flatMap((task) => task.failures.map(({ name, reason }) => `- ${task.name}: ${name} ${reason}`)),
  ];
  return [
    `## ${suite.title}`,
    "",
    ranOn(section, `\`doppel bench ${suite.name}\`, ${repeat} ${repeat === 1 ? "round" : "rounds"}`),
    "",
    markdownTable(...cells(suite)),
    "",
    ...contenders.map(({ name, description }) => `- \`${name}\`: ${description}`),
    ...left,
  ];
}
