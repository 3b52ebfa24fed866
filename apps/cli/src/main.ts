/**
 * The `doppel` command: picks the subcommand, turns what it throws into one clear line.
 *
 * `process` is the global one throughout: importing `node:process` reads its every property, and `process.stdin` makes
 * the guest's standard input nonblocking.
 */
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { UsageError } from "./usage-error.ts";

const commands: Readonly<Record<string, () => Promise<{ run: (args: readonly string[]) => Promise<number> }>>> = {
  run: () => import("./run.ts"),
  vm: () => import("./vm.ts"),
  inspect: () => import("./inspect/command.ts"),
  guest: () => import("./guest/command.ts"),
  pair: () => import("./pair/command.ts"),
  disk: () => import("./disk/command.ts"),
  bench: () => import("./bench.ts"),
  doctor: () => import("./doctor.ts"),
};

const USAGE = `usage: doppel COMMAND [ARG…]

  run [options] [--] PROGRAM [ARG…]   run a Linux program for x86-64 or i386
  vm --kernel FILE [options]          boot a kernel on a whole machine
  inspect PROGRAM --function NAME     show what a function is translated to
  guest debian --out DIR              build a Linux system to boot, from Debian's packages
  pair COMMAND                        a machine on two hosts, that outlives either
  disk serve FILE                     a disk for others, over NBD; also one that is mirrored on two hosts
  bench [SUITE…]                      measure it beside the processor itself and other emulators
  doctor                              say what this machine has and lacks

doppel COMMAND --help says more.
`;

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help") {
    process.stdout.write(USAGE);
    return name === undefined ? 2 : 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw new UsageError(`there is no command ${name}; doppel --help lists them`);
  const { run } = await command();
  return run(rest);
}

// Without it each start parses and compiles all that it uses of this program. It is where nobody writes who could not change
// the program itself; where we cannot either, there is none.
enableCompileCache(process.env["NODE_COMPILE_CACHE"] ?? join(import.meta.dirname, "../node_modules/.cache/compiled"));
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`doppel: ${error.message}\n`);
  process.exitCode = error.status;
}
