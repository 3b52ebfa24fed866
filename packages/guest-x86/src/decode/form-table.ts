// The rows of forms/*, parsed into flat arrays by form: what tools, tests and generators ask. At run time the decoder uses the
// compact extract in ./tables.ts instead, so that a program's start does not pay for parsing.
//
// A form's number is its position in the concatenation of the families; 0 is "no form".
import { families } from "./families.ts";
import { Flow, Mnemonic } from "./instruction.ts";
import type { MnemonicName } from "./instruction.ts";
import { FormBit, Place, Size, sizeLetters } from "./notation.ts";

export { FormBit, Place, Size, sizeBits } from "./notation.ts";

// Constraints a row puts on what surrounds its opcode, one bit mask per dimension, packed in two integers. A full mask
// is no constraint.
/** Prefix masks: bit 0 none, 1 = 66, 2 = F3, 3 = F2. */
const prefixMasks: Record<string, number> = { NP: 1, "66": 2, F3: 4, F2: 8, NFx: 3, NF3: 11 };

const placeOf: Record<string, number> = {
  E: 1, G: 2, M: 3, R: 4, Z: 5, V: 6, W: 7, U: 8, P: 9, Q: 10, N: 11, H: 12, B: 13, L: 14, S: 15, C: 16, D: 17, I: 19, K: 21,
  J: 22, O: 23, A: 24,
}; // prettier-ignore
// place, register, size of the operands that are spelled out
const fixedOperands: Record<string, readonly [place: number, register: number, size: number]> = {
  AL: [25, 0, 1], CL: [25, 1, 1], AX: [25, 0, 2], DX: [25, 2, 2], rAX: [25, 0, 5], eAX: [25, 0, 6],
  ES: [26, 0, 2], CS: [26, 1, 2], SS: [26, 2, 2], DS: [26, 3, 2], FS: [26, 4, 2], GS: [26, 5, 2],
  ST0: [27, 0, 11], STi: [18, 0, 11], XMM0: [28, 0, 10], "1": [29, 1, 1], Is: [20, 0, 1],
}; // prettier-ignore

const maximumSpecs = 256;
/** Operand specs: every distinct operand text once. */
export const specTexts: string[] = [""];
export const specPlace: Uint8Array = new Uint8Array(maximumSpecs);
export const specRegister: Uint8Array = new Uint8Array(maximumSpecs);
/** Size letter of the register (or immediate) alternative, and of the memory alternative. */
export const specSize: Uint8Array = new Uint8Array(maximumSpecs);
export const specMemorySize: Uint8Array = new Uint8Array(maximumSpecs);
const specIndex = new Map<string, number>();

function parseSpec(text: string): number {
  const known = specIndex.get(text);
  if (known !== undefined) return known;
  const spec = specTexts.length;
  const fixed = fixedOperands[text];
  if (fixed !== undefined) {
    specPlace[spec] = fixed[0];
    specRegister[spec] = fixed[1];
    specSize[spec] = fixed[2];
  } else {
    const slash = text.indexOf("/");
    const place = placeOf[text[0]];
    const size = sizeLetters.indexOf(text[1]);
    const memorySize = slash < 0 ? size : sizeLetters.indexOf(text[slash + 2]);
    if (place === undefined || size < 0 || memorySize < 0 || (slash < 0 && text.length !== 2)) {
      throw new Error(`operand "${text}" is not in the legend`);
    }
    // Rd/Mb takes either: like E, with two sizes.
    specPlace[spec] = slash < 0 ? place : Place.E;
    specSize[spec] = size;
    specMemorySize[spec] = memorySize;
  }
  specTexts.push(text);
  specIndex.set(text, spec);
  return spec;
}

const flagBits: Record<string, number> = {
  c: 1, p: 1 << 2, a: 1 << 4, z: 1 << 6, s: 1 << 7, i: 1 << 9, d: 1 << 10, o: 1 << 11, k: 1 << 18,
  "*": 1 | (1 << 2) | (1 << 4) | (1 << 6) | (1 << 7) | (1 << 9) | (1 << 10) | (1 << 11) | (1 << 18),
}; // prettier-ignore
const flagEffects = new Map<string, Int32Array>();

function parseFlags(text: string): Int32Array {
  const known = flagEffects.get(text);
  if (known !== undefined) return known;
  const effect = new Int32Array(6);
  if (text !== "") {
    for (const group of text.split(" ")) {
      if (group === "cc") effect[5] |= FormBit.readsCondition;
      else if (group === "?") effect[5] |= FormBit.conditionalFlags;
      else {
        const kind = "rw01u".indexOf(group[0]);
        if (kind < 0 || group[1] !== "=") throw new Error(`flags "${text}" are not in the legend`);
        for (let i = 2; i < group.length; i++) effect[kind] |= flagBits[group[i]];
      }
    }
  }
  flagEffects.set(text, effect);
  return effect;
}

const attributeBits: Record<string, number> = {
  i64: FormBit.invalid64,
  o64: FormBit.only64,
  d64: FormBit.default64,
  f64: FormBit.force64,
  lock: FormBit.lock,
  rep: FormBit.rep,
  cpl0: FormBit.privileged,
  iopl: FormBit.ioPrivileged,
  mod: FormBit.modIgnored,
  seg: FormBit.loadsSegment,
  alias: FormBit.alias,
  rest: FormBit.rest,
};
const attributeFlow: Record<string, number> = {
  jump: Flow.jump,
  branch: Flow.branch,
  call: Flow.call,
  return: Flow.return,
  ijump: Flow.indirectJump,
  icall: Flow.indirectCall,
  system: Flow.system,
  undefined: Flow.undefined,
};

const capacity = 2048;
export const formMnemonic: Uint16Array = new Uint16Array(capacity);
export const formBits: Int32Array = new Int32Array(capacity);
export const formFlow: Uint8Array = new Uint8Array(capacity);
/** Size letter that gives `Instruction.operandWidth`. */
export const formWidth: Uint8Array = new Uint8Array(capacity);
export const formCondition: Uint8Array = new Uint8Array(capacity);
export const formOperandCount: Uint8Array = new Uint8Array(capacity);
/** Four operand specs per form. */
export const formSpecs: Uint8Array = new Uint8Array(capacity * 4);
/** Opcode map 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A, 4..6: VEX maps 1..3; and the opcode, or the first of them. */
export const formMap: Uint8Array = new Uint8Array(capacity);
export const formOpcode: Uint8Array = new Uint8Array(capacity);
/** Fixed bits of the ModRM byte. */
export const formModrm: Uint8Array = new Uint8Array(capacity);
/** EFLAGS masks. */
export const formFlagsRead: Int32Array = new Int32Array(capacity);
export const formFlagsWritten: Int32Array = new Int32Array(capacity);
export const formFlagsCleared: Int32Array = new Int32Array(capacity);
export const formFlagsSet: Int32Array = new Int32Array(capacity);
export const formFlagsUndefined: Int32Array = new Int32Array(capacity);
// Constraint masks, one array per dimension of the decision tree.
export const formModes: Uint8Array = new Uint8Array(capacity);
export const formPrefixes: Uint8Array = new Uint8Array(capacity);
export const formMods: Uint8Array = new Uint8Array(capacity);
export const formRegs: Uint8Array = new Uint8Array(capacity);
export const formRms: Uint8Array = new Uint8Array(capacity);
export const formW: Uint8Array = new Uint8Array(capacity);
export const formB: Uint8Array = new Uint8Array(capacity);
export const formOperandSizes: Uint8Array = new Uint8Array(capacity);
export const formL: Uint8Array = new Uint8Array(capacity);

const vexMaps: Record<string, number> = { "0F": 4, "0F38": 5, "0F3A": 6 };
const vexLengths: Record<string, number> = { "128": 1, LZ: 1, "256": 2, LIG: 3 };

function parseVex(form: number, token: string): void {
  const parts = token.split(".");
  const map = vexMaps[parts[3]];
  const prefixes = prefixMasks[parts[2]];
  const lengths = vexLengths[parts[1]];
  if (map === undefined || prefixes === undefined || lengths === undefined)
    throw new Error(`bad VEX encoding ${token}`);
  formMap[form] = map;
  formPrefixes[form] = prefixes;
  formL[form] = lengths;
  if (parts[4] === "W0") formW[form] = 1;
  else if (parts[4] === "W1") formW[form] = 2;
  formBits[form] |= FormBit.vex;
}

function parseEncoding(form: number, text: string): void {
  const tokens = text.split(" ");
  let seen = 0; // 0: prefixes may come, 1: the opcode is next, 2: after the opcode
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token.charCodeAt(0) === 0x2f /* / */) {
      formBits[form] |= FormBit.modrm;
      if (token === "/r") continue;
      const digit = token.charCodeAt(1) - 0x30;
      formRegs[form] = 1 << digit;
      formModrm[form] = digit << 3;
      formBits[form] |= FormBit.fixedReg;
      continue;
    }
    if (seen === 0 && token.startsWith("VEX.")) {
      parseVex(form, token);
      seen = 1;
      continue;
    }
    if (seen === 0) {
      const prefixes = i + 1 < tokens.length ? prefixMasks[token] : undefined;
      if (prefixes !== undefined) {
        formPrefixes[form] = prefixes;
        continue;
      }
      if (token === "W0" || token === "W1") {
        formW[form] = token === "W0" ? 1 : 2;
        continue;
      }
      if (token === "B0") {
        formB[form] = 1;
        continue;
      }
      if (token === "0F" && formMap[form] === 0) {
        const next = tokens[i + 1];
        formMap[form] = next === "38" ? 2 : next === "3A" ? 3 : 1;
        if (formMap[form] !== 1) i++;
        seen = 1;
        continue;
      }
    }
    const value = Number.parseInt(token, 16);
    if (seen !== 2) {
      formOpcode[form] = value;
      if (token.endsWith("+r")) formBits[form] |= FormBit.opcodeRegister;
      else if (token.endsWith("+cc")) formBits[form] |= FormBit.opcodeCondition;
      seen = 2;
      continue;
    }
    formBits[form] |= FormBit.modrm | FormBit.fixedReg;
    formMods[form] = 2;
    formModrm[form] = value;
    formRegs[form] = 1 << ((value >> 3) & 7);
    if (!token.endsWith("+i")) {
      formRms[form] = 1 << (value & 7);
      formBits[form] |= FormBit.fixedRm;
    }
  }
}

function parseOperands(form: number, text: string): void {
  if (text === "") return;
  const operands = text.split(" ");
  formOperandCount[form] = operands.length;
  for (let i = 0; i < operands.length; i++) {
    const spec = parseSpec(operands[i]);
    formSpecs[form * 4 + i] = spec;
    const place = specPlace[spec];
    if (place === Place.M) formMods[form] &= 1;
    else if ((place === Place.R && !(formBits[form] & FormBit.modIgnored)) || place === Place.U || place === Place.N)
      formMods[form] &= 2;
    else if (place === Place.H || place === Place.B) formBits[form] |= FormBit.usesVvvv;
  }
}

// The operand size is that of the first general operand that has one.
function integerWidth(form: number): number {
  const count = formOperandCount[form];
  for (let i = 0; i < count; i++) {
    const spec = formSpecs[form * 4 + i];
    const place = specPlace[spec];
    if (place !== Place.E && place !== Place.G && place !== Place.M && place !== Place.R && place !== Place.Z && place !== Place.O
      && place !== Place.B && place !== Place.fixedRegister) continue; // prettier-ignore
    const size = specSize[spec];
    if ((size >= Size.b && size <= Size.q) || size === Size.z || size === Size.y || size === Size.n) return size;
    return Size.v;
  }
  return Size.v;
}

function parseAttributes(form: number, text: string): void {
  if (text === "") return;
  let operandSizes = 0;
  for (const attribute of text.split(" ")) {
    const bit = attributeBits[attribute];
    const flow = attributeFlow[attribute];
    if (bit !== undefined) formBits[form] |= bit;
    else if (flow !== undefined) formFlow[form] = flow;
    else if (attribute === "byte") formWidth[form] = Size.b;
    else if (attribute === "word") formWidth[form] = Size.w;
    else if (attribute === "z") formWidth[form] = Size.z;
    else if (attribute === "y") formWidth[form] = Size.y;
    else if (attribute.startsWith("osz")) operandSizes |= Number(attribute.slice(3)) >> 4;
    else if (attribute.startsWith("cc")) formCondition[form] = Number(attribute.slice(2));
    else throw new Error(`attribute "${attribute}" is not in the legend`);
  }
  // Their masks are 16 >> 4, 32 >> 4, 64 >> 4.
  if (operandSizes !== 0) formOperandSizes[form] = operandSizes;
}

function parseRow(form: number, line: string): void {
  const columns = line.split("|");
  const column = (index: number): string => (index < columns.length ? columns[index].trim() : "");
  const mnemonic = Mnemonic[column(0) as MnemonicName] as number | undefined;
  if (mnemonic === undefined || columns.length > 6) throw new Error(`not a row: ${line}`);
  formMnemonic[form] = mnemonic;
  formPrefixes[form] = 15;
  formMods[form] = 3;
  formRegs[form] = 255;
  formRms[form] = 255;
  formW[form] = 3;
  formB[form] = 3;
  formOperandSizes[form] = 7;
  formL[form] = 3;
  parseAttributes(form, column(5));
  parseEncoding(form, column(1));
  parseOperands(form, column(2));
  if (formWidth[form] === 0) formWidth[form] = integerWidth(form);
  formModes[form] = formBits[form] & FormBit.invalid64 ? 1 : formBits[form] & FormBit.only64 ? 2 : 3;
  const flags = parseFlags(column(3));
  formFlagsRead[form] = flags[0];
  formFlagsWritten[form] = flags[1];
  formFlagsCleared[form] = flags[2];
  formFlagsSet[form] = flags[3];
  formFlagsUndefined[form] = flags[4];
  formBits[form] |= flags[5];
}

let next = 1;
for (const [, table] of families) {
  for (const line of table.split("\n")) if (line !== "") parseRow(next++, line);
}

/** Forms are numbered 1..formCount - 1. */
export const formCount: number = next;
