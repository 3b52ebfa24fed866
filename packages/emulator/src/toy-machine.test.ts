/** An invented instruction set through the whole engine: regions, slots, calls, soft TLB, guards. */
import { blockKey, Engine, EngineExit, Flow, type Frontend, Header, Op, type RegionBuilder, RESERVED_SLOTS, type StateSlot } from "@doppel/dbt-core";
import { GRANULE_SHIFT, PhysicalMemory, SoftTlb, softTlbShape } from "@doppel/guard-memory";
import { CodeHeap, TrampolineTable } from "@doppel/trampolines";
import { describe, expect, test } from "vitest";

const slots: StateSlot[] = Array.from({ length: 8 }, (_, index) => ({ name: `r${index}`, offset: 256 + 8 * index, type: "i64" }));
const HALT = 64;
const Code = { halt: 0, li: 1, add: 2, addi: 3, load: 4, store: 5, bnez: 6, jmp: 7, call: 8, ret: 9, sub: 10, svc: 11, save: 12, restore: 13 } as const;

class ToyFrontend implements Frontend {
  readonly slots = slots;
  readonly helpers = [];
  private readonly records: [number, number, number][] = [];
  decode(index: number, code: Uint8Array, position: number, end: number): number {
    if (position + 3 > end) return 0;
    this.records[index] = [code[position]!, code[position + 1]!, (code[position + 2]! << 24) >> 24];
    return 3;
  }
  flow(index: number): number {
    const flows: Record<number, number> = {
      [Code.halt]: Flow.stop, [Code.bnez]: Flow.branch, [Code.jmp]: Flow.jump, [Code.call]: Flow.call, [Code.ret]: Flow.return, [Code.svc]: Flow.service,
    };
    return flows[this.records[index]![0]] ?? Flow.next;
  }
  displacement(index: number): number {
    return this.records[index]![2] * 3;
  }
  parts(): number {
    return 1;
  }
  beginRegion(): void {}
  beginBlock(): void {}
  endBlock(): void {}
  lift(index: number, _part: number, b: RegionBuilder): void {
    const [op, rd, operand] = this.records[index]!;
    const target = blockKey(b.nextOffset + operand * 3);
    const next = blockKey(b.nextOffset);
    switch (op) {
      case Code.halt: return b.exit(HALT);
      case Code.li: return b.set(rd, b.i64(operand));
      case Code.add: return b.set(rd, b.binary(Op.i64Add, b.get(rd), b.get(operand)));
      case Code.sub: return b.set(rd, b.binary(Op.i64Sub, b.get(rd), b.get(operand)));
      case Code.addi: return b.set(rd, b.binary(Op.i64Add, b.get(rd), b.i64(operand)));
      case Code.load: return b.set(rd, b.load(Op.load64, b.get(operand)));
      case Code.store: return b.store(Op.store64, b.get(rd), b.get(operand));
      case Code.bnez: return b.branch(b.binary(Op.i64Ne, b.get(rd), b.i64(0)), target, next);
      case Code.jmp: return b.jump(target);
      case Code.call:
        b.set(7, b.address(b.nextOffset));
        return b.call(target, next);
      case Code.ret: return b.return(b.get(7));
      case Code.svc: return b.service(operand, next);
      default: return b.exit(HALT + 1);
    }
  }
}

function machine(program: readonly (readonly number[])[], at = 0x10000) {
  const memory = new PhysicalMemory(4 << 20);
  const heap = new CodeHeap<WebAssembly.Module>(RESERVED_SLOTS);
  const engine = new Engine({
    memory, heap, frontend: new ToyFrontend(), helpers: {}, granuleShift: GRANULE_SHIFT,
    tlb: { shape: softTlbShape, create: (offset) => new SoftTlb(memory.words, offset) },
    createTable: () => new TrampolineTable(heap),
  });
  const pages = new Map<number, number>();
  const context = engine.createContext({
    translate: (address) => {
      const page = pages.get(Math.floor(address / 4096));
      return page === undefined ? -1 : (page << 2) | 3;
    },
  })!;
  for (let page = 0; page < 8; page++) pages.set(Math.floor(at / 4096) + page, memory.allocatePage());
  const host = memory.pageOffset(pages.get(Math.floor(at / 4096))!);
  memory.bytes.set(program.flat().map((byte) => byte & 0xff), host + (at % 4096));
  memory.view.setBigUint64(context.pointer + Header.instructionPointer, BigInt(at), true);
  const register = (index: number): bigint => memory.view.getBigInt64(context.pointer + 256 + 8 * index, true);
  const setRegister = (index: number, value: bigint): void => memory.view.setBigInt64(context.pointer + 256 + 8 * index, value, true);
  const pc = (): bigint => memory.view.getBigUint64(context.pointer + Header.instructionPointer, true);
  return { engine, context, memory, heap, register, setRegister, pc, host, run: (budget = 1_000_000) => context.run(budget) };
}

describe("an invented instruction set", () => {
  test("a loop sums, in one region", () => {
    const toy = machine([[Code.li, 0, 100], [Code.add, 1, 0], [Code.addi, 0, -1], [Code.bnez, 0, -3], [Code.halt, 0, 0]]);
    expect(toy.run()).toBe(HALT);
    expect(toy.register(1)).toBe(5050n);
    expect(toy.pc()).toBe(0x10000n + 12n);
    expect(toy.engine.translator.statistics.regions).toBe(1);
  });

  test("calls return into their region", () => {
    // main: li r0,10; loop: call f; addi r0,-1; bnez loop; halt.   f: add r1,r0; ret
    const toy = machine([
      [Code.li, 0, 10], [Code.call, 0, 3], [Code.addi, 0, -1], [Code.bnez, 0, -3], [Code.halt, 0, 0],
      [Code.add, 1, 0], [Code.ret, 0, 0],
    ]);
    expect(toy.run()).toBe(HALT);
    expect(toy.register(1)).toBe(55n);
  });

  test("an endless loop ends with the budget, and goes on", () => {
    const toy = machine([[Code.addi, 0, 1], [Code.jmp, 0, -2]]);
    expect(toy.run(1000)).toBe(EngineExit.budget);
    const first = toy.register(0);
    expect(first).toBeGreaterThan(900n);
    expect(toy.run(1000)).toBe(EngineExit.budget);
    expect(toy.register(0)).toBeGreaterThan(first);
  });

  test("a fault shows the state before the instruction", () => {
    const toy = machine([[Code.li, 0, 5], [Code.li, 2, 7], [Code.load, 2, 0], [Code.li, 0, 9], [Code.halt, 0, 0]]);
    expect(toy.run()).toBe(EngineExit.pageFault);
    expect([toy.register(0), toy.register(2), toy.pc()]).toEqual([5n, 7n, 0x10006n]);
  });

  test("accesses across pages", () => {
    const toy = machine([[Code.store, 0, 1], [Code.load, 2, 0], [Code.halt, 0, 0]]);
    toy.setRegister(0, 0x11ffdn);
    toy.setRegister(1, 0x1122334455667788n);
    expect(toy.run()).toBe(HALT);
    expect(toy.register(2)).toBe(0x1122334455667788n);
  });

  test("G10 G12 a store to the very next instruction executes the new bytes", () => {
    // r0 = address of the third instruction (li r3,1 -> li r3,2 with the bytes behind it)
    const toy = machine([[Code.store, 0, 1], [Code.li, 3, 1], [Code.li, 4, 4], [Code.li, 5, 5], [Code.halt, 0, 0]]);
    toy.setRegister(0, 0x10003n);
    toy.setRegister(1, 0x0501040401020301n);
    expect(toy.run()).toBe(HALT);
    expect(toy.register(3)).toBe(2n);
    expect(toy.engine.statistics.discards).toBe(1);
  });
});
