/**
 * An invented instruction set for tests of the engine: eight 64-bit registers, instructions of three bytes (operation,
 * register, operand). Register 7 is the link register, register 6 the stack pointer of `push` and `pop`. Jumps count in
 * instructions from the next one.
 */
import { blockKey, Flow, type Frontend, Op, type RegionBuilder, type StateSlot } from "@doppel/dbt-core";

export const REGISTER_OFFSET = 256;
const slots: readonly StateSlot[] = Array.from({ length: 8 }, (_, index) => ({
  name: `r${index}`,
  offset: REGISTER_OFFSET + 8 * index,
  type: "i64",
}));
const LINK = 7;
const STACK = 6;
const FILL_POINTER = 5;
export const INSTRUCTION_BYTES = 3;

/** Exit codes. */
export const Exit = { halt: 64, undefined: 65, trap: 66 } as const;

/** [operation, register, operand]; operand n is a register, a signed byte, or a distance. */
export const Code = {
  halt: 0,
  /** r = n */
  li: 1,
  /** r += register n */
  add: 2,
  /** r += n */
  addi: 3,
  /** r = the eight bytes at register n */
  load: 4,
  /** the eight bytes at r = register n */
  store: 5,
  /** goes n instructions on unless r = 0 */
  bnez: 6,
  jmp: 7,
  /** link = the next instruction; goes n instructions on */
  call: 8,
  /** goes to the link register */
  ret: 9,
  sub: 10,
  /** asks for service n */
  svc: 11,
  push: 12,
  pop: 13,
  /** r = register n */
  mov: 14,
  /** goes to register n */
  jr: 15,
  /** link = the next instruction; goes to register n */
  callr: 16,
  /** the byte at r = register n */
  storeb: 17,
  loadb: 18,
  /** leaves with `Exit.trap` and payload n unless r = 0 */
  trap: 19,
  /** r = the address of the next instruction, plus n */
  pc: 20,
  /** while r is not 0: the eight bytes at r5 = register n, r5 += 8, r -= 1. In two parts. */
  fill: 21,
  /** r = the eight bytes at register n, then register n += 8: a fault leaves both as they were */
  loadi: 22,
  /** r = bit 0 of the mode, which nothing else goes by */
  mode: 23,
} as const;
export const OPTIONAL_MODE = 1;

type Instruction = readonly [code: number, register: number, operand: number];
export type Program = readonly (readonly number[])[];

export function assemble(program: Program): Uint8Array {
  return Uint8Array.from(program.flatMap(([code = 0, register = 0, operand = 0]) => [code, register, operand & 0xff]));
}

const FLOWS: Readonly<Record<number, number>> = {
  [Code.halt]: Flow.stop,
  [Code.bnez]: Flow.branch,
  [Code.jmp]: Flow.jump,
  [Code.call]: Flow.call,
  [Code.ret]: Flow.return,
  [Code.svc]: Flow.service,
  [Code.jr]: Flow.indirectJump,
  [Code.callr]: Flow.indirectCall,
};

export class ToyFrontend implements Frontend {
  readonly slots: readonly StateSlot[] = slots;
  readonly helpers = [] as const;
  readonly optionalModeBits: number = OPTIONAL_MODE;
  usedModeBits = 0;
  private mode = 0;
  private readonly records: Instruction[] = [];

  decode(index: number, code: Uint8Array, position: number, end: number): number {
    if (position + INSTRUCTION_BYTES > end) return 0;
    this.records[index] = [code[position], code[position + 1] & 7, (code[position + 2] << 24) >> 24];
    return INSTRUCTION_BYTES;
  }
  flow(index: number): number {
    const [code] = this.records[index];
    return code > Code.mode ? Flow.stop : (FLOWS[code] ?? Flow.next);
  }
  displacement(index: number): number {
    return this.records[index][2] * INSTRUCTION_BYTES;
  }
  parts(index: number): number {
    return this.records[index][0] === Code.fill ? 2 : 1;
  }
  beginRegion(_builder: RegionBuilder, mode: number): void {
    this.mode = mode;
    this.usedModeBits = 0;
  }
  beginBlock(): void {}
  endBlock(): void {}

  lift(index: number, part: number, b: RegionBuilder): void {
    const [code, register, operand] = this.records[index];
    const other = operand & 7;
    const target = blockKey(b.nextOffset + operand * INSTRUCTION_BYTES);
    const next = blockKey(b.nextOffset);
    const add = (left: number, right: number): number => b.binary(Op.i64Add, left, right);
    const isNotZero = (): number => b.binary(Op.i64Ne, b.get(register), b.i64(0));
    switch (code) {
      case Code.halt:
        return b.exit(Exit.halt);
      case Code.li:
        return b.set(register, b.i64(operand));
      case Code.add:
        return b.set(register, add(b.get(register), b.get(other)));
      case Code.sub:
        return b.set(register, b.binary(Op.i64Sub, b.get(register), b.get(other)));
      case Code.addi:
        return b.set(register, add(b.get(register), b.i64(operand)));
      case Code.mov:
        return b.set(register, b.get(other));
      case Code.load:
        return b.set(register, b.load(Op.load64, b.get(other)));
      case Code.loadb:
        return b.set(register, b.unary(Op.i64ExtendI32U, b.load(Op.load8U, b.get(other))));
      case Code.loadi: {
        const address = b.get(other);
        b.set(other, add(address, b.i64(8)));
        return b.set(register, b.load(Op.load64, address));
      }
      case Code.store:
        return b.store(Op.store64, b.get(register), b.get(other));
      case Code.storeb:
        return b.store(Op.store8, b.get(register), b.unary(Op.i32WrapI64, b.get(other)));
      case Code.push: {
        const address = b.binary(Op.i64Sub, b.get(STACK), b.i64(8));
        b.set(STACK, address);
        return b.store(Op.store64, address, b.get(register));
      }
      case Code.pop: {
        const address = b.get(STACK);
        b.set(STACK, add(address, b.i64(8)));
        return b.set(register, b.load(Op.load64, address));
      }
      case Code.fill:
        return part === 0
          ? b.branch(isNotZero(), blockKey(b.instructionOffset, 1), next)
          : this.fill(register, other, b);
      case Code.trap:
        return b.exitIf(isNotZero(), Exit.trap, operand);
      case Code.pc:
        return b.set(register, b.address(b.nextOffset + operand));
      case Code.bnez:
        return b.branch(isNotZero(), target, next);
      case Code.jmp:
        return b.jump(target);
      case Code.jr:
        return b.jumpIndirect(b.get(other));
      case Code.call:
        b.set(LINK, b.address(b.nextOffset));
        return b.call(target, next);
      case Code.callr: {
        const address = b.get(other);
        b.set(LINK, b.address(b.nextOffset));
        return b.callIndirect(address, next);
      }
      case Code.ret:
        return b.return(b.get(LINK));
      case Code.svc:
        return b.service(operand, next);
      case Code.mode:
        this.usedModeBits = OPTIONAL_MODE;
        return b.set(register, b.i64(this.mode & OPTIONAL_MODE));
      default:
        return b.exit(Exit.undefined);
    }
  }

  private fill(register: number, value: number, b: RegionBuilder): void {
    const address = b.get(FILL_POINTER);
    b.store(Op.store64, address, b.get(value));
    b.set(FILL_POINTER, b.binary(Op.i64Add, address, b.i64(8)));
    b.set(register, b.binary(Op.i64Sub, b.get(register), b.i64(1)));
    b.jump(blockKey(b.instructionOffset));
  }
}
