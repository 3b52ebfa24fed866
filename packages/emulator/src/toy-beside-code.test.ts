/** Stores to pages that have code on them. */
import { expect, test } from "vitest";
import { Code, Exit, type Program } from "./testing/toy-frontend.ts";
import { ToyHost, toyProcess } from "./testing/toy-machine.ts";
import { tiers } from "./testing/tiers.ts";

const CODE = 0x10000;
const GRANULE = 64;
const ROUNDS = 300;

/** Writes `r1` to where `r3` says again and again, `r2` times; reads it back. */
const program: Program = [
  [Code.store, 3, 1],
  [Code.addi, 1, 1],
  [Code.addi, 2, -1],
  [Code.bnez, 2, -4],
  [Code.load, 4, 3],
  [Code.halt],
];

test.each(tiers)("a store beside code is done without JavaScript: %s", (_name, tier) => {
  const host = new ToyHost({ ...tier });
  const process = toyProcess(program, CODE, host);
  process.setRegister(2, ROUNDS);
  process.setRegister(3, CODE + 4 * GRANULE - 4);
  expect(process.run(CODE)).toBe(Exit.halt);
  expect(process.register(4)).toBe(BigInt(ROUNDS - 1));
  expect(host.engine.statistics.slowStores).toBeLessThan(ROUNDS / 10);
});
