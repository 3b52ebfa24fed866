/** The policy "check on use": stores drop protection quietly, and whoever is about to use a translation looks. */
import { EngineExit } from "@doppel/dbt-core";
import type { GuardStatistics } from "@doppel/guard-memory";
import { describe, expect, test, vi } from "vitest";
import { tiers } from "./testing/tiers.ts";
import { Code, Exit, type Program } from "./testing/toy-frontend.ts";
import { ToyHost, type ToyProcess, toyProcess } from "./testing/toy-machine.ts";

const CODE = 0x10000;
const ALIAS = 0x50000;
/** A thousandth of what a run may use: code that is never coherent comes to its end all the same. */
const TRANSLATION_BUDGET = 1000;
const at = (index: number): number => CODE + 3 * index;
const operandOf = (index: number): number => at(index) + 2;

describe.each(tiers)("%s", (_tier, translator) => {
  const start = (program: Program): ToyProcess =>
    toyProcess(program, CODE, new ToyHost(translator, undefined, "check on use", {}, TRANSLATION_BUDGET));

  test("G4 a store to a guarded granule is done at once: no fault, nothing discarded, the granule unprotected", () => {
    const victim: Program = [[Code.li, 3, 1], [Code.halt]];
    const toy = start(victim);
    expect(toy.run()).toBe(Exit.halt);
    toy.put(ALIAS, [[Code.storeb, 0, 1], [Code.halt]]);
    toy.setRegister(0, operandOf(0));
    toy.setRegister(1, 9);
    const { memory, engine } = toy.host;
    const page = toy.page(CODE);
    expect(memory.isGuarded(page)).toBe(true);
    expect(toy.run(ALIAS)).toBe(Exit.halt);
    expect([toy.byte(operandOf(0)), memory.isGuarded(page)]).toEqual([9, false]);
    expect(memory.guardStatistics).toMatchObject({ faults: 0, unprotected: 1 } satisfies Partial<GuardStatistics>);
    expect([engine.statistics.guardFaults, engine.statistics.discards]).toEqual([0, 0]);
  });

  test("G6 the next use finds the bit missing, discards, and translates the new bytes", () => {
    const toy = start([[Code.li, 3, 1], [Code.halt]]);
    const { statistics } = toy.host.engine;
    for (let value = 1; value < 6; value++) {
      toy.host.deviceWrite(toy.page(CODE), 2, [value]);
      const { discards } = statistics;
      expect([toy.run(CODE), toy.register(3)]).toEqual([Exit.halt, BigInt(value)]);
      expect(statistics.discards > discards).toBe(value > 1);
    }
    expect(statistics).toMatchObject({ staleOnUse: statistics.discards, guardFaults: 0 });
    // Used again with nothing changed, it is kept.
    const { discards } = statistics;
    expect(toy.run(CODE)).toBe(Exit.halt);
    expect(statistics.discards).toBe(discards);
  });

  const ways: readonly (readonly [string, Program])[] = [
    ["the dispatcher", [[Code.halt]]],
    ["a slot", [[Code.jmp, 0, 40]]],
    ["a register's jump", [[Code.jr, 0, 4]]],
    ["a call", [[Code.call, 0, 40], [Code.halt]]],
    ["a call by register", [[Code.callr, 0, 4], [Code.halt]]],
    ["a return", [[Code.mov, 7, 4], [Code.ret]]],
  ];
  test.each(ways)("G5 every granule's bit is tested on the way in by %s", (way, program) => {
    const toy = start(program);
    const victim = at(41);
    // Two granules, of which either may change.
    const body: Program = [[Code.li, 3, 1], ...Array.from({ length: 25 }, () => [Code.addi, 5, 0] as const)];
    toy.put(victim, [...body, [Code.li, 4, 1], [Code.halt]]);
    const enter = (): (bigint | number)[] => {
      toy.setRegister(4, victim);
      const code = toy.run(way === "the dispatcher" ? victim : CODE);
      return [code, toy.register(3), toy.register(4)];
    };
    for (let value = 1n; value < 5n; value++) {
      for (let round = 0; round < 5; round++) expect(enter()).toEqual([Exit.halt, value, value]);
      for (const instruction of [0, 26]) {
        const offset = victim - CODE + 3 * instruction + 2;
        toy.host.deviceWrite(toy.page(CODE), offset, [Number(value) + 1]);
        expect(enter()).toEqual([Exit.halt, value + 1n, instruction === 0 ? value : value + 1n]);
      }
    }
  });

  test("G5 a loop that stores is left at its next turn when it stored on itself", () => {
    const toy = start([
      [Code.addi, 3, 1],
      [Code.storeb, 0, 1],
      [Code.addi, 1, 1],
      [Code.addi, 2, -1],
      [Code.bnez, 2, -5],
      [Code.halt],
    ]);
    toy.setRegister(0, operandOf(0));
    toy.setRegister(1, 2);
    toy.setRegister(2, 50);
    expect([toy.run(), toy.register(3)]).toEqual([Exit.halt, 1n + ((2n + 50n) * 49n) / 2n]);
    expect(toy.host.engine.statistics.guardFaults).toBe(0);
  });

  test.each(["before", "after"])(
    "G7 bits are set before the bytes are read: a store that comes %s the bit is not missed",
    (when) => {
      const toy = start([[Code.li, 3, 1], [Code.halt]]);
      const { memory } = toy.host;
      const page = toy.page(CODE);
      const set = memory.guard.bind(memory);
      const store = (value: number): void => toy.host.deviceWrite(page, operandOf(0) - CODE, [value]);
      vi.spyOn(memory, "guard").mockImplementationOnce((...place) => {
        if (when === "before") store(77);
        set(...place);
        if (when === "after") store(77);
      });
      expect([toy.run(CODE), toy.register(3)]).toEqual([Exit.halt, 77n]);
      store(78);
      expect([toy.run(CODE), toy.register(3)]).toEqual([Exit.halt, 78n]);
    },
  );
});

describe("G16 the policy is chosen per page while running", () => {
  const host = (): ToyHost => new ToyHost({ compileAfter: 5, promoteAfter: 20 });
  const changing: Program = [[Code.li, 3, 1], [Code.halt]];

  test("a page whose stores fault again and again is checked on use; its neighbour is not", () => {
    const toy = toyProcess(changing, CODE, host());
    toy.put(ALIAS, changing);
    const { memory } = toy.host;
    for (let value = 1; value < 12; value++) {
      toy.host.deviceWrite(toy.page(CODE), 2, [value]);
      expect([toy.run(CODE), toy.register(3)]).toEqual([Exit.halt, BigInt(value)]);
      expect([toy.run(ALIAS), toy.register(3)]).toEqual([Exit.halt, 1n]);
    }
    expect([memory.isCheckedOnUse(toy.page(CODE)), memory.isCheckedOnUse(toy.page(ALIAS))]).toEqual([true, false]);
    expect(memory.guardStatistics).toMatchObject({ faults: 4, toCheckOnUse: 1, toFaultOnStore: 0 });
    expect(memory.guardStatistics.unprotected).toBeGreaterThan(3);
    expect(memory.guardedPages()).toEqual([
      {
        page: toy.page(CODE),
        policy: "check on use",
        faults: 4,
        unprotected: memory.guardStatistics.unprotected,
        changes: 1,
        granules: 1,
        freed: false,
      },
    ]);
  });

  test("it comes back when its code has become hot and nobody stores to it", () => {
    const toy = toyProcess(changing, CODE, host());
    const { memory } = toy.host;
    const page = toy.page(CODE);
    for (let value = 1; value < 12; value++) {
      toy.host.deviceWrite(page, 2, [value]);
      expect([toy.run(CODE), toy.register(3)]).toEqual([Exit.halt, BigInt(value)]);
    }
    expect(memory.isCheckedOnUse(page)).toBe(true);
    for (let round = 0; round < 60; round++) expect([toy.run(CODE), toy.register(3)]).toEqual([Exit.halt, 11n]);
    expect([memory.isCheckedOnUse(page), memory.guardStatistics.toFaultOnStore]).toEqual([false, 1]);
    toy.host.deviceWrite(page, 2, [50]);
    expect([toy.run(CODE), toy.register(3)]).toEqual([Exit.halt, 50n]);
  });

  test("callers on the stack of a page that changes its policy return to what is there then", () => {
    // The callee rewrites the caller's continuation, often enough for the page to change over.
    const toy = toyProcess(
      [[Code.call, 0, 2], [Code.li, 3, 1], [Code.halt], [Code.storeb, 0, 1], [Code.ret]],
      CODE,
      host(),
    );
    toy.map(0x80000 - 4096);
    toy.setRegister(6, 0x80000);
    toy.setRegister(0, operandOf(1));
    for (let value = 5; value < 40; value++) {
      toy.setRegister(1, value);
      let code = toy.run(CODE);
      while (code === EngineExit.service) code = toy.run();
      expect([code, toy.register(3)]).toEqual([Exit.halt, BigInt(value)]);
    }
    expect(toy.host.memory.guardStatistics.toCheckOnUse).toBeGreaterThan(0);
  });
});
