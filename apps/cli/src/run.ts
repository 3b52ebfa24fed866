/** `doppel run`: one Linux program, its input, output, status and signals as if it ran by itself. */
import { accessSync, constants, statSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import {
  cpuidLevels,
  DEFAULT_CPUID_LEVEL,
  defaultTwins,
  type GuardChoice,
  MountError,
  type NativeFunction,
  type ProgramOptions,
  type RunningProgram,
  selectBindings,
  startProgram,
  StraceObserver,
  twins,
  UnknownBindingError,
} from "@doppel/emulator/node";
import { firstSentence, systemMessage } from "./options.ts";
import { print, printError } from "./output.ts";
import type { RunProfile } from "./profile.ts";
import { translationsIn } from "./translations.ts";
import { UsageError } from "./usage-error.ts";

const USAGE = `usage: doppel run [options] [--] PROGRAM [ARG…]

  --env NAME=VALUE        set a variable (NAME alone takes it out)
  --cwd DIR               the guest's current directory
  --root DIR              the guest's root is this host directory (default: the host's own root)
  --mount HOST:GUEST[:ro] show a host directory at a place in the guest
  --memory MIB            guest memory, 16 to 4096 (default 2048)
  --cpu LEVEL             what CPUID says the processor is (default ${DEFAULT_CPUID_LEVEL}; list: which there are)
  --bind NAME,…           functions of the guest that native twins replace (none, all; list: which there are)
  --guards POLICY         how writes to translated code are noticed: by-page (default), fault-on-store,
                          check-on-use, whole-pages
  --translations DIR      where translations are kept for the program's next run; none: nowhere
                          (default: ~/.cache/doppel/translations)
  --sandbox               no host file, variable or network beyond what is named
  --strace                print system calls on standard error
  --stats[=json]          print statistics at the end, on standard error
  --stats-file FILE       write them there, as JSON
  --profile FILE          write where the time goes, for speedscope; a summary on standard error
`;

const EXIT_NOT_EXECUTABLE = 126;
const EXIT_NOT_FOUND = 127;
const ENOENT = 2;
const SIGNAL_BASE = 128;
const MEBIBYTE = 2 ** 20;

export async function run(args: readonly string[]): Promise<number> {
  const { values, command } = parse(args);
  if (values.help) {
    print(USAGE);
    return 0;
  }
  if (values.cpu === "list") {
    for (const { name, description } of cpuidLevels) print(`${name.padEnd(10)} ${description}\n`);
    return 0;
  }
  if (values.bind === "list") {
    for (const twin of twins)
      print(
        `${twin.name.padEnd(10)} ${defaultTwins.includes(twin.name) ? "on " : "off"}  ${twin.prototype.toString()}\n`,
      );
    return 0;
  }
  if (values.stats !== undefined && values.stats !== "text" && values.stats !== "json") {
    throw new UsageError(`--stats=${values.stats}: write --stats or --stats=json`);
  }
  const [name, ...rest] = command;
  if (name === undefined) throw new UsageError("run needs a program; doppel run --help says more");
  const { sandbox } = values;
  const environment = environmentOf(values.env, sandbox);
  const root = values.root === undefined ? (sandbox ? undefined : "/") : parseRoot(values.root);
  const path = findProgram(name, environment, root);
  const profile = values.profile === undefined ? undefined : await startProfile(values.profile, [name, ...rest]);
  const program = start({
    path,
    commandLine: [name, ...rest],
    environment,
    cwd: values.cwd ?? (root === "/" ? process.cwd() : "/"),
    root: root ?? null,
    mounts: values.mount.map(parseMount),
    network: !sandbox,
    memoryBytes: parseMemory(values.memory) * MEBIBYTE,
    cpu: parseCpu(values.cpu),
    guards: parseGuards(values.guards),
    ...(values.bind === undefined ? {} : { bindings: parseBindings(values.bind) }),
    bindingFailed: (binding, error) => printError(`doppel: the binding of ${binding} failed: ${String(error)}\n`),
    ...translationsIn(values.translations, import.meta.filename),
    ...(profile === undefined ? {} : { profile: profile.guest }),
    hooks: values.strace ? [new StraceObserver((line) => printError(`${line}\n`))] : [],
  });
  if ("reason" in program) {
    printError(`doppel: ${program.reason}\n`);
    return program.errno === ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
  }
  const status = await program.finished;
  profile?.finish();
  await report(program, values.stats, values["stats-file"]);
  const signal = status & 0x7f;
  return signal === 0 ? status >> 8 : SIGNAL_BASE + signal;
}

/** With everything that only a profile needs. */
async function startProfile(file: string, command: readonly string[]): Promise<RunProfile> {
  const module = await import("./profile.ts");
  return new module.RunProfile(file, command.join(" "));
}

function start(options: ProgramOptions): ReturnType<typeof startProgram> {
  try {
    return startProgram(options);
  } catch (error) {
    if (error instanceof MountError) throw new UsageError(error.message);
    if (error instanceof RangeError)
      throw new UsageError(`cannot reserve guest memory: ${error.message}; try a smaller --memory`);
    throw error;
  }
}

async function report(
  program: RunningProgram,
  form: "text" | "json" | undefined,
  file: string | undefined,
): Promise<void> {
  if (form === undefined && file === undefined) return;
  const statistics = program.statistics();
  const json = `${JSON.stringify(statistics, undefined, 2)}\n`;
  if (form === "json") printError(json);
  if (form === "text") {
    const { statisticsTable } = await import("./statistics-table.ts");
    printError(statisticsTable(statistics));
  }
  if (file === undefined) return;
  try {
    writeFileSync(file, json);
  } catch (error) {
    printError(`doppel: --stats-file ${file}: ${systemMessage(error)}\n`);
  }
}

function parse(args: readonly string[]) {
  // Options end at the program's name; what follows is the program's.
  const valued = new Set([
    "--env",
    "--cwd",
    "--root",
    "--mount",
    "--memory",
    "--cpu",
    "--bind",
    "--guards",
    "--translations",
    "--stats-file",
    "--profile",
  ]);
  let end = 0;
  while (end < args.length && args[end].startsWith("-")) {
    if (args[end] === "--") break;
    end += valued.has(args[end]) ? 2 : 1;
  }
  const command = args.slice(args[end] === "--" ? end + 1 : end);
  const own = args.slice(0, end).map((argument) => (argument === "--stats" ? "--stats=text" : argument));
  try {
    const { values } = parseArgs({
      args: own,
      options: {
        env: { type: "string", multiple: true, default: [] },
        cwd: { type: "string" },
        root: { type: "string" },
        mount: { type: "string", multiple: true, default: [] },
        memory: { type: "string", default: "2048" },
        cpu: { type: "string", default: DEFAULT_CPUID_LEVEL },
        bind: { type: "string" },
        guards: { type: "string", default: "by-page" },
        translations: { type: "string" },
        sandbox: { type: "boolean", default: false },
        strace: { type: "boolean", default: false },
        stats: { type: "string" },
        "stats-file": { type: "string" },
        profile: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    return { values, command };
  } catch (error) {
    throw new UsageError(`run: ${firstSentence((error as Error).message)}; doppel run --help lists the options`);
  }
}

const guardChoices: Readonly<Record<string, GuardChoice>> = {
  "by-page": "by page",
  "fault-on-store": "fault on store",
  "check-on-use": "check on use",
  "whole-pages": "whole pages",
};

function parseGuards(name: string): GuardChoice {
  const choice = guardChoices[name];
  if (choice === undefined) throw new UsageError(`--guards ${name}: there are ${Object.keys(guardChoices).join(", ")}`);
  return choice;
}

function environmentOf(changes: readonly string[], sandbox: boolean): string[] {
  const variables = new Map<string, string>();
  if (!sandbox) for (const [name, value] of Object.entries(process.env)) variables.set(name, value ?? "");
  for (const change of changes) {
    const equals = change.indexOf("=");
    if (equals === 0) throw new UsageError(`--env ${change}: a variable needs a name`);
    if (equals < 0) variables.delete(change);
    else variables.set(change.slice(0, equals), change.slice(equals + 1));
  }
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

/** As a shell does: a name without a slash is looked for on PATH. */
export function findProgram(name: string, environment: readonly string[], root: string | undefined): string {
  if (name.includes("/") || root === undefined) return name;
  const path = environment.find((variable) => variable.startsWith("PATH="))?.slice(5) ?? "/usr/bin:/bin";
  for (const directory of path.split(delimiter)) {
    const candidate = join(directory === "" ? "." : directory, name);
    try {
      const onHost = root === "/" ? candidate : join(root, candidate);
      if (!statSync(onHost).isFile()) continue;
      accessSync(onHost, constants.X_OK);
      return candidate;
    } catch {
      continue;
    }
  }
  throw new UsageError(`${name}: command not found`, EXIT_NOT_FOUND);
}

function parseMount(text: string): { host: string; guest: string; readOnly: boolean } {
  const parts = text.split(":");
  const [host, guest, flag] = parts;
  if (
    host === undefined ||
    host === "" ||
    guest === undefined ||
    !guest.startsWith("/") ||
    parts.length > 3 ||
    (flag !== undefined && flag !== "ro")
  ) {
    throw new UsageError(`--mount ${text}: write HOST:GUEST or HOST:GUEST:ro, with GUEST an absolute path`);
  }
  return { host: resolve(host), guest, readOnly: flag === "ro" };
}

function parseRoot(directory: string): string {
  const root = resolve(directory);
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new UsageError(`--root ${directory}: there is no such directory`);
  }
  return root;
}

function parseMemory(text: string): number {
  const mebibytes = Number(text);
  if (!Number.isInteger(mebibytes) || mebibytes < 16 || mebibytes > 4096) {
    throw new UsageError(`--memory ${text}: give a number of MiB from 16 to 4096`);
  }
  return mebibytes;
}

function parseCpu(name: string): string {
  if (cpuidLevels.some((level) => level.name === name)) return name;
  throw new UsageError(`--cpu ${name}: there are ${cpuidLevels.map((level) => level.name).join(", ")}`);
}

function parseBindings(selection: string | undefined): readonly NativeFunction[] {
  try {
    return selectBindings(selection, twins);
  } catch (error) {
    if (error instanceof UnknownBindingError) throw new UsageError(`--bind ${selection}: ${error.message}`);
    throw error;
  }
}
