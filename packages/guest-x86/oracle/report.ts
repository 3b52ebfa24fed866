/** Mismatches as somebody reads them: by mnemonic, each with the bytes, the disassembly, and the state before and after. */
import { firstInstruction } from "./case-instruction.ts";
import { compare, type CompareOptions, type Difference, gprNames } from "./compare.ts";
import { type Batch, ImageAt, Layout, StateAt } from "./format.ts";

export interface Mismatch {
  readonly number: number;
  readonly mnemonic: string;
  readonly text: string;
}

/** Turns code into text; iced-x86 where it is at hand. */
export type Disassemble = (code: Uint8Array, mode: number, address: number) => string;

export class Report {
  /** Cases compared. */
  compared = 0;
  readonly mismatches: Map<string, Mismatch[]> = new Map();
  readonly #counts: Map<string, number> = new Map();
  readonly #perMnemonic: number;
  readonly #disassemble: Disassemble;
  readonly #options: CompareOptions;

  constructor(disassemble: Disassemble, options: CompareOptions, perMnemonic = 3) {
    this.#disassemble = disassemble;
    this.#options = options;
    this.#perMnemonic = perMnemonic;
  }

  /** Compares all results of a batch whose first case has number `from`. */
  add(cases: Batch, expected: Batch, actual: Batch, from: number): void {
    this.compared += cases.count;
    for (let i = 0; i < cases.count; i++) {
      const differences = compare(cases, expected, actual, i, this.#options);
      if (differences.length === 0) continue;
      const mnemonic = this.#name(cases, i);
      this.#counts.set(mnemonic, (this.#counts.get(mnemonic) ?? 0) + 1);
      let list = this.mismatches.get(mnemonic);
      if (list === undefined) this.mismatches.set(mnemonic, (list = []));
      if (list.length < this.#perMnemonic) {
        list.push({ number: from + i, mnemonic, text: this.#describe(cases, i, from + i, differences) });
      }
    }
  }

  get mismatchCount(): number {
    let sum = 0;
    for (const count of this.#counts.values()) sum += count;
    return sum;
  }

  /** Counts by mnemonic, most first. */
  summary(): string {
    const sorted = [...this.#counts].sort((a, b) => b[1] - a[1]);
    return sorted.map(([mnemonic, count]) => `${mnemonic} ${count}`).join(", ");
  }

  /** Sequences are one group: which of their instructions is to blame is not known. */
  #name(cases: Batch, index: number): string {
    const instruction = firstInstruction(cases, index);
    if (instruction === undefined) return "?";
    return instruction.length === cases.code(index).length ? instruction.name : "sequence";
  }

  #describe(cases: Batch, index: number, number: number, differences: readonly Difference[]): string {
    const code = cases.code(index);
    const lines = [
      `case ${number}, ${cases.mode(index)}-bit, ${Buffer.from(code).toString("hex")}`,
      ...this.#disassemble(code, cases.mode(index), cases.codeAddress(index))
        .split("\n")
        .map((line) => `    ${line}`),
      ...describeState(cases, index, differences).map((line) => `  with ${line}`),
      ...differences.map(({ what, expected, actual }) => `  ${what}: ${expected} expected, got ${actual}`),
    ];
    return lines.join("\n");
  }
}

/** The state before: general registers, flags, patched memory; vectors and x87 where something there differs. */
function describeState(cases: Batch, index: number, differences: readonly Difference[]): string[] {
  const names = gprNames.slice(0, cases.mode(index) === 64 ? 16 : 8);
  const values = names.map((name, register) => `${name}=${cases.gpr(index, register).toString(16)}`);
  const lines: string[] = [];
  for (let i = 0; i < values.length; i += 8) lines.push(values.slice(i, i + 8).join(" "));
  const { view } = cases;
  const image = cases.stateOffset(index) + StateAt.image;
  const word = (at: number): string => view.getUint16(image + at, true).toString(16);
  const mxcsr = view.getUint32(image + ImageAt.mxcsr, true).toString(16);
  lines.push(`flags=${cases.flags(index).toString(16)} mxcsr=${mxcsr} fcw=${word(0)} fsw=${word(2)} ftw=${word(4)}`);
  const long = (at: number): string =>
    view
      .getBigUint64(image + at, true)
      .toString(16)
      .padStart(16, "0");
  const touches = (prefix: string): boolean =>
    differences.some(
      ({ what }) => what.startsWith(prefix) || what === "outcome" || what === "mxcsr" || what.startsWith("["),
    );
  if (touches("st") || touches("fsw")) {
    for (let i = 0; i < 8; i++) lines.push(`st${i}=${word(ImageAt.st + 16 * i + 8)}:${long(ImageAt.st + 16 * i)}`);
  }
  if (touches("xmm")) {
    for (let i = 0; i < names.length; i++) {
      lines.push(`xmm${i}=${long(ImageAt.xmm + 16 * i + 8)}:${long(ImageAt.xmm + 16 * i)}`);
    }
  }
  cases.forPatches(index, (address, content) => {
    lines.push(`[${address.toString(16)}]=${Buffer.from(content.subarray(0, 64)).toString("hex")}`);
  });
  lines.push(`code at ${cases.codeAddress(index).toString(16)}, data from ${Layout.data.toString(16)}`);
  return lines;
}
