// What `npm start` shows. A step is a command somebody could type; what it prints is what they would see.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const root = join(import.meta.dirname, "..");

interface Step {
  readonly title: string;
  readonly command: readonly [string, ...string[]];
  /** Exit status that means success; 0 unless given. */
  readonly status?: number;
  /** Files of the machine; without them the step is left out, and says so. */
  readonly needs?: readonly string[];
}

const steps: readonly Step[] = [
  { title: "A static x86-64 Linux program", command: ["./doppel", "run", "guests/bin/hello"] },
  { title: "A static i386 program", command: ["./doppel", "run", "guests/bin/hello32"] },
  {
    title: "Processes that fork, die and are killed",
    command: ["./doppel", "run", "guests/bin/fork"],
  },
  { title: "Threads that share a counter and wait for each other", command: ["./doppel", "run", "guests/bin/threads"] },
  { title: "Condition flags, as the processor sets them", command: ["./doppel", "run", "guests/bin/flags"] },
  { title: "Faults are the guest's own", command: ["./doppel", "run", "guests/bin/fault"] },
  { title: "Code that rewrites itself", command: ["./doppel", "run", "guests/bin/selfmod", "100"] },
  { title: "A computation", command: ["./doppel", "run", "guests/bin/mandelbrot", "200"] },
  {
    title: "This machine's own shell, dynamically linked",
    command: ["./doppel", "run", "sh", "-c", "uname -m; for n in 3 1 2; do echo $n; done | sort"],
    needs: ["/bin/sh", "/usr/bin/sort", "/usr/bin/uname"],
  },
  {
    title: "What the translator did for a program of this machine",
    command: ["./doppel", "run", "--stats", "ls", "guests"],
    needs: ["/bin/ls"],
  },
  {
    title: "A program that does not exist",
    command: ["./doppel", "run", "guests/bin/nowhere"],
    status: 127,
  },
  { title: "What this machine has and lacks", command: ["./doppel", "doctor"] },
  {
    title: "A machine on two hosts, and what a client sees when they are killed",
    command: ["./doppel", "pair", "demo"],
  },
];

/** As one would type it. */
function quoted(word: string): string {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word}'`;
}

let failures = 0;
for (const { title, command, status = 0, needs = [] } of steps) {
  console.log(`\n${title}\n$ ${command.map(quoted).join(" ")}`);
  const missing = needs.filter((file) => !existsSync(resolve(root, file)));
  if (missing.length > 0) {
    console.log(`(left out: ${missing.join(", ")} is not here)`);
    continue;
  }
  const startedMs = performance.now();
  const [file, ...args] = command;
  const result = spawnSync(file, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(2);
  const ended = result.error?.message ?? result.signal ?? `exit status ${result.status}`;
  const ok = result.status === status;
  console.log(`(${ok ? "" : "FAILED: "}${ended}, ${seconds} s)`);
  if (!ok) failures += 1;
}
process.exitCode = failures === 0 ? 0 : 1;
