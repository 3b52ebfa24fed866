/**
 * The operations that flag rules are written in. What a value is, is the driver's choice: a number, a bigint, a node of
 * an intermediate representation. A *bit* is a value that is 0 or 1.
 */
export interface FlagAlgebra<V> {
  constant(value: number, width: number): V;
  bit(value: boolean): V;
  /** A bit as a value of `width` bits. */
  widen(bit: V, width: number): V;
  add(a: V, b: V, width: number): V;
  subtract(a: V, b: V, width: number): V;
  and(a: V, b: V, width: number): V;
  xor(a: V, b: V, width: number): V;
  shiftLeft(a: V, count: number, width: number): V;
  // Questions about values; the answers are bits.
  isZero(a: V, width: number): V;
  isNegative(a: V, width: number): V;
  /** Whether the low byte has an even number of ones. */
  evenParity(a: V, width: number): V;
  testBit(a: V, index: number, width: number): V;
  equal(a: V, b: V, width: number): V;
  lessUnsigned(a: V, b: V, width: number): V;
  lessSigned(a: V, b: V, width: number): V;
  lessOrEqualUnsigned(a: V, b: V, width: number): V;
  lessOrEqualSigned(a: V, b: V, width: number): V;
  /** Whether the product of two integers does not fit `width` bits. */
  productOverflows(a: V, b: V, width: number, signed: boolean): V;
  /** As floating-point numbers of 32 or 64 bits; false where either is not a number. */
  floatLess(a: V, b: V, width: number): V;
  floatGreaterOrEqual(a: V, b: V, width: number): V;
  // Bits.
  not(a: V): V;
  both(a: V, b: V): V;
  either(a: V, b: V): V;
  differ(a: V, b: V): V;
}

/** Values of up to 32 bits as JavaScript numbers, whose bits above `width` are ignored. */
export const numberAlgebra: FlagAlgebra<number> = {
  constant: (value) => value,
  bit: (value) => (value ? 1 : 0),
  widen: (bit) => bit,
  add: (a, b) => (a + b) | 0,
  subtract: (a, b) => (a - b) | 0,
  and: (a, b) => a & b,
  xor: (a, b) => a ^ b,
  shiftLeft: (a, count) => a << count,
  isZero: (a, width) => (a << (32 - width) === 0 ? 1 : 0),
  isNegative: (a, width) => (a >>> (width - 1)) & 1,
  evenParity: (a) => evenParityOfByte(a),
  testBit: (a, index) => (a >>> index) & 1,
  equal: (a, b, width) => ((a ^ b) << (32 - width) === 0 ? 1 : 0),
  lessUnsigned: (a, b, width) => ((a << (32 - width)) >>> 0 < (b << (32 - width)) >>> 0 ? 1 : 0),
  lessSigned: (a, b, width) => (a << (32 - width) < b << (32 - width) ? 1 : 0),
  lessOrEqualUnsigned: (a, b, width) => ((a << (32 - width)) >>> 0 <= (b << (32 - width)) >>> 0 ? 1 : 0),
  lessOrEqualSigned: (a, b, width) => (a << (32 - width) <= b << (32 - width) ? 1 : 0),
  productOverflows: (a, b, width, signed) =>
    Number(bigintAlgebra.productOverflows(BigInt(a), BigInt(b), width, signed)),
  floatLess: (a, b) => (singleOf(a) < singleOf(b) ? 1 : 0),
  floatGreaterOrEqual: (a, b) => (singleOf(a) >= singleOf(b) ? 1 : 0),
  not: (a) => a ^ 1,
  both: (a, b) => a & b,
  either: (a, b) => a | b,
  differ: (a, b) => a ^ b,
};

const unsigned = (value: bigint, width: number): bigint => BigInt.asUintN(width, value);
const signed = (value: bigint, width: number): bigint => BigInt.asIntN(width, value);
const asBit = (value: boolean): bigint => (value ? 1n : 0n);

/** Values of any width as bigints. */
export const bigintAlgebra: FlagAlgebra<bigint> = {
  constant: (value) => BigInt(value),
  bit: asBit,
  widen: (bit) => bit,
  add: (a, b, width) => unsigned(a + b, width),
  subtract: (a, b, width) => unsigned(a - b, width),
  and: (a, b) => a & b,
  xor: (a, b) => a ^ b,
  shiftLeft: (a, count, width) => unsigned(a << BigInt(count), width),
  isZero: (a, width) => asBit(unsigned(a, width) === 0n),
  isNegative: (a, width) => asBit(signed(a, width) < 0n),
  evenParity: (a) => BigInt(evenParityOfByte(Number(a & 0xffn))),
  testBit: (a, index) => (a >> BigInt(index)) & 1n,
  equal: (a, b, width) => asBit(unsigned(a, width) === unsigned(b, width)),
  lessUnsigned: (a, b, width) => asBit(unsigned(a, width) < unsigned(b, width)),
  lessSigned: (a, b, width) => asBit(signed(a, width) < signed(b, width)),
  lessOrEqualUnsigned: (a, b, width) => asBit(unsigned(a, width) <= unsigned(b, width)),
  lessOrEqualSigned: (a, b, width) => asBit(signed(a, width) <= signed(b, width)),
  productOverflows: (a, b, width, isSigned) => {
    const reduce = isSigned ? signed : unsigned;
    const product = reduce(a, width) * reduce(b, width);
    return asBit(reduce(product, width) !== product);
  },
  floatLess: (a, b, width) => asBit(floatOf(a, width) < floatOf(b, width)),
  floatGreaterOrEqual: (a, b, width) => asBit(floatOf(a, width) >= floatOf(b, width)),
  not: (a) => a ^ 1n,
  both: (a, b) => a & b,
  either: (a, b) => a | b,
  differ: (a, b) => a ^ b,
};

/** 0x6996 holds the parity of each nibble value. */
function evenParityOfByte(value: number): number {
  const nibble = (value ^ (value >>> 4)) & 15;
  return ((0x6996 >>> nibble) & 1) ^ 1;
}

const patterns = new DataView(new ArrayBuffer(8));

function singleOf(bits: number): number {
  patterns.setInt32(0, bits);
  return patterns.getFloat32(0);
}

function floatOf(bits: bigint, width: number): number {
  if (width === 32) return singleOf(Number(BigInt.asIntN(32, bits)));
  patterns.setBigUint64(0, bits);
  return patterns.getFloat64(0);
}
