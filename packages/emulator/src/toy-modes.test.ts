/** One program in modes that differ in a bit which hardly any of its code goes by. */
import { describe, expect, it } from "vitest";
import { tiers } from "./testing/tiers.ts";
import { Code, Exit } from "./testing/toy-frontend.ts";
import { ToyHost, toyProcess } from "./testing/toy-machine.ts";

const STACK = 0x20800;

/** r1 = the sum of the mode's bit over 20 calls, two deep. */
const program = [
  [Code.li, 0, 20],
  [Code.li, 1, 0],
  [Code.call, 0, 3],
  [Code.addi, 0, -1],
  [Code.bnez, 0, -3],
  [Code.halt],
  // Goes by no mode; what it calls does.
  [Code.push, 7],
  [Code.call, 0, 2],
  [Code.pop, 7],
  [Code.ret],
  [Code.mode, 2],
  [Code.add, 1, 2],
  [Code.ret],
];

describe.each(tiers)("an optional bit of the mode: %s", (_name, translator) => {
  it("is what the code that goes by it was translated for, whatever led there before", () => {
    const toy = toyProcess(program, 0x10000, new ToyHost(translator));
    toy.map(STACK);
    for (const mode of [0, 1, 0, 1, 1, 0]) {
      toy.context.mode = mode;
      toy.setRegister(6, STACK);
      expect(toy.run(0x10000)).toBe(Exit.halt);
      expect(toy.register(1)).toBe(mode === 0 ? 0n : 20n);
    }
  });
});

it("code that does not go by an optional bit of the mode is translated once", () => {
  const toy = toyProcess(program, 0x10000, new ToyHost({ compileAfter: 1_000_000 }));
  toy.map(STACK);
  const made = [0, 1, 0, 1].map((mode) => {
    toy.context.mode = mode;
    toy.setRegister(6, STACK);
    const before = toy.host.translated;
    toy.run(0x10000);
    return toy.host.translated - before;
  });
  expect(made.slice(1)).toEqual([1, 0, 0]);
});
