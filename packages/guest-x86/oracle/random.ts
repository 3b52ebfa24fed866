/** Random numbers that a seed replays, and operand values that gather where instructions change their mind. */

/** sfc32 (PractRand's small fast counter generator). */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = stream | 0;
    this.#c = 0x9e37_79b9 | 0;
    for (let i = 0; i < 15; i++) this.u32();
  }

  /** As a signed integer. */
  u32(): number {
    const result = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + result;
    this.#c |= 0;
    return result;
  }

  /** 0 .. n - 1; n up to 2^32. */
  below(n: number): number {
    return Math.floor(((this.u32() >>> 0) / 0x1_0000_0000) * n);
  }

  /** True once in `n` on average. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

const half32 = 0x8000_0000 | 0;

/** A 64-bit integer at `view[at]`: a boundary of some width, a power of two, a short or a full random number. */
export function writeInteger(random: Random, view: DataView, at: number): void {
  let low = 0;
  let high = 0;
  switch (random.below(8)) {
    case 0:
      low = random.pick([0, 0, 1, 2, -1, 7, 8, 15, 16, 31, 32, 63, 64]);
      if (low < 0) high = -1;
      break;
    case 1: {
      // Around the sign and carry boundaries of one width, with or without rubbish above it.
      const width = random.pick([8, 16, 32, 64]);
      const off = random.pick([0, -1, 1]);
      if (width === 64) {
        low = off;
        high = random.pick([half32, 0, -1]);
        if (off < 0) high = (high - 1) | 0;
      } else {
        const boundary = random.pick([2 ** (width - 1), 2 ** width]) + off;
        low = boundary | 0;
        high = Math.floor(boundary / 2 ** 32);
      }
      if (random.oneIn(2) && width < 64) {
        const rubbish = random.u32();
        if (width < 32) low = (low & ((1 << width) - 1)) | (rubbish << width);
        high = random.u32();
      }
      break;
    }
    case 2: {
      const bit = random.below(64);
      if (bit < 32) low = 1 << bit;
      else high = 1 << (bit - 32);
      if (random.oneIn(3)) {
        low = ~low;
        high = ~high;
      }
      break;
    }
    case 3:
      low = random.below(256);
      break;
    case 4:
      low = random.u32();
      high = random.pick([0, -1, low >> 31]);
      break;
    case 5:
      // The same small pattern over and over: equal lanes, equal bytes.
      low = Math.imul(random.pick([0x01, 0x7f, 0x80, 0xff, random.below(256)]), 0x0101_0101);
      high = low;
      break;
    default:
      low = random.u32();
      high = random.u32();
  }
  view.setInt32(at, low, true);
  view.setInt32(at + 4, high, true);
}

const edges32 = [
  0, half32, 1, half32 | 1, 0x007f_ffff, 0x0080_0000, 0x7f7f_ffff, 0xff7f_ffff | 0, 0x7f80_0000, 0xff80_0000 | 0,
  0x7fc0_0000, 0xffc0_0000 | 0, 0x7f80_0001, 0xffbf_ffff | 0, 0x7fff_ffff, 0x3f80_0000, 0xbf80_0000 | 0, 0x3f7f_ffff,
  0x3f80_0001, 0x3f00_0000, 0x4f00_0000, 0xcf00_0000 | 0, 0x4eff_ffff, 0x5f00_0000, 0x4b00_0000, 0x4b7f_ffff, 0x3fc0_0000,
  0x4020_0000, 0xc060_0000 | 0,
]; // prettier-ignore

/** A single-precision number: an edge of the format, a number near 1, an integer with a fraction, or any bits. */
export function writeSingle(random: Random, view: DataView, at: number): void {
  switch (random.below(5)) {
    case 0:
    case 1:
      view.setInt32(at, random.pick(edges32), true);
      break;
    case 2:
      view.setFloat32(at, (random.u32() / 2 ** 31) * 2 ** (random.below(12) - 4), true);
      break;
    case 3:
      view.setFloat32(at, random.pick([0.5, 1, 0.25]) * (random.below(4096) - 2048), true);
      break;
    default:
      view.setInt32(at, random.u32(), true);
  }
}

// High words; low words are 0, 1 or all ones.
const edges64 = [
  0, half32, 0x000f_ffff, 0x0010_0000, 0x7fef_ffff, 0xffef_ffff | 0, 0x7ff0_0000, 0xfff0_0000 | 0, 0x7ff8_0000,
  0xfff8_0000 | 0, 0x7ff0_0000, 0x3ff0_0000, 0xbff0_0000 | 0, 0x3fef_ffff, 0x3fe0_0000, 0x41df_ffff, 0x41e0_0000,
  0xc1e0_0000 | 0, 0x43df_ffff, 0x43e0_0000, 0xc3e0_0000 | 0, 0x4330_0000, 0x36a0_0000, 0x3810_0000, 0x47ef_ffff, 0x3ff8_0000,
  0x4004_0000, 0xc00c_0000 | 0,
]; // prettier-ignore

/** A double-precision number, likewise; some lie where conversion to single precision rounds, over- or underflows. */
export function writeDouble(random: Random, view: DataView, at: number): void {
  switch (random.below(5)) {
    case 0:
    case 1:
      view.setInt32(at, random.pick([0, 0, 0, 1, -1, half32, 0xe000_0000 | 0, 0x1000_0000]), true);
      view.setInt32(at + 4, random.pick(edges64), true);
      break;
    case 2:
      view.setFloat64(at, (random.u32() / 2 ** 31) * 2 ** (random.below(12) - 4), true);
      break;
    case 3:
      view.setFloat64(at, random.pick([0.5, 1, 0.25]) * (random.below(4096) - 2048), true);
      break;
    default:
      view.setInt32(at, random.u32(), true);
      view.setInt32(at + 4, random.u32(), true);
  }
}

/** A number of the x87's 80-bit format, unsupported encodings (unnormals, pseudo-infinities) included. */
export function writeExtended(random: Random, view: DataView, at: number): void {
  const sign = random.oneIn(2) ? 0x8000 : 0;
  let exponent = 0x3fff + random.below(20) - 10;
  let high = random.u32() | half32;
  let low = random.u32();
  switch (random.below(12)) {
    case 0:
      exponent = random.pick([
        0, 0, 1, 0x7ffe, 0x7fff, 0x3fff, 0x401d, 0x401e, 0x403d, 0x403e, 0x3c00, 0x43ff, 0x3f80, 0x407f,
      ]);
      high = random.pick([half32, half32, 0, 0xc000_0000 | 0, -1, 1]);
      low = random.pick([0, 0, 1, -1]);
      break;
    case 1:
      exponent = 0;
      high = 0;
      low = 0;
      break;
    case 2:
      exponent = random.below(0x8000);
      break;
    case 3:
      exponent = random.pick([0, 0x7fff]);
      high = random.u32();
      break;
    case 4:
    case 5: {
      // An integer, exactly or with a half.
      high = random.u32() | half32;
      low = 0;
      exponent = 0x3fff + random.below(34);
      const bits = Math.min(31, Math.max(0, exponent - 0x3fff + random.below(2)));
      high &= bits >= 31 ? -1 : ~(0x7fff_ffff >>> bits);
      break;
    }
    case 6:
      low = 0;
      break;
    case 7:
      // Rounds in double or single precision.
      low = random.pick([0x400, 0x3ff, 0x401, 0xc00, 0]);
      break;
    default:
  }
  view.setInt32(at, low, true);
  view.setInt32(at + 4, high, true);
  view.setUint16(at + 8, sign | exponent, true);
}

/** 16 bytes of a vector register or operand, as lanes of one kind. */
export function writeVector(random: Random, view: DataView, at: number): void {
  const kind = random.below(8);
  for (let lane = 0; lane < 16; lane += kind < 4 ? 4 : 8) {
    if (kind < 3) writeSingle(random, view, at + lane);
    else if (kind === 3) view.setInt32(at + lane, random.pick([0, 1, -1, half32, 0x7fff_ffff, random.u32()]), true);
    else if (kind < 7) writeDouble(random, view, at + lane);
    else writeInteger(random, view, at + lane);
  }
  // Lanes alike, or alike in a half.
  if (random.oneIn(8)) for (let i = 0; i < 8; i += 4) view.setInt32(at + 8 + i, view.getInt32(at + i, true), true);
}
