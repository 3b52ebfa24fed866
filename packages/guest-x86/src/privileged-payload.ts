/**
 * What an instruction that leaves for the machine is, in the 32 bits of an exit's payload, so that it need not be
 * fetched and decoded again. Only instructions without memory operand and immediate fit; for others it says so.
 *
 * ```text
 *   0..9  mnemonic   10..13 length   14..17 kind, 18..21 register of operand 0   22..25, 26..29 of operand 1
 *  30..31 operand size: 8 << n
 * ```
 */
import { type Instruction, OperandKind } from "./decode/instruction.ts";

/** No instruction has length 0: decode it. */
export const UNPACKED = 0;

function widthCode(width: number): number {
  return width === 64 ? 3 : width === 32 ? 2 : width === 16 ? 1 : 0;
}

/** The payload for an instruction, or the mnemonic alone where it does not fit. */
export function packPrivileged(instruction: Instruction): number {
  const { mnemonic, length, operandCount, operands, operandWidth, rep } = instruction;
  if (operandCount > 2 || rep !== 0) return mnemonic;
  let packed = mnemonic | (length << 10);
  for (let index = 0; index < operandCount; index++) {
    const { kind, register, high } = operands[index as 0 | 1];
    const isRegister = kind === OperandKind.gpr || kind === OperandKind.control || kind === OperandKind.debug;
    if (!isRegister || high) return mnemonic;
    packed |= (kind | (register << 4)) << (14 + 8 * index);
  }
  return packed | (widthCode(operandWidth) << 30);
}

/** Fills in the instruction; false where the payload does not hold it. */
export function unpackPrivileged(payload: number, into: Instruction): boolean {
  const length = (payload >>> 10) & 15;
  if (length === UNPACKED) return false;
  const width = 8 << (payload >>> 30);
  into.mnemonic = payload & 0x3ff;
  into.length = length;
  into.operandWidth = width;
  into.rep = 0;
  into.operandCount = 0;
  for (let index = 0; index < 2; index++) {
    const operand = into.operands[index as 0 | 1];
    const code = payload >>> (14 + 8 * index);
    operand.kind = code & 15;
    operand.register = (code >>> 4) & 15;
    operand.width = width;
    operand.high = false;
    if (operand.kind !== OperandKind.none) into.operandCount = index + 1;
  }
  return true;
}
