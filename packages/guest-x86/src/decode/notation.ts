// The vocabulary of the tables, numbered: operand places, operand sizes, properties of a form, dimensions of the opcode tree.
// The letters are those of forms/legend.ts.

/** Where an operand comes from; the letters of the legend. */
export const Place = {
  none: 0,
  E: 1,
  G: 2,
  M: 3,
  R: 4,
  Z: 5,
  V: 6,
  W: 7,
  U: 8,
  P: 9,
  Q: 10,
  N: 11,
  H: 12,
  B: 13,
  L: 14,
  S: 15,
  C: 16,
  D: 17,
  STi: 18,
  I: 19,
  Is: 20,
  K: 21,
  J: 22,
  O: 23,
  A: 24,
  fixedRegister: 25,
  fixedSegment: 26,
  ST0: 27,
  XMM0: 28,
  one: 29,
} as const;

export const sizeLetters = "_bwdqvzynxotpasefh";
/** Size letters, numbered. */
export const Size = {
  none: 0,
  b: 1,
  w: 2,
  d: 3,
  q: 4,
  v: 5,
  z: 6,
  y: 7,
  n: 8,
  x: 9,
  o: 10,
  t: 11,
  p: 12,
  a: 13,
  s: 14,
  e: 15,
  f: 16,
  h: 17,
} as const;

/**
 * Widths in bits by size letter and decoding state: `sizeBits[size << 5 | state]` with
 * state = operand size (0: 16, 1: 32, 2: 64) | W << 2 | 64-bit mode << 3 | VEX.L << 4.
 */
export const sizeBits: Uint16Array = new Uint16Array(sizeLetters.length << 5);
for (let state = 0; state < 32; state++) {
  const operandSize = state & 3;
  const long = (state & 8) !== 0;
  const v = 16 << operandSize;
  const z = operandSize === 0 ? 16 : 32;
  const y = long && (state & 4) !== 0 ? 64 : 32;
  const n = long ? 64 : 32;
  const x = (state & 16) !== 0 ? 256 : 128;
  const environment = operandSize === 0 ? 112 : 224;
  const widths = [
    0,
    8,
    16,
    32,
    64,
    v,
    z,
    y,
    n,
    x,
    128,
    80,
    16 + v,
    2 * v,
    long ? 80 : 48,
    environment,
    environment + 640,
    4096,
  ];
  for (let size = 0; size < widths.length; size++) sizeBits[(size << 5) | state] = widths[size];
}

/** Bits of `formBits`. */
export const FormBit = {
  lock: 0x1,
  rep: 0x2,
  default64: 0x4,
  force64: 0x8,
  modIgnored: 0x10,
  loadsSegment: 0x20,
  /** The condition is the low nibble of the opcode. */
  opcodeCondition: 0x40,
  vex: 0x80,
  modrm: 0x100,
  privileged: 0x200,
  ioPrivileged: 0x400,
  rest: 0x800,
  alias: 0x1000,
  invalid64: 0x2000,
  only64: 0x4000,
  /** The opcode's low three bits are a register. */
  opcodeRegister: 0x8000,
  /** The flags effect depends on the count not being zero. */
  conditionalFlags: 0x10000,
  /** VEX.vvvv is an operand; it must be 1111 otherwise. */
  usesVvvv: 0x20000,
  /** Flags are read as `condition` says. */
  readsCondition: 0x40000,
  /** ModRM.rm is part of the encoding (the byte is fixed), as opposed to an operand. */
  fixedRm: 0x80000,
  /** ModRM.reg is part of the encoding. */
  fixedReg: 0x100000,
} as const;

/** Opcode maps: one byte, 0F, 0F 38, 0F 3A, then VEX maps 1..3. */
export const mapCount = 7;
/** Entries of the opcode tree from here on are nodes; below, forms. */
export const firstNode = 2048;

/** What a node of the opcode tree looks at, in the order in which trees look. */
export const Dimension = {
  /** 0: 16- and 32-bit mode, 1: 64-bit mode. */
  mode: 0,
  /** Mandatory prefix: 0 none, 1 = 66, 2 = F3, 3 = F2. */
  prefix: 1,
  /** 0: memory, 1: register. */
  mod: 2,
  reg: 3,
  rm: 4,
  w: 5,
  b: 6,
  /** 0: 16, 1: 32, 2: 64 bits. */
  operandSize: 7,
  /** VEX.L. */
  l: 8,
} as const;
