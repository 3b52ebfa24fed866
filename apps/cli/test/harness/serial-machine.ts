/** A machine whose serial console is a program's standard input and output: ours, or QEMU's. */
import { type ChildProcess, spawn } from "node:child_process";
import { environment } from "./run.ts";

/** Booting takes seconds on an idle host, and minutes among other tests. */
const PATIENCE_MS = 300_000;

export class SerialMachine implements AsyncDisposable {
  /** What the console has shown so far. */
  output = "";
  /** Status of the program, once it has ended. */
  readonly ended: Promise<number | null>;
  readonly #process: ChildProcess;
  readonly #printed = new Set<() => void>();
  #running = true;

  constructor([program, ...args]: readonly [string, ...string[]]) {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env: environment("/tmp") });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
        for (const look of this.#printed) look();
      });
    }
    this.ended = new Promise((resolve) => {
      child.once("close", (status) => {
        this.#running = false;
        for (const look of this.#printed) look();
        resolve(status);
      });
    });
  }

  type(text: string): void {
    this.#process.stdin?.write(text);
  }

  /** Waits until the console has shown it. */
  shows(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const give = (error: Error): void => {
        this.#printed.delete(look);
        reject(error);
      };
      const timer = setTimeout(() => give(new Error(`never showed ${pattern}:\n${this.output}`)), PATIENCE_MS);
      const look = (): void => {
        const match = pattern.exec(this.output);
        if (match === null && this.#running) return;
        clearTimeout(timer);
        this.#printed.delete(look);
        if (match === null) reject(new Error(`ended without ${pattern}:\n${this.output}`));
        else resolve(match);
      };
      this.#printed.add(look);
      look();
    });
  }

  /** What a command prints. For a shell on the console, which echoes what is typed. */
  async run(command: string): Promise<string> {
    const before = this.output.length;
    this.type(`${command}; echo "status""=$?"\n`);
    const [text] = await this.shows(new RegExp(`(?<=^[^]{${before}})[^]*status=\\d+`));
    return text.slice(text.indexOf("\n") + 1).replaceAll("\r", "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running) this.#process.kill("SIGKILL");
    await this.ended;
  }
}
