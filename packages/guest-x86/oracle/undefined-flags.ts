/** Which flags a case's code leaves undefined, from its instructions and, where its count matters, the state. */
import { decode } from "../src/decode/decode.ts";
import { flagsChanged, flagsOverwritten, flagsUndefined } from "../src/decode/flags.ts";
import { Flow, Instruction, OperandKind } from "../src/decode/instruction.ts";
import type { Batch } from "./format.ts";

/**
 * The flags that a case leaves undefined when it ends at `rip`, from its instructions up to there and, where its count
 * matters, the state.
 */
export function undefinedFlagsOf(cases: Batch, index: number, rip: bigint): number {
  const done = Number(BigInt.asIntN(53, rip)) - cases.codeAddress(index);
  const code = cases.code(index);
  const instruction = new Instruction();
  let undefinedFlags = 0;
  let at = 0;
  // A jump forward skips something: behind it, what was undefined before may be so still.
  let joinAt = -1;
  let joining = 0;
  for (let first = true; at < code.length; first = false) {
    if (at === joinAt) undefinedFlags |= joining;
    const length = decode(code, at, code.length, cases.mode(index) as 32 | 64, instruction);
    if (length <= 0 || at === done) break;
    at += length;
    if (instruction.flow === Flow.branch && instruction.target > 0) {
      joinAt = at + instruction.target;
      joining = undefinedFlags;
      continue;
    }
    const own = ownUndefinedFlags(instruction, first ? Number(cases.gpr(index, 1) & 255n) : -1);
    undefinedFlags = (undefinedFlags & ~flagsOverwritten(instruction) & ~(first ? flagsChanged(instruction) : 0)) | own;
    if (instruction.flow !== Flow.next && instruction.flow !== Flow.branch) break;
  }
  return at === joinAt ? undefinedFlags | joining : undefinedFlags;
}

const carry = 0x1;
const overflow = 0x800;
const shifts = new Set(["rol", "ror", "rcl", "rcr", "shl", "shr", "sar", "shld", "shrd"]);

/** Flags an instruction leaves undefined; `cl` is CL's value before it, or -1 when that is not known. */
export function ownUndefinedFlags(instruction: Instruction, cl: number): number {
  const declared = flagsUndefined(instruction);
  if (!shifts.has(instruction.name)) return declared;
  const last = instruction.operands[(instruction.operandCount - 1) as 0];
  const byImmediate = last.kind === OperandKind.imm;
  const raw = byImmediate ? instruction.immediateLow & 255 : cl;
  if (raw < 0) return declared | carry;
  const width = instruction.operandWidth;
  const count = raw & (width === 64 ? 63 : 31);
  if (count === 0) return 0;
  // Intel SDM: OF is defined for a count of 1; CF of SHL and SHR is not from the operand's width on.
  const beyond = count >= width && instruction.name.startsWith("sh") ? carry : 0;
  return (count === 1 ? declared & ~overflow : declared) | beyond;
}
