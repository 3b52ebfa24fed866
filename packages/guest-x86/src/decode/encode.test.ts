import { expect, test } from "vitest";
import { Instruction, decode, describeForm, formCount, needsMoreBytes } from "./index.ts";
import type { Mode } from "./index.ts";
import { Random } from "./testing/byte-strings.ts";
import { differences, randomEncoding } from "./testing/random-instruction.ts";

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

// XCHG rAX, rAX is NOP, and some hint NOPs have got a meaning: `rest` forms give way.
const givesWay = (form: number): boolean => describeForm(form).attributes.includes("rest");

test.each<Mode>([64, 32, 16])("decode(encode(form)) is the form, in %i-bit mode", (mode) => {
  const random = new Random(7);
  const wanted = new Instruction();
  const decoded = new Instruction();
  for (let form = 1; form < formCount; form++) {
    for (let i = 0; i < 40; i++) {
      const bytes = randomEncoding(random, form, mode, wanted);
      if (bytes === undefined) break;
      const text = `${describeForm(form).mnemonic} ${describeForm(form).encoding}: ${hex(bytes)}`;
      const length = decode(bytes, 0, bytes.length, mode, decoded);
      if (length > 0 && decoded.form !== form && givesWay(form)) continue;
      expect({ text, length, differences: differences(wanted, decoded) }).toEqual({
        text,
        length: bytes.length,
        differences: [],
      });
    }
  }
});

test("every form exists in some mode", () => {
  const random = new Random(3);
  const out = new Instruction();
  const nowhere: string[] = [];
  for (let form = 1; form < formCount; form++) {
    if (([64, 32, 16] as const).every((mode) => randomEncoding(random, form, mode, out) === undefined)) {
      nowhere.push(describeForm(form).encoding);
    }
  }
  expect(nowhere).toEqual([]);
});

test("an instruction cut short needs more bytes", () => {
  const random = new Random(11);
  const out = new Instruction();
  const decoded = new Instruction();
  for (let form = 1; form < formCount; form++) {
    for (const mode of [64, 32] as const) {
      const bytes = randomEncoding(random, form, mode, out);
      if (bytes === undefined) continue;
      for (let end = 0; end < bytes.length; end++) {
        const cut = `${describeForm(form).encoding} ${hex(bytes)} cut at ${end}`;
        expect(`${cut}: ${decode(bytes, 0, end, mode, decoded)}`).toBe(`${cut}: ${needsMoreBytes}`);
      }
    }
  }
});
