/** What `doppel bench` found: the shape of `--json`. */
import type { Absent } from "./contenders.ts";
import type { Host } from "./host.ts";
import { geometricMean, type Ratio, ratio } from "./statistics.ts";

/** Entry n of both lists is of round n. */
export interface Runs {
  readonly contender: string;
  readonly wallSeconds: readonly number[];
  readonly userSeconds: readonly number[];
}

export interface TaskResult {
  readonly name: string;
  /** Ours first. */
  readonly runs: readonly Runs[];
  /** Contenders that could not do it, and what they did instead. */
  readonly failures: readonly Absent[];
  /** It is how something starts, which no mean is made of. */
  readonly isStart?: true;
}

/** A contender's time as a multiple of ours, over a suite: more than 1 is slower than we are. */
export interface Summary {
  readonly contender: string;
  readonly wall: number;
  /** Absent where all that one of both took is less than the system counts. */
  readonly user?: number;
  /** Tasks that both could do. */
  readonly tasks: number;
}

export interface SuiteResult {
  readonly name: string;
  readonly title: string;
  readonly tasks: readonly TaskResult[];
  readonly absent: readonly Absent[];
  readonly summary: readonly Summary[];
}

export interface Results {
  readonly date: string;
  readonly host: Host;
  readonly repeat: number;
  readonly contenders: readonly { readonly name: string; readonly description: string }[];
  readonly absent: readonly Absent[];
  readonly suites: readonly SuiteResult[];
}

export const OURS = "doppel";

/** A contender's runs and ours, when both could do the task. */
function pair(task: TaskResult, contender: string): readonly [Runs, Runs] | undefined {
  const theirs = task.runs.find((run) => run.contender === contender);
  const ours = task.runs.find((run) => run.contender === OURS);
  return theirs === undefined || ours === undefined ? undefined : [theirs, ours];
}

export function wallRatio(task: TaskResult, contender: string): Ratio | undefined {
  const both = pair(task, contender);
  return both === undefined ? undefined : ratio(both[0].wallSeconds, both[1].wallSeconds);
}

export function userRatio(task: TaskResult, contender: string): Ratio | undefined {
  const both = pair(task, contender);
  return both === undefined ? undefined : ratio(both[0].userSeconds, both[1].userSeconds);
}

export function contendersOf(suite: SuiteResult): string[] {
  return [...new Set(suite.tasks.flatMap((task) => task.runs.map((run) => run.contender)))];
}

export function summarise(suite: SuiteResult): Summary[] {
  const tasks = suite.tasks.filter((task) => task.isStart !== true);
  return contendersOf(suite)
    .filter((name) => name !== OURS)
    .flatMap((contender) => {
      const wall = tasks.flatMap((task) => wallRatio(task, contender)?.value ?? []);
      // Ticks of 10 ms: what used none has no ratio.
      const user = tasks.flatMap((task) => userRatio(task, contender)?.value ?? []).filter((value) => value > 0);
      if (wall.length === 0) return [];
      const ofUser = user.length === 0 ? {} : { user: geometricMean(user) };
      return { contender, wall: geometricMean(wall), ...ofUser, tasks: wall.length };
    });
}
