/** All lifters, by mnemonic number. */
import { mnemonicNames } from "../decode/instruction.ts";
import type { Lifter } from "./context.ts";
import { integer } from "./integer.ts";
import { sse } from "./sse.ts";
import { x87 } from "./x87.ts";
import { x87Images } from "./x87-image.ts";

const families: readonly Readonly<Partial<Record<string, Lifter>>>[] = [integer, sse, x87, x87Images];

const byName: ReadonlyMap<string, Lifter> = new Map(
  families.flatMap((family) => Object.entries(family) as [string, Lifter][]),
);

for (const name of byName.keys()) {
  if (!mnemonicNames.includes(name as (typeof mnemonicNames)[number]))
    throw new Error(`no instruction is called ${name}`);
}

/** The lifter of each mnemonic; undefined where there is none, and the instruction raises #UD. */
export const lifters: readonly (Lifter | undefined)[] = mnemonicNames.map((name) => byName.get(name));
