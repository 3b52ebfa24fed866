/** Processes that share a code heap, each with a trampoline table of its own, through real WebAssembly. */
import { EngineExit } from "@doppel/dbt-core";
import { describe, expect, test } from "vitest";
import { tiers } from "./testing/tiers.ts";
import { Code, Exit, type Program } from "./testing/toy-frontend.ts";
import { Fault, ToyHost, ToyProcess, toyProcess } from "./testing/toy-machine.ts";

const CODE = 0x10000;
const NEXT_PAGE = CODE + 4096;
/** Near the end of the page, so that the other page is in reach of a direct call. */
const ENTRY = NEXT_PAGE - 30;
const ELSEWHERE = 0x70000;
const STACK = 0x90000;
const TRAP_SLOT = 1;

/** Calls the first instruction of the next page, and stops. */
const caller: Program = [[Code.call, 0, 9], [Code.halt]];
const answers = (value: number): Program => [[Code.li, 1, value], [Code.ret]];
/** From the caller's page to the next one's start. */
const DISTANCE = 4096;

/** Whether the process's slot for the caller's call still holds the trap. */
function trapped(process: ToyProcess, slot: number): boolean {
  return process.table.table.get(slot) === process.table.table.get(TRAP_SLOT);
}

/** What one process has in its tables is the tier that was linked last; slots for hot code are the same. */
const slotOf = (process: ToyProcess): number => process.host.heap.linkSlot(process.page(ENTRY), 0, DISTANCE);

describe.each(tiers)("%s", (_tier, thresholds) => {
  // An inlined call needs no trampoline.
  const translator = { ...thresholds, inlinedInstructions: 0 };
  /** `count` processes with the same pages at the same places. */
  const family = (count: number, value = 7, memoryBytes?: number): ToyProcess[] => {
    const host = new ToyHost(translator, memoryBytes);
    const first = toyProcess(caller, ENTRY, host).put(NEXT_PAGE, answers(value));
    return [first, ...Array.from({ length: count - 1 }, () => sibling(first))];
  };
  const sibling = (of: ToyProcess): ToyProcess => {
    const process = new ToyProcess(of.host);
    for (const address of [CODE, NEXT_PAGE]) process.map(address, of.page(address));
    return process;
  };
  const runs = (process: ToyProcess, expected: number, at = ENTRY): void => {
    process.setRegister(1, 0);
    expect(process.run(at)).toBe(Exit.halt);
    expect(process.register(1)).toBe(BigInt(expected));
  };
  /** Often enough for every tier to be reached. */
  const warm = (process: ToyProcess, expected: number): void => {
    for (let round = 0; round < 8; round++) runs(process, expected);
  };

  test("T1 code on pages that processes share is translated once, wherever each sees them", () => {
    const [first, second] = family(2);
    warm(first, 7);
    const { translated } = first.host;
    warm(second, 7);
    const third = new ToyProcess(first.host);
    third.map(ELSEWHERE, first.page(CODE));
    third.map(ELSEWHERE + 4096, first.page(NEXT_PAGE));
    for (let round = 0; round < 8; round++) runs(third, 7, ENTRY - CODE + ELSEWHERE);
    expect(first.host.translated).toBe(translated);
    expect(first.host.heap.at(first.page(ENTRY), ENTRY % 4096).length).toBeGreaterThan(0);
  });

  test("T2 T5 a process that runs into a trap links its own slot, and nobody else's", () => {
    const [first, second] = family(2);
    warm(first, 7);
    const slot = slotOf(first);
    expect([trapped(first, slot), trapped(second, slot)]).toEqual([false, true]);
    expect(first.table.table).not.toBe(second.table.table);
    warm(second, 7);
    expect(trapped(second, slot)).toBe(false);
  });

  test("T3 T4 a direct call becomes one slot number for all, which begins as a trap in every table", () => {
    const [first, second, third] = family(3);
    expect(first.host.heap.statistics.linkSlots).toBe(0);
    const slot = slotOf(first);
    for (const process of [first, second, third]) expect(trapped(process, slot)).toBe(true);
    for (const process of [first, second, third]) warm(process, 7);
    // The return goes by no slot.
    expect(first.host.heap.statistics.linkSlots).toBe(1);
    for (const process of [first, second, third]) expect(trapped(process, slot)).toBe(false);
  });

  test("T5 a linked slot is not resolved again", () => {
    const [first] = family(1);
    warm(first, 7);
    const { resolves } = first.host.engine.statistics;
    for (let round = 0; round < 50; round++) runs(first, 7);
    expect(first.host.engine.statistics.resolves).toBe(resolves);
  });

  test("T6 the same slot leads to different fragments in two processes", () => {
    const [first, second] = family(2);
    second.map(NEXT_PAGE);
    second.put(NEXT_PAGE, answers(9));
    for (let round = 0; round < 8; round++) {
      runs(first, 7);
      runs(second, 9);
    }
    expect([trapped(first, slotOf(first)), trapped(second, slotOf(first))]).toEqual([false, false]);
  });

  test("T6 a fragment over several pages is used only where they are mapped alike", () => {
    // One region, running over the border of the pages.
    const host = new ToyHost(translator);
    const program: Program = [[Code.li, 1, 7], [Code.addi, 1, 0], [Code.halt]];
    const first = toyProcess(program, NEXT_PAGE - 3, host);
    const second = sibling(first);
    second.map(NEXT_PAGE);
    second.put(NEXT_PAGE, [[Code.addi, 1, 2], [Code.halt]]);
    const third = sibling(first);
    for (let round = 0; round < 8; round++) {
      runs(first, 7, NEXT_PAGE - 3);
      runs(second, 9, NEXT_PAGE - 3);
      runs(third, 7, NEXT_PAGE - 3);
    }
    const fragments = host.heap.at(first.page(CODE), 4093);
    expect(new Set(fragments.map(({ otherPages }) => otherPages[0].page))).toEqual(
      new Set([first.page(NEXT_PAGE), second.page(NEXT_PAGE)]),
    );
    // The third process found the first one's.
    expect(fragments.filter(({ tier }) => tier === fragments[0].tier)).toHaveLength(2);
  });

  test("T6 slots of a page seen at two places are not those of the next page", () => {
    // Pages p and p + 1, p at two addresses: all three copies call 4096 bytes on from their page's start.
    const host = new ToyHost(translator);
    const process = new ToyProcess(host);
    const bases = [0x10000, 0x20000, 0x30000];
    const page = process.map(bases[0]);
    process.map(bases[1], page);
    expect(process.map(bases[2])).toBe(page + 1);
    for (const base of [bases[0], bases[2]]) process.put(base + 4096 - 30, caller);
    bases.forEach((base, index) => process.put(base + 4096, answers(index + 1)));
    for (let round = 0; round < 8; round++) bases.forEach((base, index) => runs(process, index + 1, base + 4096 - 30));
  });

  describe("T7 traps come back", () => {
    test("in the process whose page is mapped over, and only there", () => {
      const [first, second] = family(2);
      warm(first, 7);
      warm(second, 7);
      const slot = slotOf(first);
      first.map(NEXT_PAGE);
      expect([trapped(first, slot), trapped(second, slot)]).toEqual([true, false]);
      first.put(NEXT_PAGE, answers(3));
      warm(first, 3);
      warm(second, 7);
      // Back again: the old translation is found.
      const { translated } = first.host;
      first.map(NEXT_PAGE, second.page(NEXT_PAGE));
      warm(first, 7);
      expect(first.host.translated).toBe(translated);
    });

    test("when the page goes away, or may not be executed any more", () => {
      for (const change of [
        (process: ToyProcess) => process.unmap(NEXT_PAGE),
        (process: ToyProcess) => void process.map(NEXT_PAGE, process.page(NEXT_PAGE), "rw"),
      ]) {
        const [first, second] = family(2);
        warm(first, 7);
        warm(second, 7);
        change(first);
        expect(first.run(ENTRY)).toBe(EngineExit.pageFault);
        expect([first.pc, first.fault.access]).toEqual([BigInt(NEXT_PAGE), 2]);
        expect([Fault.unmapped, Fault.protection]).toContain(first.fault.reason);
        expect(trapped(second, slotOf(second))).toBe(false);
        warm(second, 7);
      }
    });

    test("when everything is replaced at once", () => {
      const [first, second] = family(2);
      warm(first, 7);
      warm(second, 7);
      first.context.invalidateAll();
      expect([trapped(first, slotOf(first)), trapped(second, slotOf(first))]).toEqual([true, false]);
      warm(first, 7);
    });

    test("but not when memory without code is mapped, changed and unmapped", () => {
      const [first] = family(1);
      warm(first, 7);
      first.map(ELSEWHERE);
      first.map(ELSEWHERE, undefined, "r");
      first.unmap(ELSEWHERE);
      expect(trapped(first, slotOf(first))).toBe(false);
    });

    test("in all processes when the fragment is discarded", () => {
      const [first, second, third] = family(3);
      for (const process of [first, second, third]) warm(process, 7);
      const slot = slotOf(first);
      first.host.deviceWrite(first.page(NEXT_PAGE), 2, [4]);
      for (const process of [first, second, third]) expect(trapped(process, slot)).toBe(true);
      for (const process of [first, second, third]) warm(process, 4);
    });

    test("while calls are under way: the caller's page is replaced before the return", () => {
      const host = new ToyHost(translator);
      const process = toyProcess([[Code.call, 0, 9], [Code.li, 1, 7], [Code.halt]], ENTRY, host);
      process.put(NEXT_PAGE, [[Code.svc, 0, 1], [Code.ret]]);
      const old = process.page(CODE);
      const other = host.memory.allocatePage();
      for (let round = 0; round < 8; round++) {
        host.service = () => {
          process.map(CODE, other);
          process.put(ENTRY + 3, [[Code.li, 1, 9], [Code.halt]]);
          return false;
        };
        let code = process.run(ENTRY);
        while (code === EngineExit.service) code = process.run();
        expect([code, process.register(1)]).toEqual([Exit.halt, 9n]);
        process.map(CODE, old);
        host.service = () => false;
        runs(process, 7);
      }
    });
  });

  test("T8 a process that starts late begins with traps, and one that ends gives its memory back", () => {
    const [first] = family(1);
    warm(first, 7);
    for (let round = 0; round < 100; round++) {
      const late = sibling(first);
      expect(trapped(late, slotOf(first))).toBe(true);
      runs(late, 7);
      late.context.dispose();
    }
    // Guest memory has room for some forty; a discard does not reach for those that are gone.
    first.host.deviceWrite(first.page(NEXT_PAGE), 2, [5]);
    warm(first, 5);
  });

  test("T8 where guest memory has no room for another process, there is none, and the others run on", () => {
    const [first] = family(1);
    const processes: ToyProcess[] = [];
    for (;;) {
      const context = first.host.engine.createContext({ translate: () => Fault.unmapped });
      if (context === undefined) break;
      expect(processes.length).toBeLessThan(1000);
      processes.push(first);
    }
    warm(first, 7);
  });

  test("T8 three hundred processes, killed at random wherever they are, leave no table, module, slot or page behind", () => {
    const [first] = family(1, 7, 16 << 20);
    const { host } = first;
    let seed = 1;
    const below = (limit: number): number => (seed = (seed * 48271) % 0x7fffffff) % limit;
    const alive: ToyProcess[] = [];
    const start = (): void => {
      const process = sibling(first);
      // Code of its own that never ends, beside what all share.
      process.put(ELSEWHERE, [[Code.addi, 3, 1], [Code.call, 0, 1], [Code.jmp, 0, -3], [Code.ret]]);
      process.map(STACK - 4096);
      process.setRegister(6, STACK);
      process.pc = below(2) === 0 ? ELSEWHERE : ENTRY;
      alive.push(process);
    };
    const kill = (): void => {
      const [process] = alive.splice(below(alive.length), 1);
      process.context.dispose();
      for (const address of [ELSEWHERE, STACK - 4096]) host.memory.freePage(process.page(address));
    };
    const left = (): Record<string, number> => ({
      tables: host.heap.tableCount,
      fragments: host.heap.statistics.fragments - host.heap.statistics.discarded,
      pages: host.memory.freePages,
    });
    const round = (processes: number): Record<string, number> => {
      for (let started = 0; started < processes;) {
        if (alive.length > 0 && (alive.length === 20 || below(3) === 0)) kill();
        else started = started + (start(), 1);
        for (let turn = 0; alive.length > 0 && turn < 3; turn++) alive[below(alive.length)].run(undefined, below(40));
      }
      while (alive.length > 0) kill();
      warm(first, 7);
      return left();
    };
    const after = round(100);
    const { slotCount } = host.heap;
    const { tables, fragments, pages } = round(300);
    expect({ tables, fragments }).toEqual({ tables: 1, fragments: after["fragments"] });
    // Blocks of the engine's own are kept for the next; a process that left anything would have left pages by the hundred.
    expect(pages).toBeGreaterThan(after["pages"] - 40);
    expect(host.heap.slotCount).toBeLessThan(slotCount + 200);
  });

  test("T11 fifty processes of one program translate it once, and find it ready", () => {
    const processes = family(50, 7, 128 << 20);
    const [first, ...others] = processes;
    for (const process of processes) warm(process, 7);
    const { translated } = first.context.codeUse;
    expect(first.host.translated).toBe(translated);
    for (const { context } of others) expect(context.codeUse).toMatchObject({ translated: 0, traps: 1 });
    expect(others.every(({ context }) => context.codeUse.ready > 0)).toBe(true);
    // Started and ended at random, they leave nothing behind.
    const { freePages } = first.host.memory;
    for (let turn = 0; turn < 100; turn++) {
      const late = sibling(first);
      expect(late.run(ENTRY)).toBe(Exit.halt);
      late.context.dispose();
    }
    expect(first.host.translated).toBe(translated);
    expect(first.host.memory.freePages).toBeGreaterThan(freePages - 100);
    const between = first.host.memory.freePages;
    for (let turn = 0; turn < 50; turn++) sibling(first).context.dispose();
    expect(first.host.memory.freePages).toBe(between);
  });

  test("T9 one fragment runs right at two virtual bases", () => {
    const host = new ToyHost(translator);
    // Addresses of its own: what it calls returns to it, and it reads a word beside it.
    const program: Program = [
      [Code.pc, 2, 0],
      [Code.call, 0, 3],
      [Code.pc, 4, 120],
      [Code.load, 5, 4],
      [Code.halt],
      [Code.mov, 3, 7],
      [Code.ret],
    ];
    const first = toyProcess(program, CODE, host);
    first.setWord(CODE + 9 + 120, 0x1234n);
    const second = new ToyProcess(host);
    second.map(ELSEWHERE, first.page(CODE));
    const check = (process: ToyProcess, base: number): void => {
      expect(process.run(base)).toBe(Exit.halt);
      expect([2, 3, 4, 5].map((index) => process.register(index))).toEqual([
        BigInt(base + 3),
        BigInt(base + 6),
        BigInt(base + 129),
        0x1234n,
      ]);
      expect(process.pc).toBe(BigInt(base + 12));
    };
    for (let round = 0; round < 8; round++) check(first, CODE);
    const { translated } = host;
    for (let round = 0; round < 8; round++) check(second, ELSEWHERE);
    expect(host.translated).toBe(translated);
    // In one process, too.
    second.map(CODE, first.page(CODE));
    for (let round = 0; round < 8; round++) {
      check(second, CODE);
      check(second, ELSEWHERE);
    }
  });

  test("T9 a fault in shared code shows each process its own address", () => {
    const host = new ToyHost(translator);
    const first = toyProcess([[Code.addi, 1, 1], [Code.load, 2, 3], [Code.halt]], CODE, host);
    const second = new ToyProcess(host);
    second.map(ELSEWHERE, first.page(CODE));
    for (let round = 0; round < 6; round++) {
      expect([first.run(CODE), first.pc]).toEqual([EngineExit.pageFault, BigInt(CODE + 3)]);
      expect([second.run(ELSEWHERE), second.pc]).toEqual([EngineExit.pageFault, BigInt(ELSEWHERE + 3)]);
    }
  });
});

test("hot code goes through no trampoline where it inlines a call", () => {
  const process = toyProcess(caller, ENTRY, new ToyHost({ compileAfter: 0, promoteAfter: 0 }));
  const answer = (): bigint => {
    expect(process.run(ENTRY)).toBe(Exit.halt);
    return process.register(1);
  };
  process.put(NEXT_PAGE, answers(7));
  expect(answer()).toBe(7n);
  expect(trapped(process, slotOf(process))).toBe(true);
  // The function's page is one that the region was made from.
  process.map(NEXT_PAGE);
  process.put(NEXT_PAGE, answers(9));
  expect(answer()).toBe(9n);
});
