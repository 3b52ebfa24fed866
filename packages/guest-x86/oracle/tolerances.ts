/**
 * Results that the architecture does not fix to the bit, and how far they may lie apart: data by mnemonic, with the reason.
 */
import type { Instruction, MnemonicName } from "../src/decode/instruction.ts";
import { firstInstruction } from "./case-instruction.ts";
import { type Batch, StateAt } from "./format.ts";

export interface Tolerance {
  readonly reason: string;
  /** Single-precision lanes may differ by this, relatively. */
  readonly relative32?: number;
  /** x87 results may differ by this many units in the last place. */
  readonly extendedUlps?: number;
  /** Bits of the x87 status word that are compared. */
  readonly statusMask?: number;
}

/** SDM vol. 2, RCPPS: relative error up to 1.5 * 2^-12; two processors may err in opposite directions. */
const reciprocal: Tolerance = { reason: "an approximation, different on every processor", relative32: 3 * 2 ** -12 };
/** SDM vol. 1, 8.3.10: less than 1 ulp in the default precision; C1 and PE follow the rounding of the approximation. */
const transcendental: Tolerance = {
  reason: "an approximation, different on every processor",
  extendedUlps: 2,
  statusMask: 0xffff & ~0x220,
};

const byMnemonic: Readonly<Partial<Record<MnemonicName, Tolerance>>> = {
  rcpps: reciprocal,
  rcpss: reciprocal,
  rsqrtps: reciprocal,
  rsqrtss: reciprocal,
  f2xm1: transcendental,
  fyl2x: transcendental,
  fyl2xp1: transcendental,
  fptan: transcendental,
  fpatan: transcendental,
  fsin: transcendental,
  fcos: transcendental,
  fsincos: transcendental,
};

export function tolerances(instruction: Instruction | undefined): Tolerance | undefined {
  return instruction === undefined ? undefined : byMnemonic[instruction.name as MnemonicName];
}

const smallestNormal = 2 ** -126;

/** Whether four single-precision lanes are the same, or finite and close. */
export function close32(left: DataView, leftAt: number, right: DataView, rightAt: number, relative: number): boolean {
  for (let lane = 0; lane < 16; lane += 4) {
    if (left.getInt32(leftAt + lane, true) === right.getInt32(rightAt + lane, true)) continue;
    const a = left.getFloat32(leftAt + lane, true);
    const b = right.getFloat32(rightAt + lane, true);
    // Results below the normal numbers are flushed to 0; an approximation may lie on either side of the border.
    const tiny = Math.abs(a) <= smallestNormal * (1 + relative) && Math.abs(b) <= smallestNormal * (1 + relative);
    if (!(Math.abs(a - b) <= relative * Math.abs(a)) && !tiny) return false;
  }
  return true;
}

/** Whether two 80-bit numbers are at most `ulps` units in the last place of the first apart. */
export function closeExtended(left: DataView, leftAt: number, right: DataView, rightAt: number, ulps: number): boolean {
  const order = (view: DataView, at: number): bigint => {
    const sign = view.getUint16(at + 8, true);
    const magnitude = (BigInt(sign & 0x7fff) << 63n) | (view.getBigUint64(at, true) & ((1n << 63n) - 1n));
    return sign & 0x8000 ? -magnitude : magnitude;
  };
  const distance = order(left, leftAt) - order(right, rightAt);
  return (distance < 0n ? -distance : distance) <= BigInt(ulps);
}

/**
 * For instructions that store an x87 environment: which bits of a word of memory are compared. The pointers to the last x87
 * instruction are not: processors keep them differently, and FXRSTOR does not load them everywhere. Nor is MXCSR_MASK,
 * which tells processors apart.
 */
export function ignoredImage(cases: Batch, index: number): ((address: bigint) => bigint) | undefined {
  const instruction = firstInstruction(cases, index);
  if (instruction === undefined) return undefined;
  let ignored: readonly (readonly [from: number, to: number])[];
  if (instruction.name.startsWith("fxsave"))
    ignored = [
      [6, 24],
      [28, 32],
    ];
  else if (instruction.name !== "fnsave" && instruction.name !== "fnstenv") return undefined;
  else ignored = instruction.operandWidth === 16 ? [[6, 14]] : [[12, 28]];
  const base = memoryAddress(cases, index, instruction);
  return (address) => {
    let mask = 0n;
    for (let i = 0; i < 8; i++) {
      const offset = Number(BigInt.asIntN(64, address - base)) + i;
      if (!ignored.some(([from, to]) => offset >= from && offset < to)) mask |= 255n << BigInt(8 * i);
    }
    return mask;
  };
}

/** The linear address of the memory operand of a case's only instruction. */
function memoryAddress(cases: Batch, index: number, instruction: Instruction): bigint {
  const { base, index: scaled, scale, addressWidth, segment } = instruction;
  const register = (number: number): bigint =>
    cases.view.getBigUint64(cases.stateOffset(index) + StateAt.gpr + 8 * number, true);
  let offset = (BigInt(instruction.displacementHigh) << 32n) | BigInt(instruction.displacement >>> 0);
  if (base === 16) offset += BigInt(cases.codeAddress(index) + instruction.length);
  else if (base >= 0) offset += register(base);
  if (scaled >= 0) offset += register(scaled) * BigInt(scale);
  const segmentBase = segment === 4 ? 0x1100_0400n : segment === 5 ? 0x1100_1000n : 0n;
  return BigInt.asUintN(cases.mode(index) === 64 ? 64 : 32, BigInt.asUintN(addressWidth, offset) + segmentBase);
}
