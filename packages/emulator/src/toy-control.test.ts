/** Budgets at every shape of loop, calls deeper than wasm calls may nest, returns that do not match. */
import { EngineExit } from "@doppel/dbt-core";
import { describe, expect, test } from "vitest";
import { tiers } from "./testing/tiers.ts";
import { Code, Exit, type Program } from "./testing/toy-frontend.ts";
import { ToyHost, type ToyProcess, toyProcess } from "./testing/toy-machine.ts";

const CODE = 0x10000;
const STACK = 0x200000;
const at = (index: number, base = CODE): bigint => BigInt(base + 3 * index);

/** r0 counts down to 0; r1 and r2 add up what every turn did. Other registers are theirs. */
const loops: Readonly<Record<string, Program>> = {
  "one block": [[Code.add, 1, 0], [Code.addi, 0, -1], [Code.bnez, 0, -3], [Code.halt]],
  "one block that begins the region": [[Code.addi, 0, -1], [Code.bnez, 0, -2], [Code.halt]],
  "the test at the top": [[Code.bnez, 0, 1], [Code.halt], [Code.add, 1, 0], [Code.addi, 0, -1], [Code.jmp, 0, -5]],
  "a loop in a loop": [
    [Code.li, 3, 3],
    [Code.add, 1, 3],
    [Code.addi, 3, -1],
    [Code.bnez, 3, -3],
    [Code.addi, 2, 1],
    [Code.addi, 0, -1],
    [Code.bnez, 0, -7],
    [Code.halt],
  ],
  "two ways round": [
    [Code.mov, 3, 1],
    [Code.bnez, 3, 2],
    [Code.addi, 1, 5],
    [Code.jmp, 0, 1],
    [Code.addi, 1, -1],
    [Code.addi, 2, 1],
    [Code.addi, 0, -1],
    [Code.bnez, 0, -8],
    [Code.halt],
  ],
  "entered in the middle": [
    // The first turn begins behind the loop's head: not reducible.
    [Code.bnez, 4, 1],
    [Code.jmp, 0, 1],
    [Code.addi, 1, 7],
    [Code.addi, 2, 1],
    [Code.addi, 0, -1],
    [Code.bnez, 0, 1],
    [Code.halt],
    [Code.addi, 4, 1],
    [Code.jmp, 0, -9],
  ],
  "a call each turn": [
    [Code.call, 0, 3],
    [Code.addi, 0, -1],
    [Code.bnez, 0, -3],
    [Code.halt],
    [Code.add, 1, 0],
    [Code.ret],
  ],
  "a call through a register each turn": [
    [Code.pc, 5, 12],
    [Code.callr, 0, 5],
    [Code.addi, 0, -1],
    [Code.bnez, 0, -3],
    [Code.halt],
    [Code.add, 1, 0],
    [Code.ret],
  ],
  "a jump through a register back": [
    [Code.pc, 5, 0],
    [Code.add, 1, 0],
    [Code.addi, 0, -1],
    [Code.bnez, 0, 1],
    [Code.halt],
    [Code.jr, 0, 5],
  ],
  "a return that is the loop": [
    [Code.pc, 7, 0],
    [Code.add, 1, 0],
    [Code.addi, 0, -1],
    [Code.bnez, 0, 1],
    [Code.halt],
    [Code.ret],
  ],
  "a service each turn": [[Code.svc, 0, 1], [Code.add, 1, 0], [Code.addi, 0, -1], [Code.bnez, 0, -4], [Code.halt]],
  "an instruction that is a loop": [
    [Code.li, 3, 5],
    [Code.fill, 3, 0],
    [Code.add, 2, 5],
    [Code.addi, 5, -40],
    [Code.addi, 0, -1],
    [Code.bnez, 0, -6],
    [Code.halt],
  ],
  recursion: [
    // f(n): r1 += n; if n != 0 f(n - 1); r2 += 1.
    [Code.call, 0, 1],
    [Code.halt],
    [Code.push, 7],
    [Code.add, 1, 0],
    [Code.bnez, 0, 1],
    [Code.jmp, 0, 2],
    [Code.addi, 0, -1],
    [Code.call, 0, -6],
    [Code.addi, 2, 1],
    [Code.pop, 7],
    [Code.ret],
  ],
};

/** Longer than a region may be: the loop goes through slots, on to the next region and back. */
const longLoop: Program = [
  ...Array.from({ length: 40 }, (_, index) => [Code.addi, 1, index]),
  [Code.jmp, 0, 0],
  ...Array.from({ length: 40 }, () => [Code.addi, 2, 1]),
  [Code.addi, 0, -1],
  [Code.bnez, 0, -83],
  [Code.halt],
];

describe.each(tiers)("%s", (_tier, translator) => {
  const start = (program: Program): ToyProcess => {
    const toy = toyProcess(program, CODE, new ToyHost(translator));
    toy.map(STACK - 4096);
    toy.setRegister(6, STACK);
    toy.setRegister(5, STACK - 2048);
    return toy;
  };

  describe.each(Object.entries({ ...loops, "beyond one region": longLoop }))("a loop: %s", (_name, program) => {
    const result = (turns: number): { code: number; state: unknown } => {
      const toy = start(program);
      toy.setRegister(0, turns);
      return { code: toy.run(), state: [toy.registers, toy.pc] };
    };

    test.each([1, 2, 3, 10])("in slices of %i gives what it gives at once", (slice) => {
      const turns = 80;
      const toy = start(program);
      toy.setRegister(0, turns);
      let slices = 0;
      for (;;) {
        const code = toy.run(undefined, slice);
        if (code === Exit.halt) break;
        expect(code).toBe(EngineExit.budget);
        expect(++slices).toBeLessThan(1000);
      }
      expect(slices).toBeGreaterThan(0);
      expect({ code: Exit.halt, state: [toy.registers, toy.pc] }).toEqual(result(turns));
    });

    test("goes on for no more than its budget", () => {
      const toy = start(program);
      const isRecursion = program === loops["recursion"];
      const turns = isRecursion ? 400 : 1_000_000;
      toy.setRegister(0, turns);
      expect(toy.run(undefined, 50)).toBe(EngineExit.budget);
      // Of calls that are inlined in one another, and of rounds of an unrolled loop, one costs.
      expect(turns - Number(toy.register(0))).toBeLessThanOrEqual(60 * 5);
      expect(toy.budget).toBeLessThan(0);
    });
  });

  describe("calls", () => {
    test.each([10, 399, 400, 401, 5000])("%i deep return to where they came from", (depth) => {
      const toy = start(loops["recursion"]);
      for (let page = 2; page < 12; page++) toy.map(STACK - 4096 * page);
      toy.setRegister(0, depth);
      expect(toy.run()).toBe(Exit.halt);
      expect([toy.register(1), toy.register(2), toy.register(6)]).toEqual([
        BigInt((depth * (depth + 1)) / 2),
        BigInt(depth + 1),
        BigInt(STACK),
      ]);
      expect(toy.pc).toBe(at(1));
    });

    test("through a register, deeper than wasm calls nest", () => {
      const toy = start([
        [Code.pc, 4, 6],
        [Code.callr, 0, 4],
        [Code.halt],
        [Code.push, 7],
        [Code.bnez, 0, 1],
        [Code.jmp, 0, 2],
        [Code.addi, 0, -1],
        [Code.callr, 0, 4],
        [Code.addi, 2, 1],
        [Code.pop, 7],
        [Code.ret],
      ]);
      for (let page = 2; page < 12; page++) toy.map(STACK - 4096 * page);
      toy.setRegister(0, 3000);
      expect(toy.run()).toBe(Exit.halt);
      expect([toy.register(2), toy.register(6), toy.pc]).toEqual([3001n, BigInt(STACK), at(2)]);
    });

    test.each([
      [Code.call, 0, -1],
      [Code.callr, 0, 4],
    ])("without end (%i) end with the budget, again and again", (...call) => {
      const toy = start([call]);
      toy.setRegister(4, CODE);
      for (let round = 0; round < 5; round++) {
        expect(toy.run(undefined, 10_000)).toBe(EngineExit.budget);
        expect([toy.pc, toy.register(7)]).toEqual([at(0), at(1)]);
      }
    });

    test("that fault far down show the state there, and can still return", () => {
      const toy = start(loops["recursion"]);
      toy.setRegister(0, 1000);
      // One page of stack holds 512 return addresses.
      expect(toy.run()).toBe(EngineExit.pageFault);
      expect([toy.pc, toy.register(0), toy.register(6)]).toEqual([at(2), 488n, BigInt(STACK - 4096)]);
      toy.map(STACK - 8192);
      expect(toy.run()).toBe(Exit.halt);
      expect([toy.register(1), toy.register(2)]).toEqual([500500n, 1001n]);
    });
  });

  describe("returns that do not match", () => {
    /** main calls down r0 deep; the innermost returns to main's handler, over all others' heads; 100 times. */
    const jumpingOut: Program = [
      [Code.pc, 4, 9],
      [Code.mov, 0, 3],
      [Code.call, 0, 5],
      [Code.halt],
      // The handler.
      [Code.addi, 1, 1],
      [Code.addi, 2, -1],
      [Code.bnez, 2, -6],
      [Code.halt],
      // f(n)
      [Code.push, 7],
      [Code.bnez, 0, 2],
      [Code.mov, 7, 4],
      [Code.ret],
      [Code.addi, 0, -1],
      [Code.call, 0, -6],
      [Code.addi, 1, 100],
      [Code.halt],
    ];

    test.each([0, 1, 7, 450])("unwind %i calls, many times over", (depth) => {
      const toy = start(jumpingOut);
      for (let page = 2; page < 120; page++) toy.map(STACK - 4096 * page);
      toy.setRegister(2, 100);
      toy.setRegister(3, depth);
      expect(toy.run()).toBe(Exit.halt);
      expect([toy.register(1), toy.pc, toy.register(6)]).toEqual([100n, at(7), BigInt(STACK - 800 * (depth + 1))]);
    });

    test("go to the caller's caller", () => {
      // main: call f; halt.  f: r3 = link; call g; (never).  g: link = r3; ret.
      const toy = start([
        [Code.call, 0, 1],
        [Code.halt],
        [Code.mov, 3, 7],
        [Code.call, 0, 2],
        [Code.li, 1, 9],
        [Code.halt],
        [Code.li, 1, 4],
        [Code.mov, 7, 3],
        [Code.ret],
      ]);
      expect([toy.run(), toy.pc, toy.register(1)]).toEqual([Exit.halt, at(1), 4n]);
    });

    test("go to code nobody called", () => {
      const toy = start([[Code.call, 0, 1], [Code.halt], [Code.pc, 7, 3], [Code.ret], [Code.li, 1, 6], [Code.halt]]);
      expect([toy.run(), toy.pc, toy.register(1)]).toEqual([Exit.halt, at(5), 6n]);
    });

    test("two stacks taking turns, as threads of a program do", () => {
      // Each co-routine calls `swap`, which exchanges link and stack with what the other left in r3 and r4.
      const toy = start([
        [Code.addi, 1, 1],
        [Code.call, 0, 7],
        [Code.addi, 0, -1],
        [Code.bnez, 0, -4],
        [Code.halt],
        [Code.addi, 2, 2],
        [Code.call, 0, 2],
        [Code.jmp, 0, -3],
        [Code.halt],
        // swap: r5 = link; link = r3; r3 = r5; the same for the stacks
        [Code.mov, 5, 7],
        [Code.mov, 7, 3],
        [Code.mov, 3, 5],
        [Code.mov, 5, 6],
        [Code.mov, 6, 4],
        [Code.mov, 4, 5],
        [Code.ret],
      ]);
      toy.setRegister(0, 500);
      toy.setRegister(3, CODE + 15);
      toy.setRegister(4, 0x1234);
      expect([toy.run(), toy.register(1), toy.register(2), toy.register(6)]).toEqual([
        Exit.halt,
        500n,
        1000n,
        BigInt(STACK),
      ]);
    });
  });

  test("a service sees the exact state, may change it, and may leave", () => {
    const toy = start([
      [Code.li, 1, 5],
      [Code.svc, 0, 7],
      [Code.addi, 1, 1],
      [Code.svc, 0, 8],
      [Code.addi, 1, 1],
      [Code.halt],
    ]);
    const seen: unknown[] = [];
    toy.host.service = (_context, code) => {
      seen.push([code, toy.pc, toy.register(1)]);
      toy.setRegister(1, 50);
      return code === 8;
    };
    expect(toy.run()).toBe(EngineExit.service);
    expect(seen).toEqual([
      [7, at(2), 5n],
      [8, at(4), 51n],
    ]);
    expect([toy.pc, toy.payload]).toEqual([at(4), 8]);
    expect([toy.run(), toy.register(1)]).toEqual([Exit.halt, 51n]);
  });
});
