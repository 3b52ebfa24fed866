import { decode } from "../src/decode/decode.ts";
import { Instruction } from "../src/decode/instruction.ts";
import type { Batch } from "./format.ts";

/** The first instruction of a case, or undefined when it does not decode. */
export function firstInstruction(cases: Batch, index: number): Instruction | undefined {
  const instruction = new Instruction();
  const code = cases.code(index);
  const length = decode(code, 0, code.length, cases.mode(index) as 32 | 64, instruction);
  return length > 0 ? instruction : undefined;
}
