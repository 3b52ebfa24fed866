/** Text to standard output and standard error: at once, whatever they are, and without complaint when nobody reads. */
import { writeSync } from "node:fs";

const RETRY_MS = 1;
const OUTPUT = 1;
const ERROR = 2;

function write(fd: number, text: string): void {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EAGAIN") return;
      // A full pipe, which somebody made nonblocking.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

export function print(text: string): void {
  write(OUTPUT, text);
}

export function printError(text: string): void {
  write(ERROR, text);
}
