/** `doppel bench`: the benchmark suites of a checkout. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { BenchOptions, bench } from "../../../bench/main.ts";
import type { contenderNames } from "../../../bench/contenders.ts";
import type { benchPair as BenchPair } from "../../../bench/pair.ts";
import { parseOptions } from "./options.ts";
import { print, printError } from "./output.ts";
import { UsageError } from "./usage-error.ts";

const USAGE = `usage: doppel bench [SUITE…] [options]

  --vs LIST        contenders: native, qemu, v86 (default native,qemu)
  --repeat N       rounds (default 3); the contenders take turns within each
  --quick          one round
  --only TEXT      only tasks whose name contains this
  --json           print the results as JSON
  --write DIR      keep the results, and write benchmarks.md and benchmarks.svg of all that is kept there

Suites: kernels, programs, startup, vm, vm32; all, unless some are named. Wall time says something on an idle machine only.

  bench pair       what a second host costs a machine, and what clients see of a failover
    --guest NAME     own, model or debian (default own)
    --debian DIR     of a Debian guest, as "doppel guest debian" makes it
    --seconds N      of each measurement (default 15)
    --failovers N    to measure (default 20)
`;

const MAXIMUM_REPEAT = 1000;

/** The checkout this file is in, built or not. */
const root = join(import.meta.dirname, "..", "..", "..");

interface BenchModule {
  readonly bench: typeof bench;
  readonly UnknownNameError: new (message: string) => Error;
}

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions("bench", args, {
    vs: { type: "string", default: "native,qemu" },
    repeat: { type: "string" },
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    json: { type: "boolean", default: false },
    write: { type: "string" },
    guest: { type: "string", default: "own" },
    debian: { type: "string" },
    seconds: { type: "string", default: "15" },
    failovers: { type: "string", default: "20" },
    help: { type: "boolean", default: false },
  });
  if (values.help) {
    print(USAGE);
    return 0;
  }
  if (values.write !== undefined && values.only !== undefined)
    throw new UsageError("bench: --write keeps whole suites; leave out --only");
  if (values.quick && values.repeat !== undefined)
    throw new UsageError("bench: --quick is --repeat 1; give one of them");
  const module = join(root, "bench", "main.ts");
  if (!existsSync(module)) throw new UsageError("bench needs a checkout of doppel: the suites are not in the package");
  const rounds = parseRepeat(values.repeat ?? (values.quick ? "1" : "3"));
  if (positionals[0] === "pair") {
    const { benchPair } = (await import(join(root, "bench", "pair.ts"))) as { benchPair: typeof BenchPair };
    const { guest, debian, write } = values;
    const seconds = wholeNumber("--seconds", values.seconds);
    const failovers = wholeNumber("--failovers", values.failovers);
    await benchPair({ guest, debian, seconds, rounds, failovers, write, print, note: printError });
    return 0;
  }
  const benchmarks = (await import(module)) as BenchModule;
  const contenders = (await import(join(root, "bench", "contenders.ts"))) as { contenderNames: typeof contenderNames };
  const options: BenchOptions = {
    suites: positionals,
    versus: parseContenders(values.vs, contenders.contenderNames),
    repeat: rounds,
    only: values.only,
    json: values.json,
    write: values.write,
    doppel: ownCommand(),
    print,
    note: printError,
  };
  try {
    const { suites } = await benchmarks.bench(options);
    // A wrong result is a failure, another contender's as well as ours.
    return suites.some((suite) => suite.tasks.some((task) => task.failures.length > 0)) ? 1 : 0;
  } catch (error) {
    if (error instanceof benchmarks.UnknownNameError) throw new UsageError(`bench: ${error.message}`);
    throw error;
  }
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0 && value <= 100_000) return value;
  throw new UsageError(`bench: ${option} ${text}: a whole number from 1 on`);
}

function parseContenders(text: string, names: typeof contenderNames): BenchOptions["versus"] {
  return text
    .split(",")
    .filter((name) => name !== "")
    .map((name) => {
      const known = names.find((candidate) => candidate === name);
      if (known === undefined) throw new UsageError(`bench --vs ${name}: there are ${names.join(", ")}`);
      return known;
    });
}

function parseRepeat(text: string): number {
  const repeat = Number(text);
  if (!Number.isInteger(repeat) || repeat < 1 || repeat > MAXIMUM_REPEAT) {
    throw new UsageError(`bench --repeat ${text}: give a number from 1 to ${MAXIMUM_REPEAT}`);
  }
  return repeat;
}

/** The way this very command line was started: the launcher when it is the built one. */
function ownCommand(): readonly string[] {
  const main = process.argv[1];
  return main.endsWith(".ts") ? [process.execPath, ...process.execArgv, main] : [join(root, "doppel")];
}
