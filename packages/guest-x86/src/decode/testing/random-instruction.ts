// Random instances of a form: registers, memory operand, immediates, prefixes; for round trips and test generators.
import { alternativesOf, encode, operandSizesOf, prepare } from "../encode.ts";
import { FormBit, Place, Size, formBits, formSpecs, specPlace, specSize } from "../form-table.ts";
import { OperandKind, registerRip } from "../instruction.ts";
import type { Mode, Operand, Instruction } from "../instruction.ts";
import type { Random } from "./byte-strings.ts";

const controlRegisters = [0, 2, 3, 4, 8];

/** Fills `out` with a random instance of `form`; false if the form does not exist in this mode. */
export function randomInstruction(random: Random, form: number, mode: Mode, out: Instruction): boolean {
  const sizes = operandSizesOf(form, mode);
  if (sizes.length === 0) return false;
  const { memory, register } = alternativesOf(form);
  const usesMemory = memory && (!register || random.below(2) === 0);
  const size = sizes[random.below(sizes.length)];
  prepare(form, mode, size, usesMemory, out);
  for (let i = 0; i < out.operandCount; i++) {
    chooseOperand(random, mode, out, out.operands[i as 0 | 1 | 2 | 3], formSpecs[form * 4 + i]);
  }
  const bits = formBits[form];
  if (random.below(8) === 0) out.addressWidth = mode === 64 ? 32 : 48 - mode;
  if (out.operands.some((operand, i) => i < out.operandCount && operand.kind === OperandKind.mem))
    chooseMemory(random, mode, out);
  if ((bits & FormBit.opcodeCondition) !== 0) out.condition = random.below(16);
  if ((bits & FormBit.rep) !== 0 && random.below(2) === 0) out.rep = random.below(2) === 0 ? 0xf3 : 0xf2;
  if ((bits & FormBit.lock) !== 0 && out.o0.kind === OperandKind.mem && random.below(4) === 0) out.lock = true;
  return true;
}

/** Like `randomInstruction`, with its bytes; undefined if the form does not exist in this mode. */
export function randomEncoding(random: Random, form: number, mode: Mode, out: Instruction): Uint8Array | undefined {
  for (;;) {
    if (!randomInstruction(random, form, mode, out)) return undefined;
    try {
      const bytes = encode(out, mode);
      out.length = bytes.length;
      return bytes;
    } catch (error) {
      // AH together with a register that needs REX: draw again.
      if (!(mode === 64 && error instanceof RangeError && error.message.includes("AH"))) throw error;
    }
  }
}

function chooseOperand(random: Random, mode: Mode, out: Instruction, operand: Operand, spec: number): void {
  const count = mode === 64 ? 16 : 8;
  const place = specPlace[spec];
  if (place === Place.fixedRegister || place === Place.fixedSegment || place === Place.XMM0 || place === Place.ST0)
    return;
  switch (operand.kind) {
    case OperandKind.gpr:
      operand.register = random.below(count);
      if (operand.width === 8 && (mode !== 64 || random.below(4) === 0)) {
        operand.high = operand.register % 8 >= 4;
        operand.register %= 4;
      }
      break;
    case OperandKind.xmm:
      operand.register = random.below(count);
      break;
    case OperandKind.mmx:
    case OperandKind.st:
    case OperandKind.debug:
      operand.register = random.below(8);
      break;
    case OperandKind.segment:
      do operand.register = random.below(6);
      while (operand.register === 1);
      break;
    case OperandKind.control:
      operand.register = controlRegisters[random.below(mode === 64 ? 5 : 4)];
      break;
    case OperandKind.imm2:
      out.immediate2 = random.below(256);
      break;
    case OperandKind.far:
      out.immediateLow = out.operandWidth === 16 ? random.below(65536) : random.next() | 0;
      out.immediate2 = random.below(65536);
      break;
    case OperandKind.relative:
      out.target =
        specSize[spec] === Size.b ? random.below(256) - 128 : signed(random, out.operandWidth === 16 ? 16 : 32);
      break;
    case OperandKind.imm:
      if (place !== Place.one) chooseImmediate(random, out, operand, spec);
      break;
    default:
      break;
  }
}

function signed(random: Random, width: 16 | 32): number {
  return width === 16 ? (random.next() << 16) >> 16 : random.next() | 0;
}

function chooseImmediate(random: Random, out: Instruction, operand: Operand, spec: number): void {
  const size = specSize[spec];
  if (specPlace[spec] === Place.Is) out.immediateLow = random.below(256) - 128;
  else if (size === Size.b) out.immediateLow = random.below(256);
  else if (size === Size.w) out.immediateLow = random.below(65536);
  else out.immediateLow = signed(random, operand.width === 16 ? 16 : 32);
  out.immediateHigh = size === Size.v && operand.width === 64 ? random.next() | 0 : out.immediateLow >> 31;
}

function chooseMemory(random: Random, mode: Mode, out: Instruction): void {
  if (random.below(6) === 0) out.segment = mode === 64 ? 4 + random.below(2) : random.below(6);
  const displacements = [0, random.below(256) - 128, random.next() | 0];
  out.displacement = displacements[random.below(3)];
  // MOV with an absolute address has neither base nor index.
  const absolute = out.operands.some(
    (_, i) => i < out.operandCount && specPlace[formSpecs[out.form * 4 + i]] === Place.O,
  );
  if (out.addressWidth === 16) {
    out.displacement = (out.displacement << 16) >> 16;
    const pair = absolute ? ([-1, -1] as const) : pairs16[random.below(pairs16.length)];
    [out.base, out.index] = pair;
  } else if (absolute) {
    out.base = -1;
  } else {
    const count = mode === 64 ? 16 : 8;
    const shape = random.below(10);
    out.base = shape === 0 ? -1 : shape === 1 && mode === 64 ? registerRip : random.below(count);
    out.index = -1;
    if (out.base !== registerRip && random.below(3) === 0) {
      out.index = random.below(count);
      if (out.index === 4) out.index = -1;
      else out.scale = 1 << random.below(4);
    }
  }
  out.displacementHigh = absolute && out.addressWidth === 64 ? random.next() | 0 : out.displacement >> 31;
}

const pairs16: readonly (readonly [number, number])[] = [
  [3, 6],
  [3, 7],
  [5, 6],
  [5, 7],
  [6, -1],
  [7, -1],
  [5, -1],
  [3, -1],
  [-1, -1],
];

/** The fields in which two decoded instructions differ, apart from their length and offset. */
export function differences(a: Instruction, b: Instruction): string[] {
  const result: string[] = [];
  const fields = [
    "form", "mnemonic", "operandWidth", "addressWidth", "operandCount", "segment", "immediateLow", "immediateHigh", "immediate2",
    "condition", "lock", "rep", "flow", "target", "vex", "vectorWidth",
  ] as const; // prettier-ignore
  const report = (name: string, x: unknown, y: unknown): void => {
    if (x !== y) result.push(`${name}: ${String(x)} / ${String(y)}`);
  };
  for (const field of fields) report(field, a[field], b[field]);
  let memory = false;
  for (let i = 0; i < a.operandCount; i++) {
    const x = a.operands[i as 0 | 1 | 2 | 3];
    const y = b.operands[i as 0 | 1 | 2 | 3];
    for (const field of ["kind", "register", "width", "high"] as const)
      report(`operand ${i} ${field}`, x[field], y[field]);
    memory ||= x.kind === OperandKind.mem;
  }
  if (memory)
    for (const field of ["base", "index", "scale", "displacement", "displacementHigh"] as const)
      report(field, a[field], b[field]);
  return result;
}
