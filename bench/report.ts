/** Results as text: a table for the terminal, a document for docs/. */
import { contendersOf, OURS, type Results, type SuiteResult, type TaskResult, wallRatio } from "./results.ts";
import { median } from "./statistics.ts";

function seconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

function factor(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1);
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
    suite.summary.map(({ contender, user }) => `${contender} / ${OURS} ${factor(user)}`).join(", "),
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

/** docs/benchmarks.md. */
export function markdown(results: Results): string {
  const { host } = results;
  const parts = [
    "# Benchmarks",
    "",
    "Written by `doppel bench`. Wall time, the median of the rounds; the contenders took turns within each round. A ratio says",
    `how many times longer the other took than doppel (more than 1: doppel is faster), in parentheses its smallest and largest`,
    "round. The last column is user processor time in seconds.",
    "",
    "![Times of the other contenders as multiples of doppel's](benchmarks.svg)",
    "",
    `${results.date}, ${results.repeat} rounds, on ${host.processor}, ${host.cores} cores, ${host.memoryGiB} GiB, ${host.kernel}.`,
    "",
    ...results.contenders.map(({ name, description }) => `- \`${name}\`: ${description}`),
    ...results.absent.map(({ name, reason }) => `- without \`${name}\`: ${reason}`),
  ];
  for (const suite of results.suites) {
    const [head, rows] = cells(suite);
    const widths = head.map((name, column) => Math.max(3, name.length, ...rows.map((row) => row[column].length)));
    const line = (row: readonly string[]): string =>
      `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join(" | ")} |`;
    const rule = `| ${widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
    parts.push("", `## ${suite.title}`, "", line(head), rule, ...rows.map(line));
    const left = [
      ...suite.absent.map(({ name, reason }) => `- without ${name}: ${reason}`),
      ...suite.tasks.flatMap((task) => task.failures.map(({ name, reason }) => `- ${task.name}: ${name} ${reason}`)),
    ];
    if (left.length > 0) parts.push("", ...left);
  }
  return `${parts.join("\n")}\n`;
}
