// What the decoder fills in and the lifters read: one flat, reusable record per instruction.
//
// Every field is an integer (or a boolean) that is always present, so that the record keeps one hidden class, and
// decoding writes it in place without allocating. Nothing here is derived lazily: a lifter may read any field
// that its instruction's form defines; fields a form does not define keep the neutral value noted beside them.
import { mnemonicNames } from "./mnemonics.ts";

export { Mnemonic, mnemonicNames } from "./mnemonics.ts";
export type { MnemonicName } from "./mnemonics.ts";

/** The processor mode, as the default operand and address size of the code segment. */
export type Mode = 16 | 32 | 64;

export const OperandKind = {
  none: 0,
  /** General register; `register` 0..15, `width` 8..64. With `high`, `register` 0..3 means AH, CH, DH, BH. */
  gpr: 1,
  /** The memory operand described by `base`, `index`, `scale`, `displacement`, `segment`. */
  mem: 2,
  /** `immediateLow` and `immediateHigh`, already extended to 64 bits as the instruction defines it. */
  imm: 3,
  /** XMM register, YMM when `width` is 256. */
  xmm: 4,
  mmx: 5,
  /** x87 stack register ST(`register`). */
  st: 6,
  /** `register` 0..5 = ES CS SS DS FS GS. */
  segment: 7,
  control: 8,
  debug: 9,
  /** Opmask register; reserved for EVEX. */
  mask: 10,
  /** Direct near branch: `target`, relative to the end of the instruction. */
  relative: 11,
  /** Direct far pointer: the offset in `immediateLow`, the selector in `immediate2`. */
  far: 12,
  /** The second immediate of ENTER, EXTRQ and INSERTQ: `immediate2`. */
  imm2: 13,
} as const;

/** How control leaves the instruction. Everything but `next` ends a block. */
export const Flow = {
  next: 0,
  /** Direct unconditional jump: `target`. */
  jump: 1,
  /** Direct conditional jump (Jcc, LOOP, JCXZ): `target` or the next instruction. */
  branch: 2,
  /** Direct call: `target`. */
  call: 3,
  /** Near return. */
  return: 4,
  indirectJump: 5,
  indirectCall: 6,
  /** SYSCALL, INT, HLT, IRET, far transfers, and what changes the mode or address translation (MOV to CR). */
  system: 7,
  /** UD0, UD1, UD2: the instruction exists to raise #UD. */
  undefined: 8,
} as const;

/** `base` of a RIP-relative memory operand; the displacement counts from the end of the instruction. */
export const registerRip = 16;

export const Segment = { none: -1, es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 } as const;

export class Operand {
  /** One of {@link OperandKind}. */
  kind: number = 0;
  /** Register number within its kind; 0 for memory and immediates. */
  register: number = 0;
  /**
   * Bits this operand is read or written with: 8..256, 48 or 80 for far pointers and x87, 0 where the size depends on
   * the processor's state (XSAVE) or nothing is accessed (LEA, INVLPG, prefetches).
   */
  width: number = 0;
  /** AH, CH, DH, BH: `register` is 0..3 and the operand is bits 8..15 of that register. */
  high: boolean = false;
}

export class Instruction {
  /** Index into `mnemonicNames`; compare with `Mnemonic.add` etc. */
  mnemonic: number = 0;
  /** Index of the row in `forms`, for declared properties (flags, feature, privilege). */
  form: number = 0;
  /** Bytes, 1..15. */
  length: number = 0;
  /** Where it stands relative to the region's start; the caller's field, `decode` leaves it alone. */
  offset: number = 0;
  /**
   * Effective operand size in bits: 8, 16, 32 or 64. For string, stack and I/O instructions the size of the item moved.
   * For vector and x87 forms it says nothing; ask the operands.
   */
  operandWidth: number = 0;
  /** Effective address size in bits: 16, 32 or 64. Also selects CX/ECX/RCX of LOOP, JCXZ and REP. */
  addressWidth: number = 0;

  /** Explicit operands in Intel order, destination first. Implicit ones (string instructions, MUL's rAX) are absent. */
  operandCount: number = 0;
  readonly operands: readonly [Operand, Operand, Operand, Operand] = [
    new Operand(),
    new Operand(),
    new Operand(),
    new Operand(),
  ];

  // The memory operand; at most one. Undefined content unless an operand has kind `mem`.
  /** 0..15, `registerRip`, or -1. */
  base: number = -1;
  /** 0..15 or -1. */
  index: number = -1;
  /** 1, 2, 4 or 8. */
  scale: number = 1;
  /** Low 32 bits, sign-extended from the encoding (i32). The sum is truncated to `addressWidth`. */
  displacement: number = 0;
  /** High 32 bits: the sign of `displacement`, or the upper half of a 64-bit MOV offset. */
  displacementHigh: number = 0;
  /** Where in the instruction the displacement is, if it is one of 32 bits in the memory operand; else 0. */
  displacementAt: number = 0;
  /** Segment override with effect (ES, CS, SS, DS have none in 64-bit mode): -1 none, 0..5 = ES CS SS DS FS GS. */
  segment: number = -1;

  /** Low 32 bits of the immediate (i32). */
  immediateLow: number = 0;
  /** High 32 bits of the immediate (i32): its sign, zero, or the upper half of MOV r64, imm64. */
  immediateHigh: number = 0;
  /** Where in the instruction the low half of the immediate is, if it has 32 bits or 64; else 0. */
  immediateAt: number = 0;
  /** Second immediate: ENTER's nesting level, EXTRQ/INSERTQ's index, a far pointer's selector. */
  immediate2: number = 0;

  /** Condition of Jcc, SETcc, CMOVcc, FCMOVcc as in the low nibble of Jcc: 0 = O, 1 = NO, 2 = B … 15 = NLE. */
  condition: number = 0;
  /** LOCK stands before it; only ever true on a lockable form with a memory destination. */
  lock: boolean = false;
  /** 0, or 0xf3 (REP, REPE) / 0xf2 (REPNE) before a string instruction. Elsewhere the prefix is no repetition: 0. */
  rep: number = 0;

  /** One of {@link Flow}. */
  flow: number = 0;
  /** Direct branches: displacement from the END of the instruction (i32). */
  target: number = 0;

  /** VEX-encoded. */
  vex: boolean = false;
  /** 128 or 256 when `vex`; 0 otherwise. */
  vectorWidth: number = 0;

  get o0(): Operand {
    return this.operands[0];
  }
  get o1(): Operand {
    return this.operands[1];
  }
  get o2(): Operand {
    return this.operands[2];
  }
  get o3(): Operand {
    return this.operands[3];
  }

  /** Mnemonic in Intel's spelling, for messages and logs. */
  get name(): string {
    return mnemonicNames[this.mnemonic];
  }
}
