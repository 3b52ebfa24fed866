// `pnpm campaign`: failovers of real processes, with clients outside, faults of every kind, and a checker of what was said.
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runCampaign } from "./campaign.ts";
import { guests } from "./guests.ts";
import { campaignTable } from "./table.ts";

const USAGE = `usage: pnpm campaign [--failovers N] [--guest ${Object.keys(guests).join("|")}] [--seed S] [options]

  --failovers N     machines that must have gone on elsewhere before it ends (20)
  --guest NAME      what runs: ${Object.entries(guests)
    .map(([name, { summary }]) => `${name}, ${summary}`)
    .join("; ")}
  --seed S          which faults, in which order (1)
  --arbiter NAME    edge, or etcd; etcd if it is installed
  --hosts N         hosts of the pair
  --clients N       clients, a connection each (6)
  --interval MS     from checkpoint to checkpoint (50)
  --only TEXT       only faults whose name contains it
  --debian DIR      of a Debian guest, as "doppel guest debian --out DIR" makes it (debian)
  --json FILE       what happened, for programs
  --folder DIR      where its files go, and stay
`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean" },
    failovers: { type: "string", default: "20" },
    guest: { type: "string", default: "model" },
    seed: { type: "string", default: "1" },
    arbiter: { type: "string" },
    hosts: { type: "string" },
    clients: { type: "string", default: "6" },
    interval: { type: "string", default: "50" },
    only: { type: "string" },
    debian: { type: "string" },
    json: { type: "string" },
    folder: { type: "string" },
  },
});

function fail(message: string): never {
  process.stderr.write(`campaign: ${message}\n`);
  process.exit(2);
}

function count(name: "failovers" | "seed" | "clients" | "interval", least = 1): number {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < least) fail(`--${name}: a whole number from ${least} on`);
  return value;
}

if (values.help === true) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const guest = guests[values.guest];
if (guest === undefined) fail(`--guest: ${Object.keys(guests).join(", ")}`);
const made = ((): ReturnType<typeof guest.make> => {
  try {
    return guest.make(values.debian);
  } catch (error) {
    return fail((error as Error).message);
  }
})();
const hasEtcd = spawnSync("etcd", ["--version"]).status === 0;
const arbiter = values.arbiter ?? (hasEtcd ? "etcd" : "edge");
if (arbiter !== "edge" && arbiter !== "etcd") fail("--arbiter: edge or etcd");
if (arbiter === "etcd" && !hasEtcd) fail("etcd is not installed (Debian's package is called etcd-server)");
const hostCount = Number(values.hosts ?? guest.hosts);
if (!Number.isInteger(hostCount) || hostCount < 2 || hostCount > 26) fail("--hosts: 2 to 26");

const folder = values.folder ?? mkdtempSync(join(tmpdir(), "doppel-campaign-"));
const started = performance.now();
const result = await runCampaign({
  folder,
  hosts: Array.from({ length: hostCount }, (_, at) => String.fromCodePoint(97 + at)),
  arbiter,
  timing: { intervalMs: count("interval") },
  failovers: count("failovers"),
  seed: count("seed", 0),
  clients: count("clients"),
  only: values.only,
  print: (line) => process.stdout.write(`${line}\n`),
  ...made,
});
const seconds = Math.round((performance.now() - started) / 1000);
process.stdout.write(campaignTable(result, { guest: values.guest, arbiter, seconds }));
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ guest: values.guest, arbiter, ...result })}\n`);
process.exitCode = result.violations.length > 0 ? 1 : 0;
if (result.violations.length > 0) process.stdout.write(`files of the campaign: ${folder}\n`);
