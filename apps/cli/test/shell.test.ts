// bash: pipes, subshells, here-documents, traps, background jobs and their status.
import { describe } from "vitest";
import { cases } from "./harness/cases.ts";

/** bash's notice of a killed job names its process id, and a core dump that only some machines make. */
const withoutPids = (text: string): string =>
  text.replaceAll(/(?<=line \d+:) +\d+(?= )/g, " PID").replaceAll("(core dumped) ", "");

describe("bash scripts", () => {
  cases([
    { name: "expansions, arrays, arithmetic, functions", script: "language.sh" },
    { name: "pipes, subshells, redirections, here-documents", script: "pipes.sh" },
    { name: "traps and signals", script: "traps.sh", normalize: withoutPids },
    { name: "background jobs and their status", script: "jobs.sh", normalize: withoutPids },
    { name: "a status for every way to end", script: "statuses.sh" },
    { name: "the shell's own end by a signal", script: "ulimit -c 0; kill -QUIT $$" },
    {
      name: "standard input is read by the one who asks",
      script: 'read -r first; echo "shell $first"; head -n 1; cat | tail -n 1',
      stdin: `one\n${"two\n".repeat(3000)}last\n`,
    },
    { name: "dash", shell: "dash", script: "posix.sh", args: ["a b", "c"] },
  ]);
});
