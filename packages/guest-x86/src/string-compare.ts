/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (Intel SDM vol. 2, 4.1).
 *
 * Strings of up to sixteen elements are compared all against all, the comparisons aggregated to one bit per element of
 * the second, and the bits become an index, a mask and flags. Elements are never compared one pair at a time in a
 * matrix: each aggregation walks the pairs it needs.
 */

/** Bits of the flags word that is returned. */
const CARRY = 1;
const ZERO = 0x40;
const SIGN = 0x80;
const OVERFLOW = 0x800;

const first = new Int32Array(16);
const second = new Int32Array(16);

function readElements(to: Int32Array, u8: Uint8Array, at: number, words: boolean, signed: boolean): void {
  const count = words ? 8 : 16;
  for (let index = 0; index < count; index++) {
    const value = words ? u8[at + 2 * index] | (u8[at + 2 * index + 1] << 8) : u8[at + index];
    const shift = words ? 16 : 24;
    to[index] = signed ? (value << shift) >> shift : value;
  }
}

function implicitLength(from: Int32Array, count: number): number {
  for (let index = 0; index < count; index++) if (from[index] === 0) return index;
  return count;
}

/** The absolute value of a register, at most `count`. */
function explicitLength(i32: Int32Array, at: number, wide: boolean, count: number): number {
  const low = i32[at];
  const high = wide ? i32[at + 1] : low >> 31;
  if (high === 0) return low >>> 0 > count ? count : low;
  if (high === -1 && low !== 0) return -low > count || low > 0 ? count : -low;
  return count;
}

/** EQUAL_ANY: which elements of the second string are in the set that the first one is. */
function equalAny(lengthA: number, lengthB: number): number {
  let bits = 0;
  for (let j = 0; j < lengthB; j++) {
    for (let i = 0; i < lengthA; i++) if (first[i] === second[j]) bits |= 1 << j;
  }
  return bits;
}

/** RANGES: which elements lie in a range, the first string being pairs of bounds. */
function ranges(lengthA: number, lengthB: number): number {
  let bits = 0;
  for (let j = 0; j < lengthB; j++) {
    for (let i = 0; i + 1 < lengthA; i += 2) {
      if (first[i] <= second[j] && second[j] <= first[i + 1]) bits |= 1 << j;
    }
  }
  return bits;
}

/** EQUAL_EACH: which elements are the same in both; beyond both ends counts as the same. */
function equalEach(lengthA: number, lengthB: number, count: number): number {
  let bits = 0;
  for (let j = 0; j < count; j++) {
    const insideA = j < lengthA;
    const insideB = j < lengthB;
    if (insideA === insideB && (!insideA || first[j] === second[j])) bits |= 1 << j;
  }
  return bits;
}

/** EQUAL_ORDERED: where in the second string the first one starts; a start cut off by the register's end counts. */
function equalOrdered(lengthA: number, lengthB: number, count: number): number {
  let bits = 0;
  for (let j = 0; j < count; j++) {
    let found = true;
    for (let i = 0; i < lengthA && j + i < count; i++) {
      if (j + i >= lengthB || first[i] !== second[j + i]) {
        found = false;
        break;
      }
    }
    if (found) bits |= 1 << j;
  }
  return bits;
}

/**
 * @param at byte offset of the first operand in `u8`; the second is 64 bytes on, the mask goes to 128 bytes on
 * @param lengths `StringLengths`; explicit ones are at word offsets `rax` and `rdx` of `i32`
 * @returns the flags word, and the index shifted left by 16
 */
export function compareStrings(
  u8: Uint8Array,
  at: number,
  immediate: number,
  lengths: number,
  i32: Int32Array,
  rax: number,
  rdx: number,
): number {
  const words = (immediate & 1) !== 0;
  const count = words ? 8 : 16;
  const signed = (immediate & 2) !== 0;
  readElements(first, u8, at, words, signed);
  readElements(second, u8, at + 64, words, signed);
  const lengthA = lengths === 0 ? implicitLength(first, count) : explicitLength(i32, rax, lengths === 2, count);
  const lengthB = lengths === 0 ? implicitLength(second, count) : explicitLength(i32, rdx, lengths === 2, count);

  const aggregation = (immediate >> 2) & 3;
  let bits =
    aggregation === 0
      ? equalAny(lengthA, lengthB)
      : aggregation === 1
        ? ranges(lengthA, lengthB)
        : aggregation === 2
          ? equalEach(lengthA, lengthB, count)
          : equalOrdered(lengthA, lengthB, count);
  if ((immediate & 0x10) !== 0) {
    // All bits negated, or only those of elements inside the second string.
    bits ^= (immediate & 0x20) === 0 ? (1 << count) - 1 : (1 << lengthB) - 1;
  }

  writeMask(u8, at + 128, bits, words, (immediate & 0x40) !== 0);
  const index = bits === 0 ? count : (immediate & 0x40) === 0 ? 31 - Math.clz32(bits & -bits) : 31 - Math.clz32(bits);
  let flags = bits !== 0 ? CARRY : 0;
  if (lengthB < count) flags |= ZERO;
  if (lengthA < count) flags |= SIGN;
  if ((bits & 1) !== 0) flags |= OVERFLOW;
  return flags | (index << 16);
}

/** One bit per element, or a whole element of ones. */
function writeMask(u8: Uint8Array, to: number, bits: number, words: boolean, expanded: boolean): void {
  for (let byte = 0; byte < 16; byte++) {
    if (expanded) u8[to + byte] = ((bits >> (words ? byte >> 1 : byte)) & 1) !== 0 ? 0xff : 0;
    else u8[to + byte] = byte < 2 ? (bits >> (8 * byte)) & 0xff : 0;
  }
}
