/**
 * What a test needs from the machine. A test that finds something missing is skipped and says so; an automated check
 * (CI=true) has installed everything in `.ci/packages`, so there it fails.
 */
import { accessSync, constants, existsSync } from "node:fs";
import { arch, platform } from "node:os";
import { delimiter, join } from "node:path";
import type { TestContext } from "vitest";

/** Programs are looked for where Debian puts them, so that a wrapper of the developer's own is not tested. */
export const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Where a program is, or undefined. */
export function findProgram(name: string): string | undefined {
  if (name.includes("/")) return existsSync(name) ? name : undefined;
  for (const directory of SYSTEM_PATH.split(delimiter)) {
    const candidate = join(directory, name);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** Skips the test, or fails it in an automated check, unless all of these programs and files are here. */
export function need(context: TestContext, ...names: readonly string[]): void {
  if (platform() !== "linux" || arch() !== "x64") {
    context.skip("compares with a native run, which takes an x86-64 Linux machine");
  }
  const missing = names.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return;
  const message = `needs ${missing.join(", ")}`;
  if (process.env["CI"] === "true") throw new Error(`${message}: is its package in .ci/packages?`);
  context.skip(message);
}
