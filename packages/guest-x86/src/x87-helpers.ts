/**
 * Helpers of the x87 instructions: `float/x87-imports.ts` bound to a context block, and the FXSAVE image.
 *
 * Memory operands come as arguments and go through the scratch area, so that guest memory is only touched by translated
 * code. MMX registers live in state slots that alias the x87 ones; helpers read and write those slots, so the
 * engine has them in memory around a call. What an MMX instruction left undone, the exponents of the registers it
 * wrote, is made up for at the first x87 helper after it.
 */
import type { HelperDeclaration, ValueType } from "@doppel/dbt-core";
import { type X87Imports, x87Imports } from "./float/x87-imports.ts";
import { type MemoryViews, X87, X87_OK } from "./float/x87-state.ts";
import type { Helper, HelperPort } from "./helper-port.ts";
import { Mxcsr } from "./mxcsr.ts";
import { memoryViews } from "./sse-helpers.ts";
import { Slot, StateOffset } from "./state.ts";

const registers = [0, 1, 2, 3, 4, 5, 6, 7].map((index) => Slot.mmx + index);
const reads = [...registers, Slot.ftag, Slot.fopTop, Slot.fcwFsw];
const writes = [...reads, Slot.x87Scratch];

function declare(
  name: string,
  parameters: number,
  readSlots: readonly number[],
  writeSlots: readonly number[],
): HelperDeclaration {
  const types: ValueType[] = Array.from({ length: parameters }, () => "i32");
  return { name, parameters: types, result: "i32", reads: readSlots, writes: writeSlots, exits: false };
}

type Name = keyof X87Imports;

/** Parameters after the context pointer, by import; what they mean is said at the functions in `float/`. */
const parameterCounts: Partial<Readonly<Record<Name, number>>> = {
  fldM32: 1,
  fldM64: 2,
  fldM80: 3,
  fldSt: 1,
  fildM32: 1,
  fildM64: 2,
  fbld: 3,
  fldConstant: 1,
  fstM32: 0,
  fstM64: 0,
  fstM80: 0,
  fist: 1,
  fisttp: 1,
  fbstp: 0,
  fstSt: 2,
  fxch: 1,
  fcmov: 2,
  ffree: 2,
  arithSt: 2,
  arithToSt: 3,
  arithM32: 2,
  arithM64: 3,
  arithInteger: 2,
  fcomSt: 3,
  fcomM32: 2,
  fcomM64: 3,
  ficom: 2,
  fcomi: 3,
  ftst: 0,
  fxam: 0,
  fchs: 1,
  fsqrt: 0,
  frndint: 0,
  fscale: 0,
  fprem: 1,
  fxtract: 0,
  f2xm1: 0,
  fyl2x: 1,
  fsin: 1,
  fsincos: 1,
  fwait: 0,
  fldcw: 1,
  fnstcw: 0,
  fnstsw: 0,
  fnclex: 0,
  fninit: 0,
  fincstp: 1,
  fnstenv: 1,
  fldenv: 1,
  fnsave: 1,
  frstor: 1,
};
const names = Object.keys(parameterCounts) as Name[];

const stores: ReadonlySet<Name> = new Set(["fstM32", "fstM64", "fstM80", "fist", "fisttp", "fbstp"]);
/** Behind the ten bytes that a store may leave in the scratch area. */
const STORED_STATUS = StateOffset.scratch + 16;

/** Name of the helper for an x87 import: they are in one name space with all others. */
export function x87HelperName(name: Name): string {
  return `x87.${name}`;
}

export const x87HelperDeclarations: readonly HelperDeclaration[] = [
  ...names.map((name) => declare(x87HelperName(name), parameterCounts[name]!, reads, writes)),
  /** `wide`: the x87 part of an FXSAVE image, with MXCSR, into the scratch area; and back, without MXCSR. */
  declare("fxsaveImage", 1, [...reads, Slot.mxcsr], writes),
  declare("fxrstorImage", 1, reads, writes),
  /** Ends a store to memory, the bits being there: sets the status that making them gave, and pops if told to. */
  declare("x87Stored", 1, reads, writes),
  /** The images of FNSTENV and FNSAVE by format, without what these do to the state. */
  declare("environmentImage", 1, reads, writes),
  declare("stateImage", 1, reads, writes),
  /** Sixteen bytes of the scratch area, by number, to the vector result; and from vector operand A. */
  declare("readImage", 1, [Slot.x87Scratch], [Slot.vectorResult]),
  declare("writeImage", 1, [Slot.vectorA], [Slot.x87Scratch]),
];

/** Gives registers that MMX instructions wrote the exponent they have from that. */
export function settleMmx(views: MemoryViews, cpu: number): void {
  const written = views.u8[cpu + StateOffset.mmxWritten];
  for (let index = 0; index < 8; index++) {
    if ((written & (1 << index)) !== 0) views.u16[(cpu + StateOffset.fpr + 16 * index + 8) >>> 1] = 0xffff;
  }
  views.u8[cpu + StateOffset.mmxWritten] = 0;
}

export function createX87Helpers(port: HelperPort): Record<string, Helper> {
  const views = memoryViews(port);
  const fpu = new X87(views, { ...StateOffset, registers: StateOffset.fpr });
  const imports = x87Imports(fpu);

  const start = (cpu: number): void => {
    if (views.u8.length === 0) views.refresh();
    if (views.u8[cpu + StateOffset.mmxWritten] !== 0) settleMmx(views, cpu);
  };
  /** Everything but the registers, which nothing that makes an image changes. */
  const kept = new Uint8Array(StateOffset.fpr - StateOffset.fcw);
  const keepControl = (cpu: number, operation: () => void): void => {
    const { u8 } = views;
    kept.set(u8.subarray(cpu + StateOffset.fcw, cpu + StateOffset.fpr));
    operation();
    u8.set(kept, cpu + StateOffset.fcw);
  };
  const helpers: Record<string, Helper> = {
    fxsaveImage: (cpu, wide) => {
      start(cpu);
      imports.fxsaveX87(cpu, wide);
      const scratch = (cpu + StateOffset.scratch) >>> 2;
      views.i32[scratch + 6] = views.i32[(cpu + StateOffset.mxcsr) >>> 2]!;
      views.i32[scratch + 7] = Mxcsr.writable;
      return 0;
    },
    fxrstorImage: (cpu, wide) => {
      start(cpu);
      return imports.fxrstorX87(cpu, wide);
    },
    environmentImage: (cpu, format) => {
      start(cpu);
      keepControl(cpu, () => imports.fnstenv(cpu, format));
      return 0;
    },
    stateImage: (cpu, format) => {
      start(cpu);
      keepControl(cpu, () => imports.fnsave(cpu, format));
      return 0;
    },
    readImage: (cpu, chunk) => {
      const from = cpu + StateOffset.scratch + 16 * chunk;
      views.u8.copyWithin(cpu + StateOffset.vectorOperands + 128, from, from + 16);
      return 0;
    },
    writeImage: (cpu, chunk) => {
      if (views.u8.length === 0) views.refresh();
      const from = cpu + StateOffset.vectorOperands;
      views.u8.copyWithin(cpu + StateOffset.scratch + 16 * chunk, from, from + 16);
      return 0;
    },
  };
  /** A store's status waits in the scratch area until the bits are in memory. */
  const deferStatus =
    (operation: Helper): Helper =>
    (cpu, bits) => {
      const at = (cpu + StateOffset.fsw) >>> 1;
      const before = views.u16[at];
      const outcome = operation(cpu, bits);
      if (outcome === X87_OK) {
        views.u16[(cpu + STORED_STATUS) >>> 1] = views.u16[at]!;
        views.u16[at] = before;
      }
      return outcome;
    };
  helpers["x87Stored"] = (cpu, pops) => {
    views.u16[(cpu + StateOffset.fsw) >>> 1] = views.u16[(cpu + STORED_STATUS) >>> 1]!;
    if (pops !== 0) imports.pop(cpu);
    return 0;
  };
  for (const name of names) {
    const operation = stores.has(name) ? deferStatus(imports[name]) : imports[name];
    helpers[x87HelperName(name)] = withStart(start, operation, parameterCounts[name]!);
  }
  return helpers;
}

/** By number of parameters, so that no call goes through a rest array. */
function withStart(start: (cpu: number) => void, operation: Helper, parameters: number): Helper {
  switch (parameters) {
    case 0:
      return (cpu) => {
        start(cpu);
        return operation(cpu);
      };
    case 1:
      return (cpu, a) => {
        start(cpu);
        return operation(cpu, a);
      };
    case 2:
      return (cpu, a, b) => {
        start(cpu);
        return operation(cpu, a, b);
      };
    default:
      return (cpu, a, b, c) => {
        start(cpu);
        return operation(cpu, a, b, c);
      };
  }
}
