import { describe, expect, it } from "vitest";
import { f80Exp2Minus1, f80YLog2X, f80YLog2XPlus1 } from "./f80-exponential.ts";
import { f80Result } from "./f80-round.ts";
import { COSINE, f80Arctangent, f80Trigonometric, SINE, TANGENT } from "./f80-trigonometry.ts";
import { type F80, Random } from "./native/node/operands.ts";
import { NEEDS_CC, nativeProgram } from "./native/node/processor.ts";
import { measure, TRANSCENDENTAL } from "./native/node/transcendental.ts";

describe.skipIf(nativeProgram() === undefined)(`against the processor (${NEEDS_CC})`, () => {
  it.each(TRANSCENDENTAL)("$name is within one unit of the last place, flags alike", (item) => {
    for (const everyday of [true, false]) {
      const { histogram, farthest, examples, otherwise } = measure(item, 4000, 1, everyday);
      expect(otherwise).toEqual([]);
      expect(farthest > 1 ? examples : []).toEqual([]);
      // Measured on an AMD Zen: 1 to 3 % of the results in the domain differ. FPTAN of tiny arguments, one in ten.
      expect(histogram[0]).toBeGreaterThan(item.name === "fptan" ? 3400 : 3800);
    }
  });
});

// An independent reference: fixed-point integers of 400 fraction bits.
const S = 400n;
const ONE = 1n << S;

function series(first: bigint, next: (term: bigint, i: bigint) => bigint): bigint {
  let sum = 0n;
  let term = first;
  for (let i = 1n; term !== 0n && term !== -1n; i++) {
    sum += term;
    term = next(term, i);
  }
  return sum;
}

const multiply = (a: bigint, b: bigint): bigint => (a * b) >> S;
const divide = (a: bigint, b: bigint): bigint => (a << S) / b;
const exponential = (x: bigint): bigint => series(ONE, (term, i) => multiply(term, x) / i);
const sine = (x: bigint): bigint => series(x, (term, i) => -multiply(multiply(term, x), x) / (2n * i * (2n * i + 1n)));
const cosine = (x: bigint): bigint =>
  series(ONE, (term, i) => -multiply(multiply(term, x), x) / (2n * i * (2n * i - 1n)));

function oddSeries(t: bigint, sign: bigint): bigint {
  const square = sign * multiply(t, t);
  let sum = 0n;
  let power = t;
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n;
    power = multiply(power, square);
  }
  return sum;
}

/** ln x for x > 0: roots until x is near 1, then 2 atanh((x - 1) / (x + 1)). */
function logarithm(x: bigint): bigint {
  let doublings = 0n;
  let halvings = 0n;
  while (x >= 2n * ONE) {
    x >>= 1n;
    halvings++;
  }
  while (x < ONE / 2n) {
    x <<= 1n;
    doublings++;
  }
  const own = 2n * oddSeries(divide(x - ONE, x + ONE), 1n);
  const ln2 = 2n * oddSeries(ONE / 3n, 1n);
  return own + (halvings - doublings) * ln2;
}

function squareRoot(x: bigint): bigint {
  const target = x << S;
  let root = 1n << BigInt((target.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + target / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function arctangent(t: bigint): bigint {
  let factor = 1n;
  while (t > ONE / 8n) {
    t = divide(t, ONE + squareRoot(ONE + multiply(t, t)));
    factor *= 2n;
  }
  return factor * oddSeries(t, -1n);
}

const PI = 4n * (4n * oddSeries(ONE / 5n, -1n) - oddSeries(ONE / 239n, -1n));

const significand = (a: F80): bigint => (BigInt(a[1] >>> 0) << 32n) | BigInt(a[0] >>> 0);

/** Value in fixed point; exponents here keep every bit. */
function fixed(a: F80): bigint {
  const shift = S - 63n + BigInt((a[2] & 0x7fff) - 0x3fff);
  const magnitude = significand(a) << shift;
  return (a[2] & 0x8000) !== 0 ? -magnitude : magnitude;
}

/** Correctly rounded f80 of value * 2^-S, as text. */
function rounded(value: bigint, mode: number): string {
  const sign = value < 0n;
  let magnitude = sign ? -value : value;
  const length = BigInt(magnitude.toString(2).length);
  const drop = length - 64n;
  const rest = magnitude & ((1n << drop) - 1n);
  const half = 1n << (drop - 1n);
  magnitude >>= drop;
  const up = mode === 0 ? rest > half : mode === 3 ? false : (mode === 1) === sign;
  if (up) magnitude++;
  let exp = 0x3fff + Number(length - 1n - S);
  if (magnitude >> 64n !== 0n) {
    magnitude >>= 1n;
    exp++;
  }
  return `${(exp | (sign ? 0x8000 : 0)).toString(16)}:${magnitude.toString(16)}`;
}

function result(): string {
  const bits = (BigInt(f80Result[1] >>> 0) << 32n) | BigInt(f80Result[0] >>> 0);
  return `${f80Result[2].toString(16)}:${bits.toString(16)}`;
}

function draw(random: Random, low: number, high: number): F80 {
  const exp = 0x3fff + low + random.below(high - low);
  return [random.next(), random.next() | 0x80000000, exp | (random.below(2) << 15)];
}

const POSITIVE = (a: F80): F80 => [a[0], a[1], a[2] & 0x7fff];

describe("correct rounding, in all modes", () => {
  const random = new Random(5);
  const each = (body: (fcw: number, mode: number) => void): void => {
    for (let i = 0; i < 400; i++) body(0x37f | ((i & 3) << 10), i & 3);
  };

  it("F2XM1", () => {
    const ln2 = logarithm(2n * ONE);
    each((fcw, mode) => {
      const x = draw(random, -60, 0);
      f80Exp2Minus1(...x, fcw);
      expect(result()).toBe(rounded(exponential(multiply(fixed(x), ln2)) - ONE, mode));
    });
  });

  it("FYL2X and FYL2XP1", () => {
    const ln2 = logarithm(2n * ONE);
    each((fcw, mode) => {
      const x = POSITIVE(draw(random, mode === 0 ? -1 : -60, mode === 0 ? 1 : 60));
      const y = draw(random, 0, 20);
      f80YLog2X(...x, ...y, fcw);
      expect(result()).toBe(rounded((fixed(y) * logarithm(fixed(x))) / ln2, mode));
      const small = draw(random, -60, -2);
      f80YLog2XPlus1(...small, ...y, fcw);
      expect(result()).toBe(rounded((fixed(y) * logarithm(ONE + fixed(small))) / ln2, mode));
    });
  });

  it("FSIN, FCOS, FPTAN, with pi of 66 bits", () => {
    const halfPi = 0x3243f6a8885a308d3n << (S - 65n);
    each((fcw, mode) => {
      const x = draw(random, -40, mode === 0 ? 63 : 3);
      const value = fixed(x);
      const n = (2n * value + (value < 0n ? -halfPi : halfPi)) / (2n * halfPi);
      const remainder = value - n * halfPi;
      const sines = [sine(remainder), cosine(remainder), -sine(remainder), -cosine(remainder)];
      const quadrant = Number(((n % 4n) + 4n) % 4n);
      const sin = sines[quadrant];
      const cos = sines[(quadrant + 1) & 3];
      f80Trigonometric(SINE, ...x, fcw);
      expect(result()).toBe(rounded(sin, mode));
      f80Trigonometric(COSINE, ...x, fcw);
      expect(result()).toBe(rounded(cos, mode));
      f80Trigonometric(TANGENT, ...x, fcw);
      expect(result()).toBe(rounded(divide(sin, cos), mode));
    });
  });

  it("FPATAN", () => {
    each((fcw, mode) => {
      const x = draw(random, -8, 8);
      const y = draw(random, mode === 0 ? -60 : -8, 8);
      const a = fixed(POSITIVE(x));
      const b = fixed(POSITIVE(y));
      let angle = b > a ? PI / 2n - arctangent(divide(a, b)) : arctangent(divide(b, a));
      if ((x[2] & 0x8000) !== 0) angle = PI - angle;
      f80Arctangent(...x, ...y, fcw);
      expect(result()).toBe(rounded((y[2] & 0x8000) !== 0 ? -angle : angle, mode));
    });
  });
});
