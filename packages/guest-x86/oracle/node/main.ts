/**
 * `pnpm oracle --cases N --seed S`: random cases over every supported form, on this machine's processor and through the
 * translator. Ends 0 when all agree, 1 when some do not, 2 when the command is wrong or this machine has no oracle.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { allForms } from "../../src/decode/index.ts";
import { exclusion } from "../exclusions.ts";
import { Batch } from "../format.ts";
import { Generator } from "../generate.ts";
import { Report } from "../report.ts";
import { TranslatorRunner } from "../translator-runner.ts";
import { disassemble } from "./disassemble.ts";
import { NativeRunner } from "./native-runner.ts";
import { recordedVectors, writeRecording } from "./recording-file.ts";

const usage = `usage: pnpm oracle [options]
  --cases N      how many cases (100000)
  --from N       number of the first one (0); a case is made from the seed and its number alone
  --seed S       which cases (1)
  --only NAMES   only these mnemonics or families, separated by commas
  --sequences    only sequences of instructions
  --mode 64|32   only this mode (both)
  --excluded     list the forms that are left out, with the reasons
  --exact        compare what the architecture leaves undefined, too
  --record       write the vectors in the repository anew: N cases (4 for each form unless given) on this processor
  --show N       mismatches to print for each mnemonic (3)`;

const casesPerBatch = 8192;

function fail(message: string): never {
  console.error(`oracle: ${message}`);
  process.exit(2);
}

function readOptions(): ReturnType<typeof parse> {
  try {
    return parse();
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
}

function parse() {
  return parseArgs({
    options: {
      cases: { type: "string" },
      from: { type: "string", default: "0" },
      seed: { type: "string", default: "1" },
      only: { type: "string" },
      mode: { type: "string" },
      sequences: { type: "boolean", default: false },
      record: { type: "boolean", default: false },
      excluded: { type: "boolean", default: false },
      exact: { type: "boolean", default: false },
      show: { type: "string", default: "3" },
      help: { type: "boolean", default: false },
    },
  }).values;
}

function number(name: string, text: string): number {
  if (!/^\d+$/.test(text)) fail(`--${name} takes a number, not "${text}"`);
  return Number(text);
}

const options = readOptions();
if (options.help) {
  console.log(usage);
  process.exit(0);
}
if (options.excluded) {
  for (const form of allForms()) {
    const reason = exclusion(form);
    if (reason !== undefined) console.log(`${form.mnemonic} ${form.encoding} ${form.operands.join(" ")}: ${reason}`);
  }
  process.exit(0);
}
if (options.mode !== undefined && options.mode !== "64" && options.mode !== "32") fail("--mode is 64 or 32");
const wanted = options.only?.split(",");
const generator = new Generator({
  seed: number("seed", options.seed),
  lean: options.record,
  onlySequences: options.sequences,
  modes: options.mode === undefined ? [64, 64, 32] : [Number(options.mode)],
  ...(wanted !== undefined && { only: (form) => wanted.includes(form.mnemonic) || wanted.includes(form.family) }),
});
if (generator.forms.length === 0) fail(`no form is called ${options.only}`);
const native = NativeRunner.create();
if ("problem" in native) fail(native.problem);

if (options.record) {
  const count = options.cases === undefined ? 4 * generator.forms.length : number("cases", options.cases);
  const recorded = new Batch();
  generator.generate(recorded, 0, count);
  const results = native.run(recorded);
  const processor = cpus()[0]?.model ?? "unknown";
  const bytes = writeRecording(recordedVectors, { processor, cases: recorded, results });
  console.log(`${count} cases from ${processor} in ${bytes} bytes: ${recordedVectors}`);
  process.exit(0);
}

const translator = new TranslatorRunner();
const report = new Report(disassemble, { exact: options.exact }, number("show", options.show));
const first = number("from", options.from);
const end = first + number("cases", options.cases ?? "100000");
const cases = new Batch();
let spentMs = 0;
const startedMs = performance.now();
for (let from = first; from < end; from += casesPerBatch) {
  const to = Math.min(end, from + casesPerBatch);
  cases.clear();
  generator.generate(cases, from, to);
  const expected = native.run(cases);
  const beforeMs = performance.now();
  const actual = translator.run(cases);
  spentMs += performance.now() - beforeMs;
  report.add(cases, expected, actual, from);
  if (process.stderr.isTTY) process.stderr.write(`\r${to - first} cases, ${report.mismatchCount} mismatches `);
}
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");

for (const list of report.mismatches.values()) for (const { text } of list) console.log(`${text}\n`);
const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
const rate = Math.round(report.compared / (spentMs / 1000));
console.log(
  `${report.compared} cases over ${generator.forms.length} forms, seed ${options.seed}: ${report.mismatchCount} mismatches` +
    ` (${seconds} s; ${rate} cases/s translated)`,
);
if (report.mismatchCount > 0) console.log(`by mnemonic: ${report.summary()}`);
process.exitCode = report.mismatchCount === 0 ? 0 : 1;
