/** An invented instruction set through the whole engine: regions, calls, soft TLB. */
import { describe, expect, test } from "vitest";
import { Code, Exit } from "./testing/toy-frontend.ts";
import { toyProcess } from "./testing/toy-machine.ts";

describe("an invented instruction set", () => {
  test("a loop sums, in one region", () => {
    const toy = toyProcess([[Code.li, 0, 100], [Code.add, 1, 0], [Code.addi, 0, -1], [Code.bnez, 0, -3], [Code.halt]]);
    expect(toy.run()).toBe(Exit.halt);
    expect(toy.register(1)).toBe(5050n);
    expect(toy.pc).toBe(0x10000n + 12n);
    expect(toy.host.translated).toBe(1);
  });

  test("calls return into their region", () => {
    // main: li r0,10; loop: call f; addi r0,-1; bnez loop; halt.   f: add r1,r0; ret
    const toy = toyProcess([
      [Code.li, 0, 10],
      [Code.call, 0, 3],
      [Code.addi, 0, -1],
      [Code.bnez, 0, -3],
      [Code.halt],
      [Code.add, 1, 0],
      [Code.ret],
    ]);
    expect(toy.run()).toBe(Exit.halt);
    expect(toy.register(1)).toBe(55n);
  });

  test("accesses across pages that lie anywhere in physical memory", () => {
    const toy = toyProcess([[Code.store, 0, 1], [Code.load, 2, 0], [Code.halt]]);
    const second = toy.host.memory.allocatePage();
    toy.map(0x20000, toy.host.memory.allocatePage());
    toy.map(0x21000, second);
    toy.setRegister(0, 0x20ffdn);
    toy.setRegister(1, 0x1122334455667788n);
    expect(toy.run()).toBe(Exit.halt);
    expect(toy.register(2)).toBe(0x1122334455667788n);
    expect([toy.word(0x20ff8) >> 40n, toy.word(0x21000)]).toEqual([0x667788n, 0x1122334455n]);
  });
});
