// Which compression for pages: epochs of a real program's memory, taken from /proc/PID/mem while it works, as page records
// with and without differences, and what each codec makes of them.
//   node packages/ha-checkpoint/scripts/codecs.ts --epochs 40 --interval 50 -- redis-server --save '' --port 7777
// Something else has to keep the program busy. Linux only, as root or with ptrace allowed.
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { parseArgs } from "node:util";
import { brotliCompressSync, constants, deflateRawSync, zstdCompressSync } from "node:zlib";
import { PageRecordWriter, pagesPerChunk } from "../src/epochs/page-records.ts";

const PAGE_BYTES = 4096;
const { values, positionals } = parseArgs({
  options: { epochs: { type: "string", default: "40" }, interval: { type: "string", default: "50" } },
  allowPositionals: true,
});
const [command, ...args] = positionals;
const child = spawn(command, args, { stdio: "ignore" });
const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
await wait(1500);

/** Writable private memory, by address of the page. */
function snapshot(): Map<number, Uint8Array> {
  const pages = new Map<number, Uint8Array>();
  const memory = openSync(`/proc/${child.pid}/mem`, "r");
  for (const line of readFileSync(`/proc/${child.pid}/maps`, "utf8").split("\n")) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) rw-p/.exec(line);
    if (match === null || line.includes("[vvar")) continue;
    const [first, end] = [Number.parseInt(match[1], 16), Number.parseInt(match[2], 16)];
    if (end - first > 1 << 28) continue;
    const bytes = new Uint8Array(end - first);
    try {
      readSync(memory, bytes, 0, bytes.length, first);
    } catch {
      continue;
    }
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      const page = bytes.slice(at, at + PAGE_BYTES);
      if (page.some((byte) => byte !== 0)) pages.set((first + at) / PAGE_BYTES, page);
    }
  }
  closeSync(memory);
  return pages;
}

const codecs: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array])[] = [
  ["none", (bytes) => bytes],
  ["zstd 1", (bytes) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } })],
  ["zstd 3", (bytes) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 } })],
  ["deflate 1", (bytes) => deflateRawSync(bytes, { level: 1 })],
  ["deflate 6", (bytes) => deflateRawSync(bytes, { level: 6 })],
  ["brotli 1", (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
];

interface Total {
  bytes: number;
  microseconds: number;
}
const totals = new Map<string, Total>();

function measure(name: string, run: () => number): void {
  const before = process.cpuUsage();
  const bytes = run();
  const { user, system } = process.cpuUsage(before);
  const total = totals.get(name) ?? { bytes: 0, microseconds: 0 };
  totals.set(name, { bytes: total.bytes + bytes, microseconds: total.microseconds + user + system });
}

let before = snapshot();
let dirty = 0;
const epochs = Number(values.epochs);
for (let epoch = 0; epoch < epochs; epoch++) {
  await wait(Number(values.interval));
  child.kill("SIGSTOP");
  const now = snapshot();
  child.kill("SIGCONT");
  const changed = [...now].filter(([page, content]) => {
    const old = before.get(page);
    return old === undefined || content.some((byte, at) => byte !== old[at]);
  });
  dirty += changed.length;
  for (const withDiffs of [true, false]) {
    const chunks: Uint8Array[] = [];
    const writer = new PageRecordWriter(PAGE_BYTES);
    const label = withDiffs ? "differences" : "whole pages";
    measure(`${label}: records`, () => {
      for (const [at, [page, content]] of changed.entries()) {
        writer.page(page % 2 ** 32, content, withDiffs ? before.get(page) : undefined);
        if ((at + 1) % pagesPerChunk(PAGE_BYTES) === 0) chunks.push(writer.finish());
      }
      chunks.push(writer.finish());
      return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    });
    for (const [name, compress] of codecs) {
      measure(`${label}: ${name}`, () => chunks.reduce((sum, chunk) => sum + compress(chunk).length, 0));
    }
  }
  before = now;
}
child.kill("SIGKILL");
console.log(`${epochs} epochs of ${values.interval} ms, ${(dirty / epochs).toFixed(0)} dirty pages an epoch`);
for (const [name, { bytes, microseconds }] of totals) {
  const kilobytes = (bytes / epochs / 1000).toFixed(1);
  console.log(
    `${name.padEnd(24)} ${kilobytes.padStart(8)} kB  ${(microseconds / epochs / 1000).toFixed(2).padStart(7)} ms of CPU`,
  );
}
