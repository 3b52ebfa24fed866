/** Operands of instructions that the processor carries out itself, rather than translated code. */
import { type Instruction, type Operand, OperandKind, registerRip, Segment } from "@doppel/guest-x86";
import type { LinearMemory } from "./linear-memory.ts";
import type { Registers } from "./registers.ts";

const TWO_32 = 2 ** 32;
const RSP = 4;
const RBP = 5;

export class Operands {
  private readonly registers: Registers;
  private readonly memory: LinearMemory;
  /** Halves of what `read` found. */
  low = 0;
  high = 0;

  constructor(registers: Registers, memory: LinearMemory) {
    this.registers = registers;
    this.memory = memory;
  }

  /** Linear address of the memory operand. `rip` is that of the instruction. */
  address(instruction: Instruction, rip: number): number {
    const { registers } = this;
    const { base, index, addressWidth, segment } = instruction;
    // In 64 bits, by halves: sums wrap.
    let low = instruction.displacement >>> 0;
    let high = instruction.displacementHigh;
    const add = (addLow: number, addHigh: number): void => {
      const sum = low + (addLow >>> 0);
      low = sum % TWO_32;
      high = (high + addHigh + (sum >= TWO_32 ? 1 : 0)) | 0;
    };
    if (base === registerRip) {
      const next = rip + instruction.length;
      add(next | 0, Math.floor(next / TWO_32));
    } else if (base >= 0) {
      add(registers.low(base), registers.high(base));
    }
    if (index >= 0)
      for (let times = 0; times < instruction.scale; times++) add(registers.low(index), registers.high(index));
    if (addressWidth < 64) high = 0;
    if (addressWidth === 16) low &= 0xffff;
    const used = segment >= 0 ? segment : base === RSP || base === RBP ? Segment.ss : Segment.ds;
    const { long } = registers;
    if (!long || used >= Segment.fs) {
      const from = registers.base(used);
      add(from | 0, Math.floor(from / TWO_32));
    }
    return long ? high * TWO_32 + low : low;
  }

  /** Reads a register or memory operand into `low` and `high`. */
  read(instruction: Instruction, operand: Operand, rip: number, width: number = operand.width): void {
    if (operand.kind === OperandKind.mem) {
      this.memory.read(this.address(instruction, rip), width / 8, this.registers.cpl === 3);
      this.take(width);
    } else if (operand.kind === OperandKind.imm) {
      this.low = instruction.immediateLow;
      this.high = instruction.immediateHigh;
    } else {
      this.low = this.registers.low(operand.register);
      this.high = this.registers.high(operand.register);
    }
  }

  private take(width: number): void {
    const { scratch } = this.memory;
    this.high = width === 64 ? scratch.getInt32(4, true) : 0;
    this.low =
      width === 8 ? scratch.getUint8(0) : width === 16 ? scratch.getUint16(0, true) : scratch.getInt32(0, true);
  }

  /** Writes a general register as an instruction with an operand of `width` bits does. */
  writeRegister(register: number, width: number, low: number, high: number): void {
    const { registers } = this;
    if (width === 64) registers.set(register, low, high);
    else if (width === 32) registers.set(register, low, 0);
    else {
      const mask = width === 16 ? 0xffff : 0xff;
      registers.set(register, (registers.low(register) & ~mask) | (low & mask), registers.high(register));
    }
  }

  write(instruction: Instruction, operand: Operand, rip: number, low: number, high: number): void {
    if (operand.kind !== OperandKind.mem) {
      this.writeRegister(operand.register, operand.width, low, high);
      return;
    }
    const { scratch } = this.memory;
    scratch.setInt32(0, low, true);
    scratch.setInt32(4, high, true);
    this.memory.write(this.address(instruction, rip), operand.width / 8, this.registers.cpl === 3);
  }

  /** Pops `bytes` from the stack: the value is in `low` and `high`; the stack pointer is for the caller to move. */
  peek(bytes: number, offset = 0): void {
    const { registers } = this;
    const stack = registers.value(RSP);
    const at = registers.long ? stack + offset : (stack + offset + registers.base(Segment.ss)) >>> 0;
    this.memory.read(at, bytes, registers.cpl === 3);
    this.take(bytes * 8);
  }

  moveStack(bytes: number): void {
    const { registers } = this;
    const stack = registers.value(RSP) + bytes;
    if (registers.long) registers.setValue(RSP, stack);
    else registers.set(RSP, stack | 0, 0);
  }
}
