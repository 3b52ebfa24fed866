/**
 * What every lifter works with: the instruction at hand, the builder, and how operands become values.
 *
 * Values of 8, 16 and 32 bits are i32 nodes, 64-bit ones i64. A narrow value's upper bits are unspecified unless the
 * function that made it says otherwise; `zeroExtend` and `signExtend` settle them. Writing a 32-bit register
 * clears its upper half, writing 8 or 16 bits keeps the rest (Intel SDM vol. 1, 3.4.1.1).
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import { type Instruction, type Operand, OperandKind, registerRip, Segment } from "../decode/instruction.ts";
import { ExitCode, ModeBit, Slot, Vector } from "../state.ts";

export type Lifter = (context: LiftContext, instruction: Instruction) => void;

export class LiftContext {
  b: RegionBuilder;
  instruction: Instruction;
  /** ModeBit word of the code being translated. */
  mode = 0;
  /** Part of a multi-part instruction being lifted. */
  part = 0;

  constructor(builder: RegionBuilder, instruction: Instruction) {
    this.b = builder;
    this.instruction = instruction;
  }

  get long(): boolean {
    return (this.mode & ModeBit.long) !== 0;
  }

  // Registers.

  /** A general register's low `width` bits; upper bits of a narrow value are unspecified. */
  readRegister(register: number, width: number): number {
    const whole = this.b.get(register);
    return width === 64 ? whole : this.b.unary(Op.i32WrapI64, whole);
  }

  /** AH, CH, DH, BH, zero-extended. */
  readHighByte(register: number): number {
    const { b } = this;
    const low = b.unary(Op.i32WrapI64, b.get(register));
    return b.binary(Op.i32And, b.binary(Op.i32ShrU, low, b.i32(8)), b.i32(0xff));
  }

  writeRegister(register: number, width: number, value: number): void {
    const { b } = this;
    if (width === 64) {
      b.set(register, value);
    } else if (width === 32) {
      b.set(register, b.unary(Op.i64ExtendI32U, value));
    } else {
      const mask = width === 8 ? 0xff : 0xffff;
      const kept = b.binary(Op.i64And, b.get(register), b.i64(~mask));
      const narrow = b.unary(Op.i64ExtendI32U, b.binary(Op.i32And, value, b.i32(mask)));
      b.set(register, b.binary(Op.i64Or, kept, narrow));
    }
  }

  writeHighByte(register: number, value: number): void {
    const { b } = this;
    const kept = b.binary(Op.i64And, b.get(register), b.i64(~0xff00));
    const shifted = b.binary(Op.i32Shl, b.binary(Op.i32And, value, b.i32(0xff)), b.i32(8));
    b.set(register, b.binary(Op.i64Or, kept, b.unary(Op.i64ExtendI32U, shifted)));
  }

  // Operands.

  readOperand(operand: Operand, width: number = operand.width): number {
    const { b, instruction } = this;
    switch (operand.kind) {
      case OperandKind.gpr:
        return operand.high ? this.readHighByte(operand.register) : this.readRegister(operand.register, width);
      case OperandKind.mem:
        return this.loadMemory(this.effectiveAddress(), width);
      case OperandKind.imm:
        return width === 64
          ? b.i64(instruction.immediateLow, instruction.immediateHigh)
          : b.i32(instruction.immediateLow);
      default:
        throw new Error(`${instruction.name}: operand kind ${operand.kind} is no integer`);
    }
  }

  /** Writes a register, or memory at `address` (which a read-modify-write has computed already). */
  writeOperand(operand: Operand, value: number, address?: number): void {
    if (operand.kind === OperandKind.mem) {
      this.storeMemory(address ?? this.effectiveAddress(), operand.width, value);
    } else if (operand.high) {
      this.writeHighByte(operand.register, value);
    } else {
      this.writeRegister(operand.register, operand.width, value);
    }
  }

  /** Integer load of 8 to 64 bits; 8- and 16-bit values are zero-extended. */
  loadMemory(address: number, width: number): number {
    const op = width === 8 ? Op.load8U : width === 16 ? Op.load16U : width === 32 ? Op.load32 : Op.load64;
    return this.b.load(op, address);
  }

  storeMemory(address: number, width: number, value: number): void {
    const op = width === 8 ? Op.store8 : width === 16 ? Op.store16 : width === 32 ? Op.store32 : Op.store64;
    this.b.store(op, address, value);
  }

  // Addresses.

  /** The memory operand's linear address: segment base plus effective address, as an i64 node. */
  effectiveAddress(): number {
    return this.linearAddress(this.addressOffset(), this.memorySegment());
  }

  /** The memory operand's offset without its segment (what LEA computes), truncated to the address size. */
  addressOffset(): number {
    const { b, instruction } = this;
    const { addressWidth } = instruction;
    if (instruction.base === registerRip) {
      const address = b.address(b.nextOffset + instruction.displacement);
      return addressWidth === 64 ? address : this.truncateAddress(address, addressWidth);
    }
    const displacement = b.i64(instruction.displacement, instruction.displacementHigh);
    let sum = -1;
    if (instruction.index >= 0) {
      const shift = instruction.scale === 8 ? 3 : instruction.scale === 4 ? 2 : instruction.scale === 2 ? 1 : 0;
      sum = b.binary(Op.i64Shl, b.get(instruction.index), b.i64(shift));
    }
    if (instruction.base >= 0) {
      const base = b.get(instruction.base);
      sum = sum < 0 ? base : b.binary(Op.i64Add, base, sum);
    }
    sum = sum < 0 ? displacement : b.binary(Op.i64Add, sum, displacement);
    return addressWidth === 64 ? sum : this.truncateAddress(sum, addressWidth);
  }

  /** Adds the base of `segment` where that can be other than 0. */
  linearAddress(offset: number, segment: number): number {
    const { b } = this;
    const based = this.long
      ? segment === Segment.fs || segment === Segment.gs
      : segment >= 0 && (segment >= Segment.fs || (this.mode & ModeBit.segmented) !== 0);
    if (!based) return offset;
    const sum = b.binary(Op.i64Add, offset, b.get(Slot.segmentBase + segment));
    return this.long ? sum : this.truncateAddress(sum, 32);
  }

  /** The segment a memory operand uses: the override, else SS for stack-based addresses, else DS. */
  memorySegment(): number {
    const { instruction } = this;
    if (instruction.segment >= 0) return instruction.segment;
    return instruction.base === Slot.rsp || instruction.base === Slot.rbp ? Segment.ss : Segment.ds;
  }

  truncateAddress(address: number, width: number): number {
    const { b } = this;
    if (width === 16) return b.binary(Op.i64And, address, b.i64(0xffff));
    return b.unary(Op.i64ExtendI32U, b.unary(Op.i32WrapI64, address));
  }

  // Narrow values.

  zeroExtend(value: number, width: number): number {
    if (width >= 32) return value;
    return this.b.binary(Op.i32And, value, this.b.i32(width === 8 ? 0xff : 0xffff));
  }

  signExtend(value: number, width: number): number {
    if (width >= 32) return value;
    return this.b.unary(width === 8 ? Op.i32Extend8S : Op.i32Extend16S, value);
  }

  /** A value of any width as an i64, zero-extended. */
  toI64(value: number, width: number): number {
    return width === 64 ? value : this.b.unary(Op.i64ExtendI32U, this.zeroExtend(value, width));
  }

  // Exceptions.

  /** Raises exception `vector` when `condition` is not zero, with the state before the instruction. */
  raiseIf(condition: number, vector: number, errorCode = 0): void {
    this.b.exitIf(condition, ExitCode.exception + vector, errorCode);
  }

  /** Ends the block by raising an exception. */
  raise(vector: number, errorCode = 0): void {
    this.b.exit(ExitCode.exception + vector, errorCode);
  }

  undefinedInstruction(): void {
    this.raise(Vector.invalidOpcode);
  }
}
