// How to read the instruction tables in this folder. One row is one instruction form, in the notation of the Intel SDM (volume 2,
// chapter 3.1.1 for encodings, appendix A for operands); everything else about decoding derives from these rows.
//
//   mnemonic | encoding | operands | flags | feature | attributes
//
// ENCODING, left to right:
//   NP 66 F3 F2   the mandatory prefix: none of the three, or that one (F3 and F2 beat 66; the last of F3 and F2 counts)
//   NFx NF3       neither F3 nor F2 (66 is an operand size); anything but F3
//   W0 W1 B0      REX.W must be 0, 1; REX.B must be 0
//   VEX.L.pp.map.W  as in the SDM: L = 128 256 LZ LIG, pp = NP 66 F3 F2, map = 0F 0F38 0F3A, W = W0 W1 WIG
//   0F 38 00      opcode bytes; 50+r: the low three bits are a register; 70+cc: the low four bits are a condition
//   /r /0../7     a ModRM byte, or one whose reg field is this digit
//   C8, C0+i      a hexadecimal byte after the opcode: a ModRM byte with exactly this value; +i: any r/m
//
// OPERANDS, destination first; a letter for the place and one for the size, or a fixed register:
//   E G M R  general: ModRM r/m register or memory; reg; memory only; r/m register only      Z  opcode's low three bits
//   V W U    xmm: reg; r/m register or memory; r/m register only      H  xmm in VEX.vvvv      L  xmm in imm8[7:4]
//   P Q N    mmx: reg; r/m register or memory; r/m register only      B  general register in VEX.vvvv
//   S C D    segment, control, debug register in ModRM reg            STi  x87 register in ModRM r/m
//   I  immediate, zero-extended if b or w, else sign-extended         Is  immediate byte, sign-extended to the operand size
//   K  second immediate, zero-extended
//   J  branch displacement      O  memory at an address in the instruction      A  far pointer in the instruction
//   AL CL AX DX rAX eAX ES CS SS DS FS GS ST0 XMM0, and the constant 1. Two letters with a slash: register / memory form (Rd/Mb).
// sizes:
//   b w d q  8 16 32 64 bits      v  16 32 64, the operand size      z  16 32 32      y  32, or 64 with REX.W
//   n  the mode's own: 64 in 64-bit mode, else 32      x  128 or 256 by VEX.L (128 without VEX)      o  128 (octaword)
//   t  80     p  far pointer: 16 + operand size     a  two of the operand size     s  descriptor-table register: 48, or 80
//   e f h    x87 environment (112 or 224 bits), x87 state (752 or 864), FXSAVE area (4096)      _  no size of its own
// An xmm register operand is always the whole register; the size is that of its memory alternative.
//
// FLAGS of EFLAGS, each group optional: r= read, w= written by the result, 0= cleared, 1= set, u= left undefined; the letters are
//   o s z a p c, d i (direction, interrupt), k (AC), and * for all of them. cc: read as the condition says. ?: only if the
//   count (shift or REP) is not zero.
//
// FEATURE: what CPUID must announce, empty for what every processor has (i486 in 32-bit mode, x86-64 in 64-bit mode).
//
// ATTRIBUTES:
//   i64 invalid in 64-bit mode      o64 only in 64-bit mode
//   d64 operand size 64 by default in 64-bit mode (66 makes it 16)      f64 always 64 there (66 is ignored, as on Intel's processors)
//   lock LOCK may stand before the form with a memory destination
//   rep REP, repe REPE and REPNE, may stand before it
//   cpl0 privileged      iopl allowed by IOPL (or the I/O permission map)
//   jump branch call return ijump icall system undefined   flow, see `Flow`
//   byte word z y  the operand size is 8, or 16, or that of `z` or `y`, whatever the operands say      mod  ModRM.mod is ignored: a register
//   seg  operand 0 is a segment register that is loaded: CS is undefined
//   osz16 osz32 osz64  only with this operand size, or these
//   cc2…11 the condition, where the opcode does not hold it
//   alias another encoding is the documented one      rest  gives way to other rows that match the same bytes
/** The text of one family: one row per line, columns separated by `|`. */
export type Table = string;
