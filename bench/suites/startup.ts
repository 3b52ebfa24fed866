/** `startup`: programs that do next to nothing, so that loading, linking and first translations decide. */
import { findProgram } from "../contenders.ts";
import type { Suite, Task } from "../task.ts";

const task = (name: string, program: string, ...args: readonly string[]): Task => ({
  name,
  command: () => {
    const file = findProgram(program);
    return file === undefined ? undefined : [file, ...args];
  },
});

export const startup: Suite = {
  name: "startup",
  title: "Programs that do next to nothing (doppel: from the third run on, with the translations of those before)",
  tasks: [
    task("true", "true"),
    task("ls", "ls", "/"),
    task("python3 -c pass", "python3", "-c", "pass"),
    task("perl -e 0", "perl", "-e", "0"),
    task("git --version", "git", "--version"),
  ],
};
