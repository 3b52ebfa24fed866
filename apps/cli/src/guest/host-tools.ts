/** Programs of the host that the build of a guest runs, with one clear line when one is missing or fails. */
import { spawn } from "node:child_process";
import { UsageError } from "../usage-error.ts";

const FAILED = 1;
/** As much of a failed program's complaints as fits in a line that people read. */
const COMPLAINT_CHARACTERS = 300;

export interface ToolOptions {
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
  readonly environment?: Readonly<Record<string, string>>;
  /** Which package has it. */
  readonly package: string;
  /** Called with each line the program writes to file descriptor 3. */
  readonly onStatus?: (line: string) => void;
}

/**
 * Runs a program to its end and gives what it printed.
 * @throws UsageError when it is missing or ends with another status than 0
 */
export function runTool(name: string, args: readonly string[], options: ToolOptions): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const child = spawn(name, args, {
      cwd: options.cwd,
      // mke2fs and debugfs are in directories that an ordinary user's PATH often lacks.
      env: {
        ...process.env,
        PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`,
        LC_ALL: "C.UTF-8",
        ...options.environment,
      },
      stdio: ["pipe", "pipe", "pipe", options.onStatus === undefined ? "ignore" : "pipe"],
    });
    const output: Buffer[] = [];
    let complaints = "";
    child.stdout?.on("data", (chunk: Buffer) => output.push(chunk));
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (complaints += chunk));
    let statusRest = "";
    child.stdio[3]?.on("data", (chunk: Buffer) => {
      const lines = (statusRest + chunk.toString("utf8")).split("\n");
      statusRest = lines.pop() ?? "";
      for (const line of lines) options.onStatus?.(line);
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      reject(
        error.code === "ENOENT"
          ? new UsageError(`${name} is needed and not on this machine; Debian has it in package ${options.package}`)
          : new UsageError(`${name} cannot be run: ${error.message}`),
      );
    });
    child.on("close", (status, signal) => {
      if (status === 0) resolve(Buffer.concat(output));
      else reject(new UsageError(`${name} ${signal ?? `failed (${status})`}: ${firstComplaint(complaints)}`, FAILED));
    });
    // A program that ends without reading all of its input says why on standard error.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input ?? "");
  });
}

/** The line that says what is wrong, after notes about this and that. */
function firstComplaint(complaints: string): string {
  const lines = complaints
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const line = lines.find((each) => each.startsWith("E:")) ?? lines.at(-1) ?? "it did not say why";
  return line.slice(0, COMPLAINT_CHARACTERS);
}
