// The contract of `Checkpointable`, as tests that any machine can be put to.
import { describe, expect, it } from "vitest";
import type { Checkpointable } from "../checkpointable.ts";

export interface Subject {
  readonly machine: Checkpointable;
  /** Lets the guest do some work that changes memory, however the implementation likes; the machine is stopped then. */
  readonly work: () => Promise<void> | void;
}

export function checkpointableContract(name: string, make: () => Promise<Subject> | Subject): void {
  const stopped = (machine: Checkpointable): Promise<void> => new Promise((resolve) => machine.stop(resolve));

  const contents = (machine: Checkpointable): Uint8Array[] =>
    Array.from({ length: machine.pageCount }, (_, page) => {
      const into = new Uint8Array(machine.pageBytes);
      machine.readPage(page, into);
      return into;
    });

  describe(`${name} keeps the contract of a checkpointable machine`, () => {
    it("C1 stopped, it changes nothing", async () => {
      const { machine, work } = await make();
      await work();
      await stopped(machine);
      machine.takeDirtyPages();
      const before = contents(machine);
      const state = machine.saveState();
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(contents(machine)).toEqual(before);
      expect(machine.saveState()).toEqual(state);
      expect(machine.takeDirtyPages()).toHaveLength(0);
    });

    it("P2 every page that changed is named, in order, once; the others need not be sent", async () => {
      const { machine, work } = await make();
      for (let round = 0; round < 5; round++) {
        await stopped(machine);
        machine.takeDirtyPages();
        const before = contents(machine);
        machine.run();
        await work();
        await stopped(machine);
        const limit = machine.dirtyPages;
        const named = [...machine.takeDirtyPages()];
        expect(named.length).toBeLessThanOrEqual(limit);
        expect(named).toEqual([...new Set(named)].toSorted((a, b) => a - b));
        const after = contents(machine);
        const changed = after.flatMap((page, at) => (page.every((byte, i) => byte === before[at][i]) ? [] : [at]));
        const unnamed = changed.filter((page) => machine.standing(page) === "kept" && !named.includes(page));
        expect(unnamed).toEqual([]);
      }
    });

    it("C1 its pages and its state make the same machine elsewhere", async () => {
      const { machine, work } = await make();
      const { machine: twin } = await make();
      await work();
      await stopped(machine);
      await stopped(twin);
      expect(twin.configuration).toBe(machine.configuration);
      for (const [page, content] of contents(machine).entries()) twin.writePage(page, content);
      expect(twin.loadState(machine.saveState())).toBeUndefined();
      expect(contents(twin)).toEqual(contents(machine));
      expect(twin.saveState()).toEqual(machine.saveState());
    });

    it("refuses a state that is none", async () => {
      const { machine } = await make();
      await stopped(machine);
      expect(machine.loadState(new Uint8Array([1, 2, 3]))).toBeTypeOf("string");
    });
  });
}
