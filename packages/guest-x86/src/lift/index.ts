/** All lifters, by mnemonic number. */
import { mnemonicNames } from "../decode/instruction.ts";
import type { Lifter } from "./context.ts";
import { integer } from "./integer.ts";
import { sse } from "./sse.ts";
import { x87 } from "./x87.ts";
import { x87Images } from "./x87-image.ts";

const floatFamilies: readonly Readonly<Partial<Record<string, Lifter>>>[] = [sse, x87, x87Images];
const families: readonly Readonly<Partial<Record<string, Lifter>>>[] = [integer, ...floatFamilies];

const byName: ReadonlyMap<string, Lifter> = new Map(
  families.flatMap((family) => Object.entries(family) as [string, Lifter][]),
);

for (const name of byName.keys()) {
  if (!mnemonicNames.includes(name as (typeof mnemonicNames)[number]))
    throw new Error(`no instruction is called ${name}`);
}

const floatNames: ReadonlySet<string> = new Set(floatFamilies.flatMap((family) => Object.keys(family)));
const isFloat: Uint8Array = Uint8Array.from(mnemonicNames, (name) => (floatNames.has(name) ? 1 : 0));
const x87Names: ReadonlySet<string> = new Set([x87, x87Images].flatMap((family) => Object.keys(family)));

/** Whether an instruction uses x87, MMX or SSE registers: whether CR0.TS stops it (Intel SDM vol. 3, 2.5). */
export function usesFloatUnit(mnemonic: number): boolean {
  return isFloat[mnemonic] !== 0;
}

/** Whether it is an instruction of the x87 unit rather than of MMX or SSE. */
export function isX87(mnemonic: number): boolean {
  return x87Names.has(mnemonicNames[mnemonic]);
}

/** The lifter of each mnemonic; undefined where there is none, and the instruction raises #UD. */
export const lifters: readonly (Lifter | undefined)[] = mnemonicNames.map((name) => byName.get(name));
