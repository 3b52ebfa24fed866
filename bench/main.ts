/**
 * `doppel bench`: suites of tasks, each run by all contenders in turn, as often as asked for.
 *
 * The contenders take turns within a round so that whatever disturbs the machine meets all of them; a ratio's spread is
 * that of the rounds. The measure is wall time, which says something only on an idle machine; user time is shown too.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Absent, type Contender, contender, type ContenderName, doppel, findProgram } from "./contenders.ts";
import { host } from "./host.ts";
import { type GuestMachine, type MachineTask, measureMachine } from "./machine-task.ts";
import { measure, type Measurement } from "./measure.ts";
import { Progress } from "./progress.ts";
import { table } from "./report.ts";
import { type Results, summarise, type SuiteResult, type TaskResult } from "./results.ts";
import { keepResults, writeDocument } from "./sections.ts";
import { measureServer } from "./server.ts";
import { TaskBook } from "./task-book.ts";
import { suites } from "./suites.ts";
import type { Suite, Task } from "./task.ts";

export interface BenchOptions {
  /** Names of suites; none: all. */
  readonly suites: readonly string[];
  /** Only tasks whose name contains this. */
  readonly only?: string | undefined;
  readonly versus: readonly ContenderName[];
  readonly repeat: number;
  readonly json: boolean;
  /** Keep the results, and write benchmarks.md and benchmarks.svg of all that is kept to this folder. */
  readonly write?: string | undefined;
  /** What starts `doppel`. */
  readonly doppel: readonly string[];
  readonly print: (text: string) => void;
  readonly note: (text: string) => void;
}

/** Something the user asked for does not exist. */
export class UnknownNameError extends RangeError {}

export async function bench(options: BenchOptions): Promise<Results> {
  const { note } = options;
  for (const name of options.suites) {
    if (!suites.some((suite) => suite.name === name)) {
      throw new UnknownNameError(
        `there is no suite ${name}; there are ${suites.map((suite) => suite.name).join(", ")}`,
      );
    }
  }
  const contenders: Contender[] = [doppel(options.doppel)];
  const absent: Absent[] = [];
  for (const name of options.versus) {
    const found = contender(name);
    if ("reason" in found) {
      absent.push(found);
      note(`without ${name}: ${found.reason}\n`);
    } else {
      contenders.push(found);
    }
  }
  const folder = mkdtempSync(join(tmpdir(), "doppel-bench-"));
  try {
    const chosen = suites.filter(({ name }) => options.suites.length === 0 || options.suites.includes(name));
    const total = chosen.reduce((sum, suite) => sum + stepsOf(suite, options).length, 0);
    const progress = new Progress(total, note);
    const measured: SuiteResult[] = [];
    const resultsOf = (done: readonly SuiteResult[]): Results => ({
      date: new Date().toISOString().slice(0, 10),
      host: host(),
      repeat: options.repeat,
      contenders: contenders.map(({ name, description }) => ({ name, description })),
      absent,
      suites: done,
    });
    for (const suite of chosen) {
      suite.prepare?.(folder, { doppel: options.doppel, note });
      const result = await runSuite(suite, contenders, folder, options, progress);
      measured.push(result);
      if (options.write === undefined) continue;
      keepResults(resultsOf([result]));
      writeDocument(options.write);
    }
    const results = resultsOf(measured);
    if (options.json) options.print(`${JSON.stringify(results, undefined, 2)}\n`);
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What progress is counted in: tasks and machines. */
function stepsOf({ tasks, machines = [] }: Suite, options: BenchOptions): readonly { readonly name: string }[] {
  const chosen = machines.filter(({ laps }) => laps.some(({ name }) => isChosen(name, options)));
  return [...tasks.filter(({ name }) => isChosen(name, options)), ...chosen];
}

function isChosen(task: string, { only }: BenchOptions): boolean {
  return only === undefined || task.includes(only);
}

async function runSuite(
  suite: Suite,
  contenders: readonly Contender[],
  folder: string,
  options: BenchOptions,
  progress: Progress,
): Promise<SuiteResult> {
  const tasks: TaskResult[] = [];
  const absent: Absent[] = [];
  for (const task of suite.tasks) {
    if (!isChosen(task.name, options)) continue;
    progress.next(`${suite.name}: ${task.name}`);
    const command = task.command({ folder });
    const missing = task.needs?.find((name) => findProgram(name) === undefined);
    if (command === undefined || missing !== undefined) {
      absent.push({ name: task.name, reason: `${missing ?? "its program"} is not installed` });
      options.note(`without ${task.name}: ${missing ?? "its program"} is not installed\n`);
      continue;
    }
    tasks.push(await runTask(task, command, contenders, folder, options.repeat));
  }
  for (const machine of suite.machines ?? []) {
    const laps = machine.laps.filter(({ name }) => isChosen(name, options));
    if (laps.length === 0) continue;
    progress.next(`${suite.name}: ${machine.name}`);
    const guest = machine.guest(folder);
    if (guest === undefined) {
      absent.push({ name: machine.name, reason: "there is no such guest here" });
      continue;
    }
    tasks.push(...(await runMachine({ ...machine, laps }, guest, contenders, folder, options.repeat)));
  }
  const result: SuiteResult = { name: suite.name, title: suite.title, tasks, absent, summary: [] };
  const summarised = { ...result, summary: summarise(result) };
  if (!options.json) options.print(table(summarised));
  return summarised;
}

async function runTask(
  task: Task,
  program: readonly string[],
  contenders: readonly Contender[],
  folder: string,
  repeat: number,
): Promise<TaskResult> {
  const taking = contenders.flatMap(({ name, command, rehearsals = 0 }) =>
    command === undefined ? [] : [{ name, command, rehearsals }],
  );
  const book = new TaskBook(
    task.name,
    taking.map(({ name }) => name),
  );
  for (const { command, rehearsals } of taking)
    for (let run = 0; run < rehearsals; run++) await runOnce(task, command(program), folder);
  for (let round = 0; round < repeat; round++) {
    for (const index of turns(round, taking.length)) {
      const { name, command } = taking[index];
      if (!book.hasFailed(name)) book.enter(name, await runOnce(task, command(program), folder));
    }
  }
  return book.result;
}

/** Each contender's machine is started once a round, for all laps. */
async function runMachine(
  { laps, prepare }: MachineTask,
  guest: GuestMachine,
  contenders: readonly Contender[],
  folder: string,
  repeat: number,
): Promise<TaskResult[]> {
  const taking = contenders.flatMap(({ name, machine }) => {
    const command = machine?.(guest);
    return command === undefined ? [] : [{ name, command }];
  });
  const books = laps.map(
    (lap) =>
      new TaskBook(
        lap.name,
        taking.map(({ name }) => name),
      ),
  );
  for (let round = 0; round < repeat; round++) {
    prepare?.(folder);
    for (const index of turns(round, taking.length)) {
      const { name, command } = taking[index];
      const { laps: done, complaint } = await measureMachine(command, laps, folder);
      for (const book of books) {
        const none = { wallSeconds: 0, userSeconds: 0, status: complaint, output: "", complaint };
        book.enter(name, done.get(book.name) ?? none);
      }
    }
  }
  return books.map((book, index) => ({
    ...book.result,
    ...(laps[index].begins === undefined ? { isStart: true } : {}),
  }));
}

/** Every other round the other way round: nobody always comes after the same neighbour. */
function turns(round: number, count: number): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  return round % 2 === 0 ? order : order.toReversed();
}

function runOnce(task: Task, command: readonly string[], folder: string): Promise<Measurement> {
  if (task.client !== undefined) return measureServer(command, task.client, folder);
  const stdin = task.stdin === undefined ? undefined : join(folder, task.stdin);
  return measure(command, { cwd: folder, stdin });
}
