/** `doppel inspect --guards`: runs a program, then shows the pages whose translated code it wrote to. */
import { startProgram } from "@doppel/emulator/node";
import { printError } from "../output.ts";
import { findProgram } from "../run.ts";
import { UsageError } from "../usage-error.ts";

const EXIT_CANNOT_RUN = 127;
const SIGNAL_BASE = 128;
const GRANULES = 64;

export async function inspectGuards(command: readonly string[]): Promise<number> {
  const [name] = command;
  if (name === undefined) throw new UsageError("inspect --guards needs a program; doppel inspect --help says more");
  const environment = Object.entries(process.env).map(([variable, value]) => `${variable}=${value ?? ""}`);
  const program = startProgram({ path: findProgram(name, environment, "/"), commandLine: command, environment });
  if ("reason" in program) throw new UsageError(program.reason, EXIT_CANNOT_RUN);
  const status = await program.finished;
  const { guards } = program.statistics();
  const pages = program.engine.memory.guardedPages();
  const lines = [
    "physical page   policy           stores stopped   unprotected   changes   granules",
    ...pages.map(
      ({ page, policy, faults, unprotected, changes, granules, freed }) =>
        `${`0x${page.toString(16)}`.padEnd(14)}  ${policy.padEnd(14)}  ${String(faults).padStart(15)}  ` +
        `${String(unprotected).padStart(12)}  ${String(changes).padStart(8)}  ` +
        (freed ? "page freed" : `${granules} of ${GRANULES} guarded`),
    ),
    `${pages.length} pages of code were written to; ${guards.discards} regions discarded, ${guards.staleOnUse} of them ` +
      `when they were about to be used; ${guards.toCheckOnUse} changes to check on use, ${guards.toFaultOnStore} back`,
  ];
  printError(`${lines.join("\n")}\n`);
  const signal = status & 0x7f;
  return signal === 0 ? status >> 8 : SIGNAL_BASE + signal;
}
