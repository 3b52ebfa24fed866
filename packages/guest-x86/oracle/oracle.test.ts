import { describe, expect, it } from "vitest";
import { compare } from "./compare.ts";
import { Batch, ImageAt, Layout, StateAt } from "./format.ts";
import { Generator } from "./generate.ts";
import { disassemble } from "./node/disassemble.ts";
import { NativeRunner } from "./node/native-runner.ts";
import { readRecording, recordedVectors } from "./node/recording-file.ts";
import { recordingHeaderBytes } from "./recording.ts";
import { Report } from "./report.ts";
import { TranslatorRunner } from "./translator-runner.ts";

const native = NativeRunner.create();
const missing = "problem" in native ? native.problem : undefined;
const unless = missing === undefined ? "" : ` (left out: ${missing})`;

function generated(seed: number, from: number, to: number, modes: readonly number[] = [64, 64, 32]): Batch {
  const cases = new Batch();
  new Generator({ seed, modes }).generate(cases, from, to);
  return cases;
}

function report(cases: Batch, expected: Batch, actual: Batch): Report {
  const result = new Report(disassemble, { exact: false }, 1);
  result.add(cases, expected, actual, 0);
  return result;
}

/** What to print when there are mismatches: the first of each mnemonic. */
function texts(result: Report): string {
  return [...result.mismatches.values()].map((list) => list[0].text).join("\n\n");
}

describe("the translator agrees with an x86-64 processor", () => {
  it("on the recorded vectors, which cover every supported form", () => {
    const { cases, results } = readRecording(recordedVectors);
    expect(texts(report(cases, results, new TranslatorRunner().run(cases)))).toBe("");
    expect(cases.count).toBeGreaterThan(3000);
  }, 60_000);

  it.skipIf(missing !== undefined)(
    `on 40,000 random cases over all supported forms, in 64- and 32-bit mode${unless}`,
    () => {
      const translator = new TranslatorRunner();
      for (let from = 0; from < 40_000; from += 8000) {
        const cases = generated(20, from, from + 8000);
        const result = report(cases, (native as NativeRunner).run(cases), translator.run(cases));
        expect(texts(result)).toBe("");
      }
    },
    180_000,
  );
});

describe("the generator", () => {
  it("makes the same cases from the same seed and numbers, wherever a batch begins", () => {
    const whole = generated(7, 0, 600);
    const part = generated(7, 400, 600);
    for (let i = 0; i < 200; i++) expect(part.slice(i, i + 1)).toEqual(whole.slice(400 + i, 401 + i));
    expect(generated(8, 0, 1).slice(0, 1)).not.toEqual(whole.slice(0, 1));
  });

  it("covers every form that is not excluded", () => {
    const { forms } = new Generator({ seed: 1, modes: [64, 32] });
    expect(forms.length).toBeGreaterThan(800);
  });
});

describe.skipIf(missing !== undefined)(`the harness${unless}`, () => {
  it("gives the same results for the same cases, in any order", () => {
    const cases = generated(9, 0, 3000);
    const backwards = new Batch();
    for (let i = cases.count - 1; i >= 0; i--) backwards.append(cases, i);
    const first = (native as NativeRunner).run(cases);
    const second = (native as NativeRunner).run(backwards);
    const turned = new Batch();
    for (let i = cases.count - 1; i >= 0; i--) turned.append(second, i);
    expect(report(cases, first, turned).mismatchCount).toBe(0);
  });

  it("reports faults with their vector, error code and address, and survives endless loops", () => {
    const cases = new Batch();
    const state = (index: number): void => {
      const at = cases.stateOffset(index);
      cases.view.setBigUint64(at + 8 * 3, BigInt(Layout.readOnly), true);
      cases.view.setUint16(at + StateAt.image + ImageAt.fcw, 0x37f, true);
      cases.view.setUint32(at + StateAt.image + ImageAt.mxcsr, 0x1f80, true);
    };
    const code = (...bytes: number[]): void =>
      state(cases.beginCase(64, Layout.code + 64, Uint8Array.from(bytes), bytes.length));
    code(0x89, 0x03); // mov [rbx], eax, which may only be read
    code(0xf7, 0xf1); // div ecx, which is 0
    code(0xeb, 0xfe); // jmp to itself
    code(0x90);
    const results = (native as NativeRunner).run(cases);
    expect([results.vector(0), results.errorCode(0), results.faultAddress(0)]).toEqual([
      14,
      7,
      BigInt(Layout.readOnly),
    ]);
    expect([results.kind(1), results.vector(1)]).toEqual([1, 0]);
    expect(results.kind(2)).toBe(2);
    expect([results.kind(3), results.rip(3)]).toEqual([0, BigInt(Layout.code + 65)]);
  });
});

describe("the comparison", () => {
  const { cases, results } = readRecording(recordedVectors);
  const planted = (change: (copy: Batch, index: number) => boolean): Set<string> => {
    const copy = new Batch(new Uint8Array(results.bytes));
    copy.offsets.push(...results.offsets);
    copy.length = results.length;
    const found = new Set<string>();
    for (let i = 0; i < copy.count; i++) {
      if (!change(copy, i)) continue;
      const differences = compare(cases, results, copy, i);
      found.add(differences.map(({ what }) => what.replace(/0x[0-9a-f]+/, "…")).join(","));
    }
    return found;
  };
  const flip = (copy: Batch, at: number, bit = 0): boolean => {
    copy.bytes[at] ^= 1 << bit;
    return true;
  };

  it("finds nothing between results and themselves", () => {
    expect(planted(() => true)).toEqual(new Set([""]));
  });

  it("catches one wrong bit in a general register, a vector, an x87 register, MXCSR or the control word", () => {
    expect(planted((copy, i) => flip(copy, copy.stateOffset(i) + 8 * 6 + 3, 5))).toEqual(new Set(["rsi"]));
    const image = (copy: Batch, i: number, at: number): number => copy.stateOffset(i) + StateAt.image + at;
    expect(planted((copy, i) => flip(copy, image(copy, i, ImageAt.xmm + 16 * 7 + 15)))).toEqual(new Set(["xmm7"]));
    expect(planted((copy, i) => flip(copy, image(copy, i, ImageAt.mxcsr)))).toEqual(new Set(["mxcsr"]));
    expect(planted((copy, i) => flip(copy, image(copy, i, ImageAt.fcw)))).toEqual(new Set(["fcw"]));
    const high = planted((copy, i) => flip(copy, image(copy, i, ImageAt.st + 9)));
    expect(high).toEqual(new Set(["st0"]));
  });

  it("catches a wrong defined flag, and lets undefined ones be", () => {
    expect(planted((copy, i) => flip(copy, copy.stateOffset(i) + StateAt.flags + 1, 2))).toEqual(new Set(["flags"]));
    const carry = planted((copy, i) => flip(copy, copy.stateOffset(i) + StateAt.flags));
    expect(carry).toEqual(new Set(["flags", ""]));
  });

  it("catches a wrong end, a missing store and a wrong stored value", () => {
    expect(planted((copy, i) => flip(copy, copy.offsets[i] + 8))).toEqual(new Set(["outcome"]));
    const stored = planted((copy, i) => copy.wordCount(i) === 1 && flip(copy, copy.wordOffset(i, 0) + 8 + 3));
    expect([...stored].some((what) => what === "[…]")).toBe(true);
    const missed = planted((copy, i) => {
      if (copy.wordCount(i) !== 1) return false;
      copy.view.setUint32(copy.offsets[i] + 592, 0, true);
      return true;
    });
    expect([...missed].some((what) => what === "[…]")).toBe(true);
  });
});

describe("recordings", () => {
  it("are refused when they are something else", () => {
    expect(() => recordingHeaderBytes(new Uint8Array(64))).toThrow("no recording");
    const other = new Uint8Array(64);
    other.set(new TextEncoder().encode("DOPPELRC"));
    expect(() => recordingHeaderBytes(other)).toThrow("version 0");
  });
});
