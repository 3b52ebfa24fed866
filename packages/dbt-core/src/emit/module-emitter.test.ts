import { expect, test } from "vitest";
import { Random } from "../testing/random.ts";
import { helpers, randomRegion } from "../testing/random-region.ts";
import { layout } from "../testing/differential.ts";
import { ModuleEmitter } from "./module-emitter.ts";

test("nothing in a portable module is of one run: where its links, its count and its notes are", () => {
  const emitter = new ModuleEmitter(layout, helpers, 16);
  const emitted = (seed: number, counter: number, firstNumber: number): { bytes: string; imports: number } => {
    const numbers = new Map<string, number>();
    const numberOf = (kind: string, offset: number): number => {
      const key = `${kind} ${offset}`;
      const number = numbers.get(key) ?? firstNumber + 300 * numbers.size;
      numbers.set(key, number);
      return number;
    };
    const link = {
      slotFor: (offset: number) => numberOf("link", offset),
      siteFor: (offset: number) => numberOf("site", offset),
    };
    emitter.begin(true);
    const region = randomRegion(new Random(seed), { blocks: 5, instructions: 2, actions: 3, slots: 8 });
    emitter.addRegion(region, link, { narrowAddresses: false, counter });
    return { bytes: emitter.finish(firstNumber).join(), imports: emitter.imported.length };
  };
  let imports = 0;
  for (let seed = 0; seed < 200; seed++) {
    const [first, second] = [emitted(seed, 4096, 100_000), emitted(seed, 70_000, 3_000_000)];
    expect(first).toEqual(second);
    imports += first.imports;
  }
  expect(imports).toBeGreaterThan(400);
});
