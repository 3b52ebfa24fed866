// What a campaign says at its end.
import type { CampaignResult, Round } from "./campaign.ts";

export interface CampaignSetting {
  readonly guest: string;
  readonly arbiter: string;
  readonly seconds: number;
}

/** Nearest rank; undefined of nothing. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

const whole = (value: number | undefined): string => (value === undefined ? "" : String(Math.round(value)));

type Span = "outageMs" | "detectMs" | "arbitrateMs" | "restoreMs" | "resumeMs" | "protectedMs";
const spans: readonly (readonly [title: string, span: Span])[] = [
  ["outage", "outageMs"],
  ["detect", "detectMs"],
  ["arbitrate", "arbitrateMs"],
  ["restore", "restoreMs"],
  ["resume", "resumeMs"],
  ["protected", "protectedMs"],
];

function row(name: string, rounds: readonly Round[]): string[] {
  const failovers = rounds.reduce((sum, round) => sum + round.failovers, 0);
  const cells = spans.map(([, span]) => {
    const values = rounds.map((round) => round[span]).filter((value) => value !== undefined);
    return values.length === 0 ? "" : `${whole(percentile(values, 0.5))} / ${whole(percentile(values, 0.99))}`;
  });
  return [name, String(rounds.length), String(failovers), ...cells];
}

export function campaignTable(result: CampaignResult, { guest, arbiter, seconds }: CampaignSetting): string {
  const { rounds, violations } = result;
  const names = [...new Set(rounds.map(({ fault }) => fault))].toSorted();
  const rows = [
    ["milliseconds, p50 / p99", "times", "failovers", ...spans.map(([title]) => title)],
    ...names.map((name) =>
      row(
        name,
        rounds.filter(({ fault }) => fault === name),
      ),
    ),
    row("all", rounds),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const lines = rows.map((cells) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join("  "),
  );
  const failovers = rounds.reduce((sum, round) => sum + round.failovers, 0);
  const counted = (start: string): number => violations.filter((text) => text.startsWith(start)).length;
  return `
${lines.join("\n")}

guest ${guest}, arbiter ${arbiter}: ${rounds.length} faults, ${failovers} failovers, ${result.answered} answers, ${seconds} s
history violations ${counted("history")}, rolled-back frames ${counted("rolled back")} of ${result.framesSeen} seen, \
double-active ${counted("double-active")}, connections reset ${counted("reset")}; \
dropped as of a host that was replaced: ${result.framesFenced}; connections that ended with the edge: ${result.endedWithEdge}
${violations.map((text) => `VIOLATION: ${text}\n`).join("")}${violations.length} violations
`;
}
