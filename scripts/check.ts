// `pnpm check`: everything that is not a test, one step after the other, all of them even when one fails.
// `pnpm check lint tidy` runs only the steps named.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

const root = join(import.meta.dirname, "..");

interface Step {
  readonly name: string;
  readonly commands: readonly (readonly string[])[];
  readonly directory?: string;
}

const packages = readdirSync(join(root, "packages")).map((name) => join(root, "packages", name));

const steps: readonly Step[] = [
  {
    name: "typecheck",
    commands: [
      ["tsc", "-p", "tsconfig.json"],
      ["tsc", "-p", "tsconfig.platform-free.json"],
    ],
  },
  { name: "lint", commands: [["oxlint", "--type-aware"]] },
  { name: "format", commands: [["oxfmt", "--check", "."]] },
  { name: "tidy", commands: [["node", "scripts/tidy/main.ts"]] },
  { name: "unused", commands: [["knip"]] },
  { name: "build", commands: [["turbo", "run", "build", "--output-logs=errors-only"]] },
  ...packages.map((directory) => ({
    name: "published",
    directory,
    commands: [
      ["publint", "run", "--strict", "--pack", "pnpm"],
      ["attw", "--pack", ".", "--profile", "esm-only", "--format", "ascii", "--no-color"],
    ],
  })),
];

const wanted = process.argv.slice(2);
const names = new Set(steps.map((step) => step.name));
const unknown = wanted.filter((name) => !names.has(name));
if (unknown.length > 0) {
  console.error(`check: no step ${unknown.join(", ")}; there are ${[...names].join(", ")}`);
  process.exit(2);
}

const env = { ...process.env, PATH: [join(root, "node_modules/.bin"), process.env["PATH"]].join(delimiter) };
const failed: string[] = [];
for (const { name, commands, directory } of steps) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  for (const [command = "", ...args] of commands) {
    const startedMs = performance.now();
    // What a step says is of interest only when it fails.
    const result = spawnSync(command, args, { cwd: directory ?? root, encoding: "utf8", env });
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    const label = [name, command, directory?.slice(root.length + 1)].filter(Boolean).join(" ");
    const ok = result.status === 0;
    console.log(`${ok ? "ok  " : "FAIL"} ${label} (${seconds} s)`);
    if (ok) continue;
    failed.push(label);
    console.log(result.error?.message ?? `${result.stdout}${result.stderr}`.trimEnd());
  }
}
if (failed.length > 0) console.log(`\nFailed: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
