import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { History } from "./history.ts";
import type { Operation } from "./history.ts";

const key = "k";
const set = (client: number, value: string): Operation => ({ client, key, action: "set", value });
const get = (client: number): Operation => ({ client, key, action: "get" });
const increment = (client: number): Operation => ({ client, key, action: "increment" });

/** Operations one after the other. */
function after(...steps: readonly (readonly [Operation, string])[]): readonly string[] {
  const history = new History();
  for (const [operation, result] of steps) history.answer(history.ask(operation, 0), result, 0);
  return history.violations;
}

describe("the history checker", () => {
  it("takes what one machine would have said", () => {
    expect(after([get(1), ""], [set(1, "a"), "a"], [get(2), "a"], [increment(3), "NaN"])).toEqual([]);
    expect(after([increment(1), "1"], [increment(2), "2"], [get(1), "2"])).toEqual([]);
  });

  it.each<[string, readonly (readonly [Operation, string])[]]>([
    [
      "an acknowledged write that is lost",
      [
        [set(1, "a"), "a"],
        [get(1), ""],
      ],
    ],
    [
      "a write that is taken back to the one before it",
      [
        [set(1, "a"), "a"],
        [set(2, "b"), "b"],
        [get(1), "a"],
      ],
    ],
    [
      "an increment that is lost",
      [
        [increment(1), "1"],
        [increment(2), "1"],
      ],
    ],
    [
      "an increment that is done twice",
      [
        [increment(1), "1"],
        [increment(2), "3"],
      ],
    ],
    [
      "a value that nobody wrote",
      [
        [set(1, "a"), "a"],
        [get(1), "c"],
      ],
    ],
  ])("C4 notices %s", (_what, steps) => {
    expect(after(...steps)).toHaveLength(1);
  });

  it("C4 notices two reads that disagree about the order of two writes at once", () => {
    const history = new History();
    const a = history.ask(set(1, "a"), 0);
    const b = history.ask(set(2, "b"), 0);
    history.answer(history.ask(get(3), 0), "a", 0);
    history.answer(history.ask(get(3), 0), "b", 0);
    expect(history.violations).toEqual([]);
    history.answer(history.ask(get(4), 0), "a", 0);
    expect(history.violations).toHaveLength(1);
    history.answer(a, "a", 0);
    history.answer(b, "b", 0);
  });

  it("lets what is never answered happen late, once, or never", () => {
    const history = new History();
    history.ask(set(1, "late"), 0);
    const read = (result: string): void => history.answer(history.ask(get(2), 0), result, 0);
    read("");
    read("late");
    history.answer(history.ask(set(2, "b"), 0), "b", 0);
    read("b");
    expect(history.violations).toEqual([]);
    read("late");
    expect(history.violations).toHaveLength(1);
  });

  it("lets what was refused not happen, and what was lost and settled happen before that or never", () => {
    const history = new History();
    history.withdraw(history.ask(set(1, "refused"), 0));
    const lost = [history.ask(set(1, "lost"), 0), history.ask(increment(2), 0), history.ask(get(3), 0)];
    for (const number of lost) history.lose(number);
    for (const number of lost) history.settle(number);
    const read = (result: string): void => history.answer(history.ask(get(2), 0), result, 0);
    read("lost");
    expect(history.violations).toEqual([]);
    read("");
    read("refused");
    expect(history.violations).toHaveLength(2);
  });

  it("takes whatever a machine says that does each operation at some moment between question and answer", () => {
    const plan = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(), { minLength: 20, maxLength: 120 }));
    fc.assert(
      fc.property(plan, ([clients, choices]) => {
        const history = new History();
        const under = new Map<number, { number: number; operation: Operation; result?: string }>();
        let state = "";
        for (const [at, choice] of choices.entries()) {
          const client = choice % clients;
          const one = under.get(client);
          if (one === undefined) {
            const kind = Math.floor(choice / clients) % 3;
            const operation = [get(client), set(client, `${at}`), increment(client)][kind];
            under.set(client, { number: history.ask(operation, 0), operation });
          } else if (one.result === undefined) {
            const { action, value = "" } = one.operation;
            if (action !== "get") state = action === "set" ? value : String(Number(state) + 1);
            one.result = state;
          } else {
            history.answer(one.number, one.result, 0);
            under.delete(client);
          }
        }
        expect(history.violations).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
