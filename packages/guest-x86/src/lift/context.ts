/**
 * What every lifter works with: the instruction at hand, the builder, and how operands become values.
 *
 * Values of 8, 16 and 32 bits are i32 nodes, 64-bit ones i64. A narrow value's upper bits are unspecified unless the
 * function that made it says otherwise; `zeroExtend` and `signExtend` settle them. Writing a 32-bit register
 * clears its upper half, writing 8 or 16 bits keeps the rest (Intel SDM vol. 1, 3.4.1.1).
 */
import { Op, type RegionBuilder } from "@doppel/dbt-core";
import { type Instruction, type Operand, OperandKind, registerRip, Segment } from "../decode/instruction.ts";
import { packPrivileged } from "../privileged-payload.ts";
import { ExitCode, ModeBit, Slot, Vector } from "../state.ts";
import { isZeroExtended } from "./flag-algebra.ts";
import { FlagState } from "./flags.ts";

const noArguments: readonly number[] = [];

export type Lifter = (context: LiftContext, instruction: Instruction) => void;

export class LiftContext {
  b: RegionBuilder;
  instruction: Instruction;
  /** ModeBit word of the code being translated. */
  mode = 0;
  /** Optional bits of it that what has been lifted goes by. */
  usedModeBits = 0;
  /** Part of a multi-part instruction being lifted. */
  part = 0;
  /** The record of the last flag-setting instruction. */
  readonly flags: FlagState;

  private destinationAddress = -1;
  // Arguments of helper calls, so that a call allocates nothing.
  private readonly arguments1: [number] = [0];
  private readonly arguments2: [number, number] = [0, 0];
  private readonly arguments3: [number, number, number] = [0, 0, 0];
  private readonly arguments4: [number, number, number, number] = [0, 0, 0, 0];

  constructor(builder: RegionBuilder, instruction: Instruction) {
    this.b = builder;
    this.instruction = instruction;
    this.flags = new FlagState(builder);
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
      const narrow = b.unary(Op.i64ExtendI32U, this.zeroExtend(value, width));
      b.set(register, b.binary(Op.i64Or, kept, narrow));
    }
  }

  writeHighByte(register: number, value: number): void {
    const { b } = this;
    const kept = b.binary(Op.i64And, b.get(register), b.i64(~0xff00));
    const shifted = b.binary(Op.i32Shl, this.zeroExtend(value, 8), b.i32(8));
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
          ? this.wideConstant(instruction.immediateLow, instruction.immediateHigh, instruction.immediateAt)
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

  /** Reads an operand that is written afterwards: `writeDestination` uses the same address. */
  readDestination(operand: Operand): number {
    if (operand.kind !== OperandKind.mem) return this.readOperand(operand);
    this.destinationAddress = this.effectiveAddress();
    return this.loadMemory(this.destinationAddress, operand.width);
  }

  writeDestination(operand: Operand, value: number): void {
    if (operand.kind !== OperandKind.mem) this.writeOperand(operand, value);
    else this.storeMemory(this.destinationAddress, operand.width, value);
  }

  /** Whether both operands are the same register (or the same part of one). */
  sameRegister(first: Operand, second: Operand): boolean {
    return (
      first.kind === OperandKind.gpr &&
      second.kind === OperandKind.gpr &&
      first.register === second.register &&
      first.high === second.high
    );
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
    const displacement = this.wideConstant(
      instruction.displacement,
      instruction.displacementHigh,
      addressWidth === 64 ? instruction.displacementAt : 0,
    );
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

  /** The value of a field that is `at` bytes into the instruction, unless that is 0. */
  private wideConstant(low: number, high: number, at: number): number {
    const { b } = this;
    return at > 0 && high === low >> 31 ? b.field(low, b.instructionOffset + at) : b.i64(low, high);
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
    if (width >= 32 || isZeroExtended(this.b, value, width)) return value;
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

  // Values that are whole, whatever the width: a narrow one's arithmetic is done in 32 bits.

  constant(value: number, width: number): number {
    return width === 64 ? this.b.i64(value) : this.b.i32(value);
  }

  /** `op32` for widths up to 32, `op64` for 64. */
  binary(op32: number, op64: number, a: number, b: number, width: number): number {
    return this.b.binary(width === 64 ? op64 : op32, a, b);
  }

  /** The low half of a 64-bit value, or a narrower value, as i32. */
  toI32(value: number, width: number): number {
    return width === 64 ? this.b.unary(Op.i32WrapI64, value) : value;
  }

  /** A value of any width as an i64, sign-extended. */
  toI64Signed(value: number, width: number): number {
    return width === 64 ? value : this.b.unary(Op.i64ExtendI32S, this.signExtend(value, width));
  }

  /** An i32 as a value of `width` bits, zero-extended. */
  fromI32(value: number, width: number): number {
    return width === 64 ? this.b.unary(Op.i64ExtendI32U, value) : value;
  }

  // The stack (Intel SDM vol. 1, 6.2): addressed with 64 bits in 64-bit mode, else 32, in 16-bit segments 16.

  get stackWidth(): number {
    return this.long ? 64 : (this.mode & ModeBit.small) === 0 ? 32 : 16;
  }

  /** The linear address `offset` bytes from a stack pointer value (i64). */
  stackAddress(pointer: number, offset: number): number {
    const { b } = this;
    const { stackWidth } = this;
    const sum = b.binary(Op.i64Add, pointer, b.i64(offset));
    return this.linearAddress(stackWidth === 64 ? sum : this.truncateAddress(sum, stackWidth), Segment.ss);
  }

  /** Sets rSP to `pointer` (i64) plus `offset`, in the stack's width. */
  setStackPointer(pointer: number, offset: number): void {
    const { b } = this;
    this.setPointer(Slot.rsp, b.binary(Op.i64Add, pointer, b.i64(offset)), this.stackWidth);
  }

  /** Sets a register to an i64 of which the low `width` bits count. */
  setPointer(register: number, value: number, width: number): void {
    if (width === 64) this.b.set(register, value);
    else this.writeRegister(register, width, this.b.unary(Op.i32WrapI64, value));
  }

  push(value: number, width: number): void {
    const pointer = this.b.get(Slot.rsp);
    this.storeMemory(this.stackAddress(pointer, -width / 8), width, value);
    this.setStackPointer(pointer, -width / 8);
  }

  /** Loads what is on top of the stack; `extra` more bytes are released with it. */
  pop(width: number, extra = 0): number {
    const pointer = this.b.get(Slot.rsp);
    const value = this.loadMemory(this.stackAddress(pointer, 0), width);
    this.setStackPointer(pointer, width / 8 + extra);
    return value;
  }

  // Helpers.

  helper0(helper: number): number {
    return this.b.callHelper(helper, noArguments);
  }
  helper1(helper: number, a: number): number {
    this.arguments1[0] = a;
    return this.b.callHelper(helper, this.arguments1);
  }
  helper2(helper: number, a: number, b: number): number {
    this.arguments2[0] = a;
    this.arguments2[1] = b;
    return this.b.callHelper(helper, this.arguments2);
  }
  helper3(helper: number, a: number, b: number, c: number): number {
    this.arguments3[0] = a;
    this.arguments3[1] = b;
    this.arguments3[2] = c;
    return this.b.callHelper(helper, this.arguments3);
  }
  helper4(helper: number, a: number, b: number, c: number, d: number): number {
    this.arguments4[0] = a;
    this.arguments4[1] = b;
    this.arguments4[2] = c;
    this.arguments4[3] = d;
    return this.b.callHelper(helper, this.arguments4);
  }

  /** A 64-bit value of two i32 halves. */
  joinHalves(low: number, high: number): number {
    const { b } = this;
    const upper = b.binary(Op.i64Shl, b.unary(Op.i64ExtendI32U, high), b.i64(32));
    return b.binary(Op.i64Or, b.unary(Op.i64ExtendI32U, low), upper);
  }

  highHalf(value: number): number {
    const { b } = this;
    return b.unary(Op.i32WrapI64, b.binary(Op.i64ShrU, value, b.i64(32)));
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

  /** Leaves for whoever owns the machine to carry the instruction out. */
  privileged(): void {
    this.b.exit(ExitCode.privileged, packPrivileged(this.instruction));
  }

  undefinedInstruction(): void {
    this.raise(Vector.invalidOpcode);
  }
}
