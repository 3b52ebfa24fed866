/** The command line from its sources, for tests. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

export const repository: string = join(import.meta.dirname, "../../../..");
const main = join(repository, "apps/cli/src/main.ts");

export interface Result {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
}

/** Runs `doppel` with these arguments, from the repository's root. */
export function doppel(...args: readonly string[]): Result {
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--conditions=source", main, ...args], {
    cwd: repository,
    encoding: "utf8",
    input: "",
  });
  return { stdout, stderr, status };
}

/** A guest program of the repository. */
export function guest(name: string): string {
  return join("guests/bin", name);
}
