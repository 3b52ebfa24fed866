/**
 * The SHA instructions (Intel SDM vol. 2, SHA1RNDS4 …; FIPS 180-4). Words of a vector are numbered from the lowest.
 */
export const ShaOperation = {
  sha1nexte: 0,
  sha1msg1: 1,
  sha1msg2: 2,
  sha1rnds4: 3,
  sha256msg1: 4,
  sha256msg2: 5,
  sha256rnds2: 6,
} as const;

const rotateLeft = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));
const rotateRight = (value: number, bits: number): number => (value >>> bits) | (value << (32 - bits));

const small0 = (x: number): number => rotateRight(x, 7) ^ rotateRight(x, 18) ^ (x >>> 3);
const small1 = (x: number): number => rotateRight(x, 17) ^ rotateRight(x, 19) ^ (x >>> 10);
const big0 = (x: number): number => rotateRight(x, 2) ^ rotateRight(x, 13) ^ rotateRight(x, 22);
const big1 = (x: number): number => rotateRight(x, 6) ^ rotateRight(x, 11) ^ rotateRight(x, 25);
const choose = (x: number, y: number, z: number): number => (x & y) ^ (~x & z);
const majority = (x: number, y: number, z: number): number => (x & y) ^ (x & z) ^ (y & z);
const parity = (x: number, y: number, z: number): number => x ^ y ^ z;

const SHA1_CONSTANTS = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6];

/** Operand A (the destination) is at word `at`, B 16 words on; the result goes 32 words on. `xmm0` is a word index. */
export function sha(i32: Int32Array, at: number, operation: number, immediate: number, xmm0: number): void {
  const b = at + 16;
  const to = at + 32;
  const a0 = i32[at];
  const a1 = i32[at + 1];
  const a2 = i32[at + 2];
  const a3 = i32[at + 3];
  const b0 = i32[b];
  const b1 = i32[b + 1];
  const b2 = i32[b + 2];
  const b3 = i32[b + 3];
  const put = (r0: number, r1: number, r2: number, r3: number): void => {
    i32[to] = r0;
    i32[to + 1] = r1;
    i32[to + 2] = r2;
    i32[to + 3] = r3;
  };
  switch (operation) {
    case ShaOperation.sha1nexte:
      put(b0, b1, b2, b3 + rotateLeft(a3, 30));
      break;
    case ShaOperation.sha1msg1:
      put(a0 ^ b2, a1 ^ b3, a2 ^ a0, a3 ^ a1);
      break;
    case ShaOperation.sha1msg2: {
      // W16 is wanted for W19, the lowest word.
      const w16 = rotateLeft(a3 ^ b2, 1);
      put(rotateLeft(a0 ^ w16, 1), rotateLeft(a1 ^ b0, 1), rotateLeft(a2 ^ b1, 1), w16);
      break;
    }
    case ShaOperation.sha1rnds4:
      sha1Rounds(immediate & 3, a3, a2, a1, a0, [b3, b2, b1, b0], put);
      break;
    case ShaOperation.sha256msg1:
      put(a0 + small0(a1), a1 + small0(a2), a2 + small0(a3), a3 + small0(b0));
      break;
    case ShaOperation.sha256msg2: {
      const w16 = (a0 + small1(b2)) | 0;
      const w17 = (a1 + small1(b3)) | 0;
      put(w16, w17, a2 + small1(w16), a3 + small1(w17));
      break;
    }
    default:
      sha256Rounds(b3, b2, a3, a2, b1, b0, a1, a0, [i32[xmm0], i32[xmm0 + 1]], put);
  }
}

type Put = (r0: number, r1: number, r2: number, r3: number) => void;

/** Four rounds; E is part of the first word, so it starts at 0. */
function sha1Rounds(
  which: number,
  a: number,
  b: number,
  c: number,
  d: number,
  words: readonly number[],
  put: Put,
): void {
  const mix = which === 0 ? choose : which === 2 ? majority : parity;
  let e = 0;
  for (const word of words) {
    const next = (mix(b, c, d) + rotateLeft(a, 5) + word + e + SHA1_CONSTANTS[which]) | 0;
    e = d;
    d = c;
    c = rotateLeft(b, 30);
    b = a;
    a = next;
  }
  put(d, c, b, a);
}

/** Two rounds with words that have their constants added. */
function sha256Rounds(
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
  g: number,
  h: number,
  words: readonly number[],
  put: Put,
): void {
  for (const word of words) {
    const sum = (choose(e, f, g) + big1(e) + word + h) | 0;
    const next = (sum + majority(a, b, c) + big0(a)) | 0;
    h = g;
    g = f;
    f = e;
    e = (sum + d) | 0;
    d = c;
    c = b;
    b = a;
    a = next;
  }
  put(f, e, b, a);
}
