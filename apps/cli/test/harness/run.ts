/** Runs a command natively and in the guest: same place, same input, same environment. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { describeFiles, differences, type Outcome, shellStatus, textOf } from "./outcome.ts";
import { SYSTEM_PATH } from "./requirements.ts";

export interface Command {
  /** The program and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Files the command finds in its working directory. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** A shell script that makes the rest of what it finds there; runs natively. */
  readonly prepare?: string;
  /** Files whose contents legitimately differ between two runs. */
  readonly ignoreFiles?: RegExp;
  /** Takes out of the output what legitimately differs between two runs. */
  readonly normalize?: (text: string) => string;
  /** Options of `doppel run`. */
  readonly options?: readonly string[];
  readonly timeoutMs?: number;
}

export const repository: string = join(import.meta.dirname, "../../../..");
const main = join(repository, "apps/cli/dist/main.js");
const DEFAULT_TIMEOUT_MS = 150_000;
const MAXIMUM_OUTPUT_BYTES = 64 << 20;

/** Not in the directory that a test compares: what one test translated, another finds. */
const translations = join(repository, "apps/cli/node_modules/.cache/translations");

/** The words that run `command` in the guest, with this Node and without a launcher in between. */
export function doppel(command: readonly string[], options: readonly string[] = []): [string, ...string[]] {
  if (!existsSync(main)) throw new Error("the command line is not built: pnpm build");
  return [process.execPath, main, "run", "--translations", translations, ...options, "--", ...command];
}

/** A directory that is removed when the scope that holds it ends. */
export function temporaryDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "doppel-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** What every command sees, and nothing of the developer's own environment. */
export function environment(home: string, extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: SYSTEM_PATH, HOME: home, TMPDIR: home, LANG: "C.UTF-8", TZ: "UTC", TERM: "dumb", ...extra };
}

function runIn(directory: string, argv: readonly [string, ...string[]], command: Command): Outcome {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  for (const [name, contents] of Object.entries(command.files ?? {})) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), contents);
  }
  const env = environment(directory, command.env);
  if (command.prepare !== undefined) {
    const prepared = spawnSync("bash", ["-euc", command.prepare], { cwd: directory, env, encoding: "utf8" });
    if (prepared.status !== 0) throw new Error(`the preparation failed: ${prepared.stderr}`);
  }
  const [file, ...args] = argv;
  const result = spawnSync(file, args, {
    cwd: directory,
    env,
    input: command.stdin ?? "",
    maxBuffer: MAXIMUM_OUTPUT_BYTES,
    timeout: command.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  if (result.error !== undefined) {
    const printed = `${textOf(result.stdout ?? Buffer.of())}${textOf(result.stderr ?? Buffer.of())}`.slice(-2000);
    throw new Error(`${argv.join(" ").slice(0, 200)}: ${result.error.message}; it had printed:\n${printed}`);
  }
  const normalize = command.normalize ?? ((text) => text);
  return {
    stdout: normalize(textOf(result.stdout)),
    stderr: normalize(textOf(result.stderr)),
    status: shellStatus(result.status, result.signal),
    files: describeFiles(directory, command.ignoreFiles),
  };
}

/** Runs the command both ways in fresh copies of one directory. */
export function runBoth(command: Command): { native: Outcome; guest: Outcome } {
  using parent = temporaryDirectory();
  const directory = join(parent.path, "work");
  const native = runIn(directory, command.command, command);
  const guest = runIn(directory, doppel(command.command, command.options), command);
  return { native, guest };
}

/** Fails unless output, status and produced files are the same both ways; returns them. */
export function expectAlike(command: Command): Outcome {
  const { native, guest } = runBoth(command);
  expect(differences(native, guest).join("\n")).toBe("");
  return guest;
}

/** Runs it in the guest only. */
export function runGuest(command: Command): Outcome {
  using parent = temporaryDirectory();
  return runIn(join(parent.path, "work"), doppel(command.command, command.options), command);
}
