import { expect, test } from "vitest";
import { isRelocatable } from "../ir/region.ts";
import { Random } from "../testing/random.ts";
import { type FieldValue, randomRegion } from "../testing/random-region.ts";
import { ThreadedAssembler } from "./assembler.ts";

const CELLS = 4096;
const REGIONS = 2000;
const SIZES = { blocks: 4, instructions: 5, actions: 5, slots: 12 };

/** A region's unit, with other values in some of its fields. */
function unitOf(
  seed: number,
  change: FieldValue,
): { bytes: Uint8Array; fields: number[]; decisive: number[] } | undefined {
  const assembler = new ThreadedAssembler(CELLS);
  const region = randomRegion(new Random(seed), SIZES, change);
  if (!assembler.assemble(region, { slotFor: (target) => 100 + (target & 0xff) }, false, 100)) return undefined;
  const bytes = assembler.bytes.slice(0, assembler.length);
  return { bytes, fields: [...assembler.fields], decisive: [...region.decisive] };
}

test("a unit with other values in the words of its free fields is what code with these values becomes", () => {
  let free = 0;
  for (let seed = 1; seed <= REGIONS; seed++) {
    const first = (value: number): number => value | (1 << 31);
    const made = unitOf(seed, (_, value) => first(value));
    if (made === undefined) continue;
    const changed = new Map<number, number>();
    const other = unitOf(seed, (offset, value) => {
      const now = first(Math.imul(offset + seed, 0x9e3779b1));
      if (!isRelocatable(first(value)) || !isRelocatable(now) || made.decisive.includes(offset)) return first(value);
      changed.set(offset, now);
      return now;
    });
    const view = new DataView(made.bytes.buffer);
    for (let index = 0; index < made.fields.length; index += 2) {
      const value = changed.get(made.fields[index + 1]);
      if (value === undefined) continue;
      view.setInt32(made.fields[index], value, true);
      free++;
    }
    expect(other).toEqual(made);
  }
  expect(free).toBeGreaterThan(REGIONS / 10);
});
