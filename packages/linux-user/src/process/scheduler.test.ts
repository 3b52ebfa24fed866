import { expect, it } from "vitest";
import { Scheduler } from "./scheduler.ts";
import type { GuestTask } from "./task.ts";

it("a loop that sleeps hears of all that comes in one turn of the host's before anybody runs", async () => {
  const turns: (() => void)[] = [];
  const ran: number[][] = [];
  let inQueue: number[] = [];
  const scheduler = new Scheduler({
    host: { defer: (callback) => turns.push(callback), after: () => () => {} },
    monotonicNs: () => 0,
    runTimers: () => {},
    nextTimerNs: () => Infinity,
    runTask: () => {
      ran.push(inQueue);
      return false;
    },
    finished: () => ran.length === 2,
  });
  const end = scheduler.run();
  for (const id of [1, 2]) {
    // A callback of the host's, behind which promises are settled.
    inQueue = [...inQueue, id];
    scheduler.add({ tid: id, state: "blocked" } as GuestTask);
    await Promise.resolve();
    await Promise.resolve();
  }
  expect(ran).toEqual([]);
  for (const turn of turns.splice(0)) turn();
  await end;
  expect(ran).toEqual([
    [1, 2],
    [1, 2],
  ]);
});
