// Campaigns of the simulator:
//   node packages/mirror-storage/scripts/simulate.ts --schedules 10000 --seed 1    random schedules
//   node packages/mirror-storage/scripts/simulate.ts --exhaustive 5 --seeds 2     every crash of every short history
import { parseArgs } from "node:util";
import { enumerateCrashes } from "../src/testing/enumerate.ts";
import { runSchedule } from "../src/testing/schedule.ts";

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    exhaustive: { type: "string" },
    seeds: { type: "string", default: "1" },
  },
});
if (values.exhaustive !== undefined) {
  const { histories, crashes } = await enumerateCrashes(Number(values.exhaustive), Number(values.seeds));
  console.log(`${histories} histories, ${crashes} crashes, ${values.seeds} seeds: no violation`);
  process.exit();
}
const first = Number(values.seed);
const schedules = Number(values.schedules);
const totals = new Map<string, number>();
let [steps, failures] = [0, 0];
const started = performance.now();
for (let seed = first; seed < first + schedules; seed++) {
  try {
    const result = await runSchedule({ seed });
    steps += result.steps;
    for (const [name, count] of result.counts) totals.set(name, (totals.get(name) ?? 0) + count);
  } catch (error) {
    failures++;
    console.log(error instanceof Error ? error.message : String(error));
    if (failures >= 10) break;
  }
}
for (const [name, count] of [...totals].toSorted(([a], [b]) => a.localeCompare(b)))
  console.log(`${String(count).padStart(9)}  ${name}`);
const seconds = (performance.now() - started) / 1000;
console.log(
  `${schedules} schedules from seed ${first}, ${steps} events, ${seconds.toFixed(1)} s: ${failures} violations`,
);
process.exitCode = failures > 0 ? 1 : 0;
