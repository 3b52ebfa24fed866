import { describe, expect, it } from "vitest";
import { decode, Instruction } from "./decode/index.ts";
import { packPrivileged, unpackPrivileged } from "./privileged-payload.ts";

const cases: readonly (readonly [string, readonly number[], boolean])[] = [
  ["iretq", [0x48, 0xcf], true],
  ["iret", [0x66, 0xcf], true],
  ["sysretq", [0x48, 0x0f, 0x07], true],
  ["mov cr3, rax", [0x0f, 0x22, 0xd8], true],
  ["mov r15, cr8", [0x45, 0x0f, 0x20, 0xc7], true],
  ["mov dr7, rsi", [0x0f, 0x23, 0xfe], true],
  ["wrmsr", [0x0f, 0x30], true],
  ["in al, dx", [0xec], true],
  ["out dx, eax", [0xef], true],
  ["in al, 0x71: an immediate", [0xe4, 0x71], false],
  ["rep outsb: repeats", [0xf3, 0x6e], false],
  ["invlpg [rax]: memory", [0x0f, 0x01, 0x38], false],
  ["mov ds, eax: a segment", [0x8e, 0xd8], false],
];

describe("instructions in an exit's payload", () => {
  it.each(cases)("%s", (_name, code, fits) => {
    const decoded = new Instruction();
    expect(decode(Uint8Array.from(code), 0, code.length, 64, decoded)).toBe(code.length);
    const unpacked = new Instruction();
    expect(unpackPrivileged(packPrivileged(decoded), unpacked)).toBe(fits);
    if (!fits) return;
    const facts = ({ mnemonic, length, operandWidth, operandCount, operands }: Instruction): unknown => ({
      mnemonic,
      length,
      operandWidth,
      operands: operands.slice(0, operandCount).map(({ kind, register }) => [kind, register]),
    });
    expect(facts(unpacked)).toEqual(facts(decoded));
  });
});
