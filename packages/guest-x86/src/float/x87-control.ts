/**
 * x87 control: FLDCW and its kin, the environment and state images, and the MMX view of the registers.
 *
 * The one idea: an image is built in, or read from, the scratch area; generated code copies it to or from guest
 * memory. The two-bit tag word and the abridged one are derived on demand from `ftag` and the registers.
 *
 * Source: Intel SDM Vol. 1, 8.1.7, 8.1.10 and figures 8-9 to 8-12 (images), 9.2 and 9.6 (MMX), 10.5.1 (FXSAVE).
 */
import { FCW_DEFAULT, FCW_WRITABLE } from "./control.ts";
import { classifyF80, NORMAL, ZERO } from "./f80-round.ts";
import {
  begin,
  commit,
  isPending,
  readFcw,
  readFsw,
  readTop,
  writeControl,
  writeTop,
  X87_MF,
  X87_OK,
  type X87,
} from "./x87-state.ts";

/** FWAIT, FNOP, and the check that a waiting form (FSTSW, FSTCW, FSAVE...) makes first. */
export function fwait(fpu: X87, cpu: number): number {
  return isPending(fpu, cpu) ? X87_MF : X87_OK;
}

/** FLDCW. */
export function fldcw(fpu: X87, cpu: number, value: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  writeControl(fpu, cpu, (value & FCW_WRITABLE) | 0x40, readFsw(fpu, cpu));
  return X87_OK;
}

/** FNSTCW: returns the control word. */
export function fnstcw(fpu: X87, cpu: number): number {
  begin(fpu);
  return readFcw(fpu, cpu);
}

/** FNSTSW: returns the status word with TOP in place. */
export function fnstsw(fpu: X87, cpu: number): number {
  begin(fpu);
  return readFsw(fpu, cpu) | (readTop(fpu, cpu) << 11);
}

/** FNCLEX: clears all exception flags, keeps condition codes. */
export function fnclex(fpu: X87, cpu: number): number {
  begin(fpu);
  writeControl(fpu, cpu, readFcw(fpu, cpu), readFsw(fpu, cpu) & 0x4700);
  return X87_OK;
}

/** FNINIT. */
export function fninit(fpu: X87, cpu: number): number {
  begin(fpu);
  const { views } = fpu;
  writeControl(fpu, cpu, FCW_DEFAULT, 0);
  writeTop(fpu, cpu, 0);
  for (let i = 0; i < 8; i++) views.u8[(cpu + fpu.ftag + i) >>> 0] = 1;
  views.u16[(cpu + fpu.fop) >>> 1] = 0;
  for (let i = 0; i < 8; i += 4) {
    views.i32[(cpu + fpu.fip + i) >>> 2] = 0;
    views.i32[(cpu + fpu.fdp + i) >>> 2] = 0;
  }
  return X87_OK;
}

/** FINCSTP (`delta` 1), FDECSTP (`delta` -1). */
export function fincstp(fpu: X87, cpu: number, delta: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  writeTop(fpu, cpu, readTop(fpu, cpu) + delta);
  commit(fpu, cpu, readFcw(fpu, cpu), 0);
  return X87_OK;
}

/** The full tag word: 2 bits per physical register, 0 valid, 1 zero, 2 special, 3 empty (SDM Vol. 1, 8.1.7). */
export function tagWord(fpu: X87, cpu: number): number {
  const { views } = fpu;
  let tags = 0;
  for (let p = 0; p < 8; p++) {
    let tag = 3;
    if (views.u8[(cpu + fpu.ftag + p) >>> 0] === 0) {
      const at = (cpu + fpu.registers + (p << 4)) >>> 0;
      const kind = classifyF80(views.i32[at >>> 2], views.i32[(at + 4) >>> 2], views.u16[(at + 8) >>> 1]);
      tag = kind === NORMAL ? 0 : kind === ZERO ? 1 : 2;
    }
    tags |= tag << (2 * p);
  }
  return tags;
}

/** Formats of the environment image. 64-bit mode uses ENV32. */
export const ENV16 = 0;
export const ENV32 = 1;
export const ENV16_REAL = 2;
export const ENV32_REAL = 3;

function scratchIndex16(fpu: X87, cpu: number): number {
  return (cpu + fpu.scratch) >>> 1;
}

/** Length in bytes of the environment of a format. */
export function environmentBytes(format: number): number {
  return (format & 1) !== 0 ? 28 : 14;
}

function writeEnvironment(fpu: X87, cpu: number, format: number): void {
  const { views } = fpu;
  const u16 = views.u16;
  const at = scratchIndex16(fpu, cpu);
  const fip = (cpu + fpu.fip) >>> 1;
  const fdp = (cpu + fpu.fdp) >>> 1;
  const fop = u16[(cpu + fpu.fop) >>> 1] & 0x7ff;
  const wide = (format & 1) !== 0;
  const step = wide ? 2 : 1;
  if (wide) u16.fill(0xffff, at, at + 14);
  u16[at] = readFcw(fpu, cpu);
  u16[at + step] = readFsw(fpu, cpu) | (readTop(fpu, cpu) << 11);
  u16[at + 2 * step] = tagWord(fpu, cpu);
  if (format === ENV32) {
    u16[at + 6] = u16[fip];
    u16[at + 7] = u16[fip + 1];
    u16[at + 8] = 0; // FCS and FDS are deprecated and stored as zero
    u16[at + 9] = fop;
    u16[at + 10] = u16[fdp];
    u16[at + 11] = u16[fdp + 1];
    u16[at + 12] = 0;
  } else if (format === ENV16) {
    u16[at + 3] = u16[fip];
    u16[at + 4] = 0;
    u16[at + 5] = u16[fdp];
    u16[at + 6] = 0;
  } else if (format === ENV16_REAL) {
    u16[at + 3] = u16[fip];
    u16[at + 4] = ((u16[fip + 1] & 15) << 12) | fop;
    u16[at + 5] = u16[fdp];
    u16[at + 6] = (u16[fdp + 1] & 15) << 12;
  } else {
    u16[at + 6] = u16[fip];
    u16[at + 8] = ((u16[fip + 1] & 15) << 12) | fop;
    u16[at + 9] = u16[fip + 1] >>> 4;
    u16[at + 10] = u16[fdp];
    u16[at + 12] = (u16[fdp + 1] & 15) << 12;
    u16[at + 13] = u16[fdp + 1] >>> 4;
  }
}

function readEnvironment(fpu: X87, cpu: number, format: number): void {
  const { views } = fpu;
  const u16 = views.u16;
  const at = scratchIndex16(fpu, cpu);
  const fip = (cpu + fpu.fip) >>> 1;
  const fdp = (cpu + fpu.fdp) >>> 1;
  const step = (format & 1) !== 0 ? 2 : 1;
  const fsw = u16[at + step];
  const tags = u16[at + 2 * step];
  for (let p = 0; p < 8; p++) {
    views.u8[(cpu + fpu.ftag + p) >>> 0] = ((tags >>> (2 * p)) & 3) === 3 ? 1 : 0;
  }
  writeTop(fpu, cpu, fsw >>> 11);
  writeControl(fpu, cpu, (u16[at] & FCW_WRITABLE) | 0x40, fsw);
  let fop = 0;
  for (let i = 0; i < 4; i++) u16[fip + i] = u16[fdp + i] = 0;
  if (format === ENV32) {
    u16[fip] = u16[at + 6];
    u16[fip + 1] = u16[at + 7];
    fop = u16[at + 9];
    u16[fdp] = u16[at + 10];
    u16[fdp + 1] = u16[at + 11];
  } else if (format === ENV16) {
    u16[fip] = u16[at + 3];
    u16[fdp] = u16[at + 5];
  } else if (format === ENV16_REAL) {
    u16[fip] = u16[at + 3];
    u16[fip + 1] = u16[at + 4] >>> 12;
    fop = u16[at + 4];
    u16[fdp] = u16[at + 5];
    u16[fdp + 1] = u16[at + 6] >>> 12;
  } else {
    u16[fip] = u16[at + 6];
    u16[fip + 1] = (u16[at + 8] >>> 12) | (u16[at + 9] << 4);
    fop = u16[at + 8];
    u16[fdp] = u16[at + 10];
    u16[fdp + 1] = (u16[at + 12] >>> 12) | (u16[at + 13] << 4);
  }
  u16[(cpu + fpu.fop) >>> 1] = fop & 0x7ff;
}

/** FNSTENV: the image in scratch; then all exceptions are masked. */
export function fnstenv(fpu: X87, cpu: number, format: number): number {
  begin(fpu);
  writeEnvironment(fpu, cpu, format);
  writeControl(fpu, cpu, readFcw(fpu, cpu) | 0x3f, readFsw(fpu, cpu));
  return X87_OK;
}

/** FLDENV: the image is in scratch. Does not wait once loaded; the caller checks FWAIT before reading memory. */
export function fldenv(fpu: X87, cpu: number, format: number): number {
  begin(fpu);
  readEnvironment(fpu, cpu, format);
  return X87_OK;
}

/** Byte offset of ST(i) from the CPU block. */
function registerOffset(fpu: X87, cpu: number, i: number): number {
  return cpu + fpu.registers + (((readTop(fpu, cpu) + i) & 7) << 4);
}

/** FNSAVE: the environment and ST0..ST7 (80 bits each) in scratch, 108 or 94 bytes; then FNINIT. */
export function fnsave(fpu: X87, cpu: number, format: number): number {
  begin(fpu);
  writeEnvironment(fpu, cpu, format);
  const u16 = fpu.views.u16;
  let to = scratchIndex16(fpu, cpu) + (environmentBytes(format) >>> 1);
  for (let i = 0; i < 8; i++) {
    const from = registerOffset(fpu, cpu, i) >>> 1;
    for (let k = 0; k < 5; k++) u16[to++] = u16[from + k];
  }
  return fninit(fpu, cpu);
}

/** FRSTOR: the image of {@link fnsave} is in scratch. */
export function frstor(fpu: X87, cpu: number, format: number): number {
  begin(fpu);
  readEnvironment(fpu, cpu, format);
  const u16 = fpu.views.u16;
  let from = scratchIndex16(fpu, cpu) + (environmentBytes(format) >>> 1);
  for (let i = 0; i < 8; i++) {
    const to = registerOffset(fpu, cpu, i) >>> 1;
    for (let k = 0; k < 5; k++) u16[to + k] = u16[from++];
  }
  return X87_OK;
}

/**
 * The x87 part of FXSAVE (and XSAVE) in scratch: bytes 0 to 23 and 32 to 159, laid out as in the 512-byte area.
 * `wide` non-zero is the REX.W form with 64-bit FIP and FDP; otherwise they are 32 bits and selectors are zero.
 */
export function fxsaveX87(fpu: X87, cpu: number, wide: number): number {
  begin(fpu);
  const { views } = fpu;
  const u16 = views.u16;
  const at = scratchIndex16(fpu, cpu);
  let tags = 0;
  for (let p = 0; p < 8; p++) if (views.u8[(cpu + fpu.ftag + p) >>> 0] === 0) tags |= 1 << p;
  u16[at] = readFcw(fpu, cpu);
  u16[at + 1] = readFsw(fpu, cpu) | (readTop(fpu, cpu) << 11);
  u16[at + 2] = tags;
  u16[at + 3] = u16[(cpu + fpu.fop) >>> 1] & 0x7ff;
  for (let i = 0; i < 4; i++) {
    const kept = i < 2 || wide !== 0;
    u16[at + 4 + i] = kept ? u16[((cpu + fpu.fip) >>> 1) + i] : 0;
    u16[at + 8 + i] = kept ? u16[((cpu + fpu.fdp) >>> 1) + i] : 0;
  }
  for (let i = 0; i < 8; i++) {
    const from = registerOffset(fpu, cpu, i) >>> 1;
    const to = at + 16 + i * 8;
    for (let k = 0; k < 8; k++) u16[to + k] = k < 5 ? u16[from + k] : 0;
  }
  return X87_OK;
}

/** The x87 part of FXRSTOR, from scratch; the layout and `wide` as for {@link fxsaveX87}. */
export function fxrstorX87(fpu: X87, cpu: number, wide: number): number {
  begin(fpu);
  const { views } = fpu;
  const u16 = views.u16;
  const at = scratchIndex16(fpu, cpu);
  const tags = u16[at + 2];
  for (let p = 0; p < 8; p++) views.u8[(cpu + fpu.ftag + p) >>> 0] = ((tags >>> p) & 1) ^ 1;
  writeTop(fpu, cpu, u16[at + 1] >>> 11);
  writeControl(fpu, cpu, (u16[at] & FCW_WRITABLE) | 0x40, u16[at + 1]);
  u16[(cpu + fpu.fop) >>> 1] = u16[at + 3] & 0x7ff;
  for (let i = 0; i < 4; i++) {
    const kept = i < 2 || wide !== 0;
    u16[((cpu + fpu.fip) >>> 1) + i] = kept ? u16[at + 4 + i] : 0;
    u16[((cpu + fpu.fdp) >>> 1) + i] = kept ? u16[at + 8 + i] : 0;
  }
  for (let i = 0; i < 8; i++) {
    const to = registerOffset(fpu, cpu, i) >>> 1;
    for (let k = 0; k < 5; k++) u16[to + k] = u16[at + 16 + i * 8 + k];
  }
  return X87_OK;
}

/** Starts any MMX instruction but EMMS: TOP = 0 and all registers in use. Waits like an x87 instruction. */
export function mmxEnter(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  writeTop(fpu, cpu, 0);
  for (let p = 0; p < 8; p++) fpu.views.u8[(cpu + fpu.ftag + p) >>> 0] = 0;
  return X87_OK;
}

/** After a write to MMi: the aliased register's sign and exponent become all ones. */
export function mmxWritten(fpu: X87, cpu: number, i: number): number {
  fpu.views.u16[(cpu + fpu.registers + (i << 4) + 8) >>> 1] = 0xffff;
  return X87_OK;
}

/** EMMS: all registers empty. */
export function emms(fpu: X87, cpu: number): number {
  if (isPending(fpu, cpu)) return X87_MF;
  writeTop(fpu, cpu, 0);
  for (let p = 0; p < 8; p++) fpu.views.u8[(cpu + fpu.ftag + p) >>> 0] = 1;
  return X87_OK;
}
