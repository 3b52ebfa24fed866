import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import {
  Flag,
  Flow,
  Instruction,
  Mnemonic,
  OperandKind,
  decode,
  flagsChanged,
  flagsOverwritten,
  flagsRead,
  formCount,
  mnemonicNames,
  needsMoreBytes,
  registerRip,
  tooLong,
  undefinedOpcode,
} from "./index.ts";
import type { Mode } from "./index.ts";
import { formMnemonic } from "./form-table.ts";
import { ambiguousForms } from "./opcode-tree.ts";
import { supportTable } from "./support-table.ts";
import { Random, stringLength, writeByteString } from "./testing/byte-strings.ts";
import { Comparison } from "./testing/compare-iced.ts";
import { explain } from "./testing/disagreements.ts";
import { packTables } from "./testing/pack-tables.ts";

const out = new Instruction();

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text.split(" "), (byte) => Number.parseInt(byte, 16));
}

/** Decodes, expecting all bytes to be used. */
function read(text: string, mode: Mode = 64): Instruction {
  const bytes = bytesOf(text);
  expect({ text, length: decode(bytes, 0, bytes.length, mode, out) }).toEqual({ text, length: bytes.length });
  return out;
}

function result(text: string, mode: Mode = 64): number {
  const bytes = bytesOf(text);
  return decode(bytes, 0, bytes.length, mode, out);
}

describe("the table", () => {
  test("no two rows match the same bytes", () => {
    expect(ambiguousForms).toEqual([]);
  });

  test("what derives from the rows is up to date (else run scripts/decode-tables.ts)", async () => {
    expect(await readFile(new URL("tables-data.ts", import.meta.url), "utf8")).toBe(packTables());
    expect(await readFile(new URL("support.md", import.meta.url), "utf8")).toBe(supportTable());
  });

  test("every mnemonic has a row", () => {
    const used = new Set(formMnemonic.subarray(1, formCount));
    expect(mnemonicNames.filter((_, ordinal) => ordinal !== Mnemonic.invalid && !used.has(ordinal))).toEqual([]);
  });
});

describe("prefixes", () => {
  test("REX counts only immediately before the opcode", () => {
    expect(read("48 89 c8").operandWidth).toBe(64);
    expect(read("48 66 89 c8").operandWidth).toBe(16);
    expect(read("66 48 89 c8").operandWidth).toBe(64);
    expect(read("41 48 89 c8").o0.register).toBe(0);
  });

  test("the high bytes exist only without REX", () => {
    expect(read("88 e0").o1).toMatchObject({ register: 0, high: true, width: 8 });
    expect(read("40 88 e0").o1).toMatchObject({ register: 4, high: false, width: 8 });
  });

  test("F3 and F2 beat 66 as mandatory prefix, the last of them counts", () => {
    expect(read("66 f2 0f 10 c1").name).toBe("movsd");
    expect(read("f2 66 0f 10 c1").name).toBe("movsd");
    expect(read("f2 f3 0f 10 c1").name).toBe("movss");
    expect(read("66 0f 10 c1").name).toBe("movupd");
  });

  test("ES, CS, SS and DS overrides have no effect in 64-bit mode", () => {
    expect(read("3e 8b 00").segment).toBe(-1);
    expect(read("64 2e 8b 00").segment).toBe(4);
    expect(read("3e 8b 00", 32).segment).toBe(3);
  });

  test("LOCK needs a lockable form with a memory destination", () => {
    expect(read("f0 01 08").lock).toBe(true);
    expect(result("f0 01 c8")).toBe(undefinedOpcode);
    expect(result("f0 03 08")).toBe(undefinedOpcode);
    expect(result("f0 39 08")).toBe(undefinedOpcode);
    expect(result("f0 89 08")).toBe(undefinedOpcode);
  });

  test("at most 15 bytes", () => {
    const prefixes = "66 66 66 66 66 66 66 66 66 66 66 66 66 66";
    expect(result(`${prefixes} 90`)).toBe(15);
    expect(result(`${prefixes} 66 90`)).toBe(tooLong);
    expect(result(`${prefixes} 66`)).toBe(tooLong);
    expect(result(prefixes)).toBe(needsMoreBytes);
    expect(result("66 66 66 66 66 66 66 66 66 66 66 66 81 c0 01 00", 64)).toBe(tooLong);
  });

  test("REP is reported where it repeats", () => {
    expect(read("f3 a4").rep).toBe(0xf3);
    expect(read("f2 ae").rep).toBe(0xf2);
    expect(read("f3 c3").rep).toBe(0);
  });
});

describe("operand and address size", () => {
  test("pushes, pops and near branches are 64 bits wide by default", () => {
    expect(read("50").operandWidth).toBe(64);
    expect(read("66 50").operandWidth).toBe(16);
    expect(read("50", 32).operandWidth).toBe(32);
    expect(read("ff d0").o0).toMatchObject({ width: 64, register: 0 });
    expect(read("c3").operandWidth).toBe(64);
  });

  test("66 before a near branch: ignored in 64-bit mode, 16 bits otherwise", () => {
    expect(read("66 e8 01 00 00 00")).toMatchObject({ operandWidth: 64, target: 1, flow: Flow.call });
    expect(read("66 e8 01 00", 32)).toMatchObject({ operandWidth: 16, target: 1 });
  });

  test("67 selects the counter of JCXZ and LOOP", () => {
    expect(read("e3 fe")).toMatchObject({ addressWidth: 64, target: -2, flow: Flow.branch });
    expect(read("67 e3 fe").addressWidth).toBe(32);
    expect(read("67 e3 fe", 32).addressWidth).toBe(16);
  });

  test("CBW, CWDE and CDQE", () => {
    expect([read("66 98").name, read("98").name, read("48 98").name]).toEqual(["cbw", "cwde", "cdqe"]);
  });

  test("immediates are extended as the instruction defines", () => {
    expect(read("48 83 c0 ff")).toMatchObject({ immediateLow: -1, immediateHigh: -1 });
    expect(read("48 c7 c0 00 00 00 80")).toMatchObject({ immediateLow: -0x8000_0000, immediateHigh: -1 });
    expect(read("48 b8 01 02 03 04 05 06 07 08")).toMatchObject({
      immediateLow: 0x04030201,
      immediateHigh: 0x08070605,
    });
    expect(read("6a ff")).toMatchObject({ immediateLow: -1, immediateHigh: -1, operandWidth: 64 });
    expect(read("c0 e0 ff")).toMatchObject({ immediateLow: 255, immediateHigh: 0 });
    expect(read("c2 f0 ff")).toMatchObject({ immediateLow: 0xfff0, immediateHigh: 0 });
    expect(read("c8 34 12 03")).toMatchObject({ immediateLow: 0x1234, immediate2: 3, operandWidth: 64 });
  });
});

describe("memory operands", () => {
  test("RIP-relative in 64-bit mode, absolute in 32-bit mode", () => {
    expect(read("8b 05 f0 ff ff ff")).toMatchObject({
      base: registerRip,
      index: -1,
      displacement: -16,
      displacementHigh: -1,
    });
    expect(read("67 8b 05 f0 ff ff ff")).toMatchObject({ base: registerRip, addressWidth: 32 });
    expect(read("8b 05 f0 ff ff ff", 32)).toMatchObject({ base: -1, index: -1, displacement: -16 });
  });

  test("SIB without base, without index", () => {
    expect(read("8b 04 25 10 00 00 00")).toMatchObject({ base: -1, index: -1, scale: 1, displacement: 16 });
    expect(read("8b 04 8d 10 00 00 00")).toMatchObject({ base: -1, index: 1, scale: 4, displacement: 16 });
    expect(read("42 8b 04 a4")).toMatchObject({ base: 4, index: 12, scale: 4, displacement: 0 });
    expect(read("8b 44 24 08")).toMatchObject({ base: 4, index: -1, displacement: 8 });
    expect(read("41 8b 45 00")).toMatchObject({ base: 13, displacement: 0 });
    expect(read("41 8b 04 24")).toMatchObject({ base: 12, index: -1 });
  });

  test("an absolute address is as wide as the address size", () => {
    expect(read("a1 01 02 03 04 05 06 07 08")).toMatchObject({
      base: -1,
      displacement: 0x04030201,
      displacementHigh: 0x08070605,
    });
    expect(read("67 a1 01 02 03 04")).toMatchObject({ displacement: 0x04030201, addressWidth: 32 });
    expect(read("67 a1 01 02", 32)).toMatchObject({ displacement: 0x0201, addressWidth: 16 });
  });

  test("16-bit addressing", () => {
    expect(read("67 8b 42 fe", 32)).toMatchObject({ base: 5, index: 6, displacement: -2, addressWidth: 16 });
    expect(read("8b 06 34 12", 16)).toMatchObject({ base: -1, index: -1, displacement: 0x1234, operandWidth: 16 });
  });
});

describe("opcodes that mean several things", () => {
  test("NOP, PAUSE and XCHG", () => {
    expect(read("90").name).toBe("nop");
    expect(read("f3 90").name).toBe("pause");
    expect(read("41 90")).toMatchObject({ name: "xchg", operandWidth: 32 });
    expect(read("f3 41 90").name).toBe("xchg");
    expect(read("48 90").name).toBe("nop");
  });

  test("LES and LDS, or VEX", () => {
    expect(read("c4 00", 32).name).toBe("les");
    expect(read("c5 00", 32).name).toBe("lds");
    expect(read("c4 e2 78 f2 c1", 32)).toMatchObject({ name: "andn", vex: true });
    expect(read("c4 e2 f8 f2 c1")).toMatchObject({ name: "andn", operandWidth: 64 });
    expect(result("c4 e2 7c f2 c1")).toBe(undefinedOpcode); // VEX.L
    expect(result("66 c4 e2 78 f2 c1")).toBe(undefinedOpcode);
    expect(result("c4 e3 73 f0 c0 01")).toBe(undefinedOpcode); // vvvv names nothing
  });

  test("opcodes that do not exist in 64-bit mode", () => {
    for (const text of [
      "06",
      "0e",
      "1f",
      "27",
      "37",
      "60",
      "62 00",
      "82 c0 01",
      "9a 00 00 00 00 00 00",
      "c4 00 00",
      "ce",
      "d4 0a",
      "d6",
    ]) {
      expect({ text, result: result(text) }).toEqual({ text, result: undefinedOpcode });
    }
    expect(read("82 c0 01", 32).name).toBe("add");
    expect(read("63 c8").name).toBe("movsxd");
    expect(read("63 c8", 32).name).toBe("arpl");
  });

  test("groups with an unassigned reg field", () => {
    for (const text of ["fe d0", "ff f8", "8f c8", "c6 c8 00", "0f c7 c8", "0f ba c0 00"]) {
      expect({ text, result: result(text) }).toEqual({ text, result: undefinedOpcode });
    }
  });

  test("segment and control registers that do not exist", () => {
    expect(result("8e c8")).toBe(undefinedOpcode); // MOV CS
    expect(read("8c c8").o1.register).toBe(1);
    expect(result("8c f0")).toBe(undefinedOpcode);
    expect(result("0f 20 c8")).toBe(undefinedOpcode); // CR1
    expect(read("44 0f 20 c0").o1).toMatchObject({ kind: OperandKind.control, register: 8 });
    expect(result("44 0f 21 c0")).toBe(undefinedOpcode); // DR8
    expect(read("0f 20 00").o0).toMatchObject({ kind: OperandKind.gpr, register: 0, width: 64 }); // mod is ignored
  });

  test("UD0, UD1 and UD2 are instructions", () => {
    expect([read("0f ff c0").flow, read("0f b9 c0").flow, read("0f 0b").flow]).toEqual([8, 8, 8]);
  });

  test("FCMOVcc's condition", () => {
    expect(read("da c1")).toMatchObject({ name: "fcmovcc", condition: 2 });
    expect(read("db d9")).toMatchObject({ name: "fcmovcc", condition: 11 });
  });
});

describe("flags", () => {
  test("conditions", () => {
    expect(flagsRead(read("7f 00"))).toBe(Flag.z | Flag.s | Flag.o);
    expect(flagsRead(read("0f 92 c0"))).toBe(Flag.c);
    expect(flagsRead(read("da c1"))).toBe(Flag.c);
  });

  test("a shift whose count may be zero overwrites nothing for certain", () => {
    const all = Flag.o | Flag.s | Flag.z | Flag.a | Flag.p | Flag.c;
    expect(flagsChanged(read("d3 e0"))).toBe(all);
    expect(flagsOverwritten(read("d3 e0"))).toBe(0);
    expect(flagsOverwritten(read("c1 e0 03"))).toBe(all);
    expect(flagsOverwritten(read("c1 e0 20"))).toBe(0);
    expect(flagsOverwritten(read("48 c1 e0 20"))).toBe(all);
    expect(flagsOverwritten(read("f3 a6"))).toBe(0);
    expect(flagsOverwritten(read("a6"))).toBe(all);
  });
});

test("nothing before `position` or from `end` on is read", () => {
  const bytes = bytesOf("48 01 c8 48");
  expect(decode(bytes, 1, 3, 64, out)).toBe(2);
  expect(out.operandWidth).toBe(32);
  expect(decode(bytes, 3, 4, 64, out)).toBe(needsMoreBytes);
});

test("iced-x86 reads the same bytes the same way, or we know why not", () => {
  const random = new Random(2024);
  const count = 30_000;
  const buffer = new Uint8Array(count * stringLength);
  const modes: Mode[] = [];
  for (let i = 0; i < count; i++) {
    const mode = ([64, 64, 32, 16] as const)[random.below(4)];
    modes.push(mode);
    writeByteString(random, mode, buffer, i * stringLength);
  }
  const comparison = new Comparison(buffer);
  const unexplained: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const mode = modes[i];
    const bytes = [...buffer.subarray(i * stringLength, i * stringLength + 16)]
      .map((byte) => byte.toString(16))
      .join(" ");
    for (const difference of comparison.compare(i * stringLength, buffer.length, mode)) {
      if (explain(difference, mode) === undefined) unexplained.push({ bytes, mode, ...difference });
    }
  }
  comparison.free();
  expect(unexplained).toEqual([]);
});
