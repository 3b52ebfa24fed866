import { describe, expect, it } from "vitest";
import { FlagBit, FlagCondition, FlagKind, PlainFlags } from "./index.ts";

/** The example of the README: an interpreter of a toy instruction set with two 32-bit registers and lazy flags. */
type Instruction =
  | readonly ["load", number, bigint]
  | readonly ["add" | "adc" | "sub" | "cmp" | "move", number, number]
  | readonly ["inc" | "dec", number]
  | readonly ["jump-if", number, number]
  | readonly ["push-flags"];

class ToyProcessor {
  readonly registers: bigint[] = [0n, 0n, 0n, 0n];
  readonly flags: PlainFlags = new PlainFlags();
  readonly stack: number[] = [];

  run(program: readonly Instruction[]): void {
    for (let at = 0; at < program.length; at++) {
      const next = this.step(program[at]);
      if (next !== undefined) at = next - 1;
    }
  }

  private step(instruction: Instruction): number | undefined {
    const { registers, flags } = this;
    switch (instruction[0]) {
      case "load":
        registers[instruction[1]] = instruction[2];
        return undefined;
      case "move":
        registers[instruction[1]] = registers[instruction[2]]!;
        return undefined;
      case "add":
      case "adc": {
        const first = registers[instruction[1]];
        const carry = instruction[0] === "adc" && flags.flag(FlagBit.carry);
        const sum = BigInt.asUintN(32, first + registers[instruction[2]] + (carry ? 1n : 0n));
        flags.add(first, sum, 32, carry);
        registers[instruction[1]] = sum;
        return undefined;
      }
      case "sub":
      case "cmp": {
        const first = registers[instruction[1]];
        const second = registers[instruction[2]];
        flags.subtract(first, second, 32);
        if (instruction[0] === "sub") registers[instruction[1]] = BigInt.asUintN(32, first - second);
        return undefined;
      }
      case "inc":
      case "dec": {
        const up = instruction[0] === "inc";
        const result = BigInt.asUintN(32, registers[instruction[1]] + (up ? 1n : -1n));
        flags.step(up ? FlagKind.increment : FlagKind.decrement, result, 32);
        registers[instruction[1]] = result;
        return undefined;
      }
      case "jump-if":
        return flags.condition(instruction[1]) ? instruction[2] : undefined;
      case "push-flags":
        this.stack.push(flags.word);
        return undefined;
      default:
        throw new Error("no such instruction");
    }
  }
}

describe("a toy processor with lazy flags", () => {
  it("F1 sums the numbers from 10 down to 1", () => {
    const processor = new ToyProcessor();
    processor.run([
      ["load", 0, 0n],
      ["load", 1, 10n],
      ["add", 0, 1],
      ["dec", 1],
      ["jump-if", FlagCondition.notEqual, 2],
    ]);
    expect(processor.registers[0]).toBe(55n);
  });

  it("F5 an operand overwritten after the comparison changes nothing", () => {
    const processor = new ToyProcessor();
    processor.run([
      ["load", 0, 1n],
      ["load", 1, 2n],
      ["cmp", 0, 1],
      ["move", 0, 1],
      ["jump-if", FlagCondition.less, 6],
      ["load", 1, 0n],
      ["push-flags"],
    ]);
    expect(processor.registers[1]).toBe(2n);
    expect(processor.stack).toEqual([0x95]);
  });

  it("F6 adds 64-bit numbers by halves, with INC and DEC between", () => {
    const processor = new ToyProcessor();
    processor.run([
      ["load", 0, 0xffffffffn],
      ["load", 1, 2n],
      ["load", 2, 7n],
      ["add", 0, 1],
      ["inc", 3],
      ["dec", 3],
      ["adc", 2, 1],
    ]);
    expect(processor.registers).toEqual([1n, 2n, 10n, 0n]);
  });
});
