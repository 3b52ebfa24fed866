/** This machine's processor as a runner: builds the harness with `cc` once and keeps it in a cache folder. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { arch, platform, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Batch, type InstructionRunner } from "../format.ts";

const flags = [
  "-O2",
  "-static",
  "-nostdlib",
  "-ffreestanding",
  "-fno-pie",
  "-no-pie",
  // Away from where registers with a single bit set point.
  "-Wl,-Ttext-segment=0x35a5a000",
  "-mno-red-zone",
  "-mgeneral-regs-only",
  "-fno-stack-protector",
  "-fcf-protection=none",
  "-fno-tree-loop-distribute-patterns",
];

/** Path of the harness, or why there is none on this machine. */
function buildHarness(): { readonly path: string } | { readonly problem: string } {
  if (platform() !== "linux" || arch() !== "x64") return { problem: "needs an x86-64 processor under Linux" };
  const source = fileURLToPath(new URL("../native/harness.c", import.meta.url));
  const hash = createHash("sha256").update(readFileSync(source)).update(flags.join(" ")).digest("hex").slice(0, 16);
  const folder = join(tmpdir(), `doppel-oracle-${userInfo().uid}`);
  const path = join(folder, hash);
  if (existsSync(path)) return { path };
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}`;
  const { status, stderr, error } = spawnSync("cc", [...flags, "-o", fresh, source], { encoding: "utf8" });
  if (error) return { problem: "needs a C compiler as `cc`" };
  if (status !== 0) return { problem: `cc could not build the harness: ${stderr}` };
  renameSync(fresh, path);
  return { path };
}

/** Cases one process is given at a time. */
const casesPerProcess = 8192;

export class NativeRunner implements InstructionRunner {
  readonly name = "processor";
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** The runner, or why there is none on this machine. */
  static create(): NativeRunner | { readonly problem: string } {
    const harness = buildHarness();
    return "path" in harness ? new NativeRunner(harness.path) : harness;
  }

  run(cases: Batch): Batch {
    const results: Uint8Array[] = [];
    for (let from = 0; from < cases.count; from += casesPerProcess) {
      const input = cases.slice(from, from + casesPerProcess);
      const { status, signal, stdout } = spawnSync(this.#path, [], { input, maxBuffer: 1 << 30, timeout: 60_000 });
      if (status !== 0) {
        throw new Error(`the harness ended with ${signal ?? `status ${status}`} on cases from number ${from} on`);
      }
      results.push(stdout);
    }
    const batch = Batch.over(results.length === 1 ? results[0] : Buffer.concat(results));
    if (batch.count !== cases.count) throw new Error(`${cases.count} cases gave ${batch.count} results`);
    return batch;
  }
}
