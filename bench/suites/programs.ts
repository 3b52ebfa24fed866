/** `programs`: what Debian ships, dynamically linked, at work for some tenths of a second natively. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { findProgram } from "../contenders.ts";
import { writeInputs } from "../inputs.ts";
import type { Suite, Task } from "../task.ts";

const scripts = join(import.meta.dirname, "..", "programs");
const script = (name: string): string => join(scripts, name);
const REDIS_PORT = 17_391;
const KEY = "key.pem";

type More = Pick<Task, "stdin" | "client" | "needs">;

/** A program on PATH; its arguments name files of the inputs, relative to their folder. */
const task = (name: string, program: string, args: readonly string[], more: More = {}): Task => ({
  name,
  command: () => {
    const file = findProgram(program);
    return file === undefined ? undefined : [file, ...args];
  },
  ...more,
});

/** The compiler proper, which the driver `gcc` runs. */
function compiler(): string | undefined {
  const gcc = findProgram("gcc");
  if (gcc === undefined) return undefined;
  const file = spawnSync(gcc, ["-print-prog-name=cc1"], { encoding: "utf8" }).stdout.trim();
  return file.startsWith("/") ? file : undefined;
}

export const programs: Suite = {
  name: "programs",
  title: "Debian's programs at work (doppel: from the third run on, with the translations of those before)",
  prepare: (folder) => {
    writeInputs(folder);
    const openssl = findProgram("openssl");
    if (openssl !== undefined) spawnSync(openssl, ["genrsa", "-out", join(folder, KEY), "4096"], { stdio: "ignore" });
  },
  tasks: [
    task("python3 objects", "python3", [script("objects.py")]),
    task("python3 text", "python3", [script("text.py"), "half-text"]),
    task("python3 numbers", "python3", [script("numbers.py")]),
    task("perl", "perl", [script("records.pl"), "records.csv"]),
    task("bash", "bash", [script("loop.sh")]),
    task("lua", "lua", [script("queens.lua")]),
    task("sqlite3", "sqlite3", ["-batch", ":memory:", `.read ${script("queries.sql")}`]),
    task("gzip", "gzip", ["-6", "-c", "text"]),
    task("xz", "xz", ["-2", "-c", "-T1", "half-text"]),
    task("zstd", "zstd", ["-6", "-c", "-q", "--single-thread", "text"]),
    // The same input many times over: OpenSSL's own `speed` measures by the clock.
    task("openssl sha256", "openssl", ["dgst", "-sha256", ...Array.from({ length: 40 }, () => "text")]),
    task("openssl aes", "openssl", [
      "enc",
      "-aes-256-cbc",
      "-K",
      "00".repeat(32),
      "-iv",
      "11".repeat(16),
      "-in",
      "long-text",
    ]),
    // Checking a key is testing its primes: the modular exponentiations that signing consists of, for half a second.
    task("openssl rsa", "openssl", ["rsa", "-in", KEY, "-check", "-noout"]),
    { name: "cc1 -O2", command: () => withFile(compiler(), ["-O2", "-quiet", "program.c", "-o", "-"]) },
    task("awk", "awk", [
      "-F,",
      "{ s[$2] += $3; n[$1 % 100]++ } END { for (k in s) t += s[k] * n[7]; print t }",
      "records.csv",
    ]),
    task("sort", "sort", ["-t,", "-k2,2", "-k1,1n", "records.csv"]),
    task("redis-server", "redis-server", ["--port", String(REDIS_PORT), "--save", "", "--daemonize", "no"], {
      needs: ["redis-benchmark"],
      client: {
        port: REDIS_PORT,
        command: [
          "redis-benchmark",
          "-p",
          String(REDIS_PORT),
          "-t",
          "set,get,lpush,zadd",
          "-n",
          "20000",
          "-c",
          "20",
          "-q",
        ],
      },
    }),
  ],
};

function withFile(file: string | undefined, args: readonly string[]): readonly string[] | undefined {
  return file === undefined ? undefined : [file, ...args];
}
