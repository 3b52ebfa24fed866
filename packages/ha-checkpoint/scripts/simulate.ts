// Campaigns of the simulator:
//   node --conditions=source packages/ha-checkpoint/scripts/simulate.ts --schedules 10000 --seed 1
//   node --conditions=source packages/ha-checkpoint/scripts/simulate.ts --seed 4711 --schedules 1
import { parseArgs } from "node:util";
import { runSchedule } from "../src/testing/schedule.ts";
import type { Control } from "../src/testing/world.ts";

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    /** A negative control: "buffering", "fencing", "arbitration", "rollback", "dirty-bit". */
    without: { type: "string" },
    /** Stop after so many violations. */
    failures: { type: "string", default: "10" },
  },
});
const first = Number(values.seed);
const schedules = Number(values.schedules);
const totals = new Map<string, number>();
let [steps, answered, failures, ran] = [0, 0, 0, 0];
const started = performance.now();
const interrupted = { now: false };
// Says what it has found so far.
process.once("SIGTERM", () => {
  interrupted.now = true;
});
process.once("SIGINT", () => {
  interrupted.now = true;
});
for (let seed = first; seed < first + schedules && failures < Number(values.failures) && !interrupted.now; seed++) {
  ran++;
  // Signals are heard between two turns of the event loop.
  if (ran % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  try {
    const result = await runSchedule(seed, values.without as Control | undefined);
    steps += result.steps;
    answered += result.answered;
    for (const [name, count] of result.counts) totals.set(name, (totals.get(name) ?? 0) + count);
  } catch (error) {
    failures++;
    console.log(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}
for (const [name, count] of [...totals].toSorted(([a], [b]) => a.localeCompare(b))) {
  console.log(`${String(count).padStart(9)}  ${name}`);
}
const seconds = (performance.now() - started) / 1000;
console.log(
  `${ran} schedules from seed ${first}, ${steps} events, ${answered} requests, ${seconds.toFixed(1)} s: ` +
    `${failures} violations`,
);
process.exitCode = failures > 0 ? 1 : 0;
