// The inverse of the decoder, for test generators: from a filled-in `Instruction` to bytes.
//
// The record is the decoder's own, so decode(encode(x)) = x is a property of the whole folder. `prepare` fills in what a form
// dictates (kinds and widths of the operands); the caller then picks registers, memory and immediates and calls `encode`. Encodings are
// the shortest ones the form has, with prefixes in a fixed order.
import {
  FormBit,
  Place,
  formBits,
  formCondition,
  formFlow,
  formL,
  formMap,
  formMnemonic,
  formModes,
  formModrm,
  formMods,
  formOpcode,
  formOperandCount,
  formOperandSizes,
  formPrefixes,
  formSpecs,
  formW,
  formWidth,
  sizeBits,
  specMemorySize,
  specPlace,
  specRegister,
  specSize,
} from "./form-table.ts";
import { OperandKind, registerRip } from "./instruction.ts";
import type { Instruction, Mode, Operand } from "./instruction.ts";

/** Operand sizes by number, as in `sizeBits`. */
const operandSizes = [16, 32, 64] as const;
export type OperandSize = (typeof operandSizes)[number];

// How an operand size is asked for: the 66 prefix and REX.W; undefined where the mode has no such size for the form.
interface SizePrefixes {
  readonly operandPrefix: boolean;
  readonly w: boolean;
}

function sizePrefixes(form: number, mode: Mode, size: number): SizePrefixes | undefined {
  const bits = formBits[form];
  const prefixes = formPrefixes[form];
  const vex = (bits & FormBit.vex) !== 0;
  let operandPrefix = false;
  let w = false;
  if (mode === 64) {
    const wide = (bits & (FormBit.default64 | FormBit.force64)) !== 0;
    if (size === 0) operandPrefix = true;
    else if (size === 2) w = !wide;
    else if (wide) return undefined;
    if ((bits & FormBit.force64) !== 0 && size !== 2) return undefined;
  } else {
    if (size === 2) return undefined;
    operandPrefix = (size === 0) !== (mode === 16);
  }
  if (vex && operandPrefix) return undefined;
  // As a mandatory prefix, 66 is there anyway; the size is then only what REX.W makes of it.
  if (prefixes === 2) operandPrefix = true;
  else if (prefixes === 1 && operandPrefix) return undefined;
  if ((formW[form] >> Number(w)) % 2 === 0) {
    // A form that needs REX.W whatever the operand size.
    if (w || mode !== 64) return undefined;
    w = true;
  }
  return { operandPrefix, w };
}

function sizeState(form: number, mode: Mode, w: boolean, operandPrefix: boolean): number {
  const long = mode === 64;
  const bits = formBits[form];
  let size = long ? (w ? 2 : operandPrefix ? 0 : 1) : operandPrefix !== (mode === 16) ? 0 : 1;
  if (long && (bits & (FormBit.default64 | FormBit.force64)) !== 0) {
    size = (bits & FormBit.force64) !== 0 || w || !operandPrefix ? 2 : 0;
  }
  const l = formL[form] === 2 ? 1 : 0;
  return size | (Number(w) << 2) | (Number(long) << 3) | (l << 4);
}

/** Whether the form exists in the mode. */
export function existsIn(form: number, mode: Mode): boolean {
  return ((formModes[form] >> (mode === 64 ? 1 : 0)) & 1) !== 0;
}

/** The operand sizes that give different instructions of this form in this mode (some forms have only one). */
export function operandSizesOf(form: number, mode: Mode): OperandSize[] {
  const result: OperandSize[] = [];
  const seen = new Set<string>();
  if (!existsIn(form, mode)) return result;
  for (const size of [mode === 16 ? 0 : 1, 2, mode === 16 ? 1 : 0]) {
    if (((formOperandSizes[form] >> size) & 1) === 0) continue;
    const prefixes = sizePrefixes(form, mode, size);
    if (prefixes === undefined) continue;
    const state = sizeState(form, mode, prefixes.w, prefixes.operandPrefix);
    let key = String(sizeBits[(formWidth[form] << 5) | state]);
    for (let i = 0; i < formOperandCount[form]; i++) {
      const spec = formSpecs[form * 4 + i];
      key += ` ${sizeBits[(specSize[spec] << 5) | state]} ${sizeBits[(specMemorySize[spec] << 5) | state]}`;
    }
    if (!seen.has(key)) {
      seen.add(key);
      result.push(operandSizes[size]);
    }
  }
  return result;
}

/** Whether the form's r/m operand can be memory, and whether it can be a register. */
export function alternativesOf(form: number): { memory: boolean; register: boolean } {
  let takesEither = false;
  let memory = false;
  for (let i = 0; i < formOperandCount[form]; i++) {
    const place = specPlace[formSpecs[form * 4 + i]];
    if (place === Place.E || place === Place.W || place === Place.Q) takesEither = true;
    if (place === Place.M || place === Place.O) memory = true;
  }
  const mods = formMods[form];
  return { memory: memory || (takesEither && (mods & 1) !== 0), register: !memory };
}

function isRm(place: number): boolean {
  return place === Place.E || place === Place.W || place === Place.Q || place === Place.M || place === Place.R || place === Place.U
    || place === Place.N; // prettier-ignore
}

/**
 * Fills `out` as the decoder would for this form, with every free choice at its neutral value: registers 0, memory [rAX],
 * immediates 0.
 *
 * @param memory the r/m operand is memory (see `alternativesOf`)
 */
export function prepare(form: number, mode: Mode, operandSize: OperandSize, memory: boolean, out: Instruction): void {
  const prefixes = sizePrefixes(form, mode, operandSizes.indexOf(operandSize));
  if (prefixes === undefined)
    throw new RangeError(`form ${form} has no ${operandSize}-bit operand size in ${mode}-bit mode`);
  const state = sizeState(form, mode, prefixes.w, prefixes.operandPrefix);
  out.form = form;
  out.mnemonic = formMnemonic[form];
  out.flow = formFlow[form];
  out.operandWidth = sizeBits[(formWidth[form] << 5) | state];
  out.addressWidth = mode;
  out.condition = formCondition[form];
  out.operandCount = formOperandCount[form];
  out.base = 0;
  out.index = -1;
  out.scale = 1;
  out.displacement = 0;
  out.displacementHigh = 0;
  if (mode === 16) out.base = 3;
  out.segment = -1;
  out.immediateLow = 0;
  out.immediateHigh = 0;
  out.immediate2 = 0;
  out.target = 0;
  out.lock = false;
  out.rep = 0;
  out.vex = (formBits[form] & FormBit.vex) !== 0;
  out.vectorWidth = out.vex ? ((state & 16) !== 0 ? 256 : 128) : 0;
  for (let i = 0; i < out.operandCount; i++) {
    prepareOperand(out, out.operands[i as 0 | 1 | 2 | 3], formSpecs[form * 4 + i], state, memory);
  }
}

const kindOfPlace: Record<number, number> = {
  [Place.V]: OperandKind.xmm,
  [Place.W]: OperandKind.xmm,
  [Place.U]: OperandKind.xmm,
  [Place.H]: OperandKind.xmm,
  [Place.L]: OperandKind.xmm,
  [Place.XMM0]: OperandKind.xmm,
  [Place.P]: OperandKind.mmx,
  [Place.Q]: OperandKind.mmx,
  [Place.N]: OperandKind.mmx,
  [Place.S]: OperandKind.segment,
  [Place.fixedSegment]: OperandKind.segment,
  [Place.C]: OperandKind.control,
  [Place.D]: OperandKind.debug,
  [Place.STi]: OperandKind.st,
  [Place.ST0]: OperandKind.st,
  [Place.I]: OperandKind.imm,
  [Place.Is]: OperandKind.imm,
  [Place.one]: OperandKind.imm,
  [Place.K]: OperandKind.imm2,
  [Place.J]: OperandKind.relative,
  [Place.O]: OperandKind.mem,
  [Place.M]: OperandKind.mem,
  [Place.A]: OperandKind.far,
};

function prepareOperand(out: Instruction, operand: Operand, spec: number, state: number, memory: boolean): void {
  const place = specPlace[spec];
  const size = sizeBits[(specSize[spec] << 5) | state];
  operand.high = false;
  operand.register = place === Place.fixedRegister || place === Place.fixedSegment ? specRegister[spec] : 0;
  operand.kind = kindOfPlace[place] ?? OperandKind.gpr;
  operand.width = size;
  if (memory && isRm(place)) {
    operand.kind = OperandKind.mem;
    operand.width = sizeBits[(specMemorySize[spec] << 5) | state];
  } else if (operand.kind === OperandKind.xmm) operand.width = (state & 16) !== 0 ? 256 : 128;
  else if (operand.kind === OperandKind.mmx) operand.width = 64;
  else if (place === Place.Is || place === Place.J || (place === Place.I && size === 32))
    operand.width = out.operandWidth;
  if (place === Place.one) out.immediateLow = 1;
  if (place === Place.O) out.base = -1;
}

const segmentPrefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** Bytes that decode to this instruction; throws a RangeError when the form cannot express it. */
export function encode(instruction: Instruction, mode: Mode): Uint8Array {
  const { form } = instruction;
  const bits = formBits[form];
  const prefixes = findPrefixes(instruction, mode);
  const field = {
    reg: (formModrm[form] >> 3) & 7,
    rm: formModrm[form] & 7,
    opcode: 0,
    vvvv: 0,
    rexNeeded: false,
    noRex: false,
  };
  let memory = false;
  const tail: number[] = [];
  for (let i = 0; i < formOperandCount[form]; i++) {
    const operand = instruction.operands[i as 0 | 1 | 2 | 3];
    const spec = formSpecs[form * 4 + i];
    const place = specPlace[spec];
    let number = operand.register;
    if (operand.kind === OperandKind.gpr && operand.width === 8 && place !== Place.fixedRegister) {
      if (operand.high) {
        number += 4;
        field.noRex = true;
      } else if (number >= 4) field.rexNeeded = true;
    }
    if (isRm(place) || place === Place.STi) {
      if (operand.kind === OperandKind.mem) memory = true;
      else field.rm = number;
    } else if (
      place === Place.G ||
      place === Place.V ||
      place === Place.P ||
      place === Place.S ||
      place === Place.C ||
      place === Place.D
    ) {
      field.reg = number;
    } else if (place === Place.Z) field.opcode = number;
    else if (place === Place.B || place === Place.H) field.vvvv = number;
    else pushTail(tail, instruction, spec, prefixes.state);
  }

  const bytes: number[] = [];
  if (instruction.segment >= 0) bytes.push(segmentPrefixes[instruction.segment]);
  if (instruction.addressWidth !== mode) bytes.push(0x67);
  if (instruction.lock) bytes.push(0xf0);
  const vex = (bits & FormBit.vex) !== 0;
  if (!vex && prefixes.operandPrefix) bytes.push(0x66);
  const mandatory = formPrefixes[form];
  if (!vex && mandatory === 4) bytes.push(0xf3);
  else if (!vex && mandatory === 8) bytes.push(0xf2);
  else if (instruction.rep !== 0) bytes.push(instruction.rep);

  const modrm = (bits & FormBit.modrm) !== 0;
  const usesMemory = memory && modrm;
  const index = usesMemory && instruction.index > 0 && instruction.addressWidth !== 16 ? instruction.index : 0;
  const base =
    usesMemory && instruction.addressWidth !== 16 && instruction.base !== registerRip && instruction.base > 0
      ? instruction.base
      : 0;
  const r = (field.reg >> 3) & 1;
  const x = (index >> 3) & 1;
  const b = ((usesMemory ? base : (bits & FormBit.opcodeRegister) !== 0 ? field.opcode : field.rm) >> 3) & 1;
  const opcode = (formOpcode[form]) + ((bits & FormBit.opcodeRegister) !== 0 ? field.opcode & 7 : 0)
    + ((bits & FormBit.opcodeCondition) !== 0 ? instruction.condition : 0); // prettier-ignore
  if (vex) pushVex(bytes, form, mode, { r, x, b, w: prefixes.w, vvvv: field.vvvv });
  else {
    const rex = (Number(prefixes.w) << 3) | (r << 2) | (x << 1) | b;
    if (rex !== 0 || field.rexNeeded) {
      if (mode !== 64) throw new RangeError("REX outside 64-bit mode");
      if (field.noRex) throw new RangeError("AH, CH, DH, BH cannot be used with REX");
      bytes.push(0x40 | rex);
    }
    const map = formMap[form];
    if (map > 0) bytes.push(0x0f);
    if (map > 1) bytes.push(map === 2 ? 0x38 : 0x3a);
  }
  bytes.push(opcode);
  if (modrm) {
    const reg = (field.reg & 7) << 3;
    if (usesMemory) pushMemory(bytes, instruction, reg);
    else bytes.push(0xc0 | reg | (field.rm & 7));
  }
  for (const byte of tail) bytes.push(byte);
  return Uint8Array.from(bytes);
}

// The prefixes under which the form's widths are those of the instruction.
function findPrefixes(instruction: Instruction, mode: Mode): SizePrefixes & { state: number } {
  const { form } = instruction;
  for (const size of mode === 16 ? [0, 1] : [1, 2, 0]) {
    if (((formOperandSizes[form] >> size) & 1) === 0) continue;
    const prefixes = sizePrefixes(form, mode, size);
    if (prefixes === undefined) continue;
    const state = sizeState(form, mode, prefixes.w, prefixes.operandPrefix);
    if (sizeBits[(formWidth[form] << 5) | state] !== instruction.operandWidth) continue;
    let matches = true;
    for (let i = 0; i < instruction.operandCount; i++) {
      const operand = instruction.operands[i as 0 | 1 | 2 | 3];
      const spec = formSpecs[form * 4 + i];
      if (operand.kind === OperandKind.mem) matches &&= operand.width === sizeBits[(memorySizeOf(spec) << 5) | state];
      else if (operand.kind === OperandKind.gpr) matches &&= operand.width === sizeBits[(specSize[spec] << 5) | state];
    }
    if (matches) return { ...prefixes, state };
  }
  throw new RangeError(`form ${form} cannot have these operand widths in ${mode}-bit mode`);
}

function memorySizeOf(spec: number): number {
  return specPlace[spec] === Place.O ? specSize[spec] : specMemorySize[spec];
}

interface VexFields {
  readonly r: number;
  readonly x: number;
  readonly b: number;
  readonly w: boolean;
  readonly vvvv: number;
}

function pushVex(bytes: number[], form: number, mode: Mode, { r, x, b, w, vvvv }: VexFields): void {
  if (mode !== 64 && (r | x | b) !== 0) throw new RangeError("registers 8..15 outside 64-bit mode");
  const pp = 31 - Math.clz32(formPrefixes[form]);
  const last = ((~vvvv & 15) << 3) | ((formL[form] === 2 ? 1 : 0) << 2) | pp;
  const map = formMap[form] - 3;
  if (map === 1 && (x | b) === 0 && !w) bytes.push(0xc5, ((r ^ 1) << 7) | last);
  else bytes.push(0xc4, ((r ^ 1) << 7) | ((x ^ 1) << 6) | ((b ^ 1) << 5) | map, (Number(w) << 7) | last);
}

function pushLittle(bytes: number[], low: number, size: number, high = 0): void {
  for (let i = 0; i < size; i++) bytes.push(((i < 4 ? low : high) >> ((i & 3) * 8)) & 255);
}

// Immediates, offsets and displacements that follow the ModRM bytes.
function pushTail(bytes: number[], instruction: Instruction, spec: number, state: number): void {
  const width = sizeBits[(specSize[spec] << 5) | state];
  switch (specPlace[spec]) {
    case Place.I:
      pushLittle(bytes, instruction.immediateLow, width >> 3, instruction.immediateHigh);
      break;
    case Place.Is:
      pushLittle(bytes, instruction.immediateLow, 1);
      break;
    case Place.K:
      pushLittle(bytes, instruction.immediate2, 1);
      break;
    case Place.J:
      pushLittle(bytes, instruction.target, width >> 3);
      break;
    case Place.O:
      pushLittle(bytes, instruction.displacement, instruction.addressWidth >> 3, instruction.displacementHigh);
      break;
    case Place.A:
      pushLittle(bytes, instruction.immediateLow, (width >> 3) - 2);
      pushLittle(bytes, instruction.immediate2, 2);
      break;
    default:
      break; // fixed registers and the constant 1 take no bytes
  }
}

function pushMemory(bytes: number[], instruction: Instruction, reg: number): void {
  const { base, index, scale, displacement, addressWidth } = instruction;
  const short = displacement === (displacement << 24) >> 24;
  if (addressWidth === 16) {
    const pair = base < 0 ? "" : index < 0 ? `${base}` : `${base}+${index}`;
    const rm = ["3+6", "3+7", "5+6", "5+7", "6", "7", "5", "3"].indexOf(pair);
    if (base < 0) {
      bytes.push(reg | 6);
      pushLittle(bytes, displacement, 2);
      return;
    }
    if (rm < 0) throw new RangeError(`no 16-bit addressing with ${pair}`);
    const mod = displacement === 0 && rm !== 6 ? 0 : short ? 1 : 2;
    bytes.push((mod << 6) | reg | rm);
    pushLittle(bytes, displacement, mod);
    return;
  }
  if (base === registerRip) {
    bytes.push(reg | 5);
    pushLittle(bytes, displacement, 4);
    return;
  }
  if (index === 4) throw new RangeError("rSP cannot be an index");
  // Without a base, a SIB byte is shorter than nothing only outside 64-bit mode, where ModRM alone has [disp32].
  const sib = index >= 0 || base < 0 || (base & 7) === 4;
  const mod = base < 0 || (displacement === 0 && (base & 7) !== 5) ? 0 : short ? 1 : 2;
  bytes.push((mod << 6) | reg | (sib ? 4 : base & 7));
  if (sib) bytes.push((Math.log2(scale) << 6) | ((index < 0 ? 4 : index & 7) << 3) | (base < 0 ? 5 : base & 7));
  pushLittle(bytes, displacement, base < 0 || mod === 2 ? 4 : mod);
}
