/** What a fault shows: the state before the instruction, its address, and a program that can go on. */
import { EngineExit, FAULT_NON_CANONICAL } from "@doppel/dbt-core";
import { describe, expect, test } from "vitest";
import { tiers } from "./testing/tiers.ts";
import { Code, Exit, type Program } from "./testing/toy-frontend.ts";
import { Fault, ToyHost, type ToyProcess, toyProcess } from "./testing/toy-machine.ts";

const CODE = 0x10000;
const DATA = 0x20000;
const LAST_PAGE = 0x7fff_ffff_f000;
/** Guest address of instruction n. */
const at = (index: number, base = CODE): bigint => BigInt(base + 3 * index);
/** With names for the tests' titles. */
const hex = (addresses: readonly bigint[]): [string, bigint][] =>
  addresses.map((address) => [BigInt.asUintN(64, address).toString(16), address]);

describe.each(tiers)("%s", (_tier, translator) => {
  const start = (program: Program, base = CODE): ToyProcess => toyProcess(program, base, new ToyHost(translator));

  test("jumps to any low address, whose places in the jump cache are empty, are fetches that fault", () => {
    const toy = start([[Code.jr, 0, 1]]);
    for (let target = 0; target < 0x8000; target += 7) {
      toy.setRegister(1, target);
      expect(toy.run(CODE)).toBe(EngineExit.pageFault);
      expect(toy.fault).toEqual({ address: BigInt(target), access: 2, reason: Fault.unmapped });
    }
  });

  describe("a data fault", () => {
    test("in the middle of a loop shows registers and address of that turn, and the loop goes on afterwards", () => {
      // Writes r1, r1 + 1, … from r0 on, which runs into a page that is not there.
      const toy = start([
        [Code.store, 0, 1],
        [Code.addi, 1, 1],
        [Code.addi, 0, 8],
        [Code.addi, 2, -1],
        [Code.bnez, 2, -5],
        [Code.halt],
      ]);
      toy.map(DATA);
      toy.setRegister(0, DATA);
      toy.setRegister(2, 600);
      expect(toy.run()).toBe(EngineExit.pageFault);
      expect([toy.pc, toy.fault]).toEqual([at(0), { address: BigInt(DATA + 4096), access: 1, reason: Fault.unmapped }]);
      expect(toy.registers.slice(0, 3)).toEqual([BigInt(DATA + 4096), 512n, 88n]);
      toy.map(DATA + 4096);
      expect(toy.run()).toBe(Exit.halt);
      expect(toy.registers.slice(0, 3)).toEqual([BigInt(DATA + 4800), 600n, 0n]);
      expect([toy.word(DATA), toy.word(DATA + 4096), toy.word(DATA + 4792)]).toEqual([0n, 512n, 599n]);
    });

    test("leaves every register that its instruction would have written", () => {
      const toy = start([[Code.li, 1, 5], [Code.loadi, 1, 2], [Code.halt]]);
      toy.setRegister(2, DATA);
      expect(toy.run()).toBe(EngineExit.pageFault);
      expect([toy.pc, toy.register(1), toy.register(2)]).toEqual([at(1), 5n, BigInt(DATA)]);
      const pushing = start([[Code.push, 1, 0], [Code.halt]]);
      pushing.setRegister(6, DATA);
      expect(pushing.run()).toBe(EngineExit.pageFault);
      expect([pushing.register(6), pushing.fault.address]).toEqual([BigInt(DATA), BigInt(DATA - 8)]);
    });

    test("of an access that only ends on a missing page names that page and changes nothing", () => {
      for (const code of [Code.load, Code.store]) {
        const toy = start([[code, 1, 2], [Code.halt]]);
        toy.map(DATA);
        const straddling = DATA + 4096 - 3;
        toy.setWord(DATA + 4088, 0x1111n);
        toy.setRegister(1, straddling);
        toy.setRegister(2, straddling);
        // Filled into the TLB first, the page still does not answer for bytes beyond it.
        toy.context.hostRange(DATA | 0, 0, 1, true);
        expect(toy.run()).toBe(EngineExit.pageFault);
        expect(toy.fault).toEqual({
          address: BigInt(DATA + 4096),
          access: code === Code.load ? 0 : 1,
          reason: Fault.unmapped,
        });
        expect([toy.word(DATA + 4088), toy.register(1)]).toEqual([0x1111n, BigInt(straddling)]);
      }
    });

    test("of a store that only ends on a page that is read-only writes nothing to the first", () => {
      const toy = start([[Code.store, 1, 2], [Code.halt]]);
      toy.map(DATA);
      toy.map(DATA + 4096, undefined, "r");
      toy.setRegister(1, DATA + 4092);
      toy.setRegister(2, -1);
      expect(toy.run()).toBe(EngineExit.pageFault);
      expect([toy.fault, toy.word(DATA + 4088)]).toEqual([
        { address: BigInt(DATA + 4096), access: 1, reason: Fault.protection },
        0n,
      ]);
    });

    test("comes when a page that could be written is made read-only, and when it goes away", () => {
      const toy = start([[Code.store, 1, 2], [Code.svc, 0, 0], [Code.load, 3, 1], [Code.store, 1, 2], [Code.halt]]);
      const page = toy.map(DATA);
      toy.setRegister(1, DATA);
      toy.setRegister(2, 77);
      toy.host.service = () => {
        toy.map(DATA, page, "r");
        return false;
      };
      expect(toy.run()).toBe(EngineExit.pageFault);
      expect([toy.pc, toy.register(3), toy.fault.reason]).toEqual([at(3), 77n, Fault.protection]);
      toy.unmap(DATA);
      expect(toy.run(CODE + 6)).toBe(EngineExit.pageFault);
      expect([toy.pc, toy.fault]).toEqual([at(2), { address: BigInt(DATA), access: 0, reason: Fault.unmapped }]);
    });

    test.each(hex([0x8000_0000_0000_0000n, -1n, -8n, 1n << 47n, 0x7fff_ffff_ffff_ffffn, 0x0001_0000_0002_0000n]))(
      "at 0x%s, which is no address, even when pages with equal TLB indices are known",
      (_name, address) => {
        for (const code of [Code.load, Code.store, Code.loadb, Code.storeb]) {
          const toy = start([[code, 1, 2], [Code.halt]]);
          for (const page of [0, DATA, LAST_PAGE, 0x3ff000]) {
            toy.map(page);
            toy.context.hostRange(page | 0, Math.floor(page / 2 ** 32), 1, true);
          }
          toy.setRegister(1, address);
          toy.setRegister(2, address);
          expect(toy.run()).toBe(EngineExit.pageFault);
          expect(toy.fault).toMatchObject({ address: BigInt.asUintN(64, address), reason: FAULT_NON_CANONICAL });
          expect([toy.pc, toy.register(1)]).toEqual([at(0), BigInt.asIntN(64, address)]);
        }
      },
    );

    test("behind the last address there is", () => {
      const toy = start([[Code.load, 1, 2], [Code.halt]]);
      toy.map(LAST_PAGE);
      toy.setWord(LAST_PAGE + 4088, 99n);
      toy.setRegister(2, LAST_PAGE + 4088);
      expect([toy.run(), toy.register(1)]).toEqual([Exit.halt, 99n]);
      toy.setRegister(2, LAST_PAGE + 4089);
      expect(toy.run(CODE)).toBe(EngineExit.pageFault);
      expect(toy.fault).toMatchObject({ address: 1n << 47n, reason: FAULT_NON_CANONICAL });
    });
  });

  test("an instruction in parts shows how far it got, and goes on from there", () => {
    const toy = start([[Code.fill, 1, 2], [Code.halt]]);
    toy.map(DATA);
    toy.setRegister(1, 700);
    toy.setRegister(2, 3);
    toy.setRegister(5, DATA);
    expect(toy.run()).toBe(EngineExit.pageFault);
    expect([toy.pc, toy.register(1), toy.register(5)]).toEqual([at(0), 188n, BigInt(DATA + 4096)]);
    toy.map(DATA + 4096);
    expect(toy.run()).toBe(Exit.halt);
    expect([toy.register(1), toy.register(5), toy.word(DATA + 5592)]).toEqual([0n, BigInt(DATA + 5600), 3n]);
  });

  test("an exception of the guest's own leaves at its instruction, with its payload", () => {
    const toy = start([
      [Code.li, 1, 3],
      [Code.addi, 1, -1],
      [Code.trap, 2, 42],
      [Code.mov, 2, 1],
      [Code.bnez, 1, -4],
      [Code.halt],
    ]);
    expect(toy.run()).toBe(Exit.trap);
    expect([toy.pc, toy.payload, toy.register(1), toy.register(2)]).toEqual([at(2), 42, 1n, 2n]);
  });

  describe("fetching code", () => {
    const goTo = (address: bigint): ToyProcess => {
      const toy = start([[Code.li, 0, 1], [Code.jr, 0, 1], [Code.halt]]);
      toy.setRegister(1, address);
      return toy;
    };

    test.each(hex([-1n, -2n, 0x8000_0000_0000_0000n, 1n << 47n]))("at 0x%s fails there", (_name, address) => {
      const toy = goTo(address);
      expect(toy.run()).toBe(EngineExit.pageFault);
      expect([toy.pc, toy.register(0)]).toEqual([BigInt.asUintN(64, address), 1n]);
      expect(toy.fault).toEqual({ address: BigInt.asUintN(64, address), access: 2, reason: FAULT_NON_CANONICAL });
    });

    test("from a page that is missing, or not executable, fails there by jump, call and return", () => {
      for (const rights of ["", "rw"]) {
        for (const program of [[[Code.jr, 0, 1]], [[Code.callr, 0, 1]], [[Code.mov, 7, 1], [Code.ret]]]) {
          const toy = start(program);
          if (rights !== "") toy.map(DATA, undefined, rights);
          toy.setRegister(1, DATA + 5);
          expect(toy.run()).toBe(EngineExit.pageFault);
          expect(toy.pc).toBe(BigInt(DATA + 5));
          expect(toy.fault).toEqual({
            address: BigInt(DATA + 5),
            access: 2,
            reason: rights === "" ? Fault.unmapped : Fault.protection,
          });
        }
      }
    });

    test("by running off the last page", () => {
      const toy = start(
        Array.from({ length: 4 }, () => [Code.addi, 0, 1]),
        CODE + 4096 - 12,
      );
      expect(toy.run()).toBe(EngineExit.pageFault);
      expect([toy.pc, toy.register(0), toy.fault.address]).toEqual([BigInt(CODE + 4096), 4n, BigInt(CODE + 4096)]);
      toy.put(CODE + 4096, [[Code.halt]]);
      expect(toy.run()).toBe(Exit.halt);
    });

    test("an instruction that crosses into a missing page faults at that page, before it does anything", () => {
      // The second instruction has one byte on the page.
      const shifted = start([[Code.addi, 0, 1], [Code.addi, 0, 2], [Code.halt]], CODE + 4096 - 4);
      shifted.unmap(CODE + 4096);
      expect(shifted.run()).toBe(EngineExit.pageFault);
      expect([shifted.pc, shifted.register(0), shifted.fault]).toEqual([
        BigInt(CODE + 4095),
        1n,
        { address: BigInt(CODE + 4096), access: 2, reason: Fault.unmapped },
      ]);
      // Entered directly, too.
      expect(shifted.run(CODE + 4095)).toBe(EngineExit.pageFault);
      expect([shifted.pc, shifted.fault.address]).toEqual([BigInt(CODE + 4095), BigInt(CODE + 4096)]);
      shifted.put(CODE + 4096, [[0, 2, Code.halt]]);
      expect([shifted.run(), shifted.register(0)]).toEqual([Exit.halt, 3n]);
    });

    test("code goes on over a page boundary, whatever physical pages are there", () => {
      const host = new ToyHost(translator);
      const toy = toyProcess([], CODE, host);
      const second = host.memory.allocatePage();
      const first = host.memory.allocatePage();
      toy.map(CODE, first);
      toy.map(CODE + 4096, second);
      toy.put(CODE + 4096 - 10, [
        [Code.li, 0, 10],
        [Code.add, 1, 0],
        [Code.addi, 0, -1],
        [Code.bnez, 0, -3],
        [Code.halt],
      ]);
      expect([toy.run(CODE + 4096 - 10), toy.register(1)]).toEqual([Exit.halt, 55n]);
      expect(toy.pc).toBe(BigInt(CODE + 4096 + 2));
    });
  });
});
