/** A program in a terminal of its own, driven by keys and read as a screen; tmux is the terminal. */
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { environment, temporaryDirectory } from "./run.ts";

const COLUMNS = 80;
const ROWS = 24;
const POLL_MS = 100;
/** A screen that has not changed for so long is what the program wanted to show. */
const SETTLED_MS = 600;
/** For a program that is known to be slow, when its screen is not the one hoped for. */
const SLOW_SETTLED_MS = 10_000;
const PATIENCE_MS = 60_000;

export class Terminal implements AsyncDisposable {
  readonly #socket: Disposable & { readonly path: string };
  readonly #name = "t";

  /** Runs `command` (a line for the shell) in `cwd`. */
  constructor(command: string, cwd: string) {
    this.#socket = temporaryDirectory();
    const size = ["-x", String(COLUMNS), "-y", String(ROWS)];
    // The screen stays readable when the program has ended, and tells its status.
    const line = `${command}; echo "status $?"; exec sleep 1000`;
    this.#tmux(
      cwd,
      "new-session",
      "-d",
      "-s",
      this.#name,
      ...size,
      "-c",
      cwd,

      line,
      ";",
      "set",
      "status",
      "off",
    );
  }

  #tmux(cwd: string, ...args: readonly string[]): string {
    const env = { ...environment(cwd), TERM: "screen-256color" };
    return execFileSync("tmux", ["-S", `${this.#socket.path}/s`, "-f", "/dev/null", ...args], {
      encoding: "utf8",
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** Presses keys, in tmux's notation: `C-c`, `Enter`, `Up`; anything else is typed as it stands. */
  press(...keys: readonly string[]): void {
    this.#tmux("/", "send-keys", "-t", this.#name, ...keys);
  }

  type(text: string): void {
    this.#tmux("/", "send-keys", "-t", this.#name, "-l", text);
  }

  resize(columns: number, rows: number): void {
    this.#tmux("/", "resize-window", "-t", this.#name, "-x", String(columns), "-y", String(rows));
  }

  screen(): string {
    return this.#tmux("/", "capture-pane", "-p", "-t", this.#name).trimEnd();
  }

  /**
   * The screen once it shows `expected` and has settled; as it is when it never does. With `isComplete`, the screen is
   * waited for that is, as long as it takes a slow program to settle for good.
   */
  async shows(expected: RegExp, isComplete?: (screen: string) => boolean): Promise<string> {
    const settledAfterMs = isComplete === undefined ? SETTLED_MS : SLOW_SETTLED_MS;
    let screen = this.screen();
    let settledMs = 0;
    for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += POLL_MS) {
      await sleep(POLL_MS);
      const now = this.screen();
      settledMs = now === screen ? settledMs + POLL_MS : 0;
      screen = now;
      if (!expected.test(screen)) continue;
      if (settledMs >= settledAfterMs || isComplete?.(screen) === true) return screen;
    }
    return `never showed ${expected}:\n${screen}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#tmux("/", "kill-server");
    } catch {
      // It ended with its last program.
    }
    await sleep(POLL_MS);
    this.#socket[Symbol.dispose]();
  }
}
