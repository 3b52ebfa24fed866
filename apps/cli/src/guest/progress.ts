/** What is going on, on standard error: a line per step, and within a long one how far it is. */
import { printError } from "../output.ts";

/** What takes less goes by without a word in between. */
const PATIENCE_MS = 1000;
/** On a terminal the line changes in place; a log gets a new line now and then. */
const LOG_INTERVAL_MS = 5000;

export class Progress {
  readonly #terminal = process.stderr.isTTY;

  async step<T>(name: string, work: (report: (percent: number, what: string) => void) => Promise<T>): Promise<T> {
    const startMs = performance.now();
    let lastMs = startMs + PATIENCE_MS - (this.#terminal ? PATIENCE_MS : LOG_INTERVAL_MS);
    const show = (text: string): void => printError(this.#terminal ? `\r\x1B[K${text}` : `${text}\n`);
    show(`${name} …`);
    const result = await work((percent, what) => {
      const nowMs = performance.now();
      if (nowMs - startMs < PATIENCE_MS || nowMs - lastMs < (this.#terminal ? PATIENCE_MS / 10 : LOG_INTERVAL_MS))
        return;
      lastMs = nowMs;
      show(`${name}: ${percent.toFixed(0)} % ${what}`);
    });
    show(`${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
    if (this.#terminal) printError("\n");
    return result;
  }
}
