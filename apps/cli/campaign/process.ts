// An edge or a host of the campaign: what `doppel pair` runs, which says all that happens on standard error, and can be told
// over IPC to kill or stop itself at the next step of the protocol, at that very moment.
//
//   node --conditions=source apps/cli/campaign/process.ts CONFIG edge
//   node --conditions=source apps/cli/campaign/process.ts CONFIG HOST
import { writeSync } from "node:fs";
import { loadConfig } from "../src/pair/config.ts";
import { runEdge } from "../src/pair/edge-process.ts";
import { runHost } from "../src/pair/host-process.ts";
import type { Trap } from "./cluster.ts";

/** Exit status of a host that asks to be started anew; EX_TEMPFAIL of sysexits. */
const AGAIN = 75;

const [path, name] = process.argv.slice(2);
let trap: Trap | undefined;
process.on("message", (message) => {
  trap = message as Trap;
});
// Whoever injects faults may be gone before this process is.
process.on("disconnect", () => process.exit(1));

function log(event: object): void {
  const step = "kind" in event ? event.kind : undefined;
  const isDue =
    trap !== undefined &&
    trap.step === step &&
    (trap.role === undefined || ("role" in event && event.role === trap.role));
  write(event);
  if (!isDue || trap === undefined) return;
  const { signal } = trap;
  trap = undefined;
  write({ kind: "trapped", step, signal });
  process.kill(process.pid, signal);
}

/** At once: what comes next may be the end. */
function write(event: object): void {
  writeSync(2, `${JSON.stringify({ ms: performance.timeOrigin + performance.now(), ...event })}\n`);
}

const loaded = loadConfig(path);
if (name === "edge") {
  await runEdge(loaded, log);
  process.exit(0);
}
process.exit((await runHost(loaded, name, log)) ? 0 : AGAIN);
