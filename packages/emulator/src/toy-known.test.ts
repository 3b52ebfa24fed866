/** What an earlier run compiled is compiled sooner. */
import { UnitArchive } from "@doppel/dbt-core";
import { expect, test } from "vitest";
import { Code, Exit, type Program } from "./testing/toy-frontend.ts";
import { ToyHost, toyProcess } from "./testing/toy-machine.ts";

const CODE = 0x10000;
const CALLEE = CODE + 0x60 * 3;
const OTHER = CALLEE + 0x10 * 3;
const COMPILE_AFTER = 40;
const KNOWN_AFTER = 4;

/** Calls one function `r2` times. */
const callerOf = (distance: number): Program => [
  [Code.call, 0, distance - 1],
  [Code.addi, 2, -1],
  [Code.bnez, 2, -3],
  [Code.halt],
];
const callee: Program = [[Code.addi, 1, 1], [Code.ret]];

/** Regions compiled; the loop that calls takes as many rounds as the function is called. */
function regions(archive: UnitArchive, calls: number, distance: number, compileKnownAfter?: number): number {
  const known = compileKnownAfter === undefined ? {} : { compileKnownAfter };
  const host = new ToyHost({ compileAfter: COMPILE_AFTER, promoteAfter: 1_000_000, archive, ...known });
  const process = toyProcess(callerOf(distance), CODE, host).put(CALLEE, callee).put(OTHER, callee);
  process.setRegister(2, calls);
  expect(process.run(CODE)).toBe(Exit.halt);
  expect(process.register(1)).toBe(BigInt(calls));
  return host.engine.translator.statistics.regions;
}

const few = 2 * KNOWN_AFTER;

test("code that an earlier run compiled is compiled after fewer entries, other code after as many as ever", () => {
  const archive = new UnitArchive();
  expect(regions(archive, few, 0x60, KNOWN_AFTER)).toBe(0);
  expect(regions(archive, 2 * COMPILE_AFTER, 0x60, KNOWN_AFTER)).toBeGreaterThan(0);
  expect(archive.changed).toBeGreaterThan(0);
  const later = new UnitArchive();
  later.load(archive.contents().slice());
  expect(regions(later, few, 0x60, KNOWN_AFTER)).toBeGreaterThan(0);
  expect(regions(later, few, 0x70, KNOWN_AFTER)).toBe(0);
});

test("without an option for that nothing is noted", () => {
  const archive = new UnitArchive();
  expect(regions(archive, 2 * COMPILE_AFTER, 0x60)).toBeGreaterThan(0);
  expect(archive.changed).toBe(0);
  expect(regions(archive, few, 0x60)).toBe(0);
});
