import type { Measurement } from "./measure.ts";
import type { TaskResult } from "./results.ts";

/** What the contenders did at one task, until they fail at it. */
export class TaskBook {
  readonly name: string;
  private readonly runs: readonly { contender: string; wallSeconds: number[]; userSeconds: number[] }[];
  private readonly failures: Map<string, string> = new Map();
  private output: string | undefined;

  constructor(name: string, contenders: readonly string[]) {
    this.name = name;
    this.runs = contenders.map((contender) => ({ contender, wallSeconds: [], userSeconds: [] }));
  }

  hasFailed(contender: string): boolean {
    return this.failures.has(contender);
  }

  enter(contender: string, run: Measurement): void {
    if (this.hasFailed(contender)) return;
    const complaint = failure(run, this.output);
    if (complaint !== undefined) {
      this.failures.set(contender, complaint);
      return;
    }
    this.output ??= run.output;
    const runs = this.runs.find((each) => each.contender === contender);
    runs?.wallSeconds.push(run.wallSeconds);
    runs?.userSeconds.push(run.userSeconds);
  }

  get result(): TaskResult {
    return {
      name: this.name,
      runs: this.runs.filter((run) => !this.failures.has(run.contender)),
      failures: [...this.failures].map(([name, reason]) => ({ name, reason })),
    };
  }
}

function failure(run: Measurement, output: string | undefined): string | undefined {
  if (typeof run.status === "string" && run.status === run.complaint) return run.complaint;
  if (run.status !== 0) return `ended with ${run.status}: ${run.complaint.trim().split("\n").at(-1) ?? ""}`;
  if (output !== undefined && run.output !== output) return "printed something else than the others";
  return undefined;
}
