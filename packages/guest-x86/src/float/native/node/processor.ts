/**
 * The processor of this machine as the reference: runs single instructions on given states (see execute.c).
 *
 * The one idea: a batch of fixed-size records goes through one process; the record is the same in and out, so a
 * test only has to look at what it cares about.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const RECORD_BYTES = 576;
export const FLAGS_AT = 16;
export const RAX_AT = 24;
/** The flags of an instruction that raised #MF or #XM. */
export const FAULTED = 0x1000;
export const IMAGE_AT = 32;
export const MEMORY_AT = 448;
/** Offsets within the FXSAVE image. */
export const MXCSR_AT: number = IMAGE_AT + 24;
export const STACK_AT: number = IMAGE_AT + 32;
export const XMM_AT: number = IMAGE_AT + 160;

let program: string | undefined | null = null;

/** Builds the native program once; undefined when this is not x86-64 Linux or there is no `cc`. */
export function nativeProgram(): string | undefined {
  if (program !== null) return program;
  program = undefined;
  if (process.arch !== "x64" || process.platform !== "linux") return program;
  const source = fileURLToPath(new URL("../execute.c", import.meta.url));
  const output = join(mkdtempSync(join(tmpdir(), "doppel-float-")), "execute");
  const built = spawnSync("cc", ["-O1", "-o", output, source], { stdio: "inherit" });
  if (built.status === 0) program = output;
  return program;
}

/** Why {@link nativeProgram} may be missing, for a skipped test's title. */
export const NEEDS_CC = "needs `cc` and an x86-64 Linux machine";

/** Executes all records; returns them as the processor left them. */
export function runNative(records: Uint8Array): Uint8Array {
  const path = nativeProgram();
  if (path === undefined) throw new Error(NEEDS_CC);
  const run = spawnSync(path, [], { input: records, maxBuffer: records.length + 4096 });
  if (run.status !== 0 || run.stdout.length !== records.length) {
    throw new Error(`native run failed: status ${run.status}, signal ${run.signal}, ${run.stdout?.length} bytes`);
  }
  return run.stdout;
}

/** Writes an instruction into record `index`. */
export function setInstruction(records: Uint8Array, index: number, code: readonly number[]): void {
  records.set(code, index * RECORD_BYTES);
  records[index * RECORD_BYTES + 15] = code.length;
}
