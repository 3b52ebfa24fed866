// Random byte strings that look like instructions: mostly sensible prefixes, opcodes from every map, random ModRM and immediates.
import type { Mode } from "../instruction.ts";

/** xorshift32: the same seed gives the same strings everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }

  /** 0..2^32 - 1. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** 0..limit - 1. */
  below(limit: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * limit);
  }
}

const legacyPrefixes = [0x66, 0x66, 0x66, 0x67, 0xf2, 0xf2, 0xf3, 0xf3, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** Bytes per string: more than an instruction can have, so that the length limit is met too. */
export const stringLength = 24;

/** Writes one string at `position`. */
export function writeByteString(random: Random, mode: Mode, out: Uint8Array, position: number): void {
  for (let i = 0; i < stringLength; i++) out[position + i] = random.below(256);
  const shape = random.below(100);
  if (shape < 4) return;
  let p = position;
  const prefixes = shape < 8 ? random.below(15) : shape < 50 ? 0 : shape < 85 ? 1 : random.below(4);
  for (let i = 0; i < prefixes; i++) {
    out[p++] = legacyPrefixes[random.below(legacyPrefixes.length)];
    if (mode === 64 && random.below(20) === 0) out[p++] = 0x40 + random.below(16);
  }
  if (mode === 64 && random.below(100) < 45) out[p++] = 0x40 + random.below(16);
  const map = random.below(100);
  if (map < 30) return;
  if (map < 65) out[p] = 0x0f;
  else if (map < 77) {
    out[p++] = 0x0f;
    out[p] = 0x38;
  } else if (map < 84) {
    out[p++] = 0x0f;
    out[p] = 0x3a;
  } else if (map < 88) out[p] = 0xd8 + random.below(8);
  else if (map < 92) {
    out[p++] = 0xc5;
    out[p] = random.below(256);
  } else {
    // VEX with the two opcode maps and the unused-operand value of vvvv that BMI needs
    out[p++] = 0xc4;
    out[p++] = (random.below(8) << 5) | (1 + random.below(3));
    out[p++] = (random.below(2) << 7) | ((random.below(2) === 0 ? 15 : random.below(16)) << 3) | random.below(4);
    out[p] = random.below(10) === 0 ? random.below(256) : 0xf0 + random.below(8);
  }
}
