import { expect, it } from "vitest";
import { type Lap, LapTimer, measureMachine } from "./machine-task.ts";

const laps: readonly Lap[] = [
  { name: "boot", ends: /ready/ },
  { name: "sum", begins: /^begin sum/, ends: /^end sum/ },
];

it("laps begin and end with the guest's lines, in whatever pieces they come", () => {
  let seconds = 0;
  const timer = new LapTimer(laps, () => ({ wallSeconds: seconds, userSeconds: seconds / 2 }));
  for (const piece of ["[ 0.1] re", "ady\r\nbegin s", "um\n42\n", "end sum\n", "end sum\n"]) {
    seconds++;
    timer.take(piece);
  }
  expect(timer.isDone).toBe(true);
  expect(timer.done.get("boot")).toMatchObject({ wallSeconds: 2, userSeconds: 1, output: "" });
  expect(timer.done.get("sum")).toMatchObject({ wallSeconds: 1, userSeconds: 0.5 });
});

it("what a lap printed is compared, not what was printed elsewhere", () => {
  const output = (text: string): string | undefined => {
    const timer = new LapTimer(laps, () => ({ wallSeconds: 0, userSeconds: 0 }));
    timer.take(text);
    return timer.done.get("sum")?.output;
  };
  expect(output("a\nbegin sum\n1\nend sum\n")).toBe(output("b\r\nbegin sum\r\n[    9.1] tsc\r\n1\r\nend sum\r\n"));
  expect(output("begin sum\n1\nend sum\n")).not.toBe(output("begin sum\n2\nend sum\n"));
});

it("a machine that ends early has the laps that it did", async () => {
  const script = "console.log('ready\\nbegin sum'); console.error('no memory'); process.exitCode = 3";
  const { laps: done, complaint } = await measureMachine([process.execPath, "-e", script], laps, "/");
  expect([[...done.keys()], complaint]).toEqual([["boot"], "ended with 3: no memory"]);
});
