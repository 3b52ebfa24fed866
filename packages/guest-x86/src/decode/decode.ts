// The decoder: bytes to an `Instruction`, without allocating.
//
// prefixes -> opcode -> ModRM -> form (decision tree) -> memory operand -> operands and immediates -> checks that need all of it.
//
// Where the manuals of Intel and AMD differ, Intel's 64-bit processors are followed:
// - 66 before a near branch is ignored in 64-bit mode (AMD truncates the target to 16 bits).
// - REX.W makes a far pointer in memory 16:64 (AMD ignores it).
// - LOCK MOV CR0 is undefined (AMD: CR8).
// A form's reserved combinations (unused VEX.vvvv, VEX.L, CR1, a MOV to CS, LOCK on a register) are undefined, as there.
// CPUID is not consulted: a form whose feature the guest's CPUID does not announce decodes, and the lifter decides.
//
// Measured by scripts/decode-speed.ts on libc's text, 346,000 instructions, Node 24: 50 ns each once optimised (20 million/s),
// 120 ns over the first pass, 1.5 to 3.5 us over the first thousand, compiling this function included; loading the modules
// takes 2.5 to 4 ms, of which Node's own work on the source is the most.
import { OperandKind, registerRip } from "./instruction.ts";
import type { Instruction, Mode } from "./instruction.ts";
import { Dimension, FormBit, Place, Size, firstNode, sizeBits } from "./notation.ts";
import {
  formBits,
  formCondition,
  formFlow,
  formMnemonic,
  formOperandCount,
  formSpecs,
  formWidth,
  nodes,
  opcodeEntries,
  opcodeHasModrm,
  specMemorySize,
  specPlace,
  specRegister,
  specSize,
} from "./tables.ts";

/** The bytes end inside the instruction: fetch more, or raise the fetch's page fault. */
export const needsMoreBytes = -1;
/** #UD. */
export const undefinedOpcode = -2;
/** More than 15 bytes: #GP. */
export const tooLong = -3;

const maximumLength = 15;

// Prefix classes; 0 is no prefix. REX counts only in 64-bit mode.
const classRex = 1;
const classSegment = 2;
const classOperandSize = 3;
const classAddressSize = 4;
const classRepeat = 5;
const classLock = 6;
const prefixClass: Uint8Array = new Uint8Array(256);
prefixClass.fill(classRex, 0x40, 0x50);
prefixClass.fill(classSegment, 0x64, 0x66);
prefixClass[0x26] = prefixClass[0x2e] = prefixClass[0x36] = prefixClass[0x3e] = classSegment;
prefixClass[0x66] = classOperandSize;
prefixClass[0x67] = classAddressSize;
prefixClass[0xf2] = prefixClass[0xf3] = classRepeat;
prefixClass[0xf0] = classLock;

// 16-bit addressing: base and index by ModRM.rm.
const base16 = new Int8Array([3, 3, 5, 5, 6, 7, 5, 3]);
const index16 = new Int8Array([6, 7, 6, 7, -1, -1, -1, -1]);

// Control registers that exist: CR0 CR2 CR3 CR4 CR8.
const controlRegisters = 0b1_0001_1101;

/**
 * Decodes the instruction at `position` into `out`.
 *
 * @param code bytes; those from `end` on are not read
 * @returns its length in bytes, or `needsMoreBytes`, `undefinedOpcode`, `tooLong`; then `out` holds nothing of use
 */
export function decode(code: Uint8Array, position: number, end: number, mode: Mode, out: Instruction): number {
  const long = mode === 64;
  let p = position;
  let byte = 0;
  let rex = 0;
  let operandPrefix = 0;
  let addressPrefix = 0;
  let repeat = 0;
  let lock = 0;
  let segment = -1;

  for (;;) {
    if (p >= end) return p - position >= maximumLength ? tooLong : needsMoreBytes;
    byte = code[p++];
    const kind = prefixClass[byte];
    if (kind === 0) break;
    if (kind === classRex) {
      if (!long) break;
      rex = byte;
    } else {
      // A REX prefix counts only immediately before the opcode.
      rex = 0;
      if (kind === classOperandSize) operandPrefix = 1;
      else if (kind === classRepeat) repeat = byte;
      else if (kind === classLock) lock = 1;
      else if (kind === classAddressSize) addressPrefix = 1;
      else if (byte >= 0x64) segment = byte - 0x60;
      else if (!long) segment = (byte - 0x26) >> 3;
    }
    if (p - position >= maximumLength) return tooLong;
  }

  // The opcode's place in the table, and what VEX carries.
  let opcode = byte;
  let vex = 0;
  let vectorLength = 0;
  let vvvv = 0;
  let prefix = repeat === 0 ? operandPrefix : repeat === 0xf3 ? 2 : 3;
  if (byte === 0x0f) {
    if (p >= end) return short(position, end);
    byte = code[p++];
    opcode = 0x100 | byte;
    if (byte === 0x38 || byte === 0x3a) {
      opcode = byte === 0x38 ? 0x200 : 0x300;
      if (p >= end) return short(position, end);
      byte = code[p++];
      opcode |= byte;
    }
  } else if (byte === 0xc4 || byte === 0xc5) {
    if (p >= end) return short(position, end);
    const second = code[p];
    if (long || second >= 0xc0) {
      // LES and LDS have a memory operand, so in 32-bit mode a register form is VEX.
      if ((rex | operandPrefix | repeat | lock) !== 0) return undefinedOpcode;
      p++;
      let last = second;
      let map = 1;
      if (byte === 0xc4) {
        if (p >= end) return short(position, end);
        last = code[p++];
        map = second & 31;
        if (map < 1 || map > 3) return undefinedOpcode;
        // REX.R X B, inverted; outside 64-bit mode R and X are 1 and B is ignored.
        if (long) rex = (~second >> 5) & 7;
        if (last & 0x80) rex |= 8;
      } else if (long) {
        rex = (~last >> 5) & 4;
      }
      vex = 1;
      vvvv = (~last >> 3) & (long ? 15 : 7);
      // Outside 64-bit mode vvvv's high bit is ignored when it names a register.
      if (!long && (last & 0x40) === 0) vvvv |= 8;
      vectorLength = (last >> 2) & 1;
      prefix = last & 3;
      // pp counts 66 F3 F2 as 1 2 3, like `prefix`.
      if (p >= end) return short(position, end);
      byte = code[p++];
      opcode = ((map + 3) << 8) | byte;
    }
  }

  const rexW = (rex >> 3) & 1;
  let operandSize = long ? (rexW ? 2 : operandPrefix ^ 1) : mode === 32 ? operandPrefix ^ 1 : operandPrefix;
  let modrm = 0;
  let entry = opcodeEntries[opcode];
  if (opcodeHasModrm[opcode] !== 0) {
    if (p >= end) return short(position, end);
    modrm = code[p++];
  }
  while (entry >= firstNode) {
    const node = entry - firstNode;
    let value = 0;
    switch (nodes[node]) {
      case Dimension.mode:
        value = long ? 1 : 0;
        break;
      case Dimension.prefix:
        value = prefix;
        break;
      case Dimension.mod:
        value = modrm >= 0xc0 ? 1 : 0;
        break;
      case Dimension.reg:
        value = (modrm >> 3) & 7;
        break;
      case Dimension.rm:
        value = modrm & 7;
        break;
      case Dimension.w:
        value = rexW;
        break;
      case Dimension.b:
        value = rex & 1;
        break;
      case Dimension.operandSize:
        value = operandSize;
        break;
      default:
        value = vectorLength;
        break;
    }
    entry = nodes[node + 1 + value];
  }
  if (entry === 0) return undefinedOpcode;

  const form = entry;
  const bits = formBits[form];
  if (long && (bits & (FormBit.default64 | FormBit.force64)) !== 0) {
    operandSize = (bits & FormBit.force64) !== 0 || operandSize !== 0 || rexW !== 0 ? 2 : 0;
  }
  if (vex !== 0 && (bits & FormBit.usesVvvv) === 0 && vvvv !== 0) return undefinedOpcode;
  const sizeState = operandSize | (rexW << 2) | (long ? 8 : 0) | (vectorLength << 4);
  const addressWidth = long ? (addressPrefix ? 32 : 64) : (mode === 32) === (addressPrefix !== 0) ? 16 : 32;

  out.form = form;
  out.mnemonic = formMnemonic[form];
  out.flow = formFlow[form];
  out.addressWidth = addressWidth;
  const operandWidth = sizeBits[(formWidth[form] << 5) | sizeState];
  out.operandWidth = operandWidth;
  out.segment = segment;
  out.lock = lock !== 0;
  out.rep = (bits & FormBit.rep) !== 0 ? repeat : 0;
  out.condition = (bits & FormBit.opcodeCondition) !== 0 ? byte & 15 : formCondition[form];
  out.vex = vex !== 0;
  out.vectorWidth = vex === 0 ? 0 : vectorLength === 0 ? 128 : 256;
  out.immediateLow = 0;
  out.immediateHigh = 0;
  out.immediateAt = 0;
  out.immediate2 = 0;
  out.target = 0;

  // The memory operand's bytes come before any immediate.
  const isMemory = (bits & (FormBit.modrm | FormBit.modIgnored)) === FormBit.modrm && modrm < 0xc0;
  if (isMemory) {
    const mod = modrm >> 6;
    let displacementSize = mod === 1 ? 1 : mod === 2 ? 4 : 0;
    let base = modrm & 7;
    let index = -1;
    let scale = 1;
    if (addressWidth !== 16) {
      if (base === 4) {
        if (p >= end) return short(position, end);
        const sib = code[p++];
        index = ((sib >> 3) & 7) | ((rex & 2) << 2);
        if (index === 4) index = -1;
        else scale = 1 << (sib >> 6);
        base = sib & 7;
        if (base === 5 && mod === 0) {
          base = -1;
          displacementSize = 4;
        } else base |= (rex & 1) << 3;
      } else if (base === 5 && mod === 0) {
        base = long ? registerRip : -1;
        displacementSize = 4;
      } else base |= (rex & 1) << 3;
    } else {
      if (base === 6 && mod === 0) {
        base = -1;
        displacementSize = 2;
      } else {
        index = index16[base];
        base = base16[base];
        if (mod === 2) displacementSize = 2;
      }
    }
    let displacement = 0;
    out.displacementAt = displacementSize === 4 ? p - position : 0;
    if (displacementSize !== 0) {
      if (p + displacementSize > end) return short(position, end);
      if (displacementSize === 1) displacement = (code[p] << 24) >> 24;
      else if (displacementSize === 4) displacement = read32(code, p);
      else displacement = ((code[p] | (code[p + 1] << 8)) << 16) >> 16;
      p += displacementSize;
    }
    out.base = base;
    out.index = index;
    out.scale = scale;
    out.displacement = displacement;
    out.displacementHigh = displacement >> 31;
  }

  const count = formOperandCount[form];
  out.operandCount = count;
  const operands = out.operands;
  for (let i = 0; i < count; i++) {
    const operand = operands[i as 0 | 1 | 2 | 3];
    const spec = formSpecs[(form << 2) | i];
    const place = specPlace[spec];
    let kind: number = OperandKind.gpr;
    let register = 0;
    let high = false;
    let width = sizeBits[(specSize[spec] << 5) | sizeState];
    switch (place) {
      case Place.G:
        register = ((modrm >> 3) & 7) | ((rex & 4) << 1);
        if (width === 8 && rex === 0 && register >= 4) {
          high = true;
          register -= 4;
        }
        break;
      case Place.E:
      case Place.R:
      case Place.M:
        if (isMemory) {
          kind = OperandKind.mem;
          width = sizeBits[(specMemorySize[spec] << 5) | sizeState];
          break;
        }
        register = (modrm & 7) | ((rex & 1) << 3);
        if (width === 8 && rex === 0 && register >= 4) {
          high = true;
          register -= 4;
        }
        break;
      case Place.Z:
        register = (byte & 7) | ((rex & 1) << 3);
        if (width === 8 && rex === 0 && register >= 4) {
          high = true;
          register -= 4;
        }
        break;
      case Place.B:
        register = long ? vvvv : vvvv & 7;
        break;
      case Place.fixedRegister:
        register = specRegister[spec];
        break;
      case Place.V:
        kind = OperandKind.xmm;
        register = ((modrm >> 3) & 7) | ((rex & 4) << 1);
        width = vectorLength === 0 ? 128 : 256;
        break;
      case Place.W:
      case Place.U:
        if (isMemory) {
          kind = OperandKind.mem;
          break;
        }
        kind = OperandKind.xmm;
        register = (modrm & 7) | ((rex & 1) << 3);
        width = vectorLength === 0 ? 128 : 256;
        break;
      case Place.H:
        kind = OperandKind.xmm;
        register = long ? vvvv : vvvv & 7;
        width = vectorLength === 0 ? 128 : 256;
        break;
      case Place.L:
        if (p >= end) return short(position, end);
        kind = OperandKind.xmm;
        register = (code[p++] >> 4) & (long ? 15 : 7);
        width = vectorLength === 0 ? 128 : 256;
        break;
      case Place.XMM0:
        kind = OperandKind.xmm;
        break;
      case Place.P:
        kind = OperandKind.mmx;
        register = (modrm >> 3) & 7;
        width = 64;
        break;
      case Place.Q:
      case Place.N:
        if (isMemory) {
          kind = OperandKind.mem;
          break;
        }
        kind = OperandKind.mmx;
        register = modrm & 7;
        width = 64;
        break;
      case Place.STi:
        kind = OperandKind.st;
        register = modrm & 7;
        break;
      case Place.ST0:
        kind = OperandKind.st;
        break;
      case Place.I: {
        kind = OperandKind.imm;
        const size = width >> 3;
        if (p + size > end) return short(position, end);
        if (size === 1) out.immediateLow = code[p];
        else if (size === 4) {
          const value = read32(code, p);
          out.immediateLow = value;
          out.immediateHigh = value >> 31;
          out.immediateAt = p - position;
          width = operandWidth;
        } else if (size === 2) {
          const value = code[p] | (code[p + 1] << 8);
          // RET's and ENTER's count is unsigned; what is 16 bits wide because the operand is, is signed.
          out.immediateLow = specSize[spec] === Size.w ? value : (value << 16) >> 16;
          out.immediateHigh = out.immediateLow >> 31;
        } else {
          out.immediateLow = read32(code, p);
          out.immediateHigh = read32(code, p + 4);
          out.immediateAt = p - position;
        }
        p += size;
        break;
      }
      case Place.Is: {
        kind = OperandKind.imm;
        if (p >= end) return short(position, end);
        const value = (code[p++] << 24) >> 24;
        out.immediateLow = value;
        out.immediateHigh = value >> 31;
        width = operandWidth;
        break;
      }
      case Place.one:
        kind = OperandKind.imm;
        out.immediateLow = 1;
        break;
      case Place.K:
        kind = OperandKind.imm2;
        if (p >= end) return short(position, end);
        out.immediate2 = code[p++];
        break;
      case Place.J:
        kind = OperandKind.relative;
        if (width === 8) {
          if (p >= end) return short(position, end);
          out.target = (code[p++] << 24) >> 24;
        } else if (width === 32) {
          if (p + 4 > end) return short(position, end);
          out.target = read32(code, p);
          p += 4;
        } else {
          if (p + 2 > end) return short(position, end);
          out.target = ((code[p] | (code[p + 1] << 8)) << 16) >> 16;
          p += 2;
        }
        width = operandWidth;
        break;
      case Place.O: {
        kind = OperandKind.mem;
        const size = addressWidth >> 3;
        if (p + size > end) return short(position, end);
        out.base = -1;
        out.index = -1;
        out.scale = 1;
        out.displacementAt = 0;
        if (size === 2) {
          out.displacement = ((code[p] | (code[p + 1] << 8)) << 16) >> 16;
          out.displacementHigh = out.displacement >> 31;
        } else {
          out.displacement = read32(code, p);
          out.displacementHigh = size === 8 ? read32(code, p + 4) : out.displacement >> 31;
        }
        p += size;
        break;
      }
      case Place.A: {
        kind = OperandKind.far;
        const size = (width >> 3) - 2;
        if (p + size + 2 > end) return short(position, end);
        out.immediateLow = size === 2 ? code[p] | (code[p + 1] << 8) : read32(code, p);
        p += size;
        out.immediate2 = code[p] | (code[p + 1] << 8);
        p += 2;
        break;
      }
      case Place.S:
        kind = OperandKind.segment;
        register = (modrm >> 3) & 7;
        if (register > 5 || ((bits & FormBit.loadsSegment) !== 0 && register === 1)) return undefinedOpcode;
        break;
      case Place.fixedSegment:
        kind = OperandKind.segment;
        register = specRegister[spec];
        break;
      case Place.C:
        kind = OperandKind.control;
        register = ((modrm >> 3) & 7) | ((rex & 4) << 1);
        if (((controlRegisters >> register) & 1) === 0) return undefinedOpcode;
        break;
      default: // Place.D
        kind = OperandKind.debug;
        register = ((modrm >> 3) & 7) | ((rex & 4) << 1);
        if (register > 7) return undefinedOpcode;
        break;
    }
    operand.kind = kind;
    operand.register = register;
    operand.width = width;
    operand.high = high;
  }

  // LOCK is for read-modify-write instructions whose destination is memory.
  if (lock !== 0 && ((bits & FormBit.lock) === 0 || operands[0].kind !== OperandKind.mem)) return undefinedOpcode;
  const length = p - position;
  if (length > maximumLength) return tooLong;
  out.length = length;
  return length;
}

function short(position: number, end: number): number {
  return end - position >= maximumLength ? tooLong : needsMoreBytes;
}

function read32(code: Uint8Array, p: number): number {
  return code[p] | (code[p + 1] << 8) | (code[p + 2] << 16) | (code[p + 3] << 24);
}
