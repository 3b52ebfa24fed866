/**
 * An invented instruction set of a dozen instructions, as @doppel/dbt-core wants to know it: how long an instruction is,
 * how it passes control on, and what it means in the intermediate representation.
 *
 * Sixteen registers of 64 bits. Four bytes an instruction: operation, and three operands a, b, c; `c` may be a register
 * or a signed byte, and jumps count in instructions from the next one. r15 is the link register, r14 the stack's.
 */
import {
  blockKey,
  Flow,
  type Frontend,
  type HelperDeclaration,
  Op,
  type RegionBuilder,
  type StateSlot,
} from "@doppel/dbt-core";

export const REGISTERS = 256;
export const LINK = 15;
const INSTRUCTION_BYTES = 4;

export const Exit = { halt: 64, undefined: 65 } as const;

export const Code = {
  halt: 0,
  /** a = b * 256 + c */
  set: 1,
  /** a = b + c */
  add: 2,
  sub: 3,
  /** a = b + the number c */
  addNumber: 4,
  /** the eight bytes (the byte) at b + the number c */
  load: 5,
  store: 6,
  loadByte: 7,
  storeByte: 8,
  /** goes c instructions on unless a is 0 */
  branch: 9,
  /** r15 = the next instruction; goes c instructions on */
  call: 10,
  /** goes to r15 */
  return: 11,
  /** asks the supervisor for service c */
  service: 12,
} as const;

type Instruction = readonly [code: number, a?: number, b?: number, c?: number];
export type Program = readonly Instruction[];

export function assemble(program: Program): Uint8Array {
  return Uint8Array.from(program.flatMap(([code, a = 0, b = 0, c = 0]) => [code, a, b, c & 0xff]));
}

const flows: Readonly<Record<number, number>> = {
  [Code.halt]: Flow.stop,
  [Code.branch]: Flow.branch,
  [Code.call]: Flow.call,
  [Code.return]: Flow.return,
  [Code.service]: Flow.service,
};

export class InventedFrontend implements Frontend {
  readonly slots: readonly StateSlot[] = Array.from({ length: 16 }, (_, index) => ({
    name: `r${index}`,
    offset: REGISTERS + 8 * index,
    type: "i64",
  }));
  /** For functions that are native; see native-function.ts. */
  readonly helpers: readonly HelperDeclaration[] = [
    { name: "native", parameters: ["i32"], result: "i32", reads: "all", writes: "all", exits: false },
  ];
  private readonly records: Required<Instruction>[] = [];

  decode(index: number, code: Uint8Array, position: number, end: number): number {
    if (position + INSTRUCTION_BYTES > end) return 0;
    const [operation, a, b, c] = code.subarray(position, position + INSTRUCTION_BYTES);
    this.records[index] = [operation, a & 15, b, (c << 24) >> 24];
    return INSTRUCTION_BYTES;
  }
  flow(index: number): number {
    const [code] = this.records[index];
    return code > Code.service ? Flow.stop : (flows[code] ?? Flow.next);
  }
  displacement(index: number): number {
    return this.records[index][3] * INSTRUCTION_BYTES;
  }
  parts(): number {
    return 1;
  }
  beginRegion(): void {}
  beginBlock(): void {}
  endBlock(): void {}

  lift(index: number, _part: number, b: RegionBuilder): void {
    const [code, a, second, number] = this.records[index];
    const target = blockKey(b.nextOffset + number * INSTRUCTION_BYTES);
    const next = blockKey(b.nextOffset);
    const left = (): number => b.get(second & 15);
    const right = (): number => b.get(number & 15);
    const address = (): number => b.binary(Op.i64Add, left(), b.i64(number));
    switch (code) {
      case Code.halt:
        return b.exit(Exit.halt);
      case Code.set:
        return b.set(a, b.i64(second * 256 + (number & 0xff)));
      case Code.add:
        return b.set(a, b.binary(Op.i64Add, left(), right()));
      case Code.sub:
        return b.set(a, b.binary(Op.i64Sub, left(), right()));
      case Code.addNumber:
        return b.set(a, address());
      case Code.load:
        return b.set(a, b.load(Op.load64, address()));
      case Code.loadByte:
        return b.set(a, b.unary(Op.i64ExtendI32U, b.load(Op.load8U, address())));
      case Code.store:
        return b.store(Op.store64, address(), b.get(a));
      case Code.storeByte:
        return b.store(Op.store8, address(), b.unary(Op.i32WrapI64, b.get(a)));
      case Code.branch:
        return b.branch(b.binary(Op.i64Ne, b.get(a), b.i64(0)), target, next);
      case Code.call:
        b.set(LINK, b.address(b.nextOffset));
        return b.call(target, next);
      case Code.return:
        return b.return(b.get(LINK));
      case Code.service:
        return b.service(number, next);
      default:
        return b.exit(Exit.undefined);
    }
  }
}
