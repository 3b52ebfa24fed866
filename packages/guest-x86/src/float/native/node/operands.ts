/**
 * Random operands that live on the boundaries: the cases on which floating-point implementations differ.
 *
 * The one idea: every field (sign, exponent, fraction) is drawn from a mixture of special and uniform values, and
 * a second operand is often made from the first (same value, neighbour, opposite sign, exponents near each other).
 */

/** Small fast generator (xorshift32 with a Weyl sequence); the seed replays a failure. */
export class Random {
  private state: number;
  private weyl = 0;

  constructor(seed: number) {
    this.state = seed | 1;
  }

  /** Uniform int32. */
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    this.weyl = (this.weyl + 0x9e3779b9) | 0;
    return Math.imul(x + this.weyl, 0x2c1b3c6d) ^ (x >>> 15);
  }

  /** Uniform integer in [0, n). */
  below(n: number): number {
    return (this.next() >>> 0) % n;
  }
}

const BITS = [0, 0, 1, 2, 3, -1, -2, 0x7fffffff, 0x80000000 | 0, 0x40000000, 0x3fffffff];

/** A word biased to runs of zeros and ones. */
export function fraction(random: Random): number {
  switch (random.below(8)) {
    case 0:
    case 1:
      return BITS[random.below(BITS.length)];
    case 2:
      return 1 << random.below(32);
    case 3:
      return -1 << random.below(32);
    case 4:
      return -1 >>> random.below(32);
    case 5:
      return (1 << random.below(32)) | (1 << random.below(32));
    default:
      return random.next();
  }
}

/** An f80 operand: [lo, hi, se]. */
export type F80 = [number, number, number];

const EXPONENTS = [
  0, 0, 0, 1, 1, 2, 3, 63, 64, 65, 0x7fff, 0x7fff, 0x7ffe, 0x7ffe, 0x7ffd, 0x3fff, 0x3fff, 0x3ffe, 0x4000,
];
/** Around the ends of the ranges of f32, f64 and the integers. */
const MARKS = [
  0x3fff,
  0x3fff + 15,
  0x3fff + 31,
  0x3fff + 63,
  0x3fff + 127,
  0x3fff - 126,
  0x3fff + 1023,
  0x3fff - 1022,
  0x3fff - 149,
  0x3fff - 1074,
];

export function randomF80(random: Random): F80 {
  let exp: number;
  switch (random.below(6)) {
    case 0:
    case 1:
      exp = EXPONENTS[random.below(EXPONENTS.length)];
      break;
    case 2:
      exp = MARKS[random.below(MARKS.length)] + random.below(5) - 2;
      break;
    case 3:
      exp = 0x3fff + random.below(130) - 65;
      break;
    case 4:
      exp = random.below(2) === 0 ? random.below(80) : 0x7fff - random.below(80);
      break;
    default:
      exp = random.below(0x8000);
  }
  let hi = fraction(random);
  let lo = fraction(random);
  const shape = random.below(16);
  if (shape === 0) lo &= ~0x7ff; // f64 precision
  else if (shape === 1) lo = random.below(2) === 0 ? 0x400 : 0x800; // halves of f64
  else if (shape === 2) {
    lo = 0;
    hi = (hi & ~0xff) | (random.below(2) << 7); // f32 and its halves
  } else if (shape === 3) hi = lo = 0;
  // The integer bit belongs to the exponent, except now and then.
  if (random.below(20) !== 0) hi = exp === 0 ? hi & 0x7fffffff : hi | 0x80000000;
  return [lo, hi, exp | (random.below(2) << 15)];
}

/** A second operand with some relation to the first. */
export function relatedF80(random: Random, a: F80): F80 {
  const [lo, hi, se] = a;
  switch (random.below(10)) {
    case 0:
      return [lo, hi, se ^ (random.below(2) << 15)];
    case 1:
      return [(lo + random.below(3) - 1) | 0, hi, se ^ (random.below(2) << 15)];
    case 2: {
      const exp = Math.max(0, Math.min(0x7fff, (se & 0x7fff) + random.below(140) - 70));
      return [fraction(random), fraction(random) | (exp === 0 ? 0 : 0x80000000), exp | (random.below(2) << 15)];
    }
    case 3: {
      // products and quotients near the ends of the range
      const exp = (0x7ffe + random.below(140) - 70 - (se & 0x7fff)) & 0x7fff;
      return [fraction(random), fraction(random) | (exp === 0 ? 0 : 0x80000000), exp | (random.below(2) << 15)];
    }
    default:
      return randomF80(random);
  }
}

/** Words of an f64 [lo, hi], biased likewise. */
export function randomF64(random: Random): [number, number] {
  const exps = [
    0,
    0,
    0,
    1,
    2,
    52,
    53,
    0x7ff,
    0x7ff,
    0x7fe,
    0x3ff,
    0x3fe,
    0x400,
    0x3ff + 31,
    0x3ff + 63,
    0x3ff - 126,
    0x3ff - 149,
    0x3ff + 127,
  ];
  const exp =
    random.below(3) === 0
      ? random.below(0x800)
      : random.below(2) === 0
        ? exps[random.below(exps.length)]
        : Math.max(0, 0x3ff + random.below(120) - 60);
  let lo = fraction(random);
  let hi = fraction(random) & 0xfffff;
  const shape = random.below(8);
  if (shape === 0) lo = hi = 0;
  else if (shape === 1) lo = (1 << 28) * random.below(4); // f32 and its halves
  return [lo, (random.below(2) << 31) | (exp << 20) | hi];
}

/** Bits of an f32, biased likewise. */
export function randomF32(random: Random): number {
  const exps = [0, 0, 0, 1, 2, 23, 24, 0xff, 0xff, 0xfe, 0x7f, 0x7e, 0x80, 0x7f + 31, 0x7f + 63];
  const exp = random.below(2) === 0 ? exps[random.below(exps.length)] : random.below(0x100);
  const low = random.below(6) === 0 ? 0 : fraction(random) & 0x7fffff;
  return (random.below(2) << 31) | (exp << 23) | low;
}
