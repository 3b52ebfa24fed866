/**
 * SSE instructions with the functions that implement them, compared with the processor on random operands.
 *
 * The one idea: xmm0 and xmm1 are the operands of every instruction; what it may change is xmm0, rax, EFLAGS and
 * MXCSR. An unmasked exception reaches the harness as a signal, with MXCSR as the handler sees it.
 */
import * as arithmetic from "../../sse-arithmetic.ts";
import * as unit from "../../sse-unit.ts";
import { Random, randomF32, randomF64 } from "./operands.ts";
import {
  FAULTED,
  FLAGS_AT,
  IMAGE_AT,
  MXCSR_AT,
  RAX_AT,
  RECORD_BYTES,
  runNative,
  setInstruction,
  XMM_AT,
} from "./processor.ts";

const CPU = 1024;
const SCRATCH = 512;

export interface SseCase {
  readonly name: string;
  readonly code: readonly number[];
  /** 32 or 64: what the operands are made of. */
  readonly format: number;
  /** Runs on the scratch area; returns what the instruction returns. */
  readonly run: (sse: unit.Sse) => number;
  /** Where the result goes: so many bytes of xmm0, eax (4) or rax (8), or EFLAGS. */
  readonly result: "xmm" | "rax" | "flags";
  readonly bytes: number;
  /** The operand is xmm1 (most one-operand forms) or rax. */
  readonly source: "both" | "xmm1" | "rax";
}

const cases: SseCase[] = [];

const SCALAR: readonly [number, number, string][] = [
  [32, 0xf3, "ss"],
  [64, 0xf2, "sd"],
];
const PACKED: readonly [number, number[], string, number][] = [
  [32, [], "ps", 4],
  [64, [0x66], "pd", 2],
];

const OPERATIONS: readonly [string, number][] = [
  ["add", arithmetic.SSE_ADD],
  ["mul", arithmetic.SSE_MUL],
  ["sub", arithmetic.SSE_SUB],
  ["min", arithmetic.SSE_MIN],
  ["div", arithmetic.SSE_DIV],
  ["max", arithmetic.SSE_MAX],
];

for (const [name, op] of OPERATIONS) {
  for (const [format, prefix, suffix] of SCALAR) {
    cases.push({
      name: name + suffix,
      code: [prefix, 0x0f, 0x58 + op, 0xc1],
      format,
      run: (s) => unit.packedBinary(s, CPU, op, format, 1),
      result: "xmm",
      bytes: format / 8,
      source: "both",
    });
  }
  for (const [format, prefix, suffix, lanes] of PACKED) {
    cases.push({
      name: name + suffix,
      code: [...prefix, 0x0f, 0x58 + op, 0xc1],
      format,
      run: (s) => unit.packedBinary(s, CPU, op, format, lanes),
      result: "xmm",
      bytes: 16,
      source: "both",
    });
  }
}
for (const [format, prefix, suffix, lanes] of [
  [32, 0xf2, "ps", 4],
  [64, 0x66, "pd", 2],
] as const) {
  cases.push({
    name: `addsub${suffix}`,
    code: [prefix, 0x0f, 0xd0, 0xc1],
    format,
    run: (s) => unit.packedBinary(s, CPU, unit.SSE_ADDSUB, format, lanes),
    result: "xmm",
    bytes: 16,
    source: "both",
  });
}
for (const [format, prefix, suffix] of SCALAR) {
  const bytes = format / 8;
  cases.push({
    name: `sqrt${suffix}`,
    code: [prefix, 0x0f, 0x51, 0xc1],
    format,
    run: (s) => unit.packedSquareRoot(s, CPU, format, 1),
    result: "xmm",
    bytes,
    source: "xmm1",
  });
  for (let predicate = 0; predicate < 32; predicate++) {
    cases.push({
      name: `vcmp${suffix} ${predicate}`,
      code: [0xc5, format === 32 ? 0xfa : 0xfb, 0xc2, 0xc1, predicate],
      format,
      run: (s) => unit.packedCompare(s, CPU, predicate, format, 1),
      result: "xmm",
      bytes,
      source: "both",
    });
  }
  for (let quiet = 0; quiet < 2; quiet++) {
    cases.push({
      name: `${quiet === 1 ? "u" : ""}comi${suffix}`,
      code: [...(format === 32 ? [] : [0x66]), 0x0f, 0x2f - quiet, 0xc1],
      format,
      run: (s) => unit.scalarOrdered(s, CPU, quiet, format),
      result: "flags",
      bytes: 4,
      source: "both",
    });
  }
  for (const bits of [32, 64]) {
    const rex = bits === 64 ? [0x48] : [];
    cases.push({
      name: `cvtsi2${suffix} ${bits}`,
      code: [prefix, ...rex, 0x0f, 0x2a, 0xc0],
      format,
      run: (s) => unit.packedFromInteger(s, CPU, format, bits, 1),
      result: "xmm",
      bytes,
      source: "rax",
    });
    for (let truncate = 0; truncate < 2; truncate++) {
      cases.push({
        name: `cvt${truncate === 1 ? "t" : ""}${suffix}2si ${bits}`,
        code: [prefix, ...rex, 0x0f, 0x2d - truncate, 0xc1],
        format,
        run: (s) => unit.packedToInteger(s, CPU, format, bits, truncate, 1),
        result: "rax",
        bytes: bits / 8,
        source: "xmm1",
      });
    }
  }
  for (let immediate = 0; immediate < 16; immediate++) {
    cases.push({
      name: `round${suffix} ${immediate}`,
      code: [0x66, 0x0f, 0x3a, format === 32 ? 0x0a : 0x0b, 0xc1, immediate],
      format,
      run: (s) => unit.packedRound(s, CPU, format, immediate, 1),
      result: "xmm",
      bytes,
      source: "xmm1",
    });
  }
  for (const immediate of [0x11, 0x31, 0x33, 0x71, 0xb2, 0xe4, 0xf1, 0xff, 0x0f]) {
    cases.push({
      name: `dp${suffix[1] === "s" ? "ps" : "pd"} ${immediate}`,
      code: [0x66, 0x0f, 0x3a, format === 32 ? 0x40 : 0x41, 0xc1, immediate],
      format,
      run: (s) => unit.dotProduct(s, CPU, format, immediate),
      result: "xmm",
      bytes: 16,
      source: "both",
    });
  }
}
const CONVERSIONS: readonly [string, number[], number, number, (s: unit.Sse) => number][] = [
  ["cvtss2sd", [0xf3, 0x0f, 0x5a, 0xc1], 32, 8, (s) => unit.packedWiden(s, CPU, 1)],
  ["cvtsd2ss", [0xf2, 0x0f, 0x5a, 0xc1], 64, 4, (s) => unit.packedNarrow(s, CPU, 1)],
  ["cvtps2pd", [0x0f, 0x5a, 0xc1], 32, 16, (s) => unit.packedWiden(s, CPU, 2)],
  ["cvtpd2ps", [0x66, 0x0f, 0x5a, 0xc1], 64, 8, (s) => unit.packedNarrow(s, CPU, 2)],
  ["cvtdq2ps", [0x0f, 0x5b, 0xc1], 32, 16, (s) => unit.packedFromInteger(s, CPU, 32, 32, 4)],
  ["cvtdq2pd", [0xf3, 0x0f, 0xe6, 0xc1], 32, 16, (s) => unit.packedFromInteger(s, CPU, 64, 32, 2)],
  ["cvtps2dq", [0x66, 0x0f, 0x5b, 0xc1], 32, 16, (s) => unit.packedToInteger(s, CPU, 32, 32, 0, 4)],
  ["cvttps2dq", [0xf3, 0x0f, 0x5b, 0xc1], 32, 16, (s) => unit.packedToInteger(s, CPU, 32, 32, 1, 4)],
  ["cvtpd2dq", [0xf2, 0x0f, 0xe6, 0xc1], 64, 8, (s) => unit.packedToInteger(s, CPU, 64, 32, 0, 2)],
  ["cvttpd2dq", [0x66, 0x0f, 0xe6, 0xc1], 64, 8, (s) => unit.packedToInteger(s, CPU, 64, 32, 1, 2)],
];
for (const [name, code, format, bytes, run] of CONVERSIONS) {
  cases.push({ name, code, format, run, result: "xmm", bytes, source: "xmm1" });
}

export const SSE_CASES: readonly SseCase[] = cases;

/** Operands of one lane: [a lo, a hi, b lo, b hi]; hi is 0 for 32-bit ones. */
function randomPair(format: number, random: Random): number[] {
  const draw = (): [number, number] => (format === 32 ? [randomF32(random), 0] : randomF64(random));
  const a = draw();
  let b = draw();
  const shape = random.below(8);
  const sign = 0x80000000;
  const top = format === 32 ? 0 : 1;
  if (shape === 0) b = [...a];
  else if (shape === 1) {
    b = [...a];
    b[top] ^= sign;
  } else if (shape === 2) {
    b = [...a];
    b[0] = (b[0] + random.below(5) - 2) | 0;
  } else if (shape < 5) {
    // exponents near each other, or summing to an end of the range
    const width = format === 32 ? 23 : 20;
    const mask = format === 32 ? 0xff : 0x7ff;
    const bias = mask >> 1;
    const aExp = (a[top] >>> width) & mask;
    const target = shape === 3 ? aExp : random.below(2) === 0 ? bias - aExp : 3 * bias - aExp;
    const exp = (target + random.below(60) - 30) & mask;
    b[top] = (b[top] & ~(mask << width)) | (exp << width);
  }
  return [...a, ...b];
}

function randomRecord(view: DataView, item: SseCase, random: Random): void {
  view.setUint32(FLAGS_AT, random.next() & 0x8d5, true);
  for (let lane = 0; lane < 4; lane++) {
    const [aLo, aHi, bLo, bHi] = randomPair(item.format, random);
    const step = item.format / 8;
    if (lane * step >= 16) break;
    view.setInt32(XMM_AT + lane * step, aLo, true);
    view.setInt32(XMM_AT + 16 + lane * step, bLo, true);
    if (item.format === 64) {
      view.setInt32(XMM_AT + lane * step + 4, aHi, true);
      view.setInt32(XMM_AT + 16 + lane * step + 4, bHi, true);
    }
  }
  const shape = random.below(4);
  if (item.name.startsWith("cvtdq") && shape !== 0) {
    for (let i = 0; i < 16; i += 4) view.setInt32(XMM_AT + 16 + i, random.next() >> random.below(32), true);
  }
  view.setInt32(RAX_AT, shape === 0 ? random.below(3) - 1 : random.next() >> random.below(32), true);
  view.setInt32(RAX_AT + 4, shape < 2 ? random.below(3) - 1 : random.next() >> random.below(32), true);
  // Sticky flags, DAZ, rounding, FTZ at random; sometimes unmasked exceptions.
  let mxcsr = (random.next() & 0x6000) | (random.below(3) === 0 ? 0x40 : 0) | (random.below(3) === 0 ? 0x8000 : 0);
  mxcsr |= random.below(3) === 0 ? random.next() & 0x1f80 : 0x1f80;
  if (random.below(3) === 0) mxcsr |= random.next() & (mxcsr >>> 7) & 0x3f;
  view.setUint32(MXCSR_AT, mxcsr, true);
  view.setUint16(IMAGE_AT, 0x37f, true);
}

/** Executes record `view` in TypeScript, in place. */
function runOurs(sse: unit.Sse, view: DataView, item: SseCase): void {
  const { i32 } = sse.views;
  const first = (CPU + SCRATCH) >>> 2;
  for (let i = 0; i < 4; i++) {
    i32[first + i] = view.getInt32((item.source === "both" ? XMM_AT : XMM_AT + 16) + 4 * i, true);
    i32[first + 16 + i] = view.getInt32(XMM_AT + 16 + 4 * i, true);
  }
  if (item.source === "rax") {
    i32[first] = view.getInt32(RAX_AT, true);
    i32[first + 1] = view.getInt32(RAX_AT + 4, true);
  }
  i32[CPU >>> 2] = view.getInt32(MXCSR_AT, true);
  const raised = item.run(sse);
  view.setInt32(MXCSR_AT, i32[CPU >>> 2], true);
  const result = first + 32;
  if (raised !== 0) view.setUint32(FLAGS_AT, FAULTED, true);
  else if (item.result === "flags") view.setInt32(FLAGS_AT, i32[result], true);
  else if (item.result === "rax") {
    view.setInt32(RAX_AT, i32[result], true);
    view.setInt32(RAX_AT + 4, item.bytes === 8 ? i32[result + 1] : 0, true);
  } else {
    for (let i = 0; i < item.bytes; i += 4) view.setInt32(XMM_AT + i, i32[result + i / 4], true);
    // Conversions of packed 64-bit numbers clear the upper half.
    if (/^cvtt?pd2(ps|dq)/.test(item.name)) {
      for (let i = 8; i < 16; i += 4) view.setInt32(XMM_AT + i, 0, true);
    }
  }
}

function describe(view: DataView): string {
  const word = (at: number): string => view.getUint32(at, true).toString(16).padStart(8, "0");
  const vector = (at: number): string => [12, 8, 4, 0].map((i) => word(at + i)).join("_");
  return [
    `mxcsr=${word(MXCSR_AT).slice(4)}`,
    `eflags=${word(FLAGS_AT).slice(4)}`,
    `rax=${word(RAX_AT + 4)}${word(RAX_AT)}`,
    `xmm0=${vector(XMM_AT)}`,
    `xmm1=${vector(XMM_AT + 16)}`,
  ].join(" ");
}

export interface SseMismatch {
  readonly name: string;
  readonly before: string;
  readonly processor: string;
  readonly ours: string;
}

/** Runs `count` random operands through each of `items` on both; returns the mismatches, at most `limit`. */
export function compareSse(items: readonly SseCase[], count: number, seed: number, limit: number): SseMismatch[] {
  const random = new Random(seed);
  const buffer = new ArrayBuffer(4096);
  const views = {
    u8: new Uint8Array(buffer),
    u16: new Uint16Array(buffer),
    i32: new Int32Array(buffer),
    refresh(): void {},
  };
  const sse = new unit.Sse(views, { mxcsr: 0, scratch: SCRATCH });
  const mismatches: SseMismatch[] = [];
  const batch = 20000;
  const total = count * items.length;
  for (let done = 0; done < total; done += batch) {
    const size = Math.min(batch, total - done);
    const records = new Uint8Array(size * RECORD_BYTES);
    for (let i = 0; i < size; i++) {
      const item = items[(done + i) % items.length];
      setInstruction(records, i, item.code);
      randomRecord(new DataView(records.buffer, i * RECORD_BYTES, RECORD_BYTES), item, random);
    }
    const native = runNative(records);
    for (let i = 0; i < size; i++) {
      const item = items[(done + i) % items.length];
      const ours = new DataView(records.buffer, i * RECORD_BYTES, RECORD_BYTES);
      const theirs = new DataView(native.buffer, native.byteOffset + i * RECORD_BYTES, RECORD_BYTES);
      const before = describe(ours);
      runOurs(sse, ours, item);
      const processor = describe(theirs);
      const got = describe(ours);
      if (processor === got) continue;
      mismatches.push({ name: item.name, before, processor, ours: got });
      if (mismatches.length >= limit) return mismatches;
    }
  }
  return mismatches;
}
