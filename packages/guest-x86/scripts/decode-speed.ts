// Decoder speed on a program's code, and the load time of the tables:
//
//   node packages/guest-x86/scripts/decode-speed.ts [ELF file = /usr/lib/x86_64-linux-gnu/libc.so.6]
//
// Decodes the executable segment linearly, again and again; the first pass shows the cold speed.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const { positionals } = parseArgs({ allowPositionals: true });
const file = readFileSync(positionals[0] ?? "/usr/lib/x86_64-linux-gnu/libc.so.6");

/** CPU time of this thread, which other load on the machine disturbs least. */
function milliseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

const before = milliseconds();
const { decode, Instruction } = await import("../src/decode/index.ts");
console.log(`modules loaded, types stripped on the way, in ${(milliseconds() - before).toFixed(1)} ms`);

// The executable PT_LOAD of a 64-bit ELF file.
const programHeaders = Number(file.readBigUInt64LE(0x20));
let start = 0;
let end = 0;
for (let i = 0; i < file.readUInt16LE(0x38); i++) {
  const header = programHeaders + i * file.readUInt16LE(0x36);
  if (file.readUInt32LE(header) === 1 && (file.readUInt32LE(header + 4) & 1) !== 0) {
    start = Number(file.readBigUInt64LE(header + 8));
    end = start + Number(file.readBigUInt64LE(header + 32));
  }
}

const out = new Instruction();
const code = new Uint8Array(file.subarray(start, end));
let best = Infinity;
for (let pass = 0; pass < 30; pass++) {
  let position = 0;
  let count = 0;
  let undecoded = 0;
  const begin = milliseconds();
  while (position < code.length) {
    const length = decode(code, position, code.length, 64, out);
    if (length > 0) {
      position += length;
      count++;
      if (pass === 0 && (count === 1000 || count === 10_000)) {
        console.log(`first ${count}: ${(((milliseconds() - begin) * 1e6) / count).toFixed(0)} ns each`);
      }
    } else {
      position++;
      undecoded++;
    }
  }
  const each = ((milliseconds() - begin) * 1e6) / count;
  if (pass === 0)
    console.log(`first pass: ${count} instructions, ${undecoded} bytes skipped, ${each.toFixed(0)} ns each`);
  best = Math.min(best, each);
}
console.log(`best pass: ${best.toFixed(1)} ns each, ${(1000 / best).toFixed(1)} million/s`);
