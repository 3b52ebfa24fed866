/**
 * The AES instructions: one round, forward or inverse, on sixteen bytes, column after column (FIPS 197; Intel SDM vol. 2,
 * AESENC …). Tables are made from the field's arithmetic when first wanted.
 */
export const AesOperation = {
  encrypt: 0,
  encryptLast: 1,
  decrypt: 2,
  decryptLast: 3,
  inverseMix: 4,
  assist: 5,
} as const;

/** Operands A and B are at word `at` and 16 words on, the result goes 32 words on. */
export type Aes = (i32: Int32Array, at: number, operation: number, immediate: number) => void;

/** Times x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
function double(value: number): number {
  return ((value << 1) ^ ((value & 0x80) !== 0 ? 0x1b : 0)) & 0xff;
}

function multiply(a: number, b: number): number {
  let product = 0;
  let power = a;
  for (let rest = b; rest !== 0; rest >>= 1) {
    if ((rest & 1) !== 0) product ^= power;
    power = double(power);
  }
  return product;
}

interface Tables {
  readonly substitute: Uint8Array;
  readonly inverse: Uint8Array;
  /** A byte's contribution to its column by MixColumns, for row 0; other rows are rotations. */
  readonly mix: Int32Array;
  readonly unmix: Int32Array;
}

function makeTables(): Tables {
  const substitute = new Uint8Array(256);
  const inverse = new Uint8Array(256);
  const mix = new Int32Array(256);
  const unmix = new Int32Array(256);
  // 3 generates the field: p runs through its powers, q through their inverses (powers of 1/3 = 0xf6).
  let p = 1;
  let q = 1;
  do {
    p = double(p) ^ p;
    q = multiply(q, 0xf6);
    const spread = q ^ (q << 1) ^ (q << 2) ^ (q << 3) ^ (q << 4);
    substitute[p] = (spread ^ (spread >> 8) ^ 0x63) & 0xff;
  } while (p !== 1);
  substitute[0] = 0x63;
  for (let value = 0; value < 256; value++) {
    inverse[substitute[value]] = value;
    mix[value] = multiply(value, 2) | (value << 8) | (value << 16) | (multiply(value, 3) << 24);
    unmix[value] =
      multiply(value, 14) | (multiply(value, 9) << 8) | (multiply(value, 13) << 16) | (multiply(value, 11) << 24);
  }
  return { substitute, inverse, mix, unmix };
}

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

function mixColumn(table: Int32Array, word: number): number {
  return (
    table[word & 0xff] ^
    rotate(table[(word >>> 8) & 0xff], 8) ^
    rotate(table[(word >>> 16) & 0xff], 16) ^
    rotate(table[word >>> 24], 24)
  );
}

export function createAes(): Aes {
  let tables: Tables | undefined;
  const state = new Int32Array(4);

  const substituteWord = (table: Uint8Array, word: number): number =>
    table[word & 0xff] |
    (table[(word >>> 8) & 0xff] << 8) |
    (table[(word >>> 16) & 0xff] << 16) |
    (table[word >>> 24] << 24);

  return (i32, at, operation, immediate) => {
    const { substitute, inverse, mix, unmix } = (tables ??= makeTables());
    const to = at + 32;
    if (operation === AesOperation.assist) {
      // The source is operand A here.
      const low = substituteWord(substitute, i32[at + 1]);
      const high = substituteWord(substitute, i32[at + 3]);
      i32[to] = low;
      i32[to + 1] = rotate(low, 24) ^ (immediate & 0xff);
      i32[to + 2] = high;
      i32[to + 3] = rotate(high, 24) ^ (immediate & 0xff);
      return;
    }
    if (operation === AesOperation.inverseMix) {
      for (let column = 0; column < 4; column++) i32[to + column] = mixColumn(unmix, i32[at + column]);
      return;
    }
    const forward = operation <= AesOperation.encryptLast;
    const last = (operation & 1) !== 0;
    // ShiftRows: row r of column c comes from column c + r, or c - r the other way.
    const step = forward ? 1 : 3;
    const box = forward ? substitute : inverse;
    for (let column = 0; column < 4; column++) {
      const word =
        (i32[at + column] & 0xff) |
        (i32[at + ((column + step) & 3)] & 0xff00) |
        (i32[at + ((column + 2) & 3)] & 0xff0000) |
        (i32[at + ((column + 3 * step) & 3)] & 0xff000000);
      const substituted = substituteWord(box, word);
      state[column] = last ? substituted : mixColumn(forward ? mix : unmix, substituted);
    }
    for (let column = 0; column < 4; column++) i32[to + column] = state[column] ^ i32[at + 16 + column];
  };
}
