// Compares the decoder with iced-x86 on many random byte strings:
//
//   node packages/guest-x86/scripts/decode-campaign.ts [strings = 1000000] [seed = 1]
//
// Prints the unexplained disagreements by kind with an example each, the explained ones by reason, and how many of the
// instruction forms occurred. Exits 1 if anything is unexplained.
import { parseArgs } from "node:util";
import { Instruction, decode, describeForm, formCount } from "../src/decode/index.ts";
import type { Mode } from "../src/decode/index.ts";
import { Random, stringLength, writeByteString } from "../src/decode/testing/byte-strings.ts";
import { Comparison, type Difference } from "../src/decode/testing/compare-iced.ts";
import { explain } from "../src/decode/testing/disagreements.ts";
import { randomEncoding } from "../src/decode/testing/random-instruction.ts";

const { positionals } = parseArgs({ allowPositionals: true });
const total = Number(positionals[0] ?? 1_000_000);
const random = new Random(Number(positionals[1] ?? 1));
const perBatch = 20_000;

const instruction = new Instruction();
const formsSeen = new Uint8Array(formCount);
const explained = new Map<string, number>();
const unexplained = new Map<string, { count: number; example: string }>();
let valid = 0;

for (let done = 0; done < total; done += perBatch) {
  const count = Math.min(perBatch, total - done);
  const buffer = new Uint8Array(count * stringLength);
  const modes: Mode[] = [];
  for (let i = 0; i < count; i++) {
    const chance = random.below(10);
    const mode: Mode = chance < 6 ? 64 : chance < 9 ? 32 : 16;
    modes.push(mode);
    writeByteString(random, mode, buffer, i * stringLength);
    // Every third string is an instance of a form, so that rare ones occur too.
    if (random.below(3) === 0) writeForm(mode, buffer, i * stringLength);
  }
  const comparison = new Comparison(buffer);
  for (let i = 0; i < count; i++) {
    const position = i * stringLength;
    const mode = modes[i];
    if (decode(buffer, position, buffer.length, mode, instruction) > 0) {
      valid++;
      formsSeen[instruction.form] = 1;
    }
    for (const difference of comparison.compare(position, buffer.length, mode))
      note(difference, mode, buffer, position);
  }
  comparison.free();
}

function note(difference: Difference, mode: Mode, buffer: Uint8Array, position: number): void {
  const reason = explain(difference, mode);
  if (reason !== undefined) {
    explained.set(reason, (explained.get(reason) ?? 0) + 1);
    return;
  }
  const bytes = [...buffer.subarray(position, position + 16)].map((byte) => byte.toString(16).padStart(2, "0"));
  const key = `${difference.field} ${difference.code}`;
  const example = `mode ${mode}: ${bytes.join(" ")}: ours ${difference.ours}, theirs ${difference.theirs}`;
  const entry = unexplained.get(key) ?? { count: 0, example };
  entry.count++;
  unexplained.set(key, entry);
}

function writeForm(mode: Mode, out: Uint8Array, position: number): void {
  const bytes = randomEncoding(random, 1 + random.below(formCount - 1), mode, instruction);
  if (bytes !== undefined) out.set(bytes, position);
}

const unseen: string[] = [];
for (let form = 1; form < formCount; form++) {
  if (formsSeen[form] === 0) unseen.push(`${describeForm(form).mnemonic} ${describeForm(form).encoding}`);
}
console.log(
  `${total} strings, ${valid} valid instructions, ${formCount - 1 - unseen.length} of ${formCount - 1} forms`,
);
if (unseen.length > 0) console.log(`forms not met: ${unseen.join("; ")}`);
console.log("explained:");
for (const [reason, count] of [...explained].sort((a, b) => b[1] - a[1]))
  console.log(`${String(count).padStart(8)}  ${reason}`);
console.log(`unexplained: ${unexplained.size} kinds`);
for (const [key, { count, example }] of [...unexplained].sort((a, b) => b[1].count - a[1].count)) {
  console.log(`${String(count).padStart(8)}  ${key}: ${example}`);
}
process.exitCode = unexplained.size === 0 ? 0 : 1;
