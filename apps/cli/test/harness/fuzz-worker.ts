/**
 * Runs programs made of random bytes, one after the other in this process, which has nothing on its standard streams.
 *
 *     node --conditions=source fuzz-worker.ts KIND FIRST-SEED COUNT RESULT-FILE
 *
 * The result is a line for each seed: its wait status, or what went wrong.
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProgram } from "@doppel/emulator/node";
import { tinyProgram } from "./tiny-program.ts";

const guests = join(import.meta.dirname, "../../../../guests/bin");

const CODE_BYTES = 4096;
const HEADERS_BYTES = 400;
const MEMORY_BYTES = 64 << 20;
/** A program that has not ended by then is killed … */
const PATIENCE_MS = 300;
/** … and must be gone by then. */
const LIMIT_MS = 20_000;
const SIGKILL = 9;

const scratch = mkdtempSync(join(tmpdir(), "doppel-fuzz-"));
/** xorshift32 */
function randomNumbers(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

type Maker = (random: () => number) => Uint8Array;

/** Runs a program that can reach nothing of the host, and gives its wait status. */
async function runToItsEnd(bytes: Uint8Array): Promise<number> {
  writeFileSync(join(scratch, "program"), bytes, { mode: 0o755 });
  const program = startProgram({
    path: "/fuzz/program",
    root: null,
    mounts: [{ host: scratch, guest: "/fuzz", readOnly: true }],
    network: false,
    memoryBytes: MEMORY_BYTES,
  });
  if ("reason" in program) return -1;
  const killer = setInterval(() => {
    for (const process of program.kernel.processes.values()) process.sendSignal({ signal: SIGKILL, code: 0 });
  }, PATIENCE_MS);
  let limit: NodeJS.Timeout | undefined;
  const overdue = new Promise<never>((_, reject) => {
    limit = setTimeout(() => reject(new Error("the program goes on although it was killed")), LIMIT_MS);
  });
  try {
    return await Promise.race([program.finished, overdue]);
  } finally {
    clearInterval(killer);
    clearTimeout(limit);
  }
}

const makers: Record<string, Maker> = {
  "random bytes": (random) => tinyProgram(Uint8Array.from({ length: CODE_BYTES }, () => random() >>> 13)),
  "few different bytes": (random) => {
    const alphabet = Array.from({ length: 12 }, () => random() >>> 13);
    return tinyProgram(Uint8Array.from({ length: CODE_BYTES }, () => alphabet[random() % alphabet.length]));
  },
  "jumps and calls": (random) => {
    const opcodes = [0xeb, 0x74, 0x75, 0xe2, 0xe3, 0xc3, 0x50, 0x58, 0xe8, 0xff, 0x90];
    const code = Uint8Array.from({ length: CODE_BYTES }, () => random() >>> 13);
    for (let at = 0; at < CODE_BYTES; at += 3) code[at] = opcodes[random() % opcodes.length];
    return tinyProgram(code);
  },
};

/** A guest program with some bytes changed behind its headers, whose lies have tests of their own. */
const mutated =
  (name: string): Maker =>
  (random) => {
    const bytes = Uint8Array.from(readFileSync(join(guests, name)));
    const changes = 1 + (random() % 20);
    for (let n = 0; n < changes; n++)
      bytes[HEADERS_BYTES + (random() % (bytes.length - HEADERS_BYTES))] = random() >>> 13;
    return bytes;
  };

const [kind = "", firstSeed = "1", count = "1", resultFile = ""] = process.argv.slice(2);
const make = makers[kind] ?? mutated(kind);
for (let seed = Number(firstSeed); seed < Number(firstSeed) + Number(count); seed++) {
  const result = await runToItsEnd(make(randomNumbers(seed))).catch((error: Error) => error.stack ?? error.message);
  appendFileSync(resultFile, `${JSON.stringify({ seed, result })}\n`);
}
rmSync(scratch, { recursive: true, force: true });
process.exit(0);
