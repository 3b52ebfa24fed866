/** Code that changes while it runs, at every distance and by every way in: guard bits under both policies. */
import { EngineExit } from "@doppel/dbt-core";
import { describe, expect, test, vi } from "vitest";
import { tiersAndPolicies } from "./testing/tiers.ts";
import { Code, Exit, type Program } from "./testing/toy-frontend.ts";
import { ToyHost, type ToyProcess, toyProcess } from "./testing/toy-machine.ts";

const CODE = 0x10000;
const ALIAS = 0x50000;
const STACK = 0x80000;
const GRANULE = 64;
/** A thousandth of what a run may use. */
const TRANSLATION_BUDGET = 1000;
/** Address of instruction n, and of its last byte: the operand. */
const at = (index: number): number => CODE + 3 * index;
const operandOf = (index: number): number => at(index) + 2;
const nothing = (count: number): Program => Array.from({ length: count }, () => [Code.addi, 5, 0]);

describe.each(tiersAndPolicies)("%s, %s", (_tier, policy, translator) => {
  // Without its guard bits, code that is never coherent comes to the end of its budget all the same.
  const newHost = (): ToyHost => new ToyHost(translator, undefined, policy, {}, TRANSLATION_BUDGET);
  const patientHost = (): ToyHost => new ToyHost(translator, undefined, policy);
  const start = (program: Program, base = CODE): ToyProcess => toyProcess(program, base, newHost());

  test.each([0, 1, 5, 20, 21, 22, 45, 300, 1364, 1365, 1366, 2800])(
    "G12 a store to code %i instructions on: the new bytes are executed, and so each time",
    (distance) => {
      const toy = start([[Code.storeb, 0, 1], ...nothing(distance), [Code.li, 3, 1], [Code.halt]]);
      toy.setRegister(0, operandOf(distance + 1));
      for (let value = 2; value < 8; value++) {
        toy.setRegister(1, value);
        expect(toy.run(CODE)).toBe(Exit.halt);
        expect(toy.register(3)).toBe(BigInt(value));
      }
      expect(toy.host.discards).toBeGreaterThan(0);
    },
  );

  test.each([0, 1, 30, 300, 1500])(
    "G12 a loop that changes its beginning from %i instructions further on",
    (distance) => {
      const toy = start([
        [Code.li, 3, 0],
        ...nothing(distance),
        [Code.add, 4, 3],
        [Code.addi, 1, 1],
        [Code.storeb, 0, 1],
        [Code.addi, 2, -1],
        [Code.pc, 7, 0],
        // Back by register: the distance may be more than an operand holds.
        [Code.bnez, 2, 1],
        [Code.halt],
        [Code.jr, 0, 6],
      ]);
      toy.setRegister(0, operandOf(0));
      toy.setRegister(2, 60);
      toy.setRegister(6, CODE);
      expect(toy.run()).toBe(Exit.halt);
      expect(toy.register(4)).toBe((59n * 60n) / 2n);
    },
  );

  test("G12 an instruction that overwrites itself does the old thing once, then the new", () => {
    // Its operand says which register is stored: 1 holds a 2, and 2 holds a 1.
    const toy = start([[Code.storeb, 0, 1], [Code.loadb, 3, 0], [Code.halt]]);
    toy.setRegister(0, operandOf(0));
    toy.setRegister(1, 2);
    toy.setRegister(2, 1);
    for (let round = 0; round < 6; round++) {
      expect(toy.run(CODE)).toBe(Exit.halt);
      expect(toy.register(3)).toBe(round % 2 === 0 ? 2n : 1n);
    }
  });

  test("G12 an instruction can replace itself with another in a loop", () => {
    // The first turn's store makes `halt` of itself.
    const toy = start([
      [Code.addi, 4, 1],
      [Code.storeb, 0, 1],
      [Code.jmp, 0, -3],
    ]);
    toy.setRegister(0, at(1));
    toy.setRegister(1, Code.halt);
    expect([toy.run(), toy.register(4), toy.pc]).toEqual([Exit.halt, 2n, BigInt(at(1))]);
  });

  test("G12 a call made while its return is being rewritten comes back to the new code", () => {
    const toy = start([[Code.call, 0, 2], [Code.li, 3, 1], [Code.halt], [Code.storeb, 0, 1], [Code.ret]]);
    toy.setRegister(0, operandOf(1));
    for (const value of [5, 6, 7, 8, 9]) {
      toy.setRegister(1, value);
      expect([toy.run(CODE), toy.register(3)]).toEqual([Exit.halt, BigInt(value)]);
    }
  });

  test("G12 the same, with hundreds of callers on the stack", () => {
    const toy = start([
      [Code.push, 7],
      [Code.bnez, 2, 1],
      [Code.jmp, 0, 4],
      [Code.addi, 2, -1],
      [Code.call, 0, -5],
      // Each return executes what the innermost call wrote here.
      [Code.addi, 3, 1],
      [Code.jmp, 0, 1],
      [Code.storeb, 0, 1],
      [Code.pop, 7],
      [Code.ret],
    ]);
    toy.map(STACK - 4096);
    toy.setRegister(6, STACK);
    toy.put(CODE + 4096, [[Code.halt]]);
    toy.setRegister(7, CODE + 4096);
    toy.setRegister(0, operandOf(5));
    toy.setRegister(1, 7);
    toy.setRegister(2, 450);
    expect([toy.run(), toy.register(3)]).toEqual([Exit.halt, 450n * 7n]);
  });

  describe("G11 a store that straddles", () => {
    test.each([
      ["granules, with code on the first", GRANULE - 3, GRANULE - 6],
      ["granules, with code on the second", 2 * GRANULE, 2 * GRANULE - 7],
      ["pages, with code on the first", 4096 - 4, 4096 - 5],
      ["pages, with code on the second", 4096, 4096 - 7],
    ])("%s", (_what, victim, address) => {
      const toy = start([[Code.callr, 0, 4], [Code.store, 0, 1], [Code.callr, 0, 4], [Code.halt]], ALIAS);
      toy.map(CODE);
      toy.map(CODE + 4096);
      // What is called stands alone at the border, of which the store changes one byte: 1 becomes 2.
      toy.put(CODE + victim, [[Code.li, 3, 1]]);
      toy.put(CODE + victim + 3, [[Code.ret]]);
      const bytes = Array.from({ length: 8 }, (_, index) => {
        const place = CODE + address + index;
        return place === CODE + victim + 2 ? 2 : toy.byte(place);
      });
      toy.setRegister(0, CODE + address);
      toy.setRegister(
        1,
        bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n),
      );
      toy.setRegister(4, CODE + victim);
      const expected = address + 8 > victim + 2 && address <= victim + 2 ? 2n : 1n;
      expect([toy.run(), toy.register(3)]).toEqual([Exit.halt, expected]);
      expect(toy.host.discards).toBeGreaterThan(0);
      bytes.forEach((byte, index) => expect(toy.byte(CODE + address + index)).toBe(byte));
    });
  });

  test.skipIf(policy === "check on use")(
    "G9 G10 a store to code finds memory as it was when the translation goes, and succeeds when tried again",
    () => {
      const toy = start([[Code.store, 0, 1], [Code.li, 3, 1], [Code.li, 4, 4], [Code.li, 5, 5], [Code.halt]]);
      toy.setRegister(0, at(1));
      toy.setRegister(1, 0x0501_0404_0102_0301n);
      const check = toy.host.memory.checkStore.bind(toy.host.memory);
      const seen: bigint[] = [];
      vi.spyOn(toy.host.memory, "checkStore").mockImplementation((...place) => {
        const dropped = check(...place);
        if (dropped) seen.push(toy.word(at(1)));
        return dropped;
      });
      const before = toy.word(at(1));
      expect([toy.run(), toy.register(3)]).toEqual([Exit.halt, 2n]);
      expect(seen).toEqual([before]);
      expect(toy.word(at(1))).toBe(0x0501_0404_0102_0301n);
      expect(toy.host.discards).toBeGreaterThan(0);
    },
  );

  test("G3 stores beside code, on the same page but another granule, discard nothing", () => {
    const toy = start([[Code.store, 0, 1], [Code.addi, 0, 8], [Code.addi, 1, -1], [Code.bnez, 1, -4], [Code.halt]]);
    toy.setRegister(0, CODE + GRANULE);
    toy.setRegister(1, (4096 - GRANULE) / 8);
    expect(toy.run()).toBe(Exit.halt);
    expect(toy.host.discards).toBe(0);
    expect(toy.word(CODE + 4088)).toBe(1n);
  });

  test("stores beside code on the same granule are right, whatever they cost", () => {
    const toy = start([
      [Code.store, 0, 1],
      [Code.load, 2, 0],
      [Code.add, 3, 2],
      [Code.addi, 1, -1],
      [Code.bnez, 1, -5],
      [Code.halt],
    ]);
    toy.setRegister(0, CODE + 48);
    toy.setRegister(1, 200);
    expect([toy.run(), toy.register(3)]).toEqual([Exit.halt, 20100n]);
  });

  test("G14 a store through another mapping of the page is seen", () => {
    const toy = start([[Code.storeb, 0, 1], [Code.li, 3, 1], [Code.halt]]);
    toy.map(ALIAS, toy.page(CODE));
    toy.setRegister(0, ALIAS + operandOf(1) - CODE);
    for (const value of [2, 3, 4, 5, 6]) {
      toy.setRegister(1, value);
      expect([toy.run(CODE), toy.register(3)]).toEqual([Exit.halt, BigInt(value)]);
    }
    // And code running at the alias by a store to the original.
    toy.setRegister(0, operandOf(1));
    toy.setRegister(1, 9);
    expect([toy.run(ALIAS), toy.register(3)]).toEqual([Exit.halt, 9n]);
  });

  test("G14 a store of another process that shares the page is seen, in the middle of a loop too", () => {
    const host = patientHost();
    const looping = toyProcess(
      [
        [Code.addi, 3, 1],
        [Code.addi, 1, 1],
        [Code.jmp, 0, -3],
      ],
      CODE,
      host,
    );
    const writing = toyProcess([[Code.storeb, 0, 1], [Code.halt]], CODE, host);
    writing.map(ALIAS, looping.page(CODE));
    writing.setRegister(0, ALIAS + 2);
    let sum = 0n;
    for (let value = 1; value < 8; value++) {
      writing.setRegister(1, value);
      expect(writing.run(CODE)).toBe(Exit.halt);
      const turns = looping.register(1);
      expect(looping.run(undefined, 100)).toBe(EngineExit.budget);
      sum += (looping.register(1) - turns) * BigInt(value);
      expect(looping.register(1) - turns).toBeGreaterThan(50n);
      expect(looping.register(3)).toBe(sum);
    }
  });

  test("G13 writes of system calls and devices are seen: between runs, and in a service in the middle of a region", () => {
    const toy = start([
      [Code.li, 4, 5],
      [Code.svc, 0, 1],
      [Code.li, 3, 1],
      [Code.add, 5, 3],
      [Code.addi, 4, -1],
      [Code.bnez, 4, -5],
      [Code.halt],
    ]);
    let value = 1;
    toy.host.service = () => {
      toy.host.deviceWrite(toy.page(CODE), operandOf(2) - CODE, [++value]);
      return false;
    };
    let code = toy.run();
    // When code changed, the engine leaves after the service whatever it answered.
    while (code === EngineExit.service) code = toy.run();
    expect([code, toy.register(5)]).toEqual([Exit.halt, 2n + 3n + 4n + 5n + 6n]);
    toy.host.service = () => false;
    toy.host.deviceWrite(toy.page(CODE), operandOf(2) - CODE, [10]);
    toy.setRegister(5, 0);
    expect([toy.run(CODE), toy.register(5)]).toEqual([Exit.halt, 50n]);
  });

  test("G13 bulk copies by helpers are refused where code is, and allowed elsewhere", () => {
    const toy = start([[Code.halt]]);
    toy.map(STACK);
    expect(toy.run()).toBe(Exit.halt);
    expect(toy.context.hostRange(CODE, 0, 8, true)).toBe(0);
    expect(toy.context.hostRange(CODE, 0, 8, false)).toBe(toy.host.memory.pageOffset(toy.page(CODE)));
    expect(toy.context.hostRange(STACK + 16, 0, 8, true)).toBe(toy.host.memory.pageOffset(toy.page(STACK)) + 16);
  });

  test("G13 a bulk write that gives the running page a copy of its own is an ordinary store's, which leaves", () => {
    const toy = start([[Code.svc, 0, 1], [Code.storeb, 0, 1], [Code.li, 3, 1], [Code.halt]]);
    const shared = toy.page(CODE);
    toy.beforeWrite = () => {
      if (toy.page(CODE) !== shared) return;
      const copy = toy.host.memory.allocatePage();
      toy.host.memory.bytes.copyWithin(copy * 4096, shared * 4096, (shared + 1) * 4096);
      toy.map(CODE, copy);
    };
    let asked = -1;
    // A helper's way: it cannot leave between instructions, as a service does.
    toy.host.service = (context) => {
      asked = context.hostRange(CODE, 0, 8, true);
      context.codeChanged = false;
      return false;
    };
    toy.setRegister(0, operandOf(2));
    toy.setRegister(1, 9);
    expect([toy.run(), asked, toy.register(3)]).toEqual([Exit.halt, 0, 9n]);
    expect(toy.host.memory.bytes[shared * 4096 + operandOf(2) - CODE]).toBe(1);
  });

  test("G13 a page that is freed takes its translations along", () => {
    const toy = start([[Code.li, 3, 1], [Code.halt]]);
    expect(toy.run()).toBe(Exit.halt);
    const page = toy.page(CODE);
    toy.unmap(CODE);
    toy.host.memory.freePage(page);
    expect(toy.host.heap.at(page, 0)).toEqual([]);
    expect(toy.host.memory.allocatePage()).toBe(page);
    toy.map(CODE, page);
    toy.put(CODE, [[Code.li, 3, 4], [Code.halt]]);
    expect([toy.run(CODE), toy.register(3)]).toEqual([Exit.halt, 4n]);
  });

  test("G15 after a discard nothing leads to the old code: not a direct jump, not a register's, not a return", () => {
    // The victim, on a page of its own, is reached in all three ways, then changed, then reached again.
    const ways: readonly Program[] = [
      [[Code.jmp, 0, 40]],
      [[Code.jr, 0, 4]],
      [[Code.mov, 7, 4], [Code.ret]],
      [[Code.call, 0, 40]],
      [[Code.callr, 0, 4]],
    ];
    for (const way of ways) {
      const base = CODE + 4096 - 3 * 41;
      const toy = start(way, base);
      const victim = base + 3 * 41;
      toy.put(victim, [[Code.li, 3, 1], [Code.halt]]);
      const writer = toyProcess([[Code.storeb, 0, 1], [Code.halt]], CODE, toy.host);
      writer.map(ALIAS, toy.page(victim));
      writer.setRegister(0, ALIAS + 2);
      toy.setRegister(4, victim);
      for (const value of [1, 2, 3, 4, 5]) {
        writer.setRegister(1, value);
        expect(writer.run(CODE)).toBe(Exit.halt);
        for (let round = 0; round < 5; round++) {
          toy.setRegister(3, 0);
          expect([toy.run(base), toy.register(3)]).toEqual([Exit.halt, BigInt(value)]);
        }
      }
    }
  });

  test("G8 of two translations that share a granule, one made anew does not revive the other", () => {
    // Entered at 0 and at 3: two fragments over the same bytes.
    const toy = start([[Code.addi, 2, 1], [Code.li, 3, 1], [Code.halt]]);
    const enter = (index: number): bigint => {
      expect(toy.run(at(index))).toBe(Exit.halt);
      return toy.register(3);
    };
    for (let value = 2; value < 7; value++) {
      toy.host.deviceWrite(toy.page(CODE), operandOf(1) - CODE, [value]);
      // The first use guards the granule again; the second must not find its old translation.
      expect([enter(0), enter(1)]).toEqual([BigInt(value), BigInt(value)]);
      toy.host.deviceWrite(toy.page(CODE), operandOf(1) - CODE, [value + 20]);
      expect([enter(1), enter(0)]).toEqual([BigInt(value + 20), BigInt(value + 20)]);
    }
  });

  test("code that rewrites itself two thousand times leaves no translations behind", () => {
    const program: Program = [
      [Code.li, 3, 0],
      [Code.add, 4, 3],
      [Code.storeb, 0, 1],
      [Code.addi, 1, 1],
      [Code.addi, 2, -1],
      [Code.bnez, 2, -6],
      [Code.halt],
    ];
    const toy = toyProcess(program, CODE, patientHost());
    toy.setRegister(0, operandOf(0));
    toy.setRegister(2, 2000);
    expect(toy.run()).toBe(Exit.halt);
    let sum = 0;
    for (let turn = 1; turn < 2000; turn++) sum += ((turn - 1) << 24) >> 24;
    expect(toy.register(4)).toBe(BigInt(sum));
    const { fragments, discarded } = toy.host.heap.statistics;
    expect(fragments - discarded).toBeLessThan(5);
    expect(toy.host.memory.freePages).toBeGreaterThan(600);
    expect(toy.host.heap.slotCount).toBeLessThan(300);
  });
});
