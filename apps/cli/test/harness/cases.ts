/** Tables of commands that must do in the guest what they do natively. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "vitest";
import { need } from "./requirements.ts";
import { type Command, expectAlike } from "./run.ts";

export interface Case extends Omit<Command, "command"> {
  readonly name: string;
  /** Programs and files it cannot do without. */
  readonly needs?: readonly string[];
  /** The program and its arguments, or … */
  readonly command?: readonly [string, ...string[]];
  /** … a script for bash; or, by name, one of those in `scripts/`. */
  readonly script?: string;
  /** A shell other than bash for the script, and the script's arguments. */
  readonly shell?: string;
  readonly args?: readonly string[];
}

export function cases(table: readonly Case[]): void {
  it.for(table)("$name", (row, context) => {
    const { shell = "bash", script = "", args = [], command = [shell, "-c", scriptText(script), shell, ...args] } = row;
    need(context, command[0], ...(row.needs ?? []));
    expectAlike({ ...row, command });
  });
}

function scriptText(script: string): string {
  return /^[a-z0-9-]+\.sh$/.test(script)
    ? readFileSync(join(import.meta.dirname, "../scripts", script), "utf8")
    : script;
}
