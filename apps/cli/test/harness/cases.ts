/** Tables of commands that must do in the guest what they do natively. */
import { it } from "vitest";
import { need } from "./requirements.ts";
import { type Command, expectAlike } from "./run.ts";

export interface Case extends Omit<Command, "command"> {
  readonly name: string;
  /** Programs and files it cannot do without. */
  readonly needs?: readonly string[];
  /** The program and its arguments, or … */
  readonly command?: readonly [string, ...string[]];
  /** … a script for bash. */
  readonly script?: string;
}

export function cases(table: readonly Case[]): void {
  it.for(table)("$name", ({ name: _name, needs = [], command, script, ...rest }, context) => {
    const words: readonly [string, ...string[]] = command ?? ["bash", "-c", script ?? ""];
    need(context, words[0], ...needs);
    expectAlike({ command: words, ...rest });
  });
}
