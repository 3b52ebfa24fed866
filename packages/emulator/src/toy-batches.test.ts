/** Regions that share a module, by what their threaded code tells. */
import { describe, expect, test } from "vitest";
import { Code, Exit, type Program } from "./testing/toy-frontend.ts";
import { ToyHost, type ToyProcess, toyProcess } from "./testing/toy-machine.ts";

const CODE = 0x10000;
const CALLEE = CODE + 0x60 * 3;
const LEAF = CALLEE + 0x40 * 3;
const CALLS = 8;

/** Calls a function `r2` times, which calls another one each time. */
const caller: Program = [[Code.call, 0, 0x60 - 1], [Code.addi, 2, -1], [Code.bnez, 2, -3], [Code.halt]];
const callee: Program = [
  [Code.mov, 3, 7],
  [Code.call, 0, 0x40 - 2],
  [Code.jr, 0, 3],
];
const leaf: Program = [[Code.addi, 1, 1], [Code.ret]];

function run(batchAfter: number): ToyProcess {
  const host = new ToyHost({ compileAfter: CALLS, batchAfter, promoteAfter: 1_000_000 });
  const process = toyProcess(caller, CODE, host).put(CALLEE, callee).put(LEAF, leaf);
  process.setRegister(2, 4 * CALLS);
  expect(process.run(CODE)).toBe(Exit.halt);
  expect(process.register(1)).toBe(BigInt(4 * CALLS));
  return process;
}

describe("batches", () => {
  test("what a compiled region leads to is compiled beside it when it has run nearly as often", () => {
    const { regions, modules } = run(CALLS / 2).host.engine.translator.statistics;
    expect(regions).toBeGreaterThan(modules);
  });

  test("what has not run as often is left for later", () => {
    const { regions, modules } = run(CALLS + 1).host.engine.translator.statistics;
    expect(regions).toBeGreaterThan(0);
    expect(modules).toBe(regions);
  });
});
