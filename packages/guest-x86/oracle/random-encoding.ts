/**
 * Random encodings of a given form, from the constraints its row puts on prefixes, ModRM and the rest.
 *
 * The encoder need not know operands: it writes a ModRM byte and what belongs to it, random bytes for the immediates,
 * and the decoder says how long the instruction is and what it reads. What matters later is where the displacement and the
 * immediates lie, so that they can be replaced.
 */
import { decode } from "../src/decode/decode.ts";
import {
  FormBit,
  Place,
  formB,
  formBits,
  formFlow,
  formL,
  formMap,
  formMnemonic,
  formModes,
  formModrm,
  formMods,
  formOpcode,
  formOperandSizes,
  formPrefixes,
  formRegs,
  formRms,
  formSpecs,
  formW,
  specPlace,
} from "../src/decode/form-table.ts";
import { Flow, Instruction, Mnemonic } from "../src/decode/instruction.ts";
import type { Random } from "./random.ts";

/** An instruction's bytes, decoded, and where its parts lie. */
export class Encoding {
  readonly bytes: Uint8Array = new Uint8Array(48);
  readonly instruction: Instruction = new Instruction();
  length = 0;
  /** Position and size of the displacement (or of a direct address); 0 bytes when there is none. */
  displacementAt = 0;
  displacementBytes = 0;
  /** Immediates and branch displacements fill the rest of the instruction. */
  immediateAt = 0;

  get immediateBytes(): number {
    return this.length - this.immediateAt;
  }

  /** Decodes again after bytes were replaced. */
  refresh(mode: number): boolean {
    return decode(this.bytes, 0, this.bytes.length, mode as 32 | 64, this.instruction) === this.length;
  }
}

/** A bit of `mask`, at random. */
function pickBit(random: Random, mask: number): number {
  let chosen = 0;
  let count = 0;
  for (let bit = 0; bit < 8; bit++) {
    if ((mask & (1 << bit)) !== 0 && random.below(++count) === 0) chosen = bit;
  }
  return chosen;
}

const stringLike = new Set<number>([
  Mnemonic.movs, Mnemonic.cmps, Mnemonic.stos, Mnemonic.lods, Mnemonic.scas, Mnemonic.ins, Mnemonic.outs,
]); // prettier-ignore

/** Memory references by 16-bit addresses never reach a window; only what does not access memory gets them. */
const anyAddress = new Set<number>([Mnemonic.lea, Mnemonic.nop]);

function hasMemoryPlace(form: number): boolean {
  for (let i = 0; i < 4; i++) if (specPlace[formSpecs[4 * form + i]] === Place.O) return true;
  return (formMods[form] & 1) !== 0 && (formBits[form] & FormBit.modrm) !== 0;
}

/** Which kind of ModRM.rm operand to make, where the form leaves the choice. */
export type OperandChoice = "any" | "register" | "memory";

/**
 * Fills `encoding` with a random encoding of `form` for code of `mode` (32 or 64).
 * @returns false when this attempt made another instruction, or none; try again
 */
export function encodeForm(
  random: Random,
  encoding: Encoding,
  form: number,
  mode: number,
  choice: OperandChoice = "any",
): boolean {
  const long = mode === 64;
  const bits = formBits[form];
  if ((formModes[form] & (long ? 2 : 1)) === 0) return false;
  const { bytes } = encoding;
  let at = 0;
  const map = formMap[form];
  const vex = map >= 4;
  const branch = formFlow[form] !== Flow.next;
  const prefixes = formPrefixes[form];
  const operandSizes = formOperandSizes[form];
  const memory = hasMemoryPlace(form);

  // Mod first: lock and segment prefixes only make sense with memory.
  let mod = 3;
  if ((bits & FormBit.modrm) !== 0 && (formMods[form] & 1) !== 0 && (bits & FormBit.modIgnored) === 0) {
    const onlyMemory = (formMods[form] & 2) === 0;
    const wantMemory = choice === "any" ? random.oneIn(2) : choice === "memory";
    if (choice === "register" && onlyMemory) return false;
    if (onlyMemory || wantMemory) mod = random.pick([0, 1, 1, 2]);
  } else if (choice === "memory") {
    return false;
  }

  // Prefixes that are part of the form, and the operand size.
  let rexW = formW[form] === 2 || (formW[form] === 3 && random.oneIn(2));
  if (!long) rexW = false;
  let mandatory = 0;
  if (!vex) {
    if ((prefixes & 1) !== 0) {
      const force16 = operandSizes === 1;
      const forbid16 = (operandSizes & 1) === 0;
      if (operandSizes === 4) rexW = long;
      else if (operandSizes !== 7) rexW = false;
      if (force16 || ((prefixes & 2) !== 0 && !forbid16 && !branch && random.oneIn(4))) mandatory = 0x66;
    } else {
      mandatory = [0, 0x66, 0xf3, 0xf2][pickBit(random, prefixes & 14)];
      // The operand size prefix may stand beside F3 and F2.
      if (mandatory >= 0xf2 && map > 0 && random.oneIn(6)) bytes[at++] = 0x66;
    }
    const memoryLock = (bits & FormBit.lock) !== 0 && mod !== 3;
    if (memoryLock && random.oneIn(8)) bytes[at++] = 0xf0;
    if ((bits & FormBit.rep) !== 0 && random.oneIn(2)) bytes[at++] = random.pick([0xf3, 0xf3, 0xf2]);
  }
  const mnemonic = formMnemonic[form];
  const stringy = stringLike.has(mnemonic);
  if (((memory && mod !== 3) || stringy) && random.oneIn(12)) {
    bytes[at++] = random.pick(long ? [0x64, 0x65, 0x64, 0x65, 0x3e] : [0x64, 0x65, 0x26, 0x36, 0x3e]);
  }
  let addressWidth = mode;
  if (random.oneIn(14) && !branch && (long || anyAddress.has(mnemonic))) {
    bytes[at++] = 0x67;
    addressWidth = long ? 32 : 16;
  }
  if (mandatory !== 0) bytes[at++] = mandatory;

  // REX, VEX.
  const rexR = long && random.oneIn(2);
  const rexX = long && random.oneIn(2);
  const rexB = long && formB[form] !== 1 && random.oneIn(2);
  if (vex) {
    const pp = pickBit(random, prefixes);
    const length = pickBit(random, formL[form]);
    const vvvv = (bits & FormBit.usesVvvv) === 0 ? 0 : random.below(long ? 16 : 8);
    const low = ((~vvvv & 15) << 3) | (length << 2) | pp;
    bytes[at++] = 0xc4;
    bytes[at++] = (rexR ? 0 : 0x80) | (rexX ? 0 : 0x40) | (rexB ? 0 : 0x20) | (map - 3);
    // W is ignored outside 64-bit mode, but a row may ask for it.
    const w = formW[form] === 2 || rexW;
    bytes[at++] = (w ? 0x80 : 0) | low;
  } else {
    const rex = 0x40 | (rexW ? 8 : 0) | (rexR ? 4 : 0) | (rexX ? 2 : 0) | (rexB ? 1 : 0);
    if (long && (rexW || random.oneIn(2))) bytes[at++] = rex;
    if (map >= 1) bytes[at++] = 0x0f;
    if (map === 2) bytes[at++] = 0x38;
    if (map === 3) bytes[at++] = 0x3a;
  }
  let opcode = formOpcode[form];
  if ((bits & FormBit.opcodeRegister) !== 0) opcode += random.below(8);
  if ((bits & FormBit.opcodeCondition) !== 0) opcode += random.below(16);
  bytes[at++] = opcode;

  // ModRM, SIB, displacement.
  encoding.displacementBytes = 0;
  encoding.displacementAt = at;
  if ((bits & FormBit.modrm) !== 0) {
    const reg = pickBit(random, formRegs[form]);
    const fixedRm = (bits & FormBit.fixedRm) !== 0;
    const rm = fixedRm ? formModrm[form] & 7 : pickBit(random, formRms[form]);
    bytes[at++] = (mod << 6) | (reg << 3) | rm;
    if (mod !== 3) {
      let displacement = mod === 1 ? 1 : mod === 2 ? (addressWidth === 16 ? 2 : 4) : 0;
      if (addressWidth === 16) {
        if (mod === 0 && rm === 6) displacement = 2;
      } else if (rm === 4) {
        const sib = random.below(256);
        bytes[at++] = sib;
        if (mod === 0 && (sib & 7) === 5) displacement = 4;
      } else if (mod === 0 && rm === 5) {
        displacement = 4;
      }
      encoding.displacementAt = at;
      encoding.displacementBytes = displacement;
      for (let i = 0; i < displacement; i++) bytes[at++] = random.oneIn(2) ? random.below(256) : 0;
    }
  } else if (memory) {
    encoding.displacementAt = at;
    encoding.displacementBytes = addressWidth >> 3;
    for (let i = 0; i < addressWidth >> 3; i++) bytes[at++] = 0;
  }
  encoding.immediateAt = at;
  for (let i = at; i < at + 9; i++) bytes[i] = random.below(256);
  for (let i = at + 9; i < bytes.length; i++) bytes[i] = 0xcc;
  const length = decode(bytes, 0, bytes.length, mode as 32 | 64, encoding.instruction);
  encoding.length = length;
  return length >= at && length <= 15 && encoding.instruction.form === form;
}
