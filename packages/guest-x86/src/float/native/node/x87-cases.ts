/**
 * Every x87 instruction form with the function that implements it, and the comparison of the two on random states.
 *
 * The one idea: the state before and after travels as an FXSAVE image, so one loop checks registers, tags, TOP,
 * control and status words, memory operand and EFLAGS of any instruction.
 */
import * as arith from "../../x87-arithmetic.ts";
import * as control from "../../x87-control.ts";
import * as move from "../../x87-load-store.ts";
import { X87, X87_MF, X87_OK, type X87Layout } from "../../x87-state.ts";
import { randomF32, randomF64, randomF80, relatedF80, Random, type F80 } from "./operands.ts";
import {
  FAULTED,
  FLAGS_AT,
  IMAGE_AT,
  MEMORY_AT,
  RAX_AT,
  RECORD_BYTES,
  runNative,
  setInstruction,
  STACK_AT,
} from "./processor.ts";

export const CPU = 1024;
export const LAYOUT: X87Layout = {
  registers: 0,
  fcw: 128,
  fsw: 130,
  ftop: 132,
  ftag: 136,
  fop: 144,
  fip: 152,
  fdp: 160,
  scratch: 512,
};

/** A CPU block in plain memory. */
export function testX87(): X87 {
  const buffer = new ArrayBuffer(4096);
  const views = {
    u8: new Uint8Array(buffer),
    u16: new Uint16Array(buffer),
    i32: new Int32Array(buffer),
    refresh(): void {},
  };
  return new X87(views, LAYOUT);
}

export type Operand = "none" | "m32" | "m64" | "m80" | "i16" | "i32" | "i64" | "bcd" | "cw" | "env";

/** Runs an instruction; `words` is the memory operand as int32 words. Returns X87_MF if that is to be raised. */
export type Run = (fpu: X87, words: Int32Array, eflags: number, out: Outcome) => number | void;

export interface Outcome {
  storeBytes: number;
  eflags: number;
  rax: number;
}

export interface Case {
  readonly name: string;
  readonly code: readonly number[];
  readonly operand: Operand;
  readonly run: Run;
}

const cases: Case[] = [];

function add(name: string, code: readonly number[], operand: Operand, run: Run): void {
  cases.push({ name, code, operand, run });
}

function store(bytes: number, pops: boolean, run: (fpu: X87) => number): Run {
  return (fpu, _words, _eflags, out) => {
    const status = run(fpu);
    if (status !== X87_OK) return status;
    out.storeBytes = bytes;
    return pops ? move.pop(fpu, CPU) : X87_OK;
  };
}

/** modrm for [rsi] with this reg field. */
const at = (reg: number): number => 0x06 | (reg << 3);

add("fld m32", [0xd9, at(0)], "m32", (f, w) => move.fldM32(f, CPU, w[0]));
add("fld m64", [0xdd, at(0)], "m64", (f, w) => move.fldM64(f, CPU, w[0], w[1]));
add("fld m80", [0xdb, at(5)], "m80", (f, w) => move.fldM80(f, CPU, w[0], w[1], w[2] & 0xffff));
add("fild m16", [0xdf, at(0)], "i16", (f, w) => move.fildM32(f, CPU, (w[0] << 16) >> 16));
add("fild m32", [0xdb, at(0)], "i32", (f, w) => move.fildM32(f, CPU, w[0]));
add("fild m64", [0xdf, at(5)], "i64", (f, w) => move.fildM64(f, CPU, w[0], w[1]));
add("fbld", [0xdf, at(4)], "bcd", (f, w) => move.fbld(f, CPU, w[0], w[1], w[2] & 0xffff));
add(
  "fst m32",
  [0xd9, at(2)],
  "none",
  store(4, false, (f) => move.fstM32(f, CPU)),
);
add(
  "fstp m32",
  [0xd9, at(3)],
  "none",
  store(4, true, (f) => move.fstM32(f, CPU)),
);
add(
  "fst m64",
  [0xdd, at(2)],
  "none",
  store(8, false, (f) => move.fstM64(f, CPU)),
);
add(
  "fstp m64",
  [0xdd, at(3)],
  "none",
  store(8, true, (f) => move.fstM64(f, CPU)),
);
add(
  "fstp m80",
  [0xdb, at(7)],
  "none",
  store(10, true, (f) => move.fstM80(f, CPU)),
);
add(
  "fist m16",
  [0xdf, at(2)],
  "none",
  store(2, false, (f) => move.fist(f, CPU, 16)),
);
add(
  "fistp m16",
  [0xdf, at(3)],
  "none",
  store(2, true, (f) => move.fist(f, CPU, 16)),
);
add(
  "fist m32",
  [0xdb, at(2)],
  "none",
  store(4, false, (f) => move.fist(f, CPU, 32)),
);
add(
  "fistp m32",
  [0xdb, at(3)],
  "none",
  store(4, true, (f) => move.fist(f, CPU, 32)),
);
add(
  "fistp m64",
  [0xdf, at(7)],
  "none",
  store(8, true, (f) => move.fist(f, CPU, 64)),
);
add(
  "fisttp m16",
  [0xdf, at(1)],
  "none",
  store(2, true, (f) => move.fisttp(f, CPU, 16)),
);
add(
  "fisttp m32",
  [0xdb, at(1)],
  "none",
  store(4, true, (f) => move.fisttp(f, CPU, 32)),
);
add(
  "fisttp m64",
  [0xdd, at(1)],
  "none",
  store(8, true, (f) => move.fisttp(f, CPU, 64)),
);
add(
  "fbstp",
  [0xdf, at(6)],
  "none",
  store(10, true, (f) => move.fbstp(f, CPU)),
);
for (let i = 0; i < 8; i += i === 0 ? 1 : 3) {
  add(`fld st${i}`, [0xd9, 0xc0 + i], "none", (f) => move.fldSt(f, CPU, i));
  add(`fxch st${i}`, [0xd9, 0xc8 + i], "none", (f) => move.fxch(f, CPU, i));
  add(`fst st${i}`, [0xdd, 0xd0 + i], "none", (f) => move.fstSt(f, CPU, i, 0));
  add(`fstp st${i}`, [0xdd, 0xd8 + i], "none", (f) => move.fstSt(f, CPU, i, 1));
  add(`ffree st${i}`, [0xdd, 0xc0 + i], "none", (f) => move.ffree(f, CPU, i, 0));
  add(`ffreep st${i}`, [0xdf, 0xc0 + i], "none", (f) => move.ffree(f, CPU, i, 1));
  const conditions: [string, number, number][] = [
    ["b", 0xdac0, 1],
    ["e", 0xdac8, 0x40],
    ["be", 0xdad0, 0x41],
    ["u", 0xdad8, 4],
  ];
  for (const [suffix, code, mask] of conditions) {
    add(`fcmov${suffix} st${i}`, [code >> 8, (code & 0xff) + i], "none", (f, _w, e) =>
      move.fcmov(f, CPU, i, (e & mask) !== 0 ? 1 : 0),
    );
    add(`fcmovn${suffix} st${i}`, [(code >> 8) + 1, (code & 0xff) + i], "none", (f, _w, e) =>
      move.fcmov(f, CPU, i, (e & mask) !== 0 ? 0 : 1),
    );
  }
  add(`fcom st${i}`, [0xd8, 0xd0 + i], "none", (f) => arith.fcomSt(f, CPU, i, 0, 0));
  add(`fcomp st${i}`, [0xd8, 0xd8 + i], "none", (f) => arith.fcomSt(f, CPU, i, 0, 1));
  add(`fucom st${i}`, [0xdd, 0xe0 + i], "none", (f) => arith.fcomSt(f, CPU, i, 1, 0));
  add(`fucomp st${i}`, [0xdd, 0xe8 + i], "none", (f) => arith.fcomSt(f, CPU, i, 1, 1));
  const comi: [string, number, number, number][] = [
    ["fcomi", 0xdbf0, 0, 0],
    ["fcomip", 0xdff0, 0, 1],
    ["fucomi", 0xdbe8, 1, 0],
    ["fucomip", 0xdfe8, 1, 1],
  ];
  for (const [name, code, quiet, pops] of comi) {
    add(`${name} st${i}`, [code >> 8, (code & 0xff) + i], "none", (f, _w, _e, out) => {
      const flags = arith.fcomi(f, CPU, i, quiet, pops);
      if (flags === arith.FCOMI_MF) return X87_MF;
      out.eflags = flags;
      return X87_OK;
    });
  }
}
add("fcompp", [0xde, 0xd9], "none", (f) => arith.fcomSt(f, CPU, 1, 0, 2));
add("fucompp", [0xda, 0xe9], "none", (f) => arith.fcomSt(f, CPU, 1, 1, 2));
const operations: [string, number][] = [
  ["fadd", arith.X87_ADD],
  ["fmul", arith.X87_MUL],
  ["fsub", arith.X87_SUB],
  ["fsubr", arith.X87_SUBR],
  ["fdiv", arith.X87_DIV],
  ["fdivr", arith.X87_DIVR],
];
for (const [name, op] of operations) {
  // With ST(i) as destination the encodings of the reversed forms are exchanged.
  const toReg = op >= 4 ? op ^ 1 : op;
  for (let i = 0; i < 8; i += i === 0 ? 1 : 3) {
    add(`${name} st0, st${i}`, [0xd8, 0xc0 + op * 8 + i], "none", (f) => arith.arithSt(f, CPU, op, i));
    add(`${name} st${i}, st0`, [0xdc, 0xc0 + toReg * 8 + i], "none", (f) => arith.arithToSt(f, CPU, op, i, 0));
    add(`${name}p st${i}`, [0xde, 0xc0 + toReg * 8 + i], "none", (f) => arith.arithToSt(f, CPU, op, i, 1));
  }
  add(`${name} m32`, [0xd8, at(op)], "m32", (f, w) => arith.arithM32(f, CPU, op, w[0]));
  add(`${name} m64`, [0xdc, at(op)], "m64", (f, w) => arith.arithM64(f, CPU, op, w[0], w[1]));
  add(`${name} i16`, [0xde, at(op)], "i16", (f, w) => arith.arithInteger(f, CPU, op, (w[0] << 16) >> 16));
  add(`${name} i32`, [0xda, at(op)], "i32", (f, w) => arith.arithInteger(f, CPU, op, w[0]));
}
for (let pops = 0; pops < 2; pops++) {
  const p = pops === 1 ? "p" : "";
  add(`fcom${p} m32`, [0xd8, at(2 + pops)], "m32", (f, w) => arith.fcomM32(f, CPU, w[0], pops));
  add(`fcom${p} m64`, [0xdc, at(2 + pops)], "m64", (f, w) => arith.fcomM64(f, CPU, w[0], w[1], pops));
  add(`ficom${p} i16`, [0xde, at(2 + pops)], "i16", (f, w) => arith.ficom(f, CPU, (w[0] << 16) >> 16, pops));
  add(`ficom${p} i32`, [0xda, at(2 + pops)], "i32", (f, w) => arith.ficom(f, CPU, w[0], pops));
}
add("ftst", [0xd9, 0xe4], "none", (f) => arith.ftst(f, CPU));
add("fxam", [0xd9, 0xe5], "none", (f) => arith.fxam(f, CPU));
add("fchs", [0xd9, 0xe0], "none", (f) => arith.fchs(f, CPU, 0));
add("fabs", [0xd9, 0xe1], "none", (f) => arith.fchs(f, CPU, 1));
add("fsqrt", [0xd9, 0xfa], "none", (f) => arith.fsqrt(f, CPU));
add("frndint", [0xd9, 0xfc], "none", (f) => arith.frndint(f, CPU));
add("fscale", [0xd9, 0xfd], "none", (f) => arith.fscale(f, CPU));
add("fprem", [0xd9, 0xf8], "none", (f) => arith.fprem(f, CPU, 0));
add("fprem1", [0xd9, 0xf5], "none", (f) => arith.fprem(f, CPU, 1));
add("fxtract", [0xd9, 0xf4], "none", (f) => arith.fxtract(f, CPU));
for (let which = 0; which < 7; which++) {
  add(`fldconst ${which}`, [0xd9, 0xe8 + which], "none", (f) => move.fldConstant(f, CPU, which));
}
add("fincstp", [0xd9, 0xf7], "none", (f) => control.fincstp(f, CPU, 1));
add("fdecstp", [0xd9, 0xf6], "none", (f) => control.fincstp(f, CPU, -1));
add("fnop", [0xd9, 0xd0], "none", (f) => control.fwait(f, CPU));
add("fwait", [0x9b], "none", (f) => control.fwait(f, CPU));
add("fldcw", [0xd9, at(5)], "cw", (f, w) => control.fldcw(f, CPU, w[0] & 0xffff));
add("fnclex", [0xdb, 0xe2], "none", (f) => control.fnclex(f, CPU));
add("fninit", [0xdb, 0xe3], "none", (f) => control.fninit(f, CPU));
add("fnstsw ax", [0xdf, 0xe0], "none", (f, _w, _e, out) => {
  out.rax = (out.rax & ~0xffff) | control.fnstsw(f, CPU);
});
add("emms", [0x0f, 0x77], "none", (f) => control.emms(f, CPU));
add("paddd mm1, mm2", [0x0f, 0xfe, 0xca], "none", (f) => {
  if (control.mmxEnter(f, CPU) !== X87_OK) return X87_MF;
  const i32 = f.views.i32;
  const base = (CPU + LAYOUT.registers) >>> 2;
  i32[base + 4] += i32[base + 8];
  i32[base + 5] += i32[base + 9];
  return control.mmxWritten(f, CPU, 1);
});
for (const prefix of [[], [0x66]]) {
  const format = prefix.length === 0 ? control.ENV32 : control.ENV16;
  const bytes = control.environmentBytes(format);
  const name = prefix.length === 0 ? "32" : "16";
  add(`fnstenv ${name}`, [...prefix, 0xd9, at(6)], "none", (f, _w, _e, out) => {
    control.fnstenv(f, CPU, format);
    out.storeBytes = bytes;
  });
  add(`fnsave ${name}`, [...prefix, 0xdd, at(6)], "none", (f, _w, _e, out) => {
    control.fnsave(f, CPU, format);
    out.storeBytes = bytes + 80;
  });
  add(`fldenv ${name}`, [...prefix, 0xd9, at(4)], "env", (f, w) => {
    loadScratch(f, w);
    return control.fwait(f, CPU) || control.fldenv(f, CPU, format);
  });
  add(`frstor ${name}`, [...prefix, 0xdd, at(4)], "env", (f, w) => {
    loadScratch(f, w);
    return control.fwait(f, CPU) || control.frstor(f, CPU, format);
  });
}

function loadScratch(fpu: X87, words: Int32Array): void {
  fpu.views.i32.set(words, (CPU + LAYOUT.scratch) >>> 2);
}

export const X87_CASES: readonly Case[] = cases;

function setF80At(view: DataView, at80: number, value: F80): void {
  view.setInt32(at80, value[0], true);
  view.setInt32(at80 + 4, value[1], true);
  view.setUint16(at80 + 8, value[2], true);
}

/** A random operand, integers and decimals included. */
function fillMemory(view: DataView, at8: number, operand: Operand, random: Random): void {
  for (let i = 0; i < 128; i += 4) view.setInt32(at8 + i, random.next(), true);
  if (operand === "m32") view.setInt32(at8, randomF32(random), true);
  else if (operand === "m64") {
    const [lo, hi] = randomF64(random);
    view.setInt32(at8, lo, true);
    view.setInt32(at8 + 4, hi, true);
  } else if (operand === "m80") setF80At(view, at8, randomF80(random));
  else if (operand === "i16" || operand === "i32" || operand === "i64") {
    const shape = random.below(4);
    if (shape === 0) {
      view.setInt32(at8, random.below(3) - 1, true);
      view.setInt32(at8 + 4, random.below(3) - 1, true);
    } else if (shape === 1) {
      view.setInt32(at8, (1 << random.below(32)) - random.below(2), true);
      view.setInt32(at8 + 4, (1 << random.below(32)) - random.below(2), true);
    }
  } else if (operand === "bcd") {
    for (let i = 0; i < 9; i++) {
      view.setUint8(at8 + i, random.below(4) === 0 ? 0 : random.below(10) | (random.below(10) << 4));
    }
  } else if (operand === "cw") {
    view.setUint16(at8, 0x3f | (random.next() & 0xffff), true);
  }
}

const FSW_CODES = 0x4700;

/** Fills record `index` with a random state for this instruction. */
export function randomState(records: Uint8Array, index: number, item: Case, random: Random): void {
  const base = index * RECORD_BYTES;
  const view = new DataView(records.buffer, records.byteOffset + base, RECORD_BYTES);
  setInstruction(records, index, item.code);
  view.setUint32(FLAGS_AT, random.next() & 0x8d5, true);
  view.setUint32(RAX_AT, random.next(), true);
  const unmasked = random.below(4) === 0;
  let fcw = (random.next() & 0xc00) | [0, 0x200, 0x300, 0x300][random.below(4)] | 0x40;
  fcw |= unmasked ? random.next() & 0x3f : 0x3f;
  // Sticky flags and condition codes at random; now and then an exception is pending.
  let fsw = (random.next() & (FSW_CODES | 0x40)) | (random.next() & fcw & 0x3f) | (random.below(8) << 11);
  if (random.below(16) === 0) fsw |= random.next() & 0x3f;
  if ((fsw & ~fcw & 0x3f) !== 0) fsw |= 0x8080;
  view.setUint16(IMAGE_AT, fcw, true);
  view.setUint16(IMAGE_AT + 2, fsw, true);
  const top = (fsw >>> 11) & 7;
  let inUse = 0xff;
  const shape = random.below(8);
  if (shape === 0) inUse = random.next() & 0xff;
  else if (shape < 5) inUse &= ~(1 << ((top + 7) & 7));
  view.setUint8(IMAGE_AT + 4, inUse);
  const a = randomF80(random);
  setF80At(view, STACK_AT, a);
  for (let i = 1; i < 8; i++) {
    setF80At(view, STACK_AT + 16 * i, i === 1 || i === 4 || i === 7 ? relatedF80(random, a) : randomF80(random));
  }
  view.setUint32(IMAGE_AT + 24, 0x1f80, true);
  fillMemory(view, MEMORY_AT, item.operand, random);
}

/** The record's state -> CPU block. */
export function loadState(fpu: X87, view: DataView): void {
  const { u8, u16 } = fpu.views;
  u8.fill(0, CPU, CPU + 1024);
  const scratch = CPU + LAYOUT.scratch;
  for (let i = 0; i < 160; i++) u8[scratch + i] = view.getUint8(IMAGE_AT + i);
  control.fxrstorX87(fpu, CPU, 1);
  u16.fill(0, scratch >>> 1, (scratch >>> 1) + 100);
}

/** CPU block -> the record. */
function saveState(fpu: X87, view: DataView): void {
  const scratch = CPU + LAYOUT.scratch;
  control.fxsaveX87(fpu, CPU, 1);
  for (let i = 0; i < 24; i++) view.setUint8(IMAGE_AT + i, fpu.views.u8[scratch + i]);
  for (let i = 32; i < 160; i++) view.setUint8(IMAGE_AT + i, fpu.views.u8[scratch + i]);
}

/** Executes record `view` in TypeScript, in place. */
export function runOurs(fpu: X87, view: DataView, item: Case): void {
  loadState(fpu, view);
  const words = new Int32Array(32);
  for (let i = 0; i < 32; i++) words[i] = view.getInt32(MEMORY_AT + 4 * i, true);
  const eflags = view.getUint32(FLAGS_AT, true);
  const out: Outcome = { storeBytes: 0, eflags, rax: view.getInt32(RAX_AT, true) };
  if (item.run(fpu, words, eflags, out) === X87_MF) {
    view.setUint32(FLAGS_AT, FAULTED, true);
    saveState(fpu, view);
    return;
  }
  for (let i = 0; i < out.storeBytes; i++) {
    view.setUint8(MEMORY_AT + i, fpu.views.u8[CPU + LAYOUT.scratch + i]);
  }
  view.setUint32(FLAGS_AT, out.eflags, true);
  view.setInt32(RAX_AT, out.rax, true);
  saveState(fpu, view);
}

/** The architectural state of a record as text, for comparison and for messages. */
export function describe(view: DataView): string {
  const hex = (value: number, digits: number): string => (value >>> 0).toString(16).padStart(digits, "0");
  const parts = [
    `fcw=${hex(view.getUint16(IMAGE_AT, true), 4)}`,
    `fsw=${hex(view.getUint16(IMAGE_AT + 2, true), 4)}`,
    `tags=${hex(view.getUint8(IMAGE_AT + 4), 2)}`,
    `eflags=${hex(view.getUint32(FLAGS_AT, true), 4)}`,
    `ax=${hex(view.getUint16(RAX_AT, true), 4)}`,
  ];
  for (let i = 0; i < 8; i++) {
    const at80 = STACK_AT + 16 * i;
    parts.push(
      `st${i}=${hex(view.getUint16(at80 + 8, true), 4)}:${hex(view.getUint32(at80 + 4, true), 8)}${hex(view.getUint32(at80, true), 8)}`,
    );
  }
  let memory = "";
  for (let i = 107; i >= 0; i--) memory += hex(view.getUint8(MEMORY_AT + i), 2);
  parts.push(`mem=${memory}`);
  return parts.join(" ");
}

export interface Mismatch {
  readonly name: string;
  readonly before: string;
  readonly processor: string;
  readonly ours: string;
}

/** Image fields the comparison leaves out: FOP, FIP and FDP, which the generated code keeps, not these functions. */
export function withoutPointers(view: DataView, item: Case): void {
  for (let i = 6; i < 24; i++) view.setUint8(IMAGE_AT + i, 0);
  if (/^f(nstenv|nsave) 32/.test(item.name)) for (let i = 12; i < 26; i++) view.setUint8(MEMORY_AT + i, 0);
  if (/^f(nstenv|nsave) 16/.test(item.name)) for (let i = 6; i < 14; i++) view.setUint8(MEMORY_AT + i, 0);
}

/** Runs `count` random states of each of `items` on both; returns the mismatches, at most `limit`. */
export function compareX87(items: readonly Case[], count: number, seed: number, limit: number): Mismatch[] {
  const random = new Random(seed);
  const mismatches: Mismatch[] = [];
  const fpu = testX87();
  const batch = 20000;
  for (let done = 0; done < count * items.length; done += batch) {
    const size = Math.min(batch, count * items.length - done);
    const records = new Uint8Array(size * RECORD_BYTES);
    const chosen: Case[] = [];
    for (let i = 0; i < size; i++) {
      const item = items[(done + i) % items.length];
      chosen.push(item);
      randomState(records, i, item, random);
    }
    const native = runNative(records);
    for (let i = 0; i < size; i++) {
      const ours = new DataView(records.buffer, i * RECORD_BYTES, RECORD_BYTES);
      const theirs = new DataView(native.buffer, native.byteOffset + i * RECORD_BYTES, RECORD_BYTES);
      const item = chosen[i];
      const before = describe(ours);
      runOurs(fpu, ours, item);
      withoutPointers(ours, item);
      withoutPointers(theirs, item);
      const expected = describe(theirs);
      const got = describe(ours);
      if (expected === got) continue;
      mismatches.push({ name: item.name, before, processor: expected, ours: got });
      if (mismatches.length >= limit) return mismatches;
    }
  }
  return mismatches;
}
