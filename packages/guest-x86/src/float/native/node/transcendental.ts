/**
 * Transcendental instructions compared with the processor: how far apart the results are, and whether anything else
 * differs.
 *
 * The one idea: registers are compared as a distance in units of the last place, everything else exactly.
 */
import * as unit from "../../x87-transcendental.ts";
import { fraction, Random, randomF80, type F80 } from "./operands.ts";
import { IMAGE_AT, RECORD_BYTES, runNative, STACK_AT } from "./processor.ts";
import { type Case, CPU, describe, randomState, runOurs, testX87, withoutPointers } from "./x87-cases.ts";

/** An argument within a binade range, biased to the ends of significands. */
function within(random: Random, low: number, high: number): F80 {
  const exp = 0x3fff + low + random.below(high - low);
  const plain = random.below(2) === 0;
  return [
    plain ? random.next() : fraction(random),
    (plain ? random.next() : fraction(random)) | 0x80000000,
    exp | (random.below(2) << 15),
  ];
}

const positive = (value: F80): F80 => [value[0], value[1], value[2] & 0x7fff];

export interface TranscendentalCase extends Case {
  /** ST(0), ST(1) from the function's everyday domain. */
  readonly domain: (random: Random) => [F80, F80];
}

export const TRANSCENDENTAL: readonly TranscendentalCase[] = [
  {
    name: "f2xm1",
    code: [0xd9, 0xf0],
    operand: "none",
    run: (f) => unit.f2xm1(f, CPU),
    domain: (r) => [within(r, r.below(2) === 0 ? -70 : -6, 0), randomF80(r)],
  },
  {
    name: "fyl2x",
    code: [0xd9, 0xf1],
    operand: "none",
    run: (f) => unit.fyl2x(f, CPU, unit.FYL2X),
    domain: (r) => [positive(within(r, r.below(2) === 0 ? -2 : -100, r.below(2) === 0 ? 2 : 100)), within(r, -40, 40)],
  },
  {
    name: "fyl2xp1",
    code: [0xd9, 0xf9],
    operand: "none",
    run: (f) => unit.fyl2x(f, CPU, unit.FYL2XP1),
    domain: (r) => [within(r, r.below(2) === 0 ? -70 : -6, -2), within(r, -40, 40)],
  },
  {
    name: "fpatan",
    code: [0xd9, 0xf3],
    operand: "none",
    run: (f) => unit.fyl2x(f, CPU, unit.FPATAN),
    domain: (r) => [within(r, -10, 10), within(r, r.below(2) === 0 ? -70 : -10, 10)],
  },
  {
    name: "fsin",
    code: [0xd9, 0xfe],
    operand: "none",
    run: (f) => unit.fsin(f, CPU, 0),
    domain: (r) => [within(r, r.below(2) === 0 ? -35 : -4, r.below(2) === 0 ? 4 : 63), randomF80(r)],
  },
  {
    name: "fcos",
    code: [0xd9, 0xff],
    operand: "none",
    run: (f) => unit.fsin(f, CPU, 1),
    domain: (r) => [within(r, r.below(2) === 0 ? -35 : -4, r.below(2) === 0 ? 4 : 63), randomF80(r)],
  },
  {
    name: "fsincos",
    code: [0xd9, 0xfb],
    operand: "none",
    run: (f) => unit.fsincos(f, CPU, 0),
    domain: (r) => [within(r, r.below(2) === 0 ? -35 : -4, r.below(2) === 0 ? 4 : 63), randomF80(r)],
  },
  {
    name: "fptan",
    code: [0xd9, 0xf2],
    operand: "none",
    run: (f) => unit.fsincos(f, CPU, 1),
    domain: (r) => [within(r, r.below(2) === 0 ? -35 : -4, r.below(2) === 0 ? 4 : 63), randomF80(r)],
  },
];

/** Monotone integer of an encoding, so that neighbours differ by one. */
function rank(view: DataView, at: number): bigint {
  const se = view.getUint16(at + 8, true);
  const magnitude = (BigInt(se & 0x7fff) << 63n) | (view.getBigUint64(at, true) & 0x7fffffffffffffffn);
  return (se & 0x8000) !== 0 ? -magnitude : magnitude;
}

export interface Distances {
  /** Records whose registers are 0, 1, 2, 3, 4 to 7, and 8 or more units of the last place apart. */
  readonly histogram: number[];
  readonly farthest: number;
  /** The farthest pair, and pairs that differ in anything but the register values and C1. */
  readonly examples: string[];
  readonly otherwise: string[];
}

/** Runs `count` states; `everyday` takes arguments from the domain, masked exceptions, and no stack faults. */
export function measure(item: TranscendentalCase, count: number, seed: number, everyday: boolean): Distances {
  const random = new Random(seed);
  const fpu = testX87();
  const records = new Uint8Array(count * RECORD_BYTES);
  for (let i = 0; i < count; i++) {
    randomState(records, i, item, random);
    if (!everyday) continue;
    const view = new DataView(records.buffer, i * RECORD_BYTES, RECORD_BYTES);
    view.setUint16(IMAGE_AT, (random.below(4) << 10) | 0x37f, true);
    view.setUint16(IMAGE_AT + 2, 0, true);
    view.setUint8(IMAGE_AT + 4, 0x7f);
    item.domain(random).forEach((value, k) => {
      view.setInt32(STACK_AT + 16 * k, value[0], true);
      view.setInt32(STACK_AT + 16 * k + 4, value[1], true);
      view.setUint16(STACK_AT + 16 * k + 8, value[2], true);
    });
  }
  const native = runNative(records);
  const histogram = [0, 0, 0, 0, 0, 0];
  const examples: string[] = [];
  const otherwise: string[] = [];
  let farthest = 0;
  for (let i = 0; i < count; i++) {
    const ours = new DataView(records.buffer, i * RECORD_BYTES, RECORD_BYTES);
    const theirs = new DataView(native.buffer, native.byteOffset + i * RECORD_BYTES, RECORD_BYTES);
    const before = describe(ours);
    runOurs(fpu, ours, item);
    withoutPointers(ours, item);
    withoutPointers(theirs, item);
    let distance = 0;
    const pair = `before ${before}\n   processor ${describe(theirs)}\n   ours      ${describe(ours)}`;
    for (let k = 0; k < 8; k++) {
      const at = STACK_AT + 16 * k;
      const apart = rank(ours, at) - rank(theirs, at);
      distance = Math.max(distance, Math.abs(Number(apart)));
      for (let word = 0; word < 10; word += 2) theirs.setUint16(at + word, ours.getUint16(at + word, true), true);
    }
    const status = ours.getUint16(IMAGE_AT + 2, true);
    const c1 = 0x200;
    theirs.setUint16(IMAGE_AT + 2, (theirs.getUint16(IMAGE_AT + 2, true) & ~c1) | (status & c1), true);
    if (describe(ours) !== describe(theirs)) otherwise.push(pair);
    else {
      histogram[distance < 4 ? distance : distance < 8 ? 4 : 5]++;
      if (distance > farthest) {
        farthest = distance;
        examples[0] = pair;
      }
    }
  }
  return { histogram, farthest, examples, otherwise };
}
