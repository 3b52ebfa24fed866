/**
 * Lazy flags under a toy processor: every subtraction sets six flags, and nearly none of them is ever computed. Uses
 * @doppel/lazy-flags and nothing else.
 */
import { FlagBit, FlagCondition, PlainFlags } from "@doppel/lazy-flags";

type Instruction =
  | readonly ["set", number, bigint]
  | readonly ["sub" | "compare" | "addWithCarry", number, number]
  | readonly ["jumpIf", number, number]
  | readonly ["jump", number];

class Processor {
  readonly registers: bigint[] = [0n, 0n, 0n, 0n];
  readonly flags: PlainFlags = new PlainFlags();
  recorded = 0;
  asked = 0;

  run(program: readonly Instruction[]): void {
    for (let at = 0; at < program.length;) {
      const target = this.step(program[at]);
      at = target ?? at + 1;
    }
  }

  private step(instruction: Instruction): number | undefined {
    const { registers, flags } = this;
    switch (instruction[0]) {
      case "set":
        registers[instruction[1]] = instruction[2];
        return undefined;
      case "sub":
      case "compare": {
        const [name, a, b] = instruction;
        // The record: what was subtracted from what. No flag is computed.
        flags.subtract(registers[a], registers[b], 64);
        this.recorded++;
        if (name === "sub") registers[a] = BigInt.asUintN(64, registers[a] - registers[b]);
        return undefined;
      }
      case "addWithCarry": {
        const [, a, b] = instruction;
        const carry = flags.flag(FlagBit.carry);
        this.asked++;
        const sum = BigInt.asUintN(64, registers[a] + registers[b] + (carry ? 1n : 0n));
        flags.add(registers[a], sum, 64, carry);
        this.recorded++;
        registers[a] = sum;
        return undefined;
      }
      case "jumpIf":
        this.asked++;
        return flags.condition(instruction[1]) ? instruction[2] : undefined;
      default:
        return instruction[1];
    }
  }
}

// The greatest common divisor of registers 0 and 1, by subtraction.
const processor = new Processor();
processor.run([
  ["set", 0, 1071n],
  ["set", 1, 462n],
  ["compare", 0, 1],
  ["jumpIf", FlagCondition.equal, 8],
  ["jumpIf", FlagCondition.below, 7],
  ["sub", 0, 1],
  ["jump", 2],
  // Subtracts the other way round.
  ["sub", 1, 0],
  ["jumpIf", FlagCondition.notEqual, 2],
]);
console.log(`gcd(1071, 462) = ${processor.registers[0]}`);
console.log(`${6 * processor.recorded} flags set, ${processor.asked} questions answered`);
console.log(`pending: ${processor.flags.pending}`);
processor.flags.normalise();
console.log(`as bits: ${processor.flags.word.toString(2)}`);
